"""What a client machine reports over its whole life, and the identity of a call."""

from typing import final

import attrs

from telcoflow_proto.client_table import ClientState
from telcoflow_proto.control.events import RequestDone
from telcoflow_proto.control.messages import MessageIn, SessionClosed, SessionNotice
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.replies import Outcome


@final
@attrs.frozen(kw_only=True)
class CallIdentity:
    """Who calls whom, and the ids. ``direction`` is "MT" for a call that came in, "MO" for a dialled one."""

    call_id: str
    session_id: str
    caller: str | None
    callee: str | None
    direction: str = "MT"


@final
@attrs.frozen(kw_only=True)
class CallOffered:
    """A call is ours. ``media`` is its connection, not opened yet: the first command wants a transport."""

    identity: CallIdentity
    media: MediaClientConnection


@final
@attrs.frozen(kw_only=True)
class CallUnreachable:
    """A call is ours but its media URL must not be used; it is left alone."""

    call_id: str
    error: RemoteProtocolError


@final
@attrs.frozen(kw_only=True)
class SessionLost:
    """A session that was ours could not be kept over a reconnect. A call of it, if there is one, goes on."""

    session_id: str


@final
@attrs.frozen(kw_only=True)
class ClaimLost:
    """A session was not given to us. Another worker being first (``SESSION_BUSY``) is everyday life."""

    session_id: str
    outcome: Outcome
    error_code: str | None


ClientMachineEvent = (
    TransportWanted
    | ClientReady
    | ClientLost
    | CallOffered
    | CallUnreachable
    | ClaimLost
    | SessionLost
    | RequestDone
    | SessionNotice
    | SessionClosed
    | MessageIn
    | FrameDropped
)


@final
@attrs.frozen(kw_only=True)
class ClientStatistics:
    """A snapshot of a client."""

    state: ClientState
    connections: int
    calls_offered: int
    calls_live: int
    duplicates: int
    claims_lost: int
    notices_waiting: int
    notices_dropped: int
    bad_frames: int
