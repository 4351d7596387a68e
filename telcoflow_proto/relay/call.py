"""A RELAY call as its user sees it, once for all event loops."""

from collections.abc import Callable, Mapping
from typing import final

from telcoflow_proto.exceptions import RelayError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.action import Action, OnCompleted
from telcoflow_proto.relay.client_events import ActionEnd, CallRecord
from telcoflow_proto.relay.conveniences import CallConveniences
from telcoflow_proto.relay.events import RelayEvent, parse_event
from telcoflow_proto.relay.host import RelayHost
from telcoflow_proto.relay.machine import GONE_CODES, address
from telcoflow_proto.relay.methods import BY_NAME, ActionKind
from telcoflow_proto.relay.params import build_params
from telcoflow_proto.relay.registry import CALL_STATE
from telcoflow_proto.relay.resolution import Rule
from telcoflow_proto.relay.table import RelayCallState
from telcoflow_proto.relay.verbs import ActionT

EventHandler = Callable[[RelayEvent], object]
_RANKS = list(RelayCallState)


@final
class _Awaited:
    """Somebody waits for an event of a call."""

    def __init__(self, event_type: str, predicate: Callable[[RelayEvent], object] | None) -> None:
        self.event_type = event_type
        self.predicate = predicate
        self.event: RelayEvent | None = None
        self.error: Exception | None = None

    def look(self, event: RelayEvent) -> bool:
        """Tell whether this is the event; a predicate that raises ends the waiting too."""
        try:
            if self.predicate is not None and not self.predicate(event):
                return False
        except Exception as error:  # noqa: BLE001 - it is raised to who gave the predicate
            self.error = error
        self.event = event
        return True


