"""A client as its user sees it, written once for every adapter.

The decisions are ``ClientMachine``'s; an adapter supplies a clock, a bell, tasks for handlers and transports,
and a log.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.base_call import BaseCall
from telcoflow_proto.chance import Entropy
from telcoflow_proto.client import ClientMachine
from telcoflow_proto.client_events import (
    CallIdentity,
    CallOffered,
    CallUnreachable,
    ClaimLost,
    ClientLost,
    ClientMachineEvent,
    ClientReady,
    ClientStatistics,
    TransportWanted,
)
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.events import RequestDone
from telcoflow_proto.control.messages import MessageIn, SessionClosed, SessionNotice
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.errors import HandshakeRefused
from telcoflow_proto.events import ClientEvent
from telcoflow_proto.exceptions import WSSAuthenticationError, WSSConnectionError
from telcoflow_proto.handlers import H, Handler, Handlers
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.surface import Bell

CallT = TypeVar("CallT", bound=BaseCall)


class BaseClient(ABC, Generic[CallT]):
    """Connects to the service, takes the calls it announces and gives them to handlers."""

    def __init__(self, config: ClientConfig, *, entropy: Entropy, backoff: Backoff | None = None) -> None:
        self._config = config
        self._machine = ClientMachine(config, entropy=entropy, backoff=backoff)
        self._handlers = Handlers(ClientEvent)
        self._calls: dict[str, CallT] = {}
        self._changed: Bell | None = None
        self._loss: ClientLost | None = None

    def __repr__(self) -> str:
        return f"<client of {self._config.base} {self.state.value}>"

    # ------------------------------------------------------------------ what it is

    @property
    def state(self) -> ClientState:
        """Where the client stands: connecting, ready, waiting to reconnect, closed, ..."""
        return self._machine.state

    @property
    def calls(self) -> list[CallT]:
        """The calls that are going on, as of now."""
        return list(self._calls.values())

    def get_call(self, call_id: str) -> CallT | None:
        """Return a call that is going on by its id, or None."""
        return self._calls.get(call_id)

    def statistics(self) -> ClientStatistics:
        """Return a frozen snapshot."""
        return self._machine.statistics()

    # ------------------------------------------------------------------ handlers

    def on(self, event: str) -> Callable[[H], H]:
        """Register the decorated handler for an event. Raises ValueError for an unknown one."""

        def register(handler: H) -> H:
            self.register_event_handler(event, handler)
            return handler

        return register

    def register_event_handler(self, event: str, handler: Handler) -> None:
        """Register a handler, sync or async, that takes nothing or one argument.

        With a handler for INCOMING_CALL announced calls are claimed, those announced before included.
        """
        name = self._handlers.add(event, handler)
        if name == ClientEvent.INCOMING_CALL:
            connected = self._machine.control is not None
            self._machine.accept_calls(now=self._clock() if connected else 0.0)
            self._settle()

    # ------------------------------------------------------------------ life

    async def run_forever(self) -> None:
        """Return when the client is closed.

        Raises WSSAuthenticationError when the service stops accepting our credentials, WSSConnectionError when
        it refuses us for another lasting reason. May run in any task and be cancelled there.
        """
        while not self._machine.finished:
            await self._change()
        self._raise_loss()

    async def _begin(self) -> None:
        """Connect, and wait until the set-up is done. Raises what ``run_forever`` raises, at once."""
        self._machine.connect(now=self._clock())
        self._settle()
        while self._machine.state is not ClientState.READY:
            if self._machine.finished:
                self._raise_loss()
                raise WSSConnectionError(f"the connection to {self._config.base} was closed before it was ready")
            await self._change()

    async def _end(self) -> None:
        """Close every call and the control connection, and wait until that is done."""
        calls = self.calls
        for call in calls:
            await call.force_disconnect()
        self._machine.close(now=self._clock())
        self._settle()
        while not self._machine.finished:
            await self._change()
        for call in calls:
            await call.wait_closed()

    def _raise_loss(self) -> None:
        loss = self._loss
        if loss is None or loss.wanted:
            return
        code = loss.error.status if isinstance(loss.error, HandshakeRefused) else loss.code
        if loss.credentials_refused:
            raise WSSAuthenticationError(
                f"{self._config.base} refused our credentials ({code}): {loss.reason}", code=code
            )
        raise WSSConnectionError(f"no connection to {self._config.base}: {loss.reason}", code=code)

    # ------------------------------------------------------------------ inside

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = self._new_bell()
        await self._changed.wait()

    def _settle(self) -> None:
        """Report what the machine has to report; call after everything that touches it."""
        for event in self._machine.events():
            self._on_event(event)
        bell, self._changed = self._changed, None
        if bell is not None:
            bell.set()
        self._woken()

    def _on_event(self, event: ClientMachineEvent) -> None:
        match event:
            case TransportWanted():
                self._open_transport(event.url)
            case CallOffered():
                call = self._calls[event.identity.call_id] = self._new_call(event.identity, event.media)
                self._tell(ClientEvent.INCOMING_CALL, call, call)
            case SessionNotice():
                self._tell(ClientEvent.SESSION_NOTIFIED, event)
            case MessageIn():
                self._tell(ClientEvent.INCOMING_MESSAGE, event)
            case SessionClosed():
                for call in self.calls:
                    call.settle()
                self._tell(ClientEvent.SESSION_CLOSED, event)
            case ClientReady():
                self._note(event)
                if event.attempt:
                    self._tell(ClientEvent.CONNECTION_RESTORED, event)
            case ClientLost():
                self._loss = event
                self._note(event)
                if not event.wanted:
                    self._tell(ClientEvent.CONNECTION_LOST, event)
            case CallUnreachable() | ClaimLost() | FrameDropped() | RequestDone():
                self._note(event)

    def _tell(self, event: ClientEvent, argument: object, call: CallT | None = None) -> None:
        for invoke in self._handlers.calls(event, argument):
            self._run_handler(invoke, event, call)

    def _forget(self, call: BaseCall) -> None:
        self._calls.pop(call.call_id, None)
        self._machine.release(call.call_id)

    # ------------------------------------------------------------------ what an adapter supplies

    @abstractmethod
    def _clock(self) -> float:
        """Return monotonic seconds."""

    @abstractmethod
    def _new_bell(self) -> Bell:
        """Return a fresh one-shot event."""

    @abstractmethod
    def _new_call(self, identity: CallIdentity, media: MediaClientConnection) -> CallT:
        """Return the adapter's call object."""

    @abstractmethod
    def _open_transport(self, url: WsUrl) -> None:
        """Open a byte stream for the control connection, soon, and carry it."""

    @abstractmethod
    def _run_handler(self, call: Callable[[], object], event: str, about: CallT | None) -> None:
        """Run a user's handler in a task of its own, soon."""

    @abstractmethod
    def _woken(self) -> None:
        """Something may have to be written, or a deadline moved."""

    @abstractmethod
    def _note(self, event: ClientReady | ClientLost | CallUnreachable | ClaimLost | FrameDropped | RequestDone) -> None:
        """Write something worth knowing to the log."""
