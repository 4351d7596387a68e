"""Named deadlines."""

import pytest

from telcoflow_proto.timers import Timers, earliest


@pytest.fixture
def timers() -> Timers[str]:
    return Timers()


def test_without_deadlines_there_is_nothing_to_wait_for(timers: Timers[str]) -> None:
    assert timers.next_deadline() is None
    assert list(timers.pop_due(1e9)) == []


def test_the_earliest_deadline_is_the_next(timers: Timers[str]) -> None:
    timers.arm("late", 9.0)
    timers.arm("early", 3.0)
    assert timers.next_deadline() == 3.0


def test_arming_again_moves_a_deadline(timers: Timers[str]) -> None:
    timers.arm("ping", 3.0)
    timers.arm("ping", 5.0)
    assert timers.next_deadline() == 5.0
    assert list(timers.pop_due(4.9)) == []
    assert list(timers.pop_due(5.0)) == ["ping"]


def test_what_is_due_rings_once_and_earliest_first(timers: Timers[str]) -> None:
    timers.arm("second", 2.0)
    timers.arm("first", 1.0)
    timers.arm("third", 3.0)
    assert list(timers.pop_due(2.0)) == ["first", "second"]
    assert list(timers.pop_due(2.0)) == []
    assert timers.armed("third")


def test_disarmed_deadlines_do_not_ring(timers: Timers[str]) -> None:
    timers.arm("ping", 1.0)
    timers.disarm("ping")
    timers.disarm("never armed")
    assert not timers.armed("ping")
    assert list(timers.pop_due(2.0)) == []


def test_clear_forgets_all(timers: Timers[str]) -> None:
    timers.arm("one", 1.0)
    timers.arm("two", 2.0)
    timers.clear()
    assert timers.next_deadline() is None


@pytest.mark.parametrize("meddle", ["disarm", "clear", "move"])
def test_what_a_handler_takes_back_does_not_ring(timers: Timers[str], meddle: str) -> None:
    timers.arm("first", 1.0)
    timers.arm("second", 1.0)
    rung = []
    for name in timers.pop_due(1.0):
        rung.append(name)
        match meddle:
            case "disarm":
                timers.disarm("second")
            case "clear":
                timers.clear()
            case _:
                timers.arm("second", 5.0)
    assert rung == ["first"]


def test_a_handler_may_arm_its_own_name_again(timers: Timers[str]) -> None:
    timers.arm("ping", 1.0)
    for name in timers.pop_due(1.0):
        timers.arm(name, 1.0)
    assert timers.armed("ping")


def test_a_clock_that_goes_backwards_rings_nothing(timers: Timers[str]) -> None:
    timers.arm("ping", 5.0)
    assert list(timers.pop_due(-100.0)) == []
    assert timers.next_deadline() == 5.0


@pytest.mark.parametrize(
    ("deadlines", "wanted"),
    [((), None), ((None,), None), ((None, None), None), ((2.0, None, 1.0), 1.0), ((0.0, None), 0.0)],
)
def test_earliest_skips_what_is_absent(deadlines: tuple[float | None, ...], wanted: float | None) -> None:
    assert earliest(*deadlines) == wanted
