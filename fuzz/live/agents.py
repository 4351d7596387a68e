"""The clients that are put on stage: each takes every call, answers it and says back what it hears.

``python -m fuzz.live.agents official|ours BASE_URL``; both are written as their manuals suggest, and run until they
are ended. What they print goes nowhere: they are judged from outside.
"""

import asyncio
import contextlib
import sys
from typing import Any


async def official(base_url: str) -> None:
    """The vendor's client, by its public names."""
    import telcoflow as sdk  # noqa: PLC0415 - only one of the two clients is loaded

    calls: set[asyncio.Task[None]] = set()

    async def talk(call: Any) -> None:  # noqa: ANN401 - published without types
        await call.answer()
        async for chunk in call.audio_stream():
            with contextlib.suppress(Exception):  # a full buffer must not end the echo
                await call.send_audio(chunk)

    async def take(call: Any) -> None:  # noqa: ANN401 - as above
        task = asyncio.create_task(talk(call))
        calls.add(task)
        task.add_done_callback(calls.discard)

    config = sdk.SessionManagerConfig.create(
        "test-key", "test-connector", base_url=base_url, call_audio=sdk.CallAudioConfig(sample_rate=24_000)
    )
    manager = sdk.SessionManager(config)

    async def claim(offer: Any) -> None:  # noqa: ANN401 - as above
        session = await manager.open_session(offer.session_id)
        session.on_incoming_call(take)
        await session.ready()

    manager.on_session_notification(claim)
    with contextlib.suppress(Exception):  # that the first connection fails is part of some scripts
        async with manager:
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def ours(base_url: str) -> None:
    """Our client on asyncio."""
    from telcoflow_anyio import (  # noqa: PLC0415 - as above
        ActiveCall,
        TelcoflowClient,
        TelcoflowClientConfig,
        events,
    )

    config = TelcoflowClientConfig.sandbox(api_key="test-key", connector_uuid="test-connector", base_url=base_url)
    client = TelcoflowClient(config)

    @client.on(events.INCOMING_CALL)
    async def talk(call: ActiveCall) -> None:
        await call.answer()
        async for chunk in call.audio_stream():
            await call.send_audio(chunk)

    with contextlib.suppress(Exception):  # as above
        async with client:
            await client.run_forever()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run({"official": official, "ours": ours}[sys.argv[1]](sys.argv[2]))
