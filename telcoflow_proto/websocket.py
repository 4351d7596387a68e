"""A WebSocket link (RFC 6455): bytes in, whole messages out, with the limits and timers wsproto leaves out.

Theory of operation. Bytes go first to the handshake, then to the frame loop, which stops at every frame
header. A header is enough to know what a frame will cost, so size, fragment count and control rate are
checked there, before any payload is taken. A whole, unfragmented data frame that is all there is read
directly; every other byte is wsproto's. Both ways give the same messages for any split of the stream.

Frames we say are built here and not by wsproto, because its mask keys come from the operating system and
the core's come from the source it was given.

Long because frames in, frames out and the signs of life share one state: a ping is answered, a fault closes and a
silence ends on the same table. What has a state of its own (the upgrade, rare frames, headers) is in other rooms.
"""

import enum
import struct
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, final

import attrs

from telcoflow_proto.chance import Chance, Entropy
from telcoflow_proto.errors import (
    LimitExceeded,
    LocalProtocolError,
    PeerSilent,
    ProtocolError,
    RemoteProtocolError,
)
from telcoflow_proto.frames import BINARY, CLOSE, MEDIUM, PING, PONG, TEXT, frame_head, mask, read_header
from telcoflow_proto.handshake import Headers, UpgradeRequested
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.link_table import LINK_TABLE, LinkState, LinkWord
from telcoflow_proto.machine import Machine
from telcoflow_proto.roles import Role
from telcoflow_proto.timers import Timers

if TYPE_CHECKING:
    from telcoflow_proto.upgrade import ServerHandshake


@final
@attrs.frozen(kw_only=True)
class Heartbeat:
    """When to ask for a sign of life, and how long to wait for one. Seconds; any received byte is a sign."""

    every: float
    within: float


_RESERVED_CODES = frozenset({1004, 1006, 1015})  # RFC 6455 §7.4.1


def _check_code(_close: object, _attribute: object, code: int) -> None:
    if not 1000 <= code < 5000 or code in _RESERVED_CODES:
        raise LocalProtocolError(f"{code} is not a close code that may be sent")


@final
@attrs.frozen(kw_only=True)
class Close:
    """A close: the last thing one end says. ``code`` is an RFC 6455 §7.4 status code, 1005 for none at all.

    Raises LocalProtocolError for a code that must not be on the wire.
    """

    code: int = attrs.field(default=1000, validator=_check_code)
    reason: str = ""


@final
@attrs.frozen
class LinkOpened:
    """The upgrade succeeded; messages may flow."""


@final
@attrs.frozen(kw_only=True)
class LinkLost:
    """The link is over. Always the last event, always exactly one.

    ``code`` and ``reason`` are the peer's close (1005 if it gave none), or 1006 if there was no close.
    ``error`` is None when it ended as the protocol wants it.
    """

    code: int
    reason: str
    error: ProtocolError | None


LinkEvent = LinkOpened | UpgradeRequested | str | bytes | LinkLost


@final
class _Timer(enum.Enum):
    HANDSHAKE = "the WebSocket upgrade"
    CLOSE = "the close of the connection"


_OPENING_WITHIN = {Role.CLIENT: 10.0, Role.SERVER: 5.0}
_CLOSING_WITHIN = 2.0
_ABNORMAL = 1006
_MASK_BIT, _CONTROL_BIT = 0x80, 0x08
_TEXT_HEAD = 0x80 | TEXT
_DATA_HEADS = (0x80 | BINARY, _TEXT_HEAD)
_NO_STATUS, _REASON_BYTES = 1005, 123


