"""The call as its user sees it, without any event loop."""

from typing import Any

import pytest

from telcoflow_proto.exceptions import (
    BufferClosedError,
    BufferFullError,
    WSSCallClosedError,
    WSSCallCommandError,
    WSSCallCommandTimeoutError,
    WSSCallStateError,
    WSSMediaError,
)
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.media.table import CallState
from tests.core.loopless import Line, Task, TimeUp


def test_a_call_tells_who_it_is() -> None:
    call = Line().call
    assert (call.call_id, call.caller_number, call.callee_number, call.direction) == ("c1", "+1", None, "MT")
    assert (call.state, call.audio_mode, call.end_reason) == (CallState.PENDING, None, None)
    assert repr(call) == "<call c1 pending>"
    assert call.statistics().state is CallState.PENDING


def test_an_upgrade_which_is_a_servers_affair_is_passed_over() -> None:
    line = Line().answered()
    line.call.media.happened.append(UpgradeRequested(target="/", headers=()))
    line.call.settle()
    assert not line.call.media.happened
    assert line.call.state is CallState.ANSWERED


def test_every_command_that_succeeds_returns_a_true_result() -> None:
    line = Line().answered()
    for work in (line.call.connect(30), line.call.whisper(), line.call.barge(), line.call.spy(), line.call.close()):
        task = line.run(work)
        line.succeed()
        assert task.outcome()
    assert line.call.end_reason == "closed"
    assert [event for event, _ in line.call.ran] == []
    assert len(line.call.ends) == 1


def test_disconnect_ends_for_everybody_and_again_is_quiet() -> None:
    line = Line().answered()
    task = line.run(line.call.disconnect())
    line.succeed()
    assert task.outcome().command == "call.disconnect"
    assert Task(line.call.disconnect()).outcome().command == "call.disconnect"
    assert Task(line.call.interrupt()).outcome() == 0
    assert Task(line.call.drain()).outcome() is False


def test_a_refusal_tells_the_code_and_the_handlers() -> None:
    line = Line()
    line.open()
    told: list[Any] = []
    line.call.on("call.answer_failed")(told.append)
    line.call.register_event_handler("call.connect_failed", told.append)
    for work in (line.call.answer(), line.call.connect()):
        task = line.run(work)
        line.refuse("NO")
        with pytest.raises(WSSCallCommandError) as caught:
            task.outcome()
        assert caught.value.error_code == "NO"
    assert told == [{"error_code": "NO", "error_message": None}] * 2


def test_silence_is_a_timeout() -> None:
    line = Line()
    line.open()
    task = line.run(line.call.answer())
    line.later(15)
    with pytest.raises(WSSCallCommandTimeoutError, match=r"15\.0 s"):
        task.outcome()


@pytest.mark.parametrize("detail", ["the wire broke", ""])
def test_a_lost_connection_fails_what_waits(detail: str) -> None:
    line = Line()
    line.open()
    task = line.run(line.call.answer())
    if detail:
        line.call.media.fail_transport(detail, now=100)
    else:
        line.call.media.receive_close(now=100)
    line.call.settle()
    with pytest.raises(WSSMediaError, match=detail or "lost$"):
        task.outcome()
    assert Task(line.call.wait_ended()).outcome() == "connection lost"
    Task(line.call.wait_closed()).outcome()


def test_the_end_of_the_call_fails_what_waits() -> None:
    line = Line().answered()
    task = line.run(line.call.connect())
    told: list[Any] = []
    line.call.register_event_handler("call.terminated", told.append)
    ended, closed = Task(line.call.wait_ended()), Task(line.call.wait_closed())
    line.service.terminate(now=100)
    line.carry()
    with pytest.raises(WSSCallClosedError):
        task.outcome()
    assert ended.outcome() == told[0] == "terminated"
    line.later(2)
    closed.step()
    assert closed.done
    with pytest.raises(WSSCallClosedError, match="the call is over"):
        Task(line.call.answer()).outcome()
    with pytest.raises(BufferClosedError, match="the call is over"):
        Task(line.call.send_audio(b"\0\0")).outcome()


def test_the_state_forbids_and_says_what_it_allows() -> None:
    line = Line()
    with pytest.raises(WSSCallStateError, match=r"'pending'.*call\.answer"):
        Task(line.call.whisper()).outcome()
    with pytest.raises(WSSCallStateError):
        Task(line.call.send_audio(b"\0\0")).outcome()
    with pytest.raises(ValueError, match="ring_time"):
        Task(line.call.connect(0)).outcome()


