"""Dials and their legs, and the hang-ups nobody waits for."""

from typing import Any, final

import pytest

from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.jsontext import Json
from telcoflow_proto.limits import Limits
from telcoflow_proto.relay.client_events import CallRecord, DialOver
from telcoflow_proto.relay.dialling import Dials, HangUps, winner_of
from telcoflow_proto.relay.table import RelayCallWord


def record(call_id: str) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        node_id="n",
        project_id="p",
        context="",
        tag="t",
        direction="outbound",
        device={},
        segment_id="",
    )


@final
class Room:
    """Dials, what they told, and whom they hung up."""

    def __init__(self, **limits: int) -> None:
        self.told: list[DialOver] = []
        self.hung_up: list[str] = []
        self.dials = Dials(
            self.told.append, lambda record: self.hung_up.append(record.call_id), limits=Limits(**limits)
        )

    def begun(self, *tags: str, within: float = 20.0) -> "Room":
        for tag in tags or ("t",):
            self.dials.begin(tag, within=within, now=100)
        return self

    def rings(self, *call_ids: str) -> "Room":
        for call_id in call_ids:
            self.dials.leg("t", record(call_id))
        return self


def test_the_leg_that_wins_is_told_and_the_others_are_left_to_the_service() -> None:
    room = Room().begun().rings("l1", "l2")
    winner = record("l2")
    room.dials.answered("t", winner)
    assert room.told == [DialOver(tag="t", call=winner)]
    assert (room.hung_up, len(room.dials), room.dials.knows("t")) == ([], 0, False)
    room.dials.answered("t", winner)
    room.dials.failed("t", "late")
    room.dials.give_up("t", "late")
    assert len(room.told) == 1
    assert room.hung_up == []


def test_a_leg_nobody_saw_ring_may_win() -> None:
    room = Room().begun()
    room.dials.answered("t", record("w"))
    assert [one.tag for one in room.told] == ["t"]


def test_a_dial_that_fails_says_why() -> None:
    room = Room().begun().rings("l1")
    room.dials.failed("t", "busy", code=486)
    assert room.told == [DialOver(tag="t", call=None, code=486, reason="busy")]
    assert room.hung_up == []


def test_a_dial_nobody_answers_in_time_is_given_up_and_hung_up() -> None:
    room = Room().begun().rings("l1", "l2")
    assert room.dials.next_deadline() == 120
    room.dials.handle_timeout(119.9)
    assert room.told == []
    room.dials.handle_timeout(120)
    assert room.told == [DialOver(tag="t", call=None, reason="Dial timed out waiting for answer (tag=t)")]
    assert room.hung_up == ["l1", "l2"]
    assert (room.dials.next_deadline(), len(room.dials)) == (None, 0)


def test_only_what_is_due_is_given_up() -> None:
    room = Room().begun("t").begun("u", within=40)
    room.dials.handle_timeout(130)
    assert [one.tag for one in room.told] == ["t"]
    assert room.dials.next_deadline() == 140


def test_legs_of_a_dial_that_was_given_up_are_hung_up_when_they_are_first_seen() -> None:
    room = Room().begun().rings("l1")
    room.dials.give_up("t", "why")
    assert room.dials.knows("t")
    room.rings("l1", "l2", "l2")
    assert room.hung_up == ["l1", "l2"]


def test_a_leg_that_is_over_is_not_hung_up() -> None:
    room = Room().begun()
    for call_id in ("l1", "l2"):
        leg = record(call_id)
        leg.machine.hear(RelayCallWord.ENDED)
        room.dials.leg("t", leg)
        room.dials.give_up("t", "why")
    assert room.hung_up == []


def test_one_that_picks_up_late_is_hung_up_once_more() -> None:
    room = Room().begun().rings("l1")
    room.dials.give_up("t", "why")
    room.dials.answered("t", record("l1"))
    assert room.hung_up == ["l1", "l1"]
    assert len(room.told) == 1


def test_a_dial_that_was_given_up_and_failed_is_forgotten() -> None:
    room = Room().begun()
    room.dials.give_up("t", "why")
    room.dials.failed("t", "busy")
    assert not room.dials.knows("t")
    assert [one.reason for one in room.told] == ["why"]


