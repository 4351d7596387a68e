"""The agent's end of a call: commands that end exactly once, calls that end exactly once, speech on credit."""

import json
import uuid
from collections.abc import Callable
from typing import Any, final

import pytest

from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.errors import CallOver, LocalProtocolError, PlayoutFull
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.events import (
    CallChanged,
    CallEnded,
    CallErrorReported,
    CallFailedToMove,
    CallNoticed,
    CommandDone,
    EndReason,
    PlayoutFinished,
)
from telcoflow_proto.media.messages import Command
from telcoflow_proto.media.table import COMMANDS, CallState, CallWord
from telcoflow_proto.recording import StereoTrack
from telcoflow_proto.replies import Outcome
from telcoflow_proto.websocket import Close
from tests.media.calls import (
    COMMAND_VERBS,
    T0,
    StillListening,
    buffer_request,
    call_event,
    clear,
    client_in,
    entropy,
    new_client,
    response,
    said,
    seen,
)

WHERE = {
    CallWord.ANSWER: CallState.PENDING,
    CallWord.CONNECT: CallState.ANSWERED,
    CallWord.WHISPER: CallState.CONNECTED,
    CallWord.BARGE: CallState.CONNECTED,
    CallWord.SPY: CallState.CONNECTED,
    CallWord.INTERRUPT: CallState.ANSWERED,
    CallWord.CLOSE: CallState.CONNECTED,
    CallWord.DISCONNECT: CallState.PENDING,
}
"""A state in which each command may be said."""

LEAVING = (CallWord.CLOSE, CallWord.DISCONNECT)
EVERY_COMMAND = pytest.mark.parametrize("word", WHERE, ids=lambda word: word.value)


def say(client: MediaClient, word: CallWord) -> str:
    return COMMAND_VERBS[word.value](client)


def outcomes(events: list[Any]) -> list[tuple[CallWord, Outcome]]:
    return [(event.command, event.outcome) for event in events if isinstance(event, CommandDone)]


# ------------------------------------------------------------------ what is said


@EVERY_COMMAND
def test_a_command_leaves_as_the_vendors_client_writes_it(word: CallWord) -> None:
    client = client_in(WHERE[word])
    command_id = say(client, word)
    assert uuid.UUID(command_id).version == 4
    timeout, data = (20000, ', "data": {"ringTimeSeconds": 20}') if word is CallWord.CONNECT else (10000, "")
    (text,) = client.messages_to_send(now=T0)
    assert text == (
        f'{{"type": "command", "data": {{"command_id": "{command_id}", "command": "{word.value}", '
        f'"timeout_ms": {timeout}{data}}}}}'
    )


def test_a_command_said_before_the_connection_is_open_wants_one_and_leaves_when_it_is() -> None:
    client = MediaClient(entropy=entropy())
    assert not client.wants_transport
    command_id = client.answer(now=T0)
    assert client.wants_transport
    assert client.messages_to_send(now=T0) == []
    client.start(now=T0 + 1)
    assert not client.wants_transport
    assert [one["data"]["command_id"] for one in said(client)] == [command_id]


@pytest.mark.parametrize("ring_time", [1, 120, 20.0])
def test_a_callee_may_be_rung_for_1_to_120_seconds(ring_time: int) -> None:
    client = new_client()
    client.connect(ring_time_seconds=ring_time, now=T0)
    assert f'"ringTimeSeconds": {int(ring_time)}}}' in str(client.messages_to_send(now=T0))
    assert client.next_deadline() == T0 + ring_time + 5.0


@pytest.mark.parametrize("ring_time", [0, -1, 121, True, 1.5, "20", None], ids=repr)
def test_any_other_ring_time_is_refused_and_nothing_is_said(ring_time: Any) -> None:
    client = new_client()
    with pytest.raises(ValueError, match="ring_time_seconds must be 1 to 120 seconds"):
        client.connect(ring_time_seconds=ring_time, now=T0)
    assert (client.messages_to_send(now=T0), client.next_deadline()) == ([], None)


@pytest.mark.parametrize("word", [CallWord.ANSWER, *LEAVING], ids=lambda word: word.value)
def test_some_commands_said_again_join_the_one_that_waits(word: CallWord) -> None:
    client = client_in(WHERE[word])
    assert say(client, word) == say(client, word)
    assert len(client.messages_to_send(now=T0)) == 1
    assert client.statistics().pending_commands == 1


def test_other_commands_said_again_are_commands_of_their_own() -> None:
    client = client_in(CallState.CONNECTED)
    assert client.spy(now=T0) != client.spy(now=T0)
    assert len(client.messages_to_send(now=T0)) == 2


def test_a_command_too_many_is_refused_and_changes_nothing() -> None:
    client = client_in(CallState.CONNECTED)
    client.send_audio(b"\1\0", now=T0)
    for _ in range(256):
        client.spy(now=T0)
    client.messages_to_send(now=T0)
    with pytest.raises(LocalProtocolError, match="256 replies"):
        client.interrupt(now=T0)
    assert client.bytes_queued == 2, "a refused interrupt does not clear"
    assert client.messages_to_send(now=T0) == []


# ------------------------------------------------------------------ every command ends once


@EVERY_COMMAND
def test_a_command_is_done_once(word: CallWord) -> None:
    client = client_in(WHERE[word])
    done = response(say(client, word), result={"n": 1})
    client.receive_message(done, now=T0 + 2)
    (event, *_) = events = seen(client)
    assert isinstance(event, CommandDone)
    assert (event.outcome, event.took, event.result) == (Outcome.DONE, 2.0, {"n": 1})
    assert len(outcomes(events)) == 1
    assert client.statistics().last_command_seconds == 2.0
    client.receive_message(done, now=T0 + 3)
    client.handle_timeout(now=T0 + 1000)
    assert outcomes(seen(client)) == []


@EVERY_COMMAND
@pytest.mark.parametrize(
    ("code", "outcome"), [("CALL_UNANSWERED", Outcome.REFUSED), (None, Outcome.REFUSED), ("TIMEOUT", Outcome.TIMED_OUT)]
)
def test_a_command_is_refused_once_and_the_call_is_as_it_was(
    word: CallWord, code: str | None, outcome: Outcome
) -> None:
    client = client_in(WHERE[word])
    command_id = say(client, word)
    refused = response(command_id, success=False, error_code=code, error_message="text")
    client.receive_message(refused, now=T0)
    client.receive_message(response(command_id), now=T0)
    (done, *failed) = seen(client)
    assert (done.command_id, done.outcome, done.error_code, done.error_message) == (command_id, outcome, code, "text")
    moves = word in (CallWord.ANSWER, CallWord.CONNECT)
    assert failed == [CallFailedToMove(command=word, error_code=code, error_message="text")] * moves
    assert client.state is WHERE[word]
    assert client.unexpected == 1, "the second response: the first one won"


@EVERY_COMMAND
def test_a_command_without_a_response_times_out_five_seconds_after_its_deadline(word: CallWord) -> None:
    client = client_in(WHERE[word])
    command_id = say(client, word)
    due = T0 + (20.0 if word is CallWord.CONNECT else 10.0) + 5.0
    assert client.next_deadline() == due
    client.handle_timeout(now=due - 0.001)
    assert seen(client) == []
    client.handle_timeout(now=due)
    assert outcomes(seen(client)) == [(word, Outcome.TIMED_OUT)]
    client.receive_message(response(command_id), now=due)
    assert (seen(client), client.unexpected, client.state) == ([], 1, WHERE[word])


@EVERY_COMMAND
def test_a_command_is_lost_with_the_connection(word: CallWord) -> None:
    client = client_in(WHERE[word])
    say(client, word)
    client.receive_close(now=T0)
    done, ended, lost = seen(client)
    assert (done.command, done.outcome) == (word, Outcome.LOST)
    assert ended == CallEnded(reason=EndReason.CONNECTION_LOST)
    assert lost == ConnectionLost(code=1006, reason="", error=None)


