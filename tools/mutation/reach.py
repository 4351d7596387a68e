"""Which tests reach which line of the core, and how long each takes.

A file of tests is measured once and again when it changes; everything is when something they share does.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import coverage
import pytest

from tools.mutation.mutants import ROOT
from tools.mutation.running import with_pytest

KEPT = ROOT / ".mutation"
TESTS = [
    *("tests/core", "tests/control", "tests/media", "tests/relay", "tests/tables"),
    *("tests/reliability/test_core_faults.py", "tests/fuzz/test_corpus.py", "tests/adapters", "tests/relay_adapters"),
]


@dataclass
class Reach:
    """What is known of the tests, and of which state of the files."""

    shared: str = ""
    files: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)
    tests: dict[str, dict[int, list[str]]] = field(default_factory=dict)

    def of(self, path: Path, lines: tuple[int, ...]) -> list[str]:
        """The tests that reach the best known of these lines; "" among them says that importing reaches it."""
        known = self.tests.get(str(path), {})
        return next((known[line] for line in lines if line in known), [])

    def of_module(self, path: Path) -> list[str]:
        """The tests that reach any line of a module, and those that only look at what importing has made.

        Of a module that is data and nothing else no test reaches a line: it is every test's.
        """
        reaching = {test for tests in self.tests.get(str(path), {}).values() for test in tests if test}
        return [test for test in self.seconds if not reaching or test in reaching or test in self.looking]

    @functools.cached_property
    def looking(self) -> set[str]:
        """The tests that reach no line of the core."""
        return set(self.seconds).difference(*(tests for lines in self.tests.values() for tests in lines.values()))


class _Measuring:
    """A plugin of pytest that names the test that is running to coverage."""

    def __init__(self) -> None:
        self.reach = Reach()
        self.coverage = coverage.Coverage(data_file=None, config_file=False, source_pkgs=["telcoflow_proto"])
        self.coverage.start()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "trio" not in item.nodeid.partition("[")[2]]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.coverage.switch_context(item.nodeid)
        started = time.process_time()
        result = yield
        self.reach.seconds[item.nodeid] = round(time.process_time() - started, 5)
        self.coverage.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.reach.failed.append(report.nodeid)

    def finish(self) -> Reach:
        self.coverage.stop()
        data = self.coverage.get_data()
        for path in data.measured_files():
            self.reach.tests[path] = dict(data.contexts_by_lineno(path))
        self.reach.imported = sorted(
            name
            for name, module in sys.modules.items()
            if "site-packages" in (getattr(module, "__file__", None) or "") and "telcoflow_" not in name
        )
        return self.reach


def measure() -> Reach:
    """What is kept, after measuring what has changed since."""
    kept = KEPT / "reach.json"
    reach = _unpacked(json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else Reach()
    now = _state()
    if reach.shared != now.shared:
        reach = Reach()
    stale = [file for file, state in now.files.items() if reach.files.get(file) != state]
    if stale:
        print(f"==> measuring which lines the tests of {len(stale)} files reach", flush=True)
        KEPT.mkdir(exist_ok=True)
        child = os.fork()
        if child == 0:
            plugin = _Measuring()
            with_pytest(stale, plugin)
            kept.write_text(json.dumps(_packed(_merged(reach, plugin.finish(), now, stale))), encoding="utf-8")
            os._exit(0)
        os.waitpid(child, 0)
        reach = _unpacked(json.loads(kept.read_text(encoding="utf-8")))
    return reach


def _state() -> Reach:
    """Every file as it is now; nothing measured."""
    folders = [ROOT / one for one in (*TESTS, "tests/world", "tests/conftest.py", "telcoflow_anyio", "telcoflow_proto")]
    paths = sorted({path for one in folders for path in ([one] if one.is_file() else one.rglob("*.py"))})
    prints = {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    files = {file: state for file, state in prints.items() if "/test_" in file}
    shared = hashlib.sha256(json.dumps([one for one in prints.items() if one[0] not in files]).encode()).hexdigest()
    return Reach(shared=shared, files=files)


def _merged(old: Reach, new: Reach, now: Reach, stale: list[str]) -> Reach:
    def is_kept(test: str) -> bool:
        file = test.partition("::")[0]
        return file in now.files and file not in stale

    tests = {path: dict(lines) for path, lines in new.tests.items()}
    for path, lines in old.tests.items():
        for line, found in lines.items():
            here = tests.setdefault(path, {})
            here[line] = sorted({*here.get(line, ()), *(test for test in found if not test or is_kept(test))})
    return Reach(
        shared=now.shared,
        files=now.files,
        seconds={test: one for test, one in old.seconds.items() if is_kept(test)} | new.seconds,
        failed=[test for test in old.failed if is_kept(test)] + new.failed,
        imported=sorted({*old.imported, *new.imported}),
        tests=tests,
    )


def _packed(reach: Reach) -> dict[str, object]:
    """Numbers instead of names, which makes a tenth."""
    names = ["", *reach.seconds]
    numbers = {test: number for number, test in enumerate(names)}
    lines = {
        path: {line: [numbers[test] for test in tests] for line, tests in found.items()}
        for path, found in reach.tests.items()
    }
    return asdict(replace(reach, tests={})) | {"names": names, "tests": lines}


def _unpacked(content: dict[str, Any]) -> Reach:
    names: list[str] = content.pop("names")
    content["tests"] = {
        path: {int(line): [names[number] for number in tests] for line, tests in lines.items()}
        for path, lines in content["tests"].items()
    }
    return Reach(**content)
