"""A state table keyed by (state, sender, message), and the little machine that walks it.

Tables are role-blind: the client saying a message and the server hearing it are one row, so both roles run
the same rules. A *crossing* row may be heard but never said: two ends that act at once must not make an
honest peer look guilty.
"""

import enum
from collections.abc import Iterable
from typing import Generic, TypeVar, final

import attrs

from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.roles import Role

State = TypeVar("State", bound=enum.Enum)
Word = TypeVar("Word", bound=enum.Enum)


@final
@attrs.frozen
class Row(Generic[State, Word]):
    """In ``state``, ``sender`` may say ``message``; both ends are then in ``next_state``, for ``reason``."""

    state: State
    sender: Role
    message: Word
    next_state: State
    reason: str
    crossing: bool = attrs.field(default=False, kw_only=True)


@final
class Table(Generic[State, Word]):
    """The rows of one machine, indexed. A key that appears twice is refused, at import.

    ``unspoken`` words happen rather than being said (a lost connection); no error message offers them.
    """

    def __init__(
        self, name: str, *, start: State, rows: Iterable[Row[State, Word]], unspoken: Iterable[Word] = ()
    ) -> None:
        self.name = name
        self.unspoken = frozenset(unspoken)
        self.start = start
        self.rows = tuple(rows)
        self._index: dict[Role, dict[State, dict[Word, Row[State, Word]]]] = {
            sender: {state: {} for state in type(start)} for sender in Role
        }
        for row in self.rows:
            cells = self._index[row.sender][row.state]
            if row.message in cells:
                raise ValueError(f"table {name}: two rows for {(row.state, row.sender, row.message)}")
            cells[row.message] = row

    def cells(self, sender: Role) -> dict[State, dict[Word, Row[State, Word]]]:
        """Return the rows of what one end says, by state and word."""
        return self._index[sender]

    def find(self, state: State, sender: Role, message: Word) -> Row[State, Word] | None:
        """Return the row for this key, or None where the table has no such cell."""
        return self._index[sender][state].get(message)

    def sayable(self, state: State, sender: Role) -> list[Word]:
        """List what ``sender`` may say in ``state``, in the order of the rows."""
        said = (row for row in self.rows if row.state is state and row.sender is sender and not row.crossing)
        return [row.message for row in said if row.message not in self.unspoken]


@final
class Machine(Generic[State, Word]):
    """One life walked through one table, seen from one role."""

    def __init__(self, table: Table[State, Word], role: Role) -> None:
        self._table = table
        self._role = role
        self._says, self._hears = table.cells(role), table.cells(role.peer)
        self.state: State = table.start

    def check(self, message: Word) -> Row[State, Word]:
        """Return the row for saying ``message`` now, without saying it.

        Raises LocalProtocolError that names the state and what is allowed in it.
        """
        row = self._says[self.state].get(message)
        if row is None or row.crossing:
            allowed = ", ".join(word.value for word in self._table.sayable(self.state, self._role))
            raise LocalProtocolError(
                f"the {self._role.value} cannot say {message.value!r} while the {self._table.name} is "
                f"{self.state.value!r}; allowed now: {allowed or 'nothing'}"
            )
        return row

    def say(self, message: Word) -> Row[State, Word]:
        """Move as our message commands. Raises as ``check`` does, and then nothing has changed."""
        row = self._says[self.state].get(message)
        if row is None or row.crossing:
            row = self.check(message)
        self.state = row.next_state
        return row

    def hear(self, message: Word) -> Row[State, Word] | None:
        """Move as the peer's message commands; None, and no move, where the table has no such cell."""
        row = self._hears[self.state].get(message)
        if row is not None:
            self.state = row.next_state
        return row
