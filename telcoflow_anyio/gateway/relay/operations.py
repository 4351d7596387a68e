"""What runs on a call for a while: begun by a request, told in events, over once and for all."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.answers import Refusal
from telcoflow_anyio.gateway.relay.clock import Alarms
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.relay.methods import Method, Subcommand
from telcoflow_proto.relay.params import find_faults

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall


Command = Callable[["JsonObject"], Callable[[], None]]
"""Looks at the params of a subcommand, raises Refusal if it cannot be, and returns what to do after the answer."""


class Operation:
    """One running operation. Made when the request came, ``start``ed when it was answered.

    The constructor raises Refusal for params that make no sense. ``state`` is the last one told.
    """

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        self.call = call
        self.method = method
        self.params = params
        self.control_id = reading.text(params, "control_id")
        self.running = True
        self.state = ""
        self.alarms = Alarms(call.network.clock)
        self._event = method.action.event if method.action is not None else "".join(method.events)
        self.commands: dict[str, Command] = {"stop": lambda _params: self.stop}

    def __repr__(self) -> str:
        return f"<{self.method.name} {self.control_id} {'running' if self.running else 'over'}>"

    @property
    def more(self) -> JsonObject:
        """What the answer to the request holds beside the usual."""
        return {}

    def start(self) -> None:
        """Begin; the request has been answered."""

    def stop(self) -> None:
        """End it early, because the client wants it or the call is over."""
        self.finish(state="finished")

    def on_call_over(self) -> None:
        """The call is over."""
        self.stop()

    def on_digit(self, digit: str) -> None:
        """The party pressed a key."""

    def on_speech_began(self, said: str) -> None:
        """The party begins to say this."""

    def on_speech_ended(self, said: str) -> None:
        """The party has said this."""

    def tell(self, **members: Json) -> None:
        """Tell the client how it goes."""
        self.state = reading.text(members, "state", self.state)
        control: JsonObject = {"control_id": self.control_id} if self.control_id else {}
        self.call.tell(self._event, {**control, **members})

    def finish(self, **members: Json) -> None:
        """End it, with this last event."""
        self.vanish()
        self.tell(**members)

    def vanish(self) -> None:
        """End it without a word."""
        self.running = False
        self.alarms.clear()
        self.call.running.remove(self)


def refuse_faults(asked: Method | Subcommand, params: JsonObject) -> None:
    """Raise Refusal for params that break the rules of the table."""
    faults = find_faults(asked, params)
    refuse_unless(not faults, "; ".join(faults))


def refuse_unless(fits: object, message: str, *, code: str = "400") -> None:
    """Raise Refusal for a bad parameter, or for what cannot be done now."""
    if not fits:
        raise Refusal(code, message)
