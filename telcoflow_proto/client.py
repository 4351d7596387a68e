"""What a client does over several control connections: connect, claim, offer calls, reconnect.

What makes one connection follow the other is in ``reconnect``; here is what they carry: claims, calls, sessions.
"""

from collections import OrderedDict
from contextlib import suppress
from typing import assert_never, final

import attrs

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.chance import Entropy
from telcoflow_proto.client_events import (
    CallIdentity,
    CallOffered,
    CallUnreachable,
    ClaimLost,
    ClientMachineEvent,
    ClientStatistics,
    SessionLost,
)
from telcoflow_proto.client_table import CLIENT_TABLE, LossVerdict, judge
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.connection import ControlClientConnection
from telcoflow_proto.control.events import ClientControlEvent, RequestDone, SetupCompleted
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    Channel,
    MessageIn,
    OpenSession,
    SessionClosed,
    SessionNotice,
)
from telcoflow_proto.control.table import ControlState, SessionState
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, DoorEvent, FrameDropped
from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.origin import check_media_url
from telcoflow_proto.reconnect import Reconnecting
from telcoflow_proto.replies import Outcome

_CLAIMED_ACTIVITIES = ("NEW_INCOMING_CALL", "RESUME")


@final
@attrs.define(eq=False, kw_only=True)
class _Held:
    """A session the application holds: what to do with it after a reconnect."""

    channel: str
    readied: bool = False


