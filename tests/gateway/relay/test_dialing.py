"""Dialling out, bridging and referring: the legs, the winner, and every way not to get through."""

from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCallee, RelayService, RelayServiceCall
from telcoflow_proto.jsontext import JsonObject
from tests.gateway.relay.client import MEDIA, PHONE, Client, town


def phone(number: str, **params: Any) -> dict[str, Any]:
    return {"type": "phone", "params": {"to_number": number, **params}}


def plan(service: RelayService, **plans: RelayCallee) -> None:
    """Plan callees by number: ``plan(service, a=...)`` for the device that calls ``a``."""

    def on_dial(device: JsonObject) -> RelayCallee:
        params: Any = device["params"]
        return plans[params["to_number"]]

    service.on_dial = on_dial


def story(client: Client, call_id: object) -> list[object]:
    return [event.params["call_state"] for event in client.of("calling.call.state", call_id=call_id)]


def legs(client: Client) -> dict[str, str]:
    """Return the call ids of the legs, by number."""
    found: dict[str, str] = {}
    for event in client.of("calling.call.state"):
        params: Any = event.params
        found.setdefault(params["device"]["params"]["to_number"], params["call_id"])
    return found


# ---------------------------------------------------------------------------------------------- dial


async def test_a_dial_is_told_step_by_step() -> None:
    async with town() as one:
        client = one.client()
        began = anyio.current_time()
        result = await client.done("calling.dial", tag="t", devices=PHONE)
        assert result == {"code": "200", "message": "Dialing"}
        told: Any = await client.told("calling.call.dial", dial_state="answered")
        assert anyio.current_time() - began == pytest.approx(1, abs=0.01)
        assert client.order[1:] == [
            "=calling.dial",
            "calling.call.dial:dialing",
            "calling.call.state:created",
            "calling.call.state:ringing",
            "calling.call.state:answered",
            "calling.call.dial:answered",
        ]
        call = one.service.calls[told["call"]["call_id"]]
        assert told == {
            "tag": "t",
            "node_id": call.node_id,
            "dial_state": "answered",
            "call": {
                "node_id": call.node_id,
                "call_id": call.call_id,
                "tag": "t",
                "device": PHONE[0][0],
                "dial_winner": "true",
            },
        }
        assert client.of("calling.call.state")[0].params["tag"] == "t"
        assert (call.direction, call.tag) == ("outbound", "t")
        await client.on(call).done("play", control_id="p", play=MEDIA)


async def test_the_first_of_a_group_wins_and_the_others_end() -> None:
    async with town() as one:
        client = one.client()
        plan(one.service, a=RelayCallee(answers_after=5), b=RelayCallee(answers_after=2), c=RelayCallee(busy=True))
        await client.done("calling.dial", tag="t", devices=[[phone("a"), phone("b"), phone("c")]])
        told: Any = await client.told("calling.call.dial", dial_state="answered")
        found = legs(client)
        assert told["call"]["call_id"] == found["b"]
        await anyio.sleep(10)
        assert story(client, found["a"]) == ["created", "ringing", "ending", "ended"]
        assert client.of("calling.call.state", call_id=found["a"])[-1].params["end_reason"] == "cancel"
        assert client.of("calling.call.state", call_id=found["c"])[-1].params["end_reason"] == "busy"
        assert list(one.service.calls) == [found["b"]]


async def test_groups_are_rung_one_after_the_other() -> None:
    async with town() as one:
        client = one.client()
        plan(
            one.service,
            a=RelayCallee(answers_after=None),
            b=RelayCallee(declines=True, answers_after=None),
            c=RelayCallee(),
        )
        devices = [[phone("a", timeout=3)], [phone("b")], [phone("c")]]
        began = anyio.current_time()
        await client.done("calling.dial", tag="t", devices=devices)
        await client.told("calling.call.dial", dial_state="answered")
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)
        ends = [event.params["end_reason"] for event in client.of("calling.call.state", call_state="ended")]
        assert ends == ["noAnswer", "decline"]
        assert set(one.service.calls) == {legs(client)["c"]}


@pytest.mark.parametrize(
    ("callee", "seconds", "reason"),
    [
        (RelayCallee(busy=True), 0.2, "busy"),
        (RelayCallee(declines=True, answers_after=4), 4, "decline"),
        (RelayCallee(answers_after=None), 20, "noAnswer"),
        (RelayCallee(answers_after=25), 20, "noAnswer"),
    ],
)
async def test_a_dial_fails_for_a_reason(callee: RelayCallee, seconds: float, reason: str) -> None:
    async with town() as one:
        client = one.client()
        one.service.on_dial = lambda _device: callee
        began = anyio.current_time()
        await client.done("calling.dial", tag="t", devices=PHONE, timeout=20)
        told = await client.told("calling.call.dial", dial_state="failed")
        assert anyio.current_time() - began == pytest.approx(seconds, abs=0.01)
        assert (told["reason"], told["source"]) == (reason, "outbound")
        assert client.order[-2:] == ["calling.call.state:ended", "calling.call.dial:failed"]
        assert not one.service.calls


async def test_a_leg_can_be_hung_up_while_it_rings() -> None:
    async with town() as one:
        client = one.client()
        await client.done("calling.dial", tag="t", devices=PHONE)
        leg = next(iter(one.service.calls.values()))
        await client.on(leg).done("end", reason="cancel")
        assert (await client.told("calling.call.dial", dial_state="failed"))["reason"] == "cancel"


async def test_a_callee_can_decline() -> None:
    async with town() as one:
        client = one.client()
        await client.done("calling.dial", tag="t", devices=PHONE)
        next(iter(one.service.calls.values())).hang_up()
        assert (await client.told("calling.call.dial", dial_state="failed"))["reason"] == "decline"


