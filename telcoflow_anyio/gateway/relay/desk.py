"""One RELAY connection as the service sees it: what the client asks, what it is told, and how late."""

from collections.abc import Callable
from typing import TYPE_CHECKING, final

import anyio

from telcoflow_anyio.gateway.relay.answers import AUTHENTICATION_FAILED, Refusal, Reply, Unfit
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, DoorEvent
from telcoflow_proto.relay.messages import ConnectRequested, EventAcknowledged, RequestReceived, ServerRelayEvent
from telcoflow_proto.relay.server import RelayServerProtocol
from telcoflow_proto.relay.table import RelayState

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.service import RelayService
    from telcoflow_anyio.gateway.relay.sessions import PushedEvent, Session
    from telcoflow_proto.jsontext import JsonObject


@final
class Desk:
    """Serves one client through any ``RelayServerProtocol``, whatever carries it.

    Hand every event of the door to ``on_event``, ``ConnectionLost`` included. ``settle`` is called after every
    verb said to the door, except while ``on_event`` runs: what is said then is sent by who delivered the event.
    """

    def __init__(self, service: "RelayService", door: RelayServerProtocol, settle: Callable[[], None]) -> None:
        self.door = door
        self.session: Session | None = None
        self.gone = anyio.Event()
        self._service = service
        self._settle = settle
        self._listening = False
        self._last_due = 0.0
        door.hears = lambda method: method not in service.faults.ignore

    # ------------------------------------------------------------------ what the client says

    def on_event(self, event: ServerRelayEvent | DoorEvent) -> None:
        """Do what an event of the door asks for."""
        self._listening = True
        try:
            match event:
                case ConnectRequested():
                    self._admit(event)
                case RequestReceived() if self.session is not None:
                    self._answer(self.session, event)
                case EventAcknowledged() if self.session is not None:
                    self.session.take(event.event_id)
                case ConnectionOpened():
                    self._service.desks.append(self)
                case ConnectionLost():
                    self._leave()
                case _:
                    pass  # a frame that was dropped, and a web server's affairs
        finally:
            self._listening = False

    def _admit(self, event: ConnectRequested) -> None:
        failure = self._service.faults.fail.get("signalwire.connect")
        project = self._service.authenticate(event.credentials)
        if failure is not None:
            self._refuse(*failure, data=None)
        elif project is None:
            self._refuse(
                AUTHENTICATION_FAILED, "authentication failed", data={"signalwire_error_code": "AUTH_REQUIRED"}
            )
        else:
            self._late(
                lambda now: self._welcome(event, project, now),
                when=RelayState.AUTHENTICATING,
                extra=self._service.faults.delay_of.get("signalwire.connect", 0.0),
            )

    def _refuse(self, code: int, message: str, *, data: "JsonObject | None") -> None:
        self._late(
            lambda now: self.door.refuse_connect(code=code, message=message, data=data, now=now),
            when=RelayState.AUTHENTICATING,
        )

    def _welcome(self, event: ConnectRequested, project: str, now: float) -> None:
        session, restored = self._service.open_session(self, project, event)
        self.session = session
        self.door.authenticate(protocol=session.protocol, identity=f"{project}@local", restored=restored, now=now)
        session.deliver_again()
        state = event.resumption.authorization_state
        if not restored or state is None or state.reveal() != session.authorization_state:
            session.push("signalwire.authorization.state", {"authorization_state": session.authorization_state})
        self._service.note_change()

    def _answer(self, session: "Session", event: RequestReceived) -> None:
        try:
            reply = self._service.carry_out(session, event.method, event.params)
        except Refusal as refusal:
            self._respond(event, {"code": refusal.code, "message": refusal.message})
        except Unfit as unfit:
            self._fail(event, unfit.code, unfit.message)
        else:
            self._reply(event, reply)

    def _reply(self, event: RequestReceived, reply: Reply) -> None:
        reply.first()
        if self._service.faults.events_first:
            reply.then()
        echoed: JsonObject = {name: event.params[name] for name in ("call_id", "control_id") if name in event.params}
        self._respond(event, {"code": "200", "message": reply.message, **echoed, **reply.more})
        if not self._service.faults.events_first:
            reply.then()

    def _respond(self, event: RequestReceived, result: "JsonObject") -> None:
        self._late(
            lambda now: self.door.respond(event.request_id, result, now=now),
            extra=self._service.faults.delay_of.get(event.method, 0.0),
        )

    def _fail(self, event: RequestReceived, code: int, message: str) -> None:
        self._late(
            lambda now: self.door.fail(event.request_id, code=code, message=message, now=now),
            extra=self._service.faults.delay_of.get(event.method, 0.0),
        )

    # ------------------------------------------------------------------ what the client is told

    def push(self, event: "PushedEvent") -> None:
        """Tell an event."""
        self._late(
            lambda now: self.door.push(
                event.event_type, event.params, envelope=event.envelope, event_id=event.event_id, now=now
            )
        )

    def push_raw(self, text: str) -> None:
        """Say any text, however wrong it is."""
        self._late(lambda now: self.door.push_raw(text, now=now))

    def ask_to_leave(self, *, restart: bool) -> None:
        """Say that the connection is going to be closed; with ``restart`` the session is over, too."""
        if self.session is None or self.door.state is not RelayState.READY:
            return
        if restart:
            self.session.resumable = False
        self.session.detach(self)
        self._do(lambda now: self.door.ask_to_leave(restart=restart, now=now), RelayState.READY)

    def close(self, code: int | None) -> None:
        """Close the connection with that code; None ends it without a word."""
        now = anyio.current_time()
        if code is None:
            self.door.receive_close(now=now)
        else:
            self.door.close_connection(code=code, now=now)
        self._settle()

    def _leave(self) -> None:
        if self in self._service.desks:  # a connection may be lost before it was opened
            self._service.desks.remove(self)
        if self.session is not None:
            self.session.detach(self)
        self.gone.set()
        self._service.note_change()

    def _late(
        self, verb: Callable[[float], object], *, when: RelayState = RelayState.READY, extra: float = 0.0
    ) -> None:
        now, delay = anyio.current_time(), self._service.faults.delay
        due = max(now + delay, self._last_due)
        if due + extra <= now:
            self._do(verb, when)
            return
        if not extra:
            self._last_due = due
        self._service.clock.really_at(due + extra, lambda: self._do(verb, when))

    def _do(self, verb: Callable[[float], object], when: RelayState) -> None:
        if self.door.lost or self.door.state is not when:
            return  # too late: the client is gone, or was told to go
        verb(anyio.current_time())
        if not self._listening:
            self._settle()
