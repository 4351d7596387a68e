"""What the vendor's client 1.0.0 gets wrong with the media connection of a call; ours must not."""

# mypy: disable-error-code="truthy-bool"

import tracemalloc
import zlib
from typing import Any

import anyio
import pytest

from telcoflow_anyio import ActiveCall
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.exceptions import BufferClosedError, BufferFullError, WSSMediaError
from telcoflow_proto.media.table import CallState
from telcoflow_proto.origin import check_media_url, parse_ws_url
from telcoflow_proto.roles import Role
from tests.adapters import test_audio as audio
from tests.adapters import test_found as found
from tests.adapters import test_leaving as leaving
from tests.adapters import test_life as life
from tests.adapters import test_media_faults as media_faults
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, taking, talk, until
from tests.core.loopless import Line
from tests.core.support import frame
from tests.media.calls import T0, buffer_request, client_in, response, said, seen
from tests.reliability.conftest import Figure
from tests.world.service import PORT, drop_media
from tests.world.world import World

SECOND = 48000

# ---------------------------------------------------------------------- the connection of a call is lost


@pytest.mark.parametrize("command", ["answer", "connect"])
async def test_peer_M01_a_command_is_lost_at_once_with_its_connection(
    world: World, command: str, figure: Figure
) -> None:
    async with phone_in(world, "pending") as phone:
        phone.there.will(f"call.{command}", drop_media())
        begun = anyio.current_time()
        assert isinstance(await outcome(getattr(phone.call, command)), WSSMediaError)
        assert anyio.current_time() - begun < 0.1
        figure("peer M01: until a lost command is told, s", anyio.current_time() - begun)
        assert await phone.call.close()


