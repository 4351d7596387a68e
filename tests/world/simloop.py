"""An asyncio loop whose time jumps to the next timer instead of passing. Threads and sockets must stay out."""

import asyncio
import selectors
from typing import Any

START = 1000.0
_NANOSECOND = 1e-9


class SimulatedDeadlock(RuntimeError):
    """Everybody waits, and no timer will ever wake anybody."""


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.loop: SimLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0 or self.loop is None:
            return ready
        if timeout is None:
            raise SimulatedDeadlock("no task can go on and no timer is set")
        self.loop.jump(timeout)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """Use as ``("asyncio", {"loop_factory": SimLoop})``."""

    def __init__(self) -> None:
        self._simulated = START
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self._simulated

    def jump(self, seconds: float) -> None:
        """Let time pass; a nanosecond more, so that rounding never ends a wait too early."""
        self._simulated += seconds + _NANOSECOND

    def timers(self) -> list[Any]:
        """Return the timers that would still ring."""
        return [one for one in self._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
