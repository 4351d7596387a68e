"""Who hears of a call, who gets it, and what happens when a control connection comes and goes."""

import json
from pathlib import Path
from typing import Any

import pytest

from telcoflow_anyio.gateway import Callee, Caller, Gateway, LogEntry, Voice
from telcoflow_proto.control.events import SetupCompleted
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    InboundCalls,
    SessionClosed,
    SessionNotice,
)
from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.errors import HandshakeRefused
from telcoflow_proto.media.events import CallEnded, EndReason
from telcoflow_proto.replies import Outcome
from tests.gateway.agent import Wire, agent, claim, media, serving


def said(gateway: Gateway, kind: str, connection: str) -> list[LogEntry]:
    """What the gateway said of a kind on a connection."""
    texts = [
        entry for entry in gateway.log if entry.direction == "out" and entry.connection == connection and entry.text
    ]
    return [entry for entry in texts if json.loads(entry.text or "")["type"] == kind]


async def refused(wire: Wire, status: int, reason: str) -> None:
    error = (await wire.next(ConnectionLost)).error
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.detail) == (status, reason)


async def test_every_agent_hears_of_a_call_and_the_first_to_claim_it_gets_it() -> None:
    async with serving() as gateway, agent(gateway) as first, agent(gateway) as second:
        call = await gateway.place_call(Caller(number="+1555"), Callee(number="+1666"))
        notices = [await control.next(SessionNotice) for control in (first, second)]
        assert notices[0] == notices[1]
        assert (notices[0].activity, notices[0].remote_address) == ("NEW_INCOMING_CALL", "+1555")
        won = await second.say("open_session", call.session_id)
        lost = await first.say("open_session", call.session_id)
        assert won.session.local_address == "+1666"
        assert (lost.error_code, lost.error_content) == ("SESSION_BUSY", {"boundSmWsId": "control:2"})


async def test_sessions_that_do_not_exist_or_are_over_cannot_be_claimed() -> None:
    async with serving() as gateway, agent(gateway) as control:
        assert (await control.say("open_session", "nobody's")).error_code == "SESSION_NOT_FOUND"
        call = await gateway.place_call()
        await call.caller_hangs_up()
        assert (await control.say("open_session", call.session_id)).error_code == "SESSION_CLOSED"


async def test_a_call_that_ends_between_claim_and_ready_is_not_offered() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        await control.say("open_session", call.session_id)
        await call.caller_hangs_up()
        await control.say("ready", call.session_id)
        await control.next(SessionClosed)
        assert not control.of(CallIn)


async def test_a_call_waits_for_the_first_agent() -> None:
    async with serving() as gateway:
        call = await gateway.place_call()
        async with agent(gateway) as control:
            assert (await control.next(SessionNotice)).activity == "NEW_INCOMING_CALL"
            assert gateway.calls == [call]


async def test_a_reconnecting_agent_hears_again_of_waiting_calls_a_moment_after_its_setup() -> None:
    async with serving() as gateway:
        call = await gateway.place_call()
        async with agent(gateway) as control:
            await claim(control)
            await gateway.drop_control(1012)
            assert (await control.next(ConnectionLost)).code == 1012
        async with agent(gateway) as control:
            notice = await control.next(SessionNotice)
            assert (notice.activity, notice.session_id) == ("RESUME", call.session_id)
            done, told = said(gateway, "setup.done", "control:2"), said(gateway, "session.notify", "control:2")
            assert told[0].at - done[0].at >= 0.1
            assert (await claim_again(control, call.session_id)).call_id == call.call_id


async def claim_again(control: Wire, session_id: str) -> CallIn:
    await control.say("open_session", session_id)
    await control.say("ready", session_id)
    return await control.next(CallIn)


