"""Text messages: sent by a client and their fate, or sent to one."""

from functools import partial
from typing import TYPE_CHECKING

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.answers import Reply, nothing
from telcoflow_anyio.gateway.relay.network import Network
from telcoflow_anyio.gateway.relay.operations import refuse_faults, refuse_unless
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import SEND_MESSAGE

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.sessions import Session

_CHARS_A_SEGMENT = 160
_FAILED = frozenset({"failed", "undelivered"})


def send(network: Network, session: "Session", params: JsonObject) -> Reply:
    """``messaging.send``. Raises Refusal for params that make no sense."""
    refuse_faults(SEND_MESSAGE, params)
    refuse_unless(params.get("body") or params.get("media"), "body or media is required")
    message = describe(network, params, direction="outbound")
    fate = network.message_fate(params)

    def tell(state: str) -> None:
        reason: JsonObject = {"reason": fate.reason} if fate.reason and state in _FAILED else {}
        session.push("messaging.state", {**message, "message_state": state, **reason})

    def go_on() -> None:
        for seconds, state in fate.states[1 if fate.overtakes else 0 :]:
            if seconds > 0:
                network.clock.after(seconds, partial(tell, state))
            else:
                tell(state)

    overtaking = partial(tell, fate.states[0][1]) if fate.overtakes and fate.states else nothing
    return Reply("Message accepted", go_on, first=overtaking, more={"message_id": message["message_id"]})


def describe(network: Network, params: JsonObject, *, direction: str) -> JsonObject:
    """Return what every event on a message says, with a new id for it."""
    body = reading.text(params, "body")
    return {
        "message_id": network.identifier(),
        "context": reading.text(params, "context"),
        "direction": direction,
        "from_number": reading.text(params, "from_number"),
        "to_number": reading.text(params, "to_number"),
        "body": body,
        "media": params.get("media") or [],
        "segments": -(-len(body) // _CHARS_A_SEGMENT),
        "tags": params.get("tags") or [],
    }
