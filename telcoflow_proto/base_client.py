"""A client as its user sees it, written once for every adapter.

The decisions are ``ClientMachine``'s; an adapter supplies a clock, a bell, tasks for handlers and transports,
and a log.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Generic, assert_never

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.base_call import BaseCall
from telcoflow_proto.chance import Entropy
from telcoflow_proto.client import ClientMachine
from telcoflow_proto.client_events import (
    CallIdentity,
    CallOffered,
    CallUnreachable,
    ClaimLost,
    ClientMachineEvent,
    ClientStatistics,
    SessionLost,
)
from telcoflow_proto.client_requests import CallT, ClientRequests, Dial
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.events import RequestDone
from telcoflow_proto.control.messages import (
    MessageIn,
    OpenSession,
    SessionClosed,
    SessionNotice,
)
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.errors import HandshakeRefused, LocalProtocolError
from telcoflow_proto.events import ClientEvent
from telcoflow_proto.exceptions import (
    WSSAuthenticationError,
    WSSCallError,
    WSSConnectionError,
)
from telcoflow_proto.handlers import H, Handler, Handlers
from telcoflow_proto.handover import read_handover
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.session import Session
from telcoflow_proto.surface import Bell
from telcoflow_proto.waiting import Bells, Tickets

_CHANGE = "change"


class BaseClient(ClientRequests[CallT], Generic[CallT]):
    """Connects to the service, takes the calls it announces and gives them to handlers."""

    def __init__(self, config: ClientConfig, *, entropy: Entropy, backoff: Backoff | None = None) -> None:
        self._config = config
        self._entropy = entropy
        self._machine = ClientMachine(config, entropy=entropy, backoff=backoff)
        self._handlers = Handlers(ClientEvent)
        self._calls: dict[str, CallT] = {}
        self._ending: list[CallT] = []
        self._sessions: dict[str, Session[CallT]] = {}
        self._opening: dict[str, str] = {}
        self._dials: dict[str, Dial[CallT]] = {}
        self._bells = Bells(self._new_bell)
        self._requests: Tickets[RequestDone] = Tickets(self._bells)
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

    # ------------------------------------------------------------------ hand-over

    def adopt(self, text: str) -> CallT:
        """Take over a call another process has written with ``to_json``. Its events are this client's to handle.

        Raises WSSCallError that says what is wrong with the text. That its token has expired shows only when
        the call is answered: WSSMediaError.
        """
        identity, media = read_handover(text, self._config, entropy=self._entropy)
        if identity.call_id in self._calls:
            raise WSSCallError("this call cannot be taken over: this client has it already")
        call = self._calls[identity.call_id] = self._new_call(identity, media)
        return call

    # ------------------------------------------------------------------ life

    async def drain(self, timeout: float | None = None) -> bool:
        """Take no more calls, let the live ones finish, then close. The way to stop on SIGTERM.

        Returns True when every call ended by itself, False when ``timeout`` seconds were not enough and the
        rest was cut off. ``run_forever`` returns then.
        """
        self._machine.refuse_calls()
        with self._time_limit(timeout):
            for call in self.calls:
                await call.wait_ended()
        finished = not self._calls
        await self._end()
        return finished

    async def run_forever(self) -> None:
        """Return when the client is closed.

        Raises WSSAuthenticationError when the service stops accepting our credentials, WSSConnectionError when
        it refuses us for another lasting reason. May run in any task and be cancelled there.
        """
        while not self._machine.finished:
            await self._bells.wait(_CHANGE)
        self._raise_loss()

    async def _begin(self) -> None:
        """Connect, and wait until the set-up is done. Raises what ``run_forever`` raises, at once."""
        try:
            self._machine.connect(now=self._clock())
        except LocalProtocolError:
            raise WSSConnectionError(f"this client is {self.state.value}; make a new one to connect again") from None
        self._settle()
        while not self._machine.was_ready or self._machine.finished:
            if self._machine.finished:
                self._raise_loss()
                raise WSSConnectionError(f"the connection to {self._config.base} was closed before it was ready")
            await self._bells.wait(_CHANGE)

    async def _end(self) -> None:
        """Close every call and the control connection, and wait until that is done."""
        calls = self.calls
        self._ending += calls
        for call in calls:
            await call.force_disconnect()
        self._machine.close(now=self._clock())
        self._settle()
        while not self._machine.finished:
            await self._bells.wait(_CHANGE)
        for call in calls:
            await call.wait_closed()

    def _cut(self) -> None:
        """End what did not end in time: nobody drives the connections any more, and nobody shall wait for them."""
        for call in [*self.calls, *self._ending]:
            call.cut()
        self._machine.fail_transport("the client was left", now=self._clock())
        self._settle()

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

    def _settle(self) -> None:
        """Report what has happened, and look what is to be done; call after everything that touches the machine."""
        self._report()
        self._woken()

    def _report(self) -> None:
        """Report what the machine has to report."""
        happened = self._machine.happened
        while happened:
            self._on_event(happened.popleft())
        self._bells.ring(_CHANGE)

    def _on_event(self, event: ClientMachineEvent) -> None:
        match event:
            case TransportWanted():
                self._open_transport(event)
            case CallOffered():
                self._on_call(event)
            case SessionNotice():
                self._tell(ClientEvent.SESSION_NOTIFIED, event)
            case MessageIn():
                session = self._sessions.get(event.session_id)
                if session is None or not session.message_came(event):
                    self._tell(ClientEvent.INCOMING_MESSAGE, event)
            case SessionClosed():
                for call in self._calls_of(event.session_id):
                    call.settle()
                self._close_session(event.session_id, event.reason)
                self._tell(ClientEvent.SESSION_CLOSED, event)
            case SessionLost():
                self._close_session(event.session_id, "FORCE_CLOSE")
            case RequestDone():
                self._on_request_done(event)
            case ClientReady() | ClientLost():
                self._on_connection(event)
            case CallUnreachable() | ClaimLost() | FrameDropped():
                self._note(event)
            case _:
                assert_never(event)

    def _on_connection(self, event: ClientReady | ClientLost) -> None:
        self._note(event)
        if isinstance(event, ClientReady):
            if event.attempt:
                self._tell(ClientEvent.CONNECTION_RESTORED, event)
            return
        self._loss = event
        if not event.wanted:
            self._tell(ClientEvent.CONNECTION_LOST, event)
        if event.retry_in is None:
            for session_id in list(self._sessions):
                self._close_session(session_id, "FORCE_CLOSE")

    def _on_call(self, offered: CallOffered) -> None:
        identity = offered.identity
        call = self._calls[identity.call_id] = self._new_call(identity, offered.media)
        dial = self._dials.get(identity.session_id)
        session = self._sessions.get(identity.session_id)
        if dial is not None:
            dial.call = call
            self._bells.ring(dial)
        elif session is None or not session.call_came(call):
            self._tell(ClientEvent.INCOMING_CALL, call, call)

    def _on_request_done(self, done: RequestDone) -> None:
        if isinstance(done.request, OpenSession):
            self._opening.pop(done.request.session_id, None)
            if done.session is not None:
                self._sessions[done.session.id] = Session(done.session, self, self._new_bell)
        self._requests.resolve(done.request_id, done)

    def _calls_of(self, session_id: str) -> list[CallT]:
        return [self._calls[one] for one in self._machine.calls_of(session_id) if one in self._calls]

    def _close_session(self, session_id: str, reason: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.closed(reason)
            self._bells.ring(self._dials.get(session_id))

    def _tell(self, event: ClientEvent, argument: object, call: CallT | None = None) -> None:
        for invoke in self._handlers.calls(event, argument):
            self._run_handler(invoke, event, call)

    def _forget(self, call: BaseCall) -> None:
        self._calls.pop(call.call_id, None)
        self._machine.release(call.call_id)

    # ------------------------------------------------------------------ what an adapter supplies

    @abstractmethod
    def _new_bell(self) -> Bell:
        """Return a fresh one-shot event."""

    @abstractmethod
    def _new_call(self, identity: CallIdentity, media: MediaClientConnection) -> CallT:
        """Return the adapter's call object."""

    @abstractmethod
    def _open_transport(self, wanted: TransportWanted) -> None:
        """Open a byte stream for the control connection, soon, and carry it."""

    @abstractmethod
    def _woken(self) -> None:
        """Something may have to be written, or a deadline moved."""

    @abstractmethod
    def _note(self, event: ClientReady | ClientLost | CallUnreachable | ClaimLost | FrameDropped) -> None:
        """Write something worth knowing to the log."""
