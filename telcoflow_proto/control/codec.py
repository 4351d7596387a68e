"""Control text to messages and back. Decoding raises RemoteProtocolError and nothing else."""

from collections.abc import Callable
from typing import assert_never

from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    ClientMessage,
    ControlMessage,
    CreateSession,
    InboundCalls,
    MessageIn,
    OpenSession,
    Request,
    Requested,
    Response,
    SendMessage,
    SessionClosed,
    SessionInfo,
    SessionNotice,
    SessionReady,
    Setup,
    SetUpCallFlow,
    SetupDone,
)
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.fields import Fields
from telcoflow_proto.jsontext import Json, JsonObject, decode_object, encode_object
from telcoflow_proto.limits import Limits
from telcoflow_proto.roles import Role

_CLOSE_REASONS = ("SDK_REQUEST", "FORCE_CLOSE", "CALL_TERMINATED")


def decode_control(text: str, *, sender: Role, limits: Limits) -> ControlMessage | None:
    """Decode what ``sender`` said. None for a type this version does not know: ignored, never fatal."""
    fields = Fields("control frame", decode_object(text, limits), limits)
    kind = fields.text("type")
    decode = _DECODERS[sender].get(kind)
    return None if decode is None else decode(Fields(kind, fields.members, limits))


def encode_control(message: ControlMessage) -> str:
    """Encode a message of either end in the vendor's field order.

    What is None is left out: the vendor's client loses a call silently over a null.
    """
    return encode_object({name: value for name, value in _to_object(message).items() if value is not None})


def decode_session(content: Json, limits: Limits) -> SessionInfo:
    """Read a Session object out of a response or a REST reply."""
    fields = Fields("session", {"session": content}, limits).inner("session")
    return SessionInfo(
        id=fields.text("id"),
        channel=fields.text("channel"),
        initiator=fields.optional_text("initiator"),
        state=fields.optional_text("state"),
        remote_address=fields.optional_text("remoteAddress"),
        local_address=fields.optional_text("localAddress"),
        opened_at=fields.optional_integer("openedAt"),
        closed_at=fields.optional_integer("closedAt"),
    )


def encode_session(session: SessionInfo) -> JsonObject:
    """Write a Session object the way ``decode_session`` reads it."""
    return {
        "id": session.id,
        "channel": session.channel,
        "initiator": session.initiator,
        "state": session.state,
        "remoteAddress": session.remote_address,
        "localAddress": session.local_address,
        "openedAt": session.opened_at,
        "closedAt": session.closed_at,
    }


def _to_object(message: ControlMessage) -> JsonObject:
    match message:
        case Setup():
            return {
                "type": "setup",
                "data": {"sampleRate": message.sample_rate, "audioMode": message.audio_mode},
            }
        case Requested():
            return _request_object(message.request_id, message.request)
        case SessionReady():
            return {"type": "session.ready", "sessionId": message.session_id}
        case SetupDone():
            return {"type": "setup.done", "smWsId": message.connection_id}
        case Response():
            return {
                "type": "response",
                "reqId": message.request_id,
                "ok": message.ok,
                "content": message.content,
                "errorCode": message.error_code,
                "errorContent": message.error_content,
            }
        case SessionNotice():
            return {
                "type": "session.notify",
                "sessionId": message.session_id,
                "channel": message.channel,
                "remoteAddress": message.remote_address,
                "localAddress": message.local_address,
                "activity": message.activity,
                "createdAt": message.created_at,
            }
        case CallIn():
            return {
                "type": "call.in",
                "sessionId": message.session_id,
                "callId": message.call_id,
                "orgUuid": message.organization,
                "from": message.caller,
                "to": message.callee,
                "url": message.url,
                "token": message.token,
            }
        case MessageIn():
            return {
                "type": "wa.msg.in",
                "sessionId": message.session_id,
                "sender": message.sender,
                "content": message.content,
            }
        case SessionClosed():
            return {"type": "session.closed", "sessionId": message.session_id, "reason": message.reason}
        case _:
            assert_never(message)


def _request_object(request_id: str, request: Request) -> JsonObject:
    match request:
        case OpenSession():
            return {"type": "session.open", "sessionId": request.session_id, "reqId": request_id}
        case CreateSession():
            return {
                "type": "session.create",
                "channel": request.channel,
                "remoteAddress": request.remote_address,
                "reqId": request_id,
            }
        case SendMessage():
            return {
                "type": "wa.msg.out",
                "data": {
                    "sessionId": request.session_id,
                    "clientMsgId": request.client_message_id,
                    "apiVersion": request.api_version,
                    "data": request.content,
                },
                "reqId": request_id,
            }
        case SetUpCallFlow():
            return {
                "type": "call_flow.setup",
                "data": {
                    "inboundCall": request.flow.inbound_call.value,
                    "outboundCall": request.flow.outbound_call,
                    "inboundMessage": request.flow.inbound_message,
                    "outboundMessage": request.flow.outbound_message,
                },
                "reqId": request_id,
            }
        case _:
            assert_never(request)


