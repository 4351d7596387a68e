"""The service's REST side (wire notes §1): requests as data, replies to values. Who has an HTTP client sends them.

An adapter sends a ``RestRequest`` to ``https`` (or ``http``) on the control host, with the same credentials and
the same TLS policy, follows no redirect, and gives status and body to ``read_sessions`` or ``read_closed``.
"""

import re
from typing import NoReturn, final

import attrs

from telcoflow_proto.control.codec import decode_session
from telcoflow_proto.control.messages import SessionInfo
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.exceptions import WSSAuthenticationError, WSSConnectionError, session_error
from telcoflow_proto.fields import Fields
from telcoflow_proto.handshake import printable
from telcoflow_proto.jsontext import Json, JsonObject, decode_object
from telcoflow_proto.limits import DEFAULT_LIMITS

MOST_BYTES = 1024 * 1024
"""The longest reply that makes sense: some 3,000 sessions."""

_LIMITS = attrs.evolve(DEFAULT_LIMITS, json_bytes=MOST_BYTES)
_UNSAFE = re.compile(rb"[^A-Za-z0-9._~-]")
_PREFIX = "/public/v1/sessions"


@final
@attrs.frozen(kw_only=True)
class RestRequest:
    """One HTTP request: its method, and its path with the query, percent-encoded and ready to be sent."""

    method: str
    target: str


def list_sessions(*, channel: str | None = None, remote_address: str | None = None) -> RestRequest:
    """Ask for the open sessions, all or those of a channel or remote address."""
    wanted = (("channel", channel), ("remoteAddress", remote_address), ("state", "OPEN"))
    query = "&".join(f"{name}={quote(value)}" for name, value in wanted if value)
    return RestRequest(method="GET", target=f"{_PREFIX}?{query}")


def close_session(session_id: str) -> RestRequest:
    """Ask to close a session. The id is opaque: whatever it holds stays one part of the path."""
    part = quote(session_id)
    return RestRequest(method="POST", target=f"{_PREFIX}/{part.replace('.', '%2E')}/close")


def read_sessions(status: int, body: bytes) -> list[SessionInfo]:
    """Read the reply to ``list_sessions``.

    Raises WSSAuthenticationError, a SessionError of the code the service gave, or WSSConnectionError for
    any reply that makes no sense.
    """
    reply = _reply(status, body)
    items = reply.get("items")
    if not isinstance(items, list):
        _senseless(status)
    try:
        return [decode_session(item, _LIMITS) for item in items]
    except RemoteProtocolError:
        _senseless(status)


def read_closed(status: int, body: bytes) -> str:
    """Read the reply to ``close_session`` and return the reason; an unknown session counts as closed already."""
    if status == 404:
        return "SDK_REQUEST"
    try:
        return Fields("reply", _reply(status, body), _LIMITS).optional_text("reason") or "SDK_REQUEST"
    except RemoteProtocolError:
        _senseless(status)


def quote(text: str) -> str:
    """Percent-encode everything but unreserved characters (RFC 3986 §2.3)."""
    return _UNSAFE.sub(lambda match: b"%%%02X" % match.group()[0], text.encode("utf-8", "replace")).decode("ascii")


def _reply(status: int, body: bytes) -> JsonObject:
    if status in (401, 403):
        raise WSSAuthenticationError(f"the service refused our credentials (HTTP {status})", code=status)
    try:
        reply = decode_object(body.decode(), _LIMITS)
    except (UnicodeDecodeError, RemoteProtocolError):
        _senseless(status)
    if 200 <= status < 300:
        return reply
    code, message = reply.get("code"), reply.get("message")
    if not isinstance(code, str):
        _senseless(status)
    raise session_error(printable(code), _text(message))


def _text(value: Json) -> str:
    return printable(value) if isinstance(value, str) else ""


def _senseless(status: int) -> NoReturn:
    raise WSSConnectionError(f"the service's reply makes no sense (HTTP {status})", code=status) from None
