"""A call as text, to be taken over by another process before its media connection is opened (wire notes §4).

The text holds the call's token: who has it has the call. It is read as suspiciously as anything from a peer.
"""

from telcoflow_proto.chance import Entropy
from telcoflow_proto.client_events import CallIdentity
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.codec import header_safe
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.exceptions import WSSCallError
from telcoflow_proto.fields import Fields
from telcoflow_proto.jsontext import decode_object, encode_object
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.origin import WsUrl, check_media_url


def write_handover(identity: CallIdentity, media: MediaClientConnection) -> str:
    """Write a call as the vendor's client reads it. It contains the token, so treat it like a password."""
    return encode_object(
        {
            "channel": "TELCO",
            "id": identity.call_id,
            "caller": identity.caller or "",
            "callee": identity.callee or "",
            "session_url": str(media.url),
            "session_token": media.token.reveal(),
        }
    )


def read_handover(text: str, config: ClientConfig, *, entropy: Entropy) -> tuple[CallIdentity, MediaClientConnection]:
    """Read what ``write_handover``, or the vendor's client, has written.

    Raises WSSCallError that names the field for anything missing, malformed or pointing where this
    configuration does not allow a token to go. Whether the token has expired only the service knows.
    """
    try:
        fields = Fields("hand-over", decode_object(text, DEFAULT_LIMITS), DEFAULT_LIMITS)
        channel = fields.text("channel")
        call_id = fields.text("id")
        url = _read_url(fields, config)
        token = header_safe(fields, "session_token")
        caller, callee = fields.optional_text("caller"), fields.optional_text("callee")
    except RemoteProtocolError as error:
        raise WSSCallError(f"this call cannot be taken over: {error}") from None
    if channel != "TELCO":
        raise WSSCallError("this call cannot be taken over: hand-over: field 'channel' must be 'TELCO'")
    identity = CallIdentity(call_id=call_id, session_id=call_id, caller=caller or None, callee=callee or None)
    media = MediaClientConnection(
        url=url,
        token=token,
        entropy=entropy,
        sample_rate=config.sample_rate,
        isolated=config.isolated,
        buffer_size=config.buffer_size,
    )
    return identity, media


def _read_url(fields: Fields, config: ClientConfig) -> WsUrl:
    text = fields.text("session_url")
    try:
        return check_media_url(text, control=config.control_url, allowed_hosts=config.media_hosts)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"hand-over: field 'session_url': {error}") from None