@final
class ClientMachine(Reconnecting[ControlClientConnection, ClientMachineEvent]):
    """A client's decisions over its whole life. Never raises for what the service or the network did.

    Call ``connect``, then obey ``TransportWanted`` and drive it like a byte door. ``accept_calls`` says that
    somebody handles calls: from then on announced ones are claimed, those announced before included.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        entropy: Entropy,
        backoff: Backoff | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(CLIENT_TABLE, entropy=entropy, backoff=backoff)
        self.config = config
        self._limits = limits
        self._calls: dict[str, tuple[CallIdentity, MediaClientConnection]] = {}
        self._of_session: dict[str, dict[str, MediaClientConnection]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._waiting: OrderedDict[str, SessionNotice] = OrderedDict()
        self._accepting = False
        self._claims: set[str] = set()
        self._held: dict[str, _Held] = {}
        self._resuming: set[str] = set()
        self._unclaimed: list[str] = []
        self._created: set[str] = set()
        self._flow: CallFlow | None = None
        self._offered = self._duplicates = self._claims_lost = self._notices_dropped = 0

    # ------------------------------------------------------------------ life

    def accept_calls(self, *, now: float) -> None:
        """Somebody handles calls now: claim what was announced already, and all that will be."""
        self._accepting = True
        waiting, self._waiting = self._waiting, OrderedDict()
        for notice in waiting.values():
            self._claim(notice, now)
        self._collect(now)

    def refuse_calls(self) -> None:
        """Claim nothing more; calls that are ours already go on."""
        self._accepting = False

    def release(self, call_id: str) -> None:
        """Forget a call that is over. Its id stays remembered, so a repeated offer is not a new call."""
        identity, _ = self._calls.pop(call_id, (None, None))
        if identity is not None:
            of_session = self._of_session[identity.session_id]
            del of_session[call_id]
            if not of_session:
                del self._of_session[identity.session_id]

    def calls_of(self, session_id: str) -> list[str]:
        """Return the ids of the calls of a session that were not released."""
        return list(self._of_session.get(session_id, ()))

    # ------------------------------------------------------------------ requests of the application

    def open_session(self, session_id: str, *, now: float) -> str:
        """Claim a session for the application; ``RequestDone`` tells how it went.

        This and the other requests raise LocalProtocolError while there is no control connection.
        """
        return self._ready_control().open_session(session_id, now=now)

    def create_session(self, *, channel: str, remote_address: str, now: float) -> str:
        """Start a session from our side; it is claimed like any other."""
        return self._ready_control().create_session(channel=channel, remote_address=remote_address, now=now)

    def ready(self, session_id: str, *, now: float) -> None:
        """Ask for the events of a session the application has claimed."""
        self._ready_control().ready(session_id, now=now)
        self._held[session_id].readied = True

    def forget_session(self, session_id: str) -> None:
        """A session was closed otherwise than on the control connection, which may never hear of it."""
        self._held.pop(session_id, None)
        self._created.discard(session_id)
        if self._control is not None:
            self._control.forget_session(session_id)

    def send_message(self, session_id: str, content: JsonObject, *, now: float) -> str:
        """Send a message in a session that is ready."""
        return self._ready_control().send_message(session_id, content, now=now)

    def set_up_call_flow(self, flow: CallFlow, *, now: float) -> str:
        """Say what the service shall send our way; said again after every reconnect."""
        request_id = self._ready_control().set_up_call_flow(flow, now=now)
        self._flow = flow
        return request_id

    def _ready_control(self) -> ControlClientConnection:
        if self._control is None or self._control.state is not ControlState.READY:
            raise LocalProtocolError(f"there is no control connection: the client is {self.state.value}")
        return self._control

    def _say_ready(self, session_id: str, now: float) -> None:
        """The session, or the connection, may have ended in the bytes right behind the response."""
        if self._control is not None and self._control.session_state(session_id) is SessionState.CLAIMED:
            self._control.ready(session_id, now=now)

    def statistics(self) -> ClientStatistics:
        """Return a frozen snapshot. Legal in every state."""
        return ClientStatistics(
            state=self.state,
            connections=self._connections,
            calls_offered=self._offered,
            calls_live=len(self._calls),
            duplicates=self._duplicates,
            claims_lost=self._claims_lost,
            notices_waiting=len(self._waiting),
            notices_dropped=self._notices_dropped,
            bad_frames=self._bad_frames,
        )

    # ------------------------------------------------------------------ inside: connections

    def _new_connection(self) -> ControlClientConnection:
        return ControlClientConnection(
            url=self.config.control_url,
            credentials=self.config.credentials,
            entropy=self._entropy,
            sample_rate=self.config.sample_rate,
            audio_mode=self.config.audio_mode,
            limits=self._limits,
        )

    def _decide(self, control: ControlClientConnection, now: float) -> bool:
        batch = list(control.events())
        for event in batch:
            self._on_control_event(event, now)
        return bool(batch)

    def _on_control_event(self, event: ClientControlEvent | DoorEvent, now: float) -> None:
        match event:
            case SetupCompleted():
                self._became_ready(now)
                self._resume(now)
            case SessionNotice():
                self._on_notice(event, now)
            case RequestDone():
                self._on_request_done(event, now)
                self._claim_waiting(now)
            case CallIn():
                self._on_call(event)
            case SessionClosed():
                self._on_session_closed(event, now)
            case ConnectionLost():
                self._on_lost(event, now)
            case MessageIn() | FrameDropped():
                self.happened.append(event)
            case ConnectionOpened() | UpgradeRequested():
                pass
            case _:
                assert_never(event)

    def _on_lost(self, lost: ConnectionLost, now: float) -> None:
        self._claims.clear()
        self._resuming.clear()
        self._unclaimed.clear()
        self._lost_connection(lost, now)

    def _judge(self, lost: ConnectionLost) -> LossVerdict:
        return judge(lost)

    # ------------------------------------------------------------------ inside: claims and calls

    def _on_notice(self, notice: SessionNotice, now: float) -> None:
        self.happened.append(notice)
        if notice.channel != "TELCO" or notice.activity not in _CLAIMED_ACTIVITIES:
            return
        if self._accepting:
            self._claim(notice, now)
        else:
            self._keep(notice)

    def _keep(self, notice: SessionNotice) -> None:
        """Remember what is announced until it can be claimed; where there is too much of it, the oldest goes."""
        self._waiting[notice.session_id] = notice
        if len(self._waiting) > self._limits.waiting_notices:
            self._waiting.popitem(last=False)
            self._notices_dropped += 1

    def _claim(self, notice: SessionNotice, now: float) -> None:
        if self._control is None or self._control.state is not ControlState.READY:
            return  # announced again on the next connection
        if (
            notice.session_id in self._of_session
            or self._control.session_state(notice.session_id) is not SessionState.UNCLAIMED
        ):
            self._duplicates += 1
            return
        try:
            self._claims.add(self._control.open_session(notice.session_id, now=now))
        except LocalProtocolError:
            self._keep(notice)  # too many claims await their answer: with the next one comes its turn

    def _claim_waiting(self, now: float) -> None:
        """Every answer makes room for another claim."""
        while self._accepting and self._waiting:
            session_id, notice = self._waiting.popitem(last=False)
            self._claim(notice, now)
            if session_id in self._waiting:
                self._waiting.move_to_end(session_id, last=False)
                return

    def _resume(self, now: float) -> None:
        """The service knows nothing of the connection before: claim again what can be claimed again."""
        control = self._control
        if control is None or control.state is not ControlState.READY:
            return
        if self._flow is not None:
            control.set_up_call_flow(self._flow, now=now)
        for session_id, held in list(self._held.items()):
            if held.channel != Channel.WA:
                self._lose(session_id)
        self._unclaimed = list(self._held)
        self._claim_again(now)

    def _claim_again(self, now: float) -> None:
        """As many as may wait for their answers at once; every answer makes room for another."""
        with suppress(LocalProtocolError):
            while self._unclaimed:
                if self._unclaimed[0] in self._held:
                    self._resuming.add(self._ready_control().open_session(self._unclaimed[0], now=now))
                del self._unclaimed[0]

    def _lose(self, session_id: str) -> None:
        del self._held[session_id]
        self.happened.append(SessionLost(session_id=session_id))

    def _on_request_done(self, done: RequestDone, now: float) -> None:
        if not isinstance(done.request, OpenSession):
            if done.session_id is not None and done.created:
                self._created.add(done.session_id)
            self.happened.append(done)
            return
        session_id = done.request.session_id
        if done.request_id in self._resuming:
            self._resuming.discard(done.request_id)
            self._on_resumed(session_id, done.outcome, now)
            self._claim_again(now)
            return
        if done.request_id not in self._claims:
            if done.session is not None:
                self._held[session_id] = _Held(channel=done.session.channel)
            self.happened.append(done)
            return
        self._claims.discard(done.request_id)
        if done.outcome is Outcome.DONE:
            self._say_ready(session_id, now)
            return
        self._claims_lost += 1
        self.happened.append(ClaimLost(session_id=session_id, outcome=done.outcome, error_code=done.error_code))

    def _on_resumed(self, session_id: str, outcome: Outcome, now: float) -> None:
        held = self._held.get(session_id)
        if held is None or outcome is Outcome.LOST:
            return  # closed meanwhile, or the next connection will tell
        if outcome is not Outcome.DONE:
            self._lose(session_id)
        elif held.readied:
            self._say_ready(session_id, now)

    def _on_call(self, call: CallIn) -> None:
        if call.call_id in self._seen:
            self._duplicates += 1
            return
        self._seen[call.call_id] = None
        if len(self._seen) > self._limits.remembered_ids:
            self._seen.popitem(last=False)
        config = self.config
        try:
            url = check_media_url(call.url, control=config.control_url, allowed_hosts=config.media_hosts)
        except RemoteProtocolError as error:
            self.happened.append(CallUnreachable(call_id=call.call_id, error=error))
            return
        identity = CallIdentity(
            call_id=call.call_id,
            session_id=call.session_id,
            caller=call.caller,
            callee=call.callee,
            direction="MO" if call.session_id in self._created else "MT",
        )
        media = MediaClientConnection(
            url=url,
            token=call.token,
            entropy=self._entropy,
            sample_rate=config.sample_rate,
            isolated=config.isolated,
            buffer_size=config.buffer_size,
            limits=self._limits,
        )
        self.release(call.call_id)  # one that goes on for so long that its id is no longer remembered
        self._calls[call.call_id] = (identity, media)
        self._of_session.setdefault(call.session_id, {})[call.call_id] = media
        self._offered += 1
        self.happened.append(CallOffered(identity=identity, media=media))

    def _on_session_closed(self, closed: SessionClosed, now: float) -> None:
        self._waiting.pop(closed.session_id, None)
        self._held.pop(closed.session_id, None)
        self._created.discard(closed.session_id)
        for media in self._of_session.get(closed.session_id, {}).values():
            media.session_closed(closed.reason, now=now)
        self.happened.append(closed)
