"""The clients that are measured, a process each: it does one job and says as lines of JSON what came of it.

``python -m benchmarks.agents asyncio|trio|official JOB BASE_URL``. Every job is written once for all three, with the
names they share; where they differ, ``_ours`` and ``_official`` do. A process runs until it is ended.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import Any

import anyio

from benchmarks.registries import sizes

Take = Callable[[Any], Awaitable[None]]  # Any: a call of one of three libraries, one of them published without types
Count = Callable[[str], None]
Connect = Callable[[str, Take | None, Count | None], AbstractAsyncContextManager[Any]]  # and a client of one of them


def report(event: str, **details: object) -> None:
    """Say that something happened, and when, on the clock all processes of a machine share."""
    print(json.dumps({"event": event, "at": time.monotonic(), **details}), flush=True)


async def told() -> None:
    """Wait for a line on the standard input."""
    await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


# ---------------------------------------------------------------------------------------------- three clients


def _ours(library: ModuleType, events: ModuleType) -> Connect:
    @asynccontextmanager
    async def connect(base_url: str, take: Take | None, count: Count | None) -> AsyncIterator[object]:
        config = library.TelcoflowClientConfig.sandbox(
            api_key="test-key", connector_uuid="test-connector", base_url=base_url
        )
        client = library.TelcoflowClient(config)
        if take is not None:
            client.on(events.INCOMING_CALL)(take)
        if count is not None:
            client.on(events.SESSION_NOTIFIED)(lambda _: count("notified"))
            client.on(events.SESSION_CLOSED)(lambda _: count("closed"))
        async with client:
            yield client

    return connect


def _asyncio() -> Connect:
    import telcoflow_anyio  # noqa: PLC0415 - only the client that is measured is loaded
    from telcoflow_anyio import events  # noqa: PLC0415 - as above

    return _ours(telcoflow_anyio, events)


def _trio() -> Connect:
    import telcoflow_trio  # noqa: PLC0415 - as above
    from telcoflow_trio import events  # noqa: PLC0415 - as above

    return _ours(telcoflow_trio, events)


def _official() -> Connect:
    import telcoflow as sdk  # noqa: PLC0415 - as above

    calls: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def connect(base_url: str, take: Take | None, count: Count | None) -> AsyncIterator[object]:
        audio = sdk.CallAudioConfig(sample_rate=24_000)
        create = sdk.SessionManagerConfig.create
        manager = sdk.SessionManager(create("test-key", "test-connector", base_url=base_url, call_audio=audio))

        async def begin(call: object) -> None:
            """Give the call a task: a handler that stays keeps every other one waiting."""
            if take is not None:
                task = asyncio.ensure_future(take(call))
                calls.add(task)
                task.add_done_callback(calls.discard)

        async def notified(offer: Any) -> None:
            if count is not None:
                count("notified")
            if take is not None:
                session = await manager.open_session(offer.session_id)
                session.on_incoming_call(begin)
                await session.ready()

        manager.on_session_notification(notified)
        async with manager:
            yield manager

    return connect


CLIENTS: dict[str, Callable[[], Connect]] = {"asyncio": _asyncio, "trio": _trio, "official": _official}


# ---------------------------------------------------------------------------------------------- jobs


async def _try(done: str, what: Callable[[], Awaitable[object]]) -> bool:
    """Do something and report how it went. One of the clients raises where it fails, one returns what is false."""
    try:
        result = await what()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is how this client says no
        report("failed", error=type(error).__name__)
        return False
    report(done if result else "failed")
    return bool(result)


async def hold(connect: Connect, base_url: str) -> None:
    """Answer every call and do no more, the audio is not read; on a line, tell what is still held."""

    async def take(call: Any) -> None:
        await _try("answered", call.answer)

    async with connect(base_url, take, None) as client:
        while True:
            await told()
            report("held", sizes=sizes(client))


async def listen(connect: Connect, base_url: str) -> None:
    """Answer a call, read its audio, and report when that ends."""

    async def take(call: Any) -> None:
        if await _try("answered", call.answer):
            async for _ in call.audio_stream():
                pass
            report("ended")

    async with connect(base_url, take, None):
        await anyio.sleep_forever()


async def request(connect: Connect, base_url: str) -> None:
    """Claim a session, and report when that fails."""
    async with connect(base_url, None, None) as client:
        await _try("claimed", lambda: client.open_session("s1"))
        await anyio.sleep_forever()


async def leave(connect: Connect, base_url: str) -> None:
    """Answer a call; on a line, leave the client's context."""

    async def take(call: Any) -> None:
        await _try("answered", call.answer)

    async with connect(base_url, take, None):
        await told()
        report("leaves")
    report("left")


async def count(connect: Connect, base_url: str) -> None:
    """Count the sessions that are announced and closed, and report how many ten times a second."""
    seen = {"notified": 0, "closed": 0}

    def one_more(what: str) -> None:
        seen[what] += 1

    async with connect(base_url, None, one_more):
        while True:
            await anyio.sleep(0.1)
            report("counted", **seen)


JOBS = {job.__name__: job for job in (hold, listen, request, leave, count)}


if __name__ == "__main__":
    kind, job_name, url = sys.argv[1:]
    anyio.run(JOBS[job_name], CLIENTS[kind](), url, backend="trio" if kind == "trio" else "asyncio")
