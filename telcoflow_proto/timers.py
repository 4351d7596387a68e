"""Named deadlines. The earliest one is what a driver has to wake up for."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar, final

Name = TypeVar("Name", bound=Hashable)


@final
class Timers(Generic[Name]):
    """A deadline per name, in monotonic seconds. Every method is legal at any time."""

    def __init__(self) -> None:
        self._due: dict[Name, float] = {}

    def arm(self, name: Name, at: float) -> None:
        """Set or move a deadline."""
        self._due[name] = at

    def disarm(self, name: Name) -> None:
        """Forget a deadline; unknown names are fine."""
        self._due.pop(name, None)

    def clear(self) -> None:
        """Forget all of them."""
        self._due.clear()

    def armed(self, name: Name) -> bool:
        """Tell whether a deadline is set under this name."""
        return name in self._due

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, or None."""
        return min(self._due.values(), default=None)

    def pop_due(self, now: float) -> Iterator[Name]:
        """Take out, earliest first, what is due at ``now``. What a handler disarms meanwhile does not ring."""
        for name, at in sorted(self._due.items(), key=lambda item: item[1]):
            if at <= now and self._due.get(name) == at:
                del self._due[name]
                yield name


def earliest(*deadlines: float | None) -> float | None:
    """Return the earliest of several deadlines, any of which may be absent."""
    first = None
    for at in deadlines:  # asked after every message: a generator for min() would cost three times as much
        if at is not None and (first is None or at < first):
            first = at
    return first
