"""Three loops that move bytes and ring timers for the machines of the core. No rule of the protocol is here."""

import math
from collections.abc import Callable
from typing import final

import trio

from telcoflow_proto.driving import CLOSE_WITHIN, Clockwork, Door, Lane

_CHUNK = 65536


@final
class Alarm:
    """Rings when a deadline has passed. ``settle`` is called after everything that may have changed something."""

    def __init__(self, clockwork: Clockwork, settle: Callable[[], None]) -> None:
        self._clockwork = clockwork
        self._settle = settle
        self._moved = trio.Event()
        self._armed = math.inf

    def wake(self) -> None:
        """Look again: there may be an earlier deadline. Never waits."""
        deadline = self._clockwork.next_deadline()
        if deadline is not None and deadline < self._armed:
            self._moved.set()

    async def run(self) -> None:
        """Keep time until cancelled; never waits behind a write."""
        while True:
            self._moved = trio.Event()
            deadline = self._clockwork.next_deadline()
            self._armed = math.inf if deadline is None else deadline
            with trio.CancelScope(deadline=self._armed):
                await self._moved.wait()
            now = trio.current_time()
            if now >= self._armed:
                self._clockwork.handle_timeout(now=now)
                self._settle()


@final
class Carrier:
    """Carries the bytes of one connection over one stream, or has a lane carry them. See ``Lane``."""

    def __init__(self, door: Door, report: Callable[[], None], look: Callable[[], None]) -> None:
        self._door = door
        self._report = report
        self._look = look
        self.wake = self._wake
        """Look again: there may be something to write, an earlier deadline, or it may be over. Never waits."""
        self._more = trio.Event()
        self._closed = trio.Event()

    def _wake(self) -> None:
        self._more.set()
        if self._door.closed:
            self._closed.set()
        self._look()

    def _settle(self) -> None:
        self._report()
        self._wake()

    async def run(self, stream: trio.abc.Stream | Lane) -> None:
        """Carry from the start to the end of the connection, and close the stream, also when it is stuck."""
        if isinstance(stream, Lane):
            self.wake = stream.wake
            try:
                await stream.carry(self._door, self._report, self._look)
            finally:
                self.wake = self._wake
            return
        try:
            if self._door.closed:
                return  # it ended while the stream was being opened
            self._door.start(now=trio.current_time())
            async with trio.open_nursery() as nursery:
                written = trio.Event()
                nursery.start_soon(self._read, stream)
                nursery.start_soon(self._write, stream, written)
                await self._closed.wait()
                with trio.move_on_after(CLOSE_WITHIN):
                    await written.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(CLOSE_WITHIN, shield=True):
                await stream.aclose()

    async def _read(self, stream: trio.abc.Stream) -> None:
        while not self._door.closed:
            try:
                data = await stream.receive_some(_CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
                self._break(error)
            else:
                if data:
                    self._door.receive_data(bytes(data), now=trio.current_time())
                else:
                    self._door.receive_eof(now=trio.current_time())
            self._settle()

    async def _write(self, stream: trio.abc.Stream, written: trio.Event) -> None:
        """The only writer: a caller that is cancelled can never cut a frame."""
        while True:
            self._more = trio.Event()
            data = self._door.data_to_send(now=trio.current_time())
            if data:
                try:
                    await stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
                    self._break(error)
                self._settle()
            elif self._door.closed:
                written.set()
                return
            else:
                await self._more.wait()

    def _break(self, error: Exception) -> None:
        detail = str(error.__cause__ or error) or "the stream was closed"
        self._door.fail_transport(f"the connection broke: {detail}", now=trio.current_time())
