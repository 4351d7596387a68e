"""Outgoing calls: answered, refused, never delivered, given up, and nobody left on the line."""

# mypy: disable-error-code="truthy-bool"

import importlib
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from telcoflow_anyio import ActiveCall
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.control.messages import CreateSession
from telcoflow_proto.exceptions import (
    SessionAlreadyExists,
    SessionBusy,
    SessionError,
    WSSCallClosedError,
    WSSCallCommandError,
    WSSCallRefusedError,
    WSSCallUnansweredError,
    WSSConnectionError,
    WSSError,
    WSSMediaError,
)
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, until
from tests.adapters.test_sessions import leftovers
from tests.world.service import (
    PORT,
    Reply,
    ServiceCall,
    be_late,
    drop_media,
    existing,
    http,
    ignore,
    refuse,
    succeed,
    taken,
)
from tests.world.world import World

CALLEE = "+15559999"


@pytest.fixture(autouse=True)
def rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module(f"{world.case.module}._http"), "send", world.service.rest)


def callee_will(world: World, *replies: Reply) -> None:
    world.service.on_dial = lambda call: call.will("call.connect", *replies)


async def test_a_dialled_call_is_connected_once_they_have_picked_up(world: World) -> None:
    callee_will(world, succeed(after=5))
    async with world.client() as client:
        incoming: list[ActiveCall] = []
        client.register_event_handler("call.new", incoming.append)
        begun = anyio.current_time()
        call = await client.dial(CALLEE)
        assert anyio.current_time() - begun == pytest.approx(5, abs=0.01)
        assert (call.state, call.direction, call.callee_number) == (CallState.CONNECTED, "MO", CALLEE)
        assert call.audio_mode == "barge"
        assert client.calls == [call]
        (there,) = world.service.dialled
        assert there.commands[0].command.ring_time_seconds == 60
        there.want(960)
        await call.send_audio(bytes(960))
        assert await there.has_heard(960) == bytes(960)
        there.say(b"\1\1")
        assert await anext(aiter(call.audio_stream())) == b"\1\1"
        await call.disconnect()
        world.service.close_session(there, "SDK_REQUEST")
        await anyio.sleep(1)
        assert incoming == []
        assert there.said == ["call.connect", "call.disconnect"]
        assert set(leftovers(client).values()) == {0}


@pytest.mark.parametrize(
    ("reply", "seconds", "kind", "code"),
    [
        (refuse("CALLEE_BUSY", "busy", after=1), 1, WSSCallRefusedError, "CALLEE_BUSY"),
        (refuse("CALL_REJECTED", after=1), 1, WSSCallRefusedError, "CALL_REJECTED"),
        (refuse("CALL_UNANSWERED", after=20), 20, WSSCallUnansweredError, "CALL_UNANSWERED"),
        (refuse("NO_ROUTE"), 0, WSSCallCommandError, "NO_ROUTE"),
        (be_late(), 21, WSSCallUnansweredError, "TIMEOUT"),
        (ignore(), 25, WSSCallUnansweredError, "TIMEOUT"),
    ],
)
async def test_a_call_nobody_takes_says_why_and_is_hung_up(
    world: World, reply: Reply, seconds: float, kind: type[WSSCallCommandError], code: str
) -> None:
    callee_will(world, reply)
    async with world.client() as client:
        begun = anyio.current_time()
        error = await outcome(lambda: client.dial(CALLEE, ring_time_seconds=20))
        assert type(error) is kind
        assert error.error_code == code
        assert anyio.current_time() - begun == pytest.approx(seconds, abs=0.01)
        (there,) = world.service.dialled
        await there.ended()
        assert there.said == ["call.connect", "call.disconnect"]
        await anyio.sleep(1)
        assert client.calls == []


@pytest.mark.parametrize("seconds", [0, 121, True, "60"])
async def test_a_ring_time_nobody_waits_is_refused_before_anything_is_said(world: World, seconds: Any) -> None:
    async with world.client() as client:
        assert isinstance(await outcome(lambda: client.dial(CALLEE, ring_time_seconds=seconds)), ValueError)
        assert world.service.requests == []


