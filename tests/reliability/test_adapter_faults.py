"""Faults of the network, of time and of programs, on every adapter in virtual time."""

# mypy: disable-error-code="truthy-bool"

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from telcoflow_anyio import ActiveCall, TelcoflowClient
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.errors import CallOver
from telcoflow_proto.exceptions import WSSConnectionError, WSSError
from telcoflow_proto.media.table import CallState
from telcoflow_proto.roles import Role
from tests.adapters import test_control_faults as control_faults
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, ring, taking, talk, until
from tests.adapters.test_cancelling import MOST, cancel_at
from tests.core.support import close_frame, frame
from tests.reliability.conftest import Figure
from tests.world.service import ACCEPT, DROP, SILENCE, ServiceCall, accept_then_close, http, ignore, succeed
from tests.world.simloop import SimLoop
from tests.world.world import World

SECOND = 48000

# ---------------------------------------------------------------------- D26: a reset at every byte


async def script(world: World, client: TelcoflowClient) -> None:
    """A whole short call: claimed, answered, heard, spoken to, connected, closed."""
    phone = await ring(world, client)
    await phone.call.answer()
    with suppress(CallOver):  # the service has heard of the end already
        phone.there.say(b"\1\1" * 20)
        phone.there.want(200, frame=100)
    assert await anext(aiter(phone.call.audio_stream()), b"") in {b"\1\1" * 20, b""}
    await phone.call.send_audio(b"\2\2" * 100)
    await phone.call.connect()
    await phone.call.close()


async def bytes_of_script(world: World) -> tuple[int, int]:
    """Return how many bytes pass on control and on media, both ways together."""
    async with world.client() as client:
        taking(client)
        await script(world, client)
        await anyio.sleep(1)
        control, media = world.net.connections
        return control.passed, media.passed


QUARTERS = pytest.mark.parametrize("quarter", range(4))
"""A sweep in four parts: the bytes that leave this rest when divided by four."""


def cuts(world: World, quarter: int, most: int) -> range:
    """Every byte on anyio over asyncio; every seventh on the other two, which share the core and the driver's shape."""
    return range(quarter, most, 4 if world.case.id == "anyio-on-asyncio" else 28)


@QUARTERS
async def test_D26_a_media_reset_at_every_byte_ends_the_call_once_and_fails_what_waits(
    world: World, quarter: int, figure: Figure
) -> None:
    _, most = await bytes_of_script(world)
    async with world.client() as client:
        taking(client)
        for cut in cuts(world, quarter, most):
            number = len(world.net.connections)
            world.net.resets[number] = cut
            before = anyio.current_time()
            result = await outcome(script, world, client)
            took = anyio.current_time() - before
            assert result is None or isinstance(result, WSSError), (cut, result)
            assert took <= 0.1, cut
            figure("D26: until what waits on media is told, s", took)
            await anyio.sleep(2.1)
            assert world.net.connections[number].client.closed, cut
            assert client.calls == [], cut
        assert client.state is ClientState.READY
        assert len(world.service.attempts) == 2, "control was never touched"
        figure("D26: bytes of a media connection, each once the last", most)


@QUARTERS
async def test_D26_a_control_reset_at_every_byte_is_told_once_and_mended(
    world: World, quarter: int, figure: Figure
) -> None:
    most, _ = await bytes_of_script(world)
    for cut in cuts(world, quarter, most):
        number = len(world.net.connections)
        world.net.resets[number] = cut
        client = world.client()
        told: list[str] = []
        for event in ("connection.lost", "connection.restored"):
            client.register_event_handler(event, lambda _, event=event, told=told: told.append(event))
        taking(client)
        result = await outcome(client.connect)
        control = world.net.connections[number]
        if result is None:
            with anyio.move_on_after(0.1):  # what was announced on the lost connection never comes
                await outcome(script, world, client)
            if control.broken:  # otherwise the cut lies in the farewell
                await anyio.sleep(5.1)  # the first wait is at most five seconds
                assert client.state is ClientState.READY
                assert told == ["connection.lost", "connection.restored"], cut
        else:
            assert isinstance(result, WSSConnectionError), (cut, result)
            assert control.broken
        await client.disconnect()
        await anyio.sleep(0.001)  # over sockets, the network hears of the end a moment later
        assert world.net.client_streams == 0, cut
    figure("D26: bytes of a control connection, each once the last", most)


# ---------------------------------------------------------------------- D27 to D30: the network