@EVERY_COMMAND
def test_a_command_ends_with_the_call_and_a_wish_to_leave_has_come_true(word: CallWord) -> None:
    client = client_in(WHERE[word])
    say(client, word)
    client.receive_message(call_event("call.terminated"), now=T0)
    assert outcomes(seen(client)) == [(word, Outcome.DONE if word in LEAVING else Outcome.CALL_OVER)]


@pytest.mark.parametrize("command_id", ["unknown", "x" * 4096])
def test_a_response_to_nothing_is_ignored_and_counted(command_id: str) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(response(command_id), now=T0)
    assert (seen(client), client.unexpected, client.bad_frames) == ([], 1, 0)


def test_two_commands_end_in_any_order() -> None:
    client = client_in(CallState.CONNECTED)
    first, second = client.whisper(now=T0), client.spy(now=T0)
    for command_id in (second, first):
        client.receive_message(response(command_id), now=T0)
    assert [event.command_id for event in seen(client)] == [second, first]


def test_an_answer_that_a_connect_overtook_changes_nothing_more() -> None:
    client = new_client()
    answer, connect = client.answer(now=T0), client.connect(now=T0)
    for command_id in (connect, answer):
        client.receive_message(response(command_id), now=T0)
    changes = [event for event in seen(client) if isinstance(event, CallChanged)]
    assert changes == [CallChanged(previous=CallState.PENDING, state=CallState.CONNECTED)]


def test_the_audio_mode_is_that_of_the_last_command_done() -> None:
    client = client_in(CallState.ANSWERED)
    assert client.audio_mode is None
    modes: list[str | None] = []
    for verb in (client.connect, client.whisper, client.spy, client.barge, client.interrupt):
        client.receive_message(response(verb(now=T0)), now=T0)
        modes.append(client.audio_mode)
    assert modes == ["barge", "whisper", "spy", "barge", "barge"]
    client.receive_message(response(client.spy(now=T0), success=False), now=T0)
    assert client.statistics().audio_mode == "barge"


# ------------------------------------------------------------------ events of the call


@pytest.mark.parametrize(
    ("event", "word", "after"),
    [
        ("call.answered", CallWord.ANSWER, CallState.ANSWERED),
        ("call.connected", CallWord.CONNECT, CallState.CONNECTED),
    ],
)
@pytest.mark.parametrize("event_first", [True, False], ids=["event, response", "response, event"])
def test_an_older_event_and_its_response_are_one_change(
    event: str, word: CallWord, after: CallState, event_first: bool
) -> None:
    client = new_client()
    command_id = say(client, word)
    told = [call_event(event), response(command_id)]
    for message in told if event_first else reversed(told):
        client.receive_message(message, now=T0)
    events = seen(client)
    assert [one for one in events if isinstance(one, CallChanged)] == [
        CallChanged(previous=CallState.PENDING, state=after)
    ]
    assert outcomes(events) == [(word, Outcome.DONE)]


@pytest.mark.parametrize(
    ("event", "word"), [("call.answer_failed", CallWord.ANSWER), ("call.connect_failed", CallWord.CONNECT)]
)
@pytest.mark.parametrize("event_first", [True, False], ids=["event, response", "response, event"])
def test_an_older_event_and_its_response_are_one_failure(event: str, word: CallWord, event_first: bool) -> None:
    client = new_client()
    command_id = say(client, word)
    refused = response(command_id, success=False, error_code="E", error_message="m")
    told = [call_event(event, error_code="E", error_message="m"), refused]
    for message in told if event_first else reversed(told):
        client.receive_message(message, now=T0)
    done, failed = seen(client)
    assert (done.command, done.outcome) == (word, Outcome.REFUSED)
    assert failed == CallFailedToMove(command=word, error_code="E", error_message="m")


@pytest.mark.parametrize("event", ["call.answer_failed", "call.connect_failed"])
def test_a_failure_of_what_nobody_asked_is_no_news(event: str) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(call_event(event), now=T0)
    assert (seen(client), client.state) == ([], CallState.ANSWERED)


