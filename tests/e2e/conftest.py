"""Scenarios that run on every adapter, over real sockets and in real time."""

import importlib
from types import ModuleType

import pytest

ADAPTERS = [("asyncio", "telcoflow_anyio"), ("trio", "telcoflow_anyio"), ("trio", "telcoflow_trio")]


@pytest.fixture(params=ADAPTERS, ids=[f"{module.removeprefix('telcoflow_')}-on-{loop}" for loop, module in ADAPTERS])
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An event loop and the name of an adapter for it."""
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def adapter(pair: tuple[str, str]) -> ModuleType:
    return importlib.import_module(pair[1])
