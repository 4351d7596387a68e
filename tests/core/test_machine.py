"""Tables of rows, and the machine that walks one."""

import enum

import pytest

from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.machine import Machine, Row, Table
from telcoflow_proto.roles import Role

C, V = Role.CLIENT, Role.SERVER


class Door(enum.Enum):
    SHUT = "shut"
    OPEN = "open"
    GONE = "gone"


class Word(enum.Enum):
    KNOCK = "knock"
    COME_IN = "come in"
    LEAVE = "leave"


TABLE = Table(
    "door",
    start=Door.SHUT,
    rows=[
        Row(Door.SHUT, C, Word.KNOCK, Door.SHUT, "knocking opens nothing"),
        Row(Door.SHUT, V, Word.COME_IN, Door.OPEN, "only the host opens"),
        Row(Door.OPEN, C, Word.KNOCK, Door.OPEN, "knocked before it saw the door open", crossing=True),
        *(Row(Door.OPEN, who, Word.LEAVE, Door.GONE, "anybody may leave") for who in Role),
    ],
)
CELLS = [(state, role, word) for state in Door for role in Role for word in Word]


def machine(role: Role, state: Door = Door.SHUT) -> Machine[Door, Word]:
    made = Machine(TABLE, role)
    made.state = state
    return made


def test_a_machine_begins_in_the_start_state() -> None:
    assert Machine(TABLE, C).state is Door.SHUT


def test_two_rows_for_one_key_are_refused() -> None:
    rows = [Row(Door.SHUT, C, Word.KNOCK, after, "whatever") for after in (Door.SHUT, Door.OPEN)]
    with pytest.raises(ValueError, match=r"table door: two rows for .*SHUT.*KNOCK"):
        Table("door", start=Door.SHUT, rows=rows)


@pytest.mark.parametrize(("state", "sender", "word"), CELLS)
def test_every_cell_is_found_as_written_or_not_at_all(state: Door, sender: Role, word: Word) -> None:
    rows = [row for row in TABLE.rows if (row.state, row.sender, row.message) == (state, sender, word)]
    assert TABLE.find(state, sender, word) is (rows[0] if rows else None)


@pytest.mark.parametrize(("state", "role", "word"), CELLS)
def test_what_may_be_said_is_a_row_that_does_not_cross(state: Door, role: Role, word: Word) -> None:
    ours = machine(role, state)
    row = TABLE.find(state, role, word)
    if row is None or row.crossing:
        for refuse in (ours.check, ours.say):
            with pytest.raises(LocalProtocolError):
                refuse(word)
        assert ours.state is state
        assert word not in TABLE.sayable(state, role)
    else:
        assert word in TABLE.sayable(state, role)
        assert ours.check(word) is row
        assert ours.state is state, "checking moves nothing"
        assert ours.say(word) is row
        assert ours.state is row.next_state


@pytest.mark.parametrize(("state", "role", "word"), CELLS)
def test_what_may_be_heard_is_a_row_of_the_peer_crossing_or_not(state: Door, role: Role, word: Word) -> None:
    ours = machine(role, state)
    row = TABLE.find(state, role.peer, word)
    assert ours.hear(word) is row
    assert ours.state is (row.next_state if row else state)


@pytest.mark.parametrize(
    ("role", "state", "word", "message"),
    [
        (C, Door.OPEN, Word.KNOCK, "the client cannot say 'knock' while the door is 'open'; allowed now: leave"),
        (V, Door.SHUT, Word.LEAVE, "the server cannot say 'leave' while the door is 'shut'; allowed now: come in"),
        (V, Door.GONE, Word.LEAVE, "the server cannot say 'leave' while the door is 'gone'; allowed now: nothing"),
    ],
)
def test_a_refusal_names_who_what_where_and_what_is_allowed(role: Role, state: Door, word: Word, message: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        machine(role, state).say(word)
    assert str(refusal.value) == message


def test_all_that_may_be_said_is_listed_in_the_order_of_the_rows() -> None:
    rows = [Row(Door.SHUT, C, word, Door.SHUT, "noise") for word in (Word.LEAVE, Word.KNOCK, Word.COME_IN)]
    table = Table("noise", start=Door.SHUT, rows=rows)
    assert table.sayable(Door.SHUT, C) == [Word.LEAVE, Word.KNOCK, Word.COME_IN]
    assert table.sayable(Door.SHUT, V) == []
