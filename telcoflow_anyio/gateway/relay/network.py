"""The phone network behind a RELAY service: its clock, its weather, and what is under way on it."""

from typing import TYPE_CHECKING

import attrs

from telcoflow_anyio.gateway.relay.clock import Clock
from telcoflow_anyio.gateway.relay.faults import RelayFaults
from telcoflow_anyio.gateway.relay.parties import MessageFate, RelayCallee
from telcoflow_proto.chance import Chance, Entropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall
    from telcoflow_anyio.gateway.relay.sessions import Session
    from telcoflow_proto.jsontext import JsonObject


@attrs.define(eq=False)
class Gathering:
    """A conference, a room or a queue: its id, and the calls in it, first come first."""

    gathering_id: str
    name: str
    members: "list[RelayServiceCall]" = attrs.field(factory=list)


class Network:
    """What calls and messages need of the world around them. Everything public may be set at any time.

    - ``on_dial`` plans who picks up at a device; it is given the device as the client described it.
    - ``message_fate`` plans what becomes of a text message; it is given the params of ``messaging.send``.
    - ``audio_lengths`` are the seconds of audio at a URL, 3 where it is not listed; ``broken_audio`` are URLs that
      cannot be played.
    - ``refer_outcome`` is the last state of a SIP REFER: success, busy, noAnswer, ...
    """

    def __init__(self, *, speed: float, entropy: Entropy) -> None:
        self.clock = Clock(speed)
        self.faults = RelayFaults()
        self.on_dial: Callable[[JsonObject], RelayCallee] = lambda _device: RelayCallee()
        self.message_fate: Callable[[JsonObject], MessageFate] = lambda _message: MessageFate()
        self.audio_lengths: dict[str, float] = {}
        self.broken_audio: set[str] = set()
        self.refer_outcome = "success"
        self.calls: dict[str, RelayServiceCall] = {}
        self.sessions: dict[str, Session] = {}
        self.conferences: dict[str, Gathering] = {}
        self.rooms: dict[str, Gathering] = {}
        self.queues: dict[str, Gathering] = {}
        self._chance = Chance(entropy)
        self.node_id = self.identifier()

    def identifier(self) -> str:
        """Return a new id."""
        return self._chance.identifier()

    def find_listener(self, context: str, *, besides: "Session | None" = None) -> "Session | None":
        """Return the connected session that listens to a context and has the fewest calls."""
        ready = [
            session
            for session in self.sessions.values()
            if session.desk is not None and context in session.contexts and session is not besides
        ]
        busy = [call.session for call in self.calls.values()]
        return min(ready, key=busy.count, default=None)
