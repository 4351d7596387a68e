"""What a lane does with a non-blocking socket it was given: one receive, one pass through the machine, one send.

A stream costs a task or two per socket, and a wait for every chunk. Here somebody else waits for all sockets of a
client at once, and calls those that are ready.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, final

from telcoflow_proto.driving import CLOSE_WITHIN, Door, Lane
from telcoflow_proto.surface import Bell

READ, WRITE = 1, 2
"""What a socket is watched for; both may be added."""

_CHUNK = 65536


class Socket(Protocol):
    """What of a connected, non-blocking socket is used. ``recv`` and ``send`` raise BlockingIOError, or OSError."""

    def fileno(self) -> int:
        """Return its file descriptor."""
        ...

    def recv(self, size: int, /) -> bytes:
        """Take what has arrived; b"" when nothing more will."""
        ...

    def send(self, data: bytes, /) -> int:
        """Hand over as much as the system takes, and return how much that was."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Tls(Protocol):
    """TLS between the socket's bytes and the machine's. Every method may raise OSError."""

    ended: bool

    def encrypt(self, data: bytes) -> bytes:
        """Return the bytes for the socket that carry ``data``."""
        ...

    def decrypt(self, received: bytes) -> Iterator[bytes]:
        """Yield what came with bytes of the socket."""
        ...

    def pending(self) -> bytes:
        """Take the bytes for the socket that no data has asked for."""
        ...


class Poller(Protocol):
    """Who waits for the sockets of a client. Times are monotonic seconds."""

    @property
    def clock(self) -> Callable[[], float]:
        """What tells the time."""
        ...

    @property
    def new_bell(self) -> Callable[[], Bell]:
        """What makes a one-shot event."""
        ...

    @property
    def time_limit(self) -> Callable[[float], AbstractContextManager[object]]:
        """What makes a scope that stops its body after that many seconds."""
        ...

    def watch(self, lane: "SocketLane", sock: Socket, events: int, before: int) -> None:
        """Call ``lane.ready`` when its socket is; ``before`` is what it was watched for until now. 0 is for nothing.

        Raises OSError when it cannot be watched.
        """
        ...

    def write_soon(self, lane: "SocketLane") -> None:
        """Call ``lane.write`` once everybody had a turn who was woken in this one."""
        ...


@final
class SocketLane(Lane):
    """One connected, non-blocking socket, with TLS or without."""

    def __init__(self, sock: Socket, tls: Tls | None, poller: Poller) -> None:
        self._sock = sock
        self._tls = tls
        self._poller = poller
        self._door: Door | None = None
        self._report: Callable[[], None]
        self._look: Callable[[], None]
        self._left = b""
        self._watched = 0
        self._due = False
        self._over, self._written = poller.new_bell(), poller.new_bell()

    async def carry(self, door: Door, report: Callable[[], None], look: Callable[[], None]) -> None:
        """Carry from the start to the end of the connection, and close the socket, also when it is stuck."""
        try:
            if door.closed:
                return  # it ended while the socket was being connected
            self._door, self._report, self._look = door, report, look
            now = self._poller.clock()
            door.start(now=now)
            self._due = True  # it is written below: what is heard before that need not ask for it
            if self._tls is not None:
                self._hear(door, self._tls, b"", now)  # what came glued behind the handshake
            self.write(now)
            await self._over.wait()
            with self._poller.time_limit(CLOSE_WITHIN):
                await self._written.wait()
        finally:
            self._watch(0)
            self._sock.close()
            if self._door is not None:
                self._door = None  # the poller may remember this socket until the next one is ready
                del self._report, self._look

    def wake(self) -> None:
        """Look once everybody had a turn."""
        if self._door is not None and not self._due:
            self._due = True
            self._poller.write_soon(self)

    # ------------------------------------------------------------------ what the poller calls

    def ready(self, now: float) -> None:
        """Read what there is, and write what could not be written before. Harmless when nothing can be done."""
        door = self._door
        if door is None:
            return
        data = b""
        if self._watched & READ:
            try:
                data = self._sock.recv(_CHUNK)
            except BlockingIOError:
                pass
            except OSError as error:
                self._break(door, error, now)
            else:
                if not data:
                    door.receive_eof(now=now)
                elif self._tls is None:
                    door.receive_data(data, now=now)
                else:
                    self._hear(door, self._tls, data, now)
            report = self._report
            report()
        if self._left or not data:
            self.write(now)
        elif not self._due:
            self._due = True
            self._poller.write_soon(self)

    def write(self, now: float) -> None:
        """Write what is due, as far as the system takes it."""
        self._due = False
        door = self._door
        if door is None:
            return
        try:
            data = self._left
            if not data:
                data = door.data_to_send(now=now)
                if self._tls is not None:
                    data = self._tls.encrypt(data) if data else self._tls.pending()
                self._left = data
            if data:
                self._left = data[self._sock.send(data) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self._break(door, error, now)
        report, look = self._report, self._look
        report()
        look()
        events = READ | WRITE if self._left else READ
        if door.closed:
            events &= WRITE
            self._over.set()
            if not self._left:
                self._written.set()
        try:
            self._watch(events)
        except OSError as error:  # there is no file descriptor left, or no room to watch one more
            self._break(door, error, now)
            report()
            self._over.set()
            self._written.set()

    # ------------------------------------------------------------------ inside

    def _hear(self, door: Door, tls: Tls, data: bytes, now: float) -> None:
        try:
            for piece in tls.decrypt(data):
                door.receive_data(piece, now=now)
        except OSError as error:
            self._break(door, error, now)
        if tls.ended:
            door.receive_eof(now=now)

    def _break(self, door: Door, error: OSError, now: float) -> None:
        self._left = b""
        door.fail_transport(f"the connection broke: {error}", now=now)

    def _watch(self, events: int) -> None:
        if events != self._watched:
            self._poller.watch(self, self._sock, events, self._watched)
            self._watched = events
