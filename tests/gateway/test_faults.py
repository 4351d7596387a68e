"""Bad weather between the gateway and its agents."""

import pytest

from telcoflow_anyio.gateway import Callee, Faults
from telcoflow_proto.control.messages import SessionNotice
from telcoflow_proto.replies import Outcome
from tests.gateway.agent import agent, claim, media, serving


async def test_a_call_placed_in_the_moment_a_connection_breaks_waits_for_the_next_agent() -> None:
    async with serving() as gateway:
        async with agent(gateway):
            (served,) = vars(gateway)["_exchange"].agents
            served.door.receive_close(now=0)  # its reader has seen the end, and nobody has looked at that yet
            call = await gateway.place_call()
            assert gateway.agents == 0
        async with agent(gateway) as control, media(await claim(control)) as line:
            assert (await line.say("answer")).outcome is Outcome.DONE
            assert call.state == "answered"


async def test_ringing_that_ends_in_the_moment_the_media_connection_breaks_harms_nobody() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call(callee=Callee(answers_after=None))
        async with media(await claim(control)) as line:
            await line.say("answer")
            line.door.connect(now=0)
            served = vars(call)["_line"]
            await line.until(lambda: vars(served)["_waiting"])
            served.media.receive_close(now=0)  # its reader has seen the end, and nobody has looked at that yet
            await call.callee_hangs_up()
            call.tick()
            await call.wait_state("over")


async def test_every_message_can_be_late() -> None:
    async with serving(speed=1.0) as gateway, agent(gateway) as control:
        await gateway.place_call()
        async with media(await claim(control)) as line:
            gateway.faults.delay = 0.3
            assert (await line.say("answer")).took >= 0.3
            gateway.faults.delay = 0.0
            assert (await line.say("interrupt")).took < 5


async def test_commands_can_be_refused_and_the_call_is_as_it_was() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        gateway.faults.refuse["call.answer"] = "INTERNAL_ERROR"
        async with media(await claim(control)) as line:
            result = await line.say("answer")
            assert (result.outcome, result.error_code) == (Outcome.REFUSED, "INTERNAL_ERROR")
            assert call.state == "pending"
            gateway.faults.refuse.clear()
            assert (await line.say("answer")).outcome is Outcome.DONE


async def test_requests_can_be_refused() -> None:
    async with serving() as gateway, agent(gateway) as control:
        gateway.faults.refuse["session.open"] = "FORBIDDEN"
        call = await gateway.place_call()
        assert (await control.say("open_session", call.session_id)).error_code == "FORBIDDEN"


async def test_commands_can_get_lost() -> None:
    async with serving() as gateway, agent(gateway) as control:
        call = await gateway.place_call()
        async with media(await claim(control)) as line:
            gateway.faults.ignore.add("call.answer")
            line.door.answer(now=0)
            assert (await line.say("connect", ring_time_seconds=10)).outcome is Outcome.DONE
            assert [one.command for one in call.statistics().commands] == ["call.connect"]


async def test_everything_can_arrive_twice() -> None:
    async with serving(prefetch=0.1) as gateway, agent(gateway) as control:
        gateway.faults.duplicate = True
        await gateway.place_call()
        offer = await claim(control)
        await control.until(lambda: len(control.of(SessionNotice)) == 2)
        async with media(offer) as line:
            await line.say("answer")
            await line.until(lambda: line.door.statistics().credit == 2 * 5 * 960)
            heard = await line.hears(9600)
            assert line.door.unexpected >= 1
            assert len(heard) % 1920 == 0
            await line.say("send_audio", b"\1\0" * 4800)
            await line.until(lambda: line.door.bytes_queued == 0)
            await line.say("close")


async def test_the_service_can_stop_asking_for_speech() -> None:
    async with serving() as gateway, agent(gateway) as control:
        await gateway.place_call()
        gateway.faults.mute_credit = True
        async with media(await claim(control)) as line:
            await line.say("answer")
            await line.hears(9600)
            assert line.door.statistics().credit == 0
            gateway.faults.mute_credit = False
            await line.until(lambda: line.door.statistics().credit > 0)


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        ('{"type": "command", "data": {"command": "call.answer"}}', True),
        ('{"type": "command", "data": {"command": "call.close"}}', False),
        ('{"type": "command", "data": 1}', False),
        ('{"type": "session.open"}', True),
        ('{"type": "session.ready"}', False),
        ("no JSON", False),
        (b"\0audio", False),
    ],
)
def test_only_what_was_named_gets_lost(message: str | bytes, lost: bool) -> None:
    assert Faults(ignore={"call.answer", "session.open"}).swallow(message) is lost
    assert Faults().swallow(message) is False
