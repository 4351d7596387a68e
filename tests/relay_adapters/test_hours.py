"""An hour on the phone: three lines busy all the time, drops every few minutes, and nothing left at the end."""

# mypy: disable-error-code="truthy-bool"

import itertools
import random
from collections import Counter
from typing import Any

import anyio

from telcoflow_anyio.gateway.relay import RelayCallee, RelayCaller
from telcoflow_anyio.relay import ActionEnd, Call, RelayConnectionError, RelayError
from tests.relay_adapters.acts import DEVICES, meanwhile, until
from tests.world.relay import Journal, RelayWorld, kept_by

HOUR = 3600.0
LINES = 3


class SupportLine:
    """Answers, asks for a key, and connects, records or says goodbye. A request a drop has cut off is said again."""

    def __init__(self) -> None:
        self.served = Counter[str]()
        self.ends = Counter[ActionEnd | None]()

    async def take(self, call: Call) -> None:
        try:
            await self._again(call.answer)
            await self._serve(call)
            self.served["to the end"] += 1
        except RelayError:
            self.served["cut short"] += 1
        await self._again(call.hangup)
        await call.wait_for_ended(400)

    async def _serve(self, call: Call) -> None:
        asking = await self._again(
            lambda: call.prompt_tts("Press 1 for sales, 2 for support.", {"digits": {"max": 1, "digit_timeout": 5.0}})
        )
        event = await asking.wait()
        self.ends[asking.end] += 1
        digits = event.params.get("result", {}).get("params", {}).get("digits", "")
        if digits == "1":
            await self._again(lambda: call.connect(DEVICES))
            await call.wait_for(
                "calling.call.connect", lambda event: event.params["connect_state"] in {"disconnected", "failed"}, 120
            )
            self.served["connected"] += 1
        elif digits == "2":
            recording = await self._again(lambda: call.record({"max_length": 20.0}))
            await recording.wait()
            self.ends[recording.end] += 1
            self.served["recorded"] += 1
        goodbye = await self._again(lambda: call.play_tts("Goodbye"))
        await goodbye.wait()
        self.ends[goodbye.end] += 1

    async def _again(self, say: Any) -> Any:
        for _ in range(5):
            try:
                return await say()
            except RelayConnectionError:
                self.served["said again"] += 1
        return await say()


async def keep_calling(world: RelayWorld, chance: random.Random, until_then: float) -> None:
    while anyio.current_time() < until_then:
        key = chance.choice("123")
        with anyio.move_on_after(300):  # a call the outage has eaten is given up
            there = await world.service.place_call(RelayCaller(presses=((4.0, key),)))
            await there.wait_state("ended")
        await anyio.sleep(chance.uniform(1, 20))


async def keep_dropping(world: RelayWorld, chance: random.Random) -> None:
    """Drop the connection now and then; sometimes the service is away for a while, or forgets the session."""
    for count in itertools.count():
        await anyio.sleep(chance.uniform(60, 240))
        if count % 3 == 0:
            world.refuse()
        await world.lose(forget=count % 4 == 3)
        await anyio.sleep(chance.uniform(0.5, 5))
        world.listen()


async def test_an_hour_on_three_lines_leaves_nothing_behind(world: RelayWorld) -> None:
    chance = random.Random(3)
    world.service.on_dial = lambda device: RelayCallee(
        answers_after=chance.uniform(0.5, 4), hangs_up_after=chance.uniform(5, 30), busy=chance.random() < 0.2
    )
    support = SupportLine()
    client = world.client()
    journal = Journal(client)
    client.on_call(support.take)
    async with client:
        over = anyio.current_time() + HOUR
        async with meanwhile() as dropping:
            dropping.start_soon(keep_dropping, world, chance)
            async with anyio.create_task_group() as callers:
                for _ in range(LINES):
                    callers.start_soon(keep_calling, world, chance, over)
        world.listen()
        await until(lambda: not client.calls, within=120)
        await until(lambda: not world.service.calls, within=120)
        await anyio.sleep(5)
        statistics = client.statistics()
        assert statistics.connections > 15
        assert (statistics.calls_live, statistics.actions_live, statistics.requests_queued) == (0, 0, 0)
        assert (statistics.bad_frames, statistics.bad_events, statistics.calls_turned_away) == (0, 0, 0)
        assert kept_by(client) == {}
        assert support.served["to the end"] > 100
        assert support.served["connected"] > 20
        assert support.served["recorded"] > 20
        assert set(support.ends) <= {ActionEnd.COMPLETED, ActionEnd.CONNECTION_LOST, ActionEnd.CALL_GONE}
        assert ActionEnd.CONNECTION_LOST in support.ends
        assert journal.states[-1] == "connected"
        assert {one.restored for one in journal.connections[1:] if one.state == "connected"} == {True, False}
        assert world.service.calls == {}
        assert world.net.client_streams == 1
