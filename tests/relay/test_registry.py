"""Calls and their actions: who is known, and that everything ends exactly once."""

from typing import Any, final

import pytest

from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import Limits
from telcoflow_proto.relay.client_events import ActionEnd, ActionOver, CallOver, CallReceived, CallRecord, CallTold
from telcoflow_proto.relay.methods import ACTION_KINDS, COLLECT, PLAY, PLAY_AND_COLLECT, ActionKind
from telcoflow_proto.relay.registry import CALL_STATE, CallRegistry
from telcoflow_proto.relay.resolution import by_first_result
from telcoflow_proto.relay.table import RelayCallState

PLAYED = "calling.call.play"


@final
class Room:
    """A registry, and what it told."""

    def __init__(self, *, most: int = 10, **limits: int) -> None:
        self.told: list[Any] = []
        self.registry = CallRegistry(self.told.append, most=most, limits=Limits(**limits))

    def taken(self) -> list[Any]:
        told, self.told[:] = list(self.told), []
        return told

    def receive(self, call_id: str = "c1", **more: Json) -> CallRecord:
        self.registry.receive({"call_id": call_id, **more}, project_id="p")
        record = self.registry.get(call_id)
        assert record is not None
        return record

    def leg(self, call_id: str = "l1", **more: Json) -> CallRecord | None:
        return self.registry.add_leg({"call_id": call_id, **more}, tag="t", project_id="p")

    def deliver(self, event_type: str, **params: Json) -> JsonObject:
        payload: JsonObject = {"event_type": event_type, "params": {**params}}
        self.registry.deliver(event_type, {**params}, payload)
        return payload

    def start(self, control_id: str = "a1", kind: ActionKind = PLAY, call_id: str = "c1") -> None:
        self.registry.start(call_id, control_id, kind, None)


def running(*control_ids: str) -> Room:
    """Return a room with a call and some accepted plays on it."""
    room = Room()
    room.receive()
    for control_id in control_ids or ("a1",):
        room.start(control_id)
        room.registry.accepted("c1", control_id)
    room.taken()
    return room


def test_somebody_calls() -> None:
    room = Room()
    record = room.receive(
        node_id="n", segment_id="s", tag="t", call_state="ringing", context="sales", device={"type": "phone"}
    )
    assert room.taken() == [CallReceived(call=record)]
    assert (record.call_id, record.node_id, record.project_id, record.context) == ("c1", "n", "p", "sales")
    assert (record.direction, record.device, record.segment_id, record.tag) == ("inbound", {"type": "phone"}, "s", "t")
    assert record.state is RelayCallState.RINGING
    assert (len(room.registry), room.registry.call_ids) == (1, ["c1"])


def test_what_the_service_leaves_out_has_a_default() -> None:
    record = Room().receive(device=[])
    assert (record.node_id, record.context, record.tag, record.segment_id, record.device) == ("", "", "", "", {})
    assert record.state is RelayCallState.CREATED
    assert Room().receive(protocol="old", project_id="q", direction="outbound").context == "old"


def test_the_record_of_a_call_shows_no_number() -> None:
    assert "555" not in repr(Room().receive(device={"params": {"to_number": "+1555"}}))


def test_the_same_call_announced_twice_is_one_call() -> None:
    room = Room()
    first = room.receive()
    assert room.receive(call_state="ringing") is first
    assert first.state is RelayCallState.CREATED
    assert (len(room.taken()), room.registry.duplicates) == (1, 1)


def test_a_call_that_is_over_announced_again_stays_over() -> None:
    room = Room(most=1)
    room.receive()
    room.deliver(CALL_STATE, call_id="c1", call_state="ended")
    room.taken()
    room.registry.receive({"call_id": "c1"}, project_id="p")
    assert room.leg("c1") is None
    assert (room.taken(), len(room.registry), room.registry.duplicates) == ([], 0, 1)


def test_a_call_is_remembered_from_its_end_and_not_from_its_beginning() -> None:
    room = Room(most=2, remembered_ids=1)
    room.receive("long")
    for call_id in ("a", "b", "c"):
        room.receive(call_id)
        room.deliver(CALL_STATE, call_id=call_id, call_state="ended")
    room.deliver(CALL_STATE, call_id="long", call_state="ended")
    room.registry.receive({"call_id": "long"}, project_id="p")
    assert len(room.registry) == 0
    for call_id in ("d", "e", "f"):
        room.receive(call_id)
        room.deliver(CALL_STATE, call_id=call_id, call_state="ended")
    assert room.receive("long").call_id == "long", "nobody is remembered for ever"


