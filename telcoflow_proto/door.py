"""The two doors into the core: whole messages, or bytes.

``MessageDoor`` is what every protocol object has in common: messages in, events out, messages out, and
deadlines. ``ByteDoor`` puts a WebSocket link in front of it and adds no rule.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar, final

import attrs

from telcoflow_proto.chance import Chance, Entropy
from telcoflow_proto.errors import (
    LimitExceeded,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    TransportFailed,
)
from telcoflow_proto.handshake import Headers, UpgradeRequested
from telcoflow_proto.limits import Limits
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Close, LinkLost, LinkOpened, WebSocketLink

Message = str | bytes | Close
"""A WebSocket message: text, binary, or the close that ends the connection."""


@final
@attrs.frozen
class ConnectionOpened:
    """The connection is up; what was said before is on its way."""


@final
@attrs.frozen(kw_only=True)
class ConnectionLost:
    """The connection is over: always the last event, and always exactly one.

    ``code`` is the peer's WebSocket close code, 1006 where there was none. ``error`` is None when the
    connection ended in order, or when whoever told of the end knew no reason.
    """

    code: int
    reason: str
    error: ProtocolError | None


@final
@attrs.frozen
class FrameDropped:
    """A message from the peer broke a rule and was dropped; the connection goes on."""

    error: RemoteProtocolError


DoorEvent = ConnectionOpened | ConnectionLost | FrameDropped | UpgradeRequested
Event = TypeVar("Event")

_MINUTE = 60.0


@final
class _BadFrames:
    """How many messages of the peer were dropped, and how many more may be within the minute."""

    def __init__(self) -> None:
        self.count = 0
        self._since = -_MINUTE
        self._budget = 0

    def too_many(self, most: int, *, now: float) -> bool:
        """Count one; True if there were more than ``most`` in a minute."""
        self.count += 1
        if now - self._since >= _MINUTE:
            self._since, self._budget = now, most
        self._budget -= 1
        return self._budget < 0


class MessageDoor(ABC, Generic[Event]):
    """A protocol for who already has WebSocket messages (ASGI, another WebSocket library, a browser).

    Call ``start`` when messages can flow, then ``receive_message`` / ``receive_close`` for what arrives and
    ``handle_timeout`` when ``next_deadline`` has passed; after each of them, and after each verb, send
    ``messages_to_send()`` and read ``events()``.
    """

    def __init__(self, role: Role, *, entropy: Entropy, limits: Limits) -> None:
        self.role = role
        self._limits = limits
        self._chance = Chance(entropy)
        self.happened: deque[Event | DoorEvent] = deque()
        """What ``events`` takes from, oldest first."""
        self._out: list[Message] = []
        self._now = 0.0
        self._opened = False
        self._closing = False
        self._lost = False
        self._fault: ProtocolError | None = None
        self._bad = _BadFrames()

    # ------------------------------------------------------------------ for the driver

    @property
    def started(self) -> bool:
        """True once the connection has been opened, or was lost before that."""
        return self._opened or self._lost

    @property
    def lost(self) -> bool:
        """True once the connection is over; ``ConnectionLost`` was the last event."""
        return self._lost

    @property
    def bad_frames(self) -> int:
        """How many messages of the peer had to be dropped."""
        return self._bad.count

    def start(self, *, now: float) -> None:
        """Messages can flow from now on (monotonic seconds). Raises LocalProtocolError if they could already."""
        if self._opened or self._lost:
            raise LocalProtocolError("the connection was started already, or is over")
        self._now = now
        self._opened = True
        self.happened.append(ConnectionOpened())
        self._on_open(now)

    def receive_message(self, message: str | bytes, *, now: float) -> None:
        """Take one whole message from the peer. Never raises for what the peer did."""
        self._now = now
        if self._lost or self._closing:
            return
        try:
            if isinstance(message, str):
                self._on_text(message, now)
            else:
                self._on_binary(message, now)
        except RemoteProtocolError as fault:
            self._drop_frame(fault, now)

    def receive_close(
        self, *, code: int = 1006, reason: str = "", error: ProtocolError | None = None, now: float
    ) -> None:
        """The connection is over, for whatever reason. Repeated calls are harmless."""
        self._now = now
        if self._lost:
            return
        self._lost = True
        self._out.clear()
        self._on_lost(now)
        self.happened.append(ConnectionLost(code=code, reason=reason, error=error or self._fault))

    def events(self) -> Iterator[Event | DoorEvent]:
        """Take what happened, in order."""
        while self.happened:
            yield self.happened.popleft()

    def messages_to_send(self, *, now: float | None = None) -> list[Message]:
        """Take the messages to send at ``now`` (the time last heard of, if None). A ``Close`` is the last."""
        if not self._opened or self._lost:
            return []
        self._now = self._now if now is None else now
        messages = self._out
        self._out = []
        if not self._closing:
            messages += self._more_to_send(self._now)
        return messages

    def next_deadline(self) -> float | None:
        """Return when ``handle_timeout`` must be called next, in monotonic seconds, or None. Legal always."""
        return None if self._lost else self._deadline()

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due at ``now``. Early, late and repeated calls are harmless."""
        self._now = now
        if not self._lost:
            self._on_timeout(now)

    def close_connection(self, *, code: int = 1000, reason: str = "", now: float) -> None:
        """Say nothing more and close the connection: in order where it is open, at once where it is not yet.

        Repeated calls are harmless. Raises LocalProtocolError for a ``code`` that nobody may send.
        """
        self._now = now
        if self._lost or self._closing:
            return
        self._out.append(Close(code=code, reason=reason))
        self._closing = True
        if not self._opened:
            self.receive_close(now=now)

    # ------------------------------------------------------------------ for the protocol

    def _say(self, text: str) -> None:
        if not self._closing and not self._lost:  # nothing follows a close
            self._out.append(text)

    def _drop_frame(self, fault: RemoteProtocolError, now: float) -> None:
        self.happened.append(FrameDropped(fault))
        if self._bad.too_many(self._limits.bad_frames_per_minute, now=now):
            self._on_too_many_bad_frames(now)

    def _on_too_many_bad_frames(self, now: float) -> None:
        """Stop listening to a peer that cannot speak; media overrides this, a call is worth more."""
        self._fault = LimitExceeded("too many bad frames in a minute", close_code=1008)
        self.close_connection(code=1008, reason="too many bad frames", now=now)

    def _more_to_send(self, now: float) -> list[Message]:
        return []

    @abstractmethod
    def _on_open(self, now: float) -> None: ...

    @abstractmethod
    def _on_text(self, text: str, now: float) -> None: ...

    @abstractmethod
    def _on_binary(self, data: bytes, now: float) -> None: ...

    @abstractmethod
    def _on_lost(self, now: float) -> None: ...

    @abstractmethod
    def _deadline(self) -> float | None: ...

    @abstractmethod
    def _on_timeout(self, now: float) -> None: ...


