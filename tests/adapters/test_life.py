"""The life of a call, from the claim to the end."""

# mypy: disable-error-code="truthy-bool"

import functools
import gc
import logging
import re
import weakref
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from telcoflow_anyio import ActiveCall
from telcoflow_proto.events import CallEvent, ClientEvent
from telcoflow_proto.exceptions import (
    BufferClosedError,
    WSSCallClosedError,
    WSSCallCommandError,
    WSSCallCommandTimeoutError,
    WSSCallError,
    WSSCallStateError,
)
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, ring, taking, talk, until
from tests.world.service import be_late, ignore, refuse, succeed
from tests.world.world import World

CALL_EVENTS = ("call.terminated", "call.answered", "call.connected", "call.connect_failed", "call.answer_failed")


async def test_a_call_is_claimed_answered_heard_spoken_to_and_closed(world: World) -> None:
    heard = bytearray()
    ended: list[object] = []
    async with world.client() as client:

        @client.on("call.new")
        async def take(call: ActiveCall) -> None:
            assert (call.caller_number, call.callee_number, call.direction) == ("+1555", "+15550002", "MT")
            call.register_event_handler("call.terminated", ended.append)
            assert await call.answer()
            async for chunk in call.audio_stream():
                heard.extend(chunk)
                await call.send_audio(chunk)
                if len(heard) == 3 * 960:
                    assert await call.drain(5)
                    await call.close()

        there = await world.service.announce_call(caller="+1555")
        await there.commanded("call.answer")
        await anyio.sleep(0.1)
        there.want(10 * 960)
        for number in range(3):
            there.say(bytes([number + 1]) * 960)
            await anyio.sleep(0.02)
        await there.commanded("call.close")
        await there.ended()
        assert there.heard == bytes(heard) == b"\1" * 960 + b"\2" * 960 + b"\3" * 960
        assert there.said == ["call.answer", "call.close"]
        await anyio.sleep(1)
        assert client.calls == []
        assert there.carrier is not None
        assert there.carrier.end.headers["authorization"] == "Bearer token-of-call-1"
        assert world.service.control.headers["x-api-key"] == "canary-api-key"
    assert ended == ["closed"]


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        ("pending", "answer connect close disconnect"),
        ("answered", "connect clear_send_audio_buffer interrupt close disconnect"),
        ("connected", "whisper barge spy clear_send_audio_buffer interrupt close disconnect"),
        ("disconnected", "close disconnect clear_send_audio_buffer interrupt"),
    ],
)
@pytest.mark.parametrize(
    "method",
    ["answer", "connect", "whisper", "barge", "spy", "clear_send_audio_buffer", "interrupt", "close", "disconnect"],
)
async def test_every_command_in_every_state(world: World, state: str, allowed: str, method: str) -> None:
    async with phone_in(world, state) as phone:
        result = await outcome(getattr(phone.call, method))
        if method in allowed.split():
            assert not isinstance(result, Exception)
            assert result or method in {"clear_send_audio_buffer", "interrupt"}
        elif state == "disconnected":
            assert isinstance(result, WSSCallClosedError)
        else:
            assert isinstance(result, WSSCallStateError)
            assert repr(state) in str(result)
            assert "allowed now: " in str(result)
            assert phone.call.state is CallState[state.upper()]


async def test_speech_in_every_state(world: World) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client)
        assert isinstance(await outcome(phone.call.send_audio, b"\0\0"), WSSCallStateError)
        await phone.call.answer()
        await phone.call.send_audio(b"\0\0")
        await phone.call.connect()
        await phone.call.send_audio(b"\0\0")
        assert phone.call.audio_mode == "barge"
        await phone.call.whisper()
        assert phone.call.audio_mode == "whisper"
        await phone.call.spy()
        assert phone.call.audio_mode == "spy"
        assert phone.call.get_send_audio_buffer_size() == 4
        assert await phone.call.get_send_audio_buffer_size() == 4
        await phone.call.force_disconnect()
        assert isinstance(await outcome(phone.call.send_audio, b"\0\0"), BufferClosedError)
        assert phone.call.statistics().state is CallState.DISCONNECTED
        assert "disconnected" in repr(phone.call)


