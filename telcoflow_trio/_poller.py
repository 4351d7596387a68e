"""Sockets on trio without a stream in between: one task waits for all sockets of a client, another one writes.

A stream costs two tasks per socket, and a checkpoint and a wait for every chunk. Here the readiness of many
sockets is one wake-up, each of them is one receive and one pass through its machine, and everything that is due
at the end of a turn is one write per socket.
"""

import selectors
from collections.abc import Callable, Coroutine
from typing import Protocol, final

import trio

CAN_POLL = hasattr(selectors.DefaultSelector, "fileno")
"""True where the readiness of many sockets is that of one file descriptor: epoll and kqueue, but not Windows."""

Start = Callable[[Callable[[], Coroutine[object, object, None]]], object]
"""Starts a task that outlives a cancellation from outside."""


class Pollable(Protocol):
    """What is polled. Times are seconds of trio's clock."""

    def ready(self, events: int, now: float) -> None:
        """It can be read, or written to."""

    def write(self, now: float) -> None:
        """Write what is due."""


@final
class Poller:
    """Moves the bytes of many sockets, in two tasks that run as long as there are any."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._turn: Turn | None = None

    def attach(self, sock: Pollable) -> "Turn":
        """Watch a socket from now on."""
        if self._turn is None:
            self._turn = Turn()
            self._start(self._turn.run)
        self._turn.sockets.add(sock)
        return self._turn

    def detach(self, sock: Pollable) -> None:
        """Forget a socket; harmless for one that was never watched."""
        if self._turn is not None:
            self._turn.sockets.discard(sock)
            if not self._turn.sockets:
                self._turn.scope.cancel()
                self._turn = None


@final
class Turn:
    """The two tasks, from the first socket to the last."""

    def __init__(self) -> None:
        self.sockets: set[Pollable] = set()
        self.selector = selectors.DefaultSelector()
        self.scope = trio.CancelScope()
        self.over = False
        self._due: list[Pollable] = []
        self._writer: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        try:
            with self.selector, self.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
        finally:
            self.over = True

    def write_soon(self, sock: Pollable) -> None:
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
            if not self._due:
                self._writer = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stop_writing)
            # Who was woken together with this task may have its turn after it, and something to say.
            await trio.lowlevel.checkpoint()
            due, self._due = self._due, []
            now = trio.current_time()
            for sock in due:
                sock.write(now)

    def _stop_writing(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED
