"""Outgoing dials, matched by tag: their legs, who wins, and what to hang up when nobody waits any more."""

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import final

import attrs

from telcoflow_proto.deadlines import Deadlines
from telcoflow_proto.errors import LocalProtocolError, RemoteProtocolError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.limits import Limits
from telcoflow_proto.machine import Machine
from telcoflow_proto.relay.client_events import CallRecord, DialOver
from telcoflow_proto.relay.table import DIAL_TABLE, DialState, DialWord, RelayCallState
from telcoflow_proto.roles import Role

DIAL_WITHIN = 120.0
"""Seconds until a dial counts as unanswered, if nobody says otherwise."""


@final
@attrs.define(eq=False, kw_only=True)
class _Dial:
    """One dial under way, or given up and still ringing somewhere."""

    legs: dict[str, CallRecord] = attrs.field(factory=dict)
    machine: Machine[DialState, DialWord] = attrs.field(factory=lambda: Machine(DIAL_TABLE, Role.CLIENT))


@final
class Dials:
    """The dials of one client. ``tell`` gets their ends, ``hang_up`` the legs nobody waits for."""

    def __init__(
        self, tell: Callable[[DialOver], None], hang_up: Callable[[CallRecord], None], *, limits: Limits
    ) -> None:
        self._tell = tell
        self._hang_up = hang_up
        self._limits = limits
        self._pending: dict[str, _Dial] = {}
        self._deadlines = Deadlines()
        self._abandoned: OrderedDict[str, _Dial] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pending)

    def begin(self, tag: str, *, within: float, now: float) -> None:
        """A dial is about to be asked for. Raises LocalProtocolError for a tag in use, or too many dials."""
        if tag in self._pending or tag in self._abandoned:
            raise LocalProtocolError(f"tag {tag!r} is in use by another dial")
        if len(self._pending) >= self._limits.pending_requests:
            raise LocalProtocolError(f"{len(self._pending)} dials are under way already; wait for some of them")
        self._pending[tag] = _Dial()
        self._deadlines.set(tag, now + within)

    def knows(self, tag: str) -> bool:
        """Tell whether legs of this tag are ours to follow."""
        return tag in self._pending or tag in self._abandoned

    def has_room(self, tag: str, call_id: str) -> bool:
        """Tell whether this leg is known, or another one may be: a dial with more than anybody would ring is full."""
        dial = self._pending.get(tag) or self._abandoned.get(tag)
        return dial is None or call_id in dial.legs or len(dial.legs) < self._limits.legs_per_dial

    def leg(self, tag: str, record: CallRecord) -> None:
        """A leg rings, or moved. One of a dial that was given up is hung up the first time it is seen."""
        dial = self._pending.get(tag)
        if dial is not None:
            dial.legs[record.call_id] = record
            return
        dial = self._abandoned[tag]
        if record.call_id not in dial.legs:
            dial.legs[record.call_id] = record
            self._hang_up_leg(record)

    def answered(self, tag: str, record: CallRecord) -> None:
        """The service names the leg that has won."""
        dial = self._take(tag)
        if dial is not None:
            dial.machine.hear(DialWord.ANSWERED)
            self._tell(DialOver(tag=tag, call=record))
            return
        abandoned = self._abandoned.get(tag)
        if abandoned is not None:
            abandoned.machine.hear(DialWord.ANSWERED)
            self._hang_up(record)  # again, if it was before: it has picked up all the same

    def failed(self, tag: str, reason: str, *, code: int = -1) -> None:
        """No leg will answer."""
        dial = self._take(tag) or self._abandoned.pop(tag, None)
        if dial is not None and dial.machine.state is DialState.DIALING:
            self._tell(DialOver(tag=tag, call=None, code=code, reason=reason))
        if dial is not None:
            dial.machine.hear(DialWord.FAILED)

    def unanswered(self, tag: str, reason: str) -> None:
        """The request itself got no answer: if nothing rings, count it as failed; if something does, go on."""
        dial = self._pending.get(tag)
        if dial is not None and not dial.legs:
            self.give_up(tag, reason)

    def give_up(self, tag: str, reason: str) -> None:
        """Nobody waits for this dial any more: hang up what rings, and whatever answers later."""
        dial = self._take(tag)
        if dial is None:
            return
        dial.machine.say(DialWord.GIVE_UP)
        self._abandoned[tag] = dial
        if len(self._abandoned) > self._limits.remembered_ids:
            self._abandoned.popitem(last=False)
        for record in dial.legs.values():
            self._hang_up_leg(record)
        self._tell(DialOver(tag=tag, call=None, reason=reason))

    def give_up_all(self, reason: str, *, but: Collection[str] = ()) -> None:
        """As ``give_up``, for every dial but those of these tags."""
        for tag in list(self._pending):
            if tag not in but:
                self.give_up(tag, reason)

    def _take(self, tag: str) -> _Dial | None:
        self._deadlines.drop(tag)
        return self._pending.pop(tag, None)

    def _hang_up_leg(self, record: CallRecord) -> None:
        if record.state is not RelayCallState.ENDED:
            self._hang_up(record)

    def next_deadline(self) -> float | None:
        """Return when the first dial is due, in monotonic seconds, or None."""
        return self._deadlines.next_deadline()

    def handle_timeout(self, now: float) -> None:
        """Give up what nobody answered in time."""
        for tag in self._deadlines.pop_due(now):
            self.give_up(tag, f"Dial timed out waiting for answer (tag={tag})")


@final
class HangUps:
    """Calls nobody wants, kept until the service has answered that they are over.

    ``ask`` sends the request and returns its id, None if it cannot now. What was not asked, or was asked and not
    answered, is asked on the next connection: a call nobody owns would go on, and cost, for ever.
    """

    def __init__(self, ask: Callable[[CallRecord], str | None], *, limits: Limits) -> None:
        self._ask = ask
        self._limits = limits
        self._unwanted: OrderedDict[str, CallRecord] = OrderedDict()
        self._asked: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._unwanted)

    def hang_up(self, record: CallRecord) -> None:
        """Nobody wants this call (any more). One that is hung up already is hung up again."""
        self._unwanted[record.call_id] = record
        if len(self._unwanted) > self._limits.remembered_ids:
            self._unwanted.popitem(last=False)
        self._say(record)

    def again(self) -> None:
        """There is a new connection: say what was not heard on those before."""
        for record in self._unwanted.values():
            self._say(record)

    def answered(self, request_id: str, *, over: bool) -> None:
        """A request has ended; harmless if it was none of these. ``over`` if the service hangs up, or has before."""
        call_id = self._asked.pop(request_id, None)
        if call_id is not None and over:
            self._unwanted.pop(call_id, None)

    def _say(self, record: CallRecord) -> None:
        request_id = self._ask(record)
        if request_id is not None:
            self._asked[request_id] = record.call_id


def winner_of(params: JsonObject) -> JsonObject:
    """Return the leg a dial event names. Raises RemoteProtocolError if it names none."""
    call = params.get("call")
    if not isinstance(call, dict):
        raise RemoteProtocolError("calling.call.dial: field 'call' must be an object", close_code=1007)
    return call
