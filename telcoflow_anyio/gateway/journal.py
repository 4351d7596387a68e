"""What went over the wire, kept for tests and for people who wonder."""

from collections import deque
from typing import Literal, final

import attrs

Direction = Literal["in", "out"]
MOST_ENTRIES = 100_000
"""About a quarter of an hour of one call: enough for any test, and no leak in a gateway that runs for days."""


@final
@attrs.frozen(kw_only=True)
class LogEntry:
    """One message: when (monotonic seconds), on which connection, which way, and what.

    ``text`` is None for audio, of which only the size is kept. It may hold a call's token, so no ``repr`` shows it.
    """

    at: float
    connection: str
    direction: Direction
    size: int
    text: str | None = attrs.field(default=None, repr=False)


@final
class Journal:
    """The messages of all connections, oldest first; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=MOST_ENTRIES)

    def note(self, connection: str, direction: Direction, message: str | bytes, *, now: float) -> None:
        """Keep one message."""
        text = message if isinstance(message, str) else None
        self._entries.append(LogEntry(at=now, connection=connection, direction=direction, size=len(message), text=text))

    def entries(self) -> list[LogEntry]:
        """Return what is kept."""
        return list(self._entries)
