"""A call as text: exactly what the vendor's client writes, read as suspiciously as anything from a peer."""

import json
from typing import Any

import pytest

from telcoflow_proto.client_events import CallIdentity
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.exceptions import WSSCallError, WSSCallStateError
from telcoflow_proto.handover import read_handover, write_handover
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.origin import parse_ws_url
from tests.core.loopless import FakeCall, Line, Task
from tests.core.support import counting

CONFIG = ClientConfig.for_handover(base_url="wss://x.example", sample_rate=8000, audio_mode="isolated")
GOOD: dict[str, Any] = {
    "channel": "TELCO",
    "id": "c1",
    "caller": "+1",
    "callee": "+2",
    "session_url": "wss://x.example/media/c1?a=b",
    "session_token": "canary.token-1",
}


def read(text: str, config: ClientConfig = CONFIG) -> tuple[CallIdentity, MediaClientConnection]:
    return read_handover(text, config, entropy=counting())


def media() -> MediaClientConnection:
    return MediaClientConnection(
        url=parse_ws_url("wss://x.example/media/c1?a=b"), token="canary.token-1", entropy=counting()
    )


def test_it_is_exactly_what_the_vendors_client_writes() -> None:
    identity = CallIdentity(call_id="c1", session_id="s1", caller="+1", callee="+2")
    assert write_handover(identity, media()) == (
        '{"channel": "TELCO", "id": "c1", "caller": "+1", "callee": "+2", '
        '"session_url": "wss://x.example/media/c1?a=b", "session_token": "canary.token-1"}'
    )


def test_a_withheld_number_is_an_empty_text() -> None:
    identity = CallIdentity(call_id="c1", session_id="s1", caller=None, callee=None)
    text = write_handover(identity, media())
    assert '"caller": "", "callee": ""' in text
    again, _ = read(text)
    assert (again.caller, again.callee) == (None, None)


def test_what_was_written_is_read_back() -> None:
    identity, connection = read(json.dumps(GOOD))
    assert identity == CallIdentity(call_id="c1", session_id="c1", caller="+1", callee="+2", direction="MT")
    assert str(connection.url) == GOOD["session_url"]
    assert connection.token.reveal() == "canary.token-1"
    assert connection.sample_rate == 8000
    assert connection.next_audio(3) is None, "a leg of its own: the audio mode is ours"
    assert write_handover(identity, connection) == json.dumps(GOOD)
    connection.answer(now=0)
    connection.start(now=0)
    assert b"Authorization: Bearer canary.token-1\r\n" in connection.data_to_send(now=0)


def test_fields_may_be_added_and_numbers_may_be_missing() -> None:
    known = {name: value for name, value in GOOD.items() if name not in ("caller", "callee")}
    identity, _ = read(json.dumps({**known, "new": {"a": []}}))
    assert (identity.caller, identity.callee) == (None, None)


WRONG: list[tuple[str, Any]] = [
    ("channel", None),
    ("channel", ""),
    ("channel", 5),
    ("channel", "WA"),
    ("channel", ["TELCO"]),
    ("id", None),
    ("id", ""),
    ("id", 7),
    ("id", "x" * 5000),
    ("id", "a\0b"),
    ("caller", 5),
    ("caller", {}),
    ("caller", "x" * 5000),
    ("callee", True),
    ("callee", []),
    ("session_url", None),
    ("session_url", ""),
    ("session_url", 5),
    ("session_url", "not a url"),
    ("session_url", "https://x.example/"),
    ("session_url", "wss://user:canary@x.example/"),
    ("session_url", "wss://evil.example/media"),
    ("session_url", "wss://x.example.evil.example/media"),
    ("session_url", "wss://x.example:22/media"),
    ("session_url", "ws://x.example/media"),
    ("session_url", "wss://x.example/a\r\nX-Evil: y"),
    ("session_token", None),
    ("session_token", ""),
    ("session_token", 5),
    ("session_token", "canary\r\nX-Evil: y"),
    ("session_token", "canary token"),
    ("session_token", "canary-ä"),
    ("session_token", "canary" * 1000),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_field_that_was_tampered_with_is_named_and_the_token_is_not(field: str, value: Any) -> None:
    for ascii_only in (True, False):
        with pytest.raises(WSSCallError) as caught:
            read(json.dumps({**GOOD, field: value}, ensure_ascii=ascii_only))
        assert type(caught.value) is WSSCallError
        assert f"field {field!r}" in str(caught.value)
        assert "canary" not in str(caught.value)
        assert "evil" not in str(caught.value).lower()
        assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("field", ["channel", "id", "session_url", "session_token"])
def test_a_field_that_is_missing_is_named(field: str) -> None:
    with pytest.raises(WSSCallError, match=f"field '{field}'"):
        read(json.dumps({name: value for name, value in GOOD.items() if name != field}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "[]",
        '"canary"',
        "null",
        "<html>canary</html>",
        json.dumps(GOOD)[:-1],
        json.dumps(GOOD)[:-1] + ', "id": "c2"}',
        '{"a":' * 1000,
        json.dumps({**GOOD, "new": "x" * 70_000}),
    ],
    ids=["nothing", "a word", "a list", "a text", "null", "a page", "cut", "a field twice", "deep", "too long"],
)
def test_what_is_no_call_is_one_clear_error(text: str) -> None:
    with pytest.raises(WSSCallError, match="this call cannot be taken over") as caught:
        read(text)
    assert "canary" not in str(caught.value)


def test_another_host_may_be_allowed() -> None:
    config = ClientConfig.for_handover(base_url="wss://x.example", media_hosts=["*.media.example"])
    text = json.dumps({**GOOD, "session_url": "wss://a.media.example/c1"})
    assert read(text, config)[1].url.host == "a.media.example"
    with pytest.raises(WSSCallError, match="another host"):
        read(text)


# ------------------------------------------------------------------ to_json: only while unused


def test_a_call_that_was_not_used_can_be_handed_over_as_often_as_one_likes() -> None:
    call = Line().call
    text = call.to_json()
    assert json.loads(text) == {
        "channel": "TELCO",
        "id": "c1",
        "caller": "+1",
        "callee": "",
        "session_url": "ws://localhost/media",
        "session_token": "t",
    }
    assert call.to_json() == text
    assert call.media.next_deadline() is None, "writing it has no effect"


def use_answer(line: Line) -> None:
    line.run(line.call.answer())


def use_start(line: Line) -> None:
    line.open()


def use_talk(line: Line) -> None:
    line.answered()


def use_end(line: Line) -> None:
    Task(line.call.force_disconnect()).outcome()


def use_lost(line: Line) -> None:
    line.call.media.fail_transport("cut", now=100)


@pytest.mark.parametrize("use", [use_answer, use_start, use_talk, use_end, use_lost])
def test_a_call_that_was_used_cannot(use: Any) -> None:
    line = Line()
    use(line)
    with pytest.raises(WSSCallStateError, match=f"only before it is used; it is {line.call.state.value}"):
        line.call.to_json()


def test_a_call_that_was_taken_over_is_a_call_like_any_other() -> None:
    identity, connection = read(json.dumps(GOOD))
    line = Line(FakeCall(identity, connection, Line().clock)).answered()
    assert line.call.call_id == "c1"
