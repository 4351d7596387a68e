"""The figures as tables in Markdown."""

import math
from collections.abc import Sequence

from benchmarks.speed.results import KEPT_UP, Results
from benchmarks.speed.scenarios import LABELS, SCENARIOS, Column, Scenario

_OTHERS = {"link": "telcoflow_proto, link", "media": "telcoflow_proto, media", "wsproto": "wsproto, WSConnection"}
LEGEND = f"""\
In brackets: the multiple of the peer's figure, the median of each round's ratio. Saturated: less than {KEPT_UP:.0%} of
the frames came back within the window. † In most rounds something else may have been the limit: the load gateway was
late, or others kept the client's process from running. ‡ Samples were lost or mixed up."""
_NO_RATIO = {"p99_ms", "modules"}


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


def scenario_table(results: Results, scenario: Scenario) -> str:
    """Write the figures of one scenario, with what they are of the peer's."""
    layout = _layout(scenario, results.points(scenario.name))
    rows = [
        [label(client), *(cell(results, scenario, point, client, columns) for _, point, columns in layout)]
        for client in results.clients(scenario.name)
    ]
    return table(["client", *(head for head, _, _ in layout)], rows)


def _layout(scenario: Scenario, points: Sequence[str]) -> list[tuple[str, str, tuple[Column, ...]]]:
    """Return the columns: what stands above each, and what in it. Figures with a head have a column of their own."""
    if scenario.columns[0].head:
        of = "{} ({} at once)" if len(points) > 1 else "{}"
        return [(of.format(column.head, point), point, (column,)) for point in points for column in scenario.columns]
    return [(f"{point} {scenario.of}", point, scenario.columns) for point in points]


def label(client: str) -> str:
    """Return what a client is called where people read it."""
    return LABELS.get(client) or _OTHERS.get(client, client)


def cell(results: Results, scenario: Scenario, point: str, client: str, columns: Sequence[Column]) -> str:
    """Write figures of one client at one point: raw, as a multiple of the peer's, and what is to be said of them."""
    outcomes = results.outcomes(scenario.name, point, client)
    failed = [one.failed for one in outcomes if one.failed]
    if failed and len(failed) == len(outcomes):
        return f"not possible: {failed[0]}"
    parts = []
    for column in columns:
        part = f"{number(results.figure(scenario.name, point, client, column.name))} {column.unit}".rstrip()
        ratio = results.ratio(scenario.name, point, client, column.name, peer=scenario.peer)
        if client != scenario.peer and column.name not in _NO_RATIO and not math.isnan(ratio):
            part += f" (×{number(ratio, 2)})"
        parts.append(part)
    text = ", ".join(parts)
    if results.saturated(scenario.name, point, client):
        text = f"saturated: {text}"
    if results.doubtful(scenario.name, point, client):
        text += " †"
    if any(one.faults for one in outcomes):
        text += " ‡"
    return text


def remarks(results: Results) -> list[str]:
    """Say what the marks in the tables mean, and what was noted while measuring, each thing once."""
    seen = dict.fromkeys(
        f"{label(client)}, {scenario} {point}: {said}"
        for scenario in results.scenarios()
        for point in results.points(scenario)
        for client in results.clients(scenario)
        for one in results.outcomes(scenario, point, client)
        for said in (one.failed, one.note, one.faults)
        if said
    )
    return [LEGEND, "", *(f"- {line}" for line in seen)]


def all_tables(results: Results) -> str:
    """Write every scenario that was measured."""
    parts = []
    for scenario in SCENARIOS:
        if scenario.name in results.scenarios():
            parts += [f"### {scenario.title}", "", scenario_table(results, scenario), ""]
    return "\n".join([*parts, *remarks(results)])
