"""``python -m benchmarks``: measure ours and the peers side by side, and print figures, ratios and verdicts.

Every client runs in a process of its own; what it costs is CPU time as the operating system counts it, over a window
after a warm-up. Clients take turns within each round; figures are medians over the rounds, ratios the medians of each
round's ratio. The status is 1 when a client of ours lost or mixed up samples, whatever its speed.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from benchmarks.speed import report, tables, targets
from benchmarks.speed.meter import machine
from benchmarks.speed.running import ROOT, carry_out
from benchmarks.speed.scenarios import LABELS, OURS, QUICK, SCENARIOS, Scale, plan

_CALM = 0.5
"""The load average of a machine on which little else happens."""
_REPORT = ROOT / "docs" / "reports" / "speed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    scale = QUICK if options.quick else Scale()
    changes = {name: getattr(options, name) for name in ("calls", "rounds", "seconds")}
    scale = attrs.evolve(scale, **{name: value for name, value in changes.items() if value is not None})
    chosen = [scenario for scenario in SCENARIOS if options.only is None or scenario.name in options.only]
    where = machine()
    if os.getloadavg()[0] > _CALM:
        print("the machine is busy: figures will be worth less than they could be", file=sys.stderr)
    results = carry_out(plan(chosen, scale, options.clients or tuple(LABELS)))
    print(report.describe(where), targets.target_table(results), tables.all_tables(results), sep="\n\n")
    if options.json is not None:
        found = {
            "machine": where,
            "scale": attrs.asdict(scale),
            "targets": targets.verdicts(results),
            "results": results.to_json(),
        }
        options.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if options.report:
        command = " ".join(("python -m benchmarks", *given))
        report.write(results, where, command=command, rounds=scale.rounds, folder=_REPORT)
    faulty = [(key, faults) for key, faults in results.faulty() if key[2] in OURS]
    for key, faults in faulty:
        print(f"SAMPLES LOST OR MIXED UP: {' '.join(key)}: {faults}")
    return int(bool(faulty))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", type=_known(names), metavar="NAME,...", help=f"scenarios: {', '.join(names)}")
    parser.add_argument("--clients", type=_known([*LABELS]), metavar="NAME,...", help=f"of {', '.join(LABELS)}")
    parser.add_argument("--calls", type=_counts, metavar="N,...", help="calls at once in the scenario echo")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long a window is")
    parser.add_argument("--quick", action="store_true", help="less of everything: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    parser.add_argument("--report", action="store_true", help="write docs/reports/speed, with plots")
    return parser


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _known(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        unknown = [name for name in found if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
        return found

    return names
