"""Text on a RELAY connection: the JSON-RPC frames as such, and heard by either role.

The dialect is imported when a target first runs, and its targets are offered only where it exists. Oracles: as on
the control plane; a frame that was decoded is encoded and decoded again to the same; every request ends once.
"""

import contextlib
import functools
import importlib
import importlib.util
from typing import Any

from fuzz.oracles import check_splits, expect, plain
from fuzz.targets.control import lines, now_after
from telcoflow_proto.door import ByteDoor, ConnectionLost
from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.roles import Role
from telcoflow_proto.secret import Secret
from telcoflow_proto.testing import ScriptedPeer, entropy, wire_frame

HAVE_RELAY = importlib.util.find_spec("telcoflow_proto.relay") is not None


@functools.cache
def _module(name: str) -> Any:  # noqa: ANN401 - a module that may be missing has no static type
    return importlib.import_module(f"telcoflow_proto.{name}")


def relay_frames(data: bytes) -> None:
    """One JSON-RPC frame per line: RemoteProtocolError, or said again as it was heard."""
    limits, rpc = _module("limits").RELAY_LIMITS, _module("relay.jsonrpc")
    for _, text in lines(data):
        try:
            frame = rpc.decode_frame(text, limits)
        except RemoteProtocolError:
            continue
        again = rpc.decode_frame(rpc.encode_frame(frame), limits)
        expect(that=again == frame, otherwise=f"{frame!r} was said and {again!r} heard")


def relay_client(data: bytes) -> None:
    """What a service says, heard by a client that makes two requests as soon as it may."""
    peer = ScriptedPeer(_client())
    peer.open(now=0.0)
    asked: list[str] = []
    done: list[str] = []
    seen = 0

    def look(now: float) -> None:
        nonlocal seen
        for event in peer.events[seen:]:
            expect(
                that=not isinstance(event, ConnectionLost) or event is peer.events[-1], otherwise="told after the end"
            )
            if type(event).__name__ == "Authenticated":
                asked.extend(_ask(peer.door, now))
            elif type(event).__name__ == "Replied":
                done.append(getattr(event, "request_id"))  # noqa: B009 - its class may not exist here
        seen = len(peer.events)

    for now, text in lines(data):
        peer.waits(until=now)
        look(now)
        peer.says(text, now=now)
        look(now)
    peer.hangs_up(now=now_after(data))
    look(now_after(data))
    expect(that=peer.fault is None, otherwise=f"said something no WebSocket may: {peer.fault!r}")
    expect(that=sorted(done) == sorted(asked), otherwise=f"asked {asked}, ended {done}")
    expect(that=peer.door.next_deadline() is None, otherwise="a connection that is over waits for something")
    _check_door(_client, Role.SERVER, data)


def relay_server(data: bytes) -> None:
    """What a client says, heard by a service that lets everybody in and answers every request."""
    peer = ScriptedPeer(_server())
    peer.open(now=0.0)
    seen = 0
    for now, text in lines(data):
        peer.waits(until=now)
        peer.says(text, now=now)
        for event in peer.events[seen:]:
            expect(
                that=not isinstance(event, ConnectionLost) or event is peer.events[-1], otherwise="told after the end"
            )
            _serve(peer.door, event, now)
        seen = len(peer.events)
    peer.hangs_up(now=now_after(data))
    expect(that=peer.fault is None, otherwise=f"said something no WebSocket may: {peer.fault!r}")
    expect(that=peer.door.next_deadline() is None, otherwise="a connection that is over waits for something")
    _check_door(_server, Role.CLIENT, data)


class _DoorListener:
    """A door that is open, given frames piece by piece."""

    def __init__(self, door: ByteDoor[Any]) -> None:
        self._peer = ScriptedPeer(door)
        self._peer.open(now=0.0)

    def feed(self, piece: bytes) -> None:
        self._peer.door.receive_data(piece, now=1.0)
        self._peer.events += self._peer.door.events()

    @property
    def over(self) -> bool:
        return self._peer.door.lost

    def outcome(self) -> object:
        return (list(map(plain, self._peer.events)), self._peer.door.data_to_send(now=1.0))


def _check_door(make: Any, sender: Role, data: bytes) -> None:  # noqa: ANN401 - makes doors that may not exist
    stream = b"".join(wire_frame(sender, 0x1, text.encode()) for _, text in lines(data[:1000]))
    check_splits(lambda: _DoorListener(make()), stream)


def _client() -> ByteDoor[Any]:
    credentials = _module("relay.messages").Credentials(project=Secret("p"), token=Secret("t"))
    door: ByteDoor[Any] = _module("relay.connection").RelayClientConnection(
        url=parse_ws_url("ws://localhost/api/relay/ws"),
        credentials=credentials,
        contexts=["office"],
        entropy=entropy(),
    )
    return door


def _server() -> ByteDoor[Any]:
    door: ByteDoor[Any] = _module("relay.connection").RelayServerConnection(entropy=entropy())
    return door


def _ask(door: Any, now: float) -> list[str]:  # noqa: ANN401 - as above
    asked = []
    for method in ("calling.answer", "messaging.send"):
        with contextlib.suppress(LocalProtocolError):  # it was told to leave in the same breath
            asked.append(str(door.request(method, {"call_id": "c1"}, now=now)))
    return asked


def _serve(door: Any, event: object, now: float) -> None:  # noqa: ANN401 - as above
    """The application behind a service. The client may be told to leave, or be gone, before it is answered."""
    kind = type(event).__name__
    try:
        if kind == "ConnectRequested":
            door.authenticate(protocol="p1", now=now)
            door.push("calling.call.state", {"call_id": "c1", "call_state": "ended"}, now=now)
        elif kind == "RequestReceived":
            door.respond(getattr(event, "request_id"), {"code": "200"}, now=now)  # noqa: B009 - as above
    except LocalProtocolError:
        expect(that=door.lost or bool(getattr(door, "_closing", True)), otherwise="an honest answer was refused")
