"""The rules that stand beside the rows; the rows themselves are tested in tests/tables."""

import pytest

from telcoflow_proto.media.table import CALL_TABLE, COMMANDS, GRACE, RING_TIMES, CallState, CallWord
from telcoflow_proto.roles import Role


def test_a_call_begins_pending() -> None:
    assert CALL_TABLE.start is CallState.PENDING


@pytest.mark.parametrize("word", COMMANDS, ids=lambda word: word.value)
def test_every_command_can_be_said_somewhere_and_both_its_answers_can_be_given_there(word: CallWord) -> None:
    rule = COMMANDS[word]
    where = [state for state in CallState if word in CALL_TABLE.sayable(state, Role.CLIENT)]
    assert where
    for state in where:
        assert {rule.done, rule.refused} <= set(CALL_TABLE.sayable(state, Role.SERVER))


@pytest.mark.parametrize("word", COMMANDS, ids=lambda word: word.value)
def test_every_command_may_cross_the_end_of_the_call(word: CallWord) -> None:
    row = CALL_TABLE.find(CallState.DISCONNECTED, Role.CLIENT, word)
    assert row is not None
    assert row.crossing


def test_only_a_connect_brings_its_own_deadline() -> None:
    assert {word: rule.within for word, rule in COMMANDS.items() if rule.within != 10.0} == {CallWord.CONNECT: None}


def test_the_numbers_of_the_wire_notes() -> None:
    assert (GRACE, RING_TIMES[0], RING_TIMES[-1]) == (5.0, 1, 120)


def test_a_command_that_is_refused_does_not_move_the_call() -> None:
    refusals = {rule.refused for rule in COMMANDS.values()}
    assert all(row.next_state is row.state for row in CALL_TABLE.rows if row.message in refusals)


def test_the_rules_of_the_commands_are_those_of_the_wire_notes() -> None:
    assert {word.value: (rule.within, rule.once, rule.mode) for word, rule in COMMANDS.items()} == {
        "call.answer": (10.0, True, None),
        "call.connect": (None, False, "barge"),
        "agent.whisper": (10.0, False, "whisper"),
        "agent.barge": (10.0, False, "barge"),
        "agent.spy": (10.0, False, "spy"),
        "agent.interrupt": (10.0, False, None),
        "call.close": (10.0, True, None),
        "call.disconnect": (10.0, True, None),
    }
