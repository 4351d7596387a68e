"""What every test may ask for."""

import pytest


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop an async test runs on: each in turn, and a missing one is a failure, not a skip."""
    backend: str = request.param
    return backend
