"""Bad weather on purpose: what a test may do to the line between the gateway and its agents."""

from typing import final

import attrs

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.jsontext import decode_object
from telcoflow_proto.limits import DEFAULT_LIMITS


@final
@attrs.define(eq=False, kw_only=True)
class Faults:
    """Adjustable at any time; what is already under way stays as it was.

    Commands and requests are named as on the wire: ``call.answer``, ``agent.interrupt``, ``session.open``, ...
    """

    delay: float = 0.0
    """Seconds every message to an agent spends on the way; messages never overtake each other."""
    refuse: dict[str, str] = attrs.field(factory=dict)
    """Commands and requests to refuse, each with its error code."""
    ignore: set[str] = attrs.field(factory=set)
    """Commands and requests that get lost on their way to us, so that nobody ever answers them."""
    duplicate: bool = False
    """Every message to an agent arrives twice."""
    mute_credit: bool = False
    """Never ask an agent for speech."""

    def swallow(self, message: str | bytes) -> bool:
        """Tell whether this message of an agent gets lost."""
        if not self.ignore or isinstance(message, bytes):
            return False
        try:
            frame = decode_object(message, DEFAULT_LIMITS)
        except RemoteProtocolError:
            return False
        data = frame.get("data")
        name = data.get("command") if isinstance(data, dict) and frame.get("type") == "command" else frame.get("type")
        return name in self.ignore
