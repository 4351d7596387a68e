"""The client of the soak, a process: ``python -m benchmarks.soak_client asyncio|trio BASE_URL SEED``.

It takes every call, and each goes its own way, which the seed and the caller's number decide. It says how it idles,
works until it is given a line, waits until its calls are over and says again how it idles; all as lines of JSON.
"""

import asyncio
import importlib
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, final

import anyio
import trio

from benchmarks.agents import report, told
from benchmarks.registries import sizes
from benchmarks.soak_sampling import SAMPLED_EVERY, Errors, descriptors, resident, run
from telcoflow_proto.exceptions import BufferClosedError, BufferFullError, WSSCallError, WSSMediaError

MODULES = {"asyncio": "telcoflow_anyio", "trio": "telcoflow_trio"}
_SETTLED = 1.0
_QUIET = 7.0  # a call looks after its handlers for five seconds more
_RATE = 8000


@final
class Program:
    """What the agent does with its calls."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.reconnects = 0
        self.back = anyio.Event()

    async def take(self, call: Any) -> None:  # Any: a call of either library
        """Live through one call, and tell how it ended."""
        draw = random.Random(f"{self._seed} {call.caller_number}")
        told_ends: list[float] = []
        call.register_event_handler("call.terminated", lambda: told_ends.append(time.monotonic()))
        report("offered", call=call.call_id)
        await anyio.sleep(draw.uniform(0.0, 0.3))
        declines = draw.random() < 0.05
        failed = ""
        try:
            if declines:
                await call.disconnect()
            else:
                await call.answer()
                report("answered", call=call.call_id)
                await _talk(call, draw)
        except (WSSCallError, WSSMediaError) as error:
            failed = f"{type(error).__name__}: {error}"
        if call.end_reason is None:
            await call.force_disconnect()  # what failed while the call goes on: it shall not stay
        reason = await call.wait_ended()
        await anyio.sleep(0.5)  # were it told twice, it would be told by now
        over = told_ends[0] if told_ends else time.monotonic()
        details = {"reason": reason, "told": len(told_ends), "declined": declines, "failed": failed}
        report("ended", call=call.call_id, over=over, **details)

    def restored(self) -> None:
        """The control connection is back."""
        self.reconnects += 1
        self.back.set()
        report("restored")


async def _talk(call: Any, draw: random.Random) -> None:
    """Echo, say a few commands, and hang up when the time has come, if the caller did not before."""
    async with anyio.create_task_group() as group:
        if draw.random() < 0.1:
            group.start_soon(_hear_late, call, draw.uniform(1.0, 10.0))
        else:
            group.start_soon(_echo, call)
        with suppress(WSSCallError, WSSMediaError, BufferClosedError):
            with anyio.move_on_after(draw.uniform(1.0, 30.0)):
                await _command(call, draw)
            await _hang_up(call, draw)()
        await call.wait_ended()


async def _echo(call: Any) -> None:
    async for chunk in call.audio_stream():
        with suppress(BufferFullError, BufferClosedError):
            await call.send_audio(chunk)


async def _hear_late(call: Any, seconds: float) -> None:
    """Let what was heard pile up, but not longer than the call lasts."""
    with anyio.move_on_after(seconds):
        await call.wait_ended()
    await _echo(call)


async def _command(call: Any, draw: random.Random) -> None:
    """Interrupt, drain, bring in the callee, change who hears whom: until the call is over."""
    while call.end_reason is None:
        await anyio.sleep(draw.uniform(0.2, 4.0))
        names = ("interrupt", "drain", "connect", "whisper", "spy", "barge")
        act: Callable[[], Awaitable[object]] = getattr(call, draw.choice(names))
        with suppress(WSSCallError):  # busy, unanswered, not in this state: it goes on
            await act()


def _hang_up(call: Any, draw: random.Random) -> Callable[[], Awaitable[object]]:
    way: Callable[[], Awaitable[object]] = draw.choice(
        (call.close, call.disconnect, call.force_disconnect, call.wait_ended)
    )
    return way


def whereabouts(kind: str) -> list[str]:
    """Return for each task that is alive where it waits: the names of its coroutines, from the outermost in."""
    if kind != "trio":
        return [_waits_in(task.get_coro()) for task in asyncio.all_tasks()]
    found: list[str] = []
    ahead = [trio.lowlevel.current_root_task()]
    while ahead:
        task = ahead.pop()
        if task is not None:
            found.append(_waits_in(task.coro))
            ahead += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


def _waits_in(coroutine: Any) -> str:
    names: list[str] = []
    while (frame := getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)) is not None:
        names.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return " > ".join(names)


async def main(kind: str, base_url: str, seed: str) -> None:
    errors = Errors()
    logging.getLogger().addHandler(errors)
    library = importlib.import_module(MODULES[kind])
    config = library.TelcoflowClientConfig.sandbox(
        api_key="test-key", connector_uuid="test-connector", base_url=base_url, sample_rate=_RATE
    )
    program = Program(seed)
    client = library.TelcoflowClient(config)
    client.register_event_handler("call.new", program.take)
    client.register_event_handler("connection.lost", lambda lost: report("lost", reason=lost.reason))
    client.register_event_handler("connection.restored", program.restored)

    def sample() -> dict[str, object]:
        held = sizes(client)
        return {
            "rss": resident(),
            "tasks": len(tasks := whereabouts(kind)),
            "whereabouts": tasks,
            "fds": descriptors(),
            "live": len(client.calls),
            "registries": held,
            "held": sum(held.values()),
            "reconnects": program.reconnects,
            "errors": errors.count,
            "last_error": errors.last,
        }

    async def sampling() -> None:
        while True:
            await anyio.sleep(SAMPLED_EVERY)
            report("sample", **sample())

    async with client:
        report("connected")
        await program.back.wait()  # from a first loss: what is remembered of the connection before is no growth
        await anyio.sleep(_SETTLED)
        report("idle", **sample())
        async with anyio.create_task_group() as group:
            group.start_soon(sampling)
            await told()
            group.cancel_scope.cancel()
        while client.calls:
            await anyio.sleep(0.1)
        await anyio.sleep(_QUIET)
        report("idle again", **sample())


if __name__ == "__main__":
    kind_wanted, url, seed_given = sys.argv[1:]
    run(partial(main, kind_wanted, url, seed_given), backend=kind_wanted)
