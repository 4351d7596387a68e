"""What goes wrong with the control connection: refusals, losses, storms that must not be, calls that live on."""

# mypy: disable-error-code="truthy-bool"

import itertools
from typing import Any

import anyio
import pytest

from telcoflow_proto.client_table import ClientState
from telcoflow_proto.exceptions import WSSAuthenticationError, WSSConnectionError
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, ring, taking, talk, until
from tests.adapters.test_media_faults import GARBAGE
from tests.world.service import ACCEPT, DROP, NEVER, PORT, SILENCE, accept_then_close, http, setup_after
from tests.world.world import World


async def enter(world: World) -> Any:
    """Return why the client could not be entered."""
    try:
        async with world.client():
            return None
    except Exception as error:  # noqa: BLE001 - it is what was asked for
        return error


@pytest.mark.parametrize(
    ("upgrade", "kind", "code"),
    [
        (http(401, body="bad key"), WSSAuthenticationError, 401),
        (http(403), WSSAuthenticationError, 403),
        (http(426, body="upgrade your SDK"), WSSConnectionError, 426),
        (http(503, Retry_After="7"), WSSConnectionError, 503),
        (http(302, Location="ws://evil.example/"), WSSConnectionError, 302),
        (accept_then_close(4401), WSSAuthenticationError, 4401),
        (accept_then_close(1011), WSSConnectionError, 1011),
        (DROP, WSSConnectionError, 1006),
    ],
)
async def test_a_first_attempt_that_is_refused_is_told_at_once_and_not_repeated(
    world: World, upgrade: Any, kind: type[WSSConnectionError | WSSAuthenticationError], code: int
) -> None:
    world.service.upgrade = [upgrade]
    error = await enter(world)
    assert isinstance(error, kind)
    assert error.code == code
    assert "canary" not in str(error)
    await anyio.sleep(120)
    assert len(world.service.attempts) == 1
    assert {url.host for _, url in world.net.dials} == {"localhost"}


@pytest.mark.parametrize("upgrade", [SILENCE, setup_after(NEVER), setup_after(10.1)])
async def test_a_handshake_that_hangs_is_given_up_after_ten_seconds(world: World, upgrade: Any) -> None:
    world.service.upgrade = [upgrade]
    begun = anyio.current_time()
    assert isinstance(await enter(world), WSSConnectionError)
    assert anyio.current_time() - begun == pytest.approx(10, abs=0.01)
    await anyio.sleep(1)


async def test_a_late_set_up_is_in_time(world: World) -> None:
    world.service.upgrade = [setup_after(9.9)]
    assert await enter(world) is None


async def test_nobody_listening_is_told_with_the_address(world: World) -> None:
    world.net.refuse(PORT)
    error = await enter(world)
    assert isinstance(error, WSSConnectionError)
    assert "localhost:8080" in str(error)
    assert "refused" in str(error)


async def test_credentials_refused_behind_the_set_up_are_told_and_not_tried_again(world: World) -> None:
    world.service.upgrade = [accept_then_close(4401, after_setup=True)]
    error = await enter(world)
    assert isinstance(error, WSSAuthenticationError)
    assert error.code == 4401
    await anyio.sleep(100)
    assert len(world.service.attempts) == 1


async def test_a_key_revoked_while_away_stops_the_reconnecting(world: World) -> None:
    world.service.upgrade = [ACCEPT, http(503), http(401, body="revoked")]
    async with world.client() as client:
        world.service.control.reset()
        assert isinstance(await outcome(client.run_forever), WSSAuthenticationError)
    assert len(world.service.attempts) == 3


async def test_accept_then_close_is_no_storm(world: World) -> None:
    world.service.upgrade = [ACCEPT, accept_then_close(1011, after_setup=True)]
    async with world.client() as client:
        world.service.control.reset()
        await anyio.sleep(60)
        assert len(world.service.attempts) <= 12
        assert client.statistics().connections == len(world.service.attempts)
        gaps = [
            after - before for before, after in zip(world.service.attempts, world.service.attempts[1:], strict=False)
        ]
        assert min(gaps) >= 0.5


async def test_retry_after_is_obeyed(world: World) -> None:
    world.service.upgrade = [ACCEPT, http(503, Retry_After="70"), ACCEPT]
    async with world.client():
        world.service.control.close(1012)
        await world.service.connected(2)
        assert world.service.attempts[2] - world.service.attempts[1] >= 70


