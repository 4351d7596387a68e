"""Dialling: who wins, who does not, and that nobody is left on the line when we stop waiting."""

import functools
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCallee
from telcoflow_anyio.relay import Call, DialEvent, RelayError
from tests.relay_adapters.acts import DEVICES, SHORT, Later, cancel_at, meanwhile, nobody, outcome, until
from tests.world.relay import RelayWorld


def phone_number(device: Any) -> str:
    return str(device["params"]["to_number"])


def device(number: str, **more: Any) -> dict[str, Any]:
    return {"type": "phone", "params": {"to_number": number, "from_number": "+15550000", **more}}


async def hung_up(world: RelayWorld) -> None:
    """Wait until nobody is on the line any more."""
    await until(lambda: not world.service.calls, within=10)


async def test_somebody_who_is_called_picks_up(world: RelayWorld) -> None:
    async with world.client() as client:
        call = await client.dial(DEVICES, tag="my-tag", max_duration=600)
        assert (call.state, call.direction, call.tag) == ("answered", "outbound", "my-tag")
        assert call.device == DEVICES[0][0]
        assert client.calls == [call]
        assert world.asked_for("calling.dial") == [{"tag": "my-tag", "devices": DEVICES, "max_duration": 600}]
        assert (await (await call.play(SHORT)).wait(10)).params["state"] == "finished"
        await call.hangup()
        await call.wait_for_ended(5)
        assert client.calls == []


async def test_of_those_who_ring_at_once_the_first_wins_and_the_others_are_let_go(world: RelayWorld) -> None:
    plans = {"+1": 5.0, "+2": 2.0, "+3": None}
    world.service.on_dial = lambda device: RelayCallee(answers_after=plans[phone_number(device)])
    async with world.client() as client:
        call = await client.dial([[device("+1"), device("+2"), device("+3")]])
        assert phone_number(call.device) == "+2"
        await until(lambda: client.statistics().calls_live == 1)
        assert client.calls == [call]
        assert len(world.service.calls) == 1


async def test_groups_are_tried_one_after_the_other(world: RelayWorld) -> None:
    def plan(device: Any) -> RelayCallee:
        return {"+1": RelayCallee(busy=True), "+2": RelayCallee(declines=True), "+3": RelayCallee()}[
            phone_number(device)
        ]

    world.service.on_dial = plan
    async with world.client() as client:
        call = await client.dial([[device("+1")], [device("+2")], [device("+3")]])
        assert phone_number(call.device) == "+3"
        await until(lambda: client.statistics().calls_live == 1)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (RelayCallee(busy=True), "busy"),
        (RelayCallee(declines=True), "decline"),
        (RelayCallee(answers_after=None), "noAnswer"),
    ],
)
async def test_when_nobody_picks_up_the_dial_fails_with_a_reason(
    world: RelayWorld, plan: RelayCallee, reason: str
) -> None:
    world.service.on_dial = lambda device: plan
    async with world.client() as client:
        with pytest.raises(RelayError, match=reason) as caught:
            await client.dial(DEVICES)
        assert caught.value.code == -1
        assert client.calls == []
        await until(lambda: not client.statistics().calls_live)


async def test_what_the_service_refuses_is_raised(world: RelayWorld) -> None:
    async with world.client() as client:
        world.service.faults.refuse["calling.dial"] = ("402", "no money left")
        with pytest.raises(RelayError, match="no money left") as caught:
            await client.dial(DEVICES)
        assert caught.value.code == 402
        world.service.faults.refuse.clear()
        world.service.faults.fail["calling.dial"] = (-32603, "broken")
        with pytest.raises(RelayError, match="broken"):
            await client.dial(DEVICES)


@pytest.mark.parametrize("wrong", ["text", [{"type": "phone"}], [[{"params": {}}]], [[7]], None, {}])
async def test_devices_that_are_none_are_named_and_nothing_is_sent(world: RelayWorld, wrong: Any) -> None:
    async with world.client() as client:
        error = await outcome(client.dial, wrong)
        assert isinstance(error, TypeError | ValueError)
        assert "dial(): devices" in str(error)
        assert world.asked_for("calling.dial") == []
        assert isinstance(await outcome(lambda: client.dial(DEVICES, max_duration="long")), TypeError)  # type: ignore[arg-type]


async def test_a_tag_that_is_in_use_is_refused(world: RelayWorld) -> None:
    world.service.on_dial = nobody
    async with world.client() as client, meanwhile() as group:
        Later(group, lambda: client.dial(DEVICES, tag="mine"))
        await until(lambda: world.service.calls)
        with pytest.raises(RelayError, match="in use by another dial"):
            await client.dial(DEVICES, tag="mine")


async def test_two_dials_at_once_do_not_mix(world: RelayWorld) -> None:
    world.service.on_dial = lambda device: RelayCallee(answers_after={"+1": 3.0, "+2": 1.0}[phone_number(device)])
    async with world.client() as client, meanwhile() as group:
        dials = [Later(group, client.dial, [[device(number)]]) for number in ("+1", "+2")]
        calls: list[Any] = [await one.done() for one in dials]
        assert [phone_number(call.device) for call in calls] == ["+1", "+2"]


async def test_when_nobody_answers_in_time_the_dial_fails_and_what_rings_is_hung_up(world: RelayWorld) -> None:
    world.service.on_dial = nobody
    async with world.client() as client:
        begun = anyio.current_time()
        with pytest.raises(RelayError, match="Dial timed out waiting for answer"):
            await client.dial(DEVICES, dial_timeout=8)
        assert anyio.current_time() - begun == pytest.approx(8, abs=0.1)
        await hung_up(world)
        await until(lambda: not client.statistics().calls_live)


