"""How a request is answered: carried out, or refused in one of two ways."""

from collections.abc import Callable
from typing import final

import attrs

from telcoflow_proto.jsontext import JsonObject

AUTHENTICATION_FAILED = -32002


def nothing() -> None:
    """Nothing more comes of it."""


@final
@attrs.frozen
class Reply:
    """A request was carried out. ``then`` tells the events that follow from it: after the answer, normally.

    ``first`` is called before the answer, for what overtakes it in any case.
    """

    message: str
    then: Callable[[], None] = nothing
    more: JsonObject = attrs.field(factory=dict, kw_only=True)
    first: Callable[[], None] = attrs.field(default=nothing, kw_only=True)


@final
class Refusal(Exception):
    """A request is refused with a result that says no. ``code`` is a text of three digits."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@final
class Unfit(Exception):
    """A request cannot even be looked at: it gets a JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
