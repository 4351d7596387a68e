"""What calls, actions and messages need of the client they belong to: everything an event loop has to offer."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import ActionKind
from telcoflow_proto.relay.resolution import Rule
from telcoflow_proto.surface import TimeLimit
from telcoflow_proto.waiting import Bells


class RelayHost(Protocol):
    """A client, as seen by what belongs to it."""

    @property
    def bells(self) -> Bells:
        """What wakes those who wait."""
        ...

    def time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        """Return a scope that stops its body after that many seconds; None for never."""
        ...

    def tell(self, handler: Callable[..., object], argument: object, about: str) -> None:
        """Run a sync handler now and an async one in a task of its own; what it raises is logged, not more.

        ``about`` says in the log what it was for.
        """
        ...

    async def command(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request about a call and return its result. Raises RelayError unless it was carried out."""
        ...

    async def start_action(
        self, *, call_id: str, method: str, params: JsonObject, control_id: str, kind: ActionKind, over: Rule | None
    ) -> JsonObject:
        """Send the request that starts an action; its events count from before it is sent.

        Raises RelayError as ``command`` does; the action is forgotten then.
        """
        ...

    def new_control_id(self) -> str:
        """Return an identifier nobody has used before."""
        ...
