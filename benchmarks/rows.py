"""What is measured: a row is a figure of one client, with the service played by hand and nothing else changed."""

import asyncio
import json
import math
import statistics
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable
from typing import Any, final

import attrs

from benchmarks.registries import fuller
from benchmarks.stages import ROOT, Scene, scene
from fuzz.live.stage import ClientAway, sound
from fuzz.live.wire import Wire
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import wire_frame
from telcoflow_proto.websocket import Close

PEER = "official"

_MIB = 1024 * 1024
_FAIL_WITHIN = 35.0
_HALF_OPEN_WITHIN = 70.0
_SETTLED = 2_000  # calls: 1,024 ids of calls that are over are remembered, and trio keeps 1,000 cancelled timers
_EVERY = 1_000  # calls from one look at the memory to the next


@final
@attrs.frozen(kw_only=True)
class Scale:
    """How much of everything there is."""

    audio_frames: int = 4_000
    storm_seconds: float = 60.0
    idle_calls: tuple[int, ...] = (50, 100, 200)
    events: int = 1_000_000
    calls: int = 120
    short_calls: int = 20_000
    joined_calls: int = 100_000


FULL = Scale()
QUICK = Scale(
    audio_frames=400, storm_seconds=15.0, idle_calls=(10, 20, 40), events=20_000, short_calls=100, joined_calls=2_000
)
_PEER_IDLE_CALLS = (8, 16, 24)  # it answers no more than 33
_PEER_EVENTS = 1_000


@final
@attrs.frozen
class Figure:
    """One figure; ``note`` says what the number does not. What did not happen took for ever: infinity."""

    value: float
    note: str = ""


@final
@attrs.frozen
class Run:
    """What one measurement is asked for: which client, and how much of everything."""

    kind: str
    scale: Scale


Measure = Callable[[Run], Awaitable[Figure]]


# ---------------------------------------------------------------------------------------------- memory


async def slow_reader(run: Run) -> Figure:
    """Push 244 MiB of audio at an application that never reads."""
    async with scene(run.kind, "hold") as here:
        media = await here.call_is_answered(await here.stage.client_is_ready())
        await asyncio.sleep(0.5)
        before = highest = here.agent.rss()
        frame = wire_frame(Role.SERVER, 0x2, sound(64_000))
        for _ in range(run.scale.audio_frames):
            await media.says_bytes(frame, "audio")
            highest = max(highest, here.agent.rss())
        for _ in range(20):  # what is under way
            await asyncio.sleep(0.1)
            highest = max(highest, here.agent.rss())
        return Figure((highest - before) / _MIB, "it closed the connection" if media.over else "")


async def idle_call(run: Run) -> Figure:
    """Take the slope of memory over the number of answered calls in which nothing happens."""
    async with scene(run.kind, "hold") as here:
        control = await here.stage.client_is_ready()
        counts = _PEER_IDLE_CALLS if run.kind == PEER else run.scale.idle_calls
        sizes = []
        calls = 0
        for count in counts:
            while calls < count:
                await here.call_is_answered(control, f"s{calls}")
                calls += 1
            await asyncio.sleep(1.0)
            sizes.append(here.agent.rss())
        slope = statistics.linear_regression(counts, sizes).slope
        return Figure(slope / 1024, f"over {', '.join(map(str, counts))} calls")


# ---------------------------------------------------------------------------------------------- time


async def lost_request(run: Run) -> Figure:
    """Drop the control connection under a claim that waits for its answer."""
    async with scene(run.kind, "request") as here:
        control = await here.stage.client_is_ready()
        if await control.hears(5.0, type="session.open") is None:
            raise ClientAway("the client claims nothing")
        control.cut()
        return await _until(here, "failed", within=_FAIL_WITHIN, unit=1e3)


async def lost_command(run: Run) -> Figure:
    """Drop the media connection under an answer that waits to be confirmed."""
    async with scene(run.kind, "hold") as here:
        media, _ = await here.stage.call_rings(await here.stage.client_is_ready())
        media.cut()
        return await _until(here, "failed", within=_FAIL_WITHIN, unit=1e3)


async def half_open(run: Run) -> Figure:
    """Let the media connection of a call go silent, without a FIN, until the audio stream of the call ends."""
    async with scene(run.kind, "listen") as here:
        media = await here.call_is_answered(await here.stage.client_is_ready())
        await media.says(sound(960))
        await asyncio.sleep(0.5)
        here.cable.strands[-1].dead = True
        return await _until(here, "ended", within=_HALF_OPEN_WITHIN)


async def leaving(run: Run) -> Figure:
    """Leave the client's context while everything it is connected to is dead."""
    async with scene(run.kind, "leave") as here:
        await here.call_is_answered(await here.stage.client_is_ready())
        for strand in here.cable.strands:
            strand.dead = True
        here.agent.tell()
        leaves = await here.agent.hears("leaves", within=5.0)
        if leaves is None:
            raise ClientAway("the client does not say that it leaves")
        return await _until(here, "left", within=_FAIL_WITHIN, since=leaves["at"])


async def _until(here: Scene, event: str, *, within: float, since: float | None = None, unit: float = 1.0) -> Figure:
    """Take the time from now, or then, until the client reports an event."""
    began = time.monotonic() if since is None else since
    happened = await here.agent.hears(event, within=within)
    if happened is None:
        return Figure(math.inf, f"not in {within:.0f} s")
    return Figure((happened["at"] - began) * unit, happened.get("error", ""))


# ---------------------------------------------------------------------------------------------- counts


