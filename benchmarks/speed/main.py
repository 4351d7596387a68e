"""``python -m benchmarks``: measure ours and the peers side by side, and print ratios, figures and verdicts.

Every client runs in a process of its own; what it costs is CPU time as the operating system counts it, over a window
after a warm-up. Clients take turns within each round; figures are medians over the rounds, ratios the medians of each
round's ratio. The status is 1 when a client of ours lost or mixed up samples, whatever its speed.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks.speed import tables
from benchmarks.speed.meter import machine
from benchmarks.speed.running import carry_out
from benchmarks.speed.scenarios import LABELS, OURS, QUICK, SCENARIOS, Scale, plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    options = _parser().parse_args(arguments)
    scale = QUICK if options.quick else Scale()
    scale = attrs.evolve(
        scale,
        calls=options.calls or scale.calls,
        rounds=options.rounds or scale.rounds,
        seconds=options.seconds or scale.seconds,
    )
    chosen = [scenario for scenario in SCENARIOS if not options.only or scenario.name in options.only]
    where = machine()
    results = carry_out(plan(chosen, scale, options.clients or tuple(LABELS)))
    print(describe(where), tables.all_tables(results), sep="\n\n")
    if options.json is not None:
        found = {"machine": where, "scale": attrs.asdict(scale), "results": results.to_json()}
        options.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    faulty = [(key, faults) for key, faults in results.faulty() if key[2] in OURS]
    for key, faults in faulty:
        print(f"SAMPLES LOST OR MIXED UP: {' '.join(key)}: {faults}")
    return int(bool(faulty))


def describe(where: Mapping[str, object]) -> str:
    """Say in a line what was measured on."""
    return (
        f"{where['date']} · {where['cpu']}, {where['cores']} cores · {where['system']} · {where['python']} · "
        f"load average at the start {where['load']} · {where['packages']}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", type=_names(names), metavar="NAME,...", help=f"scenarios: {', '.join(names)}")
    parser.add_argument("--clients", type=_names([*LABELS]), metavar="NAME,...", help=f"of {', '.join(LABELS)}")
    parser.add_argument("--calls", type=_numbers, metavar="N,...", help="calls at once in the echo scenarios")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long a window of real time is")
    parser.add_argument("--quick", action="store_true", help="less of everything: to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round to a file")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


class _names:  # noqa: N801 - argparse shows it as a type
    """Reads names that are known."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        """Read them; raise ArgumentTypeError for an unknown one."""
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in self._known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(self._known)}")
        return names
