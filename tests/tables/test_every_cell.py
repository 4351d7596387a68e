"""Every cell of every table, legal or not: state x sender x message x role.

Generated from the tables themselves, so a new row, state or message is tested the day it is written.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from telcoflow_proto.client_table import CLIENT_TABLE
from telcoflow_proto.control.table import CONTROL_TABLE, SESSION_TABLE
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.link_table import LINK_TABLE
from telcoflow_proto.machine import Machine, Row, Table
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.codec import encode_media
from telcoflow_proto.media.messages import CallNotice, Command, CommandResponse
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.media.table import CALL_TABLE, COMMANDS, CallState, CallWord
from telcoflow_proto.relay.table import (
    ACTION_TABLE,
    DIAL_TABLE,
    RELAY_CALL_TABLE,
    RELAY_CLIENT_TABLE,
    RELAY_TABLE,
    ActionState,
    DialState,
)
from telcoflow_proto.roles import Role
from tests.media.calls import (
    COMMAND_VERBS,
    T0,
    StillListening,
    buffer_request,
    call_event,
    client_in,
    seen,
    server_in,
)

TABLES: list[Table[Any, Any]] = [
    LINK_TABLE,
    CLIENT_TABLE,
    CONTROL_TABLE,
    SESSION_TABLE,
    CALL_TABLE,
    RELAY_TABLE,
    RELAY_CALL_TABLE,
    ACTION_TABLE,
    DIAL_TABLE,
    RELAY_CLIENT_TABLE,
]
ENDS: dict[str, set[Enum]] = {
    ACTION_TABLE.name: {ActionState.OVER, ActionState.REFUSED},
    DIAL_TABLE.name: {DialState.ANSWERED, DialState.FAILED},
}
"""Where a life can end in more than one way; elsewhere it ends in the last state."""


def states_of(table: Table[Any, Any]) -> list[Enum]:
    return list(type(table.start).__members__.values())


def words_of(table: Table[Any, Any]) -> list[Enum]:
    return list(type(table.rows[0].message).__members__.values())


def reachable(table: Table[Any, Any], start: Enum) -> set[Enum]:
    found = {start}
    while more := {row.next_state for row in table.rows if row.state in found} - found:
        found |= more
    return found


def machine_in(table: Table[Any, Any], role: Role, state: Enum) -> Machine[Any, Any]:
    machine: Machine[Any, Any] = Machine(table, role)
    machine.state = state
    return machine


CELLS = [
    pytest.param(table, state, sender, word, id=f"{table.name}: {state.value}, {sender.value} {word.value}")
    for table in TABLES
    for state in states_of(table)
    for sender in Role
    for word in words_of(table)
]
BY_NAME = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@pytest.mark.parametrize(("table", "state", "sender", "word"), CELLS)
def test_both_ends_agree_on_a_cell(table: Table[Any, Any], state: Enum, sender: Role, word: Enum) -> None:
    row = table.find(state, sender, word)
    speaker, hearer = machine_in(table, sender, state), machine_in(table, sender.peer, state)

    if row is not None and not row.crossing:
        assert speaker.check(word) is row
        assert speaker.state is state, "checking is not saying"
        assert speaker.say(word) is row
        assert speaker.state is row.next_state
    else:
        with pytest.raises(LocalProtocolError) as refusal:
            speaker.say(word)
        assert speaker.state is state
        allowed = [one.value for one in table.sayable(state, sender)]
        assert str(refusal.value) == (
            f"the {sender.value} cannot say {word.value!r} while the {table.name} is {state.value!r}; "
            f"allowed now: {', '.join(allowed) or 'nothing'}"
        )

    assert hearer.hear(word) is row
    assert hearer.state is (state if row is None else row.next_state)


@BY_NAME
def test_every_state_can_be_reached_and_can_reach_the_end(table: Table[Any, Any]) -> None:
    *_, last = states_of(table)
    ends = ENDS.get(table.name, {last})
    assert reachable(table, table.start) == set(states_of(table))
    assert all(ends & reachable(table, state) for state in states_of(table))
    assert table.name not in ENDS or all(reachable(table, end) == {end} for end in ends)


@BY_NAME
def test_every_row_has_a_reason_and_every_word_a_row(table: Table[Any, Any]) -> None:
    assert all(row.reason.strip() for row in table.rows)
    assert {row.message for row in table.rows} == set(words_of(table))


@BY_NAME
def test_a_crossing_row_never_moves(table: Table[Any, Any]) -> None:
    assert all(row.next_state is row.state for row in table.rows if row.crossing)


@BY_NAME
def test_what_may_be_said_is_listed_in_the_order_of_the_rows(table: Table[Any, Any]) -> None:
    for state in states_of(table):
        for sender in Role:
            legal = [row for row in table.rows if (row.state, row.sender, row.crossing) == (state, sender, False)]
            said = [row.message for row in legal if row.message not in table.unspoken]
            assert table.sayable(state, sender) == said


def test_a_key_that_appears_twice_is_refused() -> None:
    row = CALL_TABLE.rows[0]
    with pytest.raises(ValueError, match="table twice: two rows for"):
        Table("twice", start=row.state, rows=[row, Row(row.state, row.sender, row.message, row.state, "again")])


# ------------------------------------------------------------------ the cells of a call, on the wire

ANSWERED_BY = {rule.done: word for word, rule in COMMANDS.items()} | {
    CallWord.ANSWER_REFUSED: CallWord.ANSWER,
    CallWord.CONNECT_REFUSED: CallWord.CONNECT,
    CallWord.DONE: CallWord.INTERRUPT,
    CallWord.REFUSED: CallWord.INTERRUPT,
}
"""Which command draws this word as its answer."""

REFUSALS = (CallWord.ANSWER_REFUSED, CallWord.CONNECT_REFUSED, CallWord.REFUSED)
OLDER_NAMES = {CallWord.ANSWERED: "call.answered", CallWord.CONNECTED: "call.connected"}


def snapshot(end: MediaClient | MediaServer) -> tuple[object, ...]:
    """All that a refused verb must leave as it is; the output is looked at by the caller."""
    return end.state, end.next_deadline(), end.unexpected, end.bad_frames, end.end_reason


def client_verb(word: CallWord) -> Callable[[MediaClient], object]:
    if word is CallWord.AUDIO:
        return lambda client: client.send_audio(b"\1\0", now=T0)
    return COMMAND_VERBS[word.value]


SERVER_VERBS: dict[CallWord, Callable[[MediaServer], object]] = {
    CallWord.TERMINATED: lambda server: server.terminate(now=T0),
    CallWord.ERROR: lambda server: server.report_error("E", "text", now=T0),
    CallWord.NOTICE: lambda server: server.notify("call.transferred", {}, now=T0),
    CallWord.CREDIT: lambda server: server.request_audio(960, now=T0),
    CallWord.AUDIO: lambda server: server.send_audio(b"\1\0", now=T0),
}


@pytest.mark.parametrize("word", [*COMMANDS, CallWord.AUDIO], ids=lambda word: word.value)
@pytest.mark.parametrize("state", CallState, ids=lambda state: state.value)
def test_the_client_says_what_the_table_allows_and_nothing_else(state: CallState, word: CallWord) -> None:
    client = client_in(state)
    row = CALL_TABLE.find(state, Role.CLIENT, word)
    before = snapshot(client)
    if row is not None and not row.crossing:
        client_verb(word)(client)
        assert client.state is row.next_state
        assert client.messages_to_send(now=T0) or client.bytes_queued
        return
    with pytest.raises(LocalProtocolError) as refusal:
        client_verb(word)(client)
    assert snapshot(client) == before
    assert (client.messages_to_send(), seen(client), client.bytes_queued) == ([], [], 0)
    if state is not CallState.DISCONNECTED:  # there the class says it all: CallOver
        assert state.value in str(refusal.value)
        assert f"allowed now: {CALL_TABLE.sayable(state, Role.CLIENT)[0].value}, " in str(refusal.value)


@pytest.mark.parametrize("word", [*COMMANDS, CallWord.AUDIO], ids=lambda word: word.value)
@pytest.mark.parametrize("state", CallState, ids=lambda state: state.value)
def test_the_server_hears_what_the_table_allows_and_answers_the_rest(state: CallState, word: CallWord) -> None:
    server = server_in(state)
    row = CALL_TABLE.find(state, Role.CLIENT, word)
    if word is CallWord.AUDIO:
        server.receive_message(b"\0\1\0", now=T0)
        assert (server.next_audio() is not None) == (row is not None and not row.crossing)
    else:
        ring_time = 20 if word is CallWord.CONNECT else None
        said = Command(command_id="now", command=word, timeout_ms=9000, ring_time_seconds=ring_time)
        server.receive_message(encode_media(said), now=T0)
        asked = any(type(event).__name__ == "CommandReceived" for event in seen(server))
        answered = bool(server.messages_to_send(now=T0))
        assert asked == (row is not None and not row.crossing)
        assert asked != answered, "a command is put to the application, or answered at once"
    assert server.state is state
    assert server.unexpected == (row is None)
    assert server.bad_frames == 0


@pytest.mark.parametrize("word", SERVER_VERBS, ids=lambda word: word.value)
@pytest.mark.parametrize("state", CallState, ids=lambda state: state.value)
def test_the_server_says_what_the_table_allows_and_nothing_else(state: CallState, word: CallWord) -> None:
    server = server_in(state)
    row = CALL_TABLE.find(state, Role.SERVER, word)
    before = snapshot(server)
    if row is not None and not row.crossing:
        SERVER_VERBS[word](server)
        assert server.state is row.next_state
        assert server.messages_to_send(now=T0)
        return
    with pytest.raises(LocalProtocolError):
        SERVER_VERBS[word](server)
    assert snapshot(server) == before
    assert (server.messages_to_send(), seen(server)) == ([], [])


@pytest.mark.parametrize("word", ANSWERED_BY, ids=lambda word: word.value)
@pytest.mark.parametrize("state", CallState, ids=lambda state: state.value)
def test_the_server_answers_what_it_was_asked_in_this_state(state: CallState, word: CallWord) -> None:
    server = server_in(state)
    asked = ANSWERED_BY[word]
    heard = CALL_TABLE.find(state, Role.CLIENT, asked)
    server.receive_message(
        encode_media(Command(command_id="now", command=asked, timeout_ms=9000, ring_time_seconds=20)), now=T0
    )
    before = snapshot(server)
    said = server.messages_to_send(now=T0)

    def answer() -> None:
        if word in REFUSALS:
            server.refuse("now", error_code="NO", now=T0)
        else:
            server.succeed("now", now=T0)

    if heard is None or heard.crossing:
        assert len(said) == 1, "it was answered at once"
        with pytest.raises(LocalProtocolError):
            answer()
        assert snapshot(server) == before
        assert server.messages_to_send(now=T0) == []
        return
    answer()
    row = CALL_TABLE.find(state, Role.SERVER, word)
    assert row is not None
    assert server.state is row.next_state
    assert len(server.messages_to_send(now=T0)) == (2 if row.next_state is CallState.DISCONNECTED else 1)


def wire_of(word: CallWord, client: MediaClient) -> list[str | bytes]:
    """The frames with which a server says ``word``; a response needs its command, which may wait or not."""
    plain: dict[CallWord, list[str | bytes]] = {
        CallWord.AUDIO: [b"\0\1\0"],
        CallWord.CREDIT: [buffer_request(960)],
        CallWord.TERMINATED: [call_event("call.terminated")],
        CallWord.ERROR: [call_event("call.error", error_code="E")],
        CallWord.NOTICE: [call_event("call.transferred", to="x")],
    }
    if word in plain:
        return plain[word]
    if word in OLDER_NAMES:
        return [call_event(OLDER_NAMES[word])]
    verb = COMMAND_VERBS[ANSWERED_BY[word].value]
    try:
        command_id = verb(client)
    except LocalProtocolError:
        command_id = "never said"
    client.messages_to_send()
    return [encode_media(CommandResponse(command_id=command_id, success=word not in REFUSALS))]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        pytest.param(state, word, id=f"{state.value}, {word.value}")
        for state in CallState
        for word in [*SERVER_VERBS, *ANSWERED_BY]
    ],
)
def test_the_client_hears_what_the_table_allows_and_ignores_the_rest(state: CallState, word: CallWord) -> None:
    client = client_in(state, StillListening)
    row = CALL_TABLE.find(state, Role.SERVER, word)
    for message in wire_of(word, client):
        client.receive_message(message, now=T0)
    assert client.bad_frames == 0
    if row is None or row.crossing:
        assert client.state is state
        assert seen(client) == []
        assert client.statistics().credit == 0
    else:
        answers_nothing = client.unexpected  # the state forbade the command, so there is nothing to answer
        assert client.state is (state if answers_nothing else row.next_state)


@pytest.mark.parametrize("state", CallState, ids=lambda state: state.value)
@pytest.mark.parametrize("word", [CallWord.SESSION_CLOSED, CallWord.LOST], ids=lambda word: word.value)
def test_what_ends_a_call_from_outside_ends_it_in_every_state(state: CallState, word: CallWord) -> None:
    client = client_in(state)
    if word is CallWord.LOST:
        client.receive_close(now=T0)
    else:
        client.session_closed("FORCE_CLOSE", now=T0)
    row = CALL_TABLE.find(state, Role.SERVER, word)
    assert row is not None
    assert client.state is row.next_state
    ends = [event for event in seen(client) if type(event).__name__ == "CallEnded"]
    assert len(ends) == (state is not CallState.DISCONNECTED)


@pytest.mark.parametrize("state", CallState, ids=lambda state: state.value)
def test_the_server_loses_its_connection_in_every_state(state: CallState) -> None:
    server = server_in(state)
    server.receive_close(now=T0)
    assert server.state is CallState.DISCONNECTED
    ends = [event for event in seen(server) if type(event).__name__ == "CallEnded"]
    assert len(ends) == (state is not CallState.DISCONNECTED)


def test_every_word_of_the_call_table_was_said_and_heard_above() -> None:
    outside = {CallWord.SESSION_CLOSED, CallWord.LOST}
    assert {*COMMANDS, *SERVER_VERBS, *ANSWERED_BY, *outside} == set(CallWord)


def test_a_notice_of_an_unknown_kind_is_a_notice() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(encode_media(CallNotice(event="call.unheard_of")), now=T0)
    assert [type(event).__name__ for event in seen(client)] == ["CallNoticed"]
