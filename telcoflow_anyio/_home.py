"""The tasks of one client, run by anyio: how they begin, what they survive, how they end."""

import contextvars
import inspect
import logging
import math
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol, Self

import anyio
from anyio.abc import ByteStream, TaskGroup

from telcoflow_anyio import exceptions
from telcoflow_anyio._dial import Dial, explain, open_transport
from telcoflow_anyio._driver import Alarm, Carrier
from telcoflow_anyio._lanes import Lanes
from telcoflow_anyio._loop import Loop, spawn_root
from telcoflow_proto import rare_frames, upgrade
from telcoflow_proto.driving import LEAVE_WITHIN, Clockwork, Door, Lane
from telcoflow_proto.exceptions import WSSError
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.surface import Bell, TimeLimit

_LOADED = (exceptions, rare_frames, upgrade)
"""What is otherwise imported when it is first needed: where a connection is made there may be no file left to open."""

_inside: contextvars.ContextVar["Home | None"] = contextvars.ContextVar("_inside", default=None)


class Wanted(Protocol):
    """What a machine says when it wants a byte stream: where to, and what to carry over it."""

    @property
    def url(self) -> WsUrl: ...
    @property
    def attempt(self) -> Door: ...


class Tenant(ABC):
    """What a home asks of the core's client that lives in it."""

    @abstractmethod
    async def _begin(self) -> None:
        """Connect, and wait until the set-up is done. Raises WSSError."""

    @abstractmethod
    async def _end(self) -> None:
        """Close everything, and wait until that is done. Harmless when repeated."""

    @abstractmethod
    def _cut(self) -> None:
        """End what did not end in time."""

    @abstractmethod
    def _settle(self) -> None:
        """Report what the machine has to report, and have a look at it."""

    @abstractmethod
    def _report(self) -> None:
        """Report what the machine has to report."""