@pytest.mark.parametrize("seconds", [0, 121, -1, True, 2.5])
async def test_a_ring_time_nobody_waits_is_refused(world: World, seconds: Any) -> None:
    async with phone_in(world, "pending") as phone:
        assert isinstance(await outcome(phone.call.connect, seconds), ValueError)


async def test_an_unanswered_connect_keeps_the_call_usable(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        failed: list[dict[str, str]] = []
        phone.call.register_event_handler("call.connect_failed", failed.append)
        phone.there.will("call.connect", refuse("CALL_UNANSWERED", after=20), succeed())
        error = await outcome(phone.call.connect, 30)
        assert isinstance(error, WSSCallCommandError)
        assert error.error_code == "CALL_UNANSWERED"
        assert phone.call.state is CallState.ANSWERED
        await phone.call.connect()
        assert phone.call.state is CallState.CONNECTED
        assert failed == [{"error_code": "CALL_UNANSWERED", "error_message": None}]


async def test_a_refused_answer_leaves_the_call_pending(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        failed: list[Any] = []
        phone.call.register_event_handler("call.answer_failed", failed.append)
        phone.there.will("call.answer", refuse("NO", "not today"))
        error = await outcome(phone.call.answer)
        assert isinstance(error, WSSCallCommandError)
        assert (error.error_code, error.error_message) == ("NO", "not today")
        await anyio.sleep(0.1)
        assert failed == [{"error_code": "NO", "error_message": "not today"}]
        assert phone.call.state is CallState.PENDING


@pytest.mark.parametrize(
    ("method", "command", "seconds"), [("answer", "call.answer", 15), ("connect", "call.connect", 65)]
)
async def test_silence_is_a_timeout_after_exactly_the_deadline_and_five_seconds(
    world: World, method: str, command: str, seconds: float
) -> None:
    async with phone_in(world, "pending") as phone:
        phone.there.will(command, ignore())
        begun = anyio.current_time()
        assert isinstance(await outcome(getattr(phone.call, method)), WSSCallCommandTimeoutError)
        assert anyio.current_time() - begun == pytest.approx(seconds, abs=0.001)


async def test_the_code_timeout_is_a_timeout(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        phone.there.will("call.answer", be_late())
        begun = anyio.current_time()
        assert isinstance(await outcome(phone.call.answer), WSSCallCommandTimeoutError)
        assert anyio.current_time() - begun == pytest.approx(11, abs=0.001)


async def test_two_tasks_may_await_the_same_answer(world: World) -> None:
    async with phone_in(world, "pending") as phone, meanwhile() as group:
        phone.there.will("call.answer", succeed(after=1))
        both = [Later(group, phone.call.answer) for _ in range(2)]
        assert all([await one.done() for one in both])
        assert phone.there.said == ["call.answer"]


async def test_one_of_two_waiters_may_be_cancelled(world: World) -> None:
    async with phone_in(world, "pending") as phone, meanwhile() as group:
        phone.there.will("call.answer", succeed(after=1))
        patient = Later(group, phone.call.answer)
        with anyio.move_on_after(0.5) as scope:
            await phone.call.answer()
        assert scope.cancelled_caught
        assert await patient.done()
        assert phone.there.said == ["call.answer"]


async def test_a_waiter_may_go_and_come_again(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        phone.there.will("call.answer", succeed(after=1))
        with anyio.move_on_after(0.5):
            await phone.call.answer()
        assert await phone.call.answer()
        assert phone.there.said == ["call.answer"]


async def test_connect_then_close_without_an_answer(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        await phone.call.connect(ring_time_seconds=30)
        await phone.call.close()
        assert phone.there.said == ["call.connect", "call.close"]
        assert phone.call.end_reason == "closed"


async def test_a_pending_call_can_be_declined(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        assert await phone.call.disconnect()
        assert phone.there.said == ["call.disconnect"]
        assert await phone.call.wait_ended() == "disconnected"


async def test_close_in_finally_after_the_end_is_quiet(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.hang_up()
        assert await phone.call.wait_ended() == "terminated"
        for _ in range(2):
            assert await phone.call.close()
            assert await phone.call.disconnect()
            await phone.call.force_disconnect()
        assert await phone.call.interrupt() == 0
        assert not await phone.call.drain()
        await phone.call.wait_closed()


@pytest.mark.parametrize("how", ["close", "disconnect", "force_disconnect", "hang up", "reset", "fin", "session"])
async def test_call_terminated_comes_exactly_once_however_it_ends(world: World, how: str) -> None:
    async with phone_in(world, "answered") as phone:
        told: list[object] = []
        phone.call.register_event_handler("call.terminated", told.append)
        match how:
            case "hang up":
                phone.there.hang_up()
            case "reset":
                phone.there.reset()
            case "fin":
                await phone.there.finish()
            case "session":
                world.service.close_session(phone.there)
            case method:
                await getattr(phone.call, method)()
        await anyio.sleep(10)
        assert told == [phone.call.end_reason]
        assert phone.client.get_call(phone.call.call_id) is None


@pytest.mark.parametrize("event", CALL_EVENTS[:3])
async def test_a_command_from_inside_an_event_handler_completes(world: World, event: str) -> None:
    async with phone_in(world, "pending") as phone:
        done: list[object] = []

        @phone.call.on(event)
        async def act() -> None:
            done.append(await phone.call.close())

        await phone.call.answer()
        if event == "call.connected":
            await phone.call.connect()
        elif event == "call.terminated":
            phone.there.hang_up()
        await anyio.sleep(1)
        assert done
        assert phone.call.state is CallState.DISCONNECTED


async def test_commands_from_inside_the_handlers_of_failures_and_errors(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        done: list[object] = []

        @phone.call.on("call.answer_failed")
        async def try_again() -> None:
            done.append(await phone.call.answer())

        @phone.call.on(CallEvent.CALL_CONNECT_FAILED)
        async def clear() -> None:
            done.append(await phone.call.clear_send_audio_buffer())

        @phone.call.on("call.error")
        async def give_up(data: dict[str, str]) -> None:
            done.append(data)
            await phone.call.disconnect()

        phone.there.will("call.answer", refuse("NO"), succeed())
        phone.there.will("call.connect", refuse("NO"))
        assert isinstance(await outcome(phone.call.answer), WSSCallCommandError)
        await until(lambda: phone.call.state is CallState.ANSWERED)
        assert isinstance(await outcome(phone.call.connect), WSSCallCommandError)
        await anyio.sleep(0.1)
        phone.there.report_error("TTS_SESSION_ERROR", "mute")
        assert await phone.call.wait_ended() == "disconnected"
        assert len(done) == 3
        assert done[2] == {"error_code": "TTS_SESSION_ERROR", "error_message": "mute"}


class _Callable:
    def __init__(self, said: list[object]) -> None:
        self.said = said

    def __call__(self, call: object) -> None:
        self.said.append(call)

    async def method(self, call: object) -> None:
        self.said.append(call)


class _AsyncCallable(_Callable):
    async def __call__(self, call: object) -> None:  # type: ignore[override]
        self.said.append(call)


HANDLERS: dict[str, Callable[[list[object]], Callable[..., object]]] = {
    "nothing": lambda said: lambda: said.append("nothing"),
    "one": lambda said: lambda call: said.extend([call]),
    "any": lambda said: lambda *calls: said.extend(calls),
    "default": lambda said: lambda call=None: said.append(call),
    "partial": lambda said: functools.partial(lambda there, call: there.append(call), said),
    "object": _Callable,
    "async object": _AsyncCallable,
    "bound method": lambda said: _Callable(said).method,
    "builtin": lambda said: said.append,
}


@pytest.mark.parametrize("kind", HANDLERS)
async def test_handlers_are_called_by_what_they_take(world: World, kind: str) -> None:
    said: list[object] = []
    async with world.client() as client:
        client.register_event_handler(ClientEvent.INCOMING_CALL, HANDLERS[kind](said))
        await world.service.announce_call()
        await until(lambda: said)
        assert said == ["nothing"] if kind == "nothing" else isinstance(said[0], world.adapter.ActiveCall)


async def test_unknown_events_and_useless_handlers_are_refused_at_once(world: World) -> None:
    client = world.client()
    with pytest.raises(ValueError, match=r"call\.new"):
        client.on("call.newest")(print)
    with pytest.raises(TypeError):
        client.register_event_handler("call.new", lambda one, two: None)
    async with client:
        taking(client)
        phone = await ring(world, client)
        with pytest.raises(ValueError, match=r"call\.terminated"):
            phone.call.on("call.new")(print)


async def test_names_members_and_raw_strings_are_alike(world: World) -> None:
    said: list[object] = []
    async with world.client() as client:
        for name in (world.adapter.events.INCOMING_CALL, ClientEvent.INCOMING_CALL, "call.new"):
            client.on(name)(said.append)
        phone = await ring(world, client)
        ended: list[object] = []
        for name in (world.adapter.events.CALL_TERMINATED, world.adapter.CallEvent.CALL_TERMINATED, "call.terminated"):
            phone.call.on(name)(ended.append)
        await phone.call.close()
        await anyio.sleep(0.1)
        assert len(said) == len(ended) == 3


async def test_a_handler_that_raises_is_logged_and_closes_only_its_call(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.client() as client:
        calls: list[ActiveCall] = []

        @client.on("call.new")
        async def take(call: ActiveCall) -> None:
            calls.append(call)
            await call.answer()
            if len(calls) == 2:
                raise ZeroDivisionError("oh")

        first = await world.service.announce_call()
        await first.commanded("call.answer")
        second = await world.service.announce_call()
        await second.commanded("call.close")
        await anyio.sleep(1)
        assert [call.state for call in calls] == [CallState.ANSWERED, CallState.DISCONNECTED]
        assert first.said == ["call.answer"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.exc_info[0] for record in errors if record.exc_info] == [ZeroDivisionError]


async def test_a_handler_that_raises_where_close_is_refused_still_ends_the_call(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.will("call.close", refuse("NO"))

        @phone.call.on("call.error")
        def fail() -> None:
            raise ZeroDivisionError

        phone.there.report_error("X", "y")
        assert await phone.call.wait_ended() == "forced"


async def test_a_client_handler_that_raises_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with world.client() as client:

        @client.on("session.notified")
        def fail() -> None:
            raise ZeroDivisionError

        taking(client)
        phone = await talk(world, client)
        assert phone.call.state is CallState.ANSWERED
    assert "session.notified" in caplog.text


async def test_a_leaked_native_cancellation_leaves_other_calls_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    if world.case.backend != "asyncio":
        return
    import asyncio

    async with world.client() as client:
        calls: list[ActiveCall] = []

        @client.on("call.new")
        async def take(call: ActiveCall) -> None:
            calls.append(call)
            await call.answer()
            if len(calls) == 2:
                raise asyncio.CancelledError

        first = await world.service.announce_call()
        await first.commanded("call.answer")
        second = await world.service.announce_call()
        await second.commanded("call.close")
        await anyio.sleep(1)
        assert calls[0].state is CallState.ANSWERED
        assert await calls[0].close()
    assert "foreign cancellation" in caplog.text


async def test_a_handler_that_outlives_its_call_is_warned_about_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.client() as client:

        @client.on("call.new")
        async def linger(call: ActiveCall) -> None:
            await call.answer()
            await anyio.sleep(1000)

        there = await world.service.announce_call()
        await there.commanded("call.answer")
        await anyio.sleep(1)
        there.hang_up()
        await anyio.sleep(4.9)
        assert "still running" not in caplog.text
        await anyio.sleep(20)
    assert caplog.text.count("still running") == 1
    assert "[call-1]" in caplog.text


async def test_of_many_calls_each_late_handler_is_warned_about_and_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    lingers = {"call-1": 4.0, "call-2": 6.0, "call-3": 1000.0, "call-4": 0.0, "call-5": 30.0}
    async with world.client() as client:

        @client.on("call.new")
        async def linger(call: ActiveCall) -> None:
            call.register_event_handler("call.terminated", lambda: None)
            await call.answer()
            await call.wait_ended()
            await anyio.sleep(lingers[call.call_id])

        for number in range(5):
            there = await world.service.announce_call()
            await there.commanded("call.answer")
            await anyio.sleep(1)
            there.hang_up()
            await there.ended()
            await anyio.sleep(20 if number == 3 else 0.5)
        await anyio.sleep(4)
        assert warned_about(caplog) == ["call-2", "call-3"]
        await anyio.sleep(60)
    assert warned_about(caplog) == ["call-2", "call-3", "call-5"]


def warned_about(caplog: pytest.LogCaptureFixture) -> list[str]:
    return re.findall(r"\[(call-\d)\] a handler is still running", caplog.text)


async def test_a_call_that_is_over_is_let_go_at_once(world: World) -> None:
    async with world.client() as client:
        calls = taking(client)
        for _ in range(3):
            phone = await talk(world, client)
            phone.there.hang_up()
            await phone.call.wait_closed()
        over = [weakref.ref(call) for call in calls]
        calls.clear()
        del phone
        await anyio.sleep(0.1)
        gc.collect()
        assert [call() for call in over] == [None, None, None]


async def test_calls_announced_before_a_handler_is_registered_wait_for_it(world: World) -> None:
    async with world.client() as client:
        await world.service.announce_call()
        await anyio.sleep(100)
        assert world.service.requests == []
        calls = taking(client)
        await until(lambda: calls)


async def test_a_handler_may_return_while_the_call_lives_on(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        await anyio.sleep(600)
        assert phone.call.state is CallState.ANSWERED
        assert await phone.call.close()


async def test_a_withheld_number_is_none(world: World) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client, caller=None, callee=None)
        assert phone.call.caller_number is None
        assert phone.call.callee_number is None


async def test_a_session_another_worker_took_is_no_error(world: World) -> None:
    async with world.client() as client:
        calls = taking(client)
        world.service.claims = "busy"
        await world.service.announce_call()
        await anyio.sleep(1)
        assert calls == []
        assert client.statistics().claims_lost == 1


async def test_a_claim_nobody_answers_is_given_up_after_thirty_seconds(world: World) -> None:
    async with world.client() as client:
        calls = taking(client)
        world.service.claims = "ignore"
        await world.service.announce_call()
        await anyio.sleep(29)
        assert client.statistics().claims_lost == 0
        await anyio.sleep(2)
        assert calls == []
        assert client.statistics().claims_lost == 1


async def test_everything_said_twice_happens_once(world: World) -> None:
    world.service.repeat = 3
    async with world.client() as client:
        calls = taking(client)
        phone = await talk(world, client)
        told: list[object] = []
        phone.call.register_event_handler("call.terminated", told.append)
        for _ in range(3):
            phone.there.say_raw('{"type":"call_event","data":{"event":"call.terminated"}}')
        await anyio.sleep(1)
        world.service.close_session(phone.there)
        await anyio.sleep(5)
        assert len(calls) == len(told) == 1


async def test_older_event_names_do_not_fire_twice(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        told: list[object] = []
        for event in CALL_EVENTS:
            phone.call.register_event_handler(event, functools.partial(told.append, event))
        await phone.call.answer()
        phone.there.say_raw('{"type":"call_event","data":{"event":"call.answered"}}')
        phone.there.tell("call.music", song="la")
        await anyio.sleep(1)
        assert told == ["call.answered"]
        assert issubclass(WSSCallStateError, WSSCallError)
