"""Params of a request: what goes where, what is refused, and what the service's schema would say."""

import collections
import math
import types
from typing import Any

import pytest

from telcoflow_proto.relay.methods import BY_NAME, BY_WIRE, DIAL, METHODS, SEND_MESSAGE, Kind, Method, Param
from telcoflow_proto.relay.params import build_params, find_faults

TTS = {"type": "tts", "params": {"text": "hello"}}

GOOD: dict[Kind, Any] = {
    Kind.TEXT: "text",
    Kind.INTEGER: 3,
    Kind.NUMBER: 2.5,
    Kind.BOOLEAN: False,
    Kind.OBJECT: {"k": 1},
    Kind.ARRAY: [{"k": 1}],
    Kind.GROUPS: [[{"k": 1}], []],
    Kind.SCALAR: "5",
    Kind.ANYTHING: ["any", 1, None],
    Kind.TEXT_OR_OBJECT: {"start": {}},
}
BAD: dict[Kind, list[Any]] = {
    Kind.TEXT: [1, True, {}, [], 1.5],
    Kind.INTEGER: ["1", True, 1.0, {}, []],
    Kind.NUMBER: ["1", True, {}, []],
    Kind.BOOLEAN: ["true", 1, 0.0, {}, []],
    Kind.OBJECT: ["text", 1, True, [], ()],
    Kind.ARRAY: ["text", 1, True, {}],
    Kind.GROUPS: ["text", 1, {}, [{}], [[], "text"]],
    Kind.SCALAR: [{}, []],
    Kind.ANYTHING: [],
    Kind.TEXT_OR_OBJECT: [1, True, [], 1.5],
}
ROWS = (*METHODS, DIAL, SEND_MESSAGE)
CASES = [(method, param) for method in ROWS for param in method.params]
IDS = [f"{method.name}-{param.name}" for method, param in CASES]
REQUIRED = [case for case in CASES if case[1].required]
REQUIRED_IDS = [f"{method.name}-{param.name}" for method, param in REQUIRED]


def good(param: Param) -> Any:
    """Make something this parameter may be, with every member it needs."""
    needed: dict[str, Any] = {}
    for need in param.needs:
        parent, _, name = need.rpartition(".")
        (needed.setdefault(parent, {}) if parent else needed)[name] = {} if name == "params" else "it"
    if not param.needs:
        return GOOD[param.kind]
    return {Kind.OBJECT: needed, Kind.ARRAY: [needed, needed], Kind.GROUPS: [[needed], [needed]]}[param.kind]


def at(params: Any, path: str) -> Any:
    for name in path.split("."):
        params = params[name]
    return params


def everything(method: Method) -> dict[str, Any]:
    return {param.name: good(param) for param in method.params}


def required(method: Method) -> dict[str, Any]:
    return {param.name: good(param) for param in method.params if param.required}


def row(*params: Param) -> Method:
    return Method(name="nap", wire="calling.nap", params=params)


@pytest.mark.parametrize("method", ROWS, ids=lambda method: method.name)
def test_everything_goes_to_its_place_on_the_wire(method: Method) -> None:
    given = everything(method)
    built = build_params(method, given, {})
    for param in method.params:
        assert at(built, param.wire) == given[param.name]
    assert set(built) == {param.wire.partition(".")[0] for param in method.params}
    assert find_faults(method, built) == []


@pytest.mark.parametrize("method", ROWS, ids=lambda method: method.name)
@pytest.mark.parametrize("absent", ["none", "not there"])
def test_what_was_not_given_is_left_out(method: Method, absent: str) -> None:
    nothing = {param.name: None for param in method.params} if absent == "none" else {}
    built = build_params(method, {**nothing, **required(method)}, {})
    expected = {param.wire.partition(".")[0] for param in method.params if param.required or param.absent is not None}
    assert set(built) == expected
    assert find_faults(method, built) == []


