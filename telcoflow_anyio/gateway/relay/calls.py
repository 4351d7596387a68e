"""One call on the RELAY network: its life, its party's script, what runs on it, and what it tells its session."""

import time
from functools import partial
from typing import TYPE_CHECKING, final

import anyio
import attrs

from telcoflow_anyio.gateway.relay.clock import Alarms
from telcoflow_anyio.gateway.relay.network import Network
from telcoflow_anyio.gateway.relay.parties import RelayParty, speech_seconds
from telcoflow_proto.jsontext import Json, JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from telcoflow_anyio.gateway.relay.bindings import Binding
    from telcoflow_anyio.gateway.relay.operations import Operation
    from telcoflow_anyio.gateway.relay.sessions import Session

STATES = ("created", "ringing", "answered", "ending", "ended")


@final
@attrs.define(eq=False)
class Played:
    """A piece of media somebody heard, and for how many seconds; they count up to the last pause or end."""

    item: JsonObject
    seconds: float = 0.0


@final
@attrs.frozen(kw_only=True)
class Recording:
    """What was recorded: where it can be found, how many seconds and bytes it is."""

    url: str
    duration: float
    size: int


@final
class RelayServiceCall:
    """A call, from the first ring to the end. ``RelayService.place_call`` and dials make them.

    What a test may look at: ``state``, ``end_reason`` and ``end_source`` (``""`` before the end), ``played``,
    ``digits_sent``, ``recordings``, ``requests`` (method and params, in order, refused ones too), ``actions`` (all
    that ever started on it), ``running`` (those that are not over), ``peer`` (the leg it is connected to),
    ``transferred_to``.
    """

    def __init__(
        self,
        network: Network,
        *,
        session: "Session | None",
        party: RelayParty,
        direction: str,
        device: JsonObject,
        context: str = "",
        tag: str = "",
    ) -> None:
        self.call_id = network.identifier()
        self.node_id = network.node_id
        self.segment_id = network.identifier()
        self.session = session
        self.party = party
        self.direction = direction
        self.device = device
        self.context = context
        self.tag = tag
        self.state = "created"
        self.end_reason = self.end_source = ""
        self.played: list[Played] = []
        self.digits_sent = ""
        self.recordings: list[Recording] = []
        self.requests: list[tuple[str, JsonObject]] = []
        self.actions: list[Operation] = []
        self.running: list[Operation] = []
        self.peer: RelayServiceCall | None = None
        self.transferred_to: Json = None
        self.on_hold = self.denoised = False
        self.bindings: list[Binding] = []
        self.at_end: list[Callable[[], None]] = []
        self.network = network
        self.alarms = Alarms(network.clock)
        self._times = {"start_time": _epoch_ms(), "answer_time": 0, "end_time": 0}
        self._changed = anyio.Event()
        network.calls[self.call_id] = self

    def __repr__(self) -> str:
        return f"<RelayServiceCall {self.call_id} {self.direction} {self.state}>"

    # ------------------------------------------------------------------ what a test does

    @property
    def over(self) -> bool:
        """True once the call has begun to end."""
        return self.state in STATES[3:]

    async def wait_state(self, state: str) -> None:
        """Wait until the call is in that state, or past it. Raises ValueError for a state that does not exist."""
        if state not in STATES:
            raise ValueError(f"there is no state {state!r}, only {', '.join(STATES)}")
        while STATES.index(self.state) < STATES.index(state):
            await self._changed.wait()

    def press(self, digits: str) -> None:
        """Let the party press keys, one after the other; nothing happens once the call is over."""
        for digit in digits:
            for operation in list(self.running):
                operation.on_digit(digit)
            for binding in list(self.bindings):
                binding.on_digit(digit)

    def speak(self, said: str) -> None:
        """Let the party say something; it takes as long as it takes to say it."""
        if self.over:
            return
        for operation in list(self.running):
            operation.on_speech_began(said)
        self.alarms.arm(f"speech {self.network.identifier()}", speech_seconds(said), partial(self._spoken, said))

    def _spoken(self, said: str) -> None:
        for operation in list(self.running):
            operation.on_speech_ended(said)

    def hang_up(self, reason: str = "") -> None:
        """Let the party hang up, or give up waiting; the reason is then ``cancel``, unless one is given."""
        usual = "hangup" if self.state == "answered" else "cancel" if self.direction == "inbound" else "decline"
        self.end(reason or usual, source=self.direction)

    def raise_error(self, message: str, *, code: str = "500", fatal: bool = False) -> None:
        """Let the service tell of an error on this call (``calling.error``)."""
        self.tell("calling.error", {"error": message, "message": message, "code": code, "fatal": fatal})

    # ------------------------------------------------------------------ its life

    def announce(self) -> None:
        """Tell the session that the call came in."""
        self.tell(
            "calling.call.receive",
            {"call_state": self.state, "direction": self.direction, "context": self.context, "device": self.device},
        )

    def ring(self) -> None:
        """Let it ring."""
        self.move("ringing")

    def bound(self, seconds: float) -> None:
        """Let the call last that many seconds from now; 0 is no bound."""
        if seconds > 0:
            self.alarms.arm("max_duration", seconds, lambda: self.end("maxDuration", source="none"))

    def answer(self) -> None:
        """Somebody picks up; from now on the party follows their script."""
        self.move("answered")
        for seconds, digits in self.party.presses:
            self.alarms.arm(f"press {seconds} {digits}", seconds, partial(self.press, digits))
        for seconds, said in self.party.says:
            self.alarms.arm(f"say {seconds} {said}", seconds, partial(self.speak, said))
        if self.party.hangs_up_after is not None and self.direction == "outbound":
            self.alarms.arm("hang up", self.party.hangs_up_after, self.hang_up)

    def end(self, reason: str, *, source: str) -> None:
        """End the call: everything that runs on it first. A second end does nothing."""
        if self.over:
            return
        self.end_reason, self.end_source = reason, source
        self.move("ending")
        for operation in list(self.running):
            operation.on_call_over()
        self.alarms.clear()
        self.bindings.clear()
        self.network.calls.pop(self.call_id, None)
        self._times["end_time"] = _epoch_ms()
        self.move("ended")
        for do in self.at_end:
            do()

    def forget(self) -> None:
        """End the call without telling anybody, as if the events had been lost."""
        self.session = None
        self.end("error", source="none")

    def leave_session(self, context: str) -> None:
        """Take the call from its session, which sees it end, and offer it to another that listens to a context.

        If there is none, the call ends.
        """
        old, self.session = self.session, self.network.find_listener(context, besides=self.session)
        if self.session is None or old is None:
            self.session = old
            self.end("hangup", source="none")
            return
        new, self.session, state = self.session, old, self.state
        for operation in list(self.running):
            operation.on_call_over()
        self.bindings.clear()
        self.state = "ended"
        self.tell_state()
        self.state, self.session, self.context = state, new, context
        self.announce()

    def move(self, state: str) -> None:
        """Go to a state, and tell of it."""
        if state == "answered":
            self._times["answer_time"] = _epoch_ms()
        self.state = state
        self.tell_state()
        self._note_change()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    # ------------------------------------------------------------------ telling

    def tell(self, event_type: str, members: JsonObject) -> None:
        """Tell the session, if there is one, of something on this call."""
        if self.session is not None:
            address: JsonObject = {"node_id": self.node_id, "call_id": self.call_id, "segment_id": self.segment_id}
            tag: JsonObject = {"tag": self.tag} if self.tag else {}
            self.session.push(event_type, {**address, **tag, **members})

    def tell_state(self) -> None:
        """Tell where the call stands."""
        members: JsonObject = {
            "call_state": self.state,
            "direction": self.direction,
            "device": self.device,
            **self._times,
        }
        if self.state == "ended":
            members |= {"end_reason": self.end_reason or "hangup", "end_source": self.end_source or "none"}
        self.tell("calling.call.state", members)

    def address(self) -> JsonObject:
        """Return what others need to name this call."""
        tag: JsonObject = {"tag": self.tag} if self.tag else {}
        return {"node_id": self.node_id, "call_id": self.call_id, **tag, "device": self.device}


def _epoch_ms() -> int:
    return int(time.time() * 1000)
