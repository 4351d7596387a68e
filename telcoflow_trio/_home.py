"""The tasks of one client, run by trio: how they begin, what they survive, how they end."""

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

import trio

from telcoflow_proto import rare_frames, upgrade
from telcoflow_proto.driving import LEAVE_WITHIN, Clockwork, Door, Lane
from telcoflow_proto.exceptions import WSSError
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.surface import Bell, TimeLimit
from telcoflow_trio import exceptions
from telcoflow_trio._bell import TrioBell
from telcoflow_trio._dial import Dial, explain, open_transport
from telcoflow_trio._driver import Alarm, Carrier
from telcoflow_trio._poller import Poller

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
        self._time: Callable[[], float] | None = None
        self._poller = Poller(self.start_shielded)
        self._scopes: set[trio.CancelScope] = set()
        self._nursery: trio.Nursery | None = None
        self._tls: ssl.SSLContext | None = None
        self._leave = trio.Event()
        self._left = trio.Event()
        self._hosted = False
        self._detached = False

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        self._manager = trio.open_nursery()  # not before: a client may be made outside of trio
        self._nursery = await self._manager.__aenter__()
        self.start_shielded(self._alarm.run)
        try:
            await self._begin()
        except BaseException:
            await self._leave_nursery(self._nursery)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._nursery is not None:
            await self._leave_nursery(self._nursery)

    async def connect(self) -> None:
        """Connect without a context: the tasks live in one of the loop's own until ``disconnect``.

        Raises what entering the context raises, and its error of a lost connection if this client was connected before.
        """
        if self._hosted:
            raise self._used_up()
        ready = trio.Event()
        failure: list[BaseException] = []
        scope = trio.CancelScope()

        async def host() -> None:
            try:
                with scope:
                    async with self:
                        ready.set()
                        await self._leave.wait()
            except WSSError as error:
                failure.append(error)
            finally:
                ready.set()
                self._left.set()

        self._hosted = True
        trio.lowlevel.spawn_system_task(host, context=contextvars.copy_context())
        try:
            await ready.wait()
        except BaseException:
            scope.cancel()
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
        with trio.move_on_after(LEAVE_WITHIN, shield=True):
            await self._end()
        self._cut()

    async def _leave_nursery(self, nursery: trio.Nursery) -> None:
        await self._end_in_time()
        self._nursery = None
        for scope in list(self._scopes):
            scope.cancel()
        nursery.cancel_scope.cancel()
        # The body's exception is not shown to the nursery, which would wrap it into an exception group.
        await self._manager.__aexit__(None, None, None)

    # ------------------------------------------------------------------ for the calls of this client

    async def open_transport(self, url: WsUrl) -> trio.abc.Stream | Lane:
        """Open what carries bytes to a URL's host and port. Raises OSError."""
        sock = None
        if self._dial is not None:
            dialled = await self._dial(url)
            if not isinstance(dialled, socket.socket):
                return dialled
            sock = dialled
        if url.secure and self._tls is None:
            self._tls = self._tls_context()
        return await open_transport(url, self._tls if url.secure else None, self._poller, sock)

    def start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        """Start a task that ends with the client."""
        self._start(task)

    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(task)
        elif self._detached:
            trio.lowlevel.spawn_system_task(task, context=contextvars.copy_context())

    def start_shielded(self, task: Callable[[], Coroutine[object, object, None]]) -> bool:
        """Start a task that moves bytes: it outlives a cancellation from outside until the client is left.

        Returns False if there is nobody to run it: the client was not entered yet, or was left.
        """

        async def run() -> None:
            if self._nursery is None and not self._detached:
                return  # the client was left before this task had its first turn
            with trio.CancelScope(shield=True) as scope:
                self._scopes.add(scope)
                try:
                    await task()
                finally:
                    self._scopes.discard(scope)

        self.start(run)
        return self._nursery is not None or self._detached

    # ------------------------------------------------------------------ what the core wants

    def _clock(self) -> float:
        return (self._time or self._find_time())()

    def _find_time(self) -> Callable[[], float]:
        self._time = trio.lowlevel.current_clock().current_time  # what ``trio.current_time`` asks, three steps on
        return self._time

    def _new_bell(self) -> Bell:
        return TrioBell()

    def _woken(self) -> None:
        if self._carrier is None:
            self._alarm.wake()
        else:
            self._carrier.wake()

    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        return trio.move_on_after(math.inf if seconds is None else seconds)

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
                except Exception:
                    log.exception("the handler for %r failed", event)
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
