"""The service's end of a call: commands put to the application or answered at once, and an orderly end."""

from collections.abc import Callable
from typing import Any

import pytest

from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.errors import CallOver, LocalProtocolError
from telcoflow_proto.media.events import CallEnded, CommandExpired, CommandReceived, EndReason
from telcoflow_proto.media.messages import Command
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.media.table import COMMANDS, CallState, CallWord
from telcoflow_proto.websocket import Close
from tests.media.calls import (
    T0,
    buffer_request,
    clear,
    command,
    entropy,
    new_server,
    replies,
    response,
    said,
    seen,
    server_in,
)

OVER = CallState.DISCONNECTED
RING = {"data": {"ringTimeSeconds": 20}}


def ask(server: MediaServer, word: CallWord, command_id: str = "now", timeout_ms: int = 10_000) -> None:
    data = RING if word is CallWord.CONNECT else {}
    server.receive_message(command(word.value, command_id, timeout_ms, **data), now=T0)


def asked(server: MediaServer) -> list[Command]:
    return [event.command for event in seen(server) if isinstance(event, CommandReceived)]


# ------------------------------------------------------------------ commands


def test_a_command_is_put_to_the_application_as_it_was_said() -> None:
    server = new_server()
    ask(server, CallWord.CONNECT, timeout_ms=20_000)
    expected = Command(command_id="now", command=CallWord.CONNECT, timeout_ms=20_000, ring_time_seconds=20)
    assert asked(server) == [expected]
    assert said(server) == []


@pytest.mark.parametrize(
    ("word", "start", "after"),
    [
        (CallWord.ANSWER, CallState.PENDING, CallState.ANSWERED),
        (CallWord.CONNECT, CallState.PENDING, CallState.CONNECTED),
        (CallWord.CONNECT, CallState.ANSWERED, CallState.CONNECTED),
        (CallWord.WHISPER, CallState.CONNECTED, CallState.CONNECTED),
        (CallWord.INTERRUPT, CallState.ANSWERED, CallState.ANSWERED),
        (CallWord.CLOSE, CallState.CONNECTED, OVER),
        (CallWord.DISCONNECT, CallState.PENDING, OVER),
    ],
    ids=lambda value: value.value,
)
def test_a_command_that_succeeds_moves_the_call(word: CallWord, start: CallState, after: CallState) -> None:
    server = server_in(start)
    ask(server, word)
    server.succeed("now", result={"n": 1}, now=T0)
    assert server.state is after
    first, *more = said(server)
    assert first == {"type": "command_response", "data": {"command_id": "now", "success": True, "result": {"n": 1}}}
    told = [{"type": "call_event", "data": {"event": "call.terminated"}}]
    assert more == (told if after is OVER else [])


def test_a_command_that_is_refused_leaves_the_call_as_it_was() -> None:
    server = new_server()
    ask(server, CallWord.CONNECT)
    server.refuse("now", error_code="CALL_UNANSWERED", error_message="nobody picked up", now=T0)
    assert server.state is CallState.PENDING
    assert replies(server) == [
        {
            "command_id": "now",
            "success": False,
            "error_code": "CALL_UNANSWERED",
            "error_message": "nobody picked up",
        }
    ]


@pytest.mark.parametrize("command_id", ["never heard of", "now"], ids=["unknown", "answered already"])
@pytest.mark.parametrize(
    "verb",
    [
        lambda server, command_id: server.succeed(command_id, now=T0),
        lambda server, command_id: server.refuse(command_id, error_code="E", now=T0),
    ],
    ids=["succeed", "refuse"],
)
def test_a_command_is_answered_once(command_id: str, verb: Callable[[MediaServer, str], None]) -> None:
    server = new_server()
    ask(server, CallWord.ANSWER)
    server.succeed("now", now=T0)
    clear(server)
    with pytest.raises(LocalProtocolError, match="not waiting for an answer"):
        verb(server, command_id)
    assert (said(server), seen(server), server.state) == ([], [], CallState.ANSWERED)


def test_a_command_delivered_again_while_it_waits_is_ignored_and_counted() -> None:
    server = new_server()
    ask(server, CallWord.ANSWER)
    ask(server, CallWord.ANSWER)
    assert len(asked(server)) == 1
    assert (said(server), server.unexpected) == ([], 1)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (CallState.PENDING, CallWord.WHISPER),
        (CallState.PENDING, CallWord.INTERRUPT),
        (CallState.ANSWERED, CallWord.SPY),
    ],
    ids=lambda value: value.value,
)
def test_a_command_the_state_forbids_is_refused_without_asking_anybody(state: CallState, word: CallWord) -> None:
    server = server_in(state)
    ask(server, word)
    (refusal,) = replies(server)
    assert refusal["error_code"] == "INVALID_COMMAND"
    assert refusal["error_message"] == f"{word.value} is not allowed while {state.value}"
    assert (asked(server), server.unexpected) == ([], 1)


