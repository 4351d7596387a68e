"""Which names are valid, and how many arguments a handler takes."""

import functools
from typing import Any

import pytest

from telcoflow_proto.events import CallEvent
from telcoflow_proto.handlers import Handlers


class Thing:
    def __call__(self, one: object) -> object:
        return one

    def nothing(self) -> str:
        return "nothing"


def keyword_only(*, data: object) -> None:
    """Cannot be called with a positional argument."""


@pytest.mark.parametrize(
    ("handler", "result"),
    [
        (lambda: "nothing", "nothing"),
        (lambda one: one, 7),
        (lambda one, two=2: (one, two), (7, 2)),
        (lambda one=1: one, 7),
        (lambda *all_of_them: all_of_them, (7,)),
        (lambda **named: named, {}),
        (functools.partial(lambda zero, one: (zero, one), 0), (0, 7)),
        (Thing(), 7),
        (Thing().nothing, "nothing"),
        (dict, {}),
    ],
)
def test_a_handler_gets_what_it_takes(handler: Any, result: object) -> None:
    handlers = Handlers(CallEvent)
    assert handlers.add("call.error", handler) == "call.error"
    assert [call() for call in handlers.calls(CallEvent.CALL_ERROR, 7)] == [result]


@pytest.mark.parametrize("handler", [lambda one, two: None, keyword_only, None, "text"])
def test_what_cannot_be_called_so_is_refused(handler: Any) -> None:
    handlers = Handlers(CallEvent)
    with pytest.raises(TypeError):
        handlers.add("call.error", handler)
    assert handlers.calls("call.error", None) == []


def test_unknown_names_are_refused_with_the_valid_ones() -> None:
    handlers = Handlers(CallEvent)
    with pytest.raises(ValueError, match=r"call\.terminated, call\.answered"):
        handlers.add("call.endet", print)
    assert handlers.calls("call.endet", None) == []


def test_members_and_strings_name_the_same_event() -> None:
    handlers = Handlers(CallEvent)
    handlers.add(CallEvent.CALL_ERROR, print)
    assert handlers.knows("call.error")
    assert len(handlers.calls("call.error", None)) == 1