class Home(Tenant):
    """Where the tasks of one client live, from entering it to leaving it.

    Write ``class Client(Home, BaseOfTheCore, Tenant)``: what the home has comes before the core's questions,
    and what the core has before the home's.
    """

    def __init__(self, clockwork: Clockwork, *, dial: Dial | None, log: logging.Logger) -> None:
        self._dial = dial
        self._log = log
        self._alarm = Alarm(clockwork, self._settle)
        self._carrier: Carrier | None = None
        self._loop: Loop | None = None
        self._lanes: Lanes | None = None
        self._scopes: set[anyio.CancelScope] = set()
        self._group: TaskGroup | None = None
        self._tls: ssl.SSLContext | None = None
        self._leave = anyio.Event()
        self._left = anyio.Event()
        self._hosted = False
        self._detached = False

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        self.start_shielded(self._alarm.run)
        try:
            await self._begin()
        except BaseException:
            await self._leave_group(self._group)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._group is not None:
            await self._leave_group(self._group)

    async def connect(self) -> None:
        """Connect without a context: the tasks live in one of the loop's own until ``disconnect``.

        Raises what entering the context raises, and its error of a lost connection if this client was connected before.
        """
        if self._hosted:
            raise self._used_up()
        ready = anyio.Event()
        failure: list[BaseException] = []

        async def host() -> None:
            try:
                async with self:
                    ready.set()
                    await self._leave.wait()
            except WSSError as error:
                failure.append(error)
            finally:
                ready.set()
                self._left.set()

        self._hosted = True
        cancel = spawn_root(host)
        try:
            await ready.wait()
        except BaseException:
            cancel()
            raise
        if failure:
            raise failure[0]

    async def disconnect(self) -> None:
        """Leave the service in order. Repeated calls are harmless; ``run_forever`` returns."""
        await self._end_in_time()
        if self._hosted:
            self._leave.set()
            if _inside.get() is not self:
                await self._left.wait()

    async def _end_in_time(self) -> None:
        with anyio.move_on_after(LEAVE_WITHIN, shield=True):
            await self._end()
        self._cut()

    async def _leave_group(self, group: TaskGroup) -> None:
        await self._end_in_time()
        self._group = None
        for scope in list(self._scopes):
            scope.cancel()
        group.cancel_scope.cancel()
        # The body's exception is not shown to the group, which would wrap it into an exception group.
        await group.__aexit__(None, None, None)

    # ------------------------------------------------------------------ for the calls of this client

    async def open_transport(self, url: WsUrl) -> ByteStream | Lane:
        """Open what carries bytes to a URL's host and port. Raises OSError."""
        sock = None
        if self._dial is not None:
            dialled = await self._dial(url)
            if not isinstance(dialled, socket.socket):
                return dialled
            sock = dialled
        if url.secure and self._tls is None:
            self._tls = self._tls_context()
        tls = self._tls if url.secure else None
        if self._lanes is None and (self._loop or self._find_loop()).is_asyncio:
            self._lanes = Lanes()
        return await open_transport(url, tls, self._lanes, sock)

    def start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        """Start a task that ends with the client."""
        self._start(task)

    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        if self._group is not None:
            (self._loop or self._find_loop()).start(self._group, task)
        elif self._detached:
            spawn_root(task)

    def start_shielded(self, task: Callable[[], Coroutine[object, object, None]]) -> bool:
        """Start a task that moves bytes: it outlives a cancellation from outside until the client is left.

        Returns False if there is nobody to run it: the client was not entered yet, or was left.
        """

        async def run() -> None:
            if self._group is None and not self._detached:
                return  # the client was left before this task had its first turn
            with anyio.CancelScope(shield=True) as scope:
                self._scopes.add(scope)
                try:
                    await task()
                finally:
                    self._scopes.discard(scope)

        self.start(run)
        return self._group is not None or self._detached

    # ------------------------------------------------------------------ what the core wants

    def _find_loop(self) -> Loop:
        self._loop = Loop()
        return self._loop

    def _clock(self) -> float:
        return (self._loop or self._find_loop()).clock()

    def _new_bell(self) -> Bell:
        return (self._loop or self._find_loop()).new_bell()

    def _woken(self) -> None:
        if self._carrier is None:
            self._alarm.wake()
        else:
            self._carrier.wake()

    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        return anyio.move_on_after(math.inf if seconds is None else seconds)

    def _open_transport(self, wanted: Wanted) -> None:
        carrier = self._carrier = Carrier(wanted.attempt, self._report, self._alarm.wake)

        async def carry() -> None:
            self._tls = None  # a certificate may have been rotated since
            try:
                stream = await self.open_transport(wanted.url)
            except OSError as error:
                wanted.attempt.fail_transport(explain(error, wanted.url), now=self._clock())
                self._settle()
            else:
                await carrier.run(stream)

        self.start_shielded(carry)

    # ------------------------------------------------------------------ handlers

    def _spawn_handler(
        self,
        invoke: Callable[[], object],
        event: str,
        *,
        during: AbstractContextManager[object] | None = None,
        failed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Run a user's handler in a task of its own, inside ``during``; after a fault, log it and await ``failed``."""
        log = self._log

        async def handle() -> None:
            _inside.set(self)
            with during or nullcontext():
                try:
                    result = invoke()
                    if inspect.isawaitable(result):
                        await result
                except anyio.get_cancelled_exc_class():
                    if anyio.current_effective_deadline() == -math.inf:
                        raise
                    log.exception("the handler for %r let a foreign cancellation escape", event)
                except Exception:
                    log.exception("the handler for %r failed", event)
                else:
                    return
                if failed is not None:
                    await failed()

        self.start(handle)

    # ------------------------------------------------------------------ what a client supplies

    @abstractmethod
    def _tls_context(self) -> ssl.SSLContext:
        """Make the TLS policy, anew for each control connection. Raises OSError."""

    @abstractmethod
    def _used_up(self) -> WSSError:
        """Return the error for connecting a client again."""
