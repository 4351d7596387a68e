"""What RELAY protocol objects report. The door's own events come on top: opened, lost, frame dropped."""

from typing import final

import attrs

from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.relay.jsonrpc import Id
from telcoflow_proto.replies import Outcome
from telcoflow_proto.secret import Secret


@final
@attrs.frozen(kw_only=True)
class Credentials:
    """Who we say we are: a project with its token, or a JWT alone."""

    project: Secret | None = None
    token: Secret | None = None
    jwt_token: Secret | None = None


@final
@attrs.frozen(kw_only=True)
class Resumption:
    """What the service wants to hear to go on with an earlier session."""

    protocol: str = ""
    authorization_state: Secret | None = None


# ---------------------------------------------------------------------------------------------- client


@final
@attrs.frozen(kw_only=True)
class Authenticated:
    """Client: requests may be made. ``restored`` tells that the session asked for goes on."""

    protocol: str
    identity: str
    restored: bool


@final
@attrs.frozen(kw_only=True)
class AuthenticationRefused:
    """Client: the service answered ``signalwire.connect`` with an error; the connection is being closed."""

    code: int
    message: str


@final
@attrs.frozen(kw_only=True)
class Replied:
    """Client: a request has ended, in one way out of ``Outcome``.

    ``result`` is what the service said if it was done; ``code`` and ``message`` tell why it was refused.
    """

    request_id: str
    method: str
    outcome: Outcome
    result: JsonObject = attrs.field(factory=dict, repr=False)
    code: int = -1
    message: str = ""


@final
@attrs.frozen(kw_only=True)
class EventArrived:
    """Client: the service tells something. It is acknowledged already.

    ``payload`` is the whole envelope, with ``event_type`` and ``params``, both checked. ``fingerprint`` is the same
    for an event that is delivered again, None where the service gave no id to tell.
    """

    event_type: str
    params: JsonObject = attrs.field(repr=False)
    payload: JsonObject = attrs.field(repr=False)
    fingerprint: tuple[Id, int] | None


@final
@attrs.frozen(kw_only=True)
class ServerLeaves:
    """Client: the service is about to close. With ``restart`` the session must not be asked for again."""

    restart: bool


ClientRelayEvent = Authenticated | AuthenticationRefused | Replied | EventArrived | ServerLeaves

# ---------------------------------------------------------------------------------------------- server


@final
@attrs.frozen(kw_only=True)
class ConnectRequested:
    """Server: a client says who it is; answer with ``authenticate`` or ``refuse_connect``."""

    agent: str
    credentials: Credentials
    resumption: Resumption
    contexts: tuple[str, ...]


@final
@attrs.frozen(kw_only=True)
class RequestReceived:
    """Server: a client asks for something; answer with ``respond`` or ``fail``."""

    request_id: Id
    method: str
    params: JsonObject = attrs.field(repr=False)


@final
@attrs.frozen(kw_only=True)
class EventAcknowledged:
    """Server: the client has taken an event, by the id ``push`` returned."""

    event_id: str
    result: Json = attrs.field(repr=False)


ServerRelayEvent = ConnectRequested | RequestReceived | EventAcknowledged
