"""When an action is over: every rule, with the events the vendor's wire notes and its client know."""

from typing import Any

import pytest

from telcoflow_proto.relay.methods import ACTION_KINDS, ActionKind
from telcoflow_proto.relay.resolution import (
    by_continuous_end,
    by_detection,
    by_fax_type,
    by_final_result,
    by_first_result,
    by_payment_result,
    by_state,
)

STATES = [(kind, state) for kind in ACTION_KINDS for state in kind.states]
IDS = [f"{kind.name}-{state}" for kind, state in STATES]
ODD: list[Any] = [None, True, 1, 2.5, "", [], {}, ["finished"], {"finished": 1}]
DIGIT = {"type": "digit", "params": {"digits": "1234", "terminator": "#"}}
SPEECH = {"type": "speech", "params": {"text": "hello", "confidence": 83.2}}


@pytest.mark.parametrize(("kind", "state"), STATES, ids=IDS)
def test_a_kind_is_over_in_its_terminal_states_and_in_no_other(kind: ActionKind, state: str) -> None:
    assert kind.over({"control_id": "c", "state": state}) is (state in kind.terminal)


@pytest.mark.parametrize("kind", ACTION_KINDS, ids=lambda kind: kind.name)
def test_no_kind_is_over_with_an_event_that_says_nothing(kind: ActionKind) -> None:
    assert kind.over({}) is False
    assert kind.over({"control_id": "c", "call_id": "k"}) is False
    assert kind.over({"state": "never heard of"}) is False


@pytest.mark.parametrize("kind", ACTION_KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_no_kind_is_over_with_a_state_that_is_no_state(kind: ActionKind, odd: Any) -> None:
    assert kind.over({"state": odd}) is False


def test_by_state_knows_only_its_own() -> None:
    rule = by_state("done", "failed")
    assert rule({"state": "done"})
    assert rule({"state": "failed"})
    assert not rule({"state": "finished"})


@pytest.mark.parametrize(
    ("event", "final", "continuous", "first"),
    [
        ({"result": DIGIT}, True, False, True),
        ({"result": SPEECH}, True, False, True),
        ({"result": SPEECH, "final": True}, True, False, True),
        ({"result": SPEECH, "final": False}, False, False, True),
        ({"result": SPEECH, "final": None}, True, False, True),
        ({"result": SPEECH, "final": False, "state": "collecting"}, False, False, True),
        ({"result": SPEECH, "final": True, "state": "collecting"}, True, False, True),
        ({"result": DIGIT, "final": False, "state": "finished"}, True, True, True),
        ({"result": {"type": "start_of_input"}}, False, False, True),
        ({"result": {"type": "start_of_input"}, "final": True}, False, False, True),
        ({"result": {"type": "no_input"}}, True, True, True),
        ({"result": {"type": "no_match"}}, True, False, True),
        ({"result": {"type": "error"}}, True, True, True),
        ({"result": {"type": "finished"}}, True, True, True),
        ({"result": {"type": ["finished"]}}, True, False, True),
        ({"result": {}}, False, False, False),
        ({"result": None}, False, False, False),
        ({"result": "finished"}, False, False, True),
        ({"state": "collecting"}, False, False, False),
        ({"state": "finished"}, True, True, True),
        ({"state": "error"}, True, True, True),
        ({"state": "no_input"}, True, True, True),
        ({"state": "no_match"}, True, False, True),
        ({"state": "finished", "result": {}}, True, True, True),
    ],
)
def test_a_collect_is_over_in_three_ways(event: dict[str, Any], final: bool, continuous: bool, first: bool) -> None:
    assert by_final_result(event) is final
    assert by_continuous_end(event) is continuous
    assert by_first_result(event) is first


@pytest.mark.parametrize(
    ("event", "over"),
    [
        ({"detect": {"type": "machine", "params": {"event": "MACHINE"}}}, True),
        ({"detect": {"type": "machine", "params": {"event": "finished"}}}, True),
        ({"detect": {"type": "fax", "params": {"event": "CED"}}}, True),
        ({"detect": {"type": "digit", "params": {"event": "1"}}}, True),
        ({"detect": {}}, False),
        ({"state": "finished"}, True),
        ({"state": "error"}, True),
        ({"state": "detecting"}, False),
    ],
)
def test_a_detection_is_over_with_the_first_thing_it_says(event: dict[str, Any], over: bool) -> None:
    assert by_detection(event) is over


@pytest.mark.parametrize(
    ("event", "over"),
    [
        ({"fax": {"type": "page", "params": {"direction": "send", "number": 1}}}, False),
        ({"fax": {"type": "finished", "params": {"pages": 2, "success": True}}}, True),
        ({"fax": {"type": "error", "params": {}}}, True),
        ({"fax": {"type": "page"}, "state": "finished"}, True),
        ({"state": "error"}, True),
        ({"fax": {"type": 1}}, False),
        ({"fax": "finished"}, False),
        ({"fax": {}}, False),
    ],
)
def test_a_fax_is_over_by_its_type_or_its_state(event: dict[str, Any], over: bool) -> None:
    assert by_fax_type(event) is over


@pytest.mark.parametrize(
    ("event", "over"),
    [
        ({"for": "payment-card-number", "attempt": 1}, False),
        ({"for": "expiration-date", "error_type": "timeout"}, False),
        ({"result": "success", "payment_confirmation_code": "c"}, True),
        ({"result": "too-many-failed-attempts"}, True),
        ({"result": "caller-hung-up"}, True),
        ({"result": ""}, False),
        ({"state": "finished"}, True),
        ({"state": "error"}, True),
    ],
)
def test_a_payment_is_over_with_its_result_or_its_state(event: dict[str, Any], over: bool) -> None:
    assert by_payment_result(event) is over


def test_the_kinds_have_the_rules_that_fit_their_events() -> None:
    rules = {kind.name: kind.over for kind in ACTION_KINDS}
    assert rules["collect"] is rules["play_and_collect"] is by_final_result
    assert rules["detect"] is by_detection
    assert rules["send_fax"] is rules["receive_fax"] is by_fax_type
    assert rules["pay"] is by_payment_result
