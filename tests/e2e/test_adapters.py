"""Both adapters against the gateway, over real sockets, with real files and real HTTP."""

# mypy: disable-error-code="truthy-bool"

import struct
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway import Callee, Caller, Gateway, GatewayCall, Voice, skip_silence, write_wav
from telcoflow_proto.exceptions import (
    SessionBusy,
    SessionClosed,
    SessionError,
    SessionNotFound,
    WSSAuthenticationError,
    WSSCallRefusedError,
    WSSCallUnansweredError,
    WSSConnectionError,
)

RATE = 24000
SECOND = RATE * 2
FRAME = 960


@pytest.fixture
def anyio_backend(pair: tuple[str, str]) -> str:
    return pair[0]


def ramp(size: int, start: int = 1) -> bytes:
    return struct.pack(f"<{size // 2}h", *((start + number) % 30011 + 1 for number in range(size // 2)))


class Calls(list[Any]):
    """The calls a client was given; the first one can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.came = anyio.Event()

    def take(self, call: Any) -> None:
        self.append(call)
        self.came.set()


@asynccontextmanager
async def connected(adapter: ModuleType, **settings: Any) -> AsyncGenerator[tuple[Gateway, Any, Calls]]:
    """A gateway and a client of the adapter, with the calls it takes."""
    with anyio.fail_after(20):
        async with (
            Gateway(**settings) as gateway,
            adapter.TelcoflowClient(config(adapter, gateway.base_url)) as client,
        ):
            calls = Calls()
            client.register_event_handler("call.new", calls.take)
            await gateway.wait_for_agents(1)
            yield gateway, client, calls


def config(adapter: ModuleType, base_url: str, **settings: Any) -> Any:
    known = {"api_key": "test-key", "connector_uuid": "test-connector", **settings}
    return adapter.TelcoflowClientConfig.sandbox(base_url=base_url, **known)


async def first(calls: Calls) -> Any:
    await calls.came.wait()
    return calls[0]


async def said_goodbye(adapter: ModuleType, seconds: float) -> tuple[bytes, GatewayCall]:
    """Say goodbye with a tail of 173 samples, and hang up once it is heard."""
    goodbye = ramp(int(seconds * SECOND) + 346)
    async with connected(adapter) as (gateway, _, calls):
        there = await gateway.place_call(Caller(voice=Voice.silence()))
        call = await first(calls)
        await call.answer()
        await call.send_audio(goodbye)
        await call.disconnect(drain=5)
        await there.wait_state("over")
    return goodbye, there


async def test_a_goodbye_is_heard_by_the_caller_to_the_last_sample(adapter: ModuleType) -> None:
    goodbye, there = await said_goodbye(adapter, 2.3)
    assert there.said_by_agent == goodbye
    assert there.ended_by == "agent"
    heard = skip_silence(there.heard_by_caller, RATE)
    assert heard == goodbye + bytes(-len(goodbye) % FRAME)


async def test_a_wav_file_is_played_and_the_call_recorded(adapter: ModuleType, tmp_path: Path) -> None:
    speech = ramp(SECOND // 2)
    write_wav(tmp_path / "hello.wav", speech, RATE)
    async with connected(adapter, speed=2.0) as (gateway, _, calls):
        there = await gateway.place_call(Caller(voice=Voice.tone(300, 20)))
        call = await first(calls)
        with pytest.raises(FileNotFoundError):
            await call.record(tmp_path / "no folder" / "call.wav")
        await call.answer()
        recording = await call.record(tmp_path / "call.wav")
        played = await call.play_audio(tmp_path / "hello.wav")
        assert played.complete
        assert played.bytes_queued == len(speech)
        with wave.open(str(tmp_path / "call.wav"), "rb") as file:
            assert file.getnchannels() == 2
        await call.disconnect()
        await there.wait_state("over")
    assert recording.stopped
    with wave.open(str(tmp_path / "call.wav"), "rb") as file:
        both = file.readframes(file.getnframes())
    left = bytes(byte for at in range(0, len(both), 4) for byte in both[at : at + 2])
    right = bytes(byte for at in range(2, len(both), 4) for byte in both[at : at + 2])
    assert left.strip(b"\0") == speech.strip(b"\0")
    assert right.strip(b"\0")
    assert there.said_by_agent == speech


async def test_sessions_are_listed_claimed_and_closed_over_real_http(adapter: ModuleType) -> None:
    async with connected(adapter) as (gateway, client, calls):
        there = await gateway.place_call(Caller(number="+15551"), Callee(number="+15552"))
        await first(calls)
        (info,) = await client.list_sessions(channel="TELCO", remote_address="+15551")
        assert (info.id, info.remote_address, info.local_address) == (there.session_id, "+15551", "+15552")
        assert await client.list_sessions(channel="WA") == []
        for session_id, kind in (("nobody's", SessionNotFound),):
            with pytest.raises(kind):
                await client.open_session(session_id)
        async with adapter.TelcoflowClient(config(adapter, gateway.base_url)) as other:
            with pytest.raises(SessionBusy) as caught:
                await other.open_session(there.session_id)
            assert caught.value.owner
            with pytest.raises(SessionError, match="CHANNEL_NOT_CONFIGURED"):
                await other.create_session("WA", "+1")


async def test_a_session_of_ours_is_closed_over_real_http(adapter: ModuleType) -> None:
    with anyio.fail_after(20):
        async with Gateway() as gateway, adapter.TelcoflowClient(config(adapter, gateway.base_url)) as client:
            there = await gateway.place_call()
            session = await client.open_session(there.session_id)
            calls = Calls()
            session.on_incoming_call(calls.take)
            await session.ready()
            call = await first(calls)
            await session.close()
            assert await session.wait_closed() == "SDK_REQUEST"
            await call.wait_ended()
            assert await client.list_sessions() == []
            with pytest.raises(SessionClosed):
                await client.open_session(there.session_id)


async def test_http_that_is_refused_or_not_there_is_told(adapter: ModuleType) -> None:
    async with connected(adapter) as (gateway, _, _):
        base_url = gateway.base_url
        stranger = adapter.TelcoflowClient(config(adapter, base_url, api_key="wrong"))
        with pytest.raises(WSSAuthenticationError):
            await stranger.list_sessions()
    gone = adapter.TelcoflowClient(config(adapter, base_url))
    with pytest.raises(WSSConnectionError, match="no answer from"):
        await gone.list_sessions()


async def test_a_reply_that_does_not_end_is_cut_off(adapter: ModuleType) -> None:
    async def flood(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n")
            try:
                while True:
                    await stream.send(bytes(65536))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass

    with anyio.fail_after(20):
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
            anyio.create_task_group() as group,
        ):
            group.start_soon(listener.serve, flood)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
            with pytest.raises(WSSConnectionError, match="longer than"):
                await adapter.TelcoflowClient(config(adapter, f"ws://127.0.0.1:{port}")).list_sessions()
            group.cancel_scope.cancel()


async def test_outgoing_calls(adapter: ModuleType) -> None:
    async with connected(adapter, speed=10.0) as (gateway, client, _):
        gateway.on_dial = lambda number: {
            "+1": Callee(number=number, answers_after=2.0, voice=Voice.tone(300, 20)),
            "+2": Callee(number=number, busy=True),
            "+3": Callee(number=number, answers_after=None),
        }[number]
        call = await client.dial("+1")
        assert (call.state.value, call.direction, call.callee_number) == ("connected", "MO", "+1")
        (there,) = gateway.calls
        await call.play_audio(ramp(SECOND // 4))
        assert skip_silence(there.heard_by_callee, RATE)
        async for chunk in call.audio_stream():
            if chunk.strip(b"\0"):
                break
        await call.disconnect()
        await there.wait_state("over")
        with pytest.raises(WSSCallRefusedError, match="CALLEE_BUSY"):
            await client.dial("+2")
        with pytest.raises(WSSCallUnansweredError):
            await client.dial("+3", ring_time_seconds=1)
        with anyio.move_on_after(0.1):
            await client.dial("+3", ring_time_seconds=30)
        while gateway.calls or client.calls:
            await anyio.sleep(0.001)


async def test_isolated_legs(adapter: ModuleType) -> None:
    caller, callee = Voice.tone(200, 20), Voice.tone(300, 20)
    with anyio.fail_after(20):
        async with (
            Gateway(speed=2.0) as gateway,
            adapter.TelcoflowClient(config(adapter, gateway.base_url, audio_mode="isolated")) as client,
        ):
            calls = Calls()
            client.register_event_handler("call.new", calls.take)
            await gateway.place_call(Caller(voice=caller), Callee(voice=callee, answers_after=0.1))
            call = await first(calls)
            await call.connect()
            heard: dict[int, bytes] = {}
            for channel in (1, 2):
                async for chunk in call.audio_stream(channel):
                    heard[channel] = heard.get(channel, b"") + chunk
                    if len(skip_silence(heard[channel], RATE)) >= 4 * FRAME:
                        break
            await call.disconnect()
    for channel, voice in ((1, caller), (2, callee)):
        said = b"".join(voice.speak(RATE).next_frame() for _ in range(1))
        assert skip_silence(heard[channel], RATE)[: len(said)] == said
