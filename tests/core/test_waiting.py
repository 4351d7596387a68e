"""Waiting without an event loop: everybody is woken, and who was cancelled leaves nothing behind."""

import pytest

from telcoflow_proto.waiting import Bells, Tickets
from tests.core.loopless import FakeBell, Task, TimeUp


def nothing() -> None:
    pass


def test_a_bell_wakes_everybody_who_waits_for_its_key_and_nobody_else() -> None:
    bells = Bells(FakeBell)
    one, two, other = Task(bells.wait("a")), Task(bells.wait("a")), Task(bells.wait("b"))
    assert (len(bells), set(bells.keys)) == (3, {"a", "b"})
    bells.ring("a")
    bells.ring("nobody waits")
    one.outcome()
    two.outcome()
    assert not other.step().done
    assert len(bells) == 1


def test_a_ring_is_for_those_who_wait_now() -> None:
    bells = Bells(FakeBell)
    early = Task(bells.wait("a"))
    bells.ring("a")
    late = Task(bells.wait("a"))
    early.outcome()
    assert not late.step().done
    assert len(bells) == 1, "who was woken does not take the bell of who came later"
    bells.ring_all()
    late.outcome()
    assert len(bells) == 0


def test_all_can_be_woken_at_once() -> None:
    bells = Bells(FakeBell)
    tasks = [Task(bells.wait(key)) for key in ("a", 1, None)]
    bells.ring_all()
    assert len(bells) == 0
    for task in tasks:
        task.outcome()


def test_the_last_waiter_that_is_cancelled_takes_its_bell_along() -> None:
    bells = Bells(FakeBell)
    one, two = Task(bells.wait("a")), Task(bells.wait("a"))
    one.step(TimeUp())
    assert len(bells) == 1
    two.step(TimeUp())
    assert len(bells) == 0


def test_an_outcome_reaches_everybody_who_waits_for_it() -> None:
    tickets: Tickets[str] = Tickets(Bells(FakeBell))
    said: list[str] = []
    one = Task(tickets.outcome("id", lambda: said.append("one")))
    two = Task(tickets.outcome("id", lambda: said.append("two")))
    assert said == ["one", "two"]
    assert len(tickets) == 1
    assert tickets.resolve("id", "done")
    assert (one.outcome(), two.outcome()) == ("done", "done")
    assert len(tickets) == 0
    assert not tickets.resolve("id", "again")


def test_what_is_resolved_while_the_waiting_begins_is_not_waited_for() -> None:
    bells = Bells(FakeBell)
    tickets: Tickets[str] = Tickets(bells)

    def at_once() -> None:
        tickets.resolve("id", "at once")

    task = Task(tickets.outcome("id", at_once))
    assert task.done
    assert task.result == "at once"
    assert (len(tickets), len(bells)) == (0, 0)


def test_other_bells_do_not_settle_an_outcome() -> None:
    bells = Bells(FakeBell)
    tickets: Tickets[str] = Tickets(bells)
    task = Task(tickets.outcome("id", nothing))
    bells.ring_all()
    assert not task.step().done
    tickets.resolve("id", "done")
    assert task.outcome() == "done"


def test_cancelled_waiters_leave_nothing_behind() -> None:
    bells = Bells(FakeBell)
    tickets: Tickets[str] = Tickets(bells)
    one, two = Task(tickets.outcome("id", nothing)), Task(tickets.outcome("id", nothing))
    one.step(TimeUp())
    assert (len(tickets), len(bells)) == (1, 1)
    two.step(TimeUp())
    assert (len(tickets), len(bells)) == (0, 0)
    assert not tickets.resolve("id", "too late")
    assert (len(tickets), len(bells)) == (0, 0)


def test_a_failure_while_the_waiting_begins_leaves_nothing_behind() -> None:
    tickets: Tickets[str] = Tickets(Bells(FakeBell))

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Task(tickets.outcome("id", fail)).outcome()
    assert len(tickets) == 0
