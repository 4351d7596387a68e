"""What is said on a media connection: commands, their responses, events of the call, credit.

Audio is not in here: a binary frame is one channel byte and PCM, and stays bytes all the way.
"""

from typing import final

import attrs

from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.media.table import CallWord


@final
@attrs.frozen(kw_only=True)
class Command:
    """The client asks for something. ``timeout_ms`` is the deadline it gives the server, in milliseconds."""

    command_id: str
    command: CallWord
    timeout_ms: int
    ring_time_seconds: int | None = None


@final
@attrs.frozen(kw_only=True)
class CommandResponse:
    """The server says how a command went."""

    command_id: str
    success: bool
    result: Json = None
    error_code: str | None = None
    error_message: str | None = None


@final
@attrs.frozen(kw_only=True)
class CallNotice:
    """The server tells something about the call: ``event`` is its wire name, ``details`` the other fields."""

    event: str
    details: JsonObject = attrs.field(factory=dict)


@final
@attrs.frozen(kw_only=True)
class BufferRequest:
    """The server wants ``requested_bytes`` more PCM on ``channel``, in frames of ``frame_bytes``."""

    requested_bytes: int
    frame_bytes: int = 960
    channel: int = 0


MediaMessage = Command | CommandResponse | CallNotice | BufferRequest