@pytest.mark.parametrize("how", ["half-close", "close then silence", "close with data behind", "close then reset"])
async def test_D27_a_media_connection_that_ends_half_way_is_left_within_two_seconds(
    world: World, how: str, figure: Figure
) -> None:
    async with phone_in(world, "answered") as phone:
        assert phone.there.carrier is not None
        stream = phone.there.carrier.stream
        begun = anyio.current_time()
        match how:
            case "half-close":
                await stream.send_eof()
            case "close then silence":
                await stream.send(close_frame(Role.SERVER, 1001))
                stream.connection.partition()
            case "close with data behind":
                await stream.send(close_frame(Role.SERVER, 1001) + frame(Role.SERVER, 0x82, b"\0\1\1"))
            case _:
                await stream.send(close_frame(Role.SERVER, 1001))
                stream.connection.reset(after_bytes=5)
        if how != "close then silence":
            assert await phone.call.wait_ended() == "connection lost"
            assert [chunk async for chunk in phone.call.audio_stream()] == []
        else:
            await phone.call.force_disconnect()
        await phone.call.wait_closed()
        assert anyio.current_time() - begun <= 2.01
        figure("D27: until a half-ended connection is left, s", anyio.current_time() - begun)
        await until(lambda: world.net.client_streams == 1, within=2.1)


async def test_D28_a_round_trip_just_below_four_seconds_is_no_death(world: World) -> None:
    world.net.latency = 1.9
    async with phone_in(world, "answered") as phone:
        await anyio.sleep(600)
        assert phone.call.state is CallState.ANSWERED
        assert phone.client.state is ClientState.READY
        phone.there.want(960)
        await phone.call.send_audio(b"\1\1" * 480)
        assert await phone.there.has_heard(960) == b"\1\1" * 480
        assert len(world.service.attempts) == 1


@pytest.mark.parametrize(("healed_after", "fate"), [(3, "alive"), (9, "either"), (60, "lost")])
async def test_D29_a_silent_partition_is_survived_or_told_and_nothing_comes_twice(
    world: World, healed_after: float, fate: str, figure: Figure
) -> None:
    async with phone_in(world, "answered") as phone:
        assert phone.there.carrier is not None
        connection = phone.there.carrier.stream.connection
        told: list[float] = []
        phone.call.register_event_handler("call.terminated", lambda: told.append(anyio.current_time()))
        await anyio.sleep(31.4)
        begun = anyio.current_time()
        connection.partition()
        phone.there.say(b"\1\1")
        await anyio.sleep(healed_after)
        connection.heal()
        await anyio.sleep(30)
        heard = [chunk async for chunk in phone.call.audio_stream()] if told else [await _next(phone.call)]
        assert heard in ([], [b"\1\1"])
        assert len(told) <= 1
        assert (phone.call.state is CallState.DISCONNECTED) == bool(told), "never half alive"
        assert fate == "either" or bool(told) == (fate == "lost")
        if told:
            assert told[0] - begun <= 10
            figure("D29: until a silent partition is told, s", told[0] - begun)


async def _next(call: ActiveCall) -> bytes:
    return await anext(aiter(call.audio_stream()))


@pytest.mark.parametrize(
    ("upgrade", "code"),
    [
        (http(401), 401),
        (http(503, Retry_After="7"), 503),
        (accept_then_close(1012), 1012),
        (accept_then_close(1013), 1013),
        (accept_then_close(4401), 4401),
    ],
)
async def test_D30_a_first_attempt_is_made_once_and_its_end_told_with_its_code(
    world: World, upgrade: Any, code: int
) -> None:
    world.service.upgrade = [upgrade]
    error = await control_faults.enter(world)
    assert isinstance(error, WSSError)
    assert getattr(error, "code", None) == code
    await anyio.sleep(60)
    assert len(world.service.attempts) == 1


async def test_D30_attempts_are_spaced_as_the_service_asks(world: World) -> None:
    world.service.upgrade = [ACCEPT, http(503, Retry_After="7"), accept_then_close(1013), SILENCE, ACCEPT]
    async with world.client():
        world.service.control.close(1012)
        await world.service.connected(2)
        gaps = [after - before for before, after in pairwise(world.service.attempts)]
        assert gaps[0] >= 0.5
        assert gaps[1] >= 7
        assert gaps[3] >= 10, "an upgrade nobody answers is waited for"
        assert all(gap <= 42 for gap in gaps)