@pytest.mark.parametrize("word", COMMANDS, ids=lambda word: word.value)
def test_a_command_that_crossed_the_end_is_answered(word: CallWord) -> None:
    server = server_in(OVER)
    ask(server, word)
    (reply,) = replies(server)
    leaving = word in (CallWord.CLOSE, CallWord.DISCONNECT)
    assert reply["success"] is leaving, "to leave a call that is over is done"
    assert reply.get("error_code") == (None if leaving else "CALL_TERMINATED")
    assert (asked(server), server.unexpected) == ([], 0)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (CallState.ANSWERED, CallWord.ANSWER),
        (CallState.CONNECTED, CallWord.ANSWER),
        (CallState.CONNECTED, CallWord.CONNECT),
    ],
    ids=lambda value: value.value,
)
def test_a_retry_of_what_stands_already_is_done(state: CallState, word: CallWord) -> None:
    server = server_in(state)
    ask(server, word)
    assert replies(server) == [{"command_id": "now", "success": True}]
    assert (asked(server), server.unexpected, server.state) == ([], 0, state)


@pytest.mark.parametrize("ring_time", [-1, 0, 121, 10**20])
def test_a_ring_time_out_of_range_is_refused(ring_time: int) -> None:
    server = new_server()
    server.receive_message(command("call.connect", data={"ringTimeSeconds": ring_time}), now=T0)
    assert [reply["error_code"] for reply in replies(server)] == ["INVALID_REQUEST"]
    assert asked(server) == []


@pytest.mark.parametrize("ring_time", [1, 120])
def test_a_ring_time_at_the_edge_is_taken(ring_time: int) -> None:
    server = new_server()
    server.receive_message(command("call.connect", data={"ringTimeSeconds": ring_time}), now=T0)
    assert [one.ring_time_seconds for one in asked(server)] == [ring_time]


def test_one_command_too_many_is_refused() -> None:
    server = server_in(CallState.CONNECTED)
    for number in range(257):
        ask(server, CallWord.SPY, f"c{number}")
    assert len(asked(server)) == 256
    (refusal,) = replies(server)
    assert (refusal["command_id"], refusal["error_code"]) == ("c256", "OVERFLOW")
    server.succeed("c0", now=T0)
    ask(server, CallWord.SPY, "c257")
    assert len(asked(server)) == 1


@pytest.mark.parametrize(("timeout_ms", "after"), [(10_000, 11.0), (1, 1.001), (0, 1.0), (-5, 1.0)], ids=str)
def test_a_command_nobody_answers_is_refused_a_second_after_the_clients_deadline(timeout_ms: int, after: float) -> None:
    server = new_server()
    ask(server, CallWord.ANSWER, timeout_ms=timeout_ms)
    assert server.next_deadline() == T0 + after
    server.handle_timeout(now=T0 + after - 0.0005)
    assert said(server) == []
    clear(server)
    server.handle_timeout(now=T0 + after)
    server.handle_timeout(now=T0 + after)
    assert [type(event) for event in seen(server)] == [CommandExpired]
    assert replies(server) == [{"command_id": "now", "success": False, "error_code": "TIMEOUT"}]
    assert (server.state, server.next_deadline()) == (CallState.PENDING, None)
    with pytest.raises(LocalProtocolError):
        server.succeed("now", now=T0 + after)


@pytest.mark.parametrize(
    "text",
    [command("call.dance"), response("c"), buffer_request(1), '{"type": "hologram"}'],
    ids=["unknown command", "a response", "a request", "unknown type"],
)
def test_what_a_client_cannot_mean_is_ignored_and_counted(text: str) -> None:
    server = new_server()
    server.receive_message(text, now=T0)
    assert server.bad_frames + server.unexpected == 1
    assert (said(server), asked(server), server.state) == ([], [], CallState.PENDING)


# ------------------------------------------------------------------ what the server tells


def test_what_the_server_tells() -> None:
    server = new_server()
    server.report_error("TTS_SESSION_ERROR", "no voice", now=T0)
    server.notify("call.transferred", {"to": "+1"}, now=T0)
    server.request_audio(1920, frame_bytes=640, now=T0)
    server.terminate(now=T0)
    assert said(server) == [
        {
            "type": "call_event",
            "data": {"event": "call.error", "error_code": "TTS_SESSION_ERROR", "error_message": "no voice"},
        },
        {"type": "call_event", "data": {"event": "call.transferred", "to": "+1"}},
        {
            "type": "buffer_request",
            "data": {"requested_bytes": 1920, "prefer_audio_frame_bytes": 640, "channelId": 0},
        },
        {"type": "call_event", "data": {"event": "call.terminated"}},
    ]