@pytest.mark.parametrize(("method", "param"), REQUIRED, ids=REQUIRED_IDS)
def test_a_missing_parameter_is_named(method: Method, param: Param) -> None:
    given = {**everything(method), param.name: None}
    with pytest.raises(ValueError, match=rf"^{method.name}\(\): {param.name} is missing; it must be an? ") as caught:
        build_params(method, given, {})
    assert caught.value.args[0].endswith(param.kind.value)


@pytest.mark.parametrize(("method", "param"), CASES, ids=IDS)
def test_a_value_of_the_wrong_kind_is_refused_by_name(method: Method, param: Param) -> None:
    for bad in BAD[param.kind]:
        with pytest.raises(TypeError) as caught:
            build_params(method, {**everything(method), param.name: bad}, {})
        assert caught.value.args[0].startswith(f"{method.name}(): {param.name} must be {param.kind.value}, got ")
        assert caught.value.args[0].endswith(type(bad).__name__)


@pytest.mark.parametrize(
    ("name", "given", "built"),
    [
        ("hangup", {"reason": "busy"}, {"reason": "busy"}),
        ("play", {"media": [TTS], "volume": -3, "loop": 0}, {"play": [TTS], "volume": -3, "loop": 0}),
        ("record", {}, {"record": {"audio": {}}}),
        ("record", {"audio": {"format": "wav"}}, {"record": {"audio": {"format": "wav"}}}),
        ("collect", {"continuous": False}, {"continuous": False}),
        ("detect", {"detect": {"type": "machine"}}, {"detect": {"type": "machine", "params": {}}}),
        ("tap", {"tap": {"type": "audio"}, "device": {"type": "rtp"}}, None),
        (
            "pay",
            {"payment_connector_url": "u", "input_method": "dtmf"},
            {"payment_connector_url": "u", "input": "dtmf"},
        ),
        ("join_conference", {"name": "n", "stream_obj": {"url": "u"}}, {"name": "n", "stream": {"url": "u"}}),
        (
            "live_transcribe",
            {"action_obj": {"start": {"language": "en-US"}}},
            {"action": {"start": {"language": "en-US"}}},
        ),
        ("live_translate", {"action_obj": "stop"}, {"action": "stop"}),
        ("ai", {"ai_params": {"end_of_speech_timeout": 3000}}, {"params": {"end_of_speech_timeout": 3000}}),
        ("amazon_bedrock", {"ai_params": {}, "prompt": "hello"}, {"params": {}, "prompt": "hello"}),
        (
            "bind_digit",
            {"digits": "*1", "bind_method": "calling.play", "bind_params": {"play": [TTS]}},
            {"digits": "*1", "bind_method": "calling.play", "params": {"play": [TTS]}},
        ),
        ("ai_hold", {"timeout": 5}, {"timeout": "5"}),
    ],
)
def test_a_request_looks_as_the_vendor_s_does(name: str, given: dict[str, Any], built: dict[str, Any] | None) -> None:
    expected = built or {"tap": {"type": "audio", "params": {}}, "device": {"type": "rtp"}}
    assert build_params(BY_NAME[name], given, {}) == expected


def test_a_scalar_is_sent_as_a_text() -> None:
    method = row(Param("a", Kind.SCALAR), Param("b", Kind.SCALAR), Param("c", Kind.SCALAR), Param("d", Kind.SCALAR))
    built = build_params(method, {"a": True, "b": False, "c": 5, "d": 15.5}, {})
    assert built == {"a": "true", "b": "false", "c": "5", "d": "15.5"}
    assert find_faults(method, {"a": 5}) == [f"a must be {Kind.SCALAR.value}"], "but it is a text on the wire"


def test_free_keywords_come_last_and_win() -> None:
    method = row(Param("volume", Kind.NUMBER), Param("tag", Kind.TEXT))
    built = build_params(method, {"volume": 1.0, "tag": "t"}, {"volume": "loud", "order_id": "12345", "nothing": None})
    assert built == {"volume": "loud", "tag": "t", "order_id": "12345"}


