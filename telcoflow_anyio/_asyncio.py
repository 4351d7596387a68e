"""Sockets on an asyncio loop that cannot be polled: the loop reads into a buffer and calls the machine.

A stream costs a task, two queues and several wake-ups per chunk. Here one readiness is one receive, one pass
through the machine and, at the end of the loop's turn, one write of everything that is due.
"""

import asyncio
from collections.abc import Callable
from typing import cast, final

import anyio

from telcoflow_anyio._loop import clock_of
from telcoflow_anyio._turn import Turn
from telcoflow_proto.driving import CLOSE_WITHIN, Door, Lane

_CHUNK = 16384


@final
class AsyncioSocket(Lane, asyncio.BufferedProtocol):
    """One connected socket. ``carry`` attaches the machine; until then nothing is read."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._clock = clock_of(asyncio.get_running_loop())
        self._buffer = memoryview(bytearray(_CHUNK))  # of its own: some loops read before they call back
        self._transport: asyncio.Transport | None = None
        self._door: Door | None = None
        self._report = self._look = _nothing
        self._due = self._full = False
        self._over = asyncio.Event()
        self._gone = asyncio.Event()

    async def carry(self, door: Door, report: Callable[[], None], look: Callable[[], None]) -> None:
        """Carry from the start to the end of the connection, and close the socket, also when it is stuck."""
        assert self._transport is not None  # noqa: S101 - asyncio has called ``connection_made`` by now
        try:
            if door.closed:
                return  # it ended while the socket was being connected
            self._door, self._report, self._look = door, report, look
            door.start(now=self._clock())
            if self._gone.is_set():
                self.connection_lost(None)
            else:
                self._transport.resume_reading()
                self.write(self._clock())
            await self._over.wait()
            with anyio.move_on_after(CLOSE_WITHIN):
                await self._gone.wait()
        finally:
            self._transport.abort()
            self._door = None  # nothing more to wake for, and perhaps no loop any more
            self._report = self._look = _nothing

    def wake(self) -> None:
        """Look at the end of this turn of the loop."""
        if self._door is not None and not self._due:
            self._due = True
            self._turn.write_soon(self)

    def write(self, now: float) -> None:
        """Write what is due."""
        self._due = False
        door, transport = self._door, self._transport
        if door is None or transport is None:
            return
        if not self._full and (data := door.data_to_send(now=now)):
            transport.write(data)
        self._report()
        self._look()
        if door.closed:
            self._over.set()
            if not self._full:
                transport.close()

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream's transport goes both ways; uvloop's is no asyncio.Transport, but has what one has.
        self._transport = both_ways = cast("asyncio.Transport", transport)
        # What the system does not take is better kept in the machine: it may be cleared. At 0, TLS stops for good.
        both_ways.set_write_buffer_limits(high=1, low=0)
        both_ways.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._door is not None:
            self._door.receive_data(bytes(self._buffer[:nbytes]), now=self._clock())
            self._report()
            self.wake()

    def eof_received(self) -> None:
        if self._door is not None:
            now = self._clock()
            self._door.receive_eof(now=now)
            self._report()
            self.write(now)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self.write(self._clock())

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone.set()
        if self._door is not None and not self._door.closed:
            detail = str(exc or "") or "the stream was closed"
            self._door.fail_transport(f"the connection broke: {detail}", now=self._clock())
            self._report()
            self._look()
        self._over.set()


def _nothing() -> None:
    """Nobody is to be told yet."""
