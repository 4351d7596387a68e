"""The figures as tables in Markdown."""

import math
from collections.abc import Sequence

from benchmarks.speed.results import Results
from benchmarks.speed.scenarios import LABELS, SCENARIOS, Scenario

_PEERS = ("telcoflow", "signalwire", "wsproto")
_KEPT_UP = 0.98


def number(value: float, places: int = 3) -> str:
    """Write a number with as many digits as it deserves."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 10 ** (places - 1) else f"{value:.{places}g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def peer_of(results: Results, scenario: str) -> str | None:
    """Return which of the clients of a scenario the others are compared with."""
    return next((client for client in results.clients(scenario) if client in _PEERS), None)


def scenario_table(results: Results, scenario: Scenario) -> str:
    """Write the figures of one scenario, with what they are of the peer's."""
    points = results.points(scenario.name)
    rows = [
        [LABELS.get(client, client), *(cell(results, scenario, point, client) for point in points)]
        for client in results.clients(scenario.name)
    ]
    return table([scenario.unit, *(f"{point}{scenario.of}" for point in points)], rows)


def cell(results: Results, scenario: Scenario, point: str, client: str) -> str:
    """Write the figure of one client at one point: raw, as a multiple of the peer's, and what goes with it."""
    outcomes = results.outcomes(scenario.name, point, client)
    failed = [one.failed for one in outcomes if one.failed]
    if len(failed) == len(outcomes):
        return f"not possible: {failed[0]}" if failed else "–"
    text = number(results.figure(scenario.name, point, client, scenario.figure))
    peer = peer_of(results, scenario.name)
    if peer is not None and client != peer:
        text += f" (×{number(results.ratio(scenario.name, point, client, scenario.figure, peer=peer), 2)})"
    if scenario.beside:
        text += f", {number(results.figure(scenario.name, point, client, scenario.beside))} {scenario.beside_unit}"
    if results.figure(scenario.name, point, client, "kept_up") < _KEPT_UP:
        text = f"saturated: {text}"
    if any(one.limited for one in outcomes):
        text += " †"
    if any(one.faults for one in outcomes):
        text += " ‡"
    return text


def all_tables(results: Results) -> str:
    """Write every scenario that was measured."""
    parts = []
    for scenario in SCENARIOS:
        if scenario.name in results.scenarios():
            parts += [f"### {scenario.title}", "", scenario_table(results, scenario), ""]
    return "\n".join(parts)
