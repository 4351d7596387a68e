"""The names that tables are made of: states, words, roles, timers."""

import enum


class Symbol(enum.Enum):
    """An enumeration whose members are looked up for every message.

    Members are compared by identity, so they are hashed by it too; ``enum`` would hash their names, in Python.
    """

    __hash__ = object.__hash__