async def test_a_number_that_is_no_text_harms_only_who_dialled_it(world: World) -> None:
    async with world.client() as client:
        with anyio.fail_after(60):
            assert isinstance(await outcome(client.dial, object()), Exception)
        assert client.state is ClientState.READY
        assert (await client.dial(CALLEE)).state is CallState.CONNECTED


@pytest.mark.parametrize(
    ("name", "reply", "kind"),
    [
        ("session.create", refuse("CHANNEL_NOT_CONFIGURED"), SessionError),
        ("session.create", refuse("QUOTA_EXCEEDED"), SessionError),
        ("session.create", existing("session-0"), SessionAlreadyExists),
        ("session.create", ignore(), WSSConnectionError),
        ("session.open", taken("sm-9"), SessionBusy),
    ],
)
async def test_a_session_that_cannot_be_made_is_told(
    world: World, name: str, reply: Reply, kind: type[Exception]
) -> None:
    world.service.will(name, reply)
    async with world.client() as client:
        assert type(await outcome(client.dial, CALLEE)) is kind
        assert client.calls == []


async def test_a_call_that_is_never_delivered_is_given_up_and_its_session_closed(world: World) -> None:
    world.service.offers_calls = False
    async with world.client() as client:
        begun = anyio.current_time()
        error = await outcome(client.dial, CALLEE)
        assert isinstance(error, WSSConnectionError)
        assert anyio.current_time() - begun == pytest.approx(10, abs=0.01)
        await anyio.sleep(1)
        assert world.service.sessions == {}
        assert set(leftovers(client).values()) == {0}


async def test_a_session_that_closes_before_the_call_came_ends_the_wait_at_once(world: World) -> None:
    world.service.offers_calls = False
    async with world.client() as client, meanwhile() as group:
        dialling = Later(group, client.dial, CALLEE)
        await until(lambda: world.service.readied)
        world.service.close_session(world.service.dialled[0])
        assert isinstance(await dialling.done(), WSSError)
        assert dialling.took is not None
        assert dialling.took < 1


async def test_media_that_cannot_be_opened_is_told(world: World) -> None:
    def no_media(call: ServiceCall) -> None:
        call.upgrade = http(503)

    world.service.on_dial = no_media
    async with world.client() as client:
        assert isinstance(await outcome(client.dial, CALLEE), WSSMediaError)
        await anyio.sleep(5)
        assert client.calls == []


async def test_media_that_breaks_while_it_rings_is_told(world: World) -> None:
    callee_will(world, drop_media(after=3))
    async with world.client() as client:
        assert isinstance(await outcome(client.dial, CALLEE), WSSMediaError)


async def test_they_hang_up_while_it_rings(world: World) -> None:
    callee_will(world, ignore())
    async with world.client() as client, meanwhile() as group:
        dialling = Later(group, client.dial, CALLEE)
        await until(lambda: world.service.dialled and world.service.dialled[0].said)
        world.service.dialled[0].hang_up()
        assert isinstance(await dialling.done(), WSSCallClosedError)


async def test_a_control_connection_lost_while_it_rings_does_not_end_the_call(world: World) -> None:
    callee_will(world, succeed(after=10))
    async with world.client() as client, meanwhile() as group:
        dialling = Later(group, client.dial, CALLEE)
        await until(lambda: world.service.dialled and world.service.dialled[0].said)
        world.service.control.reset()
        call = await dialling.done()
        assert call.state is CallState.CONNECTED


async def test_many_may_dial_at_the_same_time(world: World) -> None:
    callee_will(world, succeed(after=5))
    async with world.client() as client, meanwhile() as group:
        dialling = [Later(group, client.dial, f"+1555{number}") for number in range(20)]
        calls = [await one.done() for one in dialling]
        assert [call.callee_number for call in calls] == [f"+1555{number}" for number in range(20)]
        assert len(client.calls) == 20


# ---------------------------------------------------------------------- given up

MOMENTS: dict[str, tuple[float, Callable[[World], None]]] = {
    "creating": (1.0, lambda world: world.service.will("session.create", succeed(after=2))),
    "claiming": (1.0, lambda world: world.service.will("session.open", succeed(after=2))),
    "waiting for the call": (1.0, lambda world: setattr(world.service, "offer_after", 2.0)),
    "ringing": (1.0, lambda world: callee_will(world, succeed(after=2))),
    "opening media": (1.0, lambda world: world.net.hang(PORT)),
}


