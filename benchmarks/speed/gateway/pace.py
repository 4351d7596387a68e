"""Saying frames in real time: every call one each 20 ms, all calls spread evenly over them."""

import asyncio
import time
from typing import final

from benchmarks.speed.gateway.service import Call

_PERIOD = 0.02
_TICK = 0.001  # the least an event loop can wait


@final
class Pacer:
    """Says the frames when they are due, and notes when it was late."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls
        self._loop = asyncio.get_running_loop()
        self._begun = time.monotonic()
        self._handle = self._loop.call_soon(self._tick)
        self.said = 0
        self.lags: list[float] = []

    def stop(self) -> None:
        """Say no more."""
        self._handle.cancel()

    def _tick(self) -> None:
        now = time.monotonic()
        count = len(self._calls)
        due = int((now - self._begun) / _PERIOD * count)
        if due > self.said:
            self.lags.append(now - self._begun - self.said * _PERIOD / count)
        due = min(due, self.said + count)  # who is late catches up step by step, so that what comes back is read
        for number in range(self.said, due):
            self._calls[number % count].say()
        self.said = due
        self._handle = self._loop.call_later(_TICK, self._tick)
