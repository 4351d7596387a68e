"""Run one client. Only the one that is measured is loaded."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial


def _anyio(backend: str, job: str, url: str) -> None:
    import anyio  # noqa: PLC0415 - only the client that is measured is loaded

    import telcoflow_anyio  # noqa: PLC0415 - as above
    from benchmarks.speed.clients import ours  # noqa: PLC0415 - as above
    from telcoflow_anyio import events  # noqa: PLC0415 - as above

    anyio.run(ours.run, telcoflow_anyio, events.INCOMING_CALL, job, url, backend=backend)


def _trio(job: str, url: str) -> None:
    import trio  # noqa: PLC0415 - as above

    import telcoflow_trio  # noqa: PLC0415 - as above
    from benchmarks.speed.clients import ours  # noqa: PLC0415 - as above
    from telcoflow_trio import events  # noqa: PLC0415 - as above

    trio.run(ours.run, telcoflow_trio, events.INCOMING_CALL, job, url)


def _vendor(job: str, url: str) -> None:
    from benchmarks.speed.clients import vendor  # noqa: PLC0415 - as above

    asyncio.run(vendor.run(job, url))


def _websockets(job: str, url: str) -> None:
    from benchmarks.speed.clients import on_websockets  # noqa: PLC0415 - as above

    asyncio.run(on_websockets.run(job, url))


def _picows(job: str, url: str) -> None:
    from benchmarks.speed.clients import on_picows  # noqa: PLC0415 - as above

    asyncio.run(on_picows.run(job, url))


CLIENTS: dict[str, Callable[[str, str], None]] = {
    "asyncio": partial(_anyio, "asyncio"),
    "anyio-trio": partial(_anyio, "trio"),
    "trio": _trio,
    "telcoflow": _vendor,
    "websockets": _websockets,
    "picows": _picows,
}

if __name__ == "__main__":
    name, job_name, base_url = sys.argv[1:]
    CLIENTS[name](job_name, base_url)
