"""What goes wrong with a call's own connection, and what must not go wrong with it."""

# mypy: disable-error-code="truthy-bool"

import logging

import anyio
import pytest

from telcoflow_proto.exceptions import WSSCallClosedError, WSSMediaError
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, ring, taking, talk
from tests.world.service import DROP, PORT, SILENCE, http, ignore
from tests.world.world import World

GARBAGE: list[str | bytes] = [
    "",
    "null",
    "[]",
    '"x"',
    "1",
    "{",
    "{}",
    '{"type":1}',
    '{"type":"call_event"}',
    '{"type":"call_event","data":[]}',
    '{"type":"call_event","data":{"event":null}}',
    '{"type":"command_response","data":{"command_id":7,"success":true}}',
    '{"type":"command_response","data":{"command_id":"x","success":"yes"}}',
    '{"type":"buffer_request","data":{"requested_bytes":true}}',
    '{"type":"buffer_request","data":{"requested_bytes":1e999}}',
    '{"type":"buffer_request","data":{"requested_bytes":NaN}}',
    '{"type":"x","type":"y"}',
    '{"type":"never heard of","data":{}}',
    "[" * 5000,
    '{"type":' + "9" * 5000 + "}",
    '{"type":"\\ud800"}',
    b"",
    b"\0",
    b"\0\1",
    b"\x63\1\2",
]


async def test_garbage_of_every_kind_does_not_end_the_call(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        for garbage in GARBAGE * 2:
            phone.there.say_raw(garbage)
            await anyio.sleep(0.01)
        assert phone.call.state is CallState.ANSWERED
        assert phone.call.statistics().bad_frames >= 30
        phone.there.say(b"\1\1")
        assert await anext(aiter(phone.call.audio_stream())) == b"\1\1"
        assert await phone.call.close()


@pytest.mark.parametrize("how", ["reset", "fin", "close", "late close"])
async def test_a_dropped_connection_ends_the_call_and_fails_what_waits(world: World, how: str) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        told: list[object] = []
        phone.call.register_event_handler("call.terminated", told.append)
        phone.there.will("call.connect", ignore())
        phone.there.will("agent.interrupt", ignore())
        waiting = [Later(group, phone.call.connect), Later(group, phone.call.interrupt)]
        await anyio.sleep(3)
        match how:
            case "reset":
                phone.there.reset()
            case "fin":
                await phone.there.finish()
            case _:
                phone.there.close(1011)
        for one in waiting:
            assert isinstance(await one.done(), WSSMediaError)
            assert one.took == pytest.approx(3, abs=0.1)
        assert phone.call.state is CallState.DISCONNECTED
        assert phone.call.end_reason == "connection lost"
        await anyio.sleep(5)
        assert told == ["connection lost"]
        assert isinstance(await outcome(phone.call.answer), WSSCallClosedError)
        assert world.net.client_streams == 1


async def test_a_silent_partition_is_noticed_within_ten_seconds(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        await anyio.sleep(33)
        assert phone.there.carrier is not None
        phone.there.carrier.stream.connection.partition()
        begun = anyio.current_time()
        assert await phone.call.wait_ended() == "connection lost"
        assert anyio.current_time() - begun <= 10
        await anyio.sleep(3)
        assert world.net.client_streams == 1


async def test_a_short_partition_is_survived(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        assert phone.there.carrier is not None
        connection = phone.there.carrier.stream.connection
        connection.partition()
        await anyio.sleep(4)
        phone.there.say(b"\1\1")
        connection.heal()
        assert await anext(aiter(phone.call.audio_stream())) == b"\1\1"


@pytest.mark.parametrize(
    ("upgrade", "said"),
    [
        (http(401, body="no"), "401"),
        (http(404), "404"),
        (http(302, Location="ws://evil.example/"), "302"),
        (DROP, "Broken|Reset|reset|closed"),
    ],
)
async def test_media_that_is_refused_fails_the_answer_and_ends_the_call(
    world: World, upgrade: object, said: str
) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client, upgrade=upgrade)
        with pytest.raises(WSSMediaError, match=said):
            await phone.call.answer()
        assert phone.call.state is CallState.DISCONNECTED
        assert phone.there.media_attempts == 1
        assert all(url.host == "localhost" for _, url in world.net.dials)


async def test_a_media_upgrade_nobody_answers_is_given_up_after_ten_seconds(world: World) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client, upgrade=SILENCE)
        begun = anyio.current_time()
        assert isinstance(await outcome(phone.call.answer), WSSMediaError)
        assert anyio.current_time() - begun == pytest.approx(10, abs=0.01)


async def test_a_media_dial_that_fails_ends_the_call_with_the_address(world: World) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client)
        world.net.refuse(PORT)
        with pytest.raises(WSSMediaError, match=r"localhost:8080.*refused"):
            await phone.call.answer()
        assert phone.call.state is CallState.DISCONNECTED


