"""The server role of one control connection: hears set-up and requests, answers them, pushes what happens."""

from telcoflow_proto.chance import Entropy
from telcoflow_proto.control.codec import decode_control, encode_control, encode_session
from telcoflow_proto.control.events import (
    RequestReceived,
    ServerControlEvent,
    SessionReadied,
    SetupRequested,
)
from telcoflow_proto.control.messages import (
    AUDIO_MODES,
    SAMPLE_RATES,
    CallIn,
    ControlMessage,
    CreateSession,
    MessageIn,
    OpenSession,
    Request,
    Requested,
    Response,
    SendMessage,
    SessionClosed,
    SessionInfo,
    SessionNotice,
    SessionReady,
    Setup,
    SetUpCallFlow,
    SetupDone,
)
from telcoflow_proto.control.table import (
    CONTROL_TABLE,
    SESSION_TABLE,
    ControlState,
    ControlWord,
    SessionState,
    SessionWord,
)
from telcoflow_proto.door import MessageDoor
from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.jsontext import Json
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.machine import Machine
from telcoflow_proto.replies import Replies
from telcoflow_proto.roles import Role
from telcoflow_proto.timers import earliest

_SETUP_WITHIN = 10.0
_ANSWER_WITHIN = 30.0


class ControlServer(MessageDoor[ServerControlEvent]):
    """The service's end of one control connection, for who has WebSocket messages.

    ``SetupRequested`` wants ``complete_setup``; every ``RequestReceived`` wants ``respond`` or ``refuse``.
    """

    def __init__(self, *, entropy: Entropy, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(Role.SERVER, entropy=entropy, limits=limits)
        self._machine = Machine(CONTROL_TABLE, Role.SERVER)
        self._sessions: dict[str, Machine[SessionState, SessionWord]] = {}
        self._requests: Replies[Request] = Replies(limits.pending_requests)
        self._setup_by: float | None = None
        self.unexpected = 0

    @property
    def state(self) -> ControlState:
        """Where the connection stands."""
        return self._machine.state

    def session_state(self, session_id: str) -> SessionState:
        """Where a session stands on this connection; UNCLAIMED for one it does not know."""
        session = self._sessions.get(session_id)
        return SessionState.UNCLAIMED if session is None else session.state

    # ------------------------------------------------------------------ saying

    def complete_setup(self, *, connection_id: str | None = None, now: float) -> None:
        """Accept the set-up."""
        self._push(ControlWord.SETUP_DONE, SetupDone(connection_id=connection_id), now)

    def open_succeeded(self, request_id: str, session: SessionInfo, *, now: float) -> None:
        """Give the session to this client: the answer to an ``OpenSession``."""
        self._machine.check(ControlWord.RESPONSE)
        claimed = self._session(session.id)
        claimed.check(SessionWord.OPENED)
        self._take(request_id, OpenSession)
        claimed.say(SessionWord.OPENED)
        self._answer(Response(request_id=request_id, ok=True, content={"session": encode_session(session)}), now)

    def create_succeeded(self, request_id: str, session_id: str, *, created: bool, now: float) -> None:
        """Tell which session a ``CreateSession`` led to, and whether it is new. The client claims it next."""
        self._machine.check(ControlWord.RESPONSE)
        self._take(request_id, CreateSession)
        content: Json = {"sessionId": session_id, "created": created}
        self._answer(Response(request_id=request_id, ok=True, content=content), now)

    def respond(self, request_id: str, *, content: Json = None, now: float) -> None:
        """Answer a request about messages or call flow."""
        self._machine.check(ControlWord.RESPONSE)
        self._take(request_id, SendMessage, SetUpCallFlow)
        self._answer(Response(request_id=request_id, ok=True, content=content), now)

    def refuse(self, request_id: str, *, error_code: str, error_content: Json = None, now: float) -> None:
        """Refuse any request with one of the wire's error codes."""
        self._machine.check(ControlWord.RESPONSE)
        request = self._take(request_id, OpenSession, CreateSession, SendMessage, SetUpCallFlow)
        if isinstance(request, OpenSession):
            self._sessions.pop(request.session_id).say(SessionWord.REFUSED)
        self._answer(Response(request_id=request_id, ok=False, error_code=error_code, error_content=error_content), now)

    def notify(self, notice: SessionNotice, *, now: float) -> None:
        """Announce that something waits for an agent."""
        self._push(ControlWord.NOTIFY, notice, now)

    def offer_call(self, call: CallIn, *, now: float) -> None:
        """Push the call of a session this client has claimed and is ready for."""
        self._machine.check(ControlWord.CALL_IN)
        self._session(call.session_id).say(SessionWord.CALL_IN)
        self._push(ControlWord.CALL_IN, call, now)

    def push_message(self, message: MessageIn, *, now: float) -> None:
        """Push a message of a session this client has claimed and is ready for."""
        self._machine.check(ControlWord.MESSAGE_IN)
        self._session(message.session_id).say(SessionWord.MESSAGE_IN)
        self._push(ControlWord.MESSAGE_IN, message, now)

    def close_session(self, session_id: str, reason: str, *, now: float) -> None:
        """Tell that a session is over; a claim of it that still waits is refused first."""
        self._machine.check(ControlWord.SESSION_CLOSED)
        for claim in self._requests.waiting():
            if claim.asked == OpenSession(session_id=session_id):
                self.refuse(claim.id, error_code="SESSION_CLOSED", now=now)
        self._push(ControlWord.SESSION_CLOSED, SessionClosed(session_id=session_id, reason=reason), now)
        self._sessions.pop(session_id, None)

    def _push(self, word: ControlWord, message: ControlMessage, now: float) -> None:
        self._now = now
        self._machine.say(word)
        self._say(encode_control(message))

    def _answer(self, response: Response, now: float) -> None:
        self._push(ControlWord.RESPONSE, response, now)

    def _take(self, request_id: str, *kinds: type[Request]) -> Request:
        expected = self._requests.get(request_id)
        if expected is None:
            raise LocalProtocolError("this request is not waiting for an answer: answered, late or unknown")
        if not isinstance(expected.asked, kinds):
            raise LocalProtocolError(f"this is no answer to a request of the kind {type(expected.asked).__name__}")
        self._requests.take(request_id)
        return expected.asked

    def _session(self, session_id: str) -> Machine[SessionState, SessionWord]:
        session = self._sessions.get(session_id)
        if session is None:
            raise LocalProtocolError("this session is not claimed on this connection")
        return session

    # ------------------------------------------------------------------ hearing

    def _on_open(self, now: float) -> None:
        self._setup_by = now + _SETUP_WITHIN

    def _on_text(self, text: str, now: float) -> None:
        message = decode_control(text, sender=Role.CLIENT, limits=self._limits)
        match message:
            case Setup():
                if message.sample_rate not in SAMPLE_RATES or message.audio_mode not in AUDIO_MODES:
                    raise RemoteProtocolError("setup: sample rate or audio mode is not one of their values")
                if self._machine.hear(ControlWord.SETUP) is None:
                    raise RemoteProtocolError("setup was said twice")
                self._setup_by = None
                self.happened.append(SetupRequested(setup=message))
            case Requested():
                self._on_request(message, now)
            case SessionReady():
                self._on_ready(message.session_id)
            case _:
                self.unexpected += 1

    def _on_ready(self, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            return  # over: the client said this before it heard so
        row = session.hear(SessionWord.READY)
        if row is None:
            self.unexpected += 1
        elif row.next_state is not row.state:
            self.happened.append(SessionReadied(session_id=session_id))

    def _on_request(self, requested: Requested, now: float) -> None:
        if self._machine.hear(ControlWord.REQUEST) is None:
            raise RemoteProtocolError("a request came before the set-up was done")
        if self._requests.knows(requested.request_id):
            self.unexpected += 1
            return
        problem = self._problem(requested.request)
        if problem is not None:
            self._answer(Response(request_id=requested.request_id, ok=False, error_code=problem), now)
            return
        self._requests.expect(requested.request_id, requested.request, now=now, within=_ANSWER_WITHIN)
        self.happened.append(RequestReceived(requested=requested))

    def _problem(self, request: Request) -> str | None:
        """Return the error code for a request the sessions' table forbids."""
        if len(self._requests) >= self._limits.pending_requests:
            return "QUOTA_EXCEEDED"
        if isinstance(request, OpenSession):
            session = self._sessions.setdefault(request.session_id, Machine(SESSION_TABLE, Role.SERVER))
            return None if session.hear(SessionWord.OPEN) else "INVALID_REQUEST"
        if isinstance(request, SendMessage):
            claimed = self._sessions.get(request.session_id)
            return None if claimed is not None and claimed.hear(SessionWord.MESSAGE_OUT) else "SESSION_NOT_OPEN"
        return None

    def _on_binary(self, data: bytes, now: float) -> None:
        raise RemoteProtocolError("a binary message on the control connection", close_code=1003)

    # ------------------------------------------------------------------ the end, and time

    def _on_lost(self, now: float) -> None:
        self._machine.hear(ControlWord.LOST)
        self._requests.drain()
        self._sessions.clear()

    def _deadline(self) -> float | None:
        return earliest(self._requests.next_deadline(), self._setup_by)

    def _on_timeout(self, now: float) -> None:
        for late in self._requests.overdue(now):
            if isinstance(late.asked, OpenSession):
                self._sessions.pop(late.asked.session_id, None)
        if self._setup_by is not None and now >= self._setup_by:
            self._setup_by = None
            self.close_connection(code=1008, reason="no setup in time", now=now)
