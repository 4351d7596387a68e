"""A certificate, and the vendor's client in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
import trustme
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

ROOT = Path(__file__).parents[3]


@attrs.frozen
class Certificate:
    """Files: whom to trust, and what a service on this machine shows."""

    ca: str
    chain: str
    key: str


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    issued = ca.issue_cert("localhost", "127.0.0.1")
    files = Certificate(*(str(folder / name) for name in ("ca.pem", "chain.pem", "key.pem")))
    ca.cert_pem.write_to_path(files.ca)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(files.chain, append=True)
    issued.private_key_pem.write_to_path(files.key)
    return files


@pytest.fixture(scope="session")
def run_vendor(certificate: Certificate) -> Callable[..., list[dict[str, Any]]]:
    """Run the vendor's client to its end and return what it reported."""

    def run(*arguments: str, tell: object = None) -> list[dict[str, Any]]:
        done = subprocess.run(
            _command(*arguments),
            input=json.dumps(tell),
            capture_output=True,
            check=False,
            text=True,
            cwd=ROOT,
            env=_environment(certificate),
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


class Vendor:
    """The vendor's client while it runs."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.reports: list[dict[str, Any]] = []
        assert process.stdout is not None
        self._lines = BufferedByteReceiveStream(process.stdout)

    async def tells(self, event: str) -> dict[str, Any]:
        """Wait for what it reports of an event."""
        while True:
            report = json.loads(await self._lines.receive_until(b"\n", 1_000_000))
            assert report["event"] != "error", report
            self.reports.append(report)
            if report["event"] == event:
                return self.reports[-1]


@pytest.fixture
def vendor(certificate: Certificate) -> Callable[[str, str], AbstractAsyncContextManager[Vendor]]:
    """Run the vendor's client on a scenario; on leaving, wait for its end, which must be a good one."""

    @asynccontextmanager
    async def run(host: str, scenario: str) -> AsyncIterator[Vendor]:
        with anyio.fail_after(20):
            async with await anyio.open_process(
                _command(host, scenario), cwd=ROOT, env=_environment(certificate)
            ) as process:
                client = Vendor(process)
                yield client
                await client.tells("done")
                assert await process.wait() == 0

    return run


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.interop.relay.vendor_agent", *arguments]


def _environment(certificate: Certificate) -> dict[str, str]:
    return {**os.environ, "SIGNALWIRE_RELAY_CA_FILE": certificate.ca}
