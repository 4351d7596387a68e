"""The calls a client has and the actions running on them: who is known, what moves, and when it is over."""

from collections import OrderedDict
from collections.abc import Callable
from typing import final

import attrs

from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.fields import Fields
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import Limits
from telcoflow_proto.machine import Machine
from telcoflow_proto.relay.client_events import ActionEnd, ActionOver, CallOver, CallReceived, CallRecord, CallTold
from telcoflow_proto.relay.methods import ActionKind
from telcoflow_proto.relay.resolution import Rule
from telcoflow_proto.relay.table import ACTION_TABLE, ActionState, ActionWord, RelayCallState, RelayCallWord
from telcoflow_proto.roles import Role

CALL_STATE = "calling.call.state"
_WORDS = {word.value: word for word in (RelayCallWord(state.value) for state in RelayCallState)}

RegistryEvent = CallReceived | CallTold | CallOver | ActionOver


@final
@attrs.define(eq=False, kw_only=True)
class _Running:
    """An action of a call."""

    kind: ActionKind
    over: Rule
    machine: Machine[ActionState, ActionWord] = attrs.field(factory=lambda: Machine(ACTION_TABLE, Role.CLIENT))


@final
class CallRegistry:
    """All calls of one client. ``tell`` gets what happens, in order.

    Inbound calls beyond ``most`` are turned away: another worker, or a later time, will take them.
    """

    def __init__(self, tell: Callable[[RegistryEvent], None], *, most: int, limits: Limits) -> None:
        self._tell = tell
        self._most = most
        self._limits = limits
        self._calls: dict[str, CallRecord] = {}
        self._actions: dict[str, dict[str, _Running]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.duplicates = self.turned_away = self.unrouted = 0

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def actions(self) -> int:
        """How many actions are running."""
        return sum(map(len, self._actions.values()))

    @property
    def call_ids(self) -> list[str]:
        """The ids of the calls that are not over."""
        return list(self._calls)

    def get(self, call_id: str) -> CallRecord | None:
        """Return a call that is not over."""
        return self._calls.get(call_id)

    # ------------------------------------------------------------------ calls

    def receive(self, params: JsonObject, *, project_id: str) -> None:
        """Somebody calls: ``calling.call.receive``. A call that is known, or was, is no new one."""
        fields = Fields("calling.call.receive", params, self._limits)
        call_id = fields.text("call_id")
        if call_id in self._calls or call_id in self._seen:
            self.duplicates += 1
            return
        if len(self._calls) >= self._most:
            self.turned_away += 1
            return
        state = fields.anything("call_state")
        if state == RelayCallState.ENDED.value:
            raise RemoteProtocolError("calling.call.receive: a call that is over cannot be taken", close_code=1007)
        context = fields.optional_text("context") or fields.optional_text("protocol") or ""
        record = self._record(fields, call_id, "inbound", project_id=project_id, context=context)
        self._move(record, state)
        self._tell(CallReceived(call=record))

    def add_leg(self, params: JsonObject, *, tag: str, project_id: str) -> CallRecord | None:
        """Register a leg of a dial, or return it if it is known; None for one that is over already.

        Never limited: we asked for it. Its state is not looked at: ``deliver`` and ``answered`` do that.
        """
        fields = Fields("a leg of a dial", params, self._limits)
        call_id = fields.text("call_id")
        known = self._calls.get(call_id)
        if known is not None:
            known.node_id = known.node_id or fields.optional_text("node_id") or ""
            return known
        if call_id in self._seen:
            return None
        record = self._record(fields, call_id, "outbound", project_id=project_id, context="")
        record.tag = record.tag or tag
        return record

    def _record(self, fields: Fields, call_id: str, direction: str, *, project_id: str, context: str) -> CallRecord:
        device = fields.anything("device")
        record = CallRecord(
            call_id=call_id,
            node_id=fields.optional_text("node_id") or "",
            project_id=fields.optional_text("project_id") or project_id,
            context=context,
            tag=fields.optional_text("tag") or "",
            direction=fields.optional_text("direction") or direction,
            device=device if isinstance(device, dict) else {},
            segment_id=fields.optional_text("segment_id") or "",
        )
        self._calls[call_id] = record
        self._remember(call_id)
        return record

    def _remember(self, call_id: str) -> None:
        """Know this call again for a while, whatever happens to it."""
        self._seen[call_id] = None
        self._seen.move_to_end(call_id)
        if len(self._seen) > self._limits.remembered_ids + self._most:
            self._seen.popitem(last=False)

    def deliver(self, event_type: str, params: JsonObject, payload: JsonObject) -> None:
        """Hand an event to the call it is about, and to the action it is about."""
        fields = Fields(event_type[:64], params, self._limits)
        call_id = fields.optional_text("call_id")
        record = None if call_id is None else self._calls.get(call_id)
        if record is None:
            self.unrouted += 1
            return
        control_id = fields.optional_text("control_id")  # before anything moves: what is dropped changes nothing
        if event_type == CALL_STATE:
            self._move(record, params.get("call_state"))
            node_id = params.get("node_id")
            record.node_id = record.node_id or (node_id if isinstance(node_id, str) else "")
        if control_id is not None:
            self._deliver_to_action(record.call_id, control_id, event_type, params, payload)
        if record.state is RelayCallState.ENDED:
            self._end_actions(record.call_id, ActionEnd.CALL_ENDED)
        self._tell(CallTold(call_id=record.call_id, event_type=event_type, payload=payload))
        if record.state is RelayCallState.ENDED:
            self._forget(record, payload)

    def answered(self, record: CallRecord) -> None:
        """A dial says that this leg was answered; its own state event may come later, or not at all."""
        record.machine.hear(RelayCallWord.ANSWERED)

    def gone(self, call_id: str) -> None:
        """The service does not know this call any more."""
        self._cut(call_id, ActionEnd.CALL_GONE, "notFound")

    def give_up(self, end: ActionEnd) -> None:
        """No call can be followed any longer: all are over for us, whatever becomes of them."""
        for call_id in self.call_ids:
            self._cut(call_id, end, end.value)

    def lose_actions(self) -> None:
        """Events were lost: nobody can say what became of the running actions. Calls may go on.

        Those that are still to start do so: a start that was sent on a lost connection was refused with it.
        """
        for call_id, actions in list(self._actions.items()):
            for control_id, running in list(actions.items()):
                if running.machine.state is ActionState.RUNNING:
                    self._take(call_id, control_id)
                    running.machine.hear(ActionWord.CALL_OVER)
                    self._tell_over(call_id, control_id, ActionEnd.CONNECTION_LOST, None)

    def _cut(self, call_id: str, end: ActionEnd, reason: str) -> None:
        record = self._calls.get(call_id)
        if record is None:
            return
        if end is ActionEnd.CALL_GONE:
            record.machine.hear(RelayCallWord.GONE)
        else:
            record.machine.say(RelayCallWord.GIVEN_UP)
        self._end_actions(call_id, end)
        params: JsonObject = {"call_id": call_id, "call_state": RelayCallState.ENDED.value, "end_reason": reason}
        payload: JsonObject = {"event_type": CALL_STATE, "params": params}
        self._tell(CallTold(call_id=call_id, event_type=CALL_STATE, payload=payload))
        self._forget(record, payload)

    def _forget(self, record: CallRecord, payload: JsonObject) -> None:
        del self._calls[record.call_id]
        self._remember(record.call_id)  # it is from now on that it may be announced again
        self._tell(CallOver(call_id=record.call_id, payload=payload))

    def _move(self, record: CallRecord, state: Json) -> None:
        word = _WORDS.get(state) if isinstance(state, str) else None
        if word is not None:
            record.machine.hear(word)

    # ------------------------------------------------------------------ actions

    def start(self, call_id: str, control_id: str, kind: ActionKind, over: Rule | None) -> None:
        """An action is about to be asked for; from now on an event may end it.

        Raises LocalProtocolError for an id that is in use on this call, too many actions, or an unknown call.
        """
        if call_id not in self._calls:
            raise LocalProtocolError("this call is over, or is not this client's")
        running = self._actions.setdefault(call_id, {})
        if control_id in running:
            raise LocalProtocolError(f"control_id {control_id!r} is in use on this call: give each action its own")
        if len(running) >= self._limits.actions_per_call:
            raise LocalProtocolError(f"{len(running)} actions run on this call already; wait for some of them")
        running[control_id] = _Running(kind=kind, over=over or kind.over)

    def accepted(self, call_id: str, control_id: str) -> None:
        """The service has accepted the start of an action."""
        running = self._actions.get(call_id, {}).get(control_id)
        if running is not None:  # else it was over before
            running.machine.hear(ActionWord.ACCEPTED)

    def refused(self, call_id: str, control_id: str) -> None:
        """An action never started. Whoever asked for it is told otherwise."""
        running = self._take(call_id, control_id)
        if running is not None:
            running.machine.hear(ActionWord.REFUSED)

    def action_gone(self, call_id: str, control_id: str) -> None:
        """The call of an action was not found when it should start."""
        running = self._take(call_id, control_id)
        if running is not None:
            running.machine.hear(ActionWord.GONE)
            self._tell_over(call_id, control_id, ActionEnd.CALL_GONE, None)

    def _deliver_to_action(
        self, call_id: str, control_id: str, event_type: str, params: JsonObject, payload: JsonObject
    ) -> None:
        running = self._actions.get(call_id, {}).get(control_id)
        if running is not None and running.kind.event == event_type and running.over(params):
            self._take(call_id, control_id)
            running.machine.hear(ActionWord.ENDED)
            self._tell_over(call_id, control_id, ActionEnd.COMPLETED, payload)

    def _end_actions(self, call_id: str, end: ActionEnd) -> None:
        for control_id, running in self._actions.pop(call_id, {}).items():
            running.machine.hear(ActionWord.CALL_OVER)
            self._tell_over(call_id, control_id, end, None)

    def _tell_over(self, call_id: str, control_id: str, end: ActionEnd, payload: JsonObject | None) -> None:
        told = payload or {"event_type": "", "params": {"reason": end.value}}
        self._tell(ActionOver(call_id=call_id, control_id=control_id, end=end, payload=told))

    def _take(self, call_id: str, control_id: str) -> _Running | None:
        running = self._actions.get(call_id, {})
        taken = running.pop(control_id, None)
        if not running:
            self._actions.pop(call_id, None)
        return taken
