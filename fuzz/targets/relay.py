"""Text on a RELAY connection: the JSON-RPC frames as such, and heard by either role.

Oracles: as on the control plane; a frame that was decoded is encoded and decoded again to the same; every request
ends once; a door of either role is the same for any split.
"""

import contextlib
from collections.abc import Callable
from typing import final

from fuzz.oracles import check_splits, expect, plain
from fuzz.targets.control import lines, now_after
from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.relay.connection import RelayClientConnection, RelayServerConnection
from telcoflow_proto.relay.jsonrpc import decode_frame, encode_frame
from telcoflow_proto.relay.messages import Authenticated, ConnectRequested, Credentials, Replied, RequestReceived
from telcoflow_proto.roles import Role
from telcoflow_proto.secret import Secret
from telcoflow_proto.testing import ScriptedPeer, entropy, wire_frame

Door = RelayClientConnection | RelayServerConnection


def relay_frames(data: bytes) -> None:
    """One JSON-RPC frame per line: RemoteProtocolError, or said again as it was heard."""
    for _, text in lines(data):
        try:
            frame = decode_frame(text, RELAY_LIMITS)
        except RemoteProtocolError:
            continue
        again = decode_frame(encode_frame(frame), RELAY_LIMITS)
        expect(that=again == frame, otherwise=f"{frame!r} was said and {again!r} heard")


def relay_client(data: bytes) -> None:
    """What a service says, heard by a client that makes two requests as soon as it may."""
    peer = ScriptedPeer(_client())
    peer.open(now=0.0)
    asked: list[str] = []
    done: list[str] = []

    def look(now: float) -> None:
        while peer.events:
            event = peer.events.pop(0)
            last = not isinstance(event, ConnectionLost) or not peer.events
            expect(that=last, otherwise="told after the end")
            if isinstance(event, Authenticated):
                asked.extend(_ask(peer.door, now))
            elif isinstance(event, Replied):
                done.append(event.request_id)

    for now, text in lines(data):
        peer.waits(until=now)
        look(now)
        peer.says(text, now=now)
        look(now)
    peer.hangs_up(now=now_after(data))
    look(now_after(data))
    expect(that=sorted(done) == sorted(asked), otherwise=f"asked {asked}, ended {done}")
    _check_end(peer.door, peer.fault)
    _check_door(_client, Role.SERVER, data)


def relay_server(data: bytes) -> None:
    """What a client says, heard by a service that lets everybody in and answers every request."""
    peer = ScriptedPeer(_server())
    peer.open(now=0.0)
    for now, text in lines(data):
        peer.waits(until=now)
        peer.says(text, now=now)
        while peer.events:
            event = peer.events.pop(0)
            last = not isinstance(event, ConnectionLost) or not peer.events
            expect(that=last, otherwise="told after the end")
            _serve(peer.door, event, now)
    peer.hangs_up(now=now_after(data))
    _check_end(peer.door, peer.fault)
    _check_door(_server, Role.CLIENT, data)


@final
class _DoorListener:
    """A door that is open, given frames piece by piece."""

    def __init__(self, door: Door) -> None:
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


def _check_door(make: Callable[[], Door], sender: Role, data: bytes) -> None:
    stream = b"".join(wire_frame(sender, 0x1, text.encode()) for _, text in lines(data[:1000]))
    check_splits(lambda: _DoorListener(make()), stream)


def _check_end(door: Door, fault: Exception | None) -> None:
    expect(that=fault is None, otherwise=f"said something no WebSocket may: {fault!r}")
    expect(that=door.next_deadline() is None, otherwise="a connection that is over waits for something")


def _client() -> RelayClientConnection:
    return RelayClientConnection(
        url=parse_ws_url("ws://localhost/api/relay/ws"),
        credentials=Credentials(project=Secret("p"), token=Secret("t")),
        contexts=["office"],
        entropy=entropy(),
    )


def _server() -> RelayServerConnection:
    return RelayServerConnection(entropy=entropy())


def _ask(door: RelayClientConnection, now: float) -> list[str]:
    asked = []
    for method in ("calling.answer", "messaging.send"):
        with contextlib.suppress(LocalProtocolError):  # it was told to leave in the same breath
            asked.append(door.request(method, {"call_id": "c1"}, now=now))
    return asked


def _serve(door: RelayServerConnection, event: object, now: float) -> None:
    """The application behind a service: an honest answer is refused only where the connection is over."""
    try:
        if isinstance(event, ConnectRequested):
            door.authenticate(protocol="p1", now=now)
            door.push("calling.call.state", {"call_id": "c1", "call_state": "ended"}, now=now)
        elif isinstance(event, RequestReceived):
            door.respond(event.request_id, {"code": "200"}, now=now)
    except LocalProtocolError as refused:
        expect(that=door.lost, otherwise=f"an honest answer was refused: {refused}")
