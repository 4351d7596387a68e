"""Text messages that were sent: which are followed, and states that came before the answer which names them."""

from collections import OrderedDict
from typing import final

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.limits import Limits
from telcoflow_proto.relay.client_events import MessageTold

FINAL_STATES = frozenset({"delivered", "undelivered", "failed"})


@final
class SentMessages:
    """The messages of one client that have not reached a final state."""

    def __init__(self, *, limits: Limits) -> None:
        self._limits = limits
        self._followed: OrderedDict[str, None] = OrderedDict()
        self._early: OrderedDict[str, list[JsonObject]] = OrderedDict()
        self.unrouted = 0

    def follow(self, message_id: str) -> list[MessageTold]:
        """A message was accepted under this id; returns what was told of it before that."""
        self._followed[message_id] = None
        if len(self._followed) > self._limits.tracked_messages:
            self._followed.popitem(last=False)
        early = self._early.pop(message_id, [])
        return [told for payload in early for told in self.state(message_id, payload)]

    def state(self, message_id: str, payload: JsonObject) -> list[MessageTold]:
        """A message moved on; returns what to tell, nothing if it is not followed (yet)."""
        if message_id not in self._followed:
            self._keep(message_id, payload)
            return []
        params = payload.get("params")
        state = params.get("message_state") if isinstance(params, dict) else None
        final_state = isinstance(state, str) and state in FINAL_STATES
        if final_state:
            del self._followed[message_id]
        return [MessageTold(message_id=message_id, payload=payload, final=final_state)]

    def _keep(self, message_id: str, payload: JsonObject) -> None:
        """It may be about a message whose answer is still on its way."""
        if sum(map(len, self._early.values())) >= self._limits.early_states:
            _, forgotten = self._early.popitem(last=False)
            self.unrouted += len(forgotten)
        self._early.setdefault(message_id, []).append(payload)
