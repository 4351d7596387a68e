"""For tests of your own transport: two ends in memory, a peer who says what you want, and Hypothesis strategies.

Nothing here needs a socket, a clock or an event loop. It is public and kept as compatible as the rest, but not
imported with ``telcoflow_proto``, because it needs Hypothesis.

    pair = Pair(ControlClientConnection(...), ControlServerConnection(...))
    pair.open(now=0.0)

    peer = ScriptedPeer(MediaClientConnection(...))
    peer.open(now=0.0)
    peer.says(json.dumps({"type": "call_event", "data": {"event": "call.terminated"}}), now=1.0)

    @given(data=streams(Role.SERVER).flatmap(splits))
    def test_my_transport(data: list[bytes]) -> None: ...
"""

import hashlib
import itertools
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar, final

import attrs

from telcoflow_proto.chance import Entropy
from telcoflow_proto.control.codec import encode_control
from telcoflow_proto.control.messages import (
    AUDIO_MODES,
    SAMPLE_RATES,
    CallFlow,
    CallIn,
    ClientMessage,
    CreateSession,
    InboundCalls,
    MessageIn,
    OpenSession,
    Requested,
    Response,
    SendMessage,
    ServerMessage,
    SessionClosed,
    SessionInfo,
    SessionNotice,
    SessionReady,
    Setup,
    SetUpCallFlow,
    SetupDone,
)
from telcoflow_proto.door import ByteDoor, Message
from telcoflow_proto.frames import frame_head, mask
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import Json
from telcoflow_proto.link_table import LinkState
from telcoflow_proto.media.codec import encode_media
from telcoflow_proto.media.messages import BufferRequest, CallNotice, Command, CommandResponse, MediaMessage
from telcoflow_proto.media.table import COMMANDS, RING_TIMES, CallWord
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Close, LinkLost, LinkOpened, WebSocketLink

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "telcoflow_proto.testing needs Hypothesis: pip install 'telcoflow-proto[testing]'", name=missing.name
    ) from None

ClientEnd = TypeVar("ClientEnd", bound=ByteDoor[Any])
ServerEnd = TypeVar("ServerEnd", bound=ByteDoor[Any])
End = TypeVar("End", bound=ByteDoor[Any])


