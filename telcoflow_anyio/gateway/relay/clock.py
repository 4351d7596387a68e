"""The phone network's clock: what is to happen later, on one task and in one order."""

import heapq
import math
from collections.abc import Callable
from typing import final

import anyio


def _nothing() -> None:
    """What a cancelled alarm does; it holds on to nobody."""


@final
class Alarm:
    """Something that is to happen at ``due``, in seconds of the event loop's clock."""

    def __init__(self, due: float, do: Callable[[], None]) -> None:
        self.due = due
        self.do = do

    def cancel(self) -> None:
        """Let it not happen."""
        self.do = _nothing


@final
class Clock:
    """Calls what is due, earliest first, and among equals what was asked for first: on every event loop.

    Network time runs ``speed`` times as fast as real time.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._queue: list[tuple[float, int, Alarm]] = []
        self._count = 0
        self._sooner = anyio.Event()

    def now(self) -> float:
        """Return the network's time, in seconds since some moment."""
        return anyio.current_time() * self._speed

    def after(self, seconds: float, do: Callable[[], None]) -> Alarm:
        """Let something happen when that many seconds of network time have passed."""
        return self.really_after(seconds / self._speed, do)

    def really_after(self, seconds: float, do: Callable[[], None]) -> Alarm:
        """Let something happen when that many real seconds have passed."""
        return self.really_at(anyio.current_time() + seconds, do)

    def really_at(self, due: float, do: Callable[[], None]) -> Alarm:
        """Let something happen at that time of the event loop's clock."""
        alarm = Alarm(due, do)
        self._count += 1
        heapq.heappush(self._queue, (due, self._count, alarm))
        self._sooner.set()
        return alarm

    async def run(self) -> None:
        """Keep time until cancelled. What an alarm raises comes out."""
        while True:
            self._sooner = anyio.Event()
            while self._queue and (self._queue[0][2].do is _nothing or self._queue[0][0] <= anyio.current_time()):
                heapq.heappop(self._queue)[2].do()
            with anyio.CancelScope(deadline=self._queue[0][0] if self._queue else math.inf):
                await self._sooner.wait()


@final
class Alarms:
    """The alarms of one thing, by name; setting one again moves it. Seconds are the network's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set: dict[str, Alarm] = {}

    def arm(self, name: str, seconds: float, do: Callable[[], None]) -> None:
        """Set or move an alarm."""
        self.disarm(name)
        self._set[name] = self._clock.after(seconds, do)

    def disarm(self, name: str) -> None:
        """Forget an alarm; unknown names are fine."""
        alarm = self._set.pop(name, None)
        if alarm is not None:
            alarm.cancel()

    def clear(self) -> None:
        """Forget all of them."""
        for name in list(self._set):
            self.disarm(name)