@pytest.mark.parametrize(
    "url",
    [
        "ws://evil.example/media",
        "ws://localhost:9999/media",
        "ws://user@localhost:8080/media",
        "http://localhost:8080/media",
        "ws://169.254.169.254/latest",
        "x",
    ],
)
async def test_a_media_url_to_elsewhere_is_refused_before_a_byte_is_sent(
    world: World, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.client() as client:
        calls = taking(client)
        await world.service.announce_call(url=url)
        await anyio.sleep(10)
        assert calls == []
        assert len(world.net.dials) == 1
    assert "call call-1 cannot be taken" in caplog.text
    assert "token-of" not in caplog.text


async def test_session_closed_before_media_ends_the_call(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        world.service.close_session(phone.there)
        assert await phone.call.wait_ended() == "session closed"
        await phone.call.wait_closed()
        assert phone.client.calls == []
        assert len(world.net.dials) == 1


async def test_session_closed_while_a_command_waits_ends_it(world: World) -> None:
    async with phone_in(world, "pending") as phone, meanwhile() as group:
        phone.there.will("call.answer", ignore())
        waiting = Later(group, phone.call.answer)
        await anyio.sleep(1)
        world.service.close_session(phone.there)
        assert isinstance(await waiting.done(), WSSCallClosedError)
        await phone.call.wait_closed()


async def test_a_service_that_never_closes_its_end_is_left_within_two_seconds(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.hang_up()
        await phone.call.wait_ended()
        assert phone.there.carrier is not None
        phone.there.carrier.stream.connection.partition()
        begun = anyio.current_time()
        await phone.call.wait_closed()
        assert anyio.current_time() - begun <= 2.01


async def test_no_secret_is_logged_whatever_goes_wrong(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with world.client() as client:
        taking(client)
        phone = await talk(world, client)
        for garbage in GARBAGE:
            phone.there.say_raw(garbage)
            world.service.control.say_raw(garbage) if len(garbage) < 3 else None
        phone.there.reset()
        await anyio.sleep(1)
        world.service.control.reset()
        await anyio.sleep(5)
        assert "canary" not in repr(client)
    for secret in ("canary-api-key", "token-of-call", "+1555"):
        assert secret not in caplog.text


@pytest.mark.parametrize("cut", range(0, 700, 23))
async def test_a_reset_at_any_byte_leaves_one_end_and_nothing_pending(world: World, cut: int) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client)
        told: list[object] = []
        phone.call.register_event_handler("call.terminated", told.append)
        async with meanwhile() as group:

            async def scenario() -> None:
                await phone.call.answer()
                await phone.call.connect()
                await phone.call.close()

            running = Later(group, scenario)
            await anyio.sleep(0)
            while len(world.net.connections) < 2:
                await anyio.sleep(0)
            world.net.connections[1].reset(after_bytes=cut)
            result = await running.done()
            assert result is None or isinstance(result, WSSMediaError)
            assert running.took is not None
            assert running.took < 0.1
        await anyio.sleep(3)
        assert len(told) == 1
        assert world.net.client_streams == 1


@pytest.mark.parametrize("seed", range(4))
async def test_a_call_survives_a_slow_and_choppy_network(world: World, seed: int) -> None:
    world.net.chance.seed(seed)
    world.net.latency, world.net.jitter, world.net.segment = 0.3, 1.0, 3
    async with world.client() as client:
        taking(client)
        phone = await talk(world, client)
        phone.there.want(96000)
        await phone.call.send_audio(bytes(range(200)) * 10)
        assert await phone.there.has_heard(2000) == bytes(range(200)) * 10
        await anyio.sleep(60)
        assert await phone.call.close()
