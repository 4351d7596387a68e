"""Many deadlines, of which only the earliest is asked for: after every message, so it is remembered."""

import math
from typing import final


@final
class Deadlines:
    """A deadline per id, in monotonic seconds. Every method is legal at any time."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._first = math.inf
        self._gone = False  # the first one was dropped, and nobody has asked since

    def set(self, id_: str, at: float) -> None:
        """Set or move a deadline."""
        if self._due.get(id_) == self._first:
            self._gone = True
        self._due[id_] = at
        self._first = min(self._first, at)

    def drop(self, id_: str) -> None:
        """Forget a deadline; unknown ids are fine."""
        at = self._due.pop(id_, None)
        if at == self._first:
            self._gone = True

    def clear(self) -> None:
        """Forget all of them."""
        self._due.clear()
        self._gone = True

    def next_deadline(self) -> float | None:
        """Return the earliest one, or None."""
        if self._gone:
            self._first, self._gone = min(self._due.values(), default=math.inf), False
        return self._first if self._due else None

    def pop_due(self, now: float) -> list[str]:
        """Take out the ids whose deadline has passed, in the order they were set first."""
        due = [id_ for id_, at in self._due.items() if at <= now]
        for id_ in due:
            self.drop(id_)
        return due