async def test_D30_a_name_that_does_not_resolve_is_told(world: World) -> None:
    async def dial(url: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    client = world.adapter.TelcoflowClient(world.config(), dial=dial)
    error = await outcome(client.connect)
    assert isinstance(error, WSSConnectionError)
    assert "Name or service not known" in str(error)


# ---------------------------------------------------------------------- D16, D32 to D34: answers and cancellation


async def test_D16_a_response_to_a_request_of_another_connection_is_ignored(world: World) -> None:
    world.service.will("session.open", ignore(), succeed())
    async with world.client() as client, meanwhile() as group:
        opening = Later(group, client.open_session, "s1")
        await anyio.sleep(1)
        request_id = world.service.control.heard[-1].json["reqId"]
        world.service.control.reset()
        assert isinstance(await opening.done(), WSSConnectionError)
        await world.service.connected(2)
        world.service.control.say_raw(
            f'{{"type":"response","reqId":"{request_id}","ok":true,"content":{{"session":{{"id":"s1","channel":"WA"}}}}}}'
        )
        await anyio.sleep(1)
        assert client.statistics().bad_frames == 0
        assert await client.open_session("s1")


async def test_D32_a_request_can_be_cancelled_at_every_checkpoint(world: World) -> None:
    async with world.client() as client:
        for count in range(MOST):
            name = f"s{count}"
            again = await cancel_at(count, lambda name=name: client.open_session(name))  # type: ignore[misc]
            await anyio.sleep(0.1)
            session = await client.open_session(name)
            assert session.session_id == name
            if not again:
                return
    pytest.fail("the request never came to its end")


async def test_D33_hearing_can_be_cancelled_ten_thousand_times_without_loss(world: World, figure: Figure) -> None:
    async with phone_in(world, "answered") as phone:
        stream = phone.call.audio_stream()
        said = heard = b""
        cancelled = 0
        for number in range(20_000):
            if number % 16 == 0:
                pcm = (number // 16).to_bytes(2, "big")
                phone.there.say(pcm)
                said += pcm
            with anyio.CancelScope() as scope:
                if number % 2:
                    scope.cancel()
                else:
                    scope.deadline = anyio.current_time()
                heard += await anext(stream)
            cancelled += scope.cancelled_caught
        phone.there.hang_up()
        heard += b"".join([chunk async for chunk in stream])
        assert cancelled >= 10_000
        assert heard == said
        figure("D33: receives cancelled without loss", cancelled)


async def test_D34_an_answer_cancelled_during_the_upgrade_can_be_tried_again(world: World) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client)
        world.net.latency = 1.0
        with anyio.move_on_after(3) as scope:  # dialled after 2 s, upgraded after 4
            await phone.call.answer()
        assert scope.cancelled_caught
        world.net.latency = 0.0
        assert await phone.call.answer()
        assert phone.there.said == ["call.answer"]


# ---------------------------------------------------------------------- D35 to D39: programs


async def test_D35_a_handler_that_blocks_the_loop_for_two_seconds_costs_no_call(world: World) -> None:
    async with world.client() as client:
        taking(client)
        other = await talk(world, client)

        @client.on("call.new")
        def block() -> None:
            jump(2.0)

        await world.service.announce_call()
        await anyio.sleep(30)
        other.there.say(b"\1\1")
        assert await _next(other.call) == b"\1\1"
        assert client.state is ClientState.READY
        assert len(world.service.attempts) == 1


async def test_D37_a_reader_that_starts_late_or_reads_slowly_gets_the_newest_and_the_rest_is_counted(
    world: World,
) -> None:
    async with phone_in(world, "answered") as phone:
        for second in range(10):
            phone.there.say(bytes([second, second]) * (SECOND // 2))
            await anyio.sleep(1)
        stream = phone.call.audio_stream()
        heard = [(await anext(stream))[0]]
        for second in range(10, 30):
            phone.there.say(bytes([second, second]) * (SECOND // 2))
            await anyio.sleep(1)
            if second % 2:
                heard.append((await anext(stream))[0])
        assert heard == sorted(set(heard)), "in order, none twice"
        dropped = phone.call.statistics().bytes_dropped_in // SECOND
        phone.there.hang_up()
        rest = [chunk[0] async for chunk in stream]
        assert rest == list(range(30 - len(rest), 30)), "the newest are kept"
        assert len(rest) <= 10
        assert len(heard) + dropped + len(rest) == 30, "every second was heard, or counted"


async def test_D37_two_readers_share_what_comes_and_both_end(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:

        async def listen() -> list[bytes]:
            return [chunk async for chunk in phone.call.audio_stream()]

        readers = [Later(group, listen), Later(group, listen)]
        await anyio.sleep(1)
        for number in range(10):
            phone.there.say(bytes([number, number]))
            await anyio.sleep(0.1)
        phone.there.hang_up()
        heard = [chunk for reader in readers for chunk in await reader.done()]
        assert sorted(heard) == [bytes([number, number]) for number in range(10)]
        assert await listen() == []


async def test_D38_forty_seconds_of_speech_at_once_are_paced_by_the_service_and_cancellable(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        with anyio.move_on_after(10) as scope:
            async with meanwhile() as group:
                playing = Later(group, phone.call.play_audio, bytes(40 * SECOND))
                while playing.took is None:
                    phone.there.want(SECOND // 5)
                    await anyio.sleep(0.2)
        assert scope.cancelled_caught
        assert len(phone.there.heard) <= 10 * SECOND + SECOND // 5
        assert phone.call.statistics().bytes_queued <= 1024 * 1024
        assert await phone.call.interrupt() > 0
        assert await phone.call.close()


LOCAL: dict[str, Callable[[ActiveCall], Awaitable[object]]] = {
    "close": lambda call: call.close(),
    "disconnect": lambda call: call.disconnect(),
    "force": lambda call: call.force_disconnect(),
}
REMOTE = ("hang up", "session closed", "reset", "close")


@pytest.mark.parametrize("during", ["answered", "answering", "clearing", "reconnecting"])
async def test_D39_both_sides_hang_up_in_one_tick_and_the_end_is_told_once(world: World, during: str) -> None:
    for local, leave in LOCAL.items():
        for remote in REMOTE:
            for first in ("local", "remote"):
                if during == "reconnecting" and remote == "session closed":
                    continue  # there is nobody to tell it
                async with (
                    phone_in(world, "pending" if during == "answering" else "answered") as phone,
                    meanwhile() as group,
                ):
                    told: list[object] = []
                    phone.call.register_event_handler("call.terminated", told.append)
                    if during == "answering":
                        phone.there.will("call.answer", ignore())
                        Later(group, phone.call.answer)
                        await anyio.sleep(1)
                    elif during == "clearing":
                        phone.there.will("agent.interrupt", ignore())
                        Later(group, phone.call.interrupt)
                        await anyio.sleep(1)
                    elif during == "reconnecting":
                        world.service.upgrade = [DROP]
                        world.service.control.reset()
                        await anyio.sleep(1)
                        world.service.upgrade = [ACCEPT]
                    ways: list[Callable[[], object]] = [
                        lambda leave=leave, phone=phone: Later(group, leave, phone.call),  # type: ignore[misc]
                        lambda remote=remote, phone=phone: end_there(world, phone.there, remote),  # type: ignore[misc]
                    ]
                    for act in ways if first == "local" else reversed(ways):
                        act()
                    await phone.call.wait_ended()
                    await phone.call.wait_closed()
                    await anyio.sleep(0.1)
                    assert len(told) == 1, (local, remote, first)
                    assert [await phone.call.close(), await phone.call.disconnect()]
                    assert phone.client.calls == []


def end_there(world: World, there: ServiceCall, how: str) -> None:
    match how:
        case "hang up":
            there.hang_up()
        case "session closed":
            world.service.close_session(there)
        case "reset":
            there.reset()
        case _:
            there.close(1000)


# ---------------------------------------------------------------------- D41 and D44: offline, and time


async def test_D41_what_is_asked_while_offline_is_refused_at_once_and_never_queued(world: World) -> None:
    async with world.client() as client:
        world.service.upgrade = [DROP]
        world.service.control.reset()
        await anyio.sleep(2)
        begun = anyio.current_time()
        assert isinstance(await outcome(client.open_session, "s1"), WSSConnectionError)
        assert isinstance(await outcome(client.dial, "+15551234"), WSSConnectionError)
        assert anyio.current_time() == pytest.approx(begun, abs=0.01)
        world.service.upgrade = [ACCEPT]
        await world.service.connected(2)
        await anyio.sleep(1)
        assert world.service.requests == [], "nothing of it is said later"


def jump(seconds: float) -> None:
    """Let time pass in which nobody ran: a machine that slept, or a program that blocked."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(seconds)
    else:
        assert isinstance(loop, SimLoop)
        loop.jump(seconds)


async def test_D44_after_a_long_sleep_the_service_is_asked_before_it_is_given_up(world: World, figure: Figure) -> None:
    async with phone_in(world, "answered") as phone:
        await anyio.sleep(7)
        jump(600)
        await anyio.sleep(60)
        assert phone.call.state is CallState.ANSWERED
        assert phone.client.state is ClientState.READY
        assert len(world.service.attempts) == 1
        phone.there.say(b"\1\1")
        assert await _next(phone.call) == b"\1\1"
        assert phone.there.carrier is not None
        phone.there.carrier.stream.connection.partition()
        jump(600)
        begun = anyio.current_time()
        assert await phone.call.wait_ended() == "connection lost"
        assert anyio.current_time() - begun <= 10
        figure("D44: after a sleep, until a dead service is told, s", anyio.current_time() - begun)


async def test_D44_the_clock_of_the_wall_is_nobodys_business(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: -86_400.0)
    async with phone_in(world, "answered") as phone:
        monkeypatch.setattr("time.time", lambda: 86_400.0 * 365)
        await anyio.sleep(60)
        assert phone.call.state is CallState.ANSWERED
        assert len(world.service.attempts) == 1
