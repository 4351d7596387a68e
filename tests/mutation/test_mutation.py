import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tools.mutation import mutants, report, running

MODULE = """
'A module under test.'

LEAST = 0


def distance(value: int) -> int:
    if value < 0:
        return -value
    return value


def steps(value: int) -> int:
    count = 0
    while value > LEAST:
        value -= 1
        count += 1
    return count
"""
TESTS = """
from measured import distance, steps


def test_distance():
    assert (distance(-2), distance(0), distance(3)) == (2, 0, 3)


def test_steps():
    assert steps(3) == 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "test_measured.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "measured.py"
    path.write_text(MODULE)
    return path


@pytest.fixture
def verdict_in_place(module: Path) -> Callable[[str], tuple[str, str]]:
    def judge(source: str) -> tuple[str, str]:
        def work(say: running.Say) -> None:
            def run(items: dict[str, pytest.Item]) -> None:
                changing = partial(running.change, running.live_functions([module])[module], module)
                running.in_place(changing, list(items.values()), {}, source, say)

            running.with_pytest([str(module.parent)], running.Collected(run))

        return running.fork(work, 60)

    return judge


@pytest.fixture
def verdict_by_import(module: Path) -> Callable[[str], tuple[str, str]]:
    tests = ["test_measured.py::test_distance", "test_measured.py::test_steps"]

    def judge(source: str) -> tuple[str, str]:
        finding = partial(running.Importing, "measured", module)
        return running.fork(lambda say: running.afresh(finding, tests, {}, source, say), 60)

    return judge


def test_a_change_that_a_test_notices_is_killed_by_it(verdict_in_place: Callable[[str], tuple[str, str]]) -> None:
    changed = MODULE.replace("return -value", "return +value")
    assert verdict_in_place(changed) == ("killed", "test_measured.py::test_distance")


def test_a_change_that_changes_nothing_survives(verdict_in_place: Callable[[str], tuple[str, str]]) -> None:
    assert verdict_in_place(MODULE.replace("value < 0", "value <= 0")) == ("survived", "")


def test_a_change_that_never_ends_times_out(verdict_in_place: Callable[[str], tuple[str, str]]) -> None:
    assert verdict_in_place(MODULE.replace("value -= 1", "value += 1")) == ("timed out", "")


def test_a_change_outside_functions_is_not_made_in_place(verdict_in_place: Callable[[str], tuple[str, str]]) -> None:
    assert verdict_in_place(MODULE.replace("LEAST = 0", "LEAST = 1")) == ("unchanged", "")


def test_without_a_change_the_tests_run_all_the_same(
    module: Path, verdict_in_place: Callable[[str], tuple[str, str]]
) -> None:
    assert verdict_in_place("") == ("survived", "")
    (module.parent / "test_measured.py").write_text(TESTS.replace("== 3", "== 4"))
    assert verdict_in_place("") == ("killed", "test_measured.py::test_steps")


def test_a_change_outside_functions_is_made_by_importing(
    verdict_by_import: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch, module: Path
) -> None:
    monkeypatch.chdir(module.parent)
    changed = MODULE.replace("LEAST = 0", "LEAST = 1")
    assert verdict_by_import(changed) == ("killed", "test_measured.py::test_steps")
    assert verdict_by_import(MODULE) == ("survived", "")
    assert verdict_by_import("import nothing_of_this_name") == (
        "killed",
        "it could not be imported, or its tests not be collected",
    )


def test_every_change_is_one_and_can_be_compiled(module: Path) -> None:
    total, made = mutants.sample(None, 1, [module])
    assert total == len(made) > 10
    sources = [one.source() for one in made]
    assert len({MODULE, *sources}) == total + 1
    for source in sources:
        compile(source, "measured.py", "exec")
    assert "if value < 0: => if value <= 0:" in [one.change for one in made]


def test_a_sample_is_the_same_share_of_every_module_and_the_same_every_time() -> None:
    files = [mutants.CORE / "roles.py", mutants.CORE / "timers.py"]
    total, made = mutants.sample(10, 3, files)
    assert (total, made) == mutants.sample(10, 3, files)
    whole = {path: mutants.sample(None, 1, [path])[0] for path in files}
    for path in files:
        assert sum(one.path == path for one in made) == -(-whole[path] * 10 // total)


def test_types_and_texts_for_people_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '__all__ = ["a"]\nAlias = int | str\ndef f(a: int | None) -> None:\n    raise TypeError("a text")\n'
    )
    assert mutants.sample(None, 1, [path]) == (0, [])


@pytest.mark.parametrize(("hits", "total", "low", "high"), [(0, 0, 0, 1), (92, 100, 0.850, 0.959), (10, 10, 0.722, 1)])
def test_the_interval_is_wilsons(hits: int, total: int, low: float, high: float) -> None:
    assert report.wilson(hits, total) == pytest.approx((low, high), abs=0.0006)


def test_the_report_names_the_sample_its_interval_and_why_a_mutant_survived() -> None:
    results = [
        report.Result(0, "a.py", 1, "x + 1 => x - 1", "killed", "test_a", 3, cut=False),
        report.Result(1, "a.py", 2, "x | y => x & y", "survived", "", 3, cut=True),
        report.Result(2, "b.py", 3, "wait() => pass", "timed out", "", 1, cut=False),
        report.Result(3, "b.py", 4, "log() => pass", "survived", "", 1, cut=False),
    ]
    text = report.page(
        results, 40, "make mutate N=4", "2026-01-01", {("b.py", "log() => pass"): "irrelevant: only seen"}
    )
    assert "by `make mutate N=4`: a random sample of 4 of 40 mutants." in text
    assert "| 4 | 1 | 1 | 2 | **50.0 %** | 15.0 % to 85.0 % |" in text
    assert "1 irrelevant, 1 not looked at." in text
    assert "For 1 of them there was not the time" in text
    assert "| a.py | 2 | 1 | 0 | 1 | 50.0 % |" in text
    assert "| a.py:2 | `` x \\| y `` → `` x \\& y `` | not looked at |".replace("\\&", "&") in text
    assert "| b.py:4 | `` log() `` → `` pass `` | irrelevant: only seen |" in text
    assert "every mutant." in report.page(results, 4, "", "", {})


def test_what_unchanged_code_has_cached_is_forgotten(module: Path) -> None:
    source = "import functools\n\n\n@functools.lru_cache\ndef one() -> int:\n    return 1\n"
    module.write_text(source)
    measured = importlib.import_module("measured")
    try:
        assert measured.one() == 1
        running.forget_cached("measured")
        assert running.change(running.live_functions([module])[module], module, source.replace("return 1", "return 2"))
        assert measured.one() == 2
    finally:
        del sys.modules["measured"]
