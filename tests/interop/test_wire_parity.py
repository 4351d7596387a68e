"""The same scripted call, once by the official client and once by ours, puts the same frames on the wire.

Ids and timing aside. What differs on purpose is listed and justified in ``docs/wire-parity.md``.
"""

import json
import re
import struct
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import anyio
import anyio.abc
import pytest

from telcoflow_anyio import ActiveCall, TelcoflowClient, TelcoflowClientConfig, events
from telcoflow_anyio.exceptions import WSSConnectionError
from telcoflow_anyio.gateway import Callee, Caller, Gateway, LogEntry, Voice

OFFICIAL = Path(__file__).with_name("official_agent.py")
RAMP = struct.pack("<9600h", *range(9600))
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

Agent = Callable[[str], Coroutine[object, object, None]]


async def official(base_url: str) -> None:
    done = await anyio.run_process([sys.executable, str(OFFICIAL), base_url, "script"], check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


async def ours(base_url: str) -> None:
    config = TelcoflowClientConfig.sandbox(api_key="test-key", connector_uuid="test-connector", base_url=base_url)
    over = anyio.Event()

    async def script(call: ActiveCall) -> None:
        await call.answer()
        heard = 0
        async for chunk in call.audio_stream():
            heard += len(chunk)
            if heard >= 24000:
                break
        await call.send_audio(RAMP)
        await call.drain()
        await call.connect(ring_time_seconds=20)
        await call.whisper()
        await call.barge()
        await call.spy()
        await call.interrupt()
        await call.close()
        over.set()

    async with TelcoflowClient(config) as client:
        client.register_event_handler(events.INCOMING_CALL, script)
        await over.wait()


async def wire_of(agent: Agent) -> tuple[list[LogEntry], bytes]:
    """Run one agent through the script; return what it put on the wire, and the audio among it."""
    async with Gateway() as gateway:
        caller, callee = Caller(voice=Voice.tone(220, 3)), Callee(answers_after=0.1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agent, gateway.base_url)
            await gateway.wait_for_agents(1)
            call = await gateway.place_call(caller=caller, callee=callee)
        return [entry for entry in gateway.log if entry.direction == "in"], call.said_by_agent


def texts(entries: list[LogEntry], connection: str) -> list[str]:
    """The text frames of one kind of connection, exactly as sent, every id replaced."""
    chosen = [entry.text for entry in entries if entry.text is not None and entry.connection.startswith(connection)]
    return [_IDS.sub("ID", text) for text in chosen]


def audio_sizes(entries: list[LogEntry]) -> list[int]:
    return [entry.size for entry in entries if entry.text is None]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_both_clients_put_the_same_frames_on_the_wire(anyio_backend: str) -> None:
    with anyio.fail_after(60):
        theirs, their_audio = await wire_of(official)
        mine, my_audio = await wire_of(ours)

    assert texts(mine, "control") == texts(theirs, "control")
    assert texts(mine, "media") == texts(theirs, "media")
    assert [json.loads(text)["type"] for text in texts(mine, "control")] == ["setup", "session.open", "session.ready"]
    assert len(texts(mine, "media")) == 7
    assert my_audio == their_audio == RAMP
    assert audio_sizes(mine) == audio_sizes(theirs) == [961] * 20


async def handshake_of(agent: Agent) -> list[tuple[str, str]]:
    """Return the header lines a client asks for its control connection with; it is then sent away."""
    heads: list[bytes] = []

    async def refuse(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            heads.append(head)
            await stream.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - no database here
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, refuse)
            await agent(f"ws://127.0.0.1:{port}")
            tasks.cancel_scope.cancel()
    request, *lines = heads[0].decode().split("\r\n\r\n")[0].split("\r\n")
    assert request == "GET /v1/agent/session-manager HTTP/1.1"
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


async def ours_refused(base_url: str) -> None:
    with pytest.raises(WSSConnectionError, match="503"):
        await ours(base_url)


async def official_refused(base_url: str) -> None:
    done = await anyio.run_process([sys.executable, str(OFFICIAL), base_url, "script"], check=False)
    assert done.returncode == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_both_clients_ask_for_the_connection_with_the_same_headers(anyio_backend: str) -> None:
    with anyio.fail_after(60):
        theirs = await handshake_of(official_refused)
        mine = await handshake_of(ours_refused)

    secret = {"Sec-WebSocket-Key", "Host"}  # a nonce, and a port
    left_out = {"Sec-WebSocket-Extensions", "User-Agent"}  # docs/wire-parity.md says why
    assert [one for one in mine if one[0] not in secret] == [one for one in theirs if one[0] not in secret | left_out]
    assert [name for name, _ in mine] == [name for name, _ in theirs if name not in left_out]
