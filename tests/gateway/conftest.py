"""What every test of the gateway may rely on."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_errors_in_the_web_server(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Hypercorn logs what a handler raises and goes on; for us that is a failed test."""
    yield
    errors = [record for record in caplog.get_records("call") if record.levelname == "ERROR"]
    assert not errors, [record.exc_text or record.getMessage() for record in errors]
