"""The names that state tables are made of."""

import enum


class Symbol(enum.Enum):
    """A state, a role or a word of a table. Hashed by identity, because tables are asked about every message."""

    __hash__ = object.__hash__
