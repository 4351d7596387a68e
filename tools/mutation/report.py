"""What a run has found, as a page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from tools.mutation.running import KILLED, TIMED_OUT


@dataclass(frozen=True)
class Result:
    """One mutant and what became of it."""

    number: int
    where: str
    line: int
    change: str
    verdict: str
    killer: str
    tests: int
    cut: bool


def read(path: Path) -> dict[int, Result]:
    """The verdicts noted so far, the latest for each mutant."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {one.number: one for one in (Result(**json.loads(line)) for line in lines)}


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share, after Wilson."""
    if not total:
        return 0.0, 1.0
    z, share = 1.959964, hits / total
    middle, spread = share + z * z / (2 * total), z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - spread) / (1 + z * z / total), (middle + spread) / (1 + z * z / total)


_NOT_SEEN = "not looked at"


@dataclass(frozen=True)
class Score:
    """How many of some mutants were noticed."""

    results: Sequence[Result]

    def count(self, *verdicts: str) -> int:
        """How many ended so."""
        return sum(one.verdict in verdicts for one in self.results)

    @property
    def noticed(self) -> int:
        """Those that a test failed for, or never ended with."""
        return self.count(KILLED, TIMED_OUT)

    def __str__(self) -> str:
        return f"{100 * self.noticed / len(self.results):.1f} %" if self.results else "-"

    @property
    def interval(self) -> str:
        """Where the score of all mutants lies, with 95 % confidence."""
        low, high = wilson(self.noticed, len(self.results))
        return f"{100 * low:.1f} % to {100 * high:.1f} %"


def page(results: Sequence[Result], total: int, command: str, date: str, reasons: dict[tuple[str, str], str]) -> str:
    """The report; reasons are kept by file and change, so that they outlive a moved line."""
    whole = Score(results)
    modules = {
        where: Score([one for one in results if one.where == where]) for where in sorted({r.where for r in results})
    }
    alive = sorted((one for one in results if one.verdict not in {KILLED, TIMED_OUT}), key=lambda r: (r.where, r.line))
    why = {one.number: reasons.get((one.where, one.change), _NOT_SEEN) for one in alive}
    kinds = Counter(text.partition(":")[0] for text in why.values())
    what = "every mutant" if len(results) == total else f"a random sample of {len(results)} of {total} mutants"
    lines = [
        f"Made on {date} by `{command}`: {what}.",
        "",
        "| mutants | killed | timed out | survived | score | 95 % interval (Wilson) |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {len(results)} | {_row(whole)} | **{whole}** | {whole.interval} |",
        "",
        "Of the survivors: " + (", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none") + ".",
        f"For {sum(one.cut for one in alive)} of them there was not the time for every test that reaches them.",
        "",
        "## By module",
        "",
        "| module | mutants | killed | timed out | survived | score |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {where} | {len(one.results)} | {_row(one)} | {one} |" for where, one in modules.items()),
        "",
        "## Survivors",
        "",
        "| where | change | why |",
        "|---|---|---|",
        *(f"| {one.where}:{one.line} | {_code(one.change)} | {why[one.number]} |" for one in alive),
        "",
    ]
    return "\n".join(lines)


def _row(score: Score) -> str:
    return f"{score.count(KILLED)} | {score.count(TIMED_OUT)} | {len(score.results) - score.noticed}"


def _code(change: str) -> str:
    before, _, after = change.replace("|", "\\|").partition(" => ")
    return f"`` {before} `` → `` {after or '(nothing)'} ``"