def test_calls_beyond_the_limit_are_turned_away_and_legs_are_not() -> None:
    room = Room(most=1)
    room.receive()
    room.registry.receive({"call_id": "c2"}, project_id="p")
    assert room.leg() is not None
    assert (room.registry.call_ids, room.registry.turned_away) == (["c1", "l1"], 1)


def test_a_call_that_is_over_when_it_is_announced_is_refused() -> None:
    room = Room()
    with pytest.raises(RemoteProtocolError, match="over") as fault:
        room.registry.receive({"call_id": "c1", "call_state": "ended"}, project_id="p")
    assert fault.value.close_code == 1007
    assert (len(room.registry), room.taken()) == (0, [])


def test_a_leg_is_an_outbound_call() -> None:
    room = Room()
    record = room.leg(node_id="n", device={"type": "sip"}, call_state="ringing")
    assert record is not None
    assert (record.direction, record.tag, record.node_id, record.device) == ("outbound", "t", "n", {"type": "sip"})
    assert room.leg(tag="other", node_id="m") is record
    assert (record.node_id, record.tag) == ("n", "t")
    assert room.taken() == []


def test_a_leg_that_is_known_learns_its_node() -> None:
    room = Room()
    record = room.leg()
    room.leg(node_id="n")
    assert record is not None
    assert record.node_id == "n"


def test_an_answered_leg_is_answered_without_an_event_of_its_own() -> None:
    room = Room()
    record = room.receive()
    room.registry.answered(record)
    assert record.state is RelayCallState.ANSWERED


def test_states_may_be_skipped_but_never_go_back() -> None:
    room = Room()
    record = room.receive()
    for state, expected in (
        ("answered", "answered"),
        ("ringing", "answered"),
        ("nonsense", "answered"),
        (7, "answered"),
    ):
        room.deliver(CALL_STATE, call_id="c1", call_state=state)
        assert record.state.value == expected
    assert len(room.taken()) == 5, "they are told all the same"


def test_a_state_event_may_tell_the_node() -> None:
    room = Room()
    record = room.receive()
    odd: Json = ["x"]
    for node_id in (odd, "n", "m"):
        room.deliver(CALL_STATE, call_id="c1", node_id=node_id)
    assert record.node_id == "n"


def test_the_end_is_told_in_order_and_frees_the_place() -> None:
    room = running()
    payload = room.deliver(CALL_STATE, call_id="c1", call_state="ended")
    over, told, end = room.taken()
    assert (type(over), over.end) == (ActionOver, ActionEnd.CALL_ENDED)
    assert told == CallTold(call_id="c1", event_type=CALL_STATE, payload=payload)
    assert end == CallOver(call_id="c1", payload=payload)
    assert (len(room.registry), room.registry.actions, room.registry.get("c1")) == (0, 0, None)


@pytest.mark.parametrize("call_id", ["c9", None, ""])
def test_events_of_calls_nobody_knows_are_counted(call_id: Json) -> None:
    room = Room()
    room.receive()
    room.taken()
    room.deliver(PLAYED, call_id=call_id)
    assert (room.taken(), room.registry.unrouted) == ([], 1)


@pytest.mark.parametrize("wrong", [[], {}, 1, True, "x" * 5000])
@pytest.mark.parametrize("field", ["call_id", "control_id"])
def test_an_event_that_cannot_be_routed_changes_nothing(field: str, wrong: Json) -> None:
    room = running()
    with pytest.raises(RemoteProtocolError, match=field):
        room.deliver(CALL_STATE, **{"call_id": "c1", "call_state": "ended", field: wrong})
    record = room.registry.get("c1")
    assert record is not None
    assert (record.state, room.registry.actions, room.taken()) == (RelayCallState.CREATED, 1, [])


# -------------------------------------------------------------------------------------------- actions