@pytest.mark.parametrize("code", [None, 7, True, ["E"], {"E": 1}], ids=repr)
def test_an_error_with_a_strange_code_is_an_error_without_one(code: Any) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(call_event("call.error", error_code=code, error_message="text"), now=T0)
    assert seen(client) == [CallErrorReported(error_code=None, error_message="text")]


def test_an_error_leaves_the_call_as_it_is() -> None:
    client = client_in(CallState.CONNECTED)
    client.receive_message(call_event("call.error", error_code="TTS_SESSION_ERROR"), now=T0)
    assert seen(client) == [CallErrorReported(error_code="TTS_SESSION_ERROR", error_message=None)]
    assert client.state is CallState.CONNECTED


def test_an_event_of_tomorrow_is_passed_on() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(call_event("call.transferred", to="+1", tags=["a"]), now=T0)
    assert seen(client) == [CallNoticed(event="call.transferred", details={"to": "+1", "tags": ["a"]})]


# ------------------------------------------------------------------ every call ends once

ENDS: dict[str, tuple[Callable[[MediaClient], object], EndReason]] = {
    "call.terminated": (
        lambda client: client.receive_message(call_event("call.terminated"), now=T0),
        EndReason.TERMINATED,
    ),
    "close": (
        lambda client: client.receive_message(response(client.close(now=T0)), now=T0),
        EndReason.CLOSED,
    ),
    "disconnect": (
        lambda client: client.receive_message(response(client.disconnect(now=T0)), now=T0),
        EndReason.DISCONNECTED,
    ),
    "session.closed": (
        lambda client: client.session_closed("CALL_TERMINATED", now=T0),
        EndReason.SESSION_CLOSED,
    ),
    "loss": (lambda client: client.receive_close(now=T0), EndReason.CONNECTION_LOST),
    "force": (lambda client: client.force_disconnect(now=T0), EndReason.FORCED),
}
LIVE = [state for state in CallState if state is not CallState.DISCONNECTED]
EVERY_LIFE = pytest.mark.parametrize("state", LIVE, ids=lambda state: state.value)
EVERY_END = pytest.mark.parametrize("end", ENDS)


def end_again_in_every_way(client: MediaClient) -> None:
    client.receive_message(call_event("call.terminated"), now=T0)
    client.receive_message(response("late"), now=T0)
    client.receive_message(call_event("call.error"), now=T0)
    client.receive_message(buffer_request(960), now=T0)
    client.receive_message(b"\0\1\0", now=T0)
    client.session_closed("FORCE_CLOSE", now=T0)
    client.force_disconnect(now=T0)
    client.handle_timeout(now=T0 + 1000)
    client.receive_close(code=1000, now=T0)
    client.receive_close(code=1000, now=T0)


@EVERY_LIFE
@EVERY_END
def test_a_call_ends_once_and_nothing_of_it_comes_after(state: CallState, end: str) -> None:
    client = client_in(state)
    if state is not CallState.PENDING:
        client.receive_message(buffer_request(96_000), now=T0)
        client.send_audio(bytes(4000), now=T0)
        client.messages_to_send(now=T0)
        client.drain_audio(now=T0)
    trigger, reason = ENDS[end]
    trigger(client)
    assert client.over
    assert client.end_reason is reason
    end_again_in_every_way(client)
    *before, ended, lost = seen(client)
    assert isinstance(ended, CallEnded)
    assert ended.reason is reason
    assert isinstance(lost, ConnectionLost)
    assert not [one for one in before if isinstance(one, CallEnded | ConnectionLost)]
    assert client.end_reason is reason
    assert (client.next_deadline(), client.bytes_queued, client.messages_to_send(now=T0)) == (None, 0, [])


@EVERY_END
def test_the_connection_closes_behind_the_call(end: str) -> None:
    client = client_in(CallState.ANSWERED)
    client.messages_to_send()
    ENDS[end][0](client)
    messages = client.messages_to_send(now=T0)
    assert [one for one in messages if not isinstance(one, str)] == ([] if end == "loss" else [Close()])
    assert client.messages_to_send(now=T0) == []


