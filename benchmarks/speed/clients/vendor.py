"""Agents on the vendor's client, with its public names.

And with one that is not public: as it is shipped, it goes deaf when its bus has seen 100 events, which is after 33 to
50 calls (docs/reports/peer-bugs.md, T00). To measure it beyond that, its bus is told to forget old events instead, as
the bus's own error message advises.
"""

import asyncio
from typing import Any

import telcoflow as sdk


async def echo(call: Any) -> None:  # published without types
    """Say what is heard."""
    await call.answer()
    async for chunk in call.audio_stream():
        await call.send_audio(chunk)


async def commands(call: Any) -> None:  # as above
    """Give commands, one after the other."""
    await call.answer()
    await call.connect(ring_time_seconds=20)
    while True:
        await call.whisper()
        await call.barge()


JOBS = {"echo": echo, "commands": commands}


async def run(job: str, url: str) -> None:
    """Take calls until the process is ended."""
    audio, create = sdk.CallAudioConfig(sample_rate=24_000), sdk.SessionManagerConfig.create
    manager = sdk.SessionManager(create("test-key", "test-connector", base_url=url, call_audio=audio))
    manager._bus.event_history.max_history_drop = True  # noqa: SLF001 - see the module
    tasks: set[asyncio.Task[None]] = set()

    async def begin(call: object) -> None:
        """Give the call a task: a handler that stays keeps every other one waiting."""
        task = asyncio.ensure_future(JOBS[job](call))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def claim(offer: Any) -> None:  # published without types
        session = await manager.open_session(offer.session_id)
        session.on_incoming_call(begin)
        await session.ready()

    manager.on_session_notification(claim)
    async with manager:
        await asyncio.Event().wait()
