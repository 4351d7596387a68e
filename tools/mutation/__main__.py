"""Change the core in small ways and see whether a test notices: `python -m tools.mutation --help`."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import time
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pytest

from tools.mutation import report
from tools.mutation.mutants import CORE, ROOT, Mutant, modules, sample
from tools.mutation.reach import KEPT, TESTS, Reach, measure
from tools.mutation.running import (
    SURVIVED,
    UNCHANGED,
    Collected,
    Importing,
    Say,
    afresh,
    change,
    forget_cached,
    fork,
    in_place,
    live_functions,
    patience,
    with_pytest,
)

_REASONS = Path(__file__).with_name("survivors.toml")
_PAGE = ROOT / "docs" / "reports" / "mutation.md"
_MARK = "<!-- what follows is written by `make mutate` -->"
_NAMELESS = " object at 0x"  # the name of such a test is another one in every process
_CONTROL = 20  # every so many mutants, the same tests must pass on the unchanged module


@dataclass
class Run:
    """One run over chosen mutants."""

    reach: Reach
    budget: float

    def choose(self, mutant: Mutant, tests: list[str], *, near: bool | None = None) -> tuple[list[str], bool]:
        """The tests to run, likeliest and fastest first, and whether some did not fit into the budget."""
        folder = "core" if mutant.path.parent == CORE else mutant.path.parent.name
        own = f"tests/{folder}/test_{mutant.path.stem}.py::"
        usable = [test for test in tests if test and test not in self.reach.failed and _NAMELESS not in test]
        if near is not None:
            usable = [test for test in usable if test.startswith(own) is near]
        beside = "tests/tables/" if mutant.path.stem.endswith("table") else f"tests/{folder}/"
        usable.sort(
            key=lambda test: (
                *(not test.startswith(place) for place in (own, beside)),
                test not in self.reach.looking,
                self.reach.seconds.get(test, 0),
            )
        )
        spent, kept = 0.0, list[str]()
        for test in usable:
            spent += self.reach.seconds.get(test, 0)
            if kept and spent > self.budget:
                return kept, True
            kept.append(test)
        return kept, False

    def note(self, number: int, mutant: Mutant, verdict: str, killer: str, tests: int, *, cut: bool) -> None:
        """Keep a verdict, in a file too: this runs in a child."""
        result = report.Result(number, mutant.where, mutant.line, mutant.change, verdict, killer, tests, cut)
        with (KEPT / "verdicts.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def ask(
        self, mutant: Mutant, judge: Callable[[str, Say], None], tests: list[str], *, controlled: bool
    ) -> tuple[str, str]:
        """The verdict of some tests; where it is controlled, they must pass on the unchanged code first."""
        wait = patience(tests, self.reach.seconds)
        if controlled:
            verdict, said = fork(partial(judge, ""), wait)
            if verdict != SURVIVED:
                print(f"a test fails on the unchanged code, so nothing counts: {said or verdict}", flush=True)
                os._exit(2)
        return fork(partial(judge, mutant.source()), wait)

    def in_place(self, chosen: list[tuple[int, Mutant]], items: dict[str, pytest.Item]) -> None:
        """Judge the mutants inside functions; in a child that has collected every test."""
        forget_cached(CORE.name)
        functions = live_functions({mutant.path for _, mutant in chosen})
        gc.collect()
        gc.freeze()
        for done, (number, mutant) in enumerate(chosen):
            tests, cut = self.choose(mutant, self.reach.of(mutant.path, mutant.lines))
            if not tests:
                self.note(number, mutant, UNCHANGED, "", 0, cut=False)
                continue
            changing = partial(change, functions[mutant.path], mutant.path)
            judge = partial(in_place, changing, [items[test] for test in tests], self.reach.seconds)
            verdict, said = self.ask(mutant, judge, tests, controlled=done % _CONTROL == 0)
            self.note(number, mutant, verdict, said, len(tests), cut=cut)
            if done % 100 == 0:
                print(f"{time.strftime('%H:%M:%S')} {done} of {len(chosen)} in functions", flush=True)
        os._exit(0)

    def by_import(self, chosen: list[tuple[int, Mutant]]) -> None:
        """Judge the mutants that take effect while modules are imported."""
        for name in self.reach.imported:
            with suppress(Exception):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()
        for done, (number, mutant) in enumerate(chosen):
            reaching = self.reach.of_module(mutant.path)
            verdict, said, count, cut = SURVIVED, "", 0, False
            for near in (True, False):
                tests, cut = self.choose(mutant, reaching, near=near)
                count += len(tests)
                if not tests:
                    continue
                finding = partial(Importing, mutant.module, mutant.path)
                judge = partial(afresh, finding, tests, self.reach.seconds)
                verdict, said = self.ask(mutant, judge, tests, controlled=done % _CONTROL == 0)
                if verdict != SURVIVED:
                    break
            self.note(number, mutant, verdict, said, count, cut=cut)
            if done % 50 == 0:
                print(f"{time.strftime('%H:%M:%S')} {done} of {len(chosen)} by importing", flush=True)


def judged(numbered: list[tuple[int, Mutant]], reach: Reach, budget: float) -> dict[int, report.Result]:
    """Every mutant with its verdict."""
    verdicts = KEPT / "verdicts.jsonl"
    verdicts.unlink(missing_ok=True)
    run = Run(reach, budget)
    inside = [(n, one) for n, one in numbered if one.in_function and any(reach.of(one.path, one.lines))]
    child = os.fork()
    if child == 0:
        with_pytest(TESTS, Collected(lambda items: run.in_place(inside, items)))
        os._exit(1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit("the run in place ended early")
    results = report.read(verdicts)
    left = [
        (number, one)
        for number, one in numbered
        if number not in results
        or results[number].verdict == UNCHANGED
        or (results[number].verdict == SURVIVED and "" in reach.of(one.path, one.lines))
    ]
    run.by_import(left)
    return report.read(verdicts)


def main(arguments: list[str]) -> int:
    """Make mutants, judge them, and write the report if the whole core was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("-n", default="1500", help="how many mutants, spread evenly over all modules, or 'all'")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    parser.add_argument("--only", default="", help="modules whose path contains this; writes no report")
    parser.add_argument("--seconds", type=float, default=4, help="how long a mutant's tests may take unchanged")
    parser.add_argument("--again", action="store_true", help="the same run again, but only for its survivors")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    reach = measure()
    files = [path for path in modules() if options.only in str(path.relative_to(ROOT))]
    total, chosen = sample(None if options.n == "all" else int(options.n), options.seed, files)
    last = KEPT / f"results-{options.n}-{options.seed}{options.only.replace('/', '-')}.jsonl"
    earlier = report.read(last) if options.again else {}
    numbered = [
        (n, one) for n, one in enumerate(chosen) if n not in earlier or earlier[n].verdict in {SURVIVED, UNCHANGED}
    ]
    print(f"==> judging {len(numbered)} of {total} mutants", flush=True)
    results = list({**earlier, **judged(numbered, reach, options.seconds)}.values())
    last.write_text("".join(json.dumps(asdict(one)) + "\n" for one in results), encoding="utf-8")
    with _REASONS.open("rb") as file:
        looked_at = tomllib.load(file).items()
    reasons = {(where, one["change"]): f"{one['is']}: {one['why']}" for where, found in looked_at for one in found}
    command = f"make mutate N={options.n} SEED={options.seed}"
    page = report.page(results, total, command, time.strftime("%Y-%m-%d"), reasons)
    if options.only:
        print(page)
    else:
        head = _PAGE.read_text(encoding="utf-8").partition(_MARK)[0]
        _PAGE.write_text(head + _MARK + "\n\n" + page, encoding="utf-8")
        print(page.partition("## By module")[0])
    print(f"{time.monotonic() - started:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
