"""What was asked and is not answered yet, each with its deadline."""

import enum
from typing import Generic, TypeVar, final

import attrs

from telcoflow_proto.deadlines import Deadlines
from telcoflow_proto.errors import LocalProtocolError

Asked = TypeVar("Asked")


@final
class Outcome(enum.Enum):
    """How a request or command ended. Every one ends exactly once, in exactly one of these ways."""

    DONE = "done"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    LOST = "connection lost, outcome unknown"
    CALL_OVER = "the call ended first"


@final
@attrs.frozen(kw_only=True)
class Expected(Generic[Asked]):
    """One thing asked: its id, what it was, when it was said and when we stop waiting (monotonic seconds)."""

    id: str
    asked: Asked
    said_at: float
    due_at: float


@final
class Replies(Generic[Asked]):
    """The replies one connection waits for. At most ``most``; nothing stays in here for ever."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.pending: dict[str, Expected[Asked]] = {}
        """What was asked, by id."""
        self._deadlines = Deadlines()
        self.next_deadline = self._deadlines.next_deadline
        """Returns the earliest deadline, or None."""

    def __len__(self) -> int:
        return len(self.pending)

    def expect(self, id_: str, asked: Asked, *, now: float, within: float) -> None:
        """Remember that ``asked`` was said under ``id_``. Raises LocalProtocolError when too many wait."""
        if len(self.pending) >= self._most:
            raise LocalProtocolError(f"{self._most} replies are awaited already; wait for some of them first")
        self.pending[id_] = Expected(id=id_, asked=asked, said_at=now, due_at=now + within)
        self._deadlines.set(id_, now + within)

    def knows(self, id_: str) -> bool:
        """Tell whether something waits under this id."""
        return id_ in self.pending

    def get(self, id_: str) -> Expected[Asked] | None:
        """Return what waits under this id, and leave it there."""
        return self.pending.get(id_)

    def take(self, id_: str) -> Expected[Asked] | None:
        """Take out what was asked under this id; None for unknown, finished or late ones."""
        self._deadlines.drop(id_)
        return self.pending.pop(id_, None)

    def waiting(self) -> list[Expected[Asked]]:
        """Return what waits, in the order it was asked."""
        return list(self.pending.values())

    def overdue(self, now: float) -> list[Expected[Asked]]:
        """Take out everything whose deadline has passed, in the order it was asked."""
        return [self.pending.pop(id_) for id_ in self._deadlines.pop_due(now)]

    def drain(self) -> list[Expected[Asked]]:
        """Take out everything, in the order it was asked."""
        everything = list(self.pending.values())
        self.pending.clear()
        self._deadlines.clear()
        return everything
