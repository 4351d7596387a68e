"""Which tests reach which line of the core, and how long each takes; measured once, kept until a file changes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

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
    """What is known of the tests."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)
    tests: dict[str, dict[int, list[str]]] = field(default_factory=dict)

    def of(self, path: Path, lines: tuple[int, ...]) -> list[str]:
        """The tests that reach the best known of these lines; "" among them says that importing reaches it."""
        known = self.tests.get(str(path), {})
        return next((known[line] for line in lines if line in known), [])

    def of_module(self, path: Path) -> list[str]:
        """The tests that reach any line of a module, those that reach the most of it first."""
        count: dict[str, int] = {}
        for tests in self.tests.get(str(path), {}).values():
            for test in tests:
                count[test] = count.get(test, 0) + 1
        return sorted(count, key=lambda test: -count[test])


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
    """What is kept, or a new measurement if the core or a test has changed since."""
    print_ = hashlib.sha256()
    folders = [ROOT / one for one in (*TESTS, "tests/world", "tests/conftest.py", "telcoflow_anyio", "telcoflow_proto")]
    for path in sorted({path for one in folders for path in ([one] if one.is_file() else one.rglob("*.py"))}):
        print_.update(path.read_bytes())
    kept = KEPT / f"reach-{print_.hexdigest()[:16]}.json"
    if not kept.exists():
        print("==> measuring which tests reach which line", flush=True)
        KEPT.mkdir(exist_ok=True)
        child = os.fork()
        if child == 0:
            plugin = _Measuring()
            with_pytest(TESTS, plugin)
            reach = plugin.finish()
            numbers = {test: number for number, test in enumerate(["", *reach.seconds])}
            packed = {
                path: {line: [numbers[test] for test in tests] for line, tests in lines.items()}
                for path, lines in reach.tests.items()
            }
            content = {"tests": list(numbers), "lines": packed, "seconds": reach.seconds}
            content |= {"failed": reach.failed, "imported": reach.imported}
            kept.write_text(json.dumps(content), encoding="utf-8")
            os._exit(0)
        os.waitpid(child, 0)
    content = json.loads(kept.read_text(encoding="utf-8"))
    names: list[str] = content["tests"]
    return Reach(
        seconds=content["seconds"],
        failed=content["failed"],
        imported=content["imported"],
        tests={
            path: {int(line): [names[number] for number in numbers] for line, numbers in lines.items()}
            for path, lines in content["lines"].items()
        },
    )
