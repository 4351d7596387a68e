"""A client as its user sees it, written once for every adapter.

The decisions are ``ClientMachine``'s; an adapter supplies a clock, a bell, tasks for handlers and transports,
and a log.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Generic, TypeVar, final

from telcoflow_proto import rest
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
    SessionLost,
    TransportWanted,
)
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.events import RequestDone
from telcoflow_proto.control.messages import (
    CallFlow,
    MessageIn,
    OpenSession,
    SessionClosed,
    SessionInfo,
    SessionNotice,
)
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.errors import HandshakeRefused, LocalProtocolError
from telcoflow_proto.events import ClientEvent
from telcoflow_proto.exceptions import (
    WSSAuthenticationError,
    WSSCallCommandError,
    WSSCallCommandTimeoutError,
    WSSCallRefusedError,
    WSSCallUnansweredError,
    WSSConnectionError,
    WSSError,
    session_error,
)
from telcoflow_proto.handlers import H, Handler, Handlers
from telcoflow_proto.handover import read_handover
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.media.table import RING_TIMES
from telcoflow_proto.replies import Outcome
from telcoflow_proto.rest import RestRequest
from telcoflow_proto.session import Session
from telcoflow_proto.surface import Bell, TimeLimit
from telcoflow_proto.waiting import Bells, Tickets

CallT = TypeVar("CallT", bound=BaseCall)

_CHANGE = "change"
_CALL_WITHIN = 10.0
_REFUSALS = ("CALLEE_BUSY", "CALL_REJECTED", "CALL_DECLINED")


@final
class _Dial(Generic[CallT]):
    """One outgoing call under way."""

    def __init__(self) -> None:
        self.call: CallT | None = None
        self.error: WSSError | None = None
        self.over = False
        self.abandoned = False


class BaseClient(ABC, Generic[CallT]):
    """Connects to the service, takes the calls it announces and gives them to handlers."""

    def __init__(self, config: ClientConfig, *, entropy: Entropy, backoff: Backoff | None = None) -> None:
        self._config = config
        self._entropy = entropy
        self._machine = ClientMachine(config, entropy=entropy, backoff=backoff)
        self._handlers = Handlers(ClientEvent)
        self._calls: dict[str, CallT] = {}
        self._sessions: dict[str, Session[CallT]] = {}
        self._opening: dict[str, str] = {}
        self._dials: dict[str, _Dial[CallT]] = {}
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

    # ------------------------------------------------------------------ sessions and messages

    async def list_sessions(
        self, *, channel: str | None = None, remote_address: str | None = None
    ) -> list[SessionInfo]:
        """Ask the service for the open sessions, all or those of a channel or remote address.

        Raises WSSAuthenticationError, WSSConnectionError, or a SessionError of the service's code.
        """
        return rest.read_sessions(*await self._http(rest.list_sessions(channel=channel, remote_address=remote_address)))

    async def open_session(self, session_id: str) -> Session[CallT]:
        """Claim a session; everybody who opens the same one gets the same object.

        Raises SessionBusy when another worker has it, another SessionError for the service's other codes,
        WSSConnectionError without a control connection or an answer.
        """
        session = self._sessions.get(session_id)
        if session is not None:
            return session
        request_id = self._opening.get(session_id)
        if request_id is None:
            request_id = self._ask(lambda now: self._machine.open_session(session_id, now=now))
            self._opening[session_id] = request_id
        await self._answer(request_id)
        return self._session(session_id)

    async def create_session(self, channel: str, remote_address: str) -> Session[CallT]:
        """Start a session from our side and claim it.

        Raises SessionAlreadyExists if one was open with this address, otherwise as ``open_session``.
        """
        done = await self._answer(
            self._ask(lambda now: self._machine.create_session(channel=channel, remote_address=remote_address, now=now))
        )
        session_id = done.session_id or ""
        if done.created is False:
            raise session_error("SESSION_ALREADY_EXISTS", f"a session with this address is open: {session_id}")
        return await self.open_session(session_id)

    async def setup_call_flow(self, flow: CallFlow) -> None:
        """Say what the service shall send our way. Said again by itself after every reconnect."""
        await self._answer(self._ask(lambda now: self._machine.set_up_call_flow(flow, now=now)))

    def session_ready(self, session_id: str) -> None:
        """For ``Session``: ask for its events."""
        try:
            self._machine.ready(session_id, now=self._clock())
        except LocalProtocolError as error:
            raise WSSConnectionError(str(error)) from None
        self._settle()

    async def session_send(self, session_id: str, content: JsonObject) -> object:
        """For ``Session``: send a message."""
        done = await self._answer(self._ask(lambda now: self._machine.send_message(session_id, content, now=now)))
        return done.content

    async def session_close(self, session_id: str) -> str:
        """For ``Session``: ask the service to close it."""
        reason = rest.read_closed(*await self._http(rest.close_session(session_id)))
        self._sessions.pop(session_id, None)
        return reason

    def session_tell(self, call: Callable[[], object], event: str) -> None:
        """For ``Session``: run a handler."""
        self._run_handler(call, event, None)

    def _session(self, session_id: str) -> Session[CallT]:
        session = self._sessions.get(session_id)
        if session is None:
            raise session_error("SESSION_CLOSED", "the session was closed as soon as it was opened")
        return session

    def _ask(self, say: Callable[[float], str]) -> str:
        try:
            return say(self._clock())
        except LocalProtocolError as error:
            raise WSSConnectionError(str(error)) from None

    async def _answer(self, request_id: str) -> RequestDone:
        """Wait for the answer to a request and return it; raises for anything but success."""
        done = await self._requests.outcome(request_id, self._settle)
        match done.outcome:
            case Outcome.DONE:
                return done
            case Outcome.REFUSED:
                owner = done.error_content.get("boundSmWsId") if isinstance(done.error_content, dict) else None
                raise session_error(done.error_code, owner=owner if isinstance(owner, str) else None)
            case Outcome.TIMED_OUT:
                raise WSSConnectionError("the service did not answer in time")
            case Outcome.LOST | Outcome.CALL_OVER:
                raise WSSConnectionError("the control connection was lost before the answer")

    # ------------------------------------------------------------------ hand-over

    def adopt(self, text: str) -> CallT:
        """Take over a call another process has written with ``to_json``. Its events are this client's to handle.

        Raises WSSCallError that says what is wrong with the text. That its token has expired shows only when
        the call is answered: WSSMediaError.
        """
        identity, media = read_handover(text, self._config, entropy=self._entropy)
        call = self._calls[identity.call_id] = self._new_call(identity, media)
        return call

    # ------------------------------------------------------------------ outgoing calls

    async def dial(self, remote_address: str, *, ring_time_seconds: int = 60) -> CallT:
        """Call somebody, and return the call once they have picked up: CONNECTED, with direction "MO".

        Raises WSSCallUnansweredError when nobody picks up in the ring time (1 to 120 seconds),
        WSSCallRefusedError when they are busy or decline, ValueError for another ring time, and what
        ``create_session`` raises. Cancelled, it hangs up, even if they pick up in that moment.
        """
        if ring_time_seconds not in RING_TIMES:
            raise ValueError(f"ring_time_seconds must be 1 to {RING_TIMES[-1]} seconds, got {ring_time_seconds!r}")
        dial: _Dial[CallT] = _Dial()
        self._start(lambda: self._carry_dial(dial, remote_address, ring_time_seconds))
        try:
            while not dial.over:
                await self._bells.wait(dial)
        except BaseException:
            # The dialling goes on in its own task, which finds nobody waiting and hangs up.
            dial.abandoned = True
            if dial.call is not None:
                self._start(lambda: self._hang_up(dial))
            raise
        if dial.error is not None:
            raise dial.error
        if dial.call is None:
            raise WSSConnectionError("the client was closed while it dialled")
        return dial.call

    async def _carry_dial(self, dial: "_Dial[CallT]", remote_address: str, ring_time_seconds: int) -> None:
        session: Session[CallT] | None = None
        try:
            session = await self.create_session("TELCO", remote_address)
            self._dials[session.session_id] = dial
            await session.ready()
            with self._time_limit(_CALL_WITHIN):
                while dial.call is None and not session.is_closed:
                    await self._bells.wait(dial)
            if dial.call is None:
                raise WSSConnectionError("the service did not deliver the call")
            if not dial.abandoned:
                await dial.call.connect(ring_time_seconds)
        except WSSCallCommandError as error:
            dial.error = _dial_error(error)
        except WSSCallCommandTimeoutError:
            dial.error = WSSCallUnansweredError("call.connect", error_code="TIMEOUT", error_message=None)
        except WSSError as error:
            dial.error = error
        finally:
            dial.over = True
            if session is not None:
                self._dials.pop(session.session_id, None)
            self._bells.ring(dial)
        if dial.abandoned or dial.error is not None:
            await self._hang_up(dial)

    async def _hang_up(self, dial: "_Dial[CallT]") -> None:
        if dial.call is not None:
            try:
                await dial.call.disconnect()
            except WSSError:
                await dial.call.force_disconnect()

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
        for call in self.calls:
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
        """Report what the machine has to report; call after everything that touches it."""
        for event in self._machine.events():
            self._on_event(event)
        self._bells.ring(_CHANGE)
        self._woken()

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
                for call in self.calls:
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

    def _on_connection(self, event: ClientReady | ClientLost) -> None:
        self._note(event)
        if isinstance(event, ClientReady):
            if event.attempt:
                self._tell(ClientEvent.CONNECTION_RESTORED, event)
            return
        self._loss = event
        if not event.wanted:
            self._tell(ClientEvent.CONNECTION_LOST, event)

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

    def _close_session(self, session_id: str, reason: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.closed(reason)

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
    def _open_transport(self, wanted: TransportWanted) -> None:
        """Open a byte stream for the control connection, soon, and carry it."""

    @abstractmethod
    def _run_handler(self, call: Callable[[], object], event: str, about: CallT | None) -> None:
        """Run a user's handler in a task of its own, soon."""

    @abstractmethod
    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        """Start a task that ends with the client."""

    @abstractmethod
    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        """Return a scope that stops its body after that many seconds; None for never."""

    @abstractmethod
    async def _http(self, request: RestRequest) -> tuple[int, bytes]:
        """Send a request to the service and return status and body; raises WSSConnectionError."""

    @abstractmethod
    def _woken(self) -> None:
        """Something may have to be written, or a deadline moved."""

    @abstractmethod
    def _note(self, event: ClientReady | ClientLost | CallUnreachable | ClaimLost | FrameDropped) -> None:
        """Write something worth knowing to the log."""


def _dial_error(error: WSSCallCommandError) -> WSSCallCommandError:
    """Say what a refused connect means to who dialled."""
    for codes, kind in ((("CALL_UNANSWERED",), WSSCallUnansweredError), (_REFUSALS, WSSCallRefusedError)):
        if error.error_code in codes:
            return kind("call.connect", error_code=error.error_code, error_message=error.error_message)
    return error
