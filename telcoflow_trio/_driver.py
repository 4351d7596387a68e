"""Three loops that move bytes and ring timers for one machine of the core. No rule of the protocol is here."""

import math
from collections.abc import Callable
from typing import Protocol, final

import trio

_CLOSE_WITHIN = 1.0
_CHUNK = 65536


class Machine(Protocol):
    """The verbs of every byte door of the core."""

    @property
    def closed(self) -> bool: ...
    def start(self, *, now: float) -> None: ...
    def receive_data(self, data: bytes, *, now: float) -> None: ...
    def receive_eof(self, *, now: float) -> None: ...
    def fail_transport(self, detail: str, *, now: float) -> None: ...
    def data_to_send(self, *, now: float | None = None) -> bytes: ...
    def next_deadline(self) -> float | None: ...
    def handle_timeout(self, *, now: float) -> None: ...


@final
class Driver:
    """Runs one machine. ``settle`` is called after everything that may have made it report something."""

    def __init__(self, machine: Machine, settle: Callable[[], None]) -> None:
        self._machine = machine
        self._settle = settle
        self._more = trio.Event()
        self._moved = trio.Event()
        self._armed = math.inf

    def wake(self) -> None:
        """Look again: there may be something to write, or an earlier deadline. Never waits."""
        self._more.set()
        deadline = self._machine.next_deadline()
        if deadline is not None and deadline < self._armed:
            self._moved.set()

    async def keep_time(self) -> None:
        """The alarm loop: runs until it is cancelled and never waits behind a write."""
        while True:
            self._moved = trio.Event()
            deadline = self._machine.next_deadline()
            self._armed = math.inf if deadline is None else deadline
            with trio.CancelScope(deadline=self._armed):
                await self._moved.wait()
            now = trio.current_time()
            if now >= self._armed:
                self._machine.handle_timeout(now=now)
                self._settle()

    async def carry(self, stream: trio.abc.Stream) -> None:
        """Carry one transport from its start to its end, and close it."""
        try:
            if self._machine.closed:
                return  # it ended while the stream was being opened
            self._machine.start(now=trio.current_time())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, stream)
                await self._write(stream)
                nursery.cancel_scope.cancel()
        finally:
            with trio.move_on_after(_CLOSE_WITHIN, shield=True):
                await stream.aclose()

    async def _read(self, stream: trio.abc.Stream) -> None:
        while not self._machine.closed:
            try:
                data = await stream.receive_some(_CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
                self._break(error)
            else:
                if data:
                    self._machine.receive_data(bytes(data), now=trio.current_time())
                else:
                    self._machine.receive_eof(now=trio.current_time())
            self._settle()

    async def _write(self, stream: trio.abc.Stream) -> None:
        """The only writer: a caller that is cancelled can never cut a frame."""
        while True:
            self._more = trio.Event()
            data = self._machine.data_to_send(now=trio.current_time())
            if data:
                try:
                    await stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
                    self._break(error)
                self._settle()
            elif self._machine.closed:
                return
            else:
                await self._more.wait()

    def _break(self, error: Exception) -> None:
        detail = str(error.__cause__ or error) or "the stream was closed"
        self._machine.fail_transport(f"the connection broke: {detail}", now=trio.current_time())
