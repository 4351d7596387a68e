"""Telling what answers: a person, a machine, a fax, or a key."""

from functools import partial
from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.operations import Operation, refuse_unless
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

_TIMEOUT = 30.0
_KNOWS_AFTER = 1.0  # seconds
_BEEPS_AFTER = 3.0
_KINDS = ("machine", "fax", "digit")


@final
class Detect(Operation):
    """``calling.detect``: its results, then ``finished``; only that if there is nothing to detect in time."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        detect = reading.inner(params, "detect")
        self._kind = reading.text(detect, "type")
        refuse_unless(self._kind in _KINDS, f"detect.type must be one of {', '.join(_KINDS)}")
        self._wanted = reading.inner(detect, "params")

    def start(self) -> None:
        """Listen."""
        party = self.call.party
        if self._kind == "machine":
            self._plan(_KNOWS_AFTER, "MACHINE" if party.machine else "HUMAN", last=not party.machine)
            if party.machine:
                self._plan(_BEEPS_AFTER, "READY", last=True)
        elif self._kind == "fax" and party.fax_pages is not None:
            self._plan(_KNOWS_AFTER, reading.text(self._wanted, "tone", "CED"), last=True)
        self.alarms.arm("timeout", reading.number(self.params, "timeout", _TIMEOUT), self.stop)

    def stop(self) -> None:
        """Listen no more."""
        self.finish(detect=self._result("finished"))

    def on_digit(self, digit: str) -> None:
        """A key is what was listened for, perhaps."""
        if self._kind == "digit" and digit in reading.text(self._wanted, "digits", "0123456789#*"):
            self._found(digit, last=True)

    def _plan(self, seconds: float, what: str, *, last: bool) -> None:
        self.alarms.arm(what, seconds, partial(self._found, what, last=last))

    def _found(self, what: str, *, last: bool) -> None:
        self.tell(detect=self._result(what))
        if last:
            self.stop()

    def _result(self, event: str) -> JsonObject:
        return {"type": self._kind, "params": {"event": event}}
