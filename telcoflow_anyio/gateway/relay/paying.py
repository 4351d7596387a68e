"""A payment by keys: one thing asked after the other, and how it ends."""

from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.operations import Operation
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

_TIMEOUT = 5.0  # seconds for one key
_SCRIPTED_AFTER = 1.0
_CARD_DIGITS = (13, 19)
_MONTHS = 12


@final
class Pay(Operation):
    """``calling.pay``. The party presses each number and ``#``; ``*`` breaks it off.

    If the party's script says how the payment ends, it ends so after a second.
    """

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        self._steps = ["payment-card-number", "expiration-date"]
        if reading.flag(params, "security_code", default=True):
            self._steps.append("security-code")
        if reading.flag(params, "postal_code", default=True):
            self._steps.append("postal-code")
        self._attempts = int(reading.number(params, "max_attempts", 1))
        self._attempt = 1
        self._keys = self._card = self._expiry = ""

    def start(self) -> None:
        """Ask for the first number."""
        scripted = self.call.party.payment
        if scripted is not None:
            self.alarms.arm("scripted", _SCRIPTED_AFTER, lambda: self._end(scripted))
        self._ask()

    def stop(self) -> None:
        """Break it off for the client."""
        self._end("relay-pay-stop")

    def on_call_over(self) -> None:
        """The caller has gone."""
        self._end("caller-hung-up")

    def on_digit(self, digit: str) -> None:
        """Take a key."""
        if digit == "*":
            self._end("caller-interrupted-with-star")
        elif digit == "#":
            self._take()
        else:
            self._keys += digit
            self._wait()

    def _ask(self, **error: str) -> None:
        self._keys = ""
        self.tell(**{"for": self._steps[0]}, attempt=self._attempt, **error)
        self._wait()

    def _wait(self) -> None:
        seconds = reading.number(self.params, "timeout", _TIMEOUT)
        self.alarms.arm("timeout", seconds, lambda: self._again("timeout"))

    def _take(self) -> None:
        step, keys = self._steps[0], self._keys
        if not _fits(step, keys):
            self._again(f"invalid-{step}")
            return
        if step == "payment-card-number":
            self._card = keys
        elif step == "expiration-date":
            self._expiry = keys
        self._steps.pop(0)
        self._attempt = 1
        if self._steps:
            self._ask()
        else:
            self._end("success")

    def _again(self, error_type: str) -> None:
        self._attempt += 1
        if self._attempt > self._attempts:
            self._end("too-many-failed-attempts")
        else:
            self._ask(error_type=error_type)

    def _end(self, result: str) -> None:
        paid: JsonObject = {}
        if result == "success":
            paid = {
                "payment_method": reading.text(self.params, "payment_method", "credit-card"),
                "payment_card_number": f"xxxxxxxxxxxx{self._card[-4:]}",
                "payment_confirmation_code": self.control_id[:8],
                "expiration_date": self._expiry,
            }
        self.finish(result=result, **paid)


def _fits(step: str, keys: str) -> bool:
    if step == "payment-card-number":
        return _CARD_DIGITS[0] <= len(keys) <= _CARD_DIGITS[1]
    if step == "expiration-date":
        return len(keys) == 4 and 1 <= int(keys[:2]) <= _MONTHS
    return bool(keys)
