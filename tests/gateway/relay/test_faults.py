"""Bad weather between the RELAY service and its clients."""

import json

import anyio
import pytest

from telcoflow_proto.errors import PeerSilent
from telcoflow_proto.relay.jsonrpc import INTERNAL_ERROR
from telcoflow_proto.relay.messages import Authenticated, AuthenticationRefused, Replied
from telcoflow_proto.replies import Outcome
from tests.gateway.relay.client import MEDIA, PHONE, Client, town


async def test_everything_can_be_late_and_in_order() -> None:
    async with town() as one:
        one.service.faults.delay = 0.5
        began = anyio.current_time()
        client = one.connect()
        await client.until(lambda: len(client.order) == 1)
        assert anyio.current_time() - began == pytest.approx(1.0, abs=0.01)
        call = await one.service.place_call()
        reply = client.on(call)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reply.done, "answer")
            await anyio.sleep(0.3)
            one.service.faults.delay = 0.0
            call.raise_error("right behind")
            began = anyio.current_time()
        await client.told("calling.error")
        assert anyio.current_time() - began == pytest.approx(0.2, abs=0.01)
        assert client.order[-4:] == [
            "=calling.answer",
            "calling.call.state:ringing",
            "calling.call.state:answered",
            "calling.error:",
        ]


async def test_one_answer_can_be_late_alone() -> None:
    async with town() as one:
        client = one.client()
        _, hand = await one.answered(client)
        one.service.faults.delay_of["calling.play"] = 11.0
        reply = await hand.ask("play", control_id="p", play=MEDIA)
        assert reply.outcome is Outcome.TIMED_OUT
        await hand.done("hold")
        await anyio.sleep(2)
        assert client.door.unexpected == 1  # there it was
        assert hand.story("call.play") == ["playing", "finished"]


async def test_a_late_answer_to_a_request_that_is_wrong() -> None:
    async with town() as one:
        client = one.client()
        one.service.faults.delay_of["calling.fly"] = 2.0
        began = anyio.current_time()
        await client.refused("calling.fly")
        assert anyio.current_time() - began == pytest.approx(2.0, abs=0.01)


async def test_connect_can_be_answered_late_or_too_late() -> None:
    async with town() as one:
        one.service.faults.delay_of["signalwire.connect"] = 3.0
        began = anyio.current_time()
        client = one.connect()
        await client.until(lambda: any(isinstance(event, Authenticated) for event in client.events))
        assert anyio.current_time() - began == pytest.approx(3.0, abs=0.01)
        one.service.faults.delay_of["signalwire.connect"] = 11.0
        late = one.connect()
        await late.until(lambda: late.door.lost)
        assert isinstance(late.lost.error, PeerSilent)
        await anyio.sleep(2)
        assert len(one.service.sessions) == 1


async def test_methods_can_be_refused_and_nothing_happens() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        one.service.faults.refuse["calling.play"] = ("402", "payment required")
        assert await hand.refused("play", control_id="p", play=MEDIA) == (402, "payment required")
        assert not call.actions
        assert call.requests[-1][0] == "calling.play"


async def test_methods_can_fail() -> None:
    async with town() as one:
        client = one.client()
        one.service.faults.fail["calling.dial"] = (INTERNAL_ERROR, "out of order")
        assert await client.refused("calling.dial", tag="t", devices=PHONE) == (INTERNAL_ERROR, "out of order")
        assert not one.service.calls


async def test_connect_can_fail() -> None:
    async with town() as one:
        one.service.faults.fail["signalwire.connect"] = (-32005, "no capacity")
        client = one.connect()
        refused = next(event for event in client.events if isinstance(event, AuthenticationRefused))
        assert (refused.code, refused.message) == (-32005, "no capacity")


async def test_requests_can_get_lost() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        one.service.faults.ignore.add("calling.play")
        assert (await hand.ask("play", control_id="p", play=MEDIA)).outcome is Outcome.TIMED_OUT
        assert not call.actions
        assert call.requests[-1][0] == "calling.answer"


async def test_the_service_can_be_silent() -> None:
    async with town() as one:
        one.service.faults.ignore.add("signalwire.connect")
        client = one.connect()
        began = anyio.current_time()
        await client.until(lambda: client.door.lost)
        assert anyio.current_time() - began == pytest.approx(10, abs=0.01)
        assert client.texts == []
        await client.desk.gone.wait()


