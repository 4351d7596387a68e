"""Faults and threats, one test each: virtual worlds where time jumps, real sockets where it cannot, and figures.

pytest tests/reliability                          run them
pytest tests/reliability --write-figures          and note what they measured, for docs/reliability.md
"""

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adapters.conftest import (
    _in_world,  # pyright: ignore[reportPrivateUsage]
    anyio_backend,
    case,
    world,
)

__all__ = ["anyio_backend", "case", "world"]

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "docs" / "reports" / "reliability.json"

Figure = Callable[[str, float], None]
"""Notes what was measured under the name the ledger gives it; the worst of several runs is kept."""

_figures: dict[str, float] = {}


@pytest.fixture
def figure() -> Figure:
    def note(name: str, value: float) -> None:
        _figures[name] = max(value, _figures.get(name, value))

    return note


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-figures", action="store_true", help=f"write what the tests measure to {RESULTS.name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and item.path.is_relative_to(HERE)
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _in_world(item.obj)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the figures, but only those of a run in which all went well."""
    if session.config.getoption("write_figures", default=False) and exitstatus == 0:
        known: dict[str, float] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        known |= {name: round(value, 3) for name, value in _figures.items()}
        RESULTS.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n", encoding="utf-8")