@EVERY_END
def test_speech_that_waited_is_dropped_with_the_call(end: str) -> None:
    client = client_in(CallState.ANSWERED)
    client.send_audio(bytes(4000), now=T0)
    ENDS[end][0](client)
    assert client.statistics().bytes_dropped_out == 4000


@EVERY_END
@EVERY_COMMAND
def test_whatever_ends_the_call_settles_what_waits(end: str, word: CallWord) -> None:
    client = client_in(WHERE[word])
    waiting = say(client, word)
    ENDS[end][0](client)
    done = [one for one in seen(client) if isinstance(one, CommandDone) and one.command_id == waiting]
    assert len(done) == 1
    if end in ("loss", "force"):
        assert done[0].outcome is Outcome.LOST
    else:
        assert done[0].outcome is (Outcome.DONE if word in LEAVING else Outcome.CALL_OVER)


def test_the_end_of_the_session_may_come_before_the_connection_is_open() -> None:
    client = MediaClient(entropy=entropy())
    client.answer(now=T0)
    client.session_closed("CALL_TERMINATED", now=T0)
    done, ended, lost = seen(client)
    assert done.outcome is Outcome.CALL_OVER
    assert ended == CallEnded(reason=EndReason.SESSION_CLOSED, detail="CALL_TERMINATED")
    assert isinstance(lost, ConnectionLost)
    assert client.started


def test_a_call_can_be_forced_to_end_before_it_was_connected() -> None:
    client = MediaClient(entropy=entropy())
    client.force_disconnect(now=T0)
    client.force_disconnect(now=T0)
    assert [type(event) for event in seen(client)] == [CallEnded, ConnectionLost]


def test_the_reason_of_a_termination_is_kept() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(call_event("call.terminated", error_message="caller hung up"), now=T0)
    assert seen(client) == [CallEnded(reason=EndReason.TERMINATED, detail="caller hung up")]


@pytest.mark.parametrize("word", COMMANDS, ids=lambda word: word.value)
def test_nothing_can_be_asked_of_a_call_that_is_over(word: CallWord) -> None:
    client = client_in(CallState.DISCONNECTED)
    with pytest.raises(CallOver, match=r"the call is over \(terminated\)"):
        say(client, word)


def test_nothing_can_be_spoken_into_a_call_that_is_over() -> None:
    client = client_in(CallState.DISCONNECTED)
    with pytest.raises(CallOver):
        client.send_audio(b"\1\0", now=T0)
    with pytest.raises(CallOver):
        client.drain_audio(now=T0)
    assert not client.audio_finished(now=T0)


# ------------------------------------------------------------------ speech


def test_speech_leaves_on_channel_0_against_credit() -> None:
    client = client_in(CallState.ANSWERED)
    client.send_audio(bytes(2500), now=T0)
    assert client.messages_to_send(now=T0) == []
    client.receive_message(buffer_request(1000), now=T0)
    assert client.messages_to_send(now=T0) == [b"\0" + bytes(960), b"\0" + bytes(40)]
    statistics = client.statistics()
    assert (statistics.bytes_sent, statistics.frames_sent, statistics.bytes_queued) == (1000, 2, 1500)


def test_credit_given_while_pending_is_kept() -> None:
    client = new_client()
    client.receive_message(buffer_request(960), now=T0)
    client.receive_message(response(client.answer(now=T0)), now=T0)
    clear(client)
    client.send_audio(bytes(960), now=T0)
    assert client.messages_to_send(now=T0) == [b"\0" + bytes(960)]


@pytest.mark.parametrize(
    ("requested", "credit", "bad"),
    [
        (True, 0, 1),
        ("7", 0, 1),
        (3.9, 0, 1),
        (None, 0, 1),
        (-1, 0, 0),
        (0, 0, 0),
        (1, 1, 0),
        (7, 7, 0),
        (96_000, 96_000, 0),
        (96_001, 96_000, 0),
        (2**63, 96_000, 0),
    ],
    ids=repr,
)
def test_only_whole_positive_numbers_are_credit_up_to_two_seconds(requested: Any, credit: int, bad: int) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(requested), now=T0)
    assert (client.statistics().credit, client.bad_frames, client.unexpected) == (credit, bad, 0)


