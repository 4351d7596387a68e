"""Sockets on trio without a stream in between: one task waits for all sockets of a client, another one writes.

A stream costs two tasks per socket, and a checkpoint and a wait for every chunk. Here the readiness of many
sockets is one wake-up, each of them is one receive and one pass through its machine, and everything that is due
at the end of a turn is one write per socket.
"""

import selectors
from collections.abc import Callable, Coroutine
from typing import final

import trio

from telcoflow_proto.socket_lane import Socket, SocketLane
from telcoflow_trio._bell import TrioBell

CAN_POLL = hasattr(selectors.DefaultSelector, "fileno")
"""True where the readiness of many sockets is that of one file descriptor: epoll and kqueue, but not Windows."""

Start = Callable[[Callable[[], Coroutine[object, object, None]]], object]
"""Starts a task that outlives a cancellation from outside."""


@final
class Poller:
    """Moves the bytes of many sockets, in two tasks that run as long as there are any."""

    def __init__(self, start: Start) -> None:
        self.clock = trio.current_time
        self.new_bell = TrioBell
        self.time_limit = trio.move_on_after
        self._start = start
        self._turn: _Turn | None = None

    def watch(self, lane: SocketLane, sock: Socket, events: int, before: int) -> None:
        """Call ``lane.ready`` when its socket is; the first one starts the tasks, with the last one they end."""
        turn = self._running()
        if turn.over:
            return
        if not before:
            turn.selector.register(sock, events, lane)
        elif events:
            turn.selector.modify(sock, events, lane)
        else:
            turn.selector.unregister(sock)
            if not turn.selector.get_map():
                turn.scope.cancel()
                self._turn = None

    def write_soon(self, lane: SocketLane) -> None:
        """Call ``lane.write`` once everybody had a turn who was woken in this one."""
        self._running().write_soon(lane)

    def _running(self) -> "_Turn":
        if self._turn is None:
            self._turn = _Turn()
            self._start(self._turn.run)
        return self._turn


@final
class _Turn:
    """The two tasks, from the first socket to the last."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.scope = trio.CancelScope()
        self.over = False
        self._due: list[SocketLane] = []
        self._writer: trio.lowlevel.Task | None = None

    async def run(self) -> None:
        try:
            with self.selector, self.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
        finally:
            self.over = True

    def write_soon(self, lane: SocketLane) -> None:
        self._due.append(lane)
        if self._writer is not None:
            trio.lowlevel.reschedule(self._writer)
            self._writer = None

    async def _read(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self.selector)
            now = trio.current_time()
            for key, _ in self.selector.select(0):
                key.data.ready(now)

    async def _write(self) -> None:
        while True:
            if not self._due:
                self._writer = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._stop_writing)
            # Who was woken together with this task may have its turn after it, and something to say.
            await trio.lowlevel.checkpoint()
            due, self._due = self._due, []
            now = trio.current_time()
            for lane in due:
                lane.write(now)

    def _stop_writing(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._writer = None
        return trio.lowlevel.Abort.SUCCEEDED