async def storm(run: Run) -> Figure:
    """Accept every connection after the first good one, and close it at once."""
    async with scene(run.kind, "hold") as here:
        stage = here.stage
        control = await stage.client_is_ready()
        seen = len(stage.controls)
        before = len(stage.attempts)
        control.cut()
        end = time.monotonic() + run.scale.storm_seconds
        while (left := end - time.monotonic()) > 0:
            await stage.until(lambda: len(stage.controls) > seen, within=left)  # noqa: B023 - awaited at once
            for wire in stage.controls[seen:]:
                seen += 1
                await wire.says(Close(code=1000))
                wire.cut()
        return Figure(len(stage.attempts) - before, f"in {run.scale.storm_seconds:.0f} s")


async def many_calls(run: Run) -> Figure:
    """Take calls one after the other, until one is not answered."""
    async with scene(run.kind, "hold") as here:
        control = await here.stage.client_is_ready()
        for number in range(run.scale.calls):
            if missed := await _one_call(here, control, f"s{number}"):
                return Figure(number, f"of {run.scale.calls}; then {missed}")
        return Figure(run.scale.calls, f"of {run.scale.calls}")


async def _one_call(here: Scene, control: Wire, session_id: str) -> str | None:
    """Let a call come, be answered and end; return why it was not answered, if it was not."""
    try:
        media = await here.call_is_answered(control, session_id)
    except ClientAway as error:
        return str(error)
    await media.says({"type": "call_event", "data": {"event": "call.terminated"}})
    await control.says({"type": "session.closed", "sessionId": session_id, "reason": "CALL_TERMINATED"})
    await media.says(Close())
    await media.until(lambda wire: wire.over, within=2.0)
    return None


async def events(run: Run) -> Figure:
    """Announce sessions and close them again, as fast as they are taken, and count what the handlers get."""
    async with scene(run.kind, "count") as here:
        control = await here.stage.client_is_ready()
        total = min(_PEER_EVENTS, run.scale.events) if run.kind == PEER else run.scale.events
        pushing = asyncio.create_task(_announce(control, total, closing=run.kind != PEER))
        began = time.monotonic()
        counted: dict[str, Any] = {}
        came, moved = 0, began
        while came < total and time.monotonic() < moved + 5.0:
            counted = await here.agent.hears("counted", within=5.0) or counted
            if counted and counted["notified"] + counted["closed"] != came:
                came, moved = counted["notified"] + counted["closed"], counted["at"]
        pushing.cancel()
        return Figure(total - came, f"of {total:,}; {came / (moved - began):,.0f} a second")


async def _announce(control: Wire, total: int, *, closing: bool) -> None:
    """Say that many things; the client of the vendor tells of the end of sessions only those it has opened."""
    notice = {"type": "session.notify", "channel": "TELCO", "activity": "NEW_INCOMING_CALL", "createdAt": 1}
    notice |= {"remoteAddress": "+15550001", "localAddress": "+15550002"}
    end = {"type": "session.closed", "reason": "FORCE_CLOSE"}
    batch = b""
    for number in range(total):
        session = {"sessionId": f"s{number // 2 if closing else number}"}
        message = end if closing and number % 2 else notice
        batch += wire_frame(Role.SERVER, 0x1, json.dumps({**message, **session}).encode())
        if len(batch) > 65_536 or number == total - 1:
            await control.says_bytes(batch, "many")
            batch = b""


async def short_calls(run: Run) -> Figure:
    """Take many short calls; see what memory grows by once everything that has a bound is full."""
    async with scene(run.kind, "hold") as here:
        control = await here.stage.client_is_ready()
        empty = await _held(here)
        count = run.scale.short_calls
        settled = min(_SETTLED, count // 2)
        seen: list[int] = []
        slowest = 0.0
        began = time.monotonic()
        for number in range(count):
            if number >= settled and (number - settled) % _EVERY == 0:
                seen.append(here.agent.rss())
                here.forget()
            started = time.monotonic()
            if missed := await _one_call(here, control, f"s{number}"):
                return Figure(math.inf, f"after {number:,} calls {missed}")
            slowest = max(slowest, time.monotonic() - started)
        rate = count / (time.monotonic() - began)
        await asyncio.sleep(1.0)  # the end of the last call is under way
        seen.append(here.agent.rss())
        held = fuller(empty, await _held(here))
        if held:
            return Figure(math.inf, f"still held: {', '.join(held)}")
        note = f"at most, over call {settled:,} to {count:,}; registries empty"
        return Figure((max(seen) - seen[0]) / _MIB, f"{note}; {rate:,.0f} a second, the slowest took {slowest:.1f} s")


async def _held(here: Scene) -> dict[str, int]:
    """Ask the client how full its registries are."""
    here.agent.tell()
    held = await here.agent.hears("held", within=5.0)
    if held is None:
        raise ClientAway("the client does not say what it holds")
    return dict(held["sizes"])


async def joined_calls(run: Run) -> Figure:
    """Take very many calls with both ends of the core joined in memory."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.joined", str(run.scale.joined_calls)), stdout=PIPE, stderr=DEVNULL, cwd=ROOT
    )
    output, _ = await process.communicate()
    if process.returncode:
        return Figure(math.inf, "failed")
    found = json.loads(output)
    if found["held"]:
        return Figure(math.inf, f"still held: {', '.join(found['held'])}")
    note = f"over call {found['settled']:,} to {found['calls']:,}; registries empty; {found['rate']:,.0f} a second"
    return Figure(found["growth"] / _MIB, note)