async def test_who_answers_after_the_timeout_is_hung_up_at_once(world: RelayWorld) -> None:
    world.service.on_dial = lambda device: RelayCallee(answers_after=6)
    async with world.client() as client:
        world.service.faults.ignore = {"calling.end"}  # the hang-up of what rings gets lost
        with pytest.raises(RelayError, match="timed out"):
            await client.dial(DEVICES, dial_timeout=5)
        world.service.faults.ignore = set()
        leg = next(iter(world.service.calls.values()))
        await leg.wait_state("answered")
        await leg.wait_state("ended")
        assert [method for method, _ in leg.requests] == ["calling.end"]
        assert client.calls == []
        await until(lambda: not client.statistics().calls_live)


async def test_a_dial_may_be_longer_than_two_minutes_if_it_is_said_so(world: RelayWorld) -> None:
    world.service.on_dial = lambda device: RelayCallee(answers_after=200)
    async with world.client() as client, meanwhile() as group:
        far = [[device("+1", timeout=300)]]
        usual, long = Later(group, client.dial, far), Later(group, lambda: client.dial(far, dial_timeout=250))
        assert "timed out" in str(await usual.done())
        assert usual.took == pytest.approx(120, abs=1)
        assert isinstance(await long.done(), Call)


PHASES = ["asking", "asked", "ringing", "second group rings", "just answered"]


@pytest.mark.parametrize("phase", PHASES)
async def test_a_dial_that_is_cancelled_hangs_up(world: RelayWorld, phase: str) -> None:
    world.service.on_dial = lambda device: RelayCallee(
        busy=phone_number(device) == "+1" and phase == "second group rings",
        answers_after=1.0 if phase == "just answered" else None,
    )
    world.net.latency = 0.05
    async with world.client() as client:
        async with meanwhile() as group:
            Later(group, client.dial, [[device("+1")], [device("+2")]])
            if phase == "asking":
                await anyio.sleep(0.01)
            elif phase == "asked":
                await until(lambda: world.asked_for("calling.dial"))
            elif phase == "just answered":
                await until(lambda: any(leg.state == "answered" for leg in world.service.calls.values()))
                await anyio.sleep(0.01)
            else:
                number = "+2" if phase == "second group rings" else "+1"
                await until(lambda: any(phone_number(leg.device) == number for leg in world.service.calls.values()))
                await anyio.sleep(0.2)
        await anyio.sleep(2)  # a leg that is hung up makes the service ring the next group: hung up, too
        await hung_up(world)
        await until(lambda: not client.statistics().calls_live)
        assert client.calls == []
        assert client.statistics().connections == 1


async def test_a_dial_cancelled_at_any_checkpoint_leaves_nobody_on_the_line(world: RelayWorld) -> None:
    world.service.on_dial = lambda device: RelayCallee(answers_after=0.0)
    for count in range(60):
        async with world.client() as client:
            again = await cancel_at(count, functools.partial(client.dial, DEVICES))
            if again:
                await anyio.sleep(1)
                await hung_up(world)
                await until(lambda client=client: not client.statistics().calls_live)  # type: ignore[misc]
            else:
                await client.calls[0].hangup()
                await hung_up(world)
        if not again:
            return


async def test_a_dial_the_service_never_heard_of_fails_after_ten_seconds(world: RelayWorld) -> None:
    world.service.faults.ignore = {"calling.dial"}
    async with world.client() as client:
        with pytest.raises(RelayError, match=r"Request timeout for calling\.dial"):
            await client.dial(DEVICES)


async def test_a_dial_whose_answer_is_late_goes_on_if_somebody_rings(world: RelayWorld) -> None:
    world.service.on_dial = lambda device: RelayCallee(answers_after=20)
    world.service.faults.delay_of["calling.dial"] = 15
    async with world.client() as client:
        call = await client.dial(DEVICES)
        assert call.state == "answered"


async def test_a_dial_needs_neither_leg_events_nor_the_answer_to_come_first(world: RelayWorld) -> None:
    async with world.client() as client:
        world.service.faults.events_first = True
        assert (await client.dial(DEVICES)).state == "answered"
        world.service.faults.events_first = False
        world.service.faults.lose_events = {"calling.call.state"}
        call = await client.dial(DEVICES)
        assert call.state == "answered"
        assert (await call.hold())["code"] == "200"
        world.service.faults.lose_events = set()
        await call.hangup()
        await call.wait_for_ended(5)


async def test_who_was_called_may_hang_up_at_once(world: RelayWorld) -> None:
    world.service.on_dial = lambda device: RelayCallee(answers_after=1.0, hangs_up_after=0.0)
    async with world.client() as client:
        call = await client.dial(DEVICES)
        assert (await call.wait_for_ended(5)).params["end_reason"] == "hangup"
        assert await call.hangup() == {}
        assert client.calls == []


async def test_dials_that_answered_are_told_to_their_call_again_and_again(world: RelayWorld) -> None:
    heard: list[Any] = []
    async with world.client() as client:
        call = await client.dial(DEVICES, tag="mine")
        call.on("calling.call.dial", heard.append)
        session = next(iter(world.service.sessions.values()))
        winner: Any = {"call_id": call.call_id, "node_id": call.node_id, "tag": "mine"}
        session.push("calling.call.dial", {"tag": "mine", "dial_state": "answered", "call": winner})
        await until(lambda: heard)
        assert type(heard[0]) is DialEvent
        session.push("calling.call.dial", {"tag": "other", "dial_state": "answered", "call": {"call_id": "unknown"}})
        session.push("calling.call.dial", {"tag": "other", "dial_state": "failed"})
        await anyio.sleep(0.1)
        assert client.calls == [call]