class ByteDoor(MessageDoor[Event]):
    """The same protocol for who has a byte stream: it speaks WebSocket itself.

    Call ``start`` when the stream is connected, then ``receive_data`` / ``receive_eof`` for what arrives,
    ``handle_timeout`` when ``next_deadline`` has passed; after each of them, and after each verb, write
    ``data_to_send()`` and read ``events()``. When ``closed`` is true, write what is left and close the stream.
    """

    _link: WebSocketLink

    @property
    def started(self) -> bool:
        """True once ``start`` was called, or the connection was lost before that."""
        return self._link.started

    @property
    def closed(self) -> bool:
        """True when the byte stream should be closed, after writing ``data_to_send()`` once more."""
        return self._lost

    def start(self, *, now: float) -> None:
        """The byte stream is connected (monotonic seconds); the WebSocket upgrade begins."""
        self._now = now
        self._link.start(now=now)

    def accept(self, *, headers: Headers = (), now: float) -> None:
        """Server: accept the upgrade that ``UpgradeRequested`` announced."""
        self._link.accept(now=now, headers=headers)
        self._pump(now)

    def reject(self, *, status: int, detail: str = "", now: float) -> None:
        """Server: refuse the upgrade with an HTTP status and a plain text for a person."""
        self._link.reject(status=status, detail=detail)
        self._pump(now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, in pieces of any size. Never raises for what the peer did."""
        self._link.receive_data(data, now=now)
        self._pump(now)

    def receive_eof(self, *, now: float) -> None:
        """The peer will send nothing more. Repeated calls are harmless."""
        self._link.receive_eof(now=now)
        self._pump(now)

    def fail_transport(self, detail: str, *, now: float) -> None:
        """The byte stream could not be opened, or broke; ``detail`` is what the system said."""
        self._link.drop()
        self.receive_close(error=TransportFailed(detail), now=now)

    def data_to_send(self, *, now: float | None = None) -> bytes:
        """Take the bytes to write at ``now`` (the time last heard of, if None); b"" if there are none."""
        link = self._link
        for message in self.messages_to_send(now=now):
            link.send(message, now=self._now)
        return link.data_to_send()

    def next_deadline(self) -> float | None:
        """Return when ``handle_timeout`` must be called next, in monotonic seconds, or None. Legal always."""
        link = self._link.next_deadline()
        own = None if self._lost else self._deadline()
        return link if own is None or (link is not None and link < own) else own

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due at ``now``. Early, late and repeated calls are harmless."""
        self._link.handle_timeout(now=now)
        self._pump(now)
        super().handle_timeout(now=now)

    def receive_close(
        self, *, code: int = 1006, reason: str = "", error: ProtocolError | None = None, now: float
    ) -> None:
        """The connection is over, for whatever reason. Repeated calls are harmless."""
        self._link.drop()
        super().receive_close(code=code, reason=reason, error=error, now=now)

    def _pump(self, now: float) -> None:
        self._now = now
        happened = self._link.happened
        while happened:
            event = happened.popleft()
            if isinstance(event, bytes | str):
                self.receive_message(event, now=now)
            elif isinstance(event, LinkOpened):
                super().start(now=now)
            elif isinstance(event, LinkLost):
                self.receive_close(code=event.code, reason=event.reason, error=event.error, now=now)
            else:
                self.happened.append(event)