async def test_a_call_outlives_the_control_connection_it_came_from_and_is_not_announced_again() -> None:
    async with serving() as gateway:
        async with agent(gateway) as control:
            call = await gateway.place_call()
            offer = await claim(control)
        async with media(offer) as line:  # what a process does that was handed the call
            await line.say("answer")
            await call.wait_state("answered")
            async with agent(gateway) as control:
                busy = await control.say("open_session", call.session_id)
                assert (busy.error_code, busy.error_content) == ("SESSION_BUSY", {"boundSmWsId": None})
                assert not control.of(SessionNotice)
                await line.say("close")
                assert (await control.next(SessionClosed)).session_id == call.session_id


async def test_an_agent_that_wants_no_calls_hears_of_none() -> None:
    async with serving() as gateway, agent(gateway) as picky, agent(gateway) as other:
        await picky.say("set_up_call_flow", CallFlow(inbound_call=InboundCalls.NONE))
        await gateway.place_call()
        await other.next(SessionNotice)
        await picky.say("set_up_call_flow", CallFlow())
        await gateway.place_call()
        await picky.next(SessionNotice)
        assert len(picky.of(SessionNotice)) == 1


async def test_a_sample_rate_that_is_not_offered_ends_the_connection() -> None:
    async with serving(sample_rate=24000) as gateway, agent(gateway, ready=False, sample_rate=16000) as control:
        lost = await control.next(ConnectionLost)
        assert (lost.code, lost.reason) == (1008, "sample rate 16000 is not offered here, only 24000")
        assert gateway.agents == 0


async def test_an_agent_that_leaves_at_once_is_never_available() -> None:
    async with serving() as gateway:
        async with agent(gateway, ready=False) as control:
            await control.next(SetupCompleted)
        async with agent(gateway):
            assert gateway.agents == 1


async def test_a_voice_that_the_agents_rate_does_not_have_refuses_the_claim() -> None:
    sounds = Path(__file__).parents[2] / "telcoflow_anyio" / "gateway" / "sounds"
    async with serving() as gateway, agent(gateway, sample_rate=8000) as control:
        await gateway.place_call(Caller(voice=Voice.wav(sounds / "caller.wav")))
        result = await control.say("open_session", (await control.next(SessionNotice)).session_id)
        assert result.error_code == "INVALID_REQUEST"
        assert "has 24000 samples a second, but the call has 8000" in result.error_content["message"]


@pytest.mark.parametrize(
    "credentials",
    [(), (("x-api-key", "test-key"),), (("x-api-key", "test-key"), ("x-connector-uuid", "another"))],
)
async def test_who_does_not_know_the_key_is_turned_away(credentials: Any) -> None:
    async with serving() as gateway, agent(gateway, ready=False, credentials=credentials) as control:
        await refused(control, 401, "unknown API key or connector")


async def test_each_key_goes_with_its_connector() -> None:
    async with serving(credentials={"a": "1", "b": "2"}) as gateway:
        async with agent(gateway, credentials=(("x-api-key", "b"), ("x-connector-uuid", "2"))):
            pass
        async with agent(gateway, ready=False, credentials=(("x-api-key", "b"), ("x-connector-uuid", "1"))) as control:
            await refused(control, 401, "unknown API key or connector")


async def test_without_keys_everybody_may_come() -> None:
    async with serving(require_api_key=False) as gateway, agent(gateway, credentials=()):
        assert gateway.agents == 1


async def test_media_needs_the_token_of_the_call_and_comes_once() -> None:
    async with serving() as gateway, agent(gateway) as control:
        await gateway.place_call()
        offer = await claim(control)
        async with media(offer, token="guess") as line:
            await refused(line, 401, "unknown call or token")
        async with media(offer), media(offer) as line:
            await refused(line, 409, "this call has its media connection already, or is over")


async def test_a_lost_media_connection_ends_an_answered_call() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        with pytest.raises(RuntimeError, match="no media connection"):
            await call.drop_media()
        async with media(await claim(control)) as line:
            await line.say("answer")
            await call.drop_media()
            assert (await line.next(CallEnded)).reason is EndReason.CONNECTION_LOST
            assert (await line.next(ConnectionLost)).code == 1006
            assert (await control.next(SessionClosed)).reason == "CALL_TERMINATED"
            assert call.state == "over"
            with pytest.raises(RuntimeError, match="no media connection"):
                await call.drop_media()