def entropy(seed: int = 0) -> Entropy:
    """Return a source of chance that gives the same bytes in every run, others for every seed."""
    numbers = itertools.count()

    def draw(count: int) -> bytes:
        blocks = (hashlib.blake2b(b"%d %d" % (seed, next(numbers))).digest() for _ in range(count // 64 + 1))
        return b"".join(blocks)[:count]

    return draw


# ---------------------------------------------------------------------------------------------- two ends


@final
class Pair(Generic[ClientEnd, ServerEnd]):
    """A client's and a server's byte door, and the wire between them, in memory.

    What an end reports is taken at once and kept, in order, in ``client_events`` and ``server_events``. With
    ``accepting``, upgrades are accepted by themselves. ``piece_bytes`` is how small the wire cuts everything.
    """

    def __init__(
        self,
        client: ClientEnd,
        server: ServerEnd,
        *,
        piece_bytes: int = 65536,
        accepting: bool = True,
    ) -> None:
        self.client = client
        self.server = server
        self.client_events: list[object] = []
        self.server_events: list[object] = []
        self._piece_bytes = piece_bytes
        self._accepting = accepting
        self._wires = {Role.CLIENT: b"", Role.SERVER: b""}

    def open(self, *, now: float) -> None:
        """Start both ends and carry everything; with ``accepting`` the connection is open afterwards."""
        self.server.start(now=now)
        self.client.start(now=now)
        self.carry(now=now)

    def settle(self, *, now: float) -> None:
        """Take what the ends have to say, onto the wire, and what they report; deliver nothing."""
        self._wires[Role.CLIENT] += self.client.data_to_send(now=now)
        self._wires[Role.SERVER] += self.server.data_to_send(now=now)
        self.client_events += self.client.events()
        for event in self.server.events():
            self.server_events.append(event)
            if isinstance(event, UpgradeRequested) and self._accepting:
                self.server.accept(now=now)
                self.settle(now=now)

    def under_way(self, sender: Role) -> int:
        """Return how many bytes of ``sender`` have been said and not delivered."""
        return len(self._wires[sender])

    def deliver(self, sender: Role, count: int, *, now: float) -> None:
        """Deliver at most ``count`` bytes of ``sender``, in pieces."""
        data, self._wires[sender] = self._wires[sender][:count], self._wires[sender][count:]
        end = self.server if sender is Role.CLIENT else self.client
        for at in range(0, len(data), self._piece_bytes):
            end.receive_data(data[at : at + self._piece_bytes], now=now)
        self.settle(now=now)

    def carry(self, *, now: float) -> None:
        """Carry bytes both ways until nobody has any; who is done closes the stream."""
        self.settle(now=now)
        while any(self._wires.values()):
            for sender in Role:
                self.deliver(sender, len(self._wires[sender]), now=now)
        if self.client.closed or self.server.closed:
            self.lose(now=now)

    def lose(self, *, now: float) -> None:
        """Cut the wire: what was under way is gone, and both ends are told."""
        self._wires = {Role.CLIENT: b"", Role.SERVER: b""}
        self.client.receive_eof(now=now)
        self.server.receive_eof(now=now)
        self.settle(now=now)
        self._wires = {Role.CLIENT: b"", Role.SERVER: b""}

    def pass_time(self, *, until: float) -> None:
        """Let every deadline up to ``until`` ring in its time, and carry what follows from it."""
        while (due := self._earliest()) is not None and due <= until:
            self.client.handle_timeout(now=due)
            self.server.handle_timeout(now=due)
            self.carry(now=due)

    def _earliest(self) -> float | None:
        deadlines = (self.client.next_deadline(), self.server.next_deadline())
        return min((at for at in deadlines if at is not None), default=None)


# ---------------------------------------------------------------------------------------------- a scripted peer


@final
@attrs.frozen
class Say:
    """Step of a script: say one WebSocket message in a well-formed frame."""

    message: Message


@final
@attrs.frozen
class SayBytes:
    """Step of a script: put these bytes on the wire as they are."""

    data: bytes


@final
@attrs.frozen
class Wait:
    """Step of a script: let so many seconds pass."""

    seconds: float


@final
@attrs.frozen
class HangUp:
    """Step of a script: end the stream without another word."""


Step = Say | SayBytes | Wait | HangUp


@final
class ScriptedPeer(Generic[End]):
    """The other end of one byte door, which says exactly what it is told, legal or not.

    ``heard`` are the messages the door has sent, ``events`` what it has reported, ``fault`` how the stream the door
    sent broke RFC 6455, if it did.
    """

    def __init__(self, door: End, *, chance: Entropy | None = None) -> None:
        self.door = door
        self.heard: list[Message] = []
        self.events: list[object] = []
        self.fault: Exception | None = None
        self._link = WebSocketLink(door.role.peer, entropy=chance or entropy(1), host="localhost")

    def open(self, *, now: float) -> None:
        """Do the WebSocket upgrade."""
        self._link.start(now=now)
        self.door.start(now=now)
        self._exchange(now)

    def says(self, message: Message, *, now: float) -> None:
        """Say one message, and hear what the door makes of it; nothing once the link is over."""
        if self._link.state is LinkState.OPEN:
            self._link.send(message, now=now)
            self._exchange(now)

    def says_bytes(self, data: bytes, *, now: float) -> None:
        """Put bytes on the wire that no link would say."""
        self.door.receive_data(data, now=now)
        self._exchange(now)

    def waits(self, *, until: float) -> None:
        """Let the door's deadlines up to ``until`` ring, each in its time; the peer itself has none."""
        while (due := self.door.next_deadline()) is not None and due <= until:
            self.door.handle_timeout(now=due)
            self._exchange(due)

    def hangs_up(self, *, now: float) -> None:
        """End the stream."""
        self.door.receive_eof(now=now)
        self._exchange(now)

    def plays(self, script: Iterable[Step], *, now: float) -> float:
        """Play a whole script and return when it ended."""
        for step in script:
            match step:
                case Say():
                    self.says(step.message, now=now)
                case SayBytes():
                    self.says_bytes(step.data, now=now)
                case Wait():
                    now += step.seconds
                    self.waits(until=now)
                case _:
                    self.hangs_up(now=now)
        return now

    def _exchange(self, now: float) -> None:
        """Carry bytes both ways until nobody has any."""
        busy = True
        while busy:
            self._report(now)
            said = self.door.data_to_send(now=now)
            self._link.receive_data(said, now=now)
            for event in self._link.events():
                match event:
                    case LinkOpened():
                        pass
                    case UpgradeRequested():
                        self._link.accept(now=now)
                    case LinkLost():
                        self.fault = event.error
                        if event.error is None:
                            self.heard.append(Close(code=event.code, reason=event.reason))
                    case _:
                        self.heard.append(event)
            answer = self._link.data_to_send()
            self.door.receive_data(answer, now=now)
            busy = bool(said or answer)

    def _report(self, now: float) -> None:
        for event in self.door.events():
            self.events.append(event)
            if isinstance(event, UpgradeRequested):
                self.door.accept(now=now)


# ---------------------------------------------------------------------------------------------- what is said

_names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
_maybe_names = st.none() | _names
_tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=24)
_seconds = st.none() | st.integers(0, 2**40)


def json_values(*, max_leaves: int = 5) -> st.SearchStrategy[Any]:
    """Whatever may stand in a field that is passed on unread."""
    scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e9, 1e9) | _names
    return st.recursive(
        scalars.filter(lambda value: value != 0 or str(value) != "-0.0"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
        max_leaves=max_leaves,
    )


def _objects() -> st.SearchStrategy[dict[str, Json]]:
    return st.dictionaries(_names, json_values(), max_size=3)


def sessions() -> st.SearchStrategy[SessionInfo]:
    """Sessions as a service describes them."""
    return st.builds(
        SessionInfo,
        id=_names,
        channel=_names,
        initiator=_maybe_names,
        state=_maybe_names,
        remote_address=_maybe_names,
        local_address=_maybe_names,
        opened_at=_seconds,
        closed_at=_seconds,
    )


def client_control_messages() -> st.SearchStrategy[ClientMessage]:
    """Everything a client says on the control connection."""
    flow = st.builds(CallFlow, inbound_call=st.sampled_from(InboundCalls))
    requests = st.one_of(
        st.builds(OpenSession, session_id=_names),
        st.builds(CreateSession, channel=_names, remote_address=_names),
        st.builds(SendMessage, session_id=_names, client_message_id=_names, api_version=_names, content=_objects()),
        st.builds(SetUpCallFlow, flow=flow),
    )
    return st.one_of(
        st.builds(Setup, sample_rate=st.sampled_from(SAMPLE_RATES), audio_mode=st.sampled_from(AUDIO_MODES)),
        st.builds(Requested, request_id=_names, request=requests),
        st.builds(SessionReady, session_id=_names),
    )


def server_control_messages() -> st.SearchStrategy[ServerMessage]:
    """Everything a service says on the control connection."""
    reasons = st.sampled_from(["SDK_REQUEST", "FORCE_CLOSE", "CALL_TERMINATED"])
    return st.one_of(
        st.builds(SetupDone, connection_id=_maybe_names),
        st.builds(
            Response,
            request_id=_names,
            ok=st.booleans(),
            content=json_values(),
            error_code=_maybe_names,
            error_content=json_values(),
        ),
        st.builds(
            SessionNotice,
            session_id=_names,
            channel=_names,
            activity=_names,
            remote_address=_maybe_names,
            local_address=_maybe_names,
            created_at=_seconds,
        ),
        st.builds(
            CallIn,
            session_id=_names,
            call_id=_names,
            url=_names,
            token=_tokens,
            organization=_maybe_names,
            caller=_maybe_names,
            callee=_maybe_names,
        ),
        st.builds(MessageIn, session_id=_names, sender=_maybe_names, content=_objects()),
        st.builds(SessionClosed, session_id=_names, reason=reasons),
    )


def commands() -> st.SearchStrategy[Command]:
    """Everything a client asks for on the media connection of a call."""
    plain = st.builds(
        Command,
        command_id=_names,
        command=st.sampled_from([word for word in COMMANDS if word is not CallWord.CONNECT]),
        timeout_ms=st.integers(0, 120_000),
    )
    connect = st.builds(
        Command,
        command_id=_names,
        command=st.just(CallWord.CONNECT),
        timeout_ms=st.integers(1000, 120_000),
        ring_time_seconds=st.sampled_from(RING_TIMES),
    )
    return plain | connect


def server_media_messages() -> st.SearchStrategy[MediaMessage]:
    """Everything a service says on the media connection of a call, but audio."""
    details = _objects().map(lambda members: {name: value for name, value in members.items() if name != "event"})
    return st.one_of(
        st.builds(
            CommandResponse,
            command_id=_names,
            success=st.booleans(),
            result=json_values(),
            error_code=_maybe_names,
            error_message=_maybe_names,
        ),
        st.builds(
            CallNotice,
            event=st.sampled_from(["call.terminated", "call.error", "call.answered"]) | _names,
            details=details,
        ),
        st.builds(
            BufferRequest,
            requested_bytes=st.integers(-10, 200_000),
            frame_bytes=st.integers(1, 70_000),
            channel=st.integers(0, 3),
        ),
    )


def control_texts(sender: Role) -> st.SearchStrategy[str]:
    """What ``sender`` says on the control connection, as text."""
    return (client_control_messages() if sender is Role.CLIENT else server_control_messages()).map(encode_control)


def media_texts(sender: Role) -> st.SearchStrategy[str]:
    """What ``sender`` says on a media connection, as text."""
    return (commands() if sender is Role.CLIENT else server_media_messages()).map(encode_media)


def pcm(*, max_samples: int = 480) -> st.SearchStrategy[bytes]:
    """Whole 16-bit samples of any loudness."""
    return st.integers(0, max_samples).flatmap(lambda count: st.binary(min_size=2 * count, max_size=2 * count))


def audio_messages(*, channels: Sequence[int] = (0,)) -> st.SearchStrategy[bytes]:
    """Binary messages of a media connection: a channel byte, then PCM."""
    return st.tuples(st.sampled_from(channels).map(lambda channel: bytes((channel,))), pcm()).map(b"".join)


_HOSTILE = (
    "",
    "null",
    "[]",
    "{}",
    '"x"',
    "1",
    "\ufeff{}",
    '{"type":1}',
    '{"type":"setup.done"}{}',
    '{"type":"response","type":"response"}',
    '{"type":"call_event","data":[]}',
    '{"type":"x","n":NaN}',
    '{"type":"x","n":1e999}',
    '{"type":"x","n":-0}',
    '{"type":"x","n":' + "9" * 4301 + "}",
    '{"type":"x","s":"\\ud800"}',
    '{"type":"x","a":' + "[" * 33 + "]" * 33 + "}",
    "[" * 20_000,
)


def hostile_texts() -> st.SearchStrategy[str]:
    """Text no honest end sends: no JSON, not an object, too deep, too long, keys twice, numbers out of range."""
    return st.sampled_from(_HOSTILE) | st.text(max_size=20)


# ---------------------------------------------------------------------------------------------- on the wire

_KEY = b"\x11\x22\x33\x44"
_DATA, _CONTROL = (0x1, 0x2), (0x9, 0xA)


def wire_frame(sender: Role, opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0) -> bytes:
    """Build one WebSocket frame as ``sender`` must: masked by a client, plain from a server."""
    masked = sender is Role.CLIENT
    head = bytearray(frame_head(opcode & 0x0F, len(payload), masked=masked))
    head[0] = (0x80 if final else 0) | (reserved & 7) << 4 | opcode & 0x0F
    return bytes(head) + (_KEY + mask(payload, _KEY) if masked else payload)


@st.composite
def legal_frames(draw: st.DrawFn, sender: Role) -> bytes:
    """One message, whole or in fragments with a ping between them, or a ping or pong."""
    payload = draw(st.text(st.characters(codec="utf-8"), max_size=140)).encode()
    kind = draw(st.sampled_from(["whole", "fragments", "control"]))
    if kind == "control":
        return wire_frame(sender, draw(st.sampled_from(_CONTROL)), payload[:125])
    opcode = draw(st.sampled_from(_DATA))
    if kind == "whole":
        return wire_frame(sender, opcode, payload)
    parts = draw(splits(payload))
    opcodes = [opcode, *[0] * (len(parts) - 1)]
    finals = [*[False] * (len(parts) - 1), True]
    numbered = zip(opcodes, parts, finals, strict=True)
    frames = [wire_frame(sender, number, part, final=final) for number, part, final in numbered]
    return draw(st.sampled_from([b"", wire_frame(sender, 0x9, b"between")])).join(frames)


@st.composite
def illegal_frames(draw: st.DrawFn, sender: Role) -> bytes:
    """One frame that breaks a rule of RFC 6455 for ``sender``; the other end must give up."""
    payload = draw(st.binary(max_size=20))
    return draw(
        st.sampled_from(
            [
                wire_frame(sender, draw(st.sampled_from([3, 7, 11, 15])), payload),
                wire_frame(sender, 0x2, payload, reserved=draw(st.integers(1, 7))),
                wire_frame(sender.peer, 0x2, payload),
                wire_frame(sender, 0x9, payload, final=False),
                wire_frame(sender, 0xA, payload * 7 + b"x" * 126),
                wire_frame(sender, 0x0, payload),
                wire_frame(sender, 0x1, b"", final=False) + wire_frame(sender, 0x1, b""),
                wire_frame(sender, 0x1, payload + b"\xff"),
                wire_frame(sender, 0x8, b"\x03"),
                wire_frame(sender, 0x8, struct.pack("!H", draw(st.sampled_from([0, 999, 1005, 1006, 5000])))),
                wire_frame(sender, 0x8, b"\x03\xe8\xff"),
            ]
        )
    )


@st.composite
def streams(draw: st.DrawFn, sender: Role) -> bytes:
    """What a peer might put on the wire after the upgrade: mostly legal, with something illegal now and then."""
    legal = st.lists(legal_frames(sender), max_size=5)
    return b"".join(draw(legal) + draw(st.lists(illegal_frames(sender), max_size=1)) + draw(legal))


def splits(data: bytes, *, most: int = 6) -> st.SearchStrategy[list[bytes]]:
    """The same bytes in one to ``most`` pieces, some of which may be empty."""

    def cut(places: list[int]) -> list[bytes]:
        edges = [0, *sorted(places), len(data)]
        return [data[start:end] for start, end in itertools.pairwise(edges)]

    return st.lists(st.integers(0, len(data)), max_size=most - 1).map(cut)


def scripts(sender: Role, texts: st.SearchStrategy[str], *, max_steps: int = 12) -> st.SearchStrategy[list[Step]]:
    """What a ``ScriptedPeer`` of this role may be told: ``texts``, audio, hostile text, pauses, broken frames."""
    steps: st.SearchStrategy[Step] = st.one_of(
        st.builds(Say, texts),
        st.builds(Say, texts),
        st.builds(Say, audio_messages(channels=range(4))),
        st.builds(Say, hostile_texts()),
        st.builds(Wait, st.sampled_from([0.0, 0.02, 1.0, 6.0, 20.0])),
        st.builds(SayBytes, legal_frames(sender)),
        st.builds(SayBytes, illegal_frames(sender)),
        st.builds(HangUp),
    )
    return st.lists(steps, max_size=max_steps)
