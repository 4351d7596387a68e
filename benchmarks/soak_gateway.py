"""The gateway of the soak, a process: ``python -m benchmarks.soak_gateway LIVE SEED``.

It says where it serves, waits for a line, keeps that many calls alive until the next line, then lets everybody hang
up. What happens to calls is told as lines of JSON.
"""

import logging
import random
import sys
from functools import partial
from typing import final

import anyio
import anyio.abc

from benchmarks.agents import report, told
from benchmarks.soak_sampling import SAMPLED_EVERY, Errors, descriptors, resident, run
from telcoflow_anyio.gateway import Callee, Caller, Gateway, Voice
from telcoflow_anyio.gateway.calls import GatewayCall

_LOOKS_EVERY = 0.05


@final
class Switchboard:
    """Places a call for each that is over. Who calls, for how long, and whom they reach: the seed decides."""

    def __init__(self, gateway: Gateway, *, live: int, seed: str, tasks: anyio.abc.TaskGroup) -> None:
        self._gateway = gateway
        self._live = live
        self._random = random.Random(seed)
        self._tasks = tasks
        self._voice = Voice.tone(440, 0.5).repeated()
        self._placed = 0

    async def keep_calling(self) -> None:
        """Keep as many calls alive as wanted. A call the agent has left lives on without counting."""
        while True:
            while sum(call.session_open for call in self._gateway.calls) < self._live:
                await self._place()
            await anyio.sleep(_LOOKS_EVERY)

    async def _place(self) -> None:
        draw = self._random
        self._placed += 1
        caller = Caller(
            number=f"+1555{self._placed:07d}", voice=self._voice, hangs_up_after=round(draw.uniform(4.0, 40.0), 2)
        )
        callee = Callee(
            voice=self._voice,
            answers_after=draw.uniform(0.2, 3.0),
            busy=draw.random() < 0.3,
            hangs_up_after=draw.uniform(2.0, 20.0),
        )
        call = await self._gateway.place_call(caller, callee)
        report("placed", call=call.call_id)
        self._tasks.start_soon(self._watch, call)

    async def _watch(self, call: GatewayCall) -> None:
        await call.wait_state("over")
        report("over", call=call.call_id, by=call.ended_by, states=call.states)


async def main(live: int, seed: str) -> None:
    errors = Errors()
    logging.getLogger().addHandler(errors)
    async with Gateway() as gateway:
        report("serving", port=int(gateway.base_url.rsplit(":", 1)[1]))
        await told()
        async with anyio.create_task_group() as watching:
            async with anyio.create_task_group() as calling:
                calling.start_soon(Switchboard(gateway, live=live, seed=seed, tasks=watching).keep_calling)
                calling.start_soon(_sample, gateway, errors)
                await told()
                calling.cancel_scope.cancel()
            for call in gateway.calls:
                await call.caller_hangs_up()
        report("finished", calls=len(gateway.calls))
        await told()


async def _sample(gateway: Gateway, errors: Errors) -> None:
    while True:
        await anyio.sleep(SAMPLED_EVERY)
        live = sum(call.session_open for call in gateway.calls)
        report("sample", rss=resident(), fds=descriptors(), live=live, errors=errors.count, last_error=errors.last)


if __name__ == "__main__":
    run(partial(main, int(sys.argv[1]), sys.argv[2]))
