"""The service's REST side: requests no id can bend, and one typed error for every odd reply."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from telcoflow_proto.control.messages import SessionInfo
from telcoflow_proto.exceptions import (
    SessionBusy,
    SessionError,
    SessionNotFound,
    WSSAuthenticationError,
    WSSConnectionError,
    WSSError,
)
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.rest import MOST_BYTES, close_session, list_sessions, quote, read_closed, read_sessions

HOSTILE = [
    "../../../admin/wipe?x=",
    "..",
    ".",
    "a/b",
    "a?b=c&d#e",
    "%2e%2e%2f",
    "a\r\nX-Evil: y",
    "a b",
    "nüll\0",
    "\ud800",
    "😀",
]

PLAIN = {"id": "s1", "channel": "TELCO"}


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("session_id", HOSTILE)
def test_a_hostile_id_stays_one_part_of_the_path(session_id: str) -> None:
    request = close_session(session_id)
    assert request.method == "POST"
    parts = urlsplit(f"https://x.example{request.target}")
    assert parts.query == parts.fragment == ""
    first, public, version, sessions, part, verb = parts.path.split("/")
    assert (first, public, version, sessions, verb) == ("", "public", "v1", "sessions", "close")
    assert "." not in part
    assert unquote(part) == session_id.encode("utf-8", "replace").decode()
    assert request.target.isascii()
    assert request.target.isprintable()
    assert " " not in request.target


def test_the_traversal_of_the_books_is_said_exactly() -> None:
    target = close_session("../../../admin/wipe?x=").target
    assert target == "/public/v1/sessions/%2E%2E%2F%2E%2E%2F%2E%2E%2Fadmin%2Fwipe%3Fx%3D/close"


@pytest.mark.parametrize("address", [*HOSTILE, "+4930123", "a&state=CLOSED"])
def test_a_query_holds_what_was_asked_and_nothing_else(address: str) -> None:
    request = list_sessions(channel="WA", remote_address=address)
    assert request.method == "GET"
    parts = urlsplit(f"https://x.example{request.target}")
    said = address.encode("utf-8", "replace").decode()
    assert parse_qsl(parts.query, strict_parsing=True) == [
        ("channel", "WA"),
        ("remoteAddress", said),
        ("state", "OPEN"),
    ]


def test_what_is_not_asked_is_left_out() -> None:
    assert list_sessions().target == "/public/v1/sessions?state=OPEN"
    assert quote("Az09-._~+/") == "Az09-._~%2B%2F"


def test_sessions_are_read() -> None:
    full: JsonObject = {
        **PLAIN,
        "initiator": "SDK",
        "state": "OPEN",
        "remoteAddress": "+1",
        "localAddress": None,
        "openedAt": 5,
        "new": [],
    }
    assert read_sessions(200, body({"items": [PLAIN, full], "next": None})) == [
        SessionInfo(id="s1", channel="TELCO"),
        SessionInfo(id="s1", channel="TELCO", initiator="SDK", state="OPEN", remote_address="+1", opened_at=5),
    ]
    assert read_sessions(200, body({"items": []})) == []


def test_a_long_list_is_read_and_an_endless_one_is_not() -> None:
    assert len(read_sessions(200, body({"items": [PLAIN] * 3000}))) == 3000
    with pytest.raises(WSSConnectionError):
        read_sessions(200, body({"items": ["x" * MOST_BYTES]}))


ODD: dict[str, bytes] = {
    "nothing": b"",
    "a page": b"<html><body>Welcome</body></html>",
    "a list": b"[]",
    "a text": b'"ok"',
    "null": b"null",
    "cut": b'{"items": [',
    "deep": b'{"items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"items": ' + b'{"a":' * 50_000,
    "no text": b"\xff\xfe\x00",
    "a number that is none": b'{"items": NaN}',
    "a key twice": b'{"items": [], "items": []}',
    "a lone surrogate": b'{"items": [], "reason": "\\ud800"}',
}
WRONG_LISTS: dict[str, Any] = {
    "no items": {},
    "items null": {"items": None},
    "items an object": {"items": {}},
    "an item that is a number": {"items": [5]},
    "an item without an id": {"items": [{"channel": "WA"}]},
    "an id that is a number": {"items": [{**PLAIN, "id": 5}]},
    "a time that is true": {"items": [{**PLAIN, "openedAt": True}]},
}


@pytest.mark.parametrize("status", [200, 204, 301, 302, 400, 404, 429, 500, 503])
@pytest.mark.parametrize("reply", ODD.values(), ids=ODD)
def test_a_reply_that_makes_no_sense_is_a_connection_error(reply: bytes, status: int) -> None:
    with pytest.raises(WSSConnectionError, match=f"HTTP {status}") as caught:
        read_sessions(status, reply)
    assert caught.value.code == status
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    if status != 404:
        with pytest.raises(WSSConnectionError, match=f"HTTP {status}"):
            read_closed(status, reply)


@pytest.mark.parametrize("reply", WRONG_LISTS.values(), ids=WRONG_LISTS)
def test_a_list_of_the_wrong_shape_is_a_connection_error(reply: Any) -> None:
    with pytest.raises(WSSConnectionError, match="makes no sense"):
        read_sessions(200, body(reply))


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("reply", [b"", b"<html>", body({"code": "SESSION_BUSY"})])
def test_refused_credentials_are_told_whatever_the_body(status: int, reply: bytes) -> None:
    for read in (read_sessions, read_closed):
        with pytest.raises(WSSAuthenticationError, match=str(status)) as caught:
            read(status, reply)
        assert caught.value.code == status


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SESSION_BUSY", SessionBusy),
        ("SESSION_NOT_FOUND", SessionNotFound),
        ("QUOTA_EXCEEDED", SessionError),
        ("A_NEW_ONE", SessionError),
    ],
)
def test_the_services_own_codes_are_kept(code: str, kind: type[SessionError]) -> None:
    for read in (read_sessions, read_closed):
        with pytest.raises(SessionError) as caught:
            read(409, body({"code": code, "message": "because"}))
        assert type(caught.value) is kind
        assert caught.value.code == code
        assert str(caught.value) == f"{code}: because"


@pytest.mark.parametrize("message", [None, 5, {}, ""])
def test_a_code_without_a_readable_message_is_enough(message: Any) -> None:
    with pytest.raises(SessionError) as caught:
        read_sessions(500, body({"code": "QUOTA_EXCEEDED", "message": message}))
    assert str(caught.value) == "QUOTA_EXCEEDED"


@pytest.mark.parametrize("reply", [{}, {"code": None}, {"code": 7}, {"message": "only"}])
def test_a_refusal_without_a_code_makes_no_sense(reply: Any) -> None:
    with pytest.raises(WSSConnectionError):
        read_sessions(500, body(reply))


def test_what_the_service_says_cannot_forge_a_line_of_a_log() -> None:
    with pytest.raises(SessionError) as caught:
        read_closed(500, body({"code": "A\nB", "message": "c\r\nERROR d"}))
    assert str(caught.value).isprintable()


def test_an_unknown_session_counts_as_closed() -> None:
    for reply in (b"", b"<html>", body({"code": "SESSION_NOT_FOUND", "message": "x"}), ODD["deep"]):
        assert read_closed(404, reply) == "SDK_REQUEST"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"closedAt": 5, "reason": "FORCE_CLOSE"}, "FORCE_CLOSE"),
        ({"closedAt": 5, "reason": None}, "SDK_REQUEST"),
        ({}, "SDK_REQUEST"),
        ({"reason": ""}, "SDK_REQUEST"),
    ],
)
def test_the_reason_is_read(reply: Any, reason: str) -> None:
    assert read_closed(200, body(reply)) == reason


@pytest.mark.parametrize("reason", [5, [], {}, "x" * 5000])
def test_a_reason_that_is_none_makes_no_sense(reason: Any) -> None:
    with pytest.raises(WSSError) as caught:
        read_closed(200, body({"reason": reason}))
    assert type(caught.value) is WSSConnectionError
