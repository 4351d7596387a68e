"""Handlers users register: which names are valid, and how many arguments each handler takes."""

import enum
import inspect
from collections.abc import Callable
from typing import TypeVar, final

Handler = Callable[..., object]
"""A function, method, partial or callable object, sync or async, that takes nothing or one argument."""

H = TypeVar("H", bound=Handler)

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@final
class Handlers:
    """The handlers of one client or call, by event name."""

    def __init__(self, events: type[enum.StrEnum]) -> None:
        self._events = events
        self._handlers: dict[str, list[tuple[Handler, bool]]] = {}

    def add(self, event: str, handler: Handler) -> str:
        """Register a handler and return the event's plain name.

        Raises ValueError for an unknown event, listing the valid ones, and TypeError for something that
        cannot be called with nothing or with one argument.
        """
        valid = [one.value for one in self._events]
        if event not in valid:
            raise ValueError(f"unknown event {str(event)!r}; valid here: {', '.join(valid)}")
        if not callable(handler):
            raise TypeError(f"the handler for {str(event)!r} must be callable, got {type(handler).__name__}")
        name, takes = str(event), _takes_argument(handler)
        self._handlers.setdefault(name, []).append((handler, takes))
        return name

    def knows(self, event: str) -> bool:
        """Tell whether anybody listens to this event."""
        return event in self._handlers

    def calls(self, event: str, argument: object) -> list[Callable[[], object]]:
        """Return what to call for one event, each with the argument bound if the handler takes it."""
        return [_bind(handler, argument, takes=takes) for handler, takes in self._handlers.get(event, ())]


def _bind(handler: Handler, argument: object, *, takes: bool) -> Callable[[], object]:
    return (lambda: handler(argument)) if takes else handler


def _takes_argument(handler: Handler) -> bool:
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:  # some builtins have none to show
        return False
    required = [one for one in parameters if one.kind in _POSITIONAL and one.default is one.empty]
    named = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty]
    if len(required) > 1 or named:
        raise TypeError("a handler is called with nothing or with one argument; this one wants more")
    return any(one.kind in _POSITIONAL or one.kind is one.VAR_POSITIONAL for one in parameters)