def test_two_waiters_share_one_answer_and_either_may_go() -> None:
    line = Line()
    line.open()
    one, other, third = (line.run(line.call.answer()) for _ in range(3))
    one.step(TimeUp())
    assert isinstance(one.error, TimeUp)
    line.succeed()
    assert other.outcome()
    assert third.outcome()


def test_an_answer_nobody_waits_for_any_more_is_fine() -> None:
    line = Line()
    line.open()
    line.run(line.call.answer()).step(TimeUp())
    line.succeed()
    assert line.call.state is CallState.ANSWERED


def test_force_disconnect_is_at_once() -> None:
    line = Line().answered()
    Task(line.call.force_disconnect()).outcome()
    assert line.call.end_reason == "forced"


def test_speech_is_queued_all_or_nothing() -> None:
    line = Line(buffer_size=4096).answered()
    audios: list[Any] = [b"\0\0", bytearray(2), memoryview(b"\0\0")]
    for audio in audios:
        Task(line.call.send_audio(audio)).outcome()
    with pytest.raises(BufferFullError, match="4096"):
        Task(line.call.send_audio(bytes(4096))).outcome()
    wrong: Any = "text"
    with pytest.raises(TypeError, match="str"):
        Task(line.call.send_audio(wrong)).outcome()
    with pytest.raises(ValueError, match="odd"):
        Task(line.call.send_audio(b"\0")).outcome()
    size = line.call.get_send_audio_buffer_size()
    assert size == 6

    async def wait_for_it() -> int:
        return await size

    assert Task(wait_for_it()).outcome() == 6


def test_room_is_waited_for() -> None:
    line = Line(buffer_size=4096).answered()
    with pytest.raises(ValueError, match="never fit"):
        Task(line.call.wait_for_room(5000)).outcome()
    Task(line.call.send_audio(bytes(4096))).outcome()
    task = Task(line.call.wait_for_room(960))
    line.service.request_audio(960, now=100)
    line.carry()
    task.outcome()


def test_drain_ends_when_all_is_heard_or_time_is_up() -> None:
    line = Line().answered()
    Task(line.call.send_audio(bytes(960))).outcome()
    late = Task(line.call.drain(1))
    late.step(TimeUp())
    assert late.outcome() is False
    task = Task(line.call.drain())
    line.service.request_audio(960, now=100)
    line.carry()
    assert not task.step().done
    line.later(0.02)
    assert not task.step().done, "the line may be a little late"
    line.later(0.06)
    assert task.outcome() is True


def test_close_may_drain_first() -> None:
    line = Line().answered()
    Task(line.call.send_audio(bytes(960))).outcome()
    task = Task(line.call.close(drain=1))
    line.service.request_audio(960, now=100)
    line.carry()
    line.later(0.08)
    task.step()
    line.carry()
    line.succeed()
    assert task.outcome()


@pytest.mark.parametrize("leave", ["close", "disconnect"])
def test_leaving_waits_for_no_speech_unless_it_is_asked_to(leave: str) -> None:
    line = Line().answered()
    Task(line.call.send_audio(bytes(960))).outcome()
    task = line.run(getattr(line.call, leave)())
    line.succeed()
    assert task.outcome().command == f"call.{leave}"


def test_clearing_returns_what_was_dropped() -> None:
    line = Line().answered()
    Task(line.call.send_audio(bytes(960))).outcome()
    task = line.run(line.call.clear_send_audio_buffer())
    line.succeed()
    assert task.outcome() == 960


def test_hearing_waits_and_ends_quietly() -> None:
    line = Line().answered()
    stream = line.call.audio_stream()

    async def listen() -> list[bytes]:
        return [chunk async for chunk in stream]

    task = Task(listen())
    line.service.send_audio(b"\1\1", now=100)
    line.carry()
    task.step()
    line.service.terminate(now=100)
    line.carry()
    assert task.outcome() == [b"\1\1"]


def test_events_are_told_and_noted() -> None:
    line = Line()
    told: list[Any] = []
    for event in ("call.answered", "call.connected", "call.error"):
        line.call.register_event_handler(event, told.append)
    line.answered()
    task = line.run(line.call.connect())
    line.succeed()
    task.outcome()
    line.service.report_error("X", "y", now=100)
    line.service.notify("call.music", {}, now=100)
    line.carry()
    assert told == [CallState.ANSWERED, CallState.CONNECTED, {"error_code": "X", "error_message": "y"}]
    assert len(line.call.notes) == 2
