"""A RELAY client as its user sees it, written once for every adapter.

The decisions are ``RelayMachine``'s; an adapter supplies a clock, a bell, tasks for handlers and transports, and a
log.
"""

import inspect
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar, assert_never

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.chance import Chance, Entropy
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.exceptions import (
    RelayAuthenticationError,
    RelayConnectionError,
)
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.relay.call import Call
from telcoflow_proto.relay.client_events import (
    ActionOver,
    CallOver,
    CallReceived,
    CallTold,
    ConnectionState,
    DialOver,
    MessageArrived,
    MessageTold,
    RelayMachineEvent,
    RelayStatistics,
)
from telcoflow_proto.relay.client_requests import RelayRequests
from telcoflow_proto.relay.config import RelayConfig
from telcoflow_proto.relay.events import MessageReceiveEvent, parse_event
from telcoflow_proto.relay.machine import RelayMachine
from telcoflow_proto.relay.message import Message
from telcoflow_proto.relay.messages import Replied
from telcoflow_proto.surface import Bell, TimeLimit
from telcoflow_proto.waiting import Bells, Tickets

CallHandler = TypeVar("CallHandler", bound=Callable[[Call], object])
OnMessage = TypeVar("OnMessage", bound=Callable[[Message], object])
OnConnection = TypeVar("OnConnection", bound=Callable[[ConnectionState], object])

_CHANGE = "change"