def _decode_setup(fields: Fields) -> ClientMessage:
    data = fields.inner("data")
    return Setup(sample_rate=data.integer("sampleRate"), audio_mode=data.text("audioMode"))


def _decode_open(fields: Fields) -> ClientMessage:
    return Requested(request_id=fields.text("reqId"), request=OpenSession(session_id=fields.text("sessionId")))


def _decode_create(fields: Fields) -> ClientMessage:
    request = CreateSession(channel=fields.text("channel"), remote_address=fields.text("remoteAddress"))
    return Requested(request_id=fields.text("reqId"), request=request)


def _decode_message_out(fields: Fields) -> ClientMessage:
    data = fields.inner("data")
    request = SendMessage(
        session_id=data.text("sessionId"),
        client_message_id=data.text("clientMsgId"),
        api_version=data.text("apiVersion"),
        content=data.inner("data").members,
    )
    return Requested(request_id=fields.text("reqId"), request=request)


def _decode_call_flow(fields: Fields) -> ClientMessage:
    data = fields.inner("data")
    inbound = data.text("inboundCall")
    if inbound not in [one.value for one in InboundCalls]:
        raise RemoteProtocolError("call_flow.setup: field 'inboundCall' is not one of its values", close_code=1007)
    flow = CallFlow(
        inbound_call=InboundCalls(inbound),
        outbound_call=data.boolean("outboundCall"),
        inbound_message=data.boolean("inboundMessage"),
        outbound_message=data.boolean("outboundMessage"),
    )
    return Requested(request_id=fields.text("reqId"), request=SetUpCallFlow(flow=flow))


def _decode_ready(fields: Fields) -> ClientMessage:
    return SessionReady(session_id=fields.text("sessionId"))


def _decode_setup_done(fields: Fields) -> ControlMessage:
    return SetupDone(connection_id=fields.optional_text("smWsId"))


def _decode_response(fields: Fields) -> ControlMessage:
    return Response(
        request_id=fields.text("reqId"),
        ok=fields.boolean("ok"),
        content=fields.anything("content"),
        error_code=fields.optional_text("errorCode"),
        error_content=fields.anything("errorContent"),
    )


def _decode_notice(fields: Fields) -> ControlMessage:
    return SessionNotice(
        session_id=fields.text("sessionId"),
        channel=fields.text("channel"),
        activity=fields.text("activity"),
        remote_address=fields.optional_text("remoteAddress"),
        local_address=fields.optional_text("localAddress"),
        created_at=fields.optional_integer("createdAt"),
    )


def _decode_call_in(fields: Fields) -> ControlMessage:
    return CallIn(
        session_id=fields.text("sessionId"),
        call_id=fields.text("callId"),
        url=fields.text("url"),
        token=header_safe(fields, "token"),
        organization=fields.optional_text("orgUuid"),
        caller=fields.optional_text("from"),
        callee=fields.optional_text("to"),
    )


def header_safe(fields: Fields, name: str) -> str:
    """A text that will stand in an HTTP header: visible ASCII, or it could forge another header."""
    text = fields.text(name)
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise RemoteProtocolError(f"{fields.kind}: field {name!r} must be visible ASCII", close_code=1007)
    return text


def _decode_message_in(fields: Fields) -> ControlMessage:
    return MessageIn(
        session_id=fields.text("sessionId"),
        sender=fields.optional_text("sender"),
        content=fields.inner("content").members,
    )


def _decode_closed(fields: Fields) -> ControlMessage:
    reason = fields.optional_text("reason")
    known = reason if reason in _CLOSE_REASONS else "FORCE_CLOSE"
    return SessionClosed(session_id=fields.text("sessionId"), reason=known)


_DECODERS: dict[Role, dict[str, Callable[[Fields], ControlMessage]]] = {
    Role.CLIENT: {
        "setup": _decode_setup,
        "session.open": _decode_open,
        "session.create": _decode_create,
        "session.ready": _decode_ready,
        "wa.msg.out": _decode_message_out,
        "call_flow.setup": _decode_call_flow,
    },
    Role.SERVER: {
        "setup.done": _decode_setup_done,
        "response": _decode_response,
        "session.notify": _decode_notice,
        "call.in": _decode_call_in,
        "wa.msg.in": _decode_message_in,
        "session.closed": _decode_closed,
    },
}
