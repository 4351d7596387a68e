"""The end of a turn of asyncio's loop, when everything that has become due is written."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, final

from telcoflow_anyio._loop import clock_of


class Writes(Protocol):
    """What has something to write."""

    def write(self, now: float) -> None:
        """Write what is due at ``now``."""


@final
class Turn:
    """Those of a client that have something to write do so in one callback."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._clock = clock_of(loop)
        self._due: list[Writes] = []
        self._held = False

    def write_soon(self, lane: Writes) -> None:
        """Call ``lane.write`` once everybody had a turn who was woken in this one."""
        if not self._due and not self._held:
            self._loop.call_soon(self._close_list)
        self._due.append(lane)

    @contextmanager
    def held(self) -> Generator[None, None, None]:
        """Wait with writing for those whom this block wakes, all of them."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._close_list()

    def _close_list(self) -> None:
        """Who was woken stands before the callback: what they say is written with the rest."""
        if self._due:
            due, self._due = self._due, []
            self._loop.call_soon(self._write, due)

    def _write(self, due: list[Writes]) -> None:
        now = self._clock()
        for lane in due:
            try:
                lane.write(now)
            except Exception as error:  # noqa: BLE001 - as the loop has it with a callback: it is not the others' fault
                self._loop.call_exception_handler({"message": "a socket could not be written", "exception": error})