async def test_peer_M02_a_lost_call_is_over_and_says_so_once(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        told: list[object] = []
        phone.call.register_event_handler("call.terminated", told.append)
        phone.there.reset()
        assert await phone.call.wait_ended() == "connection lost"
        await anyio.sleep(60)
        assert told == ["connection lost"]
        assert phone.call.state is CallState.DISCONNECTED
        assert [await phone.call.disconnect(), await phone.call.close()]


async def test_peer_M19_a_lost_call_can_be_closed_and_so_can_its_session(world: World) -> None:
    async with world.client() as client:
        session = await client.open_session("s1")
        world.service.control.reset()
        await world.service.connected(2)
        await anyio.sleep(0.1)
        assert session.is_closed
        await session.close()
        taking(client)
        phone = await talk(world, client)
        phone.there.reset()
        await phone.call.wait_closed()
        assert await phone.call.close()
        assert client.calls == []


async def test_peer_M03_an_answer_that_was_cancelled_while_connecting_can_be_tried_again(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        world.net.hang(PORT)
        with anyio.move_on_after(1) as scope:
            await phone.call.answer()
        assert scope.cancelled_caught
        world.net.unhang(PORT)
        assert await phone.call.answer()
        assert phone.there.said == ["call.answer"]


async def test_peer_M04_one_bad_frame_is_dropped_and_the_call_lives(world: World) -> None:
    await media_faults.test_garbage_of_every_kind_does_not_end_the_call(world)


async def test_peer_M05_a_handler_may_end_the_call_it_hears_of(world: World) -> None:
    await life.test_commands_from_inside_the_handlers_of_failures_and_errors(world)


async def test_peer_M06_a_call_that_ended_on_an_open_socket_is_over(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:

        async def listen() -> list[bytes]:
            return [chunk async for chunk in phone.call.audio_stream()]

        listener = Later(group, listen)
        await anyio.sleep(1)
        assert phone.there.carrier is not None
        phone.there.say_raw('{"type":"call_event","data":{"event":"call.terminated"}}')
        assert await listener.done() == []
        assert isinstance(await outcome(phone.call.send_audio, b"\0\0"), BufferClosedError)
        begun = anyio.current_time()
        phone.there.carrier.stream.connection.partition()
        await phone.call.wait_closed()
        assert anyio.current_time() - begun <= 2.01


async def test_peer_M07_a_stream_that_ended_stays_ended(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.hang_up()
        for _ in range(3):
            assert [chunk async for chunk in phone.call.audio_stream()] == []


async def test_peer_M16_leaving_the_client_ends_its_calls(world: World) -> None:
    await leaving.test_leaving_takes_two_seconds_at_most_in_every_state(world, "talking")


async def test_peer_M18_a_call_nobody_wants_is_declined(world: World) -> None:
    await life.test_a_pending_call_can_be_declined(world)


@pytest.mark.parametrize("reason", ["FORCE_CLOSE", "CALL_TERMINATED", "NEW REASON"])
async def test_peer_M20_the_end_of_the_session_ends_the_call(world: World, reason: str) -> None:
    async with phone_in(world, "answered") as phone:
        told: list[object] = []
        phone.call.register_event_handler("call.terminated", told.append)
        world.service.close_session(phone.there, reason)
        assert await phone.call.wait_ended() == "session closed"
        await phone.call.wait_closed()
        await anyio.sleep(0.1)
        assert told == ["session closed"]
        assert phone.client.calls == []


async def test_peer_M21_what_is_told_while_the_call_is_picked_up_is_heard(world: World) -> None:
    async with world.client() as client:
        told: list[str] = []

        @client.on("call.new")
        async def take(call: ActiveCall) -> None:
            call.register_event_handler("call.error", lambda data: told.append(data["error_code"]))
            await call.answer()

        there = await world.service.announce_call()
        await there.media_opened()
        there.report_error("EARLY", "at accept")
        await until(lambda: told == ["EARLY"])


# ---------------------------------------------------------------------- hearing


def test_peer_N01_audio_nobody_reads_is_bounded_and_counted(figure: Figure) -> None:
    client = client_in(CallState.ANSWERED)
    tracemalloc.start()
    try:
        for _ in range(4000):
            client.receive_message(b"\0" + bytes(61_000), now=T0)
            for channel in (1, 7, 255):
                client.receive_message(bytes([channel, 0, 0]), now=T0)
            seen(client)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    statistics = client.statistics()
    assert statistics.bytes_received == 244_000_000
    assert statistics.bytes_received - statistics.bytes_dropped_in <= 10 * SECOND
    assert held <= 8 * 1024 * 1024
    figure("peer N01: kept of 244 MB nobody reads, MiB", held / 1024 / 1024)


# ---------------------------------------------------------------------- speaking


def test_peer_M09_a_flood_of_requests_is_one_number() -> None:
    client, request = client_in(CallState.ANSWERED), buffer_request(960)
    for _ in range(10_000):
        client.receive_message(request, now=T0)
    assert client.statistics().credit == 2 * SECOND
    assert (seen(client), client.messages_to_send(now=T0)) == ([], [])


def test_peer_M10_half_a_sample_is_refused_and_frames_are_whole_and_no_larger_than_preferred() -> None:
    client = client_in(CallState.ANSWERED)
    with pytest.raises(ValueError, match="odd 961"):
        client.send_audio(bytes(961), now=T0)
    client.send_audio(bytes(20_160), now=T0)
    client.receive_message(buffer_request(1920, 960), now=T0)
    first = client.messages_to_send(now=T0)
    client.receive_message(buffer_request(19_200, 640), now=T0)
    second = client.messages_to_send(now=T0)
    client.handle_timeout(now=T0 + 0.1)
    second += client.messages_to_send(now=T0 + 0.1)
    assert [len(one) - 1 for one in first if isinstance(one, bytes)] == [960, 960]
    assert {len(one) - 1 for one in second if isinstance(one, bytes)} <= {640, 320}
    assert sum(len(one) - 1 for one in second if isinstance(one, bytes)) == 20_160 - 1920


async def test_peer_N02_the_end_of_a_sentence_is_not_held_back(world: World, figure: Figure) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.want(64_000)
        for _ in range(10):
            await phone.call.send_audio(bytes(640))
            await anyio.sleep(640 / SECOND)
        said_at = anyio.current_time()
        await phone.there.has_heard(6400)
        assert anyio.current_time() - said_at <= 0.021
        figure("peer N02: until the tail leaves, s", anyio.current_time() - said_at)


def test_peer_M12_a_frame_that_could_never_be_sent_is_made_smaller_and_a_useless_buffer_refused(world: World) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(96_000, 2 * 1024 * 1024), now=T0)
    client.send_audio(bytes(96_000), now=T0)
    client.drain_audio(now=T0)
    assert sum(len(one) - 1 for one in client.messages_to_send(now=T0) if isinstance(one, bytes)) == 96_000
    with pytest.raises(ValueError, match="buffer_size"):
        world.config(buffer_size=512)


def test_peer_M13_what_was_said_before_an_interrupt_never_leaves_after_it(figure: Figure) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(96_000), now=T0)
    client.send_audio(b"\1\1" * 48_000, now=T0)
    client.interrupt(now=T0)
    client.receive_message(buffer_request(9600), now=T0)
    assert [one["data"]["command"] for one in said(client)] == ["agent.interrupt"]
    client.send_audio(b"\7\7" * 120_000, now=T0)
    after = b"".join(one[1:] for one in client.messages_to_send(now=T0) if isinstance(one, bytes))
    assert set(after) == {7}
    assert len(after) <= 2 * SECOND
    figure("peer M13: speech that may leave at once after an interrupt, s", len(after) / SECOND)


def test_peer_M14_a_long_silence_saves_up_no_credit(figure: Figure) -> None:
    client = client_in(CallState.ANSWERED, buffer_size=30 * SECOND)
    for _ in range(2000):
        client.receive_message(buffer_request(960), now=T0)
    client.send_audio(bytes(30 * SECOND), now=T0)
    at_once = sum(len(one) - 1 for one in client.messages_to_send(now=T0) if isinstance(one, bytes))
    assert at_once <= 2 * SECOND
    assert client.bytes_queued == 30 * SECOND - at_once
    figure("peer M14: of 30 s of speech left at once, s", at_once / SECOND)


def test_peer_M15_commands_that_were_cancelled_leave_nothing() -> None:
    line = Line().answered()
    for _ in range(500):
        task = line.run(line.call.interrupt())
        task.step(KeyboardInterrupt())
        assert task.done
        assert line.call.waiting == 0
        line.succeed()
    assert line.call.statistics().pending_commands == 0


async def test_peer_M22_listening_before_the_answer_waits_for_it(world: World) -> None:
    await audio.test_a_listener_waits_before_the_answer_and_ends_with_the_call(world)


async def test_peer_M25_there_is_a_way_to_wait_for_room_and_half_a_sample_is_refused(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        assert isinstance(await outcome(phone.call.send_audio, bytes(1024 * 1024 + 2)), BufferFullError)
        assert isinstance(await outcome(phone.call.send_audio, b"\0"), ValueError)
        playing = Later(group, phone.call.play_audio, b"\1\1" * 600_000)
        for _ in range(30):
            phone.there.want(96_000)
            await anyio.sleep(1)
        await playing.done()
        assert phone.there.heard == b"\1\1" * 600_000


async def test_peer_M23_who_waits_for_room_is_told_of_the_end(world: World) -> None:
    await found.test_who_waits_for_room_is_told_of_the_end(world)


@pytest.mark.parametrize("requested", [True, False, "7", 3.9, None, [7], {"bytes": 7}])
def test_peer_M26_credit_is_a_number_or_none(requested: Any) -> None:
    client = client_in(CallState.ANSWERED)
    client.send_audio(bytes(9600), now=T0)
    client.receive_message(buffer_request(requested), now=T0)
    assert client.messages_to_send(now=T0) == []
    assert client.statistics().credit == 0
    assert client.bad_frames == 1


@pytest.mark.parametrize("success", ["false", "true", 0, 1, None, []])
def test_peer_M27_success_is_a_boolean(success: Any) -> None:
    client = client_in(CallState.ANSWERED)
    command_id = client.connect(now=T0)
    client.receive_message(response(command_id, success=success), now=T0)
    assert client.state is CallState.ANSWERED
    assert client.bad_frames == 1
    assert client.statistics().pending_commands == 1, "it still waits for a real response"


# ---------------------------------------------------------------------- where it goes, and how


@pytest.mark.parametrize(
    "url",
    [
        "ws://evil.example/media",
        "ws://localhost:9999/media",
        "ws://user@localhost:8080/media",
        "http://localhost:8080/media",
        "ws://169.254.169.254/latest",
        "ws://127.1:8080/media",
        "ws://localhost.evil.example:8080/media",
        "ws://[::ffff:127.0.0.1]:8080/media",
        "file:///etc/passwd",
        "x",
    ],
)
async def test_peer_N04_a_token_goes_to_no_other_host(world: World, url: str, caplog: pytest.LogCaptureFixture) -> None:
    await media_faults.test_a_media_url_to_elsewhere_is_refused_before_a_byte_is_sent(world, url, caplog)


def test_peer_P04_a_secure_service_has_secure_media() -> None:
    control = parse_ws_url("wss://wss-prod.agentao.com/v1/agent/session-manager")
    with pytest.raises(RemoteProtocolError):
        check_media_url("ws://wss-prod.agentao.com/media/1", control=control, allowed_hosts=("*.agentao.com",))


async def test_peer_N09_a_compressed_frame_ends_the_call_in_words(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        assert phone.there.carrier is not None
        bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)
        await phone.there.carrier.stream.send(frame(Role.SERVER, 0xC2, bomb[:60_000]))
        assert await phone.call.wait_ended() == "connection lost"
        assert phone.call.statistics().bytes_received == 0


async def test_peer_N10_a_silent_service_is_noticed_within_ten_seconds(world: World, figure: Figure) -> None:
    async with phone_in(world, "answered") as phone:
        await anyio.sleep(33)
        assert phone.there.carrier is not None
        phone.there.carrier.stream.connection.partition()
        begun = anyio.current_time()
        assert await phone.call.wait_ended() == "connection lost"
        assert anyio.current_time() - begun <= 10
        figure("peer N10: until a silent media connection is lost, s", anyio.current_time() - begun)


async def test_peer_N14_no_compression_is_offered(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        assert phone.there.carrier is not None
        for headers in (phone.there.carrier.end.headers, world.service.control.headers):
            assert "upgrade" in headers
            assert "sec-websocket-extensions" not in headers