@pytest.mark.parametrize("channel", [-1, 1, 8, 2**40])
def test_credit_for_another_channel_is_ignored(channel: int) -> None:
    client = client_in(CallState.CONNECTED)
    client.receive_message(buffer_request(960, channelId=channel), now=T0)
    assert (client.statistics().credit, client.bad_frames) == (0, 0)


def test_peer_bug_m09_a_flood_of_requests_is_one_number() -> None:
    client, request = client_in(CallState.ANSWERED), buffer_request(960)
    for _ in range(200_000):
        client.receive_message(request, now=T0)
    assert client.statistics().credit == 96_000
    assert (seen(client), client.messages_to_send(now=T0), client.next_deadline()) == ([], [], None)


@pytest.mark.parametrize("preferred", [None, 0, -1, True, 1, 641, 2**40], ids=repr)
def test_whatever_frame_the_server_prefers_speech_leaves_in_whole_samples(preferred: Any) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(96_000), now=T0)
    client.receive_message(buffer_request(1, preferred), now=T0)
    client.send_audio(bytes(2000), now=T0)
    client.drain_audio(now=T0)
    frames = client.messages_to_send(now=T0)
    assert all(isinstance(one, bytes) and len(one) % 2 for one in frames), "channel byte and whole samples"
    assert sum(len(one) - 1 for one in frames if isinstance(one, bytes)) == 2000


def test_peer_bug_n02_a_tail_leaves_after_one_frames_time() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(64_000), now=T0)
    client.send_audio(bytes(640), now=T0)
    assert client.messages_to_send(now=T0) == []
    due = client.next_deadline()
    assert due == T0 + 0.02
    client.handle_timeout(now=due)
    assert client.messages_to_send() == [b"\0" + bytes(640)]


def test_peer_bug_m13_an_interrupt_overtakes_all_speech_that_waits() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(96_000), now=T0)
    client.send_audio(bytes(48_000), now=T0)
    command_id = client.interrupt(now=T0)
    (only,) = said(client)
    assert only["data"]["command_id"] == command_id
    assert client.bytes_queued == 0
    client.send_audio(b"\7\0" * 480, now=T0)
    assert client.messages_to_send(now=T0) == [b"\0" + b"\7\0" * 480]


def test_an_interrupt_reaches_the_peer_with_nothing_to_clear_too() -> None:
    client = client_in(CallState.CONNECTED)
    client.interrupt(now=T0)
    client.interrupt(now=T0)
    assert [one["data"]["command"] for one in said(client)] == ["agent.interrupt"] * 2


def test_speech_before_the_answer_and_half_samples_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="cannot say 'audio' while the call is 'pending'"):
        new_client().send_audio(b"\1\0", now=T0)
    with pytest.raises(ValueError, match="odd"):
        client_in(CallState.ANSWERED).send_audio(bytes(961), now=T0)


def test_speech_that_does_not_fit_is_refused_whole() -> None:
    client = client_in(CallState.ANSWERED, buffer_size=1000)
    client.send_audio(bytes(600), now=T0)
    with pytest.raises(PlayoutFull):
        client.send_audio(bytes(402), now=T0)
    assert (client.bytes_queued, client.room, client.capacity) == (600, 400, 1000)


def test_the_end_of_speech_is_told_once_when_it_has_been_heard() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(96_000), now=T0)
    client.send_audio(bytes(48_100), now=T0)
    client.drain_audio(now=T0)
    assert seen(client) == []
    client.messages_to_send(now=T0)
    assert client.bytes_queued == 0, "the tail left at once"
    heard_at = client.next_deadline() or 0.0
    assert heard_at == pytest.approx(T0 + 48_100 / 48_000 + 0.06), "with what the line may add"
    assert not client.audio_finished(now=T0)
    client.handle_timeout(now=heard_at)
    client.handle_timeout(now=heard_at)
    assert seen(client) == [PlayoutFinished()]
    assert client.audio_finished(now=heard_at)
    assert client.next_deadline() is None


