"""What scenarios do again and again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, final

import anyio
import attrs
from anyio.abc import TaskGroup

from telcoflow_anyio import ActiveCall, TelcoflowClient
from tests.world.service import ServiceCall
from tests.world.world import World


@final
@attrs.frozen
class Phone:
    """A call on both ends: ``call`` is the application's, ``there`` the service's."""

    client: TelcoflowClient
    call: ActiveCall
    there: ServiceCall


async def until(condition: Callable[[], object], *, within: float = 60.0) -> None:
    """Wait, a millisecond at a time, until something is true."""
    with anyio.fail_after(within):
        while not condition():
            await anyio.sleep(0.001)


def taking(client: TelcoflowClient) -> list[ActiveCall]:
    """Collect the calls that come in."""
    calls: list[ActiveCall] = []
    client.register_event_handler("call.new", calls.append)
    return calls


async def ring(world: World, client: TelcoflowClient, **arguments: Any) -> Phone:
    """Let a caller call; the call is PENDING."""
    there = await world.service.announce_call(**arguments)
    await until(lambda: client.get_call(there.offer.call_id))
    call = client.get_call(there.offer.call_id)
    assert call is not None
    return Phone(client, call, there)


async def talk(world: World, client: TelcoflowClient, **arguments: Any) -> Phone:
    """Let a caller call, and pick up."""
    phone = await ring(world, client, **arguments)
    await phone.call.answer()
    return phone


@asynccontextmanager
async def phone_in(world: World, state: str, **config: Any) -> AsyncIterator[Phone]:
    """A client with one call, in a state named as in ``CallState``."""
    async with world.client(**config) as client:
        taking(client)
        phone = await ring(world, client)
        if state in {"answered", "connected"}:
            await phone.call.answer()
        if state == "connected":
            await phone.call.connect()
        if state == "disconnected":
            await phone.call.answer()
            await phone.call.close()
        yield phone


async def outcome(action: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Return what comes back, or the exception."""
    try:
        return await action(*arguments)
    except Exception as error:  # noqa: BLE001 - it is what was asked for
        return error


@final
class Later:
    """What an action that runs meanwhile came to, and when."""

    def __init__(self, group: TaskGroup, action: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        self.result: Any = None
        self.took: float | None = None
        self._done = anyio.Event()

        async def run() -> None:
            begun = anyio.current_time()
            self.result = await outcome(action, *arguments)
            self.took = anyio.current_time() - begun
            self._done.set()

        group.start_soon(run)

    async def done(self) -> Any:
        await self._done.wait()
        return self.result


@asynccontextmanager
async def meanwhile() -> AsyncIterator[TaskGroup]:
    """Run things at the same time; what still runs at the end is stopped."""
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()
