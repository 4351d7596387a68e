"""Cancelled at any await: the service sees whole frames, and the client is usable or cleanly dead."""

# mypy: disable-error-code="truthy-bool"

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from tests.adapters.acts import Phone, outcome, phone_in, taking, talk
from tests.core.support import frames_in
from tests.world.world import World

MOST = 60


async def cancel_at(count: int, action: Callable[[], Awaitable[Any]]) -> bool:
    """Cancel an action after the loop has gone round that often; False if it was over before."""
    over = False

    async def run() -> None:
        nonlocal over
        await outcome(action)
        over = True

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        for _ in range(count):
            await anyio.lowlevel.checkpoint()
        finished = over
        group.cancel_scope.cancel()
    return not finished


def whole_frames(raw: bytes) -> list[tuple[int, bytes]]:
    """Read the frames behind the upgrade; fails if one is cut."""
    return list(frames_in(raw))


ACTIONS: dict[str, tuple[str, Callable[[Phone], Awaitable[Any]]]] = {
    "answer": ("pending", lambda phone: phone.call.answer()),
    "connect": ("answered", lambda phone: phone.call.connect()),
    "send_audio": ("answered", lambda phone: phone.call.send_audio(bytes(9600))),
    "drain": ("answered", lambda phone: phone.call.drain()),
    "interrupt": ("answered", lambda phone: phone.call.interrupt()),
    "close": ("answered", lambda phone: phone.call.close()),
    "disconnect": ("connected", lambda phone: phone.call.disconnect()),
    "wait_for_room": ("answered", lambda phone: phone.call.wait_for_room(10)),
    "audio_stream": ("answered", lambda phone: anext(aiter(phone.call.audio_stream()))),
}


@pytest.mark.parametrize("name", ACTIONS)
async def test_a_call_survives_a_cancellation_at_every_checkpoint(world: World, name: str) -> None:
    state, act = ACTIONS[name]
    for count in range(MOST):
        async with phone_in(world, state) as phone:
            if phone.there.carrier is not None:
                phone.there.carrier.keep_raw = True
                phone.there.want(96000)
                await phone.call.send_audio(bytes(4800))
            again = await cancel_at(count, lambda phone=phone: act(phone))  # type: ignore[misc]
            await anyio.sleep(0.5)
            assert phone.there.faults == []
            if phone.there.carrier is not None and phone.there.carrier.keep_raw:
                whole_frames(phone.there.carrier.raw)
            assert await phone.call.close()
        if not again:
            return


async def test_entering_can_be_cancelled_at_every_checkpoint(world: World) -> None:
    for count in range(MOST):

        async def enter() -> None:
            async with world.client():
                pass

        again = await cancel_at(count, enter)
        await anyio.sleep(0.01)
        assert world.net.client_streams == 0
        if not again:
            return


async def test_leaving_can_be_cancelled_at_every_checkpoint(world: World) -> None:
    for count in range(MOST):
        entered = anyio.Event()
        leave = anyio.Event()

        async def live(entered: anyio.Event = entered, leave: anyio.Event = leave) -> None:
            async with world.client() as client:
                taking(client)
                await talk(world, client)
                entered.set()
                await leave.wait()

        async with anyio.create_task_group() as group:
            group.start_soon(live)
            await entered.wait()
            leave.set()
            for _ in range(count):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await anyio.sleep(0.01)
        assert world.net.client_streams == 0


async def test_connect_and_disconnect_can_be_cancelled_at_every_checkpoint(world: World) -> None:
    for count in range(MOST):
        client = world.client()
        again = await cancel_at(count, client.connect)
        await cancel_at(count, client.disconnect)
        await client.disconnect()
        await anyio.sleep(0.01)
        assert world.net.client_streams == 0
        if not again:
            return
