"""The least that echoes, on ``websockets``: a point of reference, without the checks and limits of a client."""

import asyncio
import json
import uuid
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


def command(name: str) -> str:
    """Write a command of the media plane."""
    data = {"command_id": str(uuid.uuid4()), "command": name, "timeout_ms": 10_000}
    return json.dumps({"type": "command", "data": data})


async def echo(media: ClientConnection) -> None:
    """Say what is heard, as far as it was asked for."""
    credit = 0
    waiting: deque[bytes] = deque()
    await media.send(command("call.answer"))
    async for message in media:
        if isinstance(message, bytes):
            waiting.append(message)
        else:
            event = json.loads(message)
            if event["type"] == "buffer_request":
                credit += event["data"]["requested_bytes"]
        while waiting and credit >= len(waiting[0]) - 1:
            credit -= len(waiting[0]) - 1
            await media.send(waiting.popleft())


async def commands(media: ClientConnection) -> None:
    """Give commands, one after the other."""
    await media.send(command("call.answer"))
    async for message in media:
        if json.loads(message)["type"] == "command_response":
            await media.send(command("agent.whisper"))


JOBS = {"echo": echo, "commands": commands}


async def run(job: str, url: str) -> None:
    """Take calls until the process is ended."""
    tasks: set[asyncio.Task[None]] = set()

    async def take(offer: dict[str, Any]) -> None:  # JSON values
        headers = {"Authorization": f"Bearer {offer['token']}", "x-sdk-version": "1.0.0"}
        async with connect(offer["url"], additional_headers=headers, compression=None) as media:
            await JOBS[job](media)

    headers = {"x-api-key": "test-key", "x-connector-uuid": "test-connector", "x-sdk-version": "1.0.0"}
    async with connect(f"{url}/v1/agent/session-manager", additional_headers=headers, compression=None) as control:
        await control.send(json.dumps({"type": "setup", "data": {"sampleRate": 24_000, "audioMode": "mixed"}}))
        claimed: dict[str, str] = {}
        async for text in control:
            message = json.loads(text)
            if message["type"] == "session.notify":
                request = str(uuid.uuid4())
                claimed[request] = message["sessionId"]
                await control.send(
                    json.dumps({"type": "session.open", "reqId": request, "sessionId": message["sessionId"]})
                )
            elif message["type"] == "response":
                session = claimed.pop(message["reqId"])
                await control.send(json.dumps({"type": "session.ready", "sessionId": session}))
            elif message["type"] == "call.in":
                task = asyncio.create_task(take(message))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
