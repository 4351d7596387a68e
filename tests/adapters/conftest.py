"""Scenarios run on every adapter, in virtual time, inside a world, with a virtual deadline."""

import functools
import inspect
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.world.world import CASES, LANES, Case, World

HERE = Path(__file__).parent
VIRTUAL_DEADLINE = 7200.0


@pytest.fixture(params=[*CASES, *LANES], ids=lambda case: case.id)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def anyio_backend(case: Case) -> tuple[str, dict[str, Any]]:
    return case.options()


@pytest.fixture
def world(case: Case, monkeypatch: pytest.MonkeyPatch) -> World:
    """A network, a service and an adapter; open while the test runs, checked for leftovers afterwards."""
    monkeypatch.setattr("os.urandom", random.Random(20).randbytes)  # the same waits and masks in every run
    return World(case)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and item.path.is_relative_to(HERE)
            and inspect.iscoroutinefunction(item.obj)
        ):
            item.obj = _in_world(item.obj)


def _in_world(scenario: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(scenario)
    async def run(**fixtures: Any) -> None:
        world = fixtures.get("world")
        with anyio.fail_after(VIRTUAL_DEADLINE):
            if isinstance(world, World):
                async with world:
                    await scenario(**fixtures)
            else:
                await scenario(**fixtures)

    return run
