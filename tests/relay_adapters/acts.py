"""What RELAY scenarios do again and again."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from telcoflow_anyio.gateway.relay import MessageFate, RelayCallee
from telcoflow_anyio.relay import RelayClient
from tests.adapters.acts import Later, meanwhile, outcome

__all__ = (
    "DEVICES",
    "LONG",
    "SHORT",
    "Later",
    "back",
    "cancel_at",
    "meanwhile",
    "never",
    "nobody",
    "outcome",
    "patient",
    "until",
)

DEVICES = [[{"type": "phone", "params": {"to_number": "+15550002", "from_number": "+15550000"}}]]
LONG = [{"type": "silence", "params": {"duration": 1000}}]
SHORT = [{"type": "silence", "params": {"duration": 5}}]


def nobody(_device: object) -> RelayCallee:
    """Nobody picks up."""
    return RelayCallee(answers_after=None)


def never(_message: object) -> MessageFate:
    """A message nothing more is told of."""
    return MessageFate(states=((0.0, "queued"),))


def patient(client: RelayClient) -> RelayClient:
    """A client as ``run()`` makes it: a service that is not there yet is waited for."""
    vars(client)["_patient"] = True
    return client


async def until(condition: Callable[[], object], *, within: float = 60.0) -> None:
    """Wait until something is true; look every millisecond at first, less often when it takes long."""
    pause = 0.001
    with anyio.fail_after(within):
        while not condition():
            await anyio.sleep(pause)
            pause = min(pause * 1.02, 0.05)


async def back(client: RelayClient, connections: int) -> None:
    """Wait until the client has come back; ``connections`` counts all attempts at least."""
    statistics = client.statistics
    await until(lambda: statistics().connections >= connections and client.state.value == "ready", within=120)


async def cancel_at(count: int, action: Callable[[], Awaitable[Any]]) -> bool:
    """Cancel an action after the loop has gone round that often; False if it was over all the same."""
    over = False

    async def run() -> None:
        nonlocal over
        await outcome(action)
        over = True

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        for _ in range(count):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    return not over