async def test_a_service_without_pings_is_found_out() -> None:
    async with town() as one:
        client = one.client()
        await anyio.sleep(100)
        assert not client.door.lost
        one.service.faults.ignore.add("signalwire.ping")
        began = anyio.current_time()
        await client.until(lambda: client.door.lost)
        assert anyio.current_time() - began <= 20
        assert isinstance(client.lost.error, PeerSilent)


async def test_events_can_get_lost_for_ever() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        one.service.faults.lose_events.add("calling.call.state")
        await hand.done("end", reason="hangup")
        assert call.state == "ended"
        assert "ended" not in hand.story("call.state")
        client.cut()
        assert one.client(resumption=client.resumption).order == []


async def test_events_can_come_twice() -> None:
    async with town() as one:
        client = one.client()
        one.service.faults.duplicate_events = True
        await one.service.place_call()
        first, second = client.of("calling.call.receive")
        assert first.fingerprint == second.fingerprint
        assert client.texts[-1] == client.texts[-2]


async def test_events_can_overtake_answers() -> None:
    async with town() as one:
        client = one.client()
        _, hand = await one.answered(client)
        one.service.faults.events_first = True
        await hand.done("play", control_id="p", play=MEDIA)
        assert client.order[-2:] == ["calling.call.play:playing", "=calling.play"]
        await hand.done("end", reason="hangup")
        assert client.order[-2:] == ["calling.call.state:ended", "=calling.end"]


@pytest.mark.parametrize("code", [None, 1012])
async def test_connections_can_be_dropped(code: int | None) -> None:
    async with town() as one:
        first, second = one.client(), one.client()
        await one.service.drop(code)
        assert first.lost.code == second.lost.code == (code or 1006)
        assert not one.service.desks
        assert len(one.service.sessions) == 2


async def test_any_text_can_be_said_to_everybody() -> None:
    async with town() as one:
        first, second = one.client(), one.client()
        one.service.push_raw('{"method": "signalwire.event", "params": null}')
        assert first.texts[-1] == second.texts[-1] == '{"method": "signalwire.event", "params": null}'
        assert first.door.bad_frames == 1
        assert not first.door.lost


async def test_what_a_client_says_wrong_is_overlooked() -> None:
    async with town() as one:
        client = one.client()
        client.say("no JSON")
        assert client.server.bad_frames == 1
        assert (await client.done("signalwire.receive", contexts=["a"]))["code"] == "200"


async def test_a_call_can_be_forgotten() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        await hand.done("play", control_id="p", play=MEDIA)
        before = len(client.order)
        one.service.forget_call(call.call_id)
        await anyio.sleep(5)
        assert client.order[before:] == []
        assert call.state == "ended"
        assert await hand.refused("hold") == (404, "call not found")
        with pytest.raises(KeyError):
            one.service.forget_call("unknown")


async def test_a_client_that_does_not_answer_pings_is_dropped() -> None:
    async with town() as one:
        client = Client(one.service).start()  # nobody keeps its time
        client.reading = False
        await anyio.sleep(10)
        client.server.handle_timeout(now=anyio.current_time())
        await anyio.sleep(10)
        client.server.handle_timeout(now=anyio.current_time())
        client.settle()
        assert client.desk.gone.is_set()
        assert not one.service.desks


async def test_what_was_asked_is_done_though_nobody_waits_for_the_answer() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        client.door.request("calling.end", {**hand.address, "reason": "hangup"}, now=anyio.current_time())
        for text in client.door.messages_to_send():
            assert isinstance(text, str)
            client.server.receive_message(text, now=anyio.current_time())
        client.cut()
        assert (call.state, call.end_reason) == ("ended", "hangup")
        again = one.client(resumption=client.resumption)
        assert again.order == ["calling.call.state:ending", "calling.call.state:ended"]


async def test_what_was_asked_before_connect_is_not_looked_at() -> None:
    async with town() as one:
        one.service.faults.delay = 1.0
        client = one.connect()
        client.say('{"jsonrpc": "2.0", "id": "x", "method": "calling.hold", "params": {}}')
        assert json.loads(client.texts[0])["error"]["code"] == -32003
        client.cut()
        await anyio.sleep(2)
        assert not one.service.sessions
        assert not [event for event in client.events if isinstance(event, Replied)]