def test_the_end_of_no_speech_is_told_at_once() -> None:
    client = client_in(CallState.ANSWERED)
    client.drain_audio(now=T0)
    assert seen(client) == [PlayoutFinished()]


def test_an_interrupt_ends_speech_that_was_being_drained() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(96_000), now=T0)
    client.send_audio(bytes(48_000), now=T0)
    client.messages_to_send(now=T0)
    client.drain_audio(now=T0)
    client.interrupt(now=T0 + 0.1)
    assert client.next_deadline() == pytest.approx(T0 + 0.1)
    client.handle_timeout(now=T0 + 0.1)
    assert seen(client) == [PlayoutFinished()]


def test_statistics_are_a_snapshot_in_every_state() -> None:
    client = MediaClient(entropy=entropy())
    before = client.statistics()
    client.start(now=T0)
    client.receive_message(json.dumps({"type": "x"}), now=T0)
    assert (before.unexpected, client.statistics().unexpected) == (0, 1)
    client.receive_close(now=T0)
    assert client.statistics().state is CallState.DISCONNECTED


# ------------------------------------------------------------------ outcomes told in other ways


@pytest.mark.parametrize(
    ("event", "state", "verb", "after"),
    [
        ("call.answered", CallState.PENDING, MediaClient.answer, CallState.ANSWERED),
        ("call.connected", CallState.ANSWERED, MediaClient.connect, CallState.CONNECTED),
    ],
)
def test_an_outcome_told_only_as_an_event_ends_the_command_that_waits(
    event: str, state: CallState, verb: Any, after: CallState
) -> None:
    client = client_in(state)
    command_id = verb(client, now=T0)
    client.receive_message(call_event(event), now=T0 + 1)
    done, changed = seen(client)
    assert (done.command_id, done.outcome, done.took) == (command_id, Outcome.DONE, 1)
    assert (changed.state, client.state) == (after, after)
    client.receive_message(response(command_id), now=T0 + 2)
    assert (seen(client), client.unexpected) == ([], 1)


def test_an_answer_nobody_waits_for_any_more_still_moves_the_call() -> None:
    client = client_in(CallState.PENDING)
    client.receive_message(call_event("call.answered"), now=T0)
    assert [one.state for one in seen(client)] == [CallState.ANSWERED]


def test_a_command_that_times_out_here_fails_to_move_the_call_like_one_that_times_out_there() -> None:
    client = client_in(CallState.PENDING)
    client.answer(now=T0)
    client.handle_timeout(now=T0 + 15)
    done, failed = seen(client)
    assert done.outcome is Outcome.TIMED_OUT
    assert (failed.command, failed.error_code) == (CallWord.ANSWER, "TIMEOUT")


def test_a_late_second_connect_leaves_the_audio_mode_alone() -> None:
    client = client_in(CallState.ANSWERED)
    first, second = client.connect(now=T0), client.connect(now=T0)
    client.receive_message(response(first), now=T0)
    whisper = client.whisper(now=T0)
    client.receive_message(response(whisper), now=T0)
    client.receive_message(response(second), now=T0)
    assert client.audio_mode == "whisper"


def test_an_error_names_what_may_be_said_and_not_what_merely_happens() -> None:
    client = client_in(CallState.PENDING)
    with pytest.raises(LocalProtocolError) as refused:
        client.spy(now=T0)
    allowed = str(refused.value).rpartition("allowed now: ")[2]
    assert allowed == "call.answer, call.connect, call.close, call.disconnect"


# ------------------------------------------------------------------ what no peer can bring about


@pytest.mark.parametrize(
    "message",
    [
        call_event("call.answered"),
        call_event("call.error"),
        call_event("call.transferred"),
        buffer_request(960),
        b"\0\1\0",
    ],
    ids=["answered", "error", "another event", "credit", "audio"],
)
def test_a_client_that_went_on_listening_would_hear_nothing_after_the_end(message: str | bytes) -> None:
    client = client_in(CallState.DISCONNECTED, StillListening)
    client.receive_message(message, now=T0)
    assert (seen(client), client.unexpected, client.bad_frames) == ([], 0, 0)
    assert client.messages_to_send(now=T0) == []