class BaseRelayClient(RelayRequests):
    """Connects to a RELAY service, takes calls and messages of its contexts, dials and sends."""

    def __init__(self, config: RelayConfig, *, entropy: Entropy, backoff: Backoff | None = None) -> None:
        self._config = config
        self._chance = Chance(entropy)
        self._machine = RelayMachine(config, entropy=entropy, backoff=backoff)
        self._patient = False
        self._calls: dict[str, Call] = {}
        self._unhandled: list[Call] = []
        self._dials: dict[str, Call | DialOver | None] = {}
        self._sending: dict[str, Message] = {}
        self._messages: dict[str, Message] = {}
        self._call_handler: Callable[[Call], object] | None = None
        self._message_handler: Callable[[Message], object] | None = None
        self._connection_handlers: list[Callable[[ConnectionState], object]] = []
        self._bells = Bells(self._new_bell)
        self._requests: Tickets[Replied] = Tickets(self._bells)
        self._loss: ClientLost | None = None

    def __repr__(self) -> str:
        return f"<RelayClient of {self.host} {self.state.value}>"

    # ------------------------------------------------------------------ what it is

    @property
    def project(self) -> str | None:
        """The project we are, None with a JWT alone. A secret."""
        project = self._config.credentials.project
        return None if project is None else project.reveal()

    @property
    def token(self) -> str | None:
        """The project's token, None with a JWT alone. A secret."""
        token = self._config.credentials.token
        return None if token is None else token.reveal()

    @property
    def jwt_token(self) -> str | None:
        """The JWT, None without. A secret."""
        token = self._config.credentials.jwt_token
        return None if token is None else token.reveal()

    @property
    def host(self) -> str:
        """The service's host, with its port if that is not the usual one."""
        return self._config.url.host_header

    @property
    def contexts(self) -> list[str]:
        """The contexts this client listens to, those added at run time included."""
        return self._machine.contexts

    @property
    def relay_protocol(self) -> str:
        """What the service calls our session; empty before the first connection."""
        return self._machine.protocol

    @property
    def state(self) -> ClientState:
        """Where the client stands: connecting, ready, waiting to reconnect, closed, ..."""
        return self._machine.state

    @property
    def calls(self) -> list[Call]:
        """The calls that are going on, as of now."""
        return list(self._calls.values())

    def statistics(self) -> RelayStatistics:
        """Return a frozen snapshot."""
        return self._machine.statistics()

    # ------------------------------------------------------------------ handlers

    def on_call(self, handler: CallHandler) -> CallHandler:
        """Register who takes inbound calls, sync or async; the last one wins. Usable as a decorator.

        Calls that came before there was a handler are given to the first one.
        """
        self._call_handler = handler
        waiting, self._unhandled = self._unhandled, []
        for call in waiting:
            if call.state != "ended":
                self.tell(handler, call, "on_call")
        return handler

    def on_message(self, handler: OnMessage) -> OnMessage:
        """Register who takes inbound messages, sync or async; the last one wins. Usable as a decorator."""
        self._message_handler = handler
        return handler

    def on_connection(self, handler: OnConnection) -> OnConnection:
        """Register somebody who is told what happens to the connection. Usable as a decorator."""
        self._connection_handlers.append(handler)
        return handler

    # ------------------------------------------------------------------ for calls, actions and messages

    @property
    def bells(self) -> Bells:
        """What wakes those who wait."""
        return self._bells

    def new_control_id(self) -> str:
        """Return an identifier nobody has used before."""
        return self._chance.identifier()

    def time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        """Return a scope that stops its body after that many seconds; None for never."""
        return self._time_limit(seconds)

    def tell(self, handler: Callable[..., object], argument: object, about: str) -> None:
        """Run a sync handler now and an async one in a task of its own; what it raises is logged, not more."""
        if inspect.iscoroutinefunction(handler):
            self._run_handler(lambda: handler(argument), about)
            return
        try:
            result = handler(argument)
        except Exception as error:  # noqa: BLE001 - whatever a user's handler raises must not reach other calls
            self._note_fault(about, error)
            return
        if inspect.isawaitable(result):
            self._run_handler(lambda: result, about)

    # ------------------------------------------------------------------ life

    async def run_forever(self) -> None:
        """Return when the client is closed.

        Raises RelayAuthenticationError when the service refused our credentials, three times, before it ever
        accepted them. May run in any task and be cancelled there.
        """
        while not self._machine.finished:
            await self._bells.wait(_CHANGE)
        self._raise_loss()

    async def _begin(self) -> None:
        """Connect, and wait until we are authenticated.

        A first attempt that fails is told at once, unless the client is patient: then only refused credentials are.
        """
        try:
            self._machine.connect(now=self._clock())
        except LocalProtocolError:
            raise RelayConnectionError(-1, f"this client is {self.state.value}; make a new one to connect") from None
        self._settle()
        while not self._machine.was_ready and not self._machine.finished:
            if self._loss is not None and not self._patient:
                break
            await self._bells.wait(_CHANGE)
        if self._machine.was_ready and not self._machine.finished:
            return
        self._raise_loss()
        raise RelayConnectionError(-1, f"the connection to {self.host} was closed before it was ready")

    async def _end(self) -> None:
        """Close the connection, and wait until that is done. Calls are left to themselves."""
        self._machine.close(now=self._clock())
        self._settle()
        while not self._machine.finished:
            await self._bells.wait(_CHANGE)

    def _cut(self) -> None:
        """End what did not end in time: nobody drives the connection any more, and nobody shall wait for it."""
        self._machine.fail_transport("the client was left", now=self._clock())
        self._settle()

    def _raise_loss(self) -> None:
        loss, refusal = self._loss, self._machine.refusal
        if loss is None or loss.wanted:
            return
        kind = RelayAuthenticationError if loss.credentials_refused else RelayConnectionError
        if refusal is not None:
            raise kind(refusal.code, refusal.message)
        what = f"{self.host} refused our credentials" if loss.credentials_refused else f"no connection to {self.host}"
        raise kind(-1, f"{what}: {loss.reason}")

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

    def _on_event(self, event: RelayMachineEvent) -> None:
        match event:
            case CallTold() | ActionOver() | CallOver():
                self._on_call_event(event)
            case Replied():
                self._on_replied(event)
            case CallReceived():
                self._on_call(Call(event.call, self))
            case DialOver():
                self._on_dial_over(event)
            case MessageArrived():
                self._on_message(event)
            case MessageTold():
                self._on_message_told(event)
            case TransportWanted():
                self._open_transport(event)
            case ClientReady() | ClientLost():
                self._on_connection(event)
            case FrameDropped():
                self._note(event)
            case _:
                assert_never(event)

    def _on_call_event(self, event: CallTold | ActionOver | CallOver) -> None:
        call = self._calls.get(event.call_id)
        if call is None:
            return  # a leg that did not win
        match event:
            case CallTold():
                call.told(event.event_type, event.payload)
            case ActionOver():
                call.action_over(event.control_id, event.end, event.payload)
            case CallOver():
                del self._calls[event.call_id]
                if call in self._unhandled:
                    self._unhandled.remove(call)
                call.over(event.payload)
            case _:
                assert_never(event)

    def _on_replied(self, replied: Replied) -> None:
        message = self._sending.pop(replied.request_id, None)
        message_id = replied.result.get("message_id")
        if message is not None and isinstance(message_id, str) and message_id:
            message.accepted(message_id)
            self._messages[message_id] = message
            if len(self._messages) > RELAY_LIMITS.tracked_messages:  # the machine follows no more either
                self._messages.pop(next(iter(self._messages))).abandon("too many messages were sent after it")
        self._requests.resolve(replied.request_id, replied)

    def _on_call(self, call: Call) -> None:
        self._calls[call.call_id] = call
        if self._call_handler is not None:
            self.tell(self._call_handler, call, "on_call")
        else:
            self._unhandled.append(call)

    def _on_dial_over(self, over: DialOver) -> None:
        call = over.call and self._calls.setdefault(over.call.call_id, Call(over.call, self))
        if over.tag in self._dials:
            self._dials[over.tag] = call or over
            self._bells.ring(over.tag)

    def _on_message(self, arrived: MessageArrived) -> None:
        event = parse_event(arrived.payload)
        if self._message_handler is None or not isinstance(event, MessageReceiveEvent):
            self._note(arrived)
            return
        self.tell(self._message_handler, Message.received(event, self), "on_message")

    def _on_message_told(self, told: MessageTold) -> None:
        message = self._messages.get(told.message_id)
        if message is None:
            return
        if told.final:
            del self._messages[told.message_id]
        message.told(parse_event(told.payload), final_state=told.final)

    def _on_connection(self, event: ClientReady | ClientLost) -> None:
        self._note(event)
        if isinstance(event, ClientReady):
            told = ConnectionState(state="connected", attempt=event.attempt, restored=self._machine.restored)
        else:
            self._loss = event
            told = ConnectionState(
                state="lost" if event.retry_in is not None else "closed",
                reason=event.reason,
                attempt=event.attempt,
                retry_in=event.retry_in,
            )
        if told.state == "closed":
            messages, self._messages = self._messages, {}
            for message in messages.values():
                message.abandon("the client was closed")
        for handler in list(self._connection_handlers):
            self.tell(handler, told, "on_connection")

    # ------------------------------------------------------------------ what an adapter supplies

    @abstractmethod
    def _new_bell(self) -> Bell:
        """Return a fresh one-shot event."""

    @abstractmethod
    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        """Return a scope that stops its body after that many seconds; None for never."""

    @abstractmethod
    def _open_transport(self, wanted: TransportWanted) -> None:
        """Open a byte stream for the connection, soon, and carry it."""

    @abstractmethod
    def _run_handler(self, invoke: Callable[[], object], about: str) -> None:
        """Await what an async handler returned in a task of its own; what it raises goes to the log."""

    @abstractmethod
    def _woken(self) -> None:
        """Something may have to be written, or a deadline moved."""

    @abstractmethod
    def _note(self, event: ClientReady | ClientLost | FrameDropped | MessageArrived) -> None:
        """Write something worth knowing to the log."""

    @abstractmethod
    def _note_fault(self, about: str, error: Exception) -> None:
        """Write to the log, with its traceback, what a handler raised."""
