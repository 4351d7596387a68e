"""One connection after the other, as one byte door: what every client does about connections it loses.

In: bytes of whichever transport is open, and time. Out: bytes for it, and ``TransportWanted`` when there must be
a new one. The wait before the next attempt is just another deadline. What the connections carry is the
subclass's business.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from telcoflow_proto.attempt import Attempt
from telcoflow_proto.backoff import Backoff
from telcoflow_proto.chance import Chance, Entropy
from telcoflow_proto.client_table import ClientState, ClientWord, LossVerdict, describe
from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.handshake import printable
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.machine import Machine, Table
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.roles import Role
from telcoflow_proto.timers import earliest


class _Connection(Protocol):
    """What a connection must offer to be one of many: a byte door that knows where it goes."""

    url: WsUrl

    @property
    def closed(self) -> bool: ...
    @property
    def bad_frames(self) -> int: ...
    def start(self, *, now: float) -> None: ...
    def receive_data(self, data: bytes, *, now: float) -> None: ...
    def receive_eof(self, *, now: float) -> None: ...
    def fail_transport(self, detail: str, *, now: float) -> None: ...
    def data_to_send(self, *, now: float | None = None) -> bytes: ...
    def next_deadline(self) -> float | None: ...
    def handle_timeout(self, *, now: float) -> None: ...
    def close_connection(self, *, code: int = 1000, reason: str = "", now: float) -> None: ...


ConnT = TypeVar("ConnT", bound=_Connection)
Told = TypeVar("Told")


class Reconnecting(ABC, Generic[ConnT, Told]):
    """A client's connections over its whole life. Never raises for what the service or the network did.

    Call ``connect``, then obey ``TransportWanted`` and drive it like a byte door.
    """

    def __init__(self, table: Table[ClientState, ClientWord], *, entropy: Entropy, backoff: Backoff | None) -> None:
        self._entropy = entropy
        self._chance = Chance(entropy)
        self._backoff = backoff or Backoff()
        self._machine = Machine(table, Role.CLIENT)
        self._control: ConnT | None = None
        self._parting: ConnT | None = None  # may have a close left to write
        self.happened: deque[Told | TransportWanted | ClientReady | ClientLost] = deque()
        self._closing = False
        self._told_end = False
        self._retry_at: float | None = None
        self._ready_at: float | None = None
        self._attempt = 0
        self.was_ready = False
        self._connections = self._bad_frames_before = 0

    # ------------------------------------------------------------------ life

    @property
    def state(self) -> ClientState:
        """Where the client stands."""
        return self._machine.state

    @property
    def control(self) -> ConnT | None:
        """The connection of the moment; None before the first and between two."""
        return self._control

    @property
    def closed(self) -> bool:
        """True when the byte stream of the moment should be closed; there may be another one later."""
        return self._control is None or self._control.closed

    @property
    def finished(self) -> bool:
        """True once there will be no further connection."""
        return self._machine.state is ClientState.CLOSED

    def connect(self, *, now: float) -> None:
        """Begin. Raises LocalProtocolError when it has begun already."""
        self._machine.say(ClientWord.CONNECT)
        self._next_connection()

    def close(self, *, now: float) -> None:
        """End: close the connection in order, and never reconnect. Repeated calls are harmless."""
        self._machine.say(ClientWord.CLOSE)
        self._closing = True
        self._retry_at = None
        if self._control is not None:
            self._control.close_connection(now=now)
            self._collect(now)
        elif not self._told_end:
            self._told_end = True
            end = ConnectionLost(code=1000, reason="", error=None)
            self.happened.append(self._loss(end, LossVerdict(), retry_in=None))

    # ------------------------------------------------------------------ the byte door of the moment

    def start(self, *, now: float) -> None:
        """The stream that ``TransportWanted`` asked for is connected."""
        if self._control is not None:
            self._control.start(now=now)

    def fail_transport(self, detail: str, *, now: float) -> None:
        """The stream could not be opened, or broke; ``detail`` is what the system said."""
        if self._control is not None:
            self._control.fail_transport(detail, now=now)
            self._collect(now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the stream of the moment."""
        if self._control is not None:
            self._control.receive_data(data, now=now)
            self._collect(now)

    def receive_eof(self, *, now: float) -> None:
        """The stream of the moment has ended."""
        if self._control is not None:
            self._control.receive_eof(now=now)
            self._collect(now)

    def data_to_send(self, *, now: float | None = None) -> bytes:
        """Take the bytes to write to the stream of the moment; b"" if there are none."""
        speaking = self._control or self._parting
        return b"" if speaking is None else speaking.data_to_send(now=now)

    def events(self) -> Iterator[Told | TransportWanted | ClientReady | ClientLost]:
        """Take what happened, in order."""
        while self.happened:
            yield self.happened.popleft()

    def next_deadline(self) -> float | None:
        """Return when ``handle_timeout`` must be called next, in monotonic seconds, or None."""
        control = None if self._control is None else self._control.next_deadline()
        return earliest(self._retry_at, control)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due at ``now``. Early, late and repeated calls are harmless."""
        if self._control is not None:
            self._control.handle_timeout(now=now)
            self._collect(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._machine.say(ClientWord.CONNECT)
            self._next_connection()

    # ------------------------------------------------------------------ for the subclass

    @property
    def _bad_frames(self) -> int:
        """How many frames were dropped over all connections."""
        return self._bad_frames_before + (0 if self._control is None else self._control.bad_frames)

    def _became_ready(self, now: float) -> None:
        """The connection of the moment can be used."""
        self._machine.hear(ClientWord.READY)  # never while closing: a door that closes hears nothing
        self._ready_at = now
        self.was_ready = True
        self.happened.append(ClientReady(attempt=self._attempt))

    def _lost_connection(self, lost: ConnectionLost, now: float) -> None:
        """The connection of the moment is gone: decide whether and when there is another one."""
        self._bad_frames_before = self._bad_frames
        self._parting, self._control = self._control, None
        if self._ready_at is not None and now - self._ready_at >= self._backoff.healthy_after:
            self._attempt = 0
        self._ready_at = None
        verdict = self._judge(lost)
        self._machine.hear(ClientWord.REFUSED if verdict.stop else ClientWord.LOST)
        retry_in = None
        if self._machine.state is ClientState.WAITING:
            self._attempt += 1
            delay = self._backoff.delay(self._attempt, fraction=self._chance.fraction())
            retry_in = max(delay, verdict.wait_at_least)
            self._retry_at = now + retry_in
        self._told_end = self.finished
        self.happened.append(self._loss(lost, verdict, retry_in=retry_in))

    def _collect(self, now: float) -> None:
        """Turn what the connection reports into decisions."""
        while self._control is not None and self._decide(self._control, now):
            pass

    @abstractmethod
    def _new_connection(self) -> ConnT:
        """Return the next connection, not started yet."""

    @abstractmethod
    def _decide(self, control: ConnT, now: float) -> bool:
        """Decide about the events of the connection of the moment; False if it had none."""

    @abstractmethod
    def _judge(self, lost: ConnectionLost) -> LossVerdict:
        """Decide what the loss of a connection means."""

    # ------------------------------------------------------------------ inside

    def _next_connection(self) -> None:
        self._connections += 1
        self._control = self._new_connection()
        self.happened.append(TransportWanted(url=self._control.url, attempt=Attempt(self, self._control)))

    def _loss(self, lost: ConnectionLost, verdict: LossVerdict, *, retry_in: float | None) -> ClientLost:
        return ClientLost(
            code=lost.code,
            reason=printable(describe(lost)),
            error=lost.error,
            credentials_refused=verdict.credentials_refused,
            wanted=self._closing,
            attempt=self._attempt,
            retry_in=retry_in,
        )
