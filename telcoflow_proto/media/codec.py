"""Media text to messages and back. Decoding raises RemoteProtocolError and nothing else."""

from collections.abc import Callable

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.fields import Fields
from telcoflow_proto.jsontext import JsonObject, decode_object, encode_object
from telcoflow_proto.limits import Limits
from telcoflow_proto.media.messages import BufferRequest, CallNotice, Command, CommandResponse, MediaMessage
from telcoflow_proto.media.table import COMMANDS, CallWord
from telcoflow_proto.roles import Role

DEFAULT_FRAME_BYTES = 960
"""20 ms of 24 kHz PCM: the frame size where the server prefers none (wire notes §3)."""


def decode_media(text: str, *, sender: Role, limits: Limits) -> MediaMessage | None:
    """Decode what ``sender`` said. None for a type this version does not know: ignored, never fatal."""
    frame = Fields("media frame", decode_object(text, limits), limits)
    decode = _DECODERS[sender].get(frame.text("type"))
    return None if decode is None else decode(Fields(frame.text("type"), frame.inner("data").members, limits))


def encode_media(message: MediaMessage) -> str:
    """Encode a message; fields that are None are left out."""
    if isinstance(message, Command):
        data: JsonObject = {
            "command_id": message.command_id,
            "command": message.command.value,
            "timeout_ms": message.timeout_ms,
        }
        if message.ring_time_seconds is not None:
            data["data"] = {"ringTimeSeconds": message.ring_time_seconds}
        return encode_object({"type": "command", "data": data})
    if isinstance(message, CommandResponse):
        optional = (
            ("result", message.result),
            ("error_code", message.error_code),
            ("error_message", message.error_message),
        )
        data = {"command_id": message.command_id, "success": message.success}
        data |= {name: value for name, value in optional if value is not None}
        return encode_object({"type": "command_response", "data": data})
    if isinstance(message, CallNotice):
        return encode_object({"type": "call_event", "data": {"event": message.event, **message.details}})
    data = {
        "requested_bytes": message.requested_bytes,
        "prefer_audio_frame_bytes": message.frame_bytes,
        "channelId": message.channel,
    }
    return encode_object({"type": "buffer_request", "data": data})


def _decode_command(data: Fields) -> Command:
    name = data.text("command")
    word = next((word for word in COMMANDS if word.value == name), None)
    if word is None:
        raise RemoteProtocolError("command: field 'command' is not a command", close_code=1007)
    ring_time = data.inner("data").integer("ringTimeSeconds") if word is CallWord.CONNECT else None
    return Command(
        command_id=data.text("command_id"),
        command=word,
        timeout_ms=data.integer("timeout_ms"),
        ring_time_seconds=ring_time,
    )


def _decode_response(data: Fields) -> CommandResponse:
    return CommandResponse(
        command_id=data.text("command_id"),
        success=data.boolean("success"),
        result=data.anything("result"),
        error_code=data.optional_text("error_code"),
        error_message=data.optional_text("error_message"),
    )


def _decode_notice(data: Fields) -> CallNotice:
    details = {name: value for name, value in data.members.items() if name != "event"}
    return CallNotice(event=data.text("event"), details=details)


def _decode_request(data: Fields) -> BufferRequest:
    preferred = data.optional_integer("prefer_audio_frame_bytes")
    return BufferRequest(
        requested_bytes=data.integer("requested_bytes"),
        frame_bytes=preferred if preferred is not None and preferred > 0 else DEFAULT_FRAME_BYTES,
        channel=data.optional_integer("channelId") or 0,
    )


_DECODERS: dict[Role, dict[str, Callable[[Fields], MediaMessage]]] = {
    Role.CLIENT: {"command": _decode_command},
    Role.SERVER: {
        "command_response": _decode_response,
        "call_event": _decode_notice,
        "buffer_request": _decode_request,
    },
}
