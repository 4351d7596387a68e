"""The rules that stand behind the rows; the rows themselves are tested in tests/tables."""

import pytest

from telcoflow_proto.control.table import (
    CONTROL_TABLE,
    SESSION_TABLE,
    ControlState,
    ControlWord,
    SessionState,
    SessionWord,
)
from telcoflow_proto.roles import Role

PUSHED = (ControlWord.NOTIFY, ControlWord.CALL_IN, ControlWord.MESSAGE_IN, ControlWord.SESSION_CLOSED)


def test_the_set_up_is_the_first_and_only_thing_a_client_says_before_it_is_ready() -> None:
    assert CONTROL_TABLE.sayable(ControlState.NEW, Role.CLIENT) == [ControlWord.SETUP]
    assert CONTROL_TABLE.sayable(ControlState.SETTING_UP, Role.CLIENT) == []


@pytest.mark.parametrize("word", PUSHED, ids=lambda word: word.value)
def test_what_is_pushed_too_early_is_heard_silently(word: ControlWord) -> None:
    row = CONTROL_TABLE.find(ControlState.SETTING_UP, Role.SERVER, word)
    assert row is not None
    assert row.crossing


@pytest.mark.parametrize("state", SessionState, ids=lambda state: state.value)
def test_a_session_can_be_announced_and_closed_in_every_state_but_a_claim_is_answered_first(
    state: SessionState,
) -> None:
    closing = set() if state is SessionState.CLAIMING else {SessionWord.CLOSED}
    said = {SessionWord.NOTIFY, SessionWord.CLOSED} & set(SESSION_TABLE.sayable(state, Role.SERVER))
    assert said == {SessionWord.NOTIFY} | closing


def test_nothing_comes_for_a_session_before_it_is_ready() -> None:
    early = {SessionState.UNCLAIMED, SessionState.CLAIMING, SessionState.CLAIMED}
    for state in early:
        assert not {SessionWord.CALL_IN, SessionWord.MESSAGE_IN} & set(SESSION_TABLE.sayable(state, Role.SERVER))


def test_a_session_that_is_over_can_be_asked_for_once_more() -> None:
    row = SESSION_TABLE.find(SessionState.CLOSED, Role.CLIENT, SessionWord.OPEN)
    assert row is not None
    assert (row.next_state, row.crossing) == (SessionState.CLAIMING, False)