@pytest.mark.parametrize("how", ["reset", "finish", "close"])
async def test_a_lost_connection_is_told_restored_and_told_again(world: World, how: str) -> None:
    told: list[tuple[str, Any]] = []
    world.service.upgrade = [ACCEPT, DROP, DROP, ACCEPT]
    async with world.client() as client:
        for event in ("connection.lost", "connection.restored"):
            client.register_event_handler(event, lambda data, event=event: told.append((event, data.attempt)))
        result = getattr(world.service.control, how)()
        if result is not None:
            await result
        await world.service.connected(2)
        await anyio.sleep(0.1)
        assert client.state is ClientState.READY
        waits = [b - a for a, b in itertools.pairwise(world.service.attempts)]
        assert all(0.5 <= wait <= 30 for wait in waits)
    assert told == [
        ("connection.lost", 1),
        ("connection.lost", 2),
        ("connection.lost", 3),
        ("connection.restored", 3),
    ]


async def test_live_calls_go_on_without_a_control_connection(world: World) -> None:
    async with world.client() as client:
        taking(client)
        phones = [await talk(world, client) for _ in range(3)]
        world.service.upgrade = [DROP]
        world.service.control.reset()
        await anyio.sleep(300)
        for phone in phones:
            assert phone.call.state is CallState.ANSWERED
            phone.there.say(b"\1\1")
            assert await anext(aiter(phone.call.audio_stream())) == b"\1\1"
        world.service.upgrade = [ACCEPT]
        await world.service.connected(2)
        await anyio.sleep(1)
        for phone in phones:
            world.service.notify(phone.there, activity="RESUME")
        world.service.control.carrier.end.say_raw(
            '{"type":"session.closed","sessionId":"session-2","reason":"FORCE_CLOSE"}'
        )
        world.service.control.carrier.touch()
        await anyio.sleep(5)
        assert [one.state.value for one in (phone.call for phone in phones)] == ["answered", "disconnected", "answered"]
        assert [await phone.call.close() for phone in phones]


async def test_a_call_that_waits_is_resumed_on_the_next_connection(world: World) -> None:
    world.service.offers_calls = False
    async with world.client() as client:
        calls = taking(client)
        there = await world.service.announce_call()
        await anyio.sleep(1)
        world.service.offers_calls = True
        world.service.control.reset()
        await world.service.connected(2)
        world.service.notify(there, activity="RESUME")
        await until(lambda: calls)
        assert await calls[0].answer()


async def test_a_handler_registered_between_two_connections_gets_the_next_calls(world: World) -> None:
    async with world.client() as client:
        there = await world.service.announce_call()
        await anyio.sleep(1)
        world.service.control.reset()
        await anyio.sleep(0.1)
        calls = taking(client)
        await world.service.connected(2)
        world.service.notify(there, activity="RESUME")
        await until(lambda: calls)


async def test_a_silent_partition_is_noticed_within_twenty_seconds(world: World) -> None:
    lost: list[float] = []
    async with world.client() as client:
        client.register_event_handler("connection.lost", lambda: lost.append(anyio.current_time()))
        await anyio.sleep(100)
        world.service.control.partition()
        begun = anyio.current_time()
        await world.service.connected(2)
        assert lost[0] - begun <= 20
        assert world.net.client_streams == 1


async def test_a_partition_of_everything_heals(world: World) -> None:
    async with world.client() as client:
        calls = taking(client)
        world.net.partition()
        await anyio.sleep(90)
        assert client.state is not ClientState.READY
        world.net.heal()
        await world.service.connected(2)
        await world.service.announce_call()
        await until(lambda: calls)


async def test_garbage_does_not_reach_the_calls(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        for garbage in GARBAGE:
            world.service.control.say_raw(garbage)
            await anyio.sleep(10)
        assert phone.call.state is CallState.ANSWERED
        assert phone.client.state is ClientState.READY
        assert phone.client.statistics().bad_frames >= 15
        assert await phone.call.close()


@pytest.mark.parametrize("code", [1008, 4401, 4403])
async def test_close_codes_that_refuse_credentials(world: World, code: int) -> None:
    async with world.client() as client, meanwhile() as group:
        running = Later(group, client.run_forever)
        await anyio.sleep(1)
        world.service.control.close(code, "no\nmore")
        error = await running.done()
        assert isinstance(error, WSSAuthenticationError)
        assert "\n" not in str(error)


async def test_messages_and_session_ends_are_told(world: World) -> None:
    async with world.client() as client:
        told: list[Any] = []
        for event in ("session.notified", "session.closed", "message.new"):
            client.register_event_handler(event, told.append)
        taking(client)
        phone = await ring(world, client)
        world.service.push_message(phone.there.offer.session_id, {"text": "hi"})
        await anyio.sleep(1)  # handlers are tasks: what happens at once is told in any order
        world.service.close_session(phone.there, "CALL_TERMINATED")
        await anyio.sleep(1)
        assert [type(one).__name__ for one in told] == ["SessionNotice", "MessageIn", "SessionClosed"]
