"""What is wanted, as a table of rows, and whether it was reached."""

import math
from collections.abc import Callable
from typing import final

import attrs

from benchmarks.speed.figures import crossing, slope
from benchmarks.speed.results import Results
from benchmarks.speed.tables import KEPT_UP, number, table

Measure = Callable[[Results, str], float]
_LOOPS = {"asyncio": "anyio on asyncio", "trio": "native trio"}
_HELD_P99 = 20.0
_SLOPE_UP_TO = 200


@final
@attrs.frozen(kw_only=True)
class Target:
    """One figure, and what it is to be: on asyncio, on trio. Where a limit is None, nothing is wanted."""

    title: str
    measure: Measure
    asyncio: float | None
    trio: float | None
    at_least: bool = False
    unit: str = "×"

    def limit(self, client: str) -> float | None:
        """Return what is wanted of a client."""
        return self.asyncio if client == "asyncio" else self.trio

    def met(self, client: str, value: float) -> bool | None:
        """Tell whether a figure is what is wanted; None if there is nothing to tell."""
        limit = self.limit(client)
        if limit is None or math.isnan(value):
            return None
        return value >= limit if self.at_least else value <= limit

    def cell(self, client: str, value: float) -> str:
        """Write the figure of a client, what it should be, and the verdict."""
        limit = self.limit(client)
        if limit is None:
            return ""
        if math.isnan(value):
            return "not measured"
        shown = "saturated" if math.isinf(value) else f"{number(value)} {self.unit}"
        verdict = "met" if self.met(client, value) else "**missed**"
        return f"{shown} ({'≥' if self.at_least else '≤'} {number(limit)}): {verdict}"


def _ratio(scenario: str, point: str, figure: str, peer: str = "telcoflow", **names: str) -> Measure:
    def measure(results: Results, client: str) -> float:
        return results.ratio(scenario, point, names.get(client, client), figure, peer=peer)

    return measure


def _memory(results: Results, client: str) -> float:
    """Return the KiB that one more call takes, where nobody is saturated yet."""
    points = [
        (int(point), results.figure("echo", point, client, "rss_kib"))
        for point in results.points("echo")
        if int(point) <= _SLOPE_UP_TO
    ]
    return slope([(x, y) for x, y in points if not math.isnan(y)])


def held(results: Results, client: str) -> float:
    """Return how many calls a client holds with little added latency: where the latency crosses the bound."""
    points = []
    for point in results.points("echo"):
        late = results.figure("echo", point, client, "p99_ms")
        if results.figure("echo", point, client, "kept_up") < KEPT_UP:
            late = max(late, 2 * _HELD_P99)  # whoever does not keep up is late for ever, if not yet
        if not math.isnan(late):
            points.append((float(point), late))
    return crossing(points, _HELD_P99)


def _held(results: Results, client: str) -> float:
    peers = held(results, "telcoflow")
    return held(results, client) / peers if peers else math.nan


def _growth(results: Results, client: str) -> float:
    if results.figure("echo", "800", client, "kept_up") < KEPT_UP:
        return math.inf
    many, few = (results.figure("echo", point, client, "cpu_us_per_call_second") for point in ("800", "200"))
    return many / few


_RELAY = "signalwire"
_ADAPTERS = {"asyncio": "telcoflow_anyio", "trio": "telcoflow_trio"}
_CORE = dict.fromkeys(_LOOPS, "telcoflow_proto")
_LINK = dict.fromkeys(_LOOPS, "link")

TARGETS = (
    Target(title="CPU per frame, 100 calls", measure=_ratio("echo", "100", "cpu_us"), asyncio=0.5, trio=0.6),
    Target(title="CPU per frame, 200 calls", measure=_ratio("echo", "200", "cpu_us"), asyncio=0.5, trio=0.6),
    Target(title="CPU per frame, 100 calls, TLS", measure=_ratio("tls", "100", "cpu_us"), asyncio=0.65, trio=0.7),
    Target(title="calls held, p99 added latency ≤ 20 ms", measure=_held, asyncio=2.5, trio=2, at_least=True),
    Target(title="memory per call", measure=_memory, asyncio=64, trio=64, unit="KiB"),
    Target(
        title="calls per second, notify to answered",
        measure=_ratio("storm", "300", "calls_per_second"),
        asyncio=6,
        trio=4,
        at_least=True,
    ),
    Target(
        title="one call flat out, frames per second",
        measure=_ratio("flat", "1", "frames_per_second"),
        asyncio=2,
        trio=2,
        at_least=True,
    ),
    Target(title="CPU per command", measure=_ratio("commands", "20", "cpu_us"), asyncio=0.65, trio=0.75),
    Target(title="RELAY request", measure=_ratio("relay", "2000", "request_us", _RELAY), asyncio=0.55, trio=0.65),
    Target(title="RELAY play start", measure=_ratio("relay", "2000", "play_us", _RELAY), asyncio=0.3, trio=0.35),
    Target(title="RELAY event", measure=_ratio("relay", "2000", "event_us", _RELAY), asyncio=0.3, trio=0.35),
    Target(title="import of the core", measure=_ratio("imports", "1", "cpu_ms", **_CORE), asyncio=0.25, trio=None),
    Target(
        title="import of the adapter", measure=_ratio("imports", "1", "cpu_ms", **_ADAPTERS), asyncio=0.5, trio=0.55
    ),
    Target(
        title="core alone, receive 961 B, to wsproto",
        measure=_ratio("core", "1", "receive 961 B", "wsproto", **_LINK),
        asyncio=0.5,
        trio=None,
    ),
    Target(
        title="core alone, send 961 B, to wsproto",
        measure=_ratio("core", "1", "send 961 B", "wsproto", **_LINK),
        asyncio=0.5,
        trio=None,
    ),
    Target(title="growth: CPU per call, 800 calls to 200", measure=_growth, asyncio=1.1, trio=1.1),
)


def target_table(results: Results) -> str:
    """Write what was wanted and what was reached, of what was measured."""
    rows = []
    for target in TARGETS:
        values = {client: target.measure(results, client) for client in _LOOPS}
        if not all(math.isnan(value) for value in values.values()):
            rows.append([target.title, *(target.cell(client, value) for client, value in values.items())])
    return table(["figure", *_LOOPS.values()], rows)


def verdicts(results: Results) -> list[dict[str, object]]:
    """Return the same as JSON values."""
    found: list[dict[str, object]] = []
    for target in TARGETS:
        for client in _LOOPS:
            value = target.measure(results, client)
            met = target.met(client, value)
            if met is not None:
                shown = value if math.isfinite(value) else None
                found.append({"figure": target.title, "client": client, "value": shown, "met": met})
    return found
