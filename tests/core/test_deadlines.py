"""Many deadlines, of which the earliest is remembered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.deadlines import Deadlines


@pytest.fixture
def deadlines() -> Deadlines:
    """Two of them, the later one set first."""
    waiting = Deadlines()
    waiting.set("a", 15.0)
    waiting.set("b", 13.0)
    return waiting


def test_the_earliest_is_told(deadlines: Deadlines) -> None:
    assert deadlines.next_deadline() == 13.0
    deadlines.drop("b")
    assert deadlines.next_deadline() == 15.0
    deadlines.drop("a")
    assert deadlines.next_deadline() is None


def test_dropping_what_is_unknown_changes_nothing(deadlines: Deadlines) -> None:
    deadlines.drop("c")
    assert deadlines.next_deadline() == 13.0


def test_a_deadline_may_be_moved(deadlines: Deadlines) -> None:
    deadlines.set("b", 20.0)
    assert deadlines.next_deadline() == 15.0


def test_what_is_due_is_taken_out_in_the_order_it_was_set(deadlines: Deadlines) -> None:
    assert deadlines.pop_due(12.9) == []
    assert deadlines.pop_due(15.0) == ["a", "b"]
    assert deadlines.next_deadline() is None


def test_all_of_them_can_be_forgotten(deadlines: Deadlines) -> None:
    deadlines.clear()
    assert deadlines.next_deadline() is None
    deadlines.set("c", 99.0)
    assert deadlines.next_deadline() == 99.0


NAMES, TIMES = st.sampled_from("abc"), st.integers(0, 5).map(float)


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.just("set"), NAMES, TIMES)
        | st.tuples(st.just("drop"), NAMES, st.just(0.0))
        | st.tuples(st.just("due"), st.just(""), TIMES)
        | st.tuples(st.just("look"), st.just(""), st.just(0.0))
    )
)
def test_it_says_what_looking_at_all_of_them_would(steps: list[tuple[str, str, float]]) -> None:
    deadlines, model = Deadlines(), dict[str, float]()
    for step, name, at in steps:
        if step == "set":
            deadlines.set(name, at)
            model[name] = at
        elif step == "drop":
            deadlines.drop(name)
            model.pop(name, None)
        elif step == "due":
            due = [one for one, when in model.items() if when <= at]
            assert deadlines.pop_due(at) == due
            model = {one: when for one, when in model.items() if one not in due}
        else:
            assert deadlines.next_deadline() == min(model.values(), default=None)
    assert deadlines.next_deadline() == min(model.values(), default=None)
