"""JSON-RPC as RELAY uses it: three frames, ids echoed as given, everything else refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.errors import LimitExceeded, RemoteProtocolError
from telcoflow_proto.jsontext import Json
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.relay.jsonrpc import Failure, Frame, Id, Request, Result, decode_frame, encode_frame

IDS = st.text(max_size=8) | st.integers(-(10**20), 10**20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), VALUES, max_size=3)
FRAMES: st.SearchStrategy[Frame] = (
    st.builds(Request, method=st.text(min_size=1, max_size=8), params=OBJECTS, id=st.none() | IDS)
    | st.builds(Result, id=IDS, result=VALUES)
    | st.builds(Failure, id=IDS, code=st.integers(-40000, 40000), message=st.text(min_size=1), data=VALUES)
)


def decoded(**members: Any) -> Frame:
    return decode_frame(json.dumps({"jsonrpc": "2.0", **members}), RELAY_LIMITS)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(FRAMES)
def test_what_is_written_is_read_again(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame), RELAY_LIMITS) == frame


def test_a_request_looks_as_the_vendors_does() -> None:
    text = encode_frame(Request(id="i", method="calling.answer", params={"node_id": "n"}))
    assert text == '{"jsonrpc": "2.0", "id": "i", "method": "calling.answer", "params": {"node_id": "n"}}'


def test_a_request_without_an_id_wants_no_answer() -> None:
    assert encode_frame(Request(method="m", params={})) == '{"jsonrpc": "2.0", "method": "m", "params": {}}'
    assert decoded(method="m") == Request(method="m", params={}, id=None)
    assert decoded(method="m", id=None) == Request(method="m", params={}, id=None)


def test_an_error_says_its_data_only_if_it_has_any() -> None:
    assert json.loads(encode_frame(Failure(id=1, code=-32600, message="no")))["error"] == {
        "code": -32600,
        "message": "no",
    }
    assert json.loads(encode_frame(Failure(id=1, data={"a": 1})))["error"]["data"] == {"a": 1}


@pytest.mark.parametrize("id_", ["", "text", 0, 7, -7, 10**31])
def test_an_id_is_echoed_as_it_was_given(id_: Id) -> None:
    frame = decoded(id=id_, result={})
    assert isinstance(frame, Result)
    assert (type(frame.id), frame.id) == (type(id_), id_)
    assert json.loads(encode_frame(frame))["id"] == id_


@pytest.mark.parametrize("id_", [True, False, 1.0, 1.5, [], ["a"], {}, {"a": 1}])
@pytest.mark.parametrize("rest", [{"result": {}}, {"error": {}}, {"method": "m"}])
def test_peer_bug_r06_any_other_id_is_refused(id_: Json, rest: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="id must be a text or a whole number") as refused:
        decoded(id=id_, **rest)
    assert refused.value.close_code == 1007


@pytest.mark.parametrize("value", [{}, {"code": "200"}, None, 1, "text", [1], False])
def test_a_result_may_be_anything(value: Json) -> None:
    assert decoded(id="i", result=value) == Result(id="i", result=value)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": -32002, "message": "who are you?"}, -32002, "who are you?"),
        ({"code": -32002}, -32002, "Unknown error"),
        ({"message": "no"}, -1, "no"),
        ({}, -1, "Unknown error"),
        ("", -1, "Unknown error"),
        ({"code": "404", "message": ""}, -1, "Unknown error"),
        ({"code": True, "message": 7}, -1, "Unknown error"),
        ({"code": 1.5, "message": None}, -1, "Unknown error"),
        ("it broke", -1, "it broke"),
        (None, -1, "None"),
        (["a"], -1, "['a']"),
    ],
)
def test_the_shapes_an_error_takes(error: Json, code: int, message: str) -> None:
    assert decoded(id="i", error=error) == Failure(id="i", code=code, message=message)


def test_an_error_is_one_even_beside_a_result_or_a_method() -> None:
    assert isinstance(decoded(id="i", error={"code": 1}, result={}, method="m"), Failure)
    assert isinstance(decoded(id="i", result={}, method="m"), Result)


def test_an_answer_to_no_id_is_no_answer() -> None:
    answers: list[dict[str, Any]] = [{"error": {"code": -32700}}, {"result": {}}]
    for answer in answers:
        with pytest.raises(RemoteProtocolError, match="neither a method nor an answer"):
            decoded(id=None, **answer)
        with pytest.raises(RemoteProtocolError, match="neither a method nor an answer"):
            decoded(**answer)


@pytest.mark.parametrize("method", [None, "", 7, [], {}, True])
def test_a_method_is_a_text(method: Json) -> None:
    with pytest.raises(RemoteProtocolError, match="neither a method nor an answer"):
        decoded(id="i", method=method)


@pytest.mark.parametrize("params", [None, [], "text", 7, False])
def test_peer_bug_r06_params_that_are_no_object_are_refused(params: Json) -> None:
    with pytest.raises(RemoteProtocolError, match=r"the params of 'signalwire\.event' must be an object"):
        decoded(id="i", method="signalwire.event", params=params)


def test_a_long_method_is_not_quoted_in_full() -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        decoded(method="m" * 1000, params=None)
    assert len(str(refused.value)) < 200


DEEP = '{"id": "i", "result": ' + "[" * 65 + "]" * 65 + "}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", RemoteProtocolError),
        ("null", RemoteProtocolError),
        ("[]", RemoteProtocolError),
        ("{}", RemoteProtocolError),
        ("{", RemoteProtocolError),
        ('{"id": "i", "id": "i", "result": {}}', RemoteProtocolError),
        ('{"id": "i", "result": NaN}', RemoteProtocolError),
        ('{"id": "i", "result": 1e999}', RemoteProtocolError),
        (f'{{"id": "i", "result": {"9" * 5000}}}', LimitExceeded),
        (f'{{"id": {"9" * 5000}, "result": 1}}', LimitExceeded),
        (DEEP, LimitExceeded),
        ('{"id": "i", "result": ' + "[" * 200_000, LimitExceeded),
    ],
)
def test_peer_bug_r06_text_that_is_no_frame_is_refused(text: str, kind: type[RemoteProtocolError]) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        decode_frame(text, RELAY_LIMITS)
    assert type(refused.value) is kind


def test_what_was_said_is_not_shown() -> None:
    shown = [
        repr(Request(id="i", method="m", params={"token": "canary"})),
        repr(Result(id="i", result={"token": "canary"})),
        repr(Failure(id="i", data={"token": "canary"})),
    ]
    assert not any("canary" in one for one in shown)
