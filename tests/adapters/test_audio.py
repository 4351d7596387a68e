"""Speech and hearing: all or nothing, back-pressure, drain, and readers that are late, slow or gone."""

from typing import Any

import anyio
import pytest

from telcoflow_proto.exceptions import BufferClosedError, BufferFullError
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, until
from tests.world.service import drop_media
from tests.world.world import World

SECOND = 48000


async def test_speech_that_does_not_fit_is_not_queued_at_all(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=4096) as phone:
        await phone.call.send_audio(bytes(4000))
        assert isinstance(await outcome(phone.call.send_audio, bytes(98)), BufferFullError)
        assert phone.call.get_send_audio_buffer_size() == 4000
        await phone.call.send_audio(bytes(96))
        assert phone.call.get_send_audio_buffer_size() == 4096


@pytest.mark.parametrize(
    ("audio", "error"),
    [("text", TypeError), (None, TypeError), ([1, 2], TypeError), (b"\0", ValueError), (bytes(961), ValueError)],
)
async def test_what_is_not_audio_is_refused(world: World, audio: Any, error: type[Exception]) -> None:
    async with phone_in(world, "answered") as phone:
        assert isinstance(await outcome(phone.call.send_audio, audio), error)
        assert phone.call.get_send_audio_buffer_size() == 0


@pytest.mark.parametrize("audio", [b"", b"\1\2", bytearray(b"\1\2"), memoryview(b"\1\2")])
async def test_all_that_is_bytes_is_audio(world: World, audio: Any) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.want(1000)
        await phone.call.send_audio(audio)
        assert await phone.call.drain(1)
        assert phone.there.heard == bytes(audio)


async def test_room_is_waited_for(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=4096) as phone, meanwhile() as group:
        await phone.call.send_audio(bytes(4096))
        waiter = Later(group, phone.call.wait_for_room, 1920)
        await anyio.sleep(1)
        assert waiter.took is None
        phone.there.want(960)
        await anyio.sleep(1)
        assert waiter.took is None
        phone.there.want(960)
        assert await waiter.done() is None
        assert isinstance(await outcome(phone.call.wait_for_room, 4097), ValueError)


