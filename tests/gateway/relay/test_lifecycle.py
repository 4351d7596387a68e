"""Calls from ring to end, and who may say what on them."""

from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCaller
from tests.gateway.relay.client import TTS, town


async def test_a_call_is_told_answered_and_ended() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call(RelayCaller(number="+1999", to="+1888"))
        received = await client.told("calling.call.receive")
        assert received["device"] == {"type": "phone", "params": {"from_number": "+1999", "to_number": "+1888"}}
        assert (received["call_state"], received["direction"], received["context"]) == ("created", "inbound", "default")
        hand = client.on(call)
        result = await hand.done("answer")
        assert result == {"code": "200", "message": "Answering call", "call_id": call.call_id}
        await hand.done("end", reason="busy")
        assert (call.state, call.end_reason, call.end_source) == ("ended", "busy", "none")
        assert client.order[-7:] == [
            "calling.call.receive:created",
            "=calling.answer",
            "calling.call.state:ringing",
            "calling.call.state:answered",
            "=calling.end",
            "calling.call.state:ending",
            "calling.call.state:ended",
        ]
        ended: dict[str, Any] = await hand.told("call.state", call_state="ended")
        assert (ended["end_reason"], ended["end_source"]) == ("busy", "none")
        assert 0 < ended["start_time"] <= ended["answer_time"] <= ended["end_time"]
        assert [method for method, _ in call.requests] == ["calling.answer", "calling.end"]
        assert repr(call) == f"<RelayServiceCall {call.call_id} inbound ended>"


async def test_an_answered_call_cannot_be_answered_or_passed() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        assert await hand.refused("answer") == (409, "the call is answered already")
        assert await hand.refused("pass") == (409, "the call is answered already")


async def test_an_ended_call_is_not_found_nor_is_one_on_another_node() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        elsewhere = {"node_id": "elsewhere", "call_id": call.call_id}
        assert await client.refused("calling.hold", **elsewhere) == (404, "call not found")
        call.hang_up()
        call.hang_up("again")
        call.speak("nobody hears this")
        call.press("1")
        assert await hand.refused("hold") == (404, "call not found")
        assert (call.end_reason, call.end_source) == ("hangup", "inbound")
        assert hand.story("call.state") == ["ringing", "answered", "ending", "ended"]


async def test_a_caller_may_give_up() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call(RelayCaller(hangs_up_after=5.0))
        began = anyio.current_time()
        await call.wait_state("ended")
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)
        assert call.end_reason == "cancel"
        assert (await client.told("calling.call.state", call_state="ended"))["answer_time"] == 0


async def test_a_caller_may_give_a_reason() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        call.hang_up("error")
        assert (await hand.told("call.state", call_state="ended"))["end_reason"] == "error"


async def test_a_call_lasts_as_long_as_the_answer_allows() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call()
        await client.on(call).done("answer", max_duration=90)
        began = anyio.current_time()
        await call.wait_state("ended")
        assert anyio.current_time() - began == pytest.approx(90, abs=0.01)
        assert (call.end_reason, call.end_source) == ("maxDuration", "none")


async def test_network_time_can_be_faster_than_the_real_one() -> None:
    async with town(speed=10.0) as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        await hand.done("play", control_id="p", play=TTS)
        await hand.told("call.play", state="finished")
        assert anyio.current_time() - began == pytest.approx(0.2, abs=0.001)


async def test_a_passed_call_goes_to_another_client() -> None:
    async with town() as one:
        first, second = one.client(), one.client()
        call = await one.service.place_call()
        mine, other = (first, second) if first.of("calling.call.receive") else (second, first)
        await mine.on(call).done("pass")
        assert mine.order[-2:] == ["=calling.pass", "calling.call.state:ended"]
        assert await mine.on(call).refused("answer") == (404, "call not found")
        await other.told("calling.call.receive", call_id=call.call_id)
        await other.on(call).done("answer")
        assert call.state == "answered"


async def test_a_call_nobody_else_wants_ends() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call()
        await client.on(call).done("pass")
        assert (call.state, call.end_reason) == ("ended", "hangup")


async def test_a_call_is_transferred_to_a_script() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        result = await hand.done("transfer", dest="https://example.com/swml")
        assert result["message"] == "Transferring"
        assert call.transferred_to == "https://example.com/swml"
        assert hand.story("call.state")[-2:] == ["ending", "ended"]


async def test_a_call_is_transferred_to_another_application() -> None:
    async with town() as one:
        first, second = one.client(), one.client(contexts=("sales",))
        call, hand = await one.answered(first)
        await hand.done("play", control_id="p", play=TTS)
        await hand.done("bind_digit", digits="1", bind_method="calling.hold")
        await hand.done("transfer", dest="context:sales")
        assert first.order[-2:] == ["calling.call.play:finished", "calling.call.state:ended"]
        received = await second.told("calling.call.receive")
        assert (received["call_state"], received["context"]) == ("answered", "sales")
        assert call.state == "answered"
        assert call.bindings == []
        await second.on(call).done("end", reason="hangup")
        assert first.order[-1] == "calling.call.state:ended"


async def test_a_script_runs_from_the_answer() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call(
            RelayCaller(presses=((2.0, "1"), (3.0, "2#")), says=((4.0, "yes please"),), hangs_up_after=20.0)
        )
        hand = client.on(call)
        await anyio.sleep(10)
        await hand.done("answer")
        await hand.done("collect", control_id="c", digits={"max": 9, "terminators": "#"})
        assert (await hand.told("call.collect"))["result"] == {
            "type": "digit",
            "params": {"digits": "12", "terminator": "#"},
        }
        await hand.done("collect", control_id="d", speech={})
        heard = await hand.told("call.collect", control_id="d")
        assert heard["result"] == {"type": "speech", "params": {"text": "yes please", "confidence": 0.9}}
        await call.wait_state("ended")


async def test_errors_of_the_service_are_told_on_the_call() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        call.raise_error("no more room", code="503", fatal=True)
        told = await hand.told("error")
        assert {key: told[key] for key in ("code", "message", "error", "fatal")} == {
            "code": "503",
            "message": "no more room",
            "error": "no more room",
            "fatal": True,
        }


async def test_a_state_that_does_not_exist_cannot_be_waited_for() -> None:
    async with town() as one:
        call, _ = await one.answered(one.client())
        await call.wait_state("created")
        with pytest.raises(ValueError, match="dancing"):
            await call.wait_state("dancing")