@pytest.mark.parametrize("kind", ACTION_KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_ended_by_its_own_event_and_by_no_other(kind: ActionKind) -> None:
    room = Room()
    room.receive()
    room.start(kind=kind)
    for other in {one.event for one in ACTION_KINDS} - {kind.event}:
        room.deliver(other, call_id="c1", control_id="a1", state="finished")
    room.deliver(kind.event, call_id="c1", control_id="a2", state=kind.terminal[-1])
    assert room.registry.actions == 1
    room.taken()
    payload = room.deliver(kind.event, call_id="c1", control_id="a1", state=kind.terminal[-1])
    over, told = room.taken()
    assert over == ActionOver(call_id="c1", control_id="a1", end=ActionEnd.COMPLETED, payload=payload)
    assert told.payload == payload
    room.deliver(kind.event, call_id="c1", control_id="a1", state=kind.terminal[-1])
    assert [type(one) for one in room.taken()] == [CallTold]


def test_an_action_that_is_over_leaves_nothing_behind_while_its_call_goes_on() -> None:
    room = running("a1", "a2")
    for control_id in ("a1", "a2"):
        room.deliver(PLAYED, call_id="c1", control_id=control_id, state="finished")
    assert [type(one) for one in room.taken()].count(ActionOver) == 2
    assert room.registry._actions == {}  # noqa: SLF001 - what it holds shows nowhere else


def test_progress_ends_nothing() -> None:
    room = running()
    room.deliver(PLAYED, call_id="c1", control_id="a1", state="playing")
    assert (room.registry.actions, len(room.taken())) == (1, 1)


def test_the_playing_of_a_prompt_does_not_end_its_collecting() -> None:
    room = Room()
    room.receive()
    room.start(kind=PLAY_AND_COLLECT)
    room.deliver(PLAYED, call_id="c1", control_id="a1", state="finished")
    assert room.registry.actions == 1


def test_a_rule_of_the_caller_s_own_counts() -> None:
    room = Room()
    room.receive()
    room.registry.start("c1", "a1", COLLECT, by_first_result)
    room.deliver(COLLECT.event, call_id="c1", control_id="a1", result={"type": "speech"}, final=False)
    assert room.registry.actions == 0


def test_the_same_control_id_on_another_call_is_another_action() -> None:
    room = running()
    room.receive("c2")
    room.start(call_id="c2")
    room.deliver(PLAYED, call_id="c2", control_id="a1", state="finished")
    assert room.registry.actions == 1


def test_a_start_needs_a_call_a_free_id_and_room() -> None:
    room = Room(actions_per_call=2)
    room.receive()
    room.start("a1")
    room.start("a2")
    for call_id, control_id, what in (("c9", "a", "is over"), ("c1", "a1", "in use"), ("c1", "a3", "2 actions run")):
        with pytest.raises(LocalProtocolError, match=what):
            room.start(control_id, call_id=call_id)
    assert room.registry.actions == 2


def test_a_refused_start_frees_the_id_and_tells_nothing() -> None:
    room = running("a1", "a2")
    room.start("a3")
    for _ in range(2):
        room.registry.refused("c1", "a3")
    assert (room.registry.actions, room.taken()) == (2, [])
    room.start("a3")


@pytest.mark.parametrize("answer", ["accepted", "refused", "action_gone"])
def test_an_answer_that_was_overtaken_by_the_end_changes_nothing(answer: str) -> None:
    room = Room()
    room.receive()
    room.start()
    room.deliver(PLAYED, call_id="c1", control_id="a1", state="finished")
    room.taken()
    getattr(room.registry, answer)("c1", "a1")
    getattr(room.registry, answer)("c9", "a1")
    assert room.taken() == []


def test_an_action_of_a_call_that_is_gone_is_over() -> None:
    room = Room()
    room.receive()
    room.start()
    room.taken()
    room.registry.action_gone("c1", "a1")
    (over,) = room.taken()
    assert (over.end, over.payload) == (ActionEnd.CALL_GONE, {"event_type": "", "params": {"reason": "call gone"}})


def test_a_call_that_is_gone_ends_like_any_other() -> None:
    room = running("a1", "a2")
    record = room.registry.get("c1")
    room.registry.gone("c1")
    room.registry.gone("c1")
    first, second, told, over = room.taken()
    assert {first.end, second.end} == {ActionEnd.CALL_GONE}
    assert told.payload == over.payload
    params = over.payload["params"]
    assert params == {"call_id": "c1", "call_state": "ended", "end_reason": "notFound"}
    assert record is not None
    assert record.state is RelayCallState.ENDED


@pytest.mark.parametrize("end", [ActionEnd.DISCONNECTED, ActionEnd.CONNECTION_LOST])
def test_giving_up_ends_every_call_and_every_action_once(end: ActionEnd) -> None:
    room = running("a1", "a2")
    room.receive("c2")
    room.taken()
    room.registry.give_up(end)
    told = room.taken()
    kinds = [type(one) for one in told]
    assert kinds == [ActionOver, ActionOver, CallTold, CallOver, CallTold, CallOver]
    assert told[3].payload["params"]["end_reason"] == end.value
    room.registry.give_up(end)
    assert (room.taken(), len(room.registry), room.registry.actions) == ([], 0, 0)


def test_actions_are_lost_if_they_ran_and_kept_if_they_are_still_to_start() -> None:
    room = running("a1", "a2")
    room.start("a3")
    room.registry.lose_actions()
    assert [(one.control_id, one.end) for one in room.taken()] == [
        ("a1", ActionEnd.CONNECTION_LOST),
        ("a2", ActionEnd.CONNECTION_LOST),
    ]
    assert (room.registry.actions, len(room.registry)) == (1, 1)