def test_a_free_keyword_that_is_none_leaves_the_named_one_alone() -> None:
    assert build_params(row(Param("tag", Kind.TEXT)), {"tag": "t"}, {"tag": None}) == {"tag": "t"}


def test_a_free_keyword_is_as_strict_as_a_named_one() -> None:
    with pytest.raises(TypeError, match=r"^nap\(\): codecs holds a set, which JSON cannot say$"):
        build_params(row(), {}, {"codecs": {"PCMU"}})


def test_what_is_given_beside_the_table_is_not_sent() -> None:
    assert build_params(row(), {"secret": 1}, {}) == {}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_json_cannot_say_is_refused_wherever_it_stands(number: float) -> None:
    method = row(Param("volume", Kind.NUMBER), Param("any", Kind.ANYTHING))
    with pytest.raises(ValueError, match=r"^nap\(\): volume holds -?(nan|inf), which JSON cannot say$"):
        build_params(method, {"volume": number}, {})
    with pytest.raises(ValueError, match="any holds"):
        build_params(method, {"any": [{"deep": number}]}, {})


@pytest.mark.parametrize("value", [b"raw", bytearray(b"raw"), memoryview(b"raw"), {1, 2}, object(), 1j, print])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"^nap\(\): any holds a \w+, which JSON cannot say$"):
        build_params(row(Param("any", Kind.ANYTHING)), {"any": {"inside": [value]}}, {})


def test_a_key_has_to_be_a_text() -> None:
    with pytest.raises(TypeError, match=r"^nap\(\): any has a key that is not a text: int$"):
        build_params(row(Param("any", Kind.ANYTHING)), {"any": {1: "one"}}, {})


def test_what_holds_itself_is_refused() -> None:
    holds: list[Any] = []
    holds += [holds] * 1000
    with pytest.raises(ValueError, match=r"nested deeper than 60, or holds itself$"):
        build_params(row(Param("any", Kind.ANYTHING)), {"any": holds}, {})


def test_the_same_value_may_stand_in_two_places() -> None:
    twice = {"k": 1}
    assert build_params(row(Param("any", Kind.ANYTHING)), {"any": [twice, twice]}, {}) == {"any": [twice, twice]}


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_a_value_may_be_nested_sixty_deep() -> None:
    method = row(Param("any", Kind.ANYTHING))
    assert build_params(method, {"any": nested(60)}, {}) == {"any": nested(60)}
    with pytest.raises(ValueError, match="nested deeper than 60"):
        build_params(method, {"any": nested(61)}, {})


def test_what_is_sent_later_is_what_was_given_now() -> None:
    item = {"type": "tts", "params": {"text": "before"}}
    media = [item]
    built = build_params(BY_NAME["play"], {"media": media}, {"extra": media})
    media.append(item)
    item["params"] = {"text": "after"}
    assert built == {"play": [TTS | {"params": {"text": "before"}}], "extra": [TTS | {"params": {"text": "before"}}]}


def test_two_recordings_do_not_share_what_was_absent() -> None:
    first = build_params(BY_NAME["record"], {}, {})
    second = build_params(BY_NAME["record"], {}, {})
    at(first, "record.audio")["beep"] = True
    assert second == {"record": {"audio": {}}}


def test_any_mapping_and_any_sequence_will_do() -> None:
    media = collections.deque([types.MappingProxyType({"type": "audio", "params": {"urls": ("a", "b")}})])
    assert build_params(BY_NAME["play"], {"media": media}, {}) == {
        "play": [{"type": "audio", "params": {"urls": ["a", "b"]}}]
    }