async def test_a_dialled_call_lasts_as_long_as_allowed() -> None:
    async with town() as one:
        client = one.client()
        await client.done("calling.dial", tag="t", devices=PHONE, max_duration=7)
        assert (await client.told("calling.call.state", call_state="ended"))["end_reason"] == "maxDuration"


async def test_a_callee_hangs_up_after_a_while() -> None:
    async with town() as one:
        client = one.client()
        one.service.on_dial = lambda _device: RelayCallee(hangs_up_after=3)
        began = anyio.current_time()
        await client.done("calling.dial", tag="t", devices=PHONE)
        ended = await client.told("calling.call.state", call_state="ended")
        assert anyio.current_time() - began == pytest.approx(4, abs=0.01)
        assert (ended["end_reason"], ended["end_source"]) == ("hangup", "outbound")


@pytest.mark.parametrize(
    "params",
    [
        {"devices": PHONE},
        {"tag": "t"},
        {"tag": "t", "devices": []},
        {"tag": "t", "devices": [[]]},
        {"tag": "t", "devices": [["a"]]},
        {"tag": "t", "devices": [[{"params": {}}]]},
        {"tag": "t", "devices": PHONE, "max_duration": "long"},
    ],
)
async def test_a_dial_that_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    async with town() as one:
        client = one.client()
        code, message = await client.refused("calling.dial", **params)
        assert code == 400
        assert any(name in message for name in ("tag", "devices", "max_duration"))
        assert not one.service.calls


# ---------------------------------------------------------------------------------------------- connect


async def bridge(client: Client, call: RelayServiceCall, **params: Any) -> dict[str, Any]:
    await client.on(call).done("connect", devices=PHONE, **params)
    return await client.told("calling.call.connect", connect_state="connected")


async def test_a_call_is_bridged_to_who_answers() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        ringback = [{"type": "ringtone", "params": {"name": "us"}}]
        told: Any = await bridge(client, call, ringback=ringback, tag="leg")
        assert call.peer is not None
        assert call.peer.peer is call
        assert told["peer"] == call.peer.address()
        assert told["peer"]["tag"] == "leg"
        assert [round(one.seconds, 1) for one in call.played] == [1.0]  # the ring-back stopped at the answer
        assert not client.of("calling.call.state", call_id=call.peer.call_id)
        peer = call.peer
        await hand.done("disconnect")
        assert hand.story("call.connect") == ["connecting", "connected", "disconnected"]
        assert peer.state == "ended"
        assert call.peer is None
        assert call.state == "answered"
        assert await hand.refused("disconnect") == (409, "the call is not connected")


async def test_the_bridge_ends_when_the_peer_hangs_up() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        await bridge(client, call)
        assert call.peer is not None
        peer = call.peer
        peer.hang_up()
        assert hand.story("call.connect")[-1] == "disconnected"
        assert (peer.end_reason, call.state) == ("hangup", "answered")
        await bridge(client, call)


async def test_the_bridge_ends_with_the_call_and_after_its_time() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        await bridge(client, call, max_duration=8)
        began = anyio.current_time()
        await client.told("calling.call.connect", connect_state="disconnected")
        assert anyio.current_time() - began == pytest.approx(8, abs=0.01)
        client.order.clear()
        await hand.done("connect", devices=PHONE)
        await anyio.sleep(2)
        peer = call.peer
        assert peer is not None
        call.hang_up()
        assert client.order[-3:] == [
            "calling.call.state:ending",
            "calling.call.connect:disconnected",
            "calling.call.state:ended",
        ]
        assert peer.state == "ended"


async def test_a_bridge_may_fail() -> None:
    async with town() as one:
        client = one.client()
        _, hand = await one.answered(client)
        one.service.on_dial = lambda _device: RelayCallee(busy=True)
        await hand.done("connect", devices=PHONE, ringback=MEDIA)
        assert (await hand.told("call.connect", connect_state="failed"))["failed_reason"] == "busy"


async def test_a_bridge_can_be_broken_off_while_it_rings() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("connect", devices=PHONE, ringback=MEDIA)
        assert await hand.refused("connect", devices=PHONE) == (409, "the call is connected, or being so")
        await hand.done("disconnect")
        assert (await hand.told("call.connect", connect_state="failed"))["failed_reason"] == "cancel"
        await anyio.sleep(5)
        assert hand.story("call.connect") == ["connecting", "failed"]
        assert set(one.service.calls) == {call.call_id}


@pytest.mark.parametrize(
    "params", [{"devices": []}, {"devices": [["a"]]}, {"devices": PHONE, "ringback": [{"type": "tts", "params": {}}]}]
)
async def test_a_bridge_that_makes_no_sense_is_refused(params: dict[str, Any]) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        assert (await hand.refused("connect", **params))[0] == 400


# ---------------------------------------------------------------------------------------------- refer


@pytest.mark.parametrize(
    ("outcome", "code"), [("success", "200"), ("busy", "486"), ("noAnswer", "480"), ("error", "500")]
)
async def test_a_party_is_referred(outcome: str, code: str) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        one.service.refer_outcome = outcome
        await hand.done("refer", device={"type": "sip", "params": {"to": "sip:a@example.com"}})
        told = await hand.told("call.refer", state=outcome)
        assert told["sip_refer_to"] == "sip:a@example.com"
        assert (told["sip_refer_response_code"], told["sip_notify_response_code"]) == ("202", code)
        assert hand.story("call.refer") == ["inProgress", outcome]


async def test_a_referral_needs_somebody() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        code, message = await hand.refused("refer", device={"type": "sip", "params": {}})
        assert code == 400
        assert "to" in message
