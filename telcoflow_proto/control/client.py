"""The client role of one control connection: set-up, claims, requests with deadlines, what is pushed."""

import attrs

from telcoflow_proto.chance import Entropy
from telcoflow_proto.control.codec import decode_control, decode_session, encode_control
from telcoflow_proto.control.events import ClientControlEvent, RequestDone, SetupCompleted
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    CreateSession,
    MessageIn,
    OpenSession,
    Request,
    Requested,
    Response,
    SendMessage,
    SessionClosed,
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
from telcoflow_proto.errors import LocalProtocolError, PeerSilent, RemoteProtocolError
from telcoflow_proto.fields import Fields
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.machine import Machine, Row
from telcoflow_proto.replies import Expected, Outcome, Replies
from telcoflow_proto.roles import Role
from telcoflow_proto.timers import earliest

SETUP_WITHIN = 10.0
RESPONSE_WITHIN = 30.0
_API_VERSION = "v19.0"


class ControlClient(MessageDoor[ClientControlEvent]):
    """The agent's end of one control connection, for who has WebSocket messages.

    ``setup`` leaves by itself when the connection opens; requests are allowed from ``SetupCompleted`` on.
    They return a request id; the matching ``RequestDone`` tells how it went.
    """

    def __init__(
        self,
        *,
        entropy: Entropy,
        sample_rate: int = 24000,
        audio_mode: str = "mixed",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(Role.CLIENT, entropy=entropy, limits=limits)
        self._setup = Setup(sample_rate=sample_rate, audio_mode=audio_mode)
        self._machine = Machine(CONTROL_TABLE, Role.CLIENT)
        self._sessions: dict[str, Machine[SessionState, SessionWord]] = {}
        self._replies: Replies[Request] = Replies(limits.pending_requests)
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

    def open_session(self, session_id: str, *, now: float) -> str:
        """Claim a session. Raises LocalProtocolError if it is claimed already or the set-up is not done."""
        session = self._sessions.get(session_id) or Machine(SESSION_TABLE, Role.CLIENT)
        session.check(SessionWord.OPEN)
        request_id = self._request(OpenSession(session_id=session_id), now)
        session.say(SessionWord.OPEN)
        self._sessions[session_id] = session
        return request_id

    def create_session(self, *, channel: str, remote_address: str, now: float) -> str:
        """Start a session from our side; claim it with ``open_session`` when this is done."""
        return self._request(CreateSession(channel=channel, remote_address=remote_address), now)

    def ready(self, session_id: str, *, now: float) -> None:
        """Ask for this session's events: call after everything that handles them is in place."""
        self._now = now
        self._machine.check(ControlWord.SESSION_READY)
        self._session(session_id).say(SessionWord.READY)
        self._machine.say(ControlWord.SESSION_READY)
        self._say(encode_control(SessionReady(session_id=session_id)))

    def forget_session(self, session_id: str) -> None:
        """A session was closed otherwise than on this connection: it may be opened again."""
        self._forget_closed(session_id)

    def send_message(self, session_id: str, content: JsonObject, *, now: float) -> str:
        """Send a message in a WA session that is ready."""
        self._session(session_id).check(SessionWord.MESSAGE_OUT)
        request = SendMessage(
            session_id=session_id,
            client_message_id=self._chance.identifier(),
            api_version=_API_VERSION,
            content=content,
        )
        return self._request(request, now)

    def set_up_call_flow(self, flow: CallFlow, *, now: float) -> str:
        """Say what the service shall send our way; it forgets this with the connection."""
        return self._request(SetUpCallFlow(flow=flow), now)

    def _request(self, request: Request, now: float) -> str:
        self._now = now
        self._machine.check(ControlWord.REQUEST)
        request_id = self._chance.identifier()
        text = encode_control(Requested(request_id=request_id, request=request))
        self._replies.expect(request_id, request, now=now, within=RESPONSE_WITHIN)
        self._machine.say(ControlWord.REQUEST)
        self._say(text)
        return request_id

    def _session(self, session_id: str) -> Machine[SessionState, SessionWord]:
        session = self._sessions.get(session_id)
        if session is None:
            raise LocalProtocolError("this session is not claimed on this connection; open it first")
        return session

    # ------------------------------------------------------------------ hearing

    def _on_open(self, now: float) -> None:
        self._machine.say(ControlWord.SETUP)
        self._setup_by = now + SETUP_WITHIN
        self._say(encode_control(self._setup))

    def _on_text(self, text: str, now: float) -> None:
        message = decode_control(text, sender=Role.SERVER, limits=self._limits)
        match message:
            case SetupDone():
                row = self._machine.hear(ControlWord.SETUP_DONE)
                if row is not None and not row.crossing:
                    self._setup_by = None
                    self.happened.append(SetupCompleted(connection_id=message.connection_id))
            case Response():
                self._on_response(message)
            case SessionNotice():
                if self._machine.hear(ControlWord.NOTIFY):
                    self.happened.append(message)
            case CallIn():
                pushed = self._pushed(message.session_id, ControlWord.CALL_IN, SessionWord.CALL_IN)
                if pushed is not None and pushed.next_state is not pushed.state:
                    self.happened.append(message)
            case MessageIn():
                if self._pushed(message.session_id, ControlWord.MESSAGE_IN, SessionWord.MESSAGE_IN):
                    self.happened.append(message)
            case SessionClosed():
                # Told even of sessions this connection does not know: their calls may outlive the one that did.
                if self._machine.hear(ControlWord.SESSION_CLOSED):
                    self._forget_closed(message.session_id)
                    self.happened.append(message)
            case _:
                self.unexpected += 1

    def _on_binary(self, data: bytes, now: float) -> None:
        raise RemoteProtocolError("a binary message on the control connection", close_code=1003)

    def _pushed(
        self, session_id: str, word: ControlWord, session_word: SessionWord
    ) -> Row[SessionState, SessionWord] | None:
        """Return the session's row for what was pushed; None, and counted, where it has none."""
        self._machine.hear(word)
        session = self._sessions.get(session_id)
        row = None if session is None else session.hear(session_word)
        if row is None:
            self.unexpected += 1
        return row

    def _forget_closed(self, session_id: str) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            return
        session.hear(SessionWord.CLOSED)
        if session.state is SessionState.CLOSED:
            del self._sessions[session_id]

    def _on_response(self, response: Response) -> None:
        expected = self._replies.take(response.request_id)
        if expected is None:
            self.unexpected += 1
            return
        done = _read_response(expected, response, self._limits)
        if isinstance(done.request, OpenSession):
            self._sessions[done.request.session_id].hear(
                SessionWord.OPENED if done.outcome is Outcome.DONE else SessionWord.REFUSED
            )
            if done.outcome is not Outcome.DONE:
                del self._sessions[done.request.session_id]
        self.happened.append(done)

    # ------------------------------------------------------------------ the end, and time

    def _on_lost(self, now: float) -> None:
        self._machine.say(ControlWord.LOST)
        self._settle(self._replies.drain(), Outcome.LOST)
        self._sessions.clear()

    def _settle(self, ended: list[Expected[Request]], outcome: Outcome) -> None:
        for expected in ended:
            if isinstance(expected.asked, OpenSession):
                self._sessions.pop(expected.asked.session_id, None)
            self.happened.append(RequestDone(request_id=expected.id, request=expected.asked, outcome=outcome))

    def _deadline(self) -> float | None:
        return earliest(self._replies.next_deadline(), self._setup_by)

    def _on_timeout(self, now: float) -> None:
        self._settle(self._replies.overdue(now), Outcome.TIMED_OUT)
        if self._setup_by is not None and now >= self._setup_by:
            self._setup_by = None
            self.receive_close(error=PeerSilent("the set-up was not confirmed in time"), now=now)


def _read_response(expected: Expected[Request], response: Response, limits: Limits) -> RequestDone:
    """Pair a response with what was asked; one that does not fit counts as refused, with a code that says so."""
    request = expected.asked
    done = RequestDone(
        request_id=expected.id,
        request=request,
        outcome=Outcome.DONE if response.ok else Outcome.REFUSED,
        content=response.content,
        error_code=response.error_code,
        error_content=response.error_content,
    )
    if not response.ok or not isinstance(request, OpenSession | CreateSession):
        return done
    try:
        content = Fields("response", {"content": response.content}, limits).inner("content")
        if isinstance(request, OpenSession):
            session = decode_session(content.anything("session"), limits)
            if session.id != request.session_id:
                return attrs.evolve(done, outcome=Outcome.REFUSED, error_code="INVALID_RESPONSE")
            return attrs.evolve(done, session=session, session_id=session.id)
        created = content.optional_boolean("created", default=True)
        return attrs.evolve(done, session_id=content.text("sessionId"), created=created)
    except RemoteProtocolError:
        return attrs.evolve(done, outcome=Outcome.REFUSED, error_code="INVALID_RESPONSE")