async def test_speech_leaves_in_frames_against_credit_and_no_faster(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        await phone.call.send_audio(bytes(10 * 960))
        phone.there.want(2 * 960)
        await anyio.sleep(1)
        assert [size for _, size in phone.there.frames] == [960, 960]
        phone.there.want(640, frame=320)
        await anyio.sleep(1)
        assert [size for _, size in phone.there.frames] == [960, 960, 320, 320]
        assert phone.call.statistics().bytes_queued == 10 * 960 - 2560


async def test_drain_takes_the_tail_and_waits_until_it_is_heard(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.want(SECOND)
        begun = anyio.current_time()
        await phone.call.send_audio(bytes(24000 + 100))
        assert await phone.call.drain()
        assert anyio.current_time() - begun == pytest.approx(24100 / SECOND + 0.06, abs=0.01)
        assert len(phone.there.heard) == 24100
        assert await phone.call.drain()


async def test_drain_waits_for_credit_and_gives_up_in_time(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        await phone.call.send_audio(bytes(960))
        begun = anyio.current_time()
        assert not await phone.call.drain(2)
        assert anyio.current_time() - begun == pytest.approx(2, abs=0.001)
        phone.there.want(960)
        assert await phone.call.drain(2)


@pytest.mark.parametrize("how", ["interrupt", "clear_send_audio_buffer"])
async def test_drain_ends_when_the_speech_is_interrupted(world: World, how: str) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        await phone.call.send_audio(bytes(960))
        drained = Later(group, phone.call.drain)
        await anyio.sleep(1)
        assert await getattr(phone.call, how)() == 960
        assert await drained.done() is True
        assert "agent.interrupt" in phone.there.said


async def test_drain_ends_with_the_call(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        await phone.call.send_audio(bytes(960))
        drained = Later(group, phone.call.drain)
        await anyio.sleep(1)
        phone.there.hang_up()
        assert await drained.done() is False


async def test_a_goodbye_is_played_out_before_the_hang_up(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        await phone.call.send_audio(bytes(SECOND))
        phone.there.want(SECOND)
        begun = anyio.current_time()
        await phone.call.close(drain=5)
        assert anyio.current_time() - begun == pytest.approx(1.06, abs=0.03)
        assert len(phone.there.heard) == SECOND


async def test_clear_drops_what_is_queued_and_tells_the_service_even_if_nothing_is(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        assert await phone.call.clear_send_audio_buffer() == 0
        await phone.call.send_audio(bytes(2000))
        assert await phone.call.interrupt() == 2000
        phone.there.want(4000)
        await anyio.sleep(1)
        assert phone.there.heard == b""
        assert phone.there.said.count("agent.interrupt") == 2


async def test_a_listener_waits_before_the_answer_and_ends_with_the_call(world: World) -> None:
    async with phone_in(world, "pending") as phone, meanwhile() as group:

        async def listen() -> list[bytes]:
            return [chunk async for chunk in phone.call.audio_stream()]

        listener = Later(group, listen)
        await anyio.sleep(10)
        assert listener.took is None
        await phone.call.answer()
        phone.there.say(b"\1\1")
        phone.there.say(b"\2\2")
        await anyio.sleep(1)
        phone.there.hang_up()
        assert await listener.done() == [b"\1\1", b"\2\2"]
        assert await listen() == []


@pytest.mark.parametrize("how", ["reset", "finish", "close"])
async def test_a_listener_ends_quietly_when_the_connection_is_lost(world: World, how: str) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:

        async def listen() -> list[bytes]:
            return [chunk async for chunk in phone.call.audio_stream()]

        listener = Later(group, listen)
        await anyio.sleep(1)
        result = getattr(phone.there, how)()
        if result is not None:
            await result
        assert await listener.done() == []
        assert phone.call.state is CallState.DISCONNECTED


async def test_what_was_heard_before_the_end_can_be_read_after_it(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.say(b"\1\1")
        await anyio.sleep(1)
        phone.there.hang_up()
        await phone.call.wait_ended()
        assert [chunk async for chunk in phone.call.audio_stream()] == [b"\1\1"]


async def test_an_application_that_does_not_listen_loses_the_oldest_and_nothing_else(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        for second in range(30):
            phone.there.say(bytes([second]) * SECOND)
            await anyio.sleep(1)
        statistics = phone.call.statistics()
        assert statistics.bytes_received == 30 * SECOND
        assert statistics.bytes_dropped_in == 20 * SECOND
        assert await phone.call.interrupt() == 0
        chunk = await anext(aiter(phone.call.audio_stream()))
        assert chunk[0] == 20


async def test_isolated_legs_have_channels_of_their_own(world: World) -> None:
    async with phone_in(world, "answered", audio_mode="isolated") as phone:
        phone.there.say(b"\1\1", channel=1)
        phone.there.say(b"\2\2", channel=2)
        assert await anext(aiter(phone.call.audio_stream(2))) == b"\2\2"
        assert await anext(aiter(phone.call.audio_stream(1))) == b"\1\1"
        with pytest.raises(ValueError, match="channel"):
            await anext(aiter(phone.call.audio_stream(99)))


async def test_a_service_that_does_not_read_fills_our_queue_not_our_memory(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=96000) as phone:
        world.net.byte_cap = 1000
        assert phone.there.carrier is not None
        phone.there.carrier.stream.stop_reading()
        phone.there.want(96000)
        await anyio.sleep(0.1)
        await phone.call.send_audio(bytes(96000))
        await anyio.sleep(0.1)
        await phone.call.send_audio(bytes(96000))
        assert isinstance(await outcome(phone.call.send_audio, bytes(2)), BufferFullError)
        phone.there.carrier.stream.read_again()
        await anyio.sleep(0.1)
        assert len(phone.there.heard) == 96000
        assert phone.there.faults == []


async def test_a_lost_connection_ends_a_speaker_that_waits(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=4096) as phone, meanwhile() as group:

        async def speak() -> None:
            while True:
                await phone.call.wait_for_room(960)
                await phone.call.send_audio(bytes(960))

        speaker = Later(group, speak)
        await anyio.sleep(1)
        phone.there.reset()
        assert isinstance(await speaker.done(), BufferClosedError)


async def test_hearing_goes_on_while_a_command_waits(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        phone.there.will("call.connect", drop_media(after=10))
        connecting = Later(group, phone.call.connect)
        await anyio.sleep(1)
        phone.there.say(b"\1\1")
        assert await anext(aiter(phone.call.audio_stream())) == b"\1\1"
        await until(lambda: connecting.took is not None)
        assert connecting.took == pytest.approx(10, abs=0.1)
