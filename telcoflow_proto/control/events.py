"""What a control connection reports. The door's own events come on top: opened, lost, frame dropped."""

from typing import final

import attrs

from telcoflow_proto.control.messages import (
    CallIn,
    MessageIn,
    Request,
    Requested,
    SessionClosed,
    SessionInfo,
    SessionNotice,
    Setup,
)
from telcoflow_proto.jsontext import Json
from telcoflow_proto.replies import Outcome


@final
@attrs.frozen(kw_only=True)
class SetupCompleted:
    """The connection is ready: requests may be made."""

    connection_id: str | None


@final
@attrs.frozen(kw_only=True)
class RequestDone:
    """A request has ended, in one way out of ``Outcome``.

    ``session`` describes the session of an open, ``created`` tells for a create whether it is new.
    """

    request_id: str
    request: Request
    outcome: Outcome
    content: Json = None
    error_code: str | None = None
    error_content: Json = None
    session: SessionInfo | None = None
    session_id: str | None = None
    created: bool | None = None


@final
@attrs.frozen(kw_only=True)
class SetupRequested:
    """Server: the client wants to begin; answer with ``complete_setup``, or close the connection."""

    setup: Setup


@final
@attrs.frozen(kw_only=True)
class RequestReceived:
    """Server: the client asks for something; answer with ``respond`` or ``refuse``."""

    requested: Requested


@final
@attrs.frozen(kw_only=True)
class SessionReadied:
    """Server: the client wants the events of a session it has claimed."""

    session_id: str


ClientControlEvent = SetupCompleted | RequestDone | SessionNotice | CallIn | MessageIn | SessionClosed
ServerControlEvent = SetupRequested | RequestReceived | SessionReadied
