"""A task that belongs to the event loop itself, for ``connect()`` without a context."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import anyio

_tasks: set["asyncio.Task[None]"] = set()


def spawn_root(function: Callable[[], Awaitable[None]]) -> anyio.CancelScope:
    """Start a task outside every task group of the caller; return the scope that ends it.

    ``function`` must not raise: nobody but the loop would see it.
    """
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await function()

    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        task = asyncio.get_running_loop().create_task(run())
        _tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(_tasks.discard)
    else:
        import trio  # noqa: PLC0415 - only where trio is running

        trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
    return scope
