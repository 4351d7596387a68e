"""Decide whether the tests cover enough of each package.

Reads the report of `coverage json` and the floors in pyproject.toml, table `[tool.coverage_gate]`.
Lines and branches count alike, and nothing is rounded up: one missed branch is not 100 %.

    python tools/coverage_gate.py coverage.json
"""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What ran, out of what could have run."""

    covered_lines: int = 0
    lines: int = 0
    covered_branches: int = 0
    branches: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            covered_lines=self.covered_lines + other.covered_lines,
            lines=self.lines + other.lines,
            covered_branches=self.covered_branches + other.covered_branches,
            branches=self.branches + other.branches,
        )

    @property
    def covered(self) -> int:
        """Lines and branches that ran."""
        return self.covered_lines + self.covered_branches

    @property
    def total(self) -> int:
        """Lines and branches there are."""
        return self.lines + self.branches

    @property
    def percent(self) -> float:
        """For reading only: cut after one decimal, so that 99.99 never shows as 100."""
        return self.covered * 1000 // self.total / 10 if self.total else 0.0

    def reaches(self, floor: float) -> bool:
        """Whether at least `floor` percent of it ran."""
        return self.covered * 100 >= floor * self.total


@dataclass(frozen=True, kw_only=True)
class Module:
    """One source file of the report."""

    path: str
    tally: Tally
    missing: str

    @property
    def package(self) -> str:
        """The top-level folder, which names the package."""
        return PurePath(self.path).parts[0]


def spans(numbers: list[int]) -> list[str]:
    """Line numbers with neighbours joined: 3, 4, 5, 9 becomes 3-5, 9."""
    joined: list[tuple[int, int]] = []
    for number in numbers:
        if joined and number == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], number)
        else:
            joined.append((number, number))
    return [str(first) if first == last else f"{first}-{last}" for first, last in joined]


def read_module(path: str, entry: dict[str, Any]) -> Module:
    """One file of the report; branches out of lines that never ran are not listed a second time."""
    summary = entry["summary"]
    unseen = set(entry["missing_lines"])
    arcs = [(start, end) for start, end in entry["missing_branches"] if start not in unseen]
    return Module(
        path=path,
        tally=Tally(
            covered_lines=summary["covered_lines"],
            lines=summary["num_statements"],
            covered_branches=summary["covered_branches"],
            branches=summary["num_branches"],
        ),
        missing=", ".join(
            spans(entry["missing_lines"]) + [f"{start}->{end if end > 0 else 'exit'}" for start, end in arcs]
        ),
    )


def main(report: Path) -> int:
    """Print one row per package and, where a floor is missed, what to test; 0 means the gate is open."""
    with (ROOT / "pyproject.toml").open("rb") as config:
        floors: dict[str, float] = tomllib.load(config)["tool"]["coverage_gate"]
    files: dict[str, dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["files"]
    modules = [read_module(path, entry) for path, entry in sorted(files.items())]

    complaints: list[str] = []
    width = max(map(len, floors))
    print(f"{'package':{width}}  {'lines':>13}  {'branches':>13}  {'covered':>8}  {'needed':>7}")
    for package, floor in floors.items():
        own = [module for module in modules if module.package == package]
        sum_ = sum((module.tally for module in own), Tally())
        lines = f"{sum_.covered_lines}/{sum_.lines}"
        branches = f"{sum_.covered_branches}/{sum_.branches}"
        print(f"{package:{width}}  {lines:>13}  {branches:>13}  {sum_.percent:>6} %  {floor:>5} %")
        if not own:
            complaints.append(f"{package}: no file of it was measured")
        if not sum_.reaches(floor):
            complaints += [
                f"{module.path}  {module.tally.percent} %  missing {module.missing}"
                for module in own
                if not module.tally.reaches(floor)
            ]
    for complaint in complaints:
        print(complaint)
    if complaints:
        print("coverage is below the gate")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
