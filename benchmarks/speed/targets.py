"""What is wanted, as a table of rows, and whether it was reached."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import final

import attrs

from benchmarks.speed.figures import crossing, slope
from benchmarks.speed.results import Results
from benchmarks.speed.tables import number, table

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
    scenario: str
    points: tuple[str, ...] = ()
    """Which points it is read from; none for all."""
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

    def doubtful(self, results: Results, client: str) -> bool:
        """Tell whether something else than the clients may have been the limit."""
        return any(
            results.doubtful(self.scenario, point, one)
            for point in self.points or results.points(self.scenario)
            for one in (client, "telcoflow", "signalwire")
        )

    def cell(self, results: Results, client: str) -> str:
        """Write the figure of a client, what it should be, and the verdict."""
        value = self.measure(results, client)
        limit = self.limit(client)
        if limit is None:
            return ""
        if math.isnan(value):
            return "not measured"
        shown = "saturated" if math.isinf(value) else f"{number(value)} {self.unit}"
        verdict = "met" if self.met(client, value) else "**missed**"
        doubt = " †" if self.doubtful(results, client) else ""
        return f"{shown} ({'≥' if self.at_least else '≤'} {number(limit)}): {verdict}{doubt}"


def _of_peer(  # noqa: PLR0917 - one line per row of the table below
    title: str,
    scenario: str,
    point: str,
    figure: str,
    asyncio: float,
    trio: float | None,
    *,
    at_least: bool = False,
    peer: str = "telcoflow",
    names: Mapping[str, str] = MappingProxyType({}),
) -> Target:
    """Want a figure to be a multiple of the peer's."""

    def measure(results: Results, client: str) -> float:
        if results.saturated(scenario, point, client):
            return math.inf
        return results.ratio(scenario, point, names.get(client, client), figure, peer=peer)

    return Target(
        title=title, measure=measure, scenario=scenario, points=(point,), asyncio=asyncio, trio=trio, at_least=at_least
    )


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
        if results.saturated("echo", point, client):
            late = max(late, 2 * _HELD_P99)  # whoever does not keep up is late for ever, if not yet
        if not math.isnan(late):
            points.append((float(point), late))
    return crossing(points, _HELD_P99)


def _held(results: Results, client: str) -> float:
    peers = held(results, "telcoflow")
    return held(results, client) / peers if peers else math.nan


def _growth(results: Results, client: str) -> float:
    if results.saturated("echo", "800", client):
        return math.inf
    many, few = (results.figure("echo", point, client, "cpu_us_per_call_second") for point in ("800", "200"))
    return many / few


_RELAY = "signalwire"
_ADAPTERS = {"asyncio": "telcoflow_anyio", "trio": "telcoflow_trio"}
_CORE = dict.fromkeys(_LOOPS, "telcoflow_proto")
_LINK = dict.fromkeys(_LOOPS, "link")

TARGETS = (
    _of_peer("CPU per frame, 100 calls", "echo", "100", "cpu_us", 0.5, 0.6),
    _of_peer("CPU per frame, 200 calls", "echo", "200", "cpu_us", 0.5, 0.6),
    _of_peer("CPU per frame, 100 calls, TLS", "tls", "100", "cpu_us", 0.65, 0.7),
    Target(
        title="calls held, p99 added latency ≤ 20 ms",
        measure=_held,
        scenario="echo",
        asyncio=2.5,
        trio=2,
        at_least=True,
    ),
    Target(title="memory per call", measure=_memory, scenario="echo", asyncio=64, trio=64, unit="KiB"),
    _of_peer("calls per second, notify to answered", "storm", "300", "calls_per_second", 6, 4, at_least=True),
    _of_peer("one call flat out, frames per second", "flat", "1", "frames_per_second", 2, 2, at_least=True),
    _of_peer("CPU per command, on one call", "commands", "1", "cpu_us", 0.65, 0.75),
    _of_peer("RELAY request", "relay", "2000", "request_us", 0.55, 0.65, peer=_RELAY),
    _of_peer("RELAY play start", "relay", "2000", "play_us", 0.3, 0.35, peer=_RELAY),
    _of_peer("RELAY event", "relay", "2000", "event_us", 0.3, 0.35, peer=_RELAY),
    _of_peer("import of the core", "imports", "1", "cpu_ms", 0.25, None, names=_CORE),
    _of_peer("import of the adapter", "imports", "1", "cpu_ms", 0.5, 0.55, names=_ADAPTERS),
    _of_peer("core alone, receive 961 B", "core", "1", "receive 961 B", 0.5, None, peer="wsproto", names=_LINK),
    _of_peer("core alone, send 961 B", "core", "1", "send 961 B", 0.5, None, peer="wsproto", names=_LINK),
    Target(
        title="growth: CPU per call, 800 calls to 200",
        measure=_growth,
        scenario="echo",
        points=("200", "800"),
        asyncio=1.1,
        trio=1.1,
    ),
)


def target_table(results: Results) -> str:
    """Write what was wanted and what was reached, of what was measured."""
    rows = []
    for target in TARGETS:
        values = {client: target.measure(results, client) for client in _LOOPS}
        if not all(math.isnan(value) for value in values.values()):
            rows.append([target.title, *(target.cell(results, client) for client in _LOOPS)])
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
                doubtful = target.doubtful(results, client)
                figure = {"figure": target.title, "client": client, "value": shown, "limit": target.limit(client)}
                found.append({**figure, "met": met, "doubtful": doubtful})
    return found
