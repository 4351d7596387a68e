"""Agents on our clients, with the plain public API."""

from types import ModuleType
from typing import Any


async def echo(call: Any) -> None:  # a call of one of two libraries, which share names and no type
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


async def run(library: ModuleType, incoming_call: str, job: str, url: str) -> None:
    """Take calls until the process is ended."""
    config = library.TelcoflowClientConfig.sandbox(api_key="test-key", connector_uuid="test-connector", base_url=url)
    async with library.TelcoflowClient(config) as client:
        client.on(incoming_call)(JOBS[job])
        await client.run_forever()
