"""The least that echoes, on ``picows``, which is written in C: a point of reference, as ``on_websockets`` is."""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.speed.clients.on_websockets import command


class Media(WSListener):
    """A call that is answered as soon as it is connected."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, command("call.answer"))


class Echo(Media):
    """Says what is heard, as far as it was asked for."""

    def __init__(self) -> None:
        self._credit = 0
        self._waiting: deque[bytes] = deque()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.BINARY:
            self._waiting.append(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.TEXT:
            event = json.loads(frame.get_payload_as_bytes())
            if event["type"] == "buffer_request":
                self._credit += event["data"]["requested_bytes"]
        while self._waiting and self._credit >= len(self._waiting[0]) - 1:
            self._credit -= len(self._waiting[0]) - 1
            transport.send(WSMsgType.BINARY, self._waiting.popleft())


class Commands(Media):
    """Gives commands, one after the other."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT and json.loads(frame.get_payload_as_bytes())["type"] == "command_response":
            transport.send(WSMsgType.TEXT, command("agent.whisper"))


JOBS: dict[str, Callable[[], Media]] = {"echo": Echo, "commands": Commands}


class Control(WSListener):
    """The control connection: takes every call."""

    def __init__(self, job: str) -> None:
        self._job = JOBS[job]
        self._claimed: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def on_ws_connected(self, transport: WSTransport) -> None:
        _say(transport, {"type": "setup", "data": {"sampleRate": 24_000, "audioMode": "mixed"}})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        if message["type"] == "session.notify":
            request = str(uuid.uuid4())
            self._claimed[request] = message["sessionId"]
            _say(transport, {"type": "session.open", "reqId": request, "sessionId": message["sessionId"]})
        elif message["type"] == "response":
            _say(transport, {"type": "session.ready", "sessionId": self._claimed.pop(message["reqId"])})
        elif message["type"] == "call.in":
            task = asyncio.get_running_loop().create_task(self._take(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, offer: dict[str, Any]) -> None:  # JSON values
        headers = {"Authorization": f"Bearer {offer['token']}", "x-sdk-version": "1.0.0"}
        await ws_connect(self._job, offer["url"], extra_headers=headers)


def _say(transport: WSTransport, message: dict[str, Any]) -> None:  # JSON values
    transport.send(WSMsgType.TEXT, json.dumps(message))


async def run(job: str, url: str) -> None:
    """Take calls until the process is ended."""
    headers = {"x-api-key": "test-key", "x-connector-uuid": "test-connector", "x-sdk-version": "1.0.0"}
    transport, _ = await ws_connect(lambda: Control(job), f"{url}/v1/agent/session-manager", extra_headers=headers)
    await transport.wait_disconnected()