@pytest.mark.parametrize("moment", [name for name in MOMENTS if name != "opening media"])
async def test_a_dial_that_is_cancelled_hangs_up(world: World, moment: str) -> None:
    seconds, prepare = MOMENTS[moment]
    prepare(world)
    async with world.client() as client:
        with anyio.move_on_after(seconds) as scope:
            await client.dial(CALLEE)
        assert scope.cancelled_caught
        await anyio.sleep(5)
        (there,) = world.service.dialled
        assert there.said[-1] == "call.disconnect"
        assert there.over
        assert client.calls == []
        world.service.close_session(there, "SDK_REQUEST")
        await anyio.sleep(1)
        assert set(leftovers(client).values()) == {0}


async def test_a_dial_cancelled_around_the_moment_of_the_answer_leaves_nobody_on_the_line(world: World) -> None:
    """Whatever the caller of ``dial`` got, a call or a cancellation, the call is theirs or is over."""
    world.net.latency = 0.001
    async with world.client() as client:
        for step in range(-10, 11):
            callee_will(world, succeed(after=1))
            call = None
            begun = anyio.current_time()
            with anyio.CancelScope(deadline=begun + 1.012 + step * 0.0005):
                call = await client.dial(f"{CALLEE}{step}")
            await anyio.sleep(3)
            there = world.service.dialled[-1]
            if call is None:
                assert there.said == ["call.connect", "call.disconnect"]
            else:
                assert there.said == ["call.connect"]
                assert call.state is CallState.CONNECTED
                await call.disconnect()
            await there.ended()
        assert client.calls == []
        answers = [there.said[1:] for there in world.service.dialled]
        assert len(answers) == 21


@pytest.mark.parametrize("count", range(1, 40, 3))
async def test_a_dial_cancelled_at_any_checkpoint_leaves_nobody_on_the_line(world: World, count: int) -> None:
    async with world.client() as client:
        calls: list[ActiveCall] = []

        async def dial() -> None:
            calls.append(await client.dial(CALLEE))

        async with anyio.create_task_group() as group:
            group.start_soon(dial)
            for _ in range(count):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await anyio.sleep(20)
        if not calls:
            assert client.calls == []
            assert all(there.over or not there.media_attempts for there in world.service.dialled)


async def test_a_dial_that_is_refused_after_it_was_cancelled_is_quiet(world: World) -> None:
    world.service.will("session.create", refuse("QUOTA_EXCEEDED", after=2))
    async with world.client() as client:
        with anyio.move_on_after(1):
            await client.dial(CALLEE)
        await anyio.sleep(5)
        assert client.state is ClientState.READY


async def test_a_hang_up_that_is_refused_is_forced(world: World) -> None:
    def prepare(call: ServiceCall) -> None:
        call.will("call.connect", refuse("CALLEE_BUSY"))
        call.will("call.disconnect", refuse("NO"))

    world.service.on_dial = prepare
    async with world.client() as client:
        assert isinstance(await outcome(client.dial, CALLEE), WSSCallRefusedError)
        await anyio.sleep(5)
        assert client.calls == []
        assert world.service.dialled[0].over


@pytest.mark.parametrize("moment", MOMENTS)
async def test_leaving_the_client_ends_a_dial_at_once(world: World, moment: str) -> None:
    seconds, prepare = MOMENTS[moment]
    async with meanwhile() as group:
        async with world.client() as client:
            prepare(world)
            dialling = Later(group, client.dial, CALLEE)
            await anyio.sleep(seconds)
            begun = anyio.current_time()
        assert anyio.current_time() - begun <= 2.0
        with anyio.fail_after(1):
            assert isinstance(await dialling.done(), WSSError)
        world.net.unhang(PORT)
        await anyio.sleep(5)


async def test_dialling_without_a_connection_is_refused_at_once(world: World) -> None:
    client = world.client()
    with anyio.fail_after(1):
        error = await outcome(client.dial, CALLEE)
    assert isinstance(error, WSSConnectionError)
    assert "idle" in str(error)
    assert world.service.asked(CreateSession) == []
