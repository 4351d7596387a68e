"""The RELAY client, driven by trio."""

import os
import ssl
from collections.abc import Callable, Sequence
from typing import assert_never, final

import trio

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.exceptions import (
    RelayAuthenticationError,
    RelayConnectionError,
    RelayError,
    RelayLimitError,
    RelayTimeoutError,
    WSSError,
)
from telcoflow_proto.life_events import ClientLost, ClientReady
from telcoflow_proto.relay import (
    EVENT_CLASS_MAP,
    Action,
    ActionEnd,
    AIAction,
    Call,
    CallingErrorEvent,
    CallReceiveEvent,
    CallStateEvent,
    CollectAction,
    CollectEvent,
    ConferenceEvent,
    ConnectEvent,
    ConnectionState,
    DenoiseEvent,
    DetectAction,
    DetectEvent,
    DialEvent,
    EchoEvent,
    FaxAction,
    FaxEvent,
    HoldEvent,
    Message,
    MessageReceiveEvent,
    MessageStateEvent,
    PausableAction,
    PayAction,
    PayEvent,
    PlayAction,
    PlayEvent,
    QueueEvent,
    RecordAction,
    RecordEvent,
    ReferEvent,
    RelayEvent,
    RelayStatistics,
    SendDigitsEvent,
    StandaloneCollectAction,
    StoppableAction,
    StreamAction,
    StreamEvent,
    TapAction,
    TapEvent,
    TranscribeAction,
    TranscribeEvent,
    VolumeAction,
    parse_event,
)
from telcoflow_proto.relay.base_client import BaseRelayClient
from telcoflow_proto.relay.client_events import MessageArrived
from telcoflow_proto.relay.config import RelayConfig
from telcoflow_proto.relay.slots import Slots
from telcoflow_trio import _log
from telcoflow_trio._dial import Dial, relay_tls_context
from telcoflow_trio._home import Home, Tenant

__all__ = (
    "EVENT_CLASS_MAP",
    "AIAction",
    "Action",
    "ActionEnd",
    "Backoff",
    "Call",
    "CallReceiveEvent",
    "CallStateEvent",
    "CallingErrorEvent",
    "ClientState",
    "CollectAction",
    "CollectEvent",
    "ConferenceEvent",
    "ConnectEvent",
    "ConnectionState",
    "DenoiseEvent",
    "DetectAction",
    "DetectEvent",
    "DialEvent",
    "EchoEvent",
    "FaxAction",
    "FaxEvent",
    "HoldEvent",
    "Message",
    "MessageReceiveEvent",
    "MessageStateEvent",
    "PausableAction",
    "PayAction",
    "PayEvent",
    "PlayAction",
    "PlayEvent",
    "QueueEvent",
    "RecordAction",
    "RecordEvent",
    "ReferEvent",
    "RelayAuthenticationError",
    "RelayClient",
    "RelayConnectionError",
    "RelayError",
    "RelayEvent",
    "RelayLimitError",
    "RelayStatistics",
    "RelayTimeoutError",
    "SendDigitsEvent",
    "StandaloneCollectAction",
    "StoppableAction",
    "StreamAction",
    "StreamEvent",
    "TapAction",
    "TapEvent",
    "TranscribeAction",
    "TranscribeEvent",
    "VolumeAction",
    "parse_event",
)

_slots = Slots()


@final
class RelayClient(Home, BaseRelayClient, Tenant):
    """Takes and makes calls and messages over RELAY, on trio.

    Use it as ``async with RelayClient(...) as client``, which connects, and owns every task until it is left; or
    call ``connect`` and ``disconnect``; or ``run()``, which blocks. Register ``on_call`` first. What is not given is
    taken from the environment: SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN, SIGNALWIRE_JWT_TOKEN, SIGNALWIRE_SPACE
    (the host), SIGNALWIRE_RELAY_SCHEME, SIGNALWIRE_RELAY_CA_FILE, RELAY_MAX_ACTIVE_CALLS, RELAY_MAX_CONNECTIONS.

    ``max_active_calls`` is how many calls it takes at once, ``contexts`` what it listens to. ``scheme`` is "wss", or
    "ws" on loopback (elsewhere with ``allow_plaintext=True``). ``dial_stream`` replaces how byte streams are opened:
    it gets a ``WsUrl``, returns a ``trio.abc.Stream``, or a connected ``socket.socket`` that gets its TLS from us, and
    raises OSError when it cannot. ``backoff`` replaces the waits between attempts to reconnect.

    Raises ValueError that names what is missing or wrong and where to set it.
    """

    def __init__(  # noqa: PLR0917 - the vendor's signature
        self,
        project: str | None = None,
        token: str | None = None,
        jwt_token: str | None = None,
        host: str | None = None,
        contexts: Sequence[str] | None = None,
        max_active_calls: int | None = None,
        *,
        scheme: str | None = None,
        allow_plaintext: bool = False,
        dial_stream: Dial | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        config = RelayConfig.checked(
            project=project,
            token=token,
            jwt_token=jwt_token,
            host=host,
            contexts=contexts,
            max_active_calls=max_active_calls,
            scheme=scheme,
            allow_plaintext=allow_plaintext,
            environment=os.environ,
        )
        BaseRelayClient.__init__(self, config, entropy=os.urandom, backoff=backoff)
        Home.__init__(self, self._machine, dial=dial_stream, log=_log.relay)

    def run(self) -> None:
        """Connect and serve until the client is closed, or Ctrl-C is pressed. Blocks: it has a loop of its own.

        A service that is not there yet is waited for. Raises RelayAuthenticationError when it refused our
        credentials three times before it ever accepted them. May be called in any thread.
        """
        self._patient = True

        async def serve() -> None:
            async with self:
                await self.run_forever()

        try:
            trio.run(serve)
        except* KeyboardInterrupt:  # a group, where it hit a task
            pass

    # ------------------------------------------------------------------ what the core wants

    async def _begin(self) -> None:
        _slots.take(self, os.environ)
        await super()._begin()

    def _cut(self) -> None:
        _slots.free(self)
        super()._cut()

    def _run_handler(self, invoke: Callable[[], object], about: str) -> None:
        self._spawn_handler(invoke, about)

    def _note(self, event: ClientReady | ClientLost | FrameDropped | MessageArrived) -> None:
        match event:
            case ClientReady():
                _log.relay.info("authenticated at %s", self.host)
            case ClientLost(wanted=True):
                _log.relay.info("the connection is closed")
            case ClientLost():
                _log.relay.warning("the connection is lost: %s; next attempt in %s s", event.reason, event.retry_in)
            case FrameDropped():
                _log.relay.warning("a frame was dropped: %s", event.error)
            case MessageArrived():
                _log.relay.warning("a message came in, and nobody is registered with on_message")
            case _:
                assert_never(event)

    def _note_fault(self, about: str, error: Exception) -> None:
        _log.relay.error("the handler for %s failed", about, exc_info=error)

    # ------------------------------------------------------------------ what its home wants

    def _tls_context(self) -> ssl.SSLContext:
        return relay_tls_context(self._config.ca_path)

    def _used_up(self) -> WSSError:
        return RelayConnectionError(-1, f"this client is {self.state.value}; make a new one to connect again")
