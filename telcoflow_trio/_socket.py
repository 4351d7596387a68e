"""One socket of trio's, polled: bytes to its machine and back."""

import selectors
import socket
import ssl
from collections.abc import Callable
from typing import final

import trio

from telcoflow_proto.driving import CLOSE_WITHIN, Door, Lane
from telcoflow_trio._poller import Poller, Turn
from telcoflow_trio._tls import Tls

_CHUNK = 65536
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@final
class PolledSocket(Lane):
    """One connected, non-blocking socket, with TLS or without."""

    def __init__(self, sock: socket.socket, tls: Tls | None, poller: Poller) -> None:
        self._sock = sock
        self._tls = tls
        self._poller = poller
        self._turn: Turn | None = None
        self._door: Door
        self._report: Callable[[], None]
        self._look: Callable[[], None]
        self._left = b""
        self._watched = 0
        self._due = False
        self._over = trio.Event()
        self._written = trio.Event()

    async def carry(self, door: Door, report: Callable[[], None], look: Callable[[], None]) -> None:
        """Carry from the start to the end of the connection, and close the socket, also when it is stuck."""
        self._door, self._report, self._look = door, report, look
        try:
            if door.closed:
                return  # it ended while the socket was being connected
            door.start(now=trio.current_time())
            self._turn = self._poller.attach(self)
            if self._tls is not None:
                self._hear(self._tls, b"", trio.current_time())  # what came glued behind the handshake
            self.write(trio.current_time())
            await self._over.wait()
            with trio.move_on_after(CLOSE_WITHIN):
                await self._written.wait()
        finally:
            self._watch(0)
            self._turn = None
            self._poller.detach(self)
            self._sock.close()
            del (
                self._door,
                self._report,
                self._look,
            )  # the poller's tasks may remember this socket until the next one is ready

    def wake(self) -> None:
        """Look at the end of this turn."""
        if self._turn is not None and not self._due:
            self._due = True
            self._turn.write_soon(self)

    # ------------------------------------------------------------------ what the poller calls

    def ready(self, events: int, now: float) -> None:
        """The socket can be read, or written to."""
        if events & _READ and self._watched & _READ:
            self._receive(now)
            self._report()
        self.wake()

    def write(self, now: float) -> None:
        """Write what is due, as far as the system takes it."""
        self._due = False
        if self._turn is None:
            return
        try:
            while self._left or self._take(now):
                sent = self._sock.send(self._left)
                self._left = self._left[sent:]
        except BlockingIOError:
            pass
        except OSError as error:
            self._break(error, now)
        self._report()
        self._look()
        events = _READ
        if self._door.closed:
            events = 0
            self._over.set()
            if not self._left:
                self._written.set()
        if self._left:
            events |= _WRITE
        if events != self._watched:
            self._watch(events)

    # ------------------------------------------------------------------ inside

    def _take(self, now: float) -> bool:
        """Take the next bytes to write; False if there are none."""
        data = self._door.data_to_send(now=now)
        if self._tls is not None:
            self._left = self._tls.encrypt(data) if data else self._tls.pending()
        else:
            self._left = data
        return bool(self._left)

    def _receive(self, now: float) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error, now)
            return
        if not data:
            self._door.receive_eof(now=now)
        elif self._tls is None:
            self._door.receive_data(data, now=now)
        else:
            self._hear(self._tls, data, now)

    def _hear(self, tls: Tls, data: bytes, now: float) -> None:
        try:
            for piece in tls.decrypt(data):
                self._door.receive_data(piece, now=now)
        except ssl.SSLError as error:
            self._break(error, now)
        if tls.ended:
            self._door.receive_eof(now=now)

    def _break(self, error: OSError, now: float) -> None:
        self._left = b""
        self._door.fail_transport(f"the connection broke: {error}", now=now)

    def _watch(self, events: int) -> None:
        if events == self._watched or self._turn is None or self._turn.over:
            return
        selector = self._turn.selector
        if not self._watched:
            selector.register(self._sock, events, self)
        elif not events:
            selector.unregister(self._sock)
        else:
            selector.modify(self._sock, events, self)
        self._watched = events