@pytest.mark.parametrize(
    ("name", "given", "lacking"),
    [
        ("play", {"media": [TTS, {"type": "audio"}]}, "media lacks 'params'"),
        ("play", {"media": [{"params": {}}]}, "media lacks 'type'"),
        ("play", {"media": ["hello"]}, "media lacks 'type'"),
        ("play", {"media": [[TTS]]}, "media lacks 'type'"),
        ("play_and_collect", {"media": [TTS], "collect": {"digits": {}}}, "collect lacks 'digits.max'"),
        ("play_and_collect", {"media": [TTS], "collect": {"digits": "1"}}, "collect lacks 'digits.max'"),
        ("collect", {"digits": {"terminators": "#"}}, "digits lacks 'max'"),
        ("connect", {"devices": [[{"type": "phone"}], [{"params": {}}]]}, "devices lacks 'type'"),
        ("connect", {"devices": [["+1555"]]}, "devices lacks 'type'"),
        ("connect", {"devices": [[]], "ringback": [{"type": "ringtone"}]}, "ringback lacks 'params'"),
        ("detect", {"detect": {}}, "detect lacks 'type'"),
        ("refer", {"device": {"type": "sip"}}, "device lacks 'params.to'"),
        ("tap", {"tap": {"type": "audio"}, "device": {}}, "device lacks 'type'"),
        ("pay", {"payment_connector_url": "u", "parameters": [{"name": "n"}]}, "parameters lacks 'value'"),
        ("pay", {"payment_connector_url": "u", "prompts": [{}]}, "prompts lacks 'for'"),
    ],
)
def test_a_member_the_service_insists_on_is_named(name: str, given: dict[str, Any], lacking: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}\(\): {lacking}$"):
        build_params(BY_NAME[name], given, {})


def test_a_member_of_an_inner_object_is_needed_only_where_that_is() -> None:
    collect = {"speech": {"language": "en-US"}}
    assert build_params(BY_NAME["play_and_collect"], {"media": [], "collect": collect}, {})["collect"] == collect


@pytest.mark.parametrize(("method", "param"), REQUIRED, ids=REQUIRED_IDS)
def test_the_schema_misses_what_is_required(method: Method, param: Param) -> None:
    built = build_params(method, everything(method), {})
    del built[param.wire]
    assert find_faults(method, built) == [f"{param.wire} is required"]


@pytest.mark.parametrize(("method", "param"), CASES, ids=IDS)
def test_the_schema_names_what_has_the_wrong_type(method: Method, param: Param) -> None:
    *parents, last = param.wire.split(".")
    for bad in BAD[param.kind]:
        built = build_params(method, everything(method), {})
        (at(built, ".".join(parents)) if parents else built)[last] = bad
        assert find_faults(method, built) == [f"{param.wire} must be {param.kind.value}"]


@pytest.mark.parametrize(
    ("name", "params", "faults"),
    [
        ("play", {"play": [{"type": "tts"}]}, ["play: params is required"]),
        ("connect", {"devices": [[{}]]}, ["devices: type is required"]),
        ("refer", {"device": {"type": "sip", "params": {}}}, ["device: params.to is required"]),
        ("refer", {"device": {"type": "sip"}}, ["device: params is required"]),
        (
            "detect",
            {"detect": {"type": "fax"}, "timeout": "30"},
            ["detect: params is required", "timeout must be a number"],
        ),
        ("record", {"record": {}}, []),
        ("record", {"record": "all"}, ["record must be an object (dict)"]),
        ("record", {}, ["record must be an object (dict)"]),
        ("user_event", {}, []),
    ],
)
def test_the_schema_says_everything_that_is_wrong(name: str, params: dict[str, Any], faults: list[str]) -> None:
    assert find_faults(BY_NAME[name], params) == faults


def test_a_subcommand_has_params_too() -> None:
    volume, pause = BY_WIRE["calling.play.volume"], BY_WIRE["calling.record.pause"]
    assert build_params(volume, {"volume": 4.0}, {}) == {"volume": 4.0}
    assert build_params(pause, {"behavior": None}, {}) == {}
    assert build_params(pause, {"behavior": "silence"}, {}) == {"behavior": "silence"}
    with pytest.raises(ValueError, match=r"^volume\(\): volume is missing; it must be a number$"):
        build_params(volume, {}, {})
    assert find_faults(volume, {}) == ["volume is required"]