def test_a_request_without_an_answer_ends_only_a_dial_that_nothing_rings_for() -> None:
    room = Room().begun()
    room.dials.unanswered("t", "lost")
    room.dials.unanswered("t", "lost")
    assert [one.reason for one in room.told] == ["lost"]
    room = Room().begun().rings("l1")
    room.dials.unanswered("t", "lost")
    assert room.told == []


def test_all_are_given_up_but_the_ones_that_are_not() -> None:
    room = Room().begun("t", "u", "v")
    room.dials.give_up_all("why", but={"u"})
    assert [one.tag for one in room.told] == ["t", "v"]
    room.dials.give_up_all("why")
    assert [one.tag for one in room.told] == ["t", "v", "u"]


def test_a_tag_is_in_use_as_long_as_legs_of_it_may_come() -> None:
    room = Room().begun()
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="tag 't' is in use"):
            room.begun()
        room.dials.give_up("t", "why")
    room.dials.failed("t", "busy")
    room.begun()


def test_only_so_many_dials_are_under_way_and_only_so_many_given_up_are_remembered() -> None:
    room = Room(pending_requests=3, remembered_ids=2).begun("t", "u", "v")
    with pytest.raises(LocalProtocolError, match="3 dials are under way"):
        room.begun("w")
    room.dials.give_up_all("why")
    assert [room.dials.knows(tag) for tag in ("t", "u", "v")] == [False, True, True]


def test_only_so_many_legs_ring_for_one_dial() -> None:
    room = Room(legs_per_dial=2).begun().rings("l1", "l2")
    for _ in range(2):
        assert room.dials.has_room("t", "l1")
        assert not room.dials.has_room("t", "l3")
        room.dials.give_up("t", "why")
    assert room.dials.has_room("strange", "l3")


@pytest.mark.parametrize("call", [None, [], "l1", 1])
def test_an_answer_that_names_no_leg_is_no_answer(call: Json) -> None:
    with pytest.raises(RemoteProtocolError, match="'call' must be an object") as fault:
        winner_of({"call": call})
    assert fault.value.close_code == 1007
    assert winner_of({"call": {"call_id": "l1"}}) == {"call_id": "l1"}


# -------------------------------------------------------------------------------------------- hang-ups


@final
class Hook:
    """Hang-ups, and what they asked for."""

    def __init__(self, **limits: int) -> None:
        self.online = True
        self.asked: list[str] = []
        self.hang_ups = HangUps(self._ask, limits=Limits(**limits))

    def _ask(self, record: Any) -> str | None:
        if not self.online:
            return None
        self.asked.append(record.call_id)
        return f"r{len(self.asked)}"


def test_what_is_hung_up_is_forgotten() -> None:
    hook = Hook()
    hook.hang_ups.hang_up(record("a"))
    hook.hang_ups.answered("never asked", over=True)
    assert len(hook.hang_ups) == 1
    hook.hang_ups.answered("r1", over=True)
    hook.hang_ups.again()
    assert (hook.asked, len(hook.hang_ups)) == (["a"], 0)


def test_what_was_not_heard_is_said_again() -> None:
    hook = Hook()
    hook.hang_ups.hang_up(record("a"))
    hook.online = False
    hook.hang_ups.hang_up(record("b"))
    hook.hang_ups.answered("r1", over=False)
    hook.online = True
    hook.hang_ups.again()
    assert hook.asked == ["a", "a", "b"]


def test_two_answers_for_one_call_are_harmless() -> None:
    hook = Hook()
    for _ in range(2):
        hook.hang_ups.hang_up(record("a"))
    for request_id in ("r1", "r2", "r2"):
        hook.hang_ups.answered(request_id, over=True)
    assert len(hook.hang_ups) == 0


def test_only_so_many_are_kept() -> None:
    hook = Hook(remembered_ids=2)
    for call_id in ("a", "b", "c"):
        hook.hang_ups.hang_up(record(call_id))
    hook.asked.clear()
    hook.hang_ups.again()
    assert hook.asked == ["b", "c"]
