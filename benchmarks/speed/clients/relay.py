"""Agents on RELAY clients: ours and the vendor's, which share the names of everything."""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

PER_CALL = 200
"""How often something is done on each call; the load gateway counts on it."""
_TTS = {"type": "tts", "params": {"text": "one two three four five"}}


async def requests(_client: Any, call: Any) -> None:  # of one of three libraries that share names and no type
    """Ask for something, time and again."""
    await call.answer()
    for _ in range(PER_CALL):
        await call.send_digits("1")


async def plays(_client: Any, call: Any) -> None:  # as above
    """Start to play, time and again."""
    await call.answer()
    for _ in range(PER_CALL):
        await call.play([_TTS])


async def events(client: Any, call: Any) -> None:  # as above
    """Listen to the events of an action, until the call ends; then say how many there were."""
    seen = 0

    def listen(_event: object) -> None:
        nonlocal seen
        seen += 1

    await call.answer()
    call.on("calling.call.play", listen)
    await call.play([_TTS])
    await client.execute("bench.ready", {})
    await call.wait_for_ended()
    await client.execute("bench.seen", {"call": call.call_id, "seen": seen})


JOBS = {job.__name__: job for job in (requests, plays, events)}


async def run(library: ModuleType, forever: Callable[[], Awaitable[object]], url: str) -> None:
    """Take calls until the process is ended; what to do on one is what its id begins with."""
    host = url.partition("://")[2]
    client = library.RelayClient(project="test-project", token="test-token", host=host, contexts=["default"])  # noqa: S106 - made up

    async def take(call: Any) -> None:  # as above
        await JOBS[call.call_id.partition("-")[0]](client, call)

    client.on_call(take)
    async with client:
        await forever()