@final
class Call(CallConveniences):
    """A live phone call. Handlers of ``on_call`` get one, ``dial`` returns one."""

    def __init__(self, record: CallRecord, host: RelayHost) -> None:
        self._record = record
        self._host = host
        self._actions: dict[str, Action] = {}
        self._listeners: dict[str, list[EventHandler]] = {}
        self._awaited: list[_Awaited] = []
        self._ended: RelayEvent | None = None

    def __repr__(self) -> str:
        return f"<Call {self.call_id} {self.direction} {self.state}>"

    # ------------------------------------------------------------------ what it is

    @property
    def call_id(self) -> str:
        """The call's identifier."""
        return self._record.call_id

    @property
    def node_id(self) -> str:
        """The node of the service that handles the call."""
        return self._record.node_id

    @property
    def project_id(self) -> str:
        """The project the call belongs to."""
        return self._record.project_id

    @property
    def context(self) -> str:
        """The context an inbound call came in by."""
        return self._record.context

    @property
    def tag(self) -> str:
        """What correlates an outbound call with its dial."""
        return self._record.tag

    @property
    def direction(self) -> str:
        """``inbound`` or ``outbound``."""
        return self._record.direction

    @property
    def device(self) -> JsonObject:
        """The other end: ``{"type": "phone", "params": {"from_number": ..., "to_number": ...}}``."""
        return self._record.device

    @property
    def state(self) -> str:
        """``created``, ``ringing``, ``answered``, ``ending`` or ``ended``."""
        return self._record.state.value

    @property
    def segment_id(self) -> str:
        """The identifier of this stretch of the call."""
        return self._record.segment_id

    @property
    def host(self) -> RelayHost:
        """The client the call belongs to."""
        return self._host

    # ------------------------------------------------------------------ listening

    def on(self, event_type: str, handler: EventHandler) -> None:
        """Call ``handler``, sync or async, for every event of exactly this type. What it raises is logged."""
        self._listeners.setdefault(event_type, []).append(handler)

    async def wait_for(
        self,
        event_type: str,
        predicate: Callable[[RelayEvent], object] | None = None,
        timeout: float | None = None,
    ) -> RelayEvent:
        """Wait for the next event of this type for which ``predicate`` is true.

        Raises TimeoutError after ``timeout`` seconds, RelayError when the call is over first, and what the
        predicate raises.
        """
        awaited = _Awaited(event_type, predicate)
        self._awaited.append(awaited)
        try:
            with self._host.time_limit(timeout):
                while awaited.event is None and self._ended is None:
                    await self._host.bells.wait(awaited)
        finally:
            self._awaited.remove(awaited)
        if awaited.error is not None:
            raise awaited.error
        if awaited.event is not None:
            return awaited.event
        if self._ended is not None:
            raise RelayError(-1, f"the call was over before a {event_type} event came")
        raise TimeoutError(f"no {event_type} event within {timeout} s")

    async def wait_for_ended(self, timeout: float | None = None) -> RelayEvent:
        """Wait until the call is over and return the event that told so; its params have the ``end_reason``.

        Raises TimeoutError after ``timeout`` seconds, which changes nothing.
        """
        return await self._wait_for_state(RelayCallState.ENDED, timeout)

    async def wait_for_ringing(self, timeout: float | None = None) -> RelayEvent:
        """Wait until the call rings, or is past that: the event's ``call_state`` tells. As ``wait_for_ended``."""
        return await self._wait_for_state(RelayCallState.RINGING, timeout)

    async def wait_for_answered(self, timeout: float | None = None) -> RelayEvent:
        """Wait until the call is answered, or past that: the event's ``call_state`` tells. As ``wait_for_ended``."""
        return await self._wait_for_state(RelayCallState.ANSWERED, timeout)

    async def wait_for_ending(self, timeout: float | None = None) -> RelayEvent:
        """Wait until the call is ending, or past that: the event's ``call_state`` tells. As ``wait_for_ended``."""
        return await self._wait_for_state(RelayCallState.ENDING, timeout)

    async def _wait_for_state(self, target: RelayCallState, timeout: float | None) -> RelayEvent:
        with self._host.time_limit(timeout):
            while not self._reached(target):
                await self._host.bells.wait(self)
        if not self._reached(target):
            raise TimeoutError(f"the call is still {self.state} after {timeout} s")
        now_params: JsonObject = {"call_id": self.call_id, "call_state": self.state}
        return self._ended or parse_event({"event_type": CALL_STATE, "params": now_params})

    def _reached(self, target: RelayCallState) -> bool:
        if target is RelayCallState.ENDED:
            return self._ended is not None
        return _RANKS.index(self._record.state) >= _RANKS.index(target)

    # ------------------------------------------------------------------ saying

    async def _command(
        self, method: str, given: Mapping[str, object], further: Mapping[str, object], control_id: str | None = None
    ) -> JsonObject:
        row = BY_NAME[method]
        params = build_params(row, given, further)
        if row.control_id:
            params = {"control_id": self._control_id(method, control_id), **params}
        return await self._say(row.wire, params)

    async def _begin(
        self,
        method: str,
        make: type[ActionT],
        given: Mapping[str, object],
        further: Mapping[str, object],
        *,
        control_id: str | None,
        on_completed: OnCompleted | None,
        over: Rule | None = None,
    ) -> ActionT:
        row = BY_NAME[method]
        if row.action is None:
            raise TypeError(f"{method} starts no action")
        chosen = self._control_id(method, control_id)
        params: JsonObject = {"control_id": chosen, **build_params(row, given, further)}
        action = make(self, chosen, row.action, on_completed)
        if self._record.state is RelayCallState.ENDED:
            action.finish(_gone_event(ActionEnd.CALL_ENDED), ActionEnd.CALL_ENDED)
            return action
        if chosen in self._actions:
            raise ValueError(f"{method}(): control_id {chosen!r} is in use on this call: give each action its own")
        self._actions[chosen] = action
        try:
            await self._host.start_action(
                call_id=self.call_id,
                method=row.wire,
                params={**address(self._record), **params},
                control_id=chosen,
                kind=row.action,
                over=over,
            )
        except Exception as error:
            if not action.is_done:  # else an event has ended it before the answer came
                self._actions.pop(chosen, None)
                action.fail(error)
                raise
        return action

    async def tell_action(self, kind: ActionKind, command: str, control_id: str, given: JsonObject) -> JsonObject:
        """For its actions: send a subcommand and return its result."""
        row = next(one for one in kind.commands if one.name == command)
        return await self._say(row.wire, {"control_id": control_id, **build_params(row, given, {})})

    async def _say(self, wire: str, params: JsonObject) -> JsonObject:
        if self._record.state is RelayCallState.ENDED:
            return {}
        try:
            return await self._host.command(wire, {**address(self._record), **params})
        except RelayError as error:
            if error.code in GONE_CODES:
                return {}
            raise

    def _control_id(self, method: str, given: object) -> str:
        if given is None:
            return self._host.new_control_id()
        if not isinstance(given, str):
            raise TypeError(f"{method}(): control_id must be a text, got {type(given).__name__}")
        if not given:
            raise ValueError(f"{method}(): control_id must not be empty; leave it out to have one made")
        return given

    # ------------------------------------------------------------------ for the client

    def told(self, event_type: str, payload: JsonObject) -> None:
        """The service tells something about this call."""
        if event_type == CALL_STATE:
            self._host.bells.ring(self)
        listeners = self._listeners.get(event_type)
        waiting = [one for one in self._awaited if one.event_type == event_type]
        if not listeners and not waiting:
            return
        event = parse_event(payload)
        for awaited in waiting:
            if awaited.event is None and awaited.look(event):
                self._host.bells.ring(awaited)
        for handler in list(listeners or ()):
            self._host.tell(handler, event, f"{event_type} of call {self.call_id}")

    def action_over(self, control_id: str, end: ActionEnd, payload: JsonObject) -> None:
        """One of its actions is over."""
        action = self._actions.pop(control_id, None)
        if action is not None:
            action.finish(parse_event(payload), end)

    def over(self, payload: JsonObject) -> None:
        """The call is over."""
        self._ended = parse_event(payload)
        self._host.bells.ring(self)
        for awaited in self._awaited:
            self._host.bells.ring(awaited)


def _gone_event(end: ActionEnd) -> RelayEvent:
    return RelayEvent(event_type="", params={"reason": end.value})
