"""Keys a client has bound to methods: pressing them performs the method."""

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.answers import Reply
from telcoflow_anyio.gateway.relay.operations import refuse_unless
from telcoflow_proto.jsontext import JsonObject

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

_DEFAULT = "default"
_EVERY = "all"


@final
class Binding:
    """A row of keys, and what happens when they were pressed; ``triggers`` times at most, 0: any number of times."""

    def __init__(
        self,
        digits: str,
        *,
        realm: str,
        triggers: int,
        perform: Callable[[], None],
        unbind: Callable[["Binding"], None],
    ) -> None:
        self.realm = realm
        self._digits = digits
        self._left = triggers
        self._perform = perform
        self._unbind = unbind
        self._pressed = ""

    def on_digit(self, digit: str) -> None:
        """Take a key."""
        self._pressed = (self._pressed + digit)[-len(self._digits) :]
        if self._pressed != self._digits:
            return
        self._pressed = ""
        self._left -= 1
        if self._left == 0:
            self._unbind(self)
        self._perform()


def bind(call: "RelayServiceCall", params: JsonObject, perform: Callable[[JsonObject], None]) -> Reply:
    """``calling.bind_digit``; ``perform`` carries out the bound method.

    Raises Refusal for params that make no sense.
    """
    digits = reading.text(params, "digits")
    refuse_unless(digits, "digits must hold a key at least")

    def control_id() -> JsonObject:
        return {"control_id": call.network.identifier()}

    binding = Binding(
        digits,
        realm=reading.text(params, "realm", _DEFAULT),
        triggers=int(reading.number(params, "max_triggers", 0)),
        perform=lambda: perform({**control_id(), **reading.inner(params, "params")}),
        unbind=call.bindings.remove,
    )
    return Reply("Digit binding created", lambda: call.bindings.append(binding))


def clear(call: "RelayServiceCall", params: JsonObject) -> Reply:
    """``calling.clear_digit_bindings``."""
    realm = reading.text(params, "realm", _DEFAULT)

    def unbind() -> None:
        call.bindings[:] = [one for one in call.bindings if realm not in {_EVERY, one.realm}]

    return Reply("Digit bindings cleared", unbind)
