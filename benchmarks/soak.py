"""``python -m benchmarks.soak``: twenty concurrent calls on the local gateway, for half an hour, in bad weather.

Two clients, ten calls each: ``telcoflow_anyio`` on asyncio and ``telcoflow_trio``. Each is a process of its own and has
a gateway process of its own; between them is a network that does what bad networks do, see ``WEATHER``. Agents echo,
say commands and hang up when the seed says so, and a new call replaces each that is over. The status is 1 when memory,
tasks, file descriptors or registries grow, or when a call is not accounted for.
"""

import argparse
import asyncio
import datetime as dt
import json
import math
import os
import platform
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, final

import attrs

from benchmarks.soak_network import ALL, CONTROL, Line, Network
from benchmarks.soak_verdict import (
    MIB,
    CallStory,
    Fault,
    Reading,
    Verdict,
    flat_memory,
    idle_again,
    loss_explained,
    none_logged,
    sparkline,
)
from benchmarks.stages import ROOT

PAGE = ROOT / "docs" / "reports" / "soak.md"
KINDS = ("asyncio", "trio")
LIVE = 10
_SHOWN_EVERY = 5.0
_PARTING = 40.0  # seconds until all is over: a backoff of up to thirty, and then some
_LINE_BYTES = 1024 * 1024