async def test_a_lost_media_connection_leaves_connected_parties_talking() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(callee=Callee(answers_after=0))
        async with media(await claim(control)) as line:
            await line.say("connect")
            await call.drop_media(1011)
            assert (await line.next(ConnectionLost)).code == 1011
        assert call.state == "direct"


async def test_a_broken_control_connection_breaks_without_a_word() -> None:
    async with serving() as gateway, agent(gateway) as control:
        await gateway.drop_control()
        assert (await control.next(ConnectionLost)).code == 1006
        assert gateway.agents == 0


# ---------------------------------------------------------------------- outgoing calls


async def dialled(control: Wire, number: str = "+1777") -> tuple[str, CallIn]:
    result = await control.say("create_session", channel="TELCO", remote_address=number)
    assert (result.outcome, result.created) == (Outcome.DONE, True)
    assert (await control.say("open_session", result.session_id)).session.remote_address == number
    await control.say("ready", result.session_id)
    return result.session_id, await control.next(CallIn)


@pytest.mark.parametrize(("verb", "state"), [("answer", "answered"), ("connect", "connected")])
async def test_an_agent_can_call_out(verb: str, state: str) -> None:
    async with serving(number="+1000") as gateway, agent(gateway) as control, agent(gateway) as other:
        gateway.on_dial = lambda number: Callee(number=number, voice=Voice.ramp(2), answers_after=0.5)
        _, offer = await dialled(control)
        assert (offer.caller, offer.callee) == ("+1000", "+1777")
        (call,) = gateway.calls
        async with media(offer) as line:
            assert (await line.say(verb)).outcome is Outcome.DONE
            assert call.state == state
            assert (await line.hears(9600))[:9600] == b"".join(n.to_bytes(2, "little") for n in range(4800))
            await line.say("close")
        assert (call.state, call.ended_by) == ("over", "agent")
        assert not other.of(SessionNotice)


async def test_a_number_that_is_busy_refuses_the_answer() -> None:
    async with serving() as gateway, agent(gateway) as control:
        gateway.on_dial = lambda number: Callee(number=number, busy=True)
        _, offer = await dialled(control)
        async with media(offer) as line:
            assert (await line.say("answer")).error_code == "CALLEE_BUSY"


async def test_dialling_a_number_twice_leads_to_the_same_session() -> None:
    async with serving() as gateway, agent(gateway) as control:
        session_id, _ = await dialled(control)
        again = await control.say("create_session", channel="TELCO", remote_address="+1777")
        assert (again.session_id, again.created) == (session_id, False)


async def test_a_number_without_a_voice_cannot_be_dialled() -> None:
    async with serving() as gateway, agent(gateway) as control:
        gateway.on_dial = lambda number: Callee(number=number, voice=Voice.wav("nowhere.wav"))
        result = await control.say("create_session", channel="TELCO", remote_address="+1777")
        assert result.error_code == "INVALID_REQUEST"
        assert gateway.calls == []


async def test_messages_are_not_served() -> None:
    async with serving() as gateway, agent(gateway) as control:
        result = await control.say("create_session", channel="WA", remote_address="+1777")
        assert result.error_code == "CHANNEL_NOT_CONFIGURED"
        session_id, _ = await dialled(control)
        assert (await control.say("send_message", session_id, {})).error_code == "INVALID_CHANNEL"


async def test_nonsense_is_dropped_and_the_connection_goes_on() -> None:
    async with serving() as gateway, agent(gateway) as control:
        control.door._say('{"type": 1}')  # noqa: SLF001 - a peer that breaks the rules, on purpose
        await gateway.place_call()
        await claim(control)