@final
class WebSocketLink:
    """One WebSocket connection over any byte stream, from either end. See the module for how it works.

    Drive it like every machine: ``start`` once the stream is connected, then ``receive_data`` /
    ``receive_eof`` for what arrives, ``handle_timeout`` when ``next_deadline`` has passed, and after each of
    them write ``data_to_send()`` and read ``events()``. When ``closed`` is true, close the stream.
    """

    def __init__(
        self,
        role: Role,
        *,
        entropy: Entropy,
        host: str = "",
        target: str = "/",
        headers: Headers = (),
        heartbeat: Heartbeat | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        # h11 and wsproto take longer to import than all of this package: a program that only asks for a name, or
        # builds its configuration, need not wait for them.
        from telcoflow_proto.rare_frames import RareFrames  # noqa: PLC0415
        from telcoflow_proto.upgrade import ClientHandshake, ServerHandshake  # noqa: PLC0415

        self.role = role
        self._limits = limits
        self._chance = Chance(entropy)
        self._heartbeat = heartbeat
        self._machine = Machine(LINK_TABLE, role)
        self._timers: Timers[_Timer] = Timers()
        self._heard_at = 0.0
        self._asked_at: float | None = None
        self._out: list[bytes] = []
        self.happened: deque[LinkEvent] = deque()
        """What ``events`` takes from, oldest first."""
        self._client = (
            ClientHandshake(host=host, target=target, headers=headers, chance=self._chance, limits=limits)
            if role is Role.CLIENT
            else None
        )
        self._server = ServerHandshake(limits=limits) if role is Role.SERVER else None
        self._rare = RareFrames(role)
        self._head = b""
        self._payload_left = 0
        self._parts: list[str | bytes] = []
        self._message_bytes = 0
        self._fragments = 0
        self._control_since = 0.0
        self._control_count = 0
        self._pong: bytes | None = None
        self._their_close: Close | None = None

    # ------------------------------------------------------------------ life

    @property
    def state(self) -> LinkState:
        """Where the life of the link stands."""
        return self._machine.state

    @property
    def started(self) -> bool:
        """True once ``start`` was called, or the link was over before that."""
        return self._machine.state is not LinkState.IDLE or self._timers.armed(_Timer.HANDSHAKE)

    @property
    def closed(self) -> bool:
        """True once the link is over and the stream should be closed after what is left to write."""
        return self._machine.state is LinkState.CLOSED

    def start(self, *, now: float) -> None:
        """Begin once the byte stream is connected. The client asks for the upgrade; both wait for it."""
        if self._client is not None:
            self._machine.say(LinkWord.REQUEST)
            self._out.append(self._client.request)
        elif self.started:
            raise LocalProtocolError("the link was started already, or is over")
        self._timers.arm(_Timer.HANDSHAKE, now + _OPENING_WITHIN[self.role])

    def accept(self, *, now: float, headers: Headers = ()) -> None:
        """Server: accept the upgrade. Raises LocalProtocolError unless one was requested and not answered."""
        self._machine.check(LinkWord.ACCEPT)
        response, glued = self._server_handshake().accept(headers)
        self._machine.say(LinkWord.ACCEPT)
        self._out.append(response)
        self._opened(now)
        self.receive_data(glued, now=now)

    def reject(self, *, status: int, detail: str = "") -> None:
        """Server: refuse the upgrade with an HTTP status and a plain text a person may read."""
        self._machine.say(LinkWord.REJECT)
        self._out.append(self._server_handshake().refusal(status=status, detail=detail))
        self._lost(None)

    def drop(self) -> None:
        """End at once, without a close handshake. Repeated calls are harmless."""
        if not self.closed:
            self._machine.say(LinkWord.END)
            self._lost(None)

    # ------------------------------------------------------------------ saying

    def send(self, message: str | bytes | Close, *, now: float) -> None:
        """Say a message, or close. Raises LocalProtocolError when the link is not open."""
        if isinstance(message, bytes):
            self._machine.say(LinkWord.MESSAGE)
            self._say(BINARY, message)
        elif isinstance(message, str):
            self._machine.say(LinkWord.MESSAGE)
            self._say(TEXT, message.encode())
        else:
            self._machine.check(LinkWord.CLOSE)
            self._say_pong()
            self._machine.say(LinkWord.CLOSE)
            self._say_close(message)
            self._timers.clear()
            self._timers.arm(_Timer.CLOSE, now + _CLOSING_WITHIN)

    def data_to_send(self) -> bytes:
        """Take the bytes to write now; b"" if there are none."""
        if self._pong is not None:
            self._say_pong()
        data = b"".join(self._out)
        self._out.clear()
        return data

    # ------------------------------------------------------------------ hearing

    def events(self) -> Iterator[LinkEvent]:
        """Take what happened, in order. Text messages are ``str``, binary ones ``bytes``."""
        while self.happened:
            yield self.happened.popleft()

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, in pieces of any size. Never raises for what the peer did."""
        state = self._machine.state
        if state is LinkState.CLOSED or not data:
            return
        try:
            if state is LinkState.OPEN:
                self._heard_at, self._asked_at = now, None
                at = 0 if self._payload_left or self._head else self._take_whole(data, 0)
                if at < len(data):
                    self._receive_frames(data[at:] if at else data, now)
            elif state in (LinkState.IDLE, LinkState.OPENING):
                self._receive_head(data, now)
            else:
                self._receive_frames(data, now)
        except RemoteProtocolError as fault:
            self._fail(fault)

    def receive_eof(self, *, now: float) -> None:
        """The peer will send nothing more, or the stream broke. Repeated calls are harmless."""
        if self.closed:
            return
        fault = None
        if self.state in (LinkState.IDLE, LinkState.OPENING):
            try:
                (self._client or self._server_handshake()).receive(b"")
            except RemoteProtocolError as reason:
                fault = reason
        elif self.state is LinkState.OPEN:
            fault = RemoteProtocolError("the connection ended without a close", close_code=_ABNORMAL)
        self._machine.hear(LinkWord.END)
        self._lost(fault)

    # ------------------------------------------------------------------ time

    def next_deadline(self) -> float | None:
        """Return when ``handle_timeout`` must be called next, in monotonic seconds, or None."""
        if self._machine.state is not LinkState.OPEN:
            return self._timers.next_deadline()
        if self._heartbeat is None:
            return None
        if self._asked_at is None:
            return self._heard_at + self._heartbeat.every
        return self._asked_at + self._heartbeat.within

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due at ``now``. Early, late and repeated calls are harmless."""
        if self._machine.state is LinkState.OPEN:
            deadline = self.next_deadline()
            if deadline is None or now < deadline:
                return
            if self._asked_at is None:
                self._machine.say(LinkWord.PING)
                self._say(PING, self._chance.draw(4))
                self._asked_at = now
            else:
                self._give_up(_silence("a sign of life"))
        else:
            for timer in self._timers.pop_due(now):
                self._time_out(timer)

    def _time_out(self, timer: _Timer) -> None:
        silent = _silence(timer.value)
        if timer is _Timer.HANDSHAKE and self._client is not None:
            silent = self._client.refusal or silent  # its head came, its body never ended
        elif timer is _Timer.HANDSHAKE and self.state is LinkState.OPENING:
            # Our own application did not decide in time; the client deserves an answer.
            self._out.append(self._server_handshake().refusal(status=503, detail="not answered in time"))
        self._give_up(silent)

    def _give_up(self, error: ProtocolError) -> None:
        self._machine.say(LinkWord.END)
        self._lost(error)

    # ------------------------------------------------------------------ inside: handshake

    def _receive_head(self, data: bytes, now: float) -> None:
        if self._client is not None:
            glued = self._client.receive(data)
            if glued is not None:
                self._machine.hear(LinkWord.ACCEPT)
                self._opened(now)
                self._receive_frames(glued, now)
            return
        handshake = self._server_handshake()
        try:
            request = handshake.receive(data)
        except RemoteProtocolError as fault:
            status = 431 if isinstance(fault, LimitExceeded) else 400
            self._out.append(handshake.refusal(status=status, detail=str(fault)))
            raise
        if request is not None:
            self._machine.hear(LinkWord.REQUEST)
            self.happened.append(request)

    def _server_handshake(self) -> "ServerHandshake":
        assert self._server is not None  # noqa: S101 - a link has the handshake of its role
        return self._server

    def _opened(self, now: float) -> None:
        self._timers.disarm(_Timer.HANDSHAKE)
        self.happened.append(LinkOpened())
        self._heard_at = now

    # ------------------------------------------------------------------ inside: frames in

    def _receive_frames(self, data: bytes, now: float) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        at, end = 0, len(data)
        while at < end and self._their_close is None:
            if self._payload_left:
                taken = min(self._payload_left, end - at)
                self._payload_left -= taken
                self._feed(data[at : at + taken])
                at += taken
                continue
            at = self._take_whole(data, at)
            if at == end:
                return
            header = read_header(data, at)
            if header is None:
                self._head = data[at:]
                return
            size, length = header
            self._payload_left = length
            self._check_bounds(data[at], length, now)  # first: an empty frame is over once wsproto has its header
            self._feed(data[at : at + size])
            at += size

    def _take_whole(self, data: bytes, at: int) -> int:
        """Take whole, unfragmented data frames while they keep every rule; return where the first other byte is."""
        if self._fragments:
            return at
        mask_bit = _MASK_BIT if self._server is not None else 0
        end, most, hear = len(data), self._limits.message_bytes, self._machine.hear
        while at + 1 < end:
            first, length = data[at], data[at + 1] - mask_bit
            begin = at + 2
            if length == MEDIUM:
                begin += 2
                length = int.from_bytes(data[at + 2 : begin], "big")
                if length < MEDIUM:
                    return at
            elif not 0 <= length < MEDIUM:
                return at  # a long frame, or a mask where none belongs, or none where one does
            if mask_bit:
                begin += 4
            after = begin + length
            if after > end or first not in _DATA_HEADS or length > most:
                return at
            payload = data[begin:after]
            if mask_bit:
                payload = mask(payload, data[begin - 4 : begin])
            message: str | bytes = payload
            if first == _TEXT_HEAD:
                try:
                    message = payload.decode()
                except UnicodeDecodeError:
                    return at
            row = hear(LinkWord.MESSAGE)
            if row is not None and not row.crossing:
                self.happened.append(message)
            at = after
        return at

    def _check_bounds(self, first: int, length: int, now: float) -> None:
        """Count what this frame will cost, as soon as its header is known."""
        if first & _CONTROL_BIT:
            if now - self._control_since >= 1.0:
                self._control_since, self._control_count = now, 0
            self._control_count += 1
            if self._control_count > self._limits.control_frames_per_second:
                raise LimitExceeded("too many control frames in a second", close_code=1008)
            return
        if length >> 63:
            return  # no length at all (RFC 6455 §5.2), as wsproto will say
        self._fragments += 1
        self._message_bytes += length
        if self._fragments > self._limits.message_fragments:
            raise LimitExceeded(f"a message has more than {self._limits.message_fragments} fragments", close_code=1008)
        if self._message_bytes > self._limits.message_bytes:
            raise LimitExceeded(f"a message is longer than {self._limits.message_bytes} bytes", close_code=1009)

    def _feed(self, piece: bytes) -> None:
        for frame in self._rare.feed(piece):
            payload = frame.payload
            if frame.opcode == PING and isinstance(payload, bytes):
                self._machine.hear(LinkWord.PING)
                if self.state is LinkState.OPEN:
                    self._pong = payload
            elif frame.opcode == PONG:
                self._machine.hear(LinkWord.PONG)
            elif isinstance(payload, tuple):
                self._hear_close(Close(code=int(payload[0]), reason=payload[1]))
            else:
                self._parts.append(payload)
                if frame.message_finished:
                    self._finish_message()

    def _finish_message(self) -> None:
        texts = [part for part in self._parts if isinstance(part, str)]
        blobs = [part for part in self._parts if isinstance(part, bytes)]
        self._parts.clear()
        self._fragments = self._message_bytes = 0
        row = self._machine.hear(LinkWord.MESSAGE)
        if row is not None and not row.crossing:
            self.happened.append("".join(texts) if texts else b"".join(blobs))

    def _hear_close(self, close: Close) -> None:
        self._their_close = close
        self._machine.hear(LinkWord.CLOSE)
        if not self.closed:
            self._machine.say(LinkWord.CLOSE)
            self._say_close(close)
        self._lost(None)

    # ------------------------------------------------------------------ inside: frames out, and the end

    def _say_pong(self) -> None:
        if self._pong is not None:
            self._machine.say(LinkWord.PONG)
            self._say(PONG, self._pong)
            self._pong = None

    def _say_close(self, close: Close) -> None:
        payload = b""
        if close.code != _NO_STATUS:
            reason = close.reason.encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore").encode()
            payload = struct.pack("!H", close.code) + reason
        self._say(CLOSE, payload)

    def _say(self, opcode: int, payload: bytes) -> None:
        if self._client is not None:
            key = self._chance.draw(4)
            self._out += (frame_head(opcode, len(payload), masked=True), key, mask(payload, key))
        else:
            self._out += (frame_head(opcode, len(payload), masked=False), payload)

    def _fail(self, fault: RemoteProtocolError) -> None:
        if self.state is LinkState.OPEN:
            self._say_close(Close(code=fault.close_code, reason=str(fault)))
        self._machine.say(LinkWord.END)
        self._lost(fault)

    def _lost(self, error: ProtocolError | None) -> None:
        self._timers.clear()
        self._pong = None
        self._parts.clear()
        close = self._their_close
        code, reason = (close.code, close.reason) if close is not None else (_ABNORMAL, "")
        self.happened.append(LinkLost(code=code, reason=reason, error=error))


def _silence(missing: str) -> ProtocolError:
    return PeerSilent(f"the peer was silent: {missing} did not come in time")