@final
class Child:
    """A process of ours that tells lines of JSON, which go to ``hears`` as they come."""

    def __init__(self, process: Process, hears: Callable[[dict[str, Any]], None]) -> None:
        self.pid = process.pid
        self._process = process
        self._hears = hears
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, module: str, *arguments: str, hears: Callable[[dict[str, Any]], None]) -> "Child":
        """Start a module of this folder. What it writes to standard error is shown."""
        command = (sys.executable, "-m", f"benchmarks.{module}", *arguments)
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT, limit=_LINE_BYTES)
        return cls(process, hears)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            self._hears(told)
            waiting = self._waiting.pop(told["event"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(told)
        for waiting in self._waiting.values():
            if waiting.done():
                continue  # nobody waits any more
            waiting.set_exception(RuntimeError("a process of the soak ended early"))

    async def said(self, event: str, *, within: float) -> dict[str, Any]:
        """Wait for the next report of that name. Raises TimeoutError, RuntimeError if the process ends before."""
        if self._reading.done():
            raise RuntimeError("a process of the soak ended early")
        waiting = self._waiting[event] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(waiting, within)

    def tell(self) -> None:
        """Give it the line it waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._process.returncode is None

    async def end(self) -> None:
        """End the process, stopped or not."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading


# ---------------------------------------------------------------------------------------------- one client's half


@final
class Half:
    """A client, its gateway, the network between them, and the account of what happened."""

    def __init__(self, kind: str, seed: str) -> None:
        self.kind = kind
        self.seed = seed
        self.faults: list[Fault] = []
        self.samples: list[dict[str, Any]] = []
        self.gateway_samples: list[dict[str, Any]] = []
        self.outcomes: Counter[str] = Counter()
        self.wrongs: list[str] = []
        self.placed = 0
        self.idle: dict[str, Any] = {}
        self.idle_again: dict[str, Any] = {}
        self.away: list[tuple[float, float]] = []
        self._stories: dict[str, CallStory] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start the gateway, the network and the client, and let it idle."""
        self.gateway = await Child.start("soak_gateway", str(LIVE), self.seed, hears=self._hear_gateway)
        try:
            serving = await self.gateway.said("serving", within=30)
            self.network = Network(serving["port"])
            await self.network.open()
            address = f"ws://127.0.0.1:{self.network.port}"
            self.client = await Child.start("soak_client", self.kind, address, self.seed, hears=self._hear_client)
            try:
                await self.client.said("connected", within=30)
                self._reset_control()
                self.idle = await self.client.said("idle", within=30)
                yield
            finally:
                await self.client.end()
                self.network.close()
        finally:
            await self.gateway.end()

    def _reset_control(self) -> None:
        """Lose the first connection, so that the client idles as one that has been through that."""
        now = time.monotonic()
        self.faults.append(Fault(kind="reset", scope=CONTROL, begun=now, ended=now, breaks=True, silences=False))
        for line in self.network.control():
            line.break_off(broken=True)

    async def leave(self) -> None:
        """Place no more calls, let all end, and see how the client idles then."""
        self.gateway.tell()
        await self.gateway.said("finished", within=_PARTING)
        self.client.tell()
        self.idle_again = await self.client.said("idle again", within=_PARTING)
        for story in self._stories.values():
            self._close(story)
        self._stories.clear()

    # ------------------------------------------------------------------ what the processes tell

    def _hear_gateway(self, told: dict[str, Any]) -> None:
        match told["event"]:
            case "sample":
                self.gateway_samples.append(told)
            case "placed":
                self.placed += 1
                self._stories[told["call"]] = CallStory(name=told["call"], placed=told["at"])
            case "over":
                story = self._stories[told["call"]]
                story.over, story.ended_by, story.states = told["at"], told["by"], told["states"]
                self._close_if_complete(story)

    def _hear_client(self, told: dict[str, Any]) -> None:
        match told["event"]:
            case "sample":
                self.samples.append(told)
            case "lost":
                if not self.away or math.isfinite(self.away[-1][1]):  # the first of several attempts that failed
                    self.away.append((told["at"], math.inf))
                    if loss_explained(self.faults_now(), CONTROL, told["at"]) is None:
                        self._wrong(f"no fault explains the loss of the control connection: {told['reason']}")
            case "restored":
                self.away[-1] = (self.away[-1][0], told["at"])
            case "offered" | "answered" | "ended":
                self._hear_of_call(told)

    def _hear_of_call(self, told: dict[str, Any]) -> None:
        story = self._stories.get(told["call"])
        if story is None:
            self._wrong(f"call {told['call']} was {told['event']} after it had been accounted for")
            return
        match told["event"]:
            case "offered":
                story.offered += 1
            case "answered":
                story.answered += 1
            case _:
                story.ends += 1
                story.ended, story.reason, story.told = told["over"], told["reason"], told["told"]
                story.declined, story.failed = told["declined"], told["failed"]
                self._close_if_complete(story)

    def _close_if_complete(self, story: CallStory) -> None:
        """Account for a call both have seen the end of. One the client never had waits for the end of the run."""
        if story.over is not None and story.ends:
            del self._stories[story.name]
            self._close(story)

    def _close(self, story: CallStory) -> None:
        outcome, wrong = story.outcome(self.faults_now(), self.away)
        self.outcomes[outcome] += 1
        if wrong is not None:
            self._wrong(f"call {story.name}: {wrong}")

    def _wrong(self, what: str) -> None:
        self.wrongs.append(what)
        _show(f"WRONG, {self.kind}: {what}")

    # ------------------------------------------------------------------ weather

    def faults_now(self) -> list[Fault]:
        """Return the faults that are over, and the one that goes on."""
        return [*self.faults, *self._going_on]

    _going_on: tuple[Fault, ...] = ()

    async def weather(self) -> None:
        """Do something to the network every few seconds, for ever."""
        draw = random.Random(f"{self.seed} weather")
        kinds = list(WEATHER)
        while True:
            await asyncio.sleep(draw.uniform(0.5, 4.0))
            kind = draw.choices(kinds, [WEATHER[kind].weight for kind in kinds])[0]
            await self._suffer(kind, WEATHER[kind], draw)

    async def _suffer(self, kind: str, ill: "Ill", draw: random.Random) -> None:
        long = draw.random() < ill.long
        seconds = draw.uniform(13.0, 16.0) if long else draw.uniform(*ill.seconds)
        lines: dict[str, list[Line] | list[None]] = {ALL: [None], CONTROL: self.network.control()}
        among = lines.get(ill.scope, self.network.calls())
        pick = draw.random()
        if not among:
            return
        line = among[int(pick * len(among))]
        scope = line.name if line is not None else ALL
        if long:
            kind = f"{kind}, long"
        begun = time.monotonic()
        fault = Fault(kind=kind, scope=scope, begun=begun, ended=math.inf, breaks=ill.breaks, silences=ill.silences)
        self._going_on = (fault,)
        try:
            ill.begin(self, line)
            await asyncio.sleep(seconds)
        finally:
            ill.end(self, line)
            self._going_on = ()
            self.faults.append(attrs.evolve(fault, ended=time.monotonic()))


Act = Callable[[Half, Any], None]  # Any: the line that was picked, or None where all are meant


@final
@attrs.frozen(kw_only=True)
class Ill:
    """What may happen to the network: how often, to what, for how long, and whether it may be for very long."""

    weight: float
    scope: str = "one line"
    seconds: tuple[float, float] = (0.0, 0.0)
    long: float = 0.0
    breaks: bool = False
    silences: bool = False
    begin: Act
    end: Act = lambda _half, _line: None


def _hold(_half: Half, line: Line) -> None:
    for end in line.ends:
        end.hold("stall")


def _let_go(_half: Half, line: Line) -> None:
    for end in line.ends:
        end.let_go("stall")


def _hold_service(_half: Half, line: Line) -> None:
    line.service.hold("half open")


def _let_service_go(_half: Half, line: Line) -> None:
    line.service.let_go("half open")


def _cut_small(_half: Half, line: Line) -> None:
    line.segment = 1


def _cut_ordinary(_half: Half, line: Line) -> None:
    line.segment = 65536


def _slow_down(_half: Half, line: Line) -> None:
    for end in line.ends:
        end.slow = True


def _speed_up(_half: Half, line: Line) -> None:
    for end in line.ends:
        end.slow = False


def _reset(_half: Half, line: Line) -> None:
    line.break_off(broken=True)


WEATHER = {
    "segments of one byte": Ill(weight=3, seconds=(0.5, 2.0), begin=_cut_small, end=_cut_ordinary),
    "stall": Ill(weight=3, seconds=(0.2, 3.0), silences=True, begin=_hold, end=_let_go),
    "half-open, then healed": Ill(
        weight=3, seconds=(1.0, 4.0), long=0.2, silences=True, begin=_hold_service, end=_let_service_go
    ),
    "reset": Ill(weight=4, breaks=True, begin=_reset),
    "slow reader": Ill(weight=3, seconds=(1.0, 4.0), begin=_slow_down, end=_speed_up),
    "partition": Ill(
        weight=1,
        scope=ALL,
        seconds=(0.5, 4.0),
        long=0.15,
        silences=True,
        begin=lambda half, _: half.network.part(),
        end=lambda half, _: half.network.heal(),
    ),
    "gateway stopped": Ill(
        weight=1,
        scope=ALL,
        seconds=(0.5, 4.0),
        long=0.15,
        silences=True,
        begin=lambda half, _: os.kill(half.gateway.pid, signal.SIGSTOP),
        end=lambda half, _: os.kill(half.gateway.pid, signal.SIGCONT),
    ),
    "control connection killed": Ill(weight=1, scope=CONTROL, breaks=True, begin=_reset),
}


# ---------------------------------------------------------------------------------------------- the run


async def soak(minutes: float, seed: str) -> list[Half]:
    """Run both halves that long, and show how it goes."""
    one, other = (Half(kind, f"{seed} {kind}") for kind in KINDS)
    halves = [one, other]
    async with one.open(), other.open():
        for half in halves:
            half.gateway.tell()
        weather = [asyncio.create_task(half.weather()) for half in halves]
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < minutes * 60:
            await asyncio.sleep(min(_SHOWN_EVERY, minutes * 60 - elapsed))
            _show(progress(halves, time.monotonic() - begun, minutes))
            for half in halves:
                if not (half.client.alive and half.gateway.alive):
                    raise RuntimeError(f"a process of {half.kind} died")
            for task in weather:
                if task.done():
                    task.result()
        for task in weather:
            task.cancel()
        await asyncio.gather(*weather, return_exceptions=True)
        _show("the weather clears, everybody hangs up")
        await asyncio.gather(*(half.leave() for half in halves))
    return halves


def _show(line: str) -> None:
    print(f"\r\033[K{line}" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)


def progress(halves: Sequence[Half], elapsed: float, minutes: float) -> str:
    """Say in one line how it goes."""

    def both(key: str, *, scale: float = 1, digits: int = 0) -> str:
        return "/".join(f"{half.samples[-1][key] / scale:.{digits}f}" if half.samples else "-" for half in halves)

    ended = sum(sum(half.outcomes.values()) for half in halves)
    lost = sum(count for half in halves for how, count in half.outcomes.items() if "connection lost" in how)
    wrong = sum(len(half.wrongs) for half in halves)
    return (
        f"{elapsed // 60:02.0f}:{elapsed % 60:02.0f} of {minutes:g} min | live {both('live')} | "
        f"calls {sum(half.placed for half in halves)}, ended {ended}, lost {lost}, wrong {wrong} | "
        f"faults {sum(len(half.faults) for half in halves)}, reconnects {both('reconnects')} | "
        f"MiB {both('rss', scale=MIB, digits=1)} | tasks {both('tasks')} | fds {both('fds')} | errors {both('errors')}"
    )


def readings(samples: Sequence[dict[str, Any]], key: str) -> list[Reading]:
    """Return a figure of the samples over the seconds since the first."""
    return [(sample["at"] - samples[0]["at"], sample[key]) for sample in samples]


def verdicts(halves: Sequence[Half]) -> list[Verdict]:
    """Judge all of it."""
    found: list[Verdict] = []
    for half in halves:
        who = half.kind
        found.append(flat_memory(who, readings(half.samples, "rss")))
        found += idle_again(who, half.idle, half.idle_again)
        found.append(none_logged(who, half.idle_again))
        account = f"{half.placed} placed, {sum(half.outcomes.values())} accounted for"
        complete = half.placed == sum(half.outcomes.values()) > 0
        kept = complete and not half.wrongs
        wrong = f"; {len(half.wrongs)} wrong, the first: {half.wrongs[0]}" if half.wrongs else ""
        found.append(Verdict(what=f"{who}: every call is accounted for", kept=kept, figure=account + wrong))
    return found


# ---------------------------------------------------------------------------------------------- the report


_METHOD = """\
Memory is the resident set of the client's process as the operating system counts it, every five seconds, each time
after a garbage collection: a call that is over is a cycle, which CPython would find only now and then. Tasks, file
descriptors and registries are compared with those before the first call, a few seconds after the last one; before the
first call a client has lost its control connection once. A lost connection is explained by a reset of that line in the
6 s before, or by at least 4.5 s of silence in the 12 s before, both done by the weather; anything else is a wrong."""


def page(halves: Sequence[Half], judged: Sequence[Verdict], *, minutes: float, seed: str, command: str) -> str:
    """Write the report."""
    done = all(verdict.kept for verdict in judged)
    faults = Counter((half.kind, fault.kind) for half in halves for fault in half.faults)
    outcomes = sorted({outcome for half in halves for outcome in half.outcomes})
    lines = [
        "# Twenty calls in bad weather",
        "",
        f"**{'All of it held.' if done else 'Not all of it held.'}**",
        "",
        (
            f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, `{command}`, seed `{seed}`, {minutes:g} minutes, Python "
            f"{platform.python_version()}, {platform.system()}, {os.cpu_count()} CPUs shared with other work."
        ),
        "",
        (__doc__ or "").partition("\n\n")[2].strip(),
        "",
        _METHOD,
        "",
        "## Verdict",
        "",
        "| what | figure | verdict |",
        "|---|---|---|",
        *(f"| {one.what} | {one.figure} | {'kept' if one.kept else '**missed**'} |" for one in judged),
        "",
        "## Faults",
        "",
        "| fault | asyncio | trio |",
        "|---|---|---|",
        *(
            f"| {kind} | {faults['asyncio', kind]} | {faults['trio', kind]} |"
            for kind in sorted({kind for _, kind in faults})
        ),
        "",
        "## Calls",
        "",
        "| how they ended | asyncio | trio |",
        "|---|---|---|",
        *(f"| {outcome} | {' | '.join(str(half.outcomes[outcome]) for half in halves)} |" for outcome in outcomes),
        f"| **all** | {' | '.join(str(sum(half.outcomes.values())) for half in halves)} |",
        f"| reconnects of the control connection | {' | '.join(str(h.idle_again['reconnects']) for h in halves)} |",
        "",
        "## Over time",
        "",
        "Mean, lowest and highest of the samples of each sixth of the run.",
    ]
    for half in halves:
        lines += ["", f"### {half.kind}", "", *_over_time(half)]
    return "\n".join([*lines, ""])


def _over_time(half: Half) -> list[str]:
    shown = (
        ("memory, MiB", half.samples, "rss", MIB, 1),
        ("tasks", half.samples, "tasks", 1, 0),
        ("file descriptors", half.samples, "fds", 1, 0),
        ("held in registries", half.samples, "held", 1, 0),
        ("live calls", half.samples, "live", 1, 0),
        ("memory of the gateway, MiB", half.gateway_samples, "rss", MIB, 1),
    )
    table = ["| | idle | 1/6 | 2/6 | 3/6 | 4/6 | 5/6 | 6/6 | idle again |", "|---|---|---|---|---|---|---|---|---|"]
    bars = []
    for name, samples, key, scale, digits in shown:
        values = [sample[key] / scale for sample in samples]
        parts = [values[len(values) * part // 6 : len(values) * (part + 1) // 6] for part in range(6)]
        cells = [f"{sum(p) / len(p):.{digits}f} ({min(p):.{digits}f}–{max(p):.{digits}f})" if p else "-" for p in parts]
        ours = samples is half.samples
        idle = [f"{at[key] / scale:.{digits}f}" if ours else "-" for at in (half.idle, half.idle_again)]
        table.append(f"| {name} | {idle[0]} | {' | '.join(cells)} | {idle[1]} |")
        bars.append(f"{name:<28}{sparkline(readings(samples, key))}")
    return [*table, "", "```text", *bars, "```"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak, write the report; 0 if all held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Twenty calls in bad weather.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", default="1", help="what agents, callers and weather are drawn from (default: 1)")
    parser.add_argument("--report", type=Path, default=PAGE, metavar="PATH", help="where the report goes")
    options = parser.parse_args(arguments)
    halves = asyncio.run(soak(options.minutes, options.seed))
    judged = verdicts(halves)
    print()
    for verdict in judged:
        print(f"{'kept  ' if verdict.kept else 'MISSED'}  {verdict.what}: {verdict.figure}")
    for half in halves:
        for wrong in half.wrongs[:20]:
            print(f"{half.kind}: {wrong}")
    command = f"make soak MINUTES={options.minutes:g}"
    text = page(halves, judged, minutes=options.minutes, seed=options.seed, command=command)
    options.report.write_text(text, encoding="utf-8")
    print(f"the report is in {options.report}")
    return 0 if all(verdict.kept for verdict in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
