"""What a RELAY client does over several connections: authenticate, resume, route events, reconcile, queue.

What makes one connection follow the other is in ``telcoflow_proto.reconnect``; calls and actions are the
registry's, dials and messages have rooms of their own. Here is who gets what.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import assert_never, final

import attrs

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.chance import Entropy
from telcoflow_proto.client_table import ClientState, LossVerdict
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, DoorEvent, FrameDropped
from telcoflow_proto.errors import HandshakeRefused, LimitExceeded, LocalProtocolError, RemoteProtocolError
from telcoflow_proto.fields import Fields
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import JsonObject, encode_object
from telcoflow_proto.limits import RELAY_LIMITS, Limits
from telcoflow_proto.reconnect import Reconnecting
from telcoflow_proto.relay.client import RESPONSE_WITHIN
from telcoflow_proto.relay.client_events import (
    ActionEnd,
    CallRecord,
    DialOver,
    MessageArrived,
    RelayMachineEvent,
    RelayStatistics,
)
from telcoflow_proto.relay.config import RelayConfig
from telcoflow_proto.relay.connection import RelayClientConnection
from telcoflow_proto.relay.dialling import DIAL_WITHIN, Dials, HangUps, winner_of
from telcoflow_proto.relay.messages import (
    Authenticated,
    AuthenticationRefused,
    ClientRelayEvent,
    EventArrived,
    Replied,
    Resumption,
    ServerLeaves,
)
from telcoflow_proto.relay.messaging import SentMessages
from telcoflow_proto.relay.methods import ActionKind
from telcoflow_proto.relay.probing import Probes
from telcoflow_proto.relay.registry import CALL_STATE, CallRegistry
from telcoflow_proto.relay.resolution import Rule
from telcoflow_proto.relay.table import RELAY_CLIENT_TABLE, RelayState
from telcoflow_proto.replies import Outcome
from telcoflow_proto.secret import Secret
from telcoflow_proto.timers import earliest

CALLS_SURVIVE = 300.0
"""Seconds without a connection after which calls are given up: who waits for one shall not wait for ever."""

REFUSALS_BEFORE_FIRST_SUCCESS = 3
GONE_CODES = frozenset({404, 410})

_PROBE = ("calling.clear_digit_bindings", "telcoflow-nobody-uses-this-realm")
"""Asks whether a call exists by something that changes nothing: clearing bindings that were never made."""
_LASTING = frozenset({-32001, -32002, -32003, -32401})
"""Errors that another attempt with the same credentials will meet again; all others pass."""
_LASTING_STATUS = frozenset({401, 403})


@final
@attrs.frozen(kw_only=True)
class _Queued:
    """A request that waits for a connection."""

    method: str
    params: JsonObject
    due_at: float


@final
@attrs.frozen(kw_only=True)
class _Starting:
    """The action a request is about to start."""

    call_id: str
    control_id: str


@final
class RelayMachine(Reconnecting[RelayClientConnection, RelayMachineEvent]):
    """A RELAY client's decisions over its whole life. Never raises for what the service or the network did."""

    def __init__(
        self,
        config: RelayConfig,
        *,
        entropy: Entropy,
        backoff: Backoff | None = None,
        limits: Limits = RELAY_LIMITS,
    ) -> None:
        super().__init__(RELAY_CLIENT_TABLE, entropy=entropy, backoff=backoff)
        self.config = config
        self.protocol = ""
        self.restored = False
        self.refusal: AuthenticationRefused | None = None
        self._limits = limits
        self._authorization_state: Secret | None = None
        self._contexts: list[str] = list(config.contexts)
        self._refusals = 0
        self._refused_now = False
        self._calls_survive_until: float | None = None
        self._registry = CallRegistry(self.happened.append, most=config.max_active_calls, limits=limits)
        self._hang_ups = HangUps(self._ask_to_end, limits=limits)
        self._dials = Dials(self._on_dial_over, self._hang_ups.hang_up, limits=limits)
        self._messages = SentMessages(limits=limits)
        self._queue: dict[str, _Queued] = {}
        self._starting: dict[str, _Starting] = {}
        self._dialling: dict[str, str] = {}
        self._asked_contexts: dict[str, list[str]] = {}
        self._quiet: set[str] = set()
        self._probes = Probes(self._registry, self._ask_for)
        self._fingerprints: OrderedDict[tuple[str | int, int], None] = OrderedDict()
        self._duplicates = self._bad_events = 0
        self._now = 0.0
        self._routes: dict[str, Callable[[EventArrived], None]] = {
            "signalwire.authorization.state": self._on_authorization_state,
            "messaging.receive": self._on_message,
            "messaging.state": self._on_message_state,
            "calling.call.receive": self._on_call,
            "calling.call.dial": self._on_dial,
            CALL_STATE: self._on_call_state,
        }

    # ------------------------------------------------------------------ requests of the application

    @property
    def contexts(self) -> list[str]:
        """The contexts this client listens to, those added at run time included."""
        return list(self._contexts)

    def call(self, call_id: str) -> CallRecord | None:
        """Return a call that is not over."""
        return self._registry.get(call_id)

    def request(self, method: str, params: JsonObject, *, now: float) -> str:
        """Ask for something by its full method name and return the request id; ``Replied`` tells how it went.

        Without a connection it waits for one, as long as it would wait for an answer. Raises LocalProtocolError
        when the client is closed or was not connected, or when too many requests wait.
        """
        self._now = now
        request_id = self._chance.identifier()
        self._send(request_id, method, params, now)
        return request_id

    def start_action(
        self,
        *,
        call_id: str,
        method: str,
        params: JsonObject,
        control_id: str,
        kind: ActionKind,
        over: Rule | None = None,
        now: float,
    ) -> str:
        """Ask for an action; its events count from now on. Raises as ``request`` does, and for an id in use.

        ``Replied`` tells whether it started, ``ActionOver`` when it is over, in either order.
        """
        self._now = now
        self._registry.start(call_id, control_id, kind, over)
        request_id = self._chance.identifier()
        self._starting[request_id] = _Starting(call_id=call_id, control_id=control_id)
        try:
            self._send(request_id, method, params, now)
        except Exception:
            del self._starting[request_id]
            self._registry.refused(call_id, control_id)
            raise
        return request_id

    def dial(self, params: JsonObject, *, tag: str, within: float = DIAL_WITHIN, now: float) -> None:
        """Dial; ``DialOver`` tells how it went. ``params`` are those of ``calling.dial``, without the tag.

        Raises LocalProtocolError as ``request`` does, and for a tag that is in use.
        """
        self._now = now
        self._dials.begin(tag, within=within, now=now)
        request_id = self._chance.identifier()
        self._dialling[request_id] = tag
        try:
            self._send(request_id, "calling.dial", {"tag": tag, **params}, now)
        except Exception:
            del self._dialling[request_id]
            self._dials.failed(tag, "it was never asked for")
            self.happened.pop()
            raise

    def give_up_dial(self, tag: str, *, now: float) -> None:
        """Nobody waits for a dial any more: what rings is hung up, and what answers later."""
        self._now = now
        self._dials.give_up(tag, "it was given up")

    def hang_up(self, call_id: str, *, now: float) -> None:
        """End a call nobody owns, without waiting for the answer."""
        self._now = now
        record = self._registry.get(call_id)
        if record is not None:
            self._hang_ups.hang_up(record)

    def receive(self, contexts: Iterable[str], *, now: float) -> str | None:
        """Listen to further contexts, after a reconnect too. Returns the request id, None if there are none."""
        added = list(dict.fromkeys(contexts))
        if not added:
            return None
        request_id = self.request("signalwire.receive", {"contexts": list(added)}, now=now)
        new = [context for context in added if context not in self._contexts]
        self._contexts += new
        self._asked_contexts[request_id] = new
        return request_id

    def unreceive(self, contexts: Iterable[str], *, now: float) -> str | None:
        """Listen to these contexts no more. Returns the request id, None if there are none."""
        removed = list(dict.fromkeys(contexts))
        if not removed:
            return None
        request_id = self.request("signalwire.unreceive", {"contexts": list(removed)}, now=now)
        self._contexts = [context for context in self._contexts if context not in removed]
        return request_id

    def statistics(self) -> RelayStatistics:
        """Return a frozen snapshot. Legal in every state."""
        return RelayStatistics(
            state=self.state,
            connections=self._connections,
            calls_live=len(self._registry),
            actions_live=self._registry.actions,
            requests_queued=len(self._queue),
            duplicates=self._duplicates + self._registry.duplicates,
            calls_turned_away=self._registry.turned_away,
            bad_frames=self._bad_frames,
            bad_events=self._bad_events,
            unrouted=self._registry.unrouted + self._messages.unrouted,
        )

    def _send(self, request_id: str, method: str, params: JsonObject, now: float) -> None:
        if self._control is not None and self._control.state is RelayState.READY:
            self._control.request(method, params, request_id=request_id, now=now)
        elif self.state in {ClientState.IDLE, ClientState.CLOSING, ClientState.CLOSED}:
            raise LocalProtocolError(f"there is no connection: the client is {self.state.value}")
        elif len(self._queue) >= min(self._limits.queued_requests, self._limits.pending_requests):
            raise LocalProtocolError(f"Execute queue full: {len(self._queue)} requests wait for a connection already")
        else:
            encode_object(params)  # what cannot be said is told to who said it, not when the connection is back
            self._queue[request_id] = _Queued(method=method, params=params, due_at=now + RESPONSE_WITHIN)

    def _send_quietly(self, method: str, params: JsonObject) -> str | None:
        """Ask for something nobody waits for; None if it cannot be asked now, on the connection of the moment."""
        if self._control is None or self._control.state is not RelayState.READY:
            return None
        request_id = self._chance.identifier()
        try:
            self._send(request_id, method, params, self._now)
        except LocalProtocolError:
            return None
        self._quiet.add(request_id)
        return request_id

    # ------------------------------------------------------------------ connections

    def close(self, *, now: float) -> None:
        """End: calls are left to themselves, the connection is closed in order, and there is no other one."""
        self._now = now
        self._dials.give_up_all(ActionEnd.DISCONNECTED.value)  # while a hang-up can still be said
        super().close(now=now)
        self._settle_everything(ActionEnd.DISCONNECTED)

    def next_deadline(self) -> float | None:
        """Return when ``handle_timeout`` must be called next, in monotonic seconds, or None."""
        return earliest(
            super().next_deadline(),
            self._calls_survive_until,
            self._dials.next_deadline(),
            self._probes.next_deadline(),
            min((one.due_at for one in self._queue.values()), default=None) if self._queue else None,
        )

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due at ``now``. Early, late and repeated calls are harmless."""
        self._now = now
        super().handle_timeout(now=now)
        self._expire_queued(now)
        self._dials.handle_timeout(now)
        self._probes.handle_timeout(now)
        if self._calls_survive_until is not None and now >= self._calls_survive_until:
            self._settle_everything(ActionEnd.CONNECTION_LOST)

    def _new_connection(self) -> RelayClientConnection:
        return RelayClientConnection(
            url=self.config.url,
            credentials=self.config.credentials,
            contexts=self._contexts,
            resumption=Resumption(protocol=self.protocol, authorization_state=self._authorization_state),
            entropy=self._entropy,
            limits=self._limits,
        )

    def _decide(self, control: RelayClientConnection, now: float) -> bool:
        self._now = now
        batch = list(control.events())
        for event in batch:
            self._on_connection_event(event, now)
        return bool(batch)

    def _on_connection_event(self, event: ClientRelayEvent | DoorEvent, now: float) -> None:
        match event:
            case EventArrived():
                self._on_event(event)
            case Replied():
                self._on_replied(event)
            case Authenticated():
                self._on_authenticated(event, now)
            case AuthenticationRefused():
                self._on_refused(event)
            case ServerLeaves():
                if event.restart:
                    self.protocol, self._authorization_state = "", None
            case ConnectionLost():
                self._on_lost(event, now)
            case FrameDropped():
                self.happened.append(event)
            case ConnectionOpened() | UpgradeRequested():
                pass
            case _:
                assert_never(event)

    def _on_authenticated(self, event: Authenticated, now: float) -> None:
        again = self.was_ready
        self.protocol, self.restored, self.refusal = event.protocol, event.restored, None
        self._calls_survive_until = None
        self._became_ready(now)
        self._expire_queued(now)
        waiting, self._queue = self._queue, {}
        for request_id, one in waiting.items():
            self._send_queued(request_id, one, now)
        self._hang_ups.again()
        if again and not event.restored:
            self._lose_session({tag for request_id, tag in self._dialling.items() if request_id in waiting})
        if again:
            self._probes.look_for(self._registry.call_ids, now=now)

    def _send_queued(self, request_id: str, queued: _Queued, now: float) -> None:
        if self._control is not None and self._control.state is RelayState.READY:
            within = queued.due_at - now
            self._control.request(queued.method, queued.params, request_id=request_id, within=within, now=now)
        else:
            self._queue[request_id] = queued  # the connection ended in the same bytes

    def _expire_queued(self, now: float) -> None:
        for request_id, queued in list(self._queue.items()):
            if queued.due_at <= now:
                del self._queue[request_id]
                self._on_replied(Replied(request_id=request_id, method=queued.method, outcome=Outcome.TIMED_OUT))

    def _on_refused(self, event: AuthenticationRefused) -> None:
        if self.protocol:
            # What was refused may be the session: ask for a new one before anything is held against us.
            self.protocol, self._authorization_state = "", None
            return
        self.refusal = event
        self._refused_now = event.code in _LASTING

    def _on_lost(self, lost: ConnectionLost, now: float) -> None:
        self._probes.stop()
        if self.was_ready and self._calls_survive_until is None:
            self._calls_survive_until = now + CALLS_SURVIVE
        self._lost_connection(lost, now)
        if self.finished:
            self._settle_everything(ActionEnd.DISCONNECTED if self._closing else ActionEnd.CONNECTION_LOST)

    def _judge(self, lost: ConnectionLost) -> LossVerdict:
        refused, self._refused_now = self._refused_now, False
        wait = 0.0
        if isinstance(lost.error, HandshakeRefused):
            refused = lost.error.status in _LASTING_STATUS
            wait = min(lost.error.retry_after or 0.0, CALLS_SURVIVE)
        self._refusals += refused
        stop = refused and not self.was_ready and self._refusals >= REFUSALS_BEFORE_FIRST_SUCCESS
        return LossVerdict(credentials_refused=refused, stop=stop, wait_at_least=wait)

    def _settle_everything(self, end: ActionEnd) -> None:
        """Let nobody wait for what will not come."""
        self._calls_survive_until = None
        self._probes.stop()
        queued, self._queue = self._queue, {}
        for request_id, one in queued.items():
            self._on_replied(Replied(request_id=request_id, method=one.method, outcome=Outcome.LOST))
        self._dials.give_up_all(end.value)
        self._registry.give_up(end)

    # ------------------------------------------------------------------ calls after an outage

    def _lose_session(self, dials_begun_since: Collection[str]) -> None:
        """The service began afresh: what happened meanwhile will not be told again."""
        self._dials.give_up_all("the session with the service was lost", but=dials_begun_since)
        self._registry.lose_actions()
        self._probes.set_adrift()

    def _ask_for(self, record: CallRecord) -> str | None:
        method, realm = _PROBE
        return self._send_quietly(method, {**address(record), "realm": realm})

    def _ask_to_end(self, record: CallRecord) -> str | None:
        return self._send_quietly("calling.end", {**address(record), "reason": "hangup"})

    # ------------------------------------------------------------------ answers

    def _on_replied(self, replied: Replied) -> None:
        if replied.request_id in self._quiet:
            self._quiet.discard(replied.request_id)
            gone = _gone(replied)
            self._hang_ups.answered(replied.request_id, over=gone or replied.outcome is Outcome.DONE)
            self._probes.answered(replied.request_id, gone=gone, now=self._now)
            return
        starting = self._starting.pop(replied.request_id, None)
        if starting is not None:
            self._on_start_replied(starting, replied)
        tag = self._dialling.pop(replied.request_id, None)
        if tag is not None:
            self._on_dial_replied(tag, replied)
            return
        refused_contexts = self._asked_contexts.pop(replied.request_id, None)
        if refused_contexts and replied.outcome is Outcome.REFUSED:
            self._contexts = [context for context in self._contexts if context not in refused_contexts]
        self.happened.append(replied)
        message_id = replied.result.get("message_id")
        if replied.method == "messaging.send" and isinstance(message_id, str) and message_id:
            self.happened.extend(self._messages.follow(message_id))

    def _on_start_replied(self, starting: _Starting, replied: Replied) -> None:
        if replied.outcome is Outcome.DONE:
            self._registry.accepted(starting.call_id, starting.control_id)
        elif _gone(replied):
            self._registry.action_gone(starting.call_id, starting.control_id)
            self._probes.look_for([starting.call_id], now=self._now)
        else:
            self._registry.refused(starting.call_id, starting.control_id)

    def _on_dial_over(self, over: DialOver) -> None:
        for request_id, tag in list(self._dialling.items()):
            if tag == over.tag and request_id in self._queue:  # it was never asked for, and will not be
                del self._queue[request_id], self._dialling[request_id]
                self._dials.failed(tag, over.reason)
        self.happened.append(over)

    def _on_dial_replied(self, tag: str, replied: Replied) -> None:
        match replied.outcome:
            case Outcome.DONE:
                pass
            case Outcome.REFUSED:
                self._dials.failed(tag, replied.message, code=replied.code)
            case Outcome.TIMED_OUT:
                self._dials.unanswered(tag, "Request timeout for calling.dial")
            case Outcome.LOST | Outcome.CALL_OVER:
                self._dials.unanswered(tag, "Connection closed during dial")
            case _:
                assert_never(replied.outcome)

    # ------------------------------------------------------------------ events

    def _on_event(self, event: EventArrived) -> None:
        """Route one event. What repeats is not told again, what cannot be routed is dropped and counted."""
        if event.fingerprint is not None:
            if event.fingerprint in self._fingerprints:
                self._duplicates += 1
                return
            self._fingerprints[event.fingerprint] = None
            if len(self._fingerprints) > self._limits.remembered_ids:
                self._fingerprints.popitem(last=False)
        try:
            self._routes.get(event.event_type, self._on_call_event)(event)
        except RemoteProtocolError as fault:
            self._bad_events += 1
            self.happened.append(FrameDropped(fault))

    def _on_authorization_state(self, event: EventArrived) -> None:
        state = Fields(event.event_type, event.params, self._limits).optional_text("authorization_state")
        if state:
            self._authorization_state = Secret(state)

    def _on_message(self, event: EventArrived) -> None:
        self.happened.append(MessageArrived(payload=event.payload))

    def _on_message_state(self, event: EventArrived) -> None:
        message_id = Fields(event.event_type, event.params, self._limits).text("message_id")
        self.happened.extend(self._messages.state(message_id, event.payload))

    def _on_call(self, event: EventArrived) -> None:
        self._registry.receive(event.params, project_id=self.config.project_id)

    def _on_dial(self, event: EventArrived) -> None:
        fields = Fields(event.event_type, event.params, self._limits)
        tag, state = fields.text("tag"), fields.text("dial_state")
        if state == "failed":
            self._dials.failed(tag, fields.optional_text("reason") or f"Dial failed (tag={tag})")
        elif state == "answered" and self._dials.knows(tag):
            record = self._leg(tag, winner_of(event.params))
            if record is None:
                self._dials.failed(tag, f"Dial failed: the call was over at once (tag={tag})")
            else:
                self._registry.answered(record)
                self._dials.answered(tag, record)
        elif state == "answered":
            call = winner_of(event.params)
            self._registry.deliver(event.event_type, {**event.params, "call_id": call.get("call_id")}, event.payload)

    def _on_call_state(self, event: EventArrived) -> None:
        tag = Fields(event.event_type, event.params, self._limits).optional_text("tag")
        record = self._leg(tag, event.params) if tag and self._dials.knows(tag) else None
        self._on_call_event(event)
        if tag and record is not None:
            self._dials.leg(tag, record)

    def _leg(self, tag: str, params: JsonObject) -> CallRecord | None:
        if not self._dials.has_room(tag, Fields("a leg of a dial", params, self._limits).text("call_id")):
            raise LimitExceeded(f"a dial has more than {self._limits.legs_per_dial} legs", close_code=1008)
        return self._registry.add_leg(params, tag=tag, project_id=self.config.project_id)

    def _on_call_event(self, event: EventArrived) -> None:
        self._registry.deliver(event.event_type, event.params, event.payload)


def address(record: CallRecord) -> JsonObject:
    """Return the two members every request about a call begins with."""
    return {"node_id": record.node_id, "call_id": record.call_id}


def _gone(replied: Replied) -> bool:
    return replied.outcome is Outcome.REFUSED and replied.code in GONE_CODES
