"""JSON-RPC 2.0 as this dialect uses it: text to frames and back. Ids are texts or whole numbers, echoed as given."""

from typing import assert_never, final

import attrs

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.jsontext import Json, JsonObject, decode_object, encode_object
from telcoflow_proto.limits import Limits

Id = str | int

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

_UNKNOWN = "Unknown error"


@final
@attrs.frozen(kw_only=True)
class Request:
    """Somebody asks for something; without an id, no answer is wanted."""

    method: str
    params: JsonObject = attrs.field(repr=False)
    id: Id | None = None


@final
@attrs.frozen(kw_only=True)
class Result:
    """The answer to a request that was understood. Whether it was carried out stands in its ``code``."""

    id: Id
    result: Json = attrs.field(repr=False)


@final
@attrs.frozen(kw_only=True)
class Failure:
    """The answer to a request that was not understood, or not allowed."""

    id: Id
    code: int = -1
    message: str = _UNKNOWN
    data: Json = attrs.field(default=None, repr=False)


Frame = Request | Result | Failure


def decode_frame(text: str, limits: Limits) -> Frame:
    """Read one text message. Raises RemoteProtocolError for what is none of the three frames."""
    members = decode_object(text, limits)
    id_ = members.get("id")
    if id_ is not None and (isinstance(id_, bool) or not isinstance(id_, str | int)):
        raise _bad("the id must be a text or a whole number")
    if id_ is not None and "error" in members:
        return _failure(id_, members["error"])
    if id_ is not None and "result" in members:
        return Result(id=id_, result=members["result"])
    method, params = members.get("method"), members.get("params", {})
    if not isinstance(method, str) or not method:
        raise _bad("there is neither a method nor an answer")
    if not isinstance(params, dict):
        raise _bad(f"the params of {method[:64]!r} must be an object")
    return Request(id=id_, method=method, params=params)


def encode_frame(frame: Frame) -> str:
    """Write one frame as a text message."""
    members: JsonObject = {"jsonrpc": "2.0"}
    if frame.id is not None:
        members["id"] = frame.id
    match frame:
        case Request():
            members |= {"method": frame.method, "params": frame.params}
        case Result():
            members["result"] = frame.result
        case Failure():
            error: JsonObject = {"code": frame.code, "message": frame.message}
            members["error"] = error if frame.data is None else {**error, "data": frame.data}
        case _:
            assert_never(frame)
    return encode_object(members)


def _failure(id_: Id, error: Json) -> Failure:
    if not isinstance(error, dict):
        return Failure(id=id_, message=str(error) or _UNKNOWN)
    code, message = error.get("code"), error.get("message")
    return Failure(
        id=id_,
        code=code if isinstance(code, int) and not isinstance(code, bool) else -1,
        message=message if isinstance(message, str) and message else _UNKNOWN,
        data=error.get("data"),
    )


def _bad(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"a JSON-RPC frame is wrong: {what}", close_code=1007)
