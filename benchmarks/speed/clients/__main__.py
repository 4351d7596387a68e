"""Run one client: ``python -m benchmarks.speed.clients CLIENT JOB URL``. Only what is measured is loaded."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module

_RELAY = "relay"
Run = Callable[[], Coroutine[object, object, None]]


def _ours(library: str, job: str, url: str) -> Run:
    if job == _RELAY:
        loop = import_module(library.removeprefix("telcoflow_"))  # anyio or trio
        return _relay(f"{library}.relay", loop.sleep_forever, url)
    agent = import_module("benchmarks.speed.clients.ours")
    incoming_call = import_module(f"{library}.events").INCOMING_CALL
    return partial(agent.run, import_module(library), incoming_call, job, url)


def _relay(library: str, forever: Callable[[], object], url: str) -> Run:
    agent = import_module("benchmarks.speed.clients.relay")
    return partial(agent.run, import_module(library), forever, url)


def _other(module: str, job: str, url: str) -> Run:
    return partial(import_module(f"benchmarks.speed.clients.{module}").run, job, url)


def main(client: str, job: str, url: str) -> None:
    """Run a client until the process is ended."""
    match client:
        case "asyncio":
            import_module("anyio").run(_ours("telcoflow_anyio", job, url), backend="asyncio")
        case "anyio-trio":
            import_module("anyio").run(_ours("telcoflow_anyio", job, url), backend="trio")
        case "trio":
            import_module("trio").run(_ours("telcoflow_trio", job, url))
        case "signalwire":
            asyncio.run(_relay("signalwire.relay", asyncio.Event().wait, url)())
        case "telcoflow":
            asyncio.run(_other("vendor", job, url)())
        case _:
            asyncio.run(_other(f"on_{client}", job, url)())


if __name__ == "__main__":
    main(*sys.argv[1:])