def test_audio_leaves_on_its_channel() -> None:
    server = server_in(CallState.CONNECTED)
    server.send_audio(b"\1\0", now=T0)
    server.send_audio(b"\2\0", channel=8, now=T0)
    server.send_audio(b"", now=T0)
    assert server.messages_to_send(now=T0) == [b"\0\1\0", b"\x08\2\0"]
    assert server.messages_to_send(now=T0) == []


def test_half_a_sample_is_refused() -> None:
    server = server_in(CallState.ANSWERED)
    with pytest.raises(ValueError, match="odd 3 bytes"):
        server.send_audio(b"\0\0\0", now=T0)
    assert said(server) == []


def test_audio_that_nobody_takes_is_bounded_and_the_oldest_goes_first() -> None:
    server = server_in(CallState.ANSWERED, sample_rate=8000)
    for second in range(25):
        server.send_audio(bytes([second, 0]) * 8000, now=T0)
        server.send_audio(b"", now=T0)
    assert server.bytes_dropped_out == 15 * 16_000
    assert [message[1] for message in server.messages_to_send(now=T0) if isinstance(message, bytes)] == [*range(15, 25)]


def test_nothing_can_be_sent_into_a_call_that_is_over() -> None:
    with pytest.raises(CallOver):
        server_in(OVER).send_audio(b"\1\0", now=T0)


# ------------------------------------------------------------------ the end


def close_by_client(server: MediaServer) -> None:
    ask(server, CallWord.CLOSE)
    server.succeed("now", now=T0)


def disconnect_by_client(server: MediaServer) -> None:
    ask(server, CallWord.DISCONNECT)
    server.succeed("now", now=T0)


ENDS: dict[str, tuple[Callable[[MediaServer], Any], EndReason]] = {
    "close": (close_by_client, EndReason.CLOSED),
    "disconnect": (disconnect_by_client, EndReason.DISCONNECTED),
    "terminate": (lambda server: server.terminate(now=T0), EndReason.TERMINATED),
    "loss": (lambda server: server.receive_close(now=T0), EndReason.CONNECTION_LOST),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("state", [one for one in CallState if one is not OVER], ids=lambda state: state.value)
def test_a_call_ends_once(state: CallState, end: str) -> None:
    server = server_in(state)
    ask(server, CallWord.DISCONNECT, "waits")
    clear(server)
    trigger, reason = ENDS[end]
    trigger(server)
    server.terminate(now=T0)
    server.receive_close(now=T0)
    server.receive_close(now=T0)
    events = [event for event in seen(server) if not isinstance(event, CommandReceived)]
    assert events == [CallEnded(reason=reason), ConnectionLost(code=1006, reason="", error=None)]
    assert (server.end_reason, server.next_deadline()) == (reason, None)
    with pytest.raises(LocalProtocolError):
        server.succeed("waits", now=T0)


def test_the_server_closes_half_a_second_after_the_end() -> None:
    server = server_in(CallState.ANSWERED)
    server.terminate(now=T0)
    assert said(server) == [{"type": "call_event", "data": {"event": "call.terminated"}}]
    assert server.next_deadline() == T0 + 0.5
    server.handle_timeout(now=T0 + 0.499)
    assert said(server) == []
    server.handle_timeout(now=T0 + 0.5)
    server.handle_timeout(now=T0 + 0.5)
    assert said(server) == [Close()]
    assert server.next_deadline() is None


def test_a_call_can_be_told_to_be_over_twice_and_ends_once() -> None:
    server = server_in(CallState.ANSWERED)
    server.terminate(now=T0)
    server.terminate(now=T0)
    assert len(said(server)) == 2
    assert seen(server) == [CallEnded(reason=EndReason.TERMINATED)]


def test_a_call_is_lost_with_a_connection_that_was_never_open() -> None:
    server = MediaServer(entropy=entropy())
    server.receive_close(now=T0)
    assert [type(event) for event in seen(server)] == [CallEnded, ConnectionLost]


def test_nothing_is_heard_behind_the_close() -> None:
    server = server_in(CallState.ANSWERED)
    server.close_connection(now=T0)
    ask(server, CallWord.SPY)
    server.receive_message(b"\0\1\0", now=T0)
    assert (asked(server), server.unexpected, server.bad_frames, server.next_audio()) == ([], 0, 0, None)
