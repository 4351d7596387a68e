"""The client, driven by trio."""

import contextvars
import inspect
import math
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self, assert_never, final

import trio

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.base_client import BaseClient
from telcoflow_proto.client_events import (
    CallIdentity,
    CallUnreachable,
    ClaimLost,
    ClientLost,
    ClientReady,
    TransportWanted,
)
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.exceptions import WSSConnectionError, WSSError
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.rest import RestRequest
from telcoflow_proto.surface import Bell, TimeLimit
from telcoflow_trio import _http, _log
from telcoflow_trio._dial import Dial, dial, explain, tls_context
from telcoflow_trio._driver import Alarm, Carrier
from telcoflow_trio.call import ActiveCall

if TYPE_CHECKING:
    import ssl

_LEAVE_WITHIN = 2.0
_inside: contextvars.ContextVar["TelcoflowClient | None"] = contextvars.ContextVar("_inside", default=None)


class TelcoflowClientConfig(ClientConfig):
    """A checked configuration: make one with ``sandbox`` or ``production``."""

    @staticmethod
    def _environment() -> Mapping[str, str]:
        return os.environ

    @staticmethod
    def _readable(path: str) -> bool:
        return os.path.isfile(path) and os.access(path, os.R_OK)  # noqa: PTH113 - a check, before any loop runs


@final
class TelcoflowClient(BaseClient[ActiveCall]):
    """Takes calls from the service, on trio.

    Use it as ``async with TelcoflowClient(config) as client``, which connects, and owns every task until it is
    left; or call ``connect`` and ``disconnect``. Register handlers, then ``await client.run_forever()``.
    Entering raises WSSAuthenticationError or WSSConnectionError when the service refuses or is not there.

    ``dial`` replaces how byte streams are opened: it gets a ``WsUrl``, returns a ``trio.abc.Stream`` and
    raises OSError when it cannot. ``backoff`` replaces the waits between attempts to reconnect.
    """

    def __init__(self, config: ClientConfig, *, dial: Dial | None = None, backoff: Backoff | None = None) -> None:
        super().__init__(config, entropy=os.urandom, backoff=backoff)
        self._dial = dial
        self._alarm = Alarm(self._machine, self._settle)
        self._carrier: Carrier | None = None
        self._scopes: set[trio.CancelScope] = set()
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery | None = None
        self._tls: ssl.SSLContext | None = None
        self._leave = trio.Event()
        self._left = trio.Event()
        self._hosted = False
        self._detached = False

    @classmethod
    def detached(cls, config: ClientConfig) -> Self:
        """Return a client that never connects: a home for calls that were handed over."""
        client = cls(config)
        client._detached = True
        return client

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
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

        Raises what entering the context raises, and WSSConnectionError if this client was connected before.
        """
        if self._hosted:
            raise WSSConnectionError(f"this client is {self.state.value}; make a new one to connect again")
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
        """Close every call and the control connection. Repeated calls are harmless; ``run_forever`` returns."""
        with trio.move_on_after(_LEAVE_WITHIN, shield=True):
            await self._end()
        if self._hosted:
            self._leave.set()
            if _inside.get() is not self:
                await self._left.wait()

    async def _leave_nursery(self, nursery: trio.Nursery) -> None:
        with trio.move_on_after(_LEAVE_WITHIN, shield=True):
            await self._end()
        self._cut()
        self._nursery = None
        for scope in list(self._scopes):
            scope.cancel()
        nursery.cancel_scope.cancel()
        # The body's exception is not shown to the nursery, which would wrap it into an exception group.
        await self._manager.__aexit__(None, None, None)

    # ------------------------------------------------------------------ for the calls of this client

    async def open_stream(self, url: WsUrl) -> trio.abc.Stream:
        """Open a byte stream to a URL's host and port. Raises OSError."""
        if self._dial is not None:
            return await self._dial(url)
        if self._tls is None:
            self._tls = tls_context(self._config)
        return await dial(url, self._tls)

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

    def call_ended(self, call: ActiveCall) -> None:
        """Forget a call that is over."""
        self._forget(call)
        self.start(call.watch_handlers)

    def run_call_handler(self, invoke: Callable[[], object], event: str, call: ActiveCall) -> None:
        """Run a handler of a call in a task of its own."""
        self._run_handler(invoke, event, call)

    # ------------------------------------------------------------------ what the core wants

    def _clock(self) -> float:
        return trio.current_time()

    def _new_bell(self) -> Bell:
        return trio.Event()

    def _new_call(self, identity: CallIdentity, media: MediaClientConnection) -> ActiveCall:
        return ActiveCall(identity, media, self)

    def _woken(self) -> None:
        self._alarm.wake()
        if self._carrier is not None:
            self._carrier.wake()

    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        return trio.move_on_after(math.inf if seconds is None else seconds)

    async def _http(self, request: RestRequest) -> tuple[int, bytes]:
        try:
            return await _http.send(request, self._config, self._tls or tls_context(self._config))
        except OSError as error:
            raise WSSConnectionError(str(error)) from None

    def _open_transport(self, wanted: TransportWanted) -> None:
        carrier = self._carrier = Carrier(wanted.attempt, self._settle)

        async def carry() -> None:
            self._tls = None  # a certificate may have been rotated since
            try:
                stream = await self.open_stream(wanted.url)
            except OSError as error:
                wanted.attempt.fail_transport(explain(error, wanted.url), now=self._clock())
                self._settle()
            else:
                await carrier.run(stream)

        self.start_shielded(carry)

    def _run_handler(self, call: Callable[[], object], event: str, about: ActiveCall | None) -> None:
        async def handle() -> None:
            _inside.set(self)
            if about is not None:
                about.handlers_running += 1
            try:
                result = call()
                if inspect.isawaitable(result):
                    await result
            except Exception:  # noqa: BLE001 - whatever a user's handler raises must not reach other calls
                _log.client.exception("the handler for %r failed", event)
                await self._close_after_fault(about)
            finally:
                if about is not None:
                    about.handlers_running -= 1

        self.start(handle)

    async def _close_after_fault(self, call: ActiveCall | None) -> None:
        """Let nobody sit in silence because a handler broke."""
        if call is None:
            return
        try:
            await call.close()
        except WSSError as error:
            call.log.warning("closing the call after a handler failed did not work: %s", error)
            await call.force_disconnect()

    def _note(self, event: ClientReady | ClientLost | CallUnreachable | ClaimLost | FrameDropped) -> None:
        match event:
            case ClientReady():
                _log.control.info("the control connection to %s is ready", self._config.base)
            case ClientLost(wanted=True):
                _log.control.info("the control connection is closed")
            case ClientLost():
                _log.control.warning(
                    "the control connection is lost: %s; next attempt in %s s", event.reason, event.retry_in
                )
            case CallUnreachable():
                _log.control.error("call %s cannot be taken: %s", event.call_id, event.error)
            case ClaimLost():
                _log.control.info("session %s went elsewhere: %s", event.session_id, event.error_code)
            case FrameDropped():
                _log.control.warning("a frame was dropped: %s", event.error)
            case _:
                assert_never(event)
