"""Which event loop a client lives in, and what is asked of it too often, or too deep in a callback, to ask anyio."""

import asyncio
import contextvars
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Self, final

import anyio
from anyio.abc import TaskGroup

from telcoflow_proto.surface import Bell


def _find_library() -> "contextvars.ContextVar[str | None] | None":
    try:
        import sniffio  # noqa: PLC0415 - where it is installed, anyio relies on it
    except ImportError:
        return None
    return sniffio.current_async_library_cvar


_library = _find_library()
_tasks: set["asyncio.Task[None]"] = set()


@final
class AsyncioBell(asyncio.Future[None]):
    """A one-shot event for one who waits: the least that asyncio has."""

    __slots__ = ()

    def set(self) -> None:
        """Wake who waits."""
        if not self.done():  # else who waited was cancelled
            self.set_result(None)

    def wait(self) -> Self:
        """Return what is to be awaited."""
        return self


@final
class Loop:
    """The loop that runs here and now, in a task or in a callback. Raises RuntimeError where none does."""

    clock: Callable[[], float]
    new_bell: Callable[[], Bell]

    def __init__(self) -> None:
        self.is_asyncio = not _inside_trio()
        if self.is_asyncio:
            loop = asyncio.get_running_loop()
            self.clock, self.new_bell = clock_of(loop), partial(AsyncioBell, loop=loop)
        else:
            import trio  # noqa: PLC0415 - only where trio is running

            self.clock, self.new_bell = trio.lowlevel.current_clock().current_time, trio.Event

    def start(self, group: TaskGroup, task: Callable[[], Coroutine[object, object, None]]) -> None:
        """Start a task, also from a callback of asyncio's, where anyio cannot see by itself which loop runs."""
        if self.is_asyncio and _library is not None and asyncio.current_task() is None:
            _library.set("asyncio")  # in the callback's own copy of the context
        group.start_soon(task)


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return what tells a loop's time: what the loop itself asks, where it has no clock of its own."""
    plain = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
    return time.monotonic if plain else loop.time


def _inside_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


def spawn_root(function: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Start a task that belongs to the loop itself, outside every task group; return what cancels it.

    ``function`` must not raise: nobody but the loop would see it.
    """
    scopes: list[anyio.CancelScope] = []
    cancelled = False

    async def run() -> None:
        with anyio.CancelScope() as scope:
            if cancelled:
                scope.cancel()
            scopes.append(scope)
            await function()

    def cancel() -> None:
        nonlocal cancelled
        cancelled = True
        for scope in scopes:
            scope.cancel()

    if _inside_trio():
        import trio  # noqa: PLC0415 - only where trio is running

        trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
    else:
        task = asyncio.get_running_loop().create_task(run())
        _tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(_tasks.discard)
    return cancel
