"""Calls through the gateway on real sockets: an agent on one side, the phone network on the other."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway import Callee, Caller, Voice, frame_bytes, read_wav, skip_silence
from telcoflow_proto.control.messages import SessionClosed
from telcoflow_proto.media.events import CallEnded, CallFailedToMove, EndReason
from telcoflow_proto.replies import Outcome
from tests.gateway.agent import Wire, agent, claim, media, serving

SECOND = 48000  # bytes at 24 kHz
RAMP = Voice.ramp(3)


def ramp(seconds: float, rate: int = 24000) -> bytes:
    """What a caller with the voice RAMP says."""
    speech, frames = Voice.ramp(seconds).speak(rate), round(seconds * 50)
    return b"".join(speech.next_frame() for _ in range(frames))


SPEECH = b"".join(n.to_bytes(2, "little") * 480 for n in range(1, 31))  # 0.6 s, no frame like another, none silent


async def done(line: Wire, verb: str, **arguments: Any) -> None:
    result = await line.say(verb, **arguments)
    assert result.outcome is Outcome.DONE, result


async def test_an_answered_call_carries_every_sample_both_ways() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(Caller(number="+15551111", voice=RAMP), Callee(number="+15552222"))
        offer = await claim(control)
        assert (offer.call_id, offer.caller, offer.callee) == (call.call_id, "+15551111", "+15552222")
        async with media(offer) as line:
            await done(line, "answer")
            await call.wait_state("answered")
            await line.say("send_audio", SPEECH)
            heard = await line.hears(2 * SECOND)
            assert heard[: 2 * SECOND] == ramp(3)[: 2 * SECOND]
            assert call.said_by_agent == SPEECH
            assert skip_silence(call.heard_by_caller, call.sample_rate) == SPEECH
            assert not call.heard_by_callee.strip(b"\0")
            assert call.heard_by_agent.startswith(heard)


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_the_agent_chooses_the_sample_rate(rate: int) -> None:
    async with serving() as gateway, agent(gateway, sample_rate=rate) as control:
        call = await gateway.place_call(Caller(voice=RAMP))
        async with media(await claim(control), sample_rate=rate) as line:
            await done(line, "answer")
            assert call.sample_rate == rate
            heard = await line.hears(rate)
            assert heard[:rate] == ramp(3, rate)[:rate]
            await line.until(lambda: line.door.statistics().credit >= 0.7 * rate * 2)
            assert line.door.statistics().credit % frame_bytes(rate) == 0


async def test_a_withheld_number_is_left_out() -> None:
    async with serving() as gateway, agent(gateway) as control:
        await gateway.place_call(Caller(number=""))
        assert (await claim(control)).caller is None


async def test_speech_is_asked_for_one_frame_at_a_time_and_the_prefetch_ahead() -> None:
    async with serving(prefetch=0.4, speed=1.0) as gateway, agent(gateway) as control:
        await gateway.place_call()
        async with media(await claim(control)) as line:
            await done(line, "answer")
            await line.until(lambda: line.door.statistics().credit == 20 * 960)
            requests = [entry.text for entry in gateway.log if entry.text and "buffer_request" in entry.text]
            assert len(requests) == 20
            assert all('"requested_bytes": 960, "prefer_audio_frame_bytes": 960' in text for text in requests)


async def test_an_interrupt_drops_what_the_service_has_not_played() -> None:
    async with serving(speed=1.0) as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        async with media(await claim(control)) as line:
            await done(line, "answer")
            await line.say("send_audio", SPEECH)
            await line.until(lambda: line.door.bytes_queued == 0)
            await done(line, "interrupt")
            dropped = call.statistics().bytes_interrupted
            assert 0 < dropped <= len(SPEECH)
            await line.until(lambda: line.door.statistics().credit > 0)
            await line.say("send_audio", b"\1\1" * 480)
            while b"\1\1" * 480 not in call.heard_by_caller:
                await line.hears(len(line.audio[0]) + 960)
            heard = skip_silence(call.heard_by_caller, 24000)
            assert heard == SPEECH[: len(SPEECH) - dropped] + b"\1\1" * 480


async def test_the_callee_joins_and_hears_what_the_mode_allows() -> None:
    async with serving() as gateway, agent(gateway) as control:
        callee = Callee(voice=Voice.tone(300, 60), answers_after=0.5)
        call = await gateway.place_call(Caller(voice=Voice.silence()), callee)
        async with media(await claim(control)) as line:
            await done(line, "answer")
            await done(line, "connect", ring_time_seconds=5)
            assert call.state == "connected"
            await done(line, "whisper")
            await line.say("send_audio", SPEECH)
            await line.until(lambda: line.door.bytes_queued == 0)
            while len(skip_silence(call.heard_by_callee, 24000)) < len(SPEECH):
                await line.hears(len(line.audio[0]) + 960)
            assert skip_silence(call.heard_by_callee, 24000) == SPEECH
            await done(line, "spy")
            await done(line, "barge")
            assert [one.command for one in call.statistics().commands] == [
                *("call.answer", "call.connect", "agent.whisper", "agent.spy", "agent.barge")
            ]


async def test_isolated_legs_arrive_on_their_own_channels() -> None:
    async with serving() as gateway, agent(gateway, audio_mode="isolated") as control:
        await gateway.place_call(Caller(voice=Voice.silence()), Callee(voice=RAMP, answers_after=0))
        async with media(await claim(control), isolated=True) as line:
            await done(line, "connect")
            assert (await line.hears(SECOND, channel=2))[:SECOND] == ramp(3)[:SECOND]
            assert (await line.hears(SECOND, channel=0))[:SECOND] == ramp(3)[:SECOND]
            assert not (await line.hears(SECOND, channel=1)).strip(b"\0")


@pytest.mark.parametrize(
    ("callee", "error_code"),
    [(Callee(busy=True), "CALLEE_BUSY"), (Callee(answers_after=None), "CALL_UNANSWERED")],
)
async def test_a_callee_who_does_not_come_leaves_the_call_as_it_was(callee: Callee, error_code: str) -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(callee=callee)
        async with media(await claim(control)) as line:
            await done(line, "answer")
            result = await line.say("connect", ring_time_seconds=2)
            assert (result.outcome, result.error_code) == (Outcome.REFUSED, error_code)
            assert call.state == "answered"
            await line.hears(len(line.audio[0]) + 960)


async def test_a_service_slower_than_its_deadline_is_a_time_out() -> None:
    async with serving(speed=0.3) as gateway, agent(gateway) as control:
        call = await gateway.place_call(callee=Callee(answers_after=None))
        async with media(await claim(control)) as line:
            await done(line, "answer")
            result = await line.say("connect", ring_time_seconds=1)
            assert result.outcome is Outcome.TIMED_OUT
            while len(call.statistics().commands) < 2:
                await line.hears(len(line.audio[0]) + 960)
            assert call.statistics().commands[1].error_code == "TIMEOUT"


async def test_a_caller_who_hangs_up_ends_the_call_for_the_agent() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        async with media(await claim(control)) as line:
            await done(line, "answer")
            await call.caller_hangs_up()
            assert (await line.next(CallEnded)).reason is EndReason.TERMINATED
            closed = await control.next(SessionClosed)
            assert (closed.session_id, closed.reason) == (call.session_id, "CALL_TERMINATED")
        assert call.states == ["pending", "answered", "over"]
        assert call.ended_by == "caller"
        assert gateway.calls == []


async def test_a_callee_who_hangs_up_ends_the_call_for_the_agent() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(callee=Callee(answers_after=0))
        async with media(await claim(control)) as line:
            await done(line, "connect")
            await call.callee_hangs_up()
            assert (await line.next(CallEnded)).reason is EndReason.TERMINATED
        assert call.ended_by == "callee"


async def test_a_caller_who_gives_up_waiting_closes_the_session_for_everybody_who_heard_of_it() -> None:
    async with serving() as gateway, agent(gateway) as first, agent(gateway) as second:
        call = await gateway.place_call(Caller(hangs_up_after=0.1))
        for control in (first, second):
            closed = await control.next(SessionClosed)
            assert (closed.session_id, closed.reason) == (call.session_id, "CALL_TERMINATED")


async def test_closing_an_answered_call_ends_it() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        async with media(await claim(control)) as line:
            await done(line, "answer")
            await done(line, "close")
            assert (await line.next(CallEnded)).reason is EndReason.CLOSED
            assert (await control.next(SessionClosed)).reason == "SDK_REQUEST"
        assert (call.states, call.ended_by) == (["pending", "answered", "over"], "agent")


async def test_closing_a_connected_call_leaves_the_parties_talking() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(Caller(voice=RAMP), Callee(answers_after=0))
        async with media(await claim(control)) as line:
            await done(line, "connect")
            await done(line, "close")
            assert (await control.next(SessionClosed)).reason == "SDK_REQUEST"
        assert call.state == "direct"
        assert gateway.calls == [call]
        await call.caller_hangs_up()
        await call.wait_state("over")
        assert call.heard_by_callee == ramp(3)[: len(call.heard_by_callee)]
        assert call.ended_by == "caller"


async def test_letting_go_of_a_waiting_call_rings_the_callee_without_the_agent() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(callee=Callee(answers_after=0.1, hangs_up_after=0.2))
        async with media(await claim(control)) as line:
            await done(line, "close")
        await call.wait_state("over")
        assert call.states == ["pending", "direct", "over"]
        assert (call.ended_by, len(call.heard_by_callee)) == ("callee", 10 * 960)


@pytest.mark.parametrize("answered", [True, False])
async def test_disconnecting_ends_the_call_for_everybody(answered: bool) -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        async with media(await claim(control)) as line:
            if answered:
                await done(line, "answer")
            await done(line, "disconnect")
            assert (await line.next(CallEnded)).reason is EndReason.DISCONNECTED
            assert (await control.next(SessionClosed)).reason == "SDK_REQUEST"
        assert (call.state, call.ended_by) == ("over", "agent")


async def test_waiting_for_a_state_that_cannot_come_any_more_is_an_error() -> None:
    async with serving() as gateway:
        call = await gateway.place_call(Caller(hangs_up_after=0))
        with pytest.raises(RuntimeError, match="never was answered: pending → over"):
            await call.wait_state("answered")
        await call.wait_state("pending")
        with pytest.raises(ValueError, match="ringing"):
            await call.wait_state("ringing")


async def test_the_callee_can_decline() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(callee=Callee(answers_after=None))
        async with media(await claim(control)) as line:
            await done(line, "answer")
            line.door.connect(now=anyio.current_time())
            await done(line, "interrupt")  # commands are obeyed in turn: it rings by now
            await call.callee_hangs_up()
            assert (await line.next(CallFailedToMove)).error_code == "CALLEE_BUSY"


async def test_what_was_heard_can_be_saved(tmp_path: Path) -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(Caller(voice=RAMP))
        with pytest.raises(ValueError, match="nobody claimed this call"):
            call.save(tmp_path)
        async with media(await claim(control)) as line:
            await done(line, "answer")
            await line.hears(SECOND)
            await done(line, "close")
    call.save(tmp_path / "deep" / "down")
    for name in ("caller", "callee", "agent"):
        assert read_wav(tmp_path / "deep" / "down" / f"heard-by-{name}.wav", 24000)[0] == getattr(
            call, f"heard_by_{name}"
        )


async def test_statistics_tell_what_went_each_way() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        assert call.statistics().bytes_to_agent == 0
        async with media(await claim(control)) as line:
            await done(line, "answer")
            await line.say("send_audio", SPEECH)
            await line.until(lambda: line.door.bytes_queued == 0)
            await done(line, "close")
        numbers = call.statistics()
        assert (numbers.state, numbers.frames_from_agent, numbers.bytes_from_agent) == ("over", 30, len(SPEECH))
        assert numbers.bytes_to_agent == numbers.frames_to_agent * 960 == len(call.heard_by_agent)
        assert numbers.bytes_dropped == 0
        assert numbers.seconds == call.seconds
        assert [one.command for one in numbers.commands] == ["call.answer", "call.close"]
        assert all(0 <= one.took < 1 and one.error_code is None for one in numbers.commands)
