"""What a RELAY client machine reports over its whole life, and the record of a call."""

import enum
from typing import final

import attrs

from telcoflow_proto.client_table import ClientState
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.machine import Machine
from telcoflow_proto.relay.messages import Replied
from telcoflow_proto.relay.table import RELAY_CALL_TABLE, RelayCallState, RelayCallWord
from telcoflow_proto.roles import Role


@final
class ActionEnd(enum.Enum):
    """Why an action is over."""

    COMPLETED = "completed"
    """An event of the service ended it."""
    CALL_ENDED = "call ended"
    """The call was over before the action was."""
    CALL_GONE = "call gone"
    """The service does not know the call any more (404 or 410)."""
    CONNECTION_LOST = "connection lost"
    """The session with the service could not be kept; what became of the action is unknown."""
    DISCONNECTED = "disconnected"
    """We left."""
    REFUSED = "refused"
    """It never started; the method that started it raised the error."""


@final
@attrs.define(eq=False, kw_only=True)
class CallRecord:
    """What is known of a call. ``direction`` is inbound or outbound, ``device`` as the service describes it."""

    call_id: str
    node_id: str
    project_id: str = attrs.field(repr=False)
    context: str
    tag: str
    direction: str
    device: JsonObject = attrs.field(repr=False)
    segment_id: str
    machine: Machine[RelayCallState, RelayCallWord] = attrs.field(
        factory=lambda: Machine(RELAY_CALL_TABLE, Role.CLIENT)
    )

    @property
    def state(self) -> RelayCallState:
        """Where the call stands."""
        return self.machine.state


@final
@attrs.frozen(kw_only=True)
class CallReceived:
    """Somebody calls in one of our contexts."""

    call: CallRecord


@final
@attrs.frozen(kw_only=True)
class CallTold:
    """The service tells something about a call. Its record has moved already, its actions have ended already."""

    call_id: str
    event_type: str
    payload: JsonObject = attrs.field(repr=False)


@final
@attrs.frozen(kw_only=True)
class CallOver:
    """A call is over: always its last event, and always exactly one. ``payload`` is the event that told so."""

    call_id: str
    payload: JsonObject = attrs.field(repr=False)


@final
@attrs.frozen(kw_only=True)
class ActionOver:
    """An action is over: exactly one of these for every action the service did not refuse.

    ``payload`` is the event that ended it; without one, its params tell the reason.
    """

    call_id: str
    control_id: str
    end: ActionEnd
    payload: JsonObject = attrs.field(repr=False)


@final
@attrs.frozen(kw_only=True)
class DialOver:
    """A dial has been answered by ``call``, or has failed for ``reason`` with ``code`` (-1 if no reply told one)."""

    tag: str
    call: CallRecord | None
    code: int = -1
    reason: str = ""


@final
@attrs.frozen(kw_only=True)
class MessageArrived:
    """A text message came in."""

    payload: JsonObject = attrs.field(repr=False)


@final
@attrs.frozen(kw_only=True)
class MessageTold:
    """A message we sent moved on; after ``final`` it moves no more."""

    message_id: str
    payload: JsonObject = attrs.field(repr=False)
    final: bool


RelayMachineEvent = (
    TransportWanted
    | ClientReady
    | ClientLost
    | CallReceived
    | CallTold
    | CallOver
    | ActionOver
    | DialOver
    | MessageArrived
    | MessageTold
    | Replied
    | FrameDropped
)


@final
@attrs.frozen(kw_only=True)
class ConnectionState:
    """What happened to the connection: ``state`` is "connected", "lost" or "closed".

    After "connected", ``restored`` tells whether the session from before goes on (False the first time), and
    ``attempt`` how many attempts it took. After "lost", the next attempt starts in ``retry_in`` seconds.
    """

    state: str
    reason: str = ""
    attempt: int = 0
    retry_in: float | None = None
    restored: bool = False


@final
@attrs.frozen(kw_only=True)
class RelayStatistics:
    """A snapshot of a client. ``unrouted`` are events of calls and messages nobody here knows (any more)."""

    state: ClientState
    connections: int
    calls_live: int
    actions_live: int
    requests_queued: int
    duplicates: int
    calls_turned_away: int
    bad_frames: int
    bad_events: int
    unrouted: int
