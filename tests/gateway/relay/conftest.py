"""Virtual time for the tests of the RELAY service; those on real sockets take it back."""

from typing import Any

import pytest

from tests.world.world import Case


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return Case(request.param, "telcoflow_anyio").options()
