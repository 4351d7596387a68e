"""The ledger is true: every row has its proof, and every proof runs where the row says it does."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest

from tests.reliability.ledger import ADAPTER, ROWS, SOCKET, Row, own_tests
from tests.world.world import CASES

ROOT = Path(__file__).parents[2]
WHOLE_SUITE = 5000


@pytest.fixture(scope="module")
def collected(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """Every test pytest collects, with the ids it runs under."""
    items: Iterable[str] = [item.nodeid for item in request.session.items]
    if len(request.session.items) < WHOLE_SUITE:
        files = sorted({test.split("::")[0] for row in ROWS for test in row.tests})
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
        found = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout[-2000:]
        items = found.stdout.splitlines()
    ids: dict[str, list[str]] = {}
    for item in items:
        name, _, parameters = item.partition("[")
        ids.setdefault(name.removesuffix("::runTest"), []).append(parameters.removesuffix("]"))
    return ids


def rows(*, level: object = None) -> list[Row]:
    return [row for row in ROWS if level is None or level in row.levels]


def test_every_row_has_its_own_id_and_says_something() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert all(row.what and row.required and row.seen for row in ROWS)
    assert [row.id for row in ROWS if row.id[0] == "T"] == [f"T{number}" for number in range(1, 29)]
    assert [row.id for row in ROWS if row.id[0] == "D"] == [f"D{number:02}" for number in range(1, 59)]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_every_row_is_proved_by_tests_that_are_collected_or_says_why_not(
    row: Row, collected: dict[str, list[str]]
) -> None:
    assert [test for test in row.tests if test not in collected] == []
    assert row.tests or row.impossible or row.id == "D58"


def test_every_finding_about_the_vendors_client_has_a_test_named_after_it() -> None:
    """Row D58."""
    for row in ROWS:
        name = f"::test_{row.id.replace(' ', '_')}_".lower()
        assert not row.id.startswith("peer") or any(name in test.lower() for test in row.tests), row.id


def test_every_test_named_after_a_row_has_its_row() -> None:
    assert set(own_tests()) <= {row.id for row in ROWS}


@pytest.mark.parametrize("row", rows(level=ADAPTER), ids=lambda row: row.id)
def test_what_is_proved_on_adapters_is_proved_on_all_of_them(row: Row, collected: dict[str, list[str]]) -> None:
    cases = {case.id for case in CASES}
    proofs = [{case for case in cases if any(case in one for one in collected[test])} for test in row.tests]
    assert cases in proofs or row.id == "D58"


@pytest.mark.parametrize("row", [row for row in ROWS if row.roles], ids=lambda row: row.id)
def test_what_holds_for_both_roles_is_proved_for_both(row: Row, collected: dict[str, list[str]]) -> None:
    ids = " ".join(f"{test} {one}" for test in row.tests for one in collected[test])
    for role in ("client", "server"):
        assert f"Role.{role.upper()}" in ids or f"/test_{role}.py" in ids or f"[{role}" in ids or f"-{role}" in ids


@pytest.mark.parametrize("row", rows(level=SOCKET), ids=lambda row: row.id)
def test_what_is_proved_on_real_sockets_has_a_test_that_opens_some(row: Row) -> None:
    real = ("test_real_sockets.py", "test_tls.py", "tests/gateway/", "tests/e2e/", "tests/interop/", "test_secrets.py")
    assert any(name in test for test in row.tests for name in real) or row.impossible or row.id == "D58"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_reliability", ROOT / "tools" / "render_reliability.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--check"]) == 0, capsys.readouterr().out


def test_every_figure_a_row_names_was_measured(tool: ModuleType) -> None:
    measured = tool.figures()
    assert [name for row in ROWS for name in row.figures if name not in measured] == []


def test_what_both_clients_did_in_one_run_stands_in_the_row_of_that_fault(tool: ModuleType) -> None:
    beside = tool.beside()
    rows_of_page = {line.split(" | ")[0]: line for line in tool.page(tool.figures()).splitlines()}
    assert len(beside) >= 47
    for name, (theirs, ours) in beside.items():
        assert f"<br>in one run: {theirs} |" in rows_of_page[f"| {name}"]
        assert f"<br>in that run: {ours} |" in rows_of_page[f"| {name}"]


def test_a_page_that_is_stale_is_told(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "PAGE", tmp_path / "reliability.md")
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "reliability.json")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    assert "reliability.md is stale" in capsys.readouterr().out
