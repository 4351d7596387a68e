"""A client's session with the service: it outlives its connections, and keeps what the client has not taken yet."""

import time
from typing import TYPE_CHECKING, final

import attrs

from telcoflow_anyio.gateway.relay.network import Network
from telcoflow_proto.jsontext import JsonObject

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.clock import Alarm
    from telcoflow_anyio.gateway.relay.desk import Desk

SPACE = "local"
_MOST_UNTAKEN = 1000  # events kept for a client that is away; the oldest are let go first


@final
@attrs.frozen(kw_only=True)
class PushedEvent:
    """An event as it is sent, and sent again: same id, same text."""

    event_id: str
    event_type: str
    params: JsonObject
    envelope: JsonObject


@final
class Session:
    """What ``protocol`` stands for: contexts, calls, and events the client has not acknowledged.

    ``desk`` is the connection it has now, None while the client is away. What is not ``resumable`` ends with it.
    """

    def __init__(self, network: Network, *, project: str, lifetime: float) -> None:
        self.protocol = f"signalwire_{network.identifier().replace('-', '')}"
        self.authorization_state = network.identifier()
        self.project = project
        self.contexts: dict[str, None] = {}
        self.desk: Desk | None = None
        self.resumable = True
        self.untaken: dict[str, PushedEvent] = {}
        self._network = network
        self._lifetime = lifetime
        self._expiry: Alarm | None = None

    def __repr__(self) -> str:
        return f"<Session {self.protocol} {'away' if self.desk is None else 'here'}>"

    # ------------------------------------------------------------------ its connection

    def attach(self, desk: "Desk", contexts: tuple[str, ...]) -> None:
        """The client is here, and listens to these contexts only."""
        if self._expiry is not None:
            self._expiry.cancel()
        self.desk = desk
        self.contexts = dict.fromkeys(contexts)

    def detach(self, desk: "Desk") -> None:
        """A connection is gone; if it was the session's, the client has a while to come back."""
        if self.desk is desk:
            self.desk = None
            lifetime = self._lifetime if self.resumable else 0.0
            self._expiry = self._network.clock.really_after(lifetime, self.end)

    def deliver_again(self) -> None:
        """Send what the client has not acknowledged, oldest first."""
        for event in self.untaken.values():
            self._send(event)

    def end(self) -> None:
        """Forget the session; calls nobody can control any more end."""
        self._network.sessions.pop(self.protocol, None)
        for call in list(self._network.calls.values()):
            if call.session is self:
                call.end("abandoned", source="none")
        self.untaken.clear()

    # ------------------------------------------------------------------ events

    def push(self, event_type: str, params: JsonObject) -> None:
        """Tell the client of something, now or when it is back."""
        if event_type in self._network.faults.lose_events:
            return
        event = PushedEvent(
            event_id=self._network.identifier(),
            event_type=event_type,
            params=params,
            envelope={
                "event_channel": self.protocol,
                "timestamp": time.time(),
                "project_id": self.project,
                "space_id": SPACE,
            },
        )
        self.untaken[event.event_id] = event
        if len(self.untaken) > _MOST_UNTAKEN:
            del self.untaken[next(iter(self.untaken))]
        self._send(event)

    def take(self, event_id: str) -> None:
        """The client has acknowledged an event."""
        self.untaken.pop(event_id, None)

    def _send(self, event: PushedEvent) -> None:
        if self.desk is not None:
            for _ in range(2 if self._network.faults.duplicate_events else 1):
                self.desk.push(event)
