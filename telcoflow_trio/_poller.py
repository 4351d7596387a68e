"""Sockets on trio without a stream in between: one task waits for all sockets of a client, another one writes.

A stream costs two tasks per socket, and a checkpoint and a wait for every chunk. Here the readiness of many
sockets is one wake-up, each of them is one receive and one pass through its machine, and everything that is due
at the end of a turn is one write per socket.
"""

import selectors
import socket
from collections.abc import Callable, Coroutine
from typing import final

import trio

from telcoflow_trio._driver import CLOSE_WITHIN, Door, Lane
from telcoflow_trio._tls import Tls

_CHUNK = 65536
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

CAN_POLL = hasattr(selectors.DefaultSelector, "fileno")
"""True where the readiness of many sockets is that of one file descriptor: epoll and kqueue, but not Windows."""

Start = Callable[[Callable[[], Coroutine[object, object, None]]], object]
"""Starts a task that outlives a cancellation from outside."""


@final
class Poller:
    """Moves the bytes of many sockets, in two tasks that run as long as there are any."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._turn: _Turn | None = None

    def attach(self, sock: "PolledSocket") -> "_Turn":
        """Watch a socket from now on."""
        if self._turn is None:
            self._turn = _Turn()
            self._start(self._turn.run)
        self._turn.sockets.add(sock)
        return self._turn

    def detach(self, sock: "PolledSocket") -> None:
        """Forget a socket; harmless for one that was never watched."""
        if self._turn is not None:
            self._turn.sockets.discard(sock)
            if not self._turn.sockets:
                self._turn.scope.cancel()
                self._turn = None


@final
class _Turn:
    """The two tasks, from the first socket to the last."""

    def __init__(self) -> None:
        self.sockets: set[PolledSocket] = set()
        self.selector = selectors.DefaultSelector()
        self.scope = trio.CancelScope()
        self.over = False
        self._due: list[PolledSocket] = []
        self._writer: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        try:
            with self.selector, self.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
        finally:
            self.over = True

    def write_soon(self, sock: "PolledSocket") -> None:
        """Write what this socket has to say once everybody had a turn."""
        self._due.append(sock)
        if self._writer is not None:
            trio.lowlevel.reschedule(self._writer)
            self._writer = None

    async def _read(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self.selector)
            now = trio.current_time()
            for key, events in self.selector.select(0):
                key.data.ready(events, now)

    async def _write(self) -> None:
        while True:
            self._writer = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_writing)
            due, self._due = self._due, []
            now = trio.current_time()
            for sock in due:
                sock.write(now)

    def _stop_writing(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED


@final
class PolledSocket(Lane):
    """One connected, non-blocking socket, with TLS or without."""

    def __init__(self, sock: socket.socket, tls: Tls | None, poller: Poller) -> None:
        self._sock = sock
        self._tls = tls
        self._poller = poller
        self._turn: _Turn | None = None
        self._door: Door
        self._settle: Callable[[], None]
        self._left = b""
        self._watched = 0
        self._due = self._writing = False
        self._over = trio.Event()
        self._written = trio.Event()

    async def carry(self, door: Door, settle: Callable[[], None]) -> None:
        """Carry from the start to the end of the connection, and close the socket, also when it is stuck."""
        self._door, self._settle = door, settle
        try:
            if door.closed:
                return  # it ended while the socket was being connected
            door.start(now=trio.current_time())
            self._turn = self._poller.attach(self)
            self.write(trio.current_time())
            await self._over.wait()
            with trio.move_on_after(CLOSE_WITHIN):
                await self._written.wait()
        finally:
            self._watch(0)
            self._turn = None
            self._poller.detach(self)
            self._sock.close()
            del self._door, self._settle  # the poller's tasks may remember this socket until the next one is ready

    def wake(self) -> bool:
        """Look at the end of this turn, and settle then."""
        if self._writing or self._turn is None:
            return False
        if not self._due:
            self._due = True
            self._turn.write_soon(self)
        return True

    # ------------------------------------------------------------------ what the poller calls

    def ready(self, events: int, now: float) -> None:
        """The socket can be read, or written to."""
        if events & _READ and self._watched & _READ:
            self._due = True  # what settling wakes is looked at here
            self._receive(now)
            self._settle()
        self.write(now)

    def write(self, now: float) -> None:
        """Write what is due, as far as the system takes it."""
        if self._turn is None:
            return
        self._due, self._writing = False, True
        try:
            while self._left or self._take(now):
                sent = self._sock.send(self._left)
                self._left = self._left[sent:]
        except BlockingIOError:
            pass
        except OSError as error:
            self._break(error, now)
        self._settle()
        self._writing = False
        if self._door.closed:
            self._over.set()
            if not self._left:
                self._written.set()
        self._watch((0 if self._door.closed else _READ) | (_WRITE if self._left else 0))

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
            last = not data
            if data and self._tls is not None:
                data, last = self._tls.decrypt(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error, now)
            return
        if data:
            self._door.receive_data(data, now=now)
        if last:
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
