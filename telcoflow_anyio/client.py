"""The client, driven by anyio."""

import os
import ssl
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Self, assert_never, final

import anyio

from telcoflow_anyio import _log
from telcoflow_anyio._dial import Dial, tls_context
from telcoflow_anyio._home import Home, Tenant
from telcoflow_anyio.call import ActiveCall
from telcoflow_proto.backoff import Backoff
from telcoflow_proto.base_client import BaseClient
from telcoflow_proto.client_events import CallIdentity, CallUnreachable, ClaimLost
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.driving import LATE_AFTER
from telcoflow_proto.exceptions import WSSConnectionError, WSSError
from telcoflow_proto.life_events import ClientLost, ClientReady
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.rest import RestRequest


class TelcoflowClientConfig(ClientConfig):
    """A checked configuration: make one with ``sandbox`` or ``production``."""

    @staticmethod
    def _environment() -> Mapping[str, str]:
        return os.environ

    @staticmethod
    def _readable(path: str) -> bool:
        return os.path.isfile(path) and os.access(path, os.R_OK)  # noqa: PTH113 - a check, before any loop runs


@final
class TelcoflowClient(Home, BaseClient[ActiveCall], Tenant):
    """Takes calls from the service, on asyncio or trio.

    Use it as ``async with TelcoflowClient(config) as client``, which connects, and owns every task until it is
    left; or call ``connect`` and ``disconnect``. Register handlers, then ``await client.run_forever()``.
    Entering raises WSSAuthenticationError or WSSConnectionError when the service refuses or is not there.

    ``dial`` replaces how byte streams are opened: it gets a ``WsUrl``, returns an anyio ``ByteStream``, or a connected
    ``socket.socket`` that gets its TLS from us, and raises OSError when it cannot. ``backoff`` replaces the waits
    between attempts to reconnect.
    """

    def __init__(self, config: ClientConfig, *, dial: Dial | None = None, backoff: Backoff | None = None) -> None:
        BaseClient.__init__(self, config, entropy=os.urandom, backoff=backoff)  # pyright: ignore[reportUnknownMemberType] - named without its parameter
        Home.__init__(self, self._machine, dial=dial, log=_log.client)
        self._outlived: dict[ActiveCall, float] = {}
        self._watching = False

    @classmethod
    def detached(cls, config: ClientConfig) -> Self:
        """Return a client that never connects: a home for calls that were handed over."""
        client = cls(config)
        client._detached = True
        return client

    # ------------------------------------------------------------------ for the calls of this client

    def call_ended(self, call: ActiveCall) -> None:
        """Forget a call that is over; watch the handlers that outlive it."""
        self._forget(call)
        if call.handlers_running:
            self._outlived[call] = self._clock() + LATE_AFTER
            if not self._watching:
                self._watching = True
                self.start(self._watch_handlers)

    def run_call_handler(self, invoke: Callable[[], object], event: str, call: ActiveCall) -> None:
        """Run a handler of a call in a task of its own."""
        self._run_handler(invoke, event, call)

    # ------------------------------------------------------------------ what the core wants

    def _new_call(self, identity: CallIdentity, media: MediaClientConnection) -> ActiveCall:
        return ActiveCall(identity, media, self)

    async def _http(self, request: RestRequest) -> tuple[int, bytes]:
        try:
            from telcoflow_anyio import _http  # noqa: PLC0415 - httpx costs more than all the rest; few need it

            return await _http.send(request, self._config, self._tls or self._tls_context())
        except OSError as error:
            raise WSSConnectionError(str(error)) from None

    def _run_handler(self, call: Callable[[], object], event: str, about: ActiveCall | None) -> None:
        if about is None:
            self._spawn_handler(call, event)
        else:
            about.handlers_running += 1  # from now on: the call may end before the handler has its first turn
            self._spawn_handler(call, event, during=self._counted(about), failed=lambda: _close_after_fault(about))

    @contextmanager
    def _counted(self, call: ActiveCall) -> Generator[None, None, None]:
        try:
            yield
        finally:
            call.handlers_running -= 1
            if not call.handlers_running:
                self._outlived.pop(call, None)

    async def _watch_handlers(self) -> None:
        """Warn once of each call whose handlers outlive it by 5 seconds.

        One task for all of them: with a task for each call that ends, a client would hold all calls of 5 seconds.
        """
        while self._outlived:
            call, late = next(iter(self._outlived.items()))
            await anyio.sleep_until(late)
            if self._outlived.pop(call, None) is not None:
                call.log.warning("a handler is still running %.0f s after its call ended", LATE_AFTER)
        self._watching = False

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

    # ------------------------------------------------------------------ what its home wants

    def _tls_context(self) -> ssl.SSLContext:
        return tls_context(self._config)

    def _used_up(self) -> WSSError:
        return WSSConnectionError(f"this client is {self.state.value}; make a new one to connect again")


# The vendor's later names for the same two.
AgenTaoClient = TelcoflowClient
AgenTaoClientConfig = TelcoflowClientConfig


async def _close_after_fault(call: ActiveCall) -> None:
    """Let nobody sit in silence because a handler broke."""
    try:
        await call.close()
    except WSSError as error:
        call.log.warning("closing the call after a handler failed did not work: %s", error)
        await call.force_disconnect()
