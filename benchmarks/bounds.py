"""``python -m benchmarks.bounds``: what is promised about the worst case, measured, beside the official client.

Every client runs in a process of its own, against a service on loopback that is played by hand. Memory is the resident
set as the operating system counts it, time is the monotonic clock that all processes of a machine share. The status is
1 when a client of ours misses what is required of it.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import final

import attrs

from benchmarks import rows
from benchmarks.rows import FULL, PEER, QUICK, Figure, Measure, Run, Scale
from fuzz.live.stage import ClientAway

_OURS = ("asyncio", "trio")
_ROW_WITHIN = 1800.0


@final
@attrs.frozen(kw_only=True)
class Row:
    """What is measured of which clients, and what is required of ours.

    Rows of one ``turn`` run side by side: they wait more than they work. Where ``apart``, clients take turns too.
    """

    measure: Measure
    title: str
    required: float
    unit: str
    turn: int
    clients: tuple[str, ...] = (*_OURS, PEER)
    at_least: bool = False
    apart: bool = False

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.measure.__name__

    def kept(self, figure: Figure) -> bool:
        """Tell whether a figure is what is required."""
        return figure.value >= self.required if self.at_least else figure.value <= self.required

    def shown(self, figure: Figure | None) -> str:
        """Write a figure as a cell of the table."""
        if figure is None:
            return "-"
        number = "never" if math.isinf(figure.value) else f"{_number(figure.value)} {self.unit}".rstrip()
        return f"{number} ({figure.note})" if figure.note else number


ROWS = (
    Row(measure=rows.slow_reader, title="244 MiB of audio nobody reads", required=8, unit="MiB", turn=3),
    Row(measure=rows.lost_request, title="drop: a request fails after", required=100, unit="ms", turn=1),
    Row(measure=rows.lost_command, title="drop: a media command fails after", required=100, unit="ms", turn=1),
    Row(measure=rows.half_open, title="half-open media is noticed after", required=10, unit="s", turn=1),
    Row(measure=rows.storm, title="connects under accept-then-close", required=12, unit="", turn=2),
    Row(measure=rows.leaving, title="leaving with a dead peer takes", required=2, unit="s", turn=1),
    Row(measure=rows.idle_call, title="memory of an idle call", required=64, unit="KiB", turn=4),
    Row(measure=rows.events, title="control events lost", required=0, unit="", turn=5, apart=True),
    Row(
        measure=rows.many_calls,
        title="calls answered one after the other",
        required=120,
        unit="",
        turn=4,
        at_least=True,
    ),
    Row(
        measure=rows.short_calls,
        title="growth over short calls, real sockets",
        required=1,
        unit="MiB",
        turn=6,
        clients=_OURS,
    ),
    Row(
        measure=rows.joined_calls,
        title="growth over short calls, core in memory",
        required=1,
        unit="MiB",
        turn=7,
        clients=("core",),
    ),
)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.4g}"


Figures = dict[tuple[str, str], Figure]


async def _take(row: Row, kind: str, scale: Scale) -> Figure:
    """Measure one client; what cannot be measured is a miss, with the reason."""
    try:
        async with asyncio.timeout(_ROW_WITHIN):
            figure = await row.measure(Run(kind, scale))
    except ClientAway as error:
        figure = Figure(-math.inf if row.at_least else math.inf, str(error))
    except TimeoutError:
        figure = Figure(-math.inf if row.at_least else math.inf, f"not over in {_ROW_WITHIN:.0f} s")
    print(f"{row.name}, {kind}: {row.shown(figure)}", file=sys.stderr, flush=True)
    return figure


async def _take_all(chosen: Sequence[Row], scale: Scale) -> Figures:
    """Measure everything: turn by turn, side by side within a turn."""
    figures: Figures = {}

    async def take(row: Row, kinds: Sequence[str]) -> None:
        for kind in kinds:
            figures[row.name, kind] = await _take(row, kind, scale)

    for turn in sorted({row.turn for row in chosen}):
        async with asyncio.TaskGroup() as group:
            for row in (row for row in chosen if row.turn == turn):
                print(f"{row.name}: {row.measure.__doc__}", file=sys.stderr, flush=True)
                for kinds in [row.clients] if row.apart else [(kind,) for kind in row.clients]:
                    group.create_task(take(row, kinds))
    return figures


def _missed(row: Row, figures: Figures) -> list[str]:
    return [kind for kind in row.clients if kind != PEER and not row.kept(figures[row.name, kind])]


def table(chosen: Sequence[Row], figures: Figures) -> str:
    """Write the figures as a table in Markdown."""
    lines = [
        "| bound | asyncio | trio | telcoflow 1.0.0 | required | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in chosen:
        cells = [row.shown(figures.get((row.name, kind))) for kind in (*_OURS, PEER)]
        if "core" in row.clients:
            cells[:2] = [row.shown(figures[row.name, "core"]), "the same core"]
        required = f"{'≥' if row.at_least else '≤'} {_number(row.required)} {row.unit}".rstrip()
        missed = _missed(row, figures)
        verdict = f"**missed** ({', '.join(missed)})" if missed else "kept"
        lines.append(f"| {row.title} | {' | '.join(cells)} | {required} | {verdict} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows to measure: {', '.join(r.name for r in ROWS)}")
    parser.add_argument("--quick", action="store_true", help="less of everything: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - {row.name for row in ROWS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    chosen = [row for row in ROWS if not options.names or row.name in options.names]
    figures = asyncio.run(_take_all(chosen, QUICK if options.quick else FULL))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}\n")
    print(table(chosen, figures))
    if options.json is not None:
        found = [
            {
                "row": name,
                "client": kind,
                "value": figure.value if math.isfinite(figure.value) else None,
                "note": figure.note,
            }
            for (name, kind), figure in figures.items()
        ]
        options.json.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return int(any(_missed(row, figures) for row in chosen))


if __name__ == "__main__":
    sys.exit(main())
