"""What is said on the control connection (wire notes §2)."""

import enum
from typing import final

import attrs

from telcoflow_proto.jsontext import Json, JsonObject

SAMPLE_RATES = (8000, 16000, 24000)
"""What a client may set up, in Hz."""

AUDIO_MODES = ("mixed", "isolated")
"""All voices on channel 0, or further legs on channels of their own."""


@final
class Channel(enum.StrEnum):
    """What a session carries."""

    TELCO = "TELCO"
    WA = "WA"


@final
class InboundCalls(enum.StrEnum):
    """Which incoming calls the service offers to us."""

    ALL = "ALL"
    MISSED_ONLY = "MISSED_ONLY"
    NONE = "NO"


@final
@attrs.frozen(kw_only=True)
class CallFlow:
    """What the service sends our way. Not remembered across reconnects, so we say it again."""

    inbound_call: InboundCalls = InboundCalls.ALL
    outbound_call: bool = True
    inbound_message: bool = True
    outbound_message: bool = True


@final
@attrs.frozen(kw_only=True)
class SessionInfo:
    """A session as the service describes it. Times are seconds since the epoch."""

    id: str
    channel: str
    initiator: str | None = None
    state: str | None = None
    remote_address: str | None = None
    local_address: str | None = None
    opened_at: int | None = None
    closed_at: int | None = None


# Client -> server


@final
@attrs.frozen(kw_only=True)
class Setup:
    """First frame: the sample rate in Hz and whether legs are mixed or isolated."""

    sample_rate: int
    audio_mode: str


@final
@attrs.frozen(kw_only=True)
class OpenSession:
    """Claims a session; the first one to ask gets it."""

    session_id: str


@final
@attrs.frozen(kw_only=True)
class CreateSession:
    """Starts a session from our side."""

    channel: str
    remote_address: str


@final
@attrs.frozen(kw_only=True)
class SendMessage:
    """An outgoing message of a WA session; ``content`` is the provider's own object."""

    session_id: str
    client_message_id: str
    api_version: str
    content: JsonObject


@final
@attrs.frozen(kw_only=True)
class SetUpCallFlow:
    """Says what the service shall send our way."""

    flow: CallFlow


@final
@attrs.frozen(kw_only=True)
class SessionReady:
    """From now on the service pushes this session's events. Has no answer."""

    session_id: str


Request = OpenSession | CreateSession | SendMessage | SetUpCallFlow
"""What the server answers with a ``Response``."""


@final
@attrs.frozen(kw_only=True)
class Requested:
    """A request with the id its response will carry."""

    request_id: str
    request: Request


# Server -> client


@final
@attrs.frozen(kw_only=True)
class SetupDone:
    """The set-up is accepted; ``connection_id`` is the server's id of this control connection."""

    connection_id: str | None = None


@final
@attrs.frozen(kw_only=True)
class Response:
    """How a request went."""

    request_id: str
    ok: bool
    content: Json = None
    error_code: str | None = None
    error_content: Json = None


@final
@attrs.frozen(kw_only=True)
class SessionNotice:
    """Something waits for an agent: a call, a message. Every connected client is told."""

    session_id: str
    channel: str
    activity: str
    remote_address: str | None = None
    local_address: str | None = None
    created_at: int | None = None


@final
@attrs.frozen(kw_only=True)
class CallIn:
    """A call for us: who calls whom, and where its media connection is. ``token`` never shows in a repr."""

    session_id: str
    call_id: str
    url: str = attrs.field(repr=False)
    token: str = attrs.field(repr=False)
    organization: str | None = None
    caller: str | None = None
    callee: str | None = None


@final
@attrs.frozen(kw_only=True)
class MessageIn:
    """A message arrived in a WA session."""

    session_id: str
    sender: str | None
    content: JsonObject


@final
@attrs.frozen(kw_only=True)
class SessionClosed:
    """A session is over."""

    session_id: str
    reason: str


ClientMessage = Setup | Requested | SessionReady
ServerMessage = SetupDone | Response | SessionNotice | CallIn | MessageIn | SessionClosed
ControlMessage = ClientMessage | ServerMessage