def test_what_only_a_client_says_means_nothing_to_a_client() -> None:
    client = client_in(CallState.ANSWERED)
    message = Command(command_id="c", command=CallWord.SPY, timeout_ms=1)
    client._on_media_message(message, T0)  # noqa: SLF001 - the codec lets no such message through
    assert (seen(client), client.state) == ([], CallState.ANSWERED)


# ------------------------------------------------------------------ what was heard, and what is recorded


@final
class Track:
    """A recording that only takes notes."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, int, float]] = []

    def said(self, pcm: bytes, *, at: float) -> None:
        self.notes.append(("said", len(pcm), at))

    def heard(self, pcm: bytes, *, at: float) -> None:
        self.notes.append(("heard", len(pcm), at))

    def cleared(self, *, at: float) -> None:
        self.notes.append(("cleared", 0, at))


def tracked(**arguments: Any) -> tuple[MediaClient, list[tuple[str, int, float]]]:
    client = client_in(CallState.ANSWERED, **arguments)
    track: Any = Track()
    client.track = track
    return client, track.notes


def talked(client: MediaClient, size: int, *, now: float = T0) -> None:
    """Say so many bytes, all of which leave."""
    client.receive_message(buffer_request(size), now=now)
    client.send_audio(bytes(size), now=now)
    said(client, now)


def test_how_much_was_heard_is_estimated() -> None:
    client = client_in(CallState.ANSWERED)
    talked(client, 48_000)
    client.send_audio(bytes(480), now=T0)
    assert client.capacity == 1024 * 1024
    assert client.bytes_audible == 48_480
    at = T0 + 0.25
    assert client.bytes_heard(now=at) == 12_000
    assert (client.milliseconds_heard(now=at), client.milliseconds_unheard(now=at)) == (250, 760)
    assert client.seconds_of(12_000) == 0.25


def test_an_interruption_is_counted_and_what_was_heard_stays_heard() -> None:
    client = client_in(CallState.ANSWERED)
    talked(client, 48_000)
    assert client.audio_clears == 0
    client.interrupt(now=T0 + 0.5)
    assert client.audio_clears == 1
    assert client.bytes_audible == client.bytes_heard(now=T0 + 9) == 24_000
    assert client.milliseconds_unheard(now=T0 + 0.5) == 0


def test_speech_is_recorded_where_it_will_be_heard() -> None:
    client, notes = tracked()
    talked(client, 960)
    talked(client, 960)
    client.receive_message(b"\0" + bytes(640), now=T0 + 1)
    assert [note for note in notes if note[1]] == [
        ("said", 960, T0),
        ("said", 960, T0 + 0.02),
        ("heard", 640, T0 + 1),
    ]


def test_other_legs_and_frames_that_break_a_rule_are_not_recorded() -> None:
    client, notes = tracked(isolated=True)
    client.receive_message(b"\1" + bytes(640), now=T0)
    client.receive_message(b"\0" + bytes(641), now=T0)
    assert notes == []
    assert client.bad_frames == 1


def test_what_is_taken_back_is_taken_out_of_the_recording() -> None:
    client, notes = tracked()
    client.interrupt(now=T0 + 1)
    client.receive_message(call_event("call.terminated"), now=T0 + 2)
    assert notes == [("cleared", 0, T0 + 1), ("cleared", 0, T0 + 2)]


def test_a_refused_interrupt_takes_nothing_back() -> None:
    client = new_client()
    track: Any = Track()
    client.track = track
    with pytest.raises(LocalProtocolError):
        client.interrupt(now=T0)
    assert track.notes == []


def test_a_frame_the_table_ignores_is_not_recorded() -> None:
    client = client_in(CallState.DISCONNECTED, StillListening)
    client.track = StereoTrack(sample_rate=24000, start=T0)
    client.receive_message(b"\0\1\0", now=T0)
    assert client.track.take(until=None) == b""
