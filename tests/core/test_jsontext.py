"""JSON text, stricter and more bounded than the standard library."""

import json
import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.errors import LimitExceeded, RemoteProtocolError
from telcoflow_proto.jsontext import Json, JsonObject, decode_object, encode_object
from telcoflow_proto.limits import DEFAULT_LIMITS

WIDE = attrs.evolve(DEFAULT_LIMITS, json_bytes=1024 * 1024)
CANARY = "s3cret"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=10,
)


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    """Return an object ``depth`` deep, itself included."""
    inside = depth - 1
    return '{"a":' + opening * inside + ("1" if opening != "[" else "") + closing * inside + "}"


def refused(text: str) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as refusal:
        decode_object(text, WIDE)
    assert refusal.value.close_code == (1009 if len(text.encode(errors="replace")) > WIDE.json_bytes else 1007)
    return refusal.value


@settings(derandomize=True, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=4))
def test_what_we_encode_decodes_to_the_same(value: JsonObject) -> None:
    assert decode_object(encode_object(value), WIDE) == value


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(st.sampled_from('{}[]":,\\u0d8e1.-NaInfty \n\x00\ud800'), max_size=40) | st.text(max_size=40))
def test_any_text_gives_an_object_or_a_remote_protocol_error(text: str) -> None:
    try:
        value = decode_object(text, DEFAULT_LIMITS)
    except RemoteProtocolError:
        return
    assert value == json.loads(text)


def test_we_encode_as_the_vendor_does() -> None:
    value: JsonObject = {"type": "call.in", "name": "Zoë", "legs": [1, None, True]}
    assert encode_object(value) == '{"type": "call.in", "name": "Zo\\u00eb", "legs": [1, null, true]}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_we_never_encode_what_we_would_not_decode(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_object({"a": number})


# ---------------------------------------------------------------------- what is not an object


@pytest.mark.parametrize("text", ["null", "[]", '"x"', "1", "1.5", "true", "[{}]"])
def test_other_top_level_values_are_refused(text: str) -> None:
    assert str(refused(text)) == "a text message is not a JSON object"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "}",
        '{"a"}',
        '{"a":}',
        '{"a":1,}',
        "{'a':1}",
        '{"a":1} x',
        "{}{}",
        "{} {}",
        "{}\n{}",
        "\ufeff{}",
        "{}".encode("utf-16").decode("latin-1"),
        '{"a":"\n"}',
        '{"a":"\x00"}',
        '{"a":01}',
        '{"a":+1}',
        '{"a":.5}',
        '{"a":0x1}',
        '{"a":"\\x41"}',
        '{"a":"\\u12"}',
        '{"a":// comment\n1}',
    ],
)
def test_text_that_is_not_json_is_refused(text: str) -> None:
    error = refused(text)
    assert (type(error), str(error), error.close_code) == (
        RemoteProtocolError,
        "a text message is not valid JSON",
        1007,
    )


@pytest.mark.parametrize("text", ["{}", " {} ", '\t{"a" : [ ] }\r\n'])
def test_white_space_around_is_fine(text: str) -> None:
    assert decode_object(text, DEFAULT_LIMITS) == json.loads(text)


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize("where", ['{{"a":{}}}', '{{"a":[0,{{"b":{}}}]}}'])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-0"])
def test_numbers_python_would_let_pass_are_refused(where: str, number: str) -> None:
    error = refused(where.format(number))
    assert type(error) is RemoteProtocolError
    assert error.close_code == 1007


@pytest.mark.parametrize(
    ("number", "value"), [("0", 0), ("-1", -1), ("-0.0", 0.0), ("1e3", 1000.0), ("1e-999", 0.0), ("1E+2", 100.0)]
)
def test_other_numbers_keep_their_value_and_kind(number: str, value: float) -> None:
    found = decode_object(f'{{"a":{number}}}', DEFAULT_LIMITS)["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("number", ["{}", "-{}", "0.{}", "1e-{}", "1{}.5e1"])
def test_a_number_has_at_most_32_characters(number: str) -> None:
    fits = number.format("1" * (32 - len(number.format(""))))
    assert len(fits) == 32
    assert decode_object(f'{{"a":{fits}}}', WIDE)["a"] == json.loads(fits)
    assert isinstance(refused(f'{{"a":{number.format("1" * (33 - len(number.format(""))))}}}'), LimitExceeded)


@pytest.mark.parametrize("digits", [4301, 100_000])
def test_numbers_beyond_pythons_own_limit_are_refused_alike(digits: int) -> None:
    assert str(refused(f'{{"a":{"9" * digits}}}')) == "a number has more than 32 characters"


# ---------------------------------------------------------------------- bounds


@pytest.mark.parametrize("filling", ["x", "é", "\U0001f600"])
def test_a_message_is_measured_in_bytes(filling: str) -> None:
    wide = len(filling.encode())
    room = DEFAULT_LIMITS.json_bytes - len('{"a":""}')
    text = '{"a":"' + filling * (room // wide) + " " * (room % wide) + '"}'
    assert len(text.encode()) == DEFAULT_LIMITS.json_bytes
    assert decode_object(text, DEFAULT_LIMITS)
    with pytest.raises(LimitExceeded, match="longer than 65536 bytes") as refusal:
        decode_object(text + " ", DEFAULT_LIMITS)
    assert refusal.value.close_code == 1009


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_ends_at_32(opening: str, closing: str) -> None:
    assert decode_object(nested(32, opening, closing), WIDE)
    assert isinstance(refused(nested(33, opening, closing)), LimitExceeded)


@pytest.mark.parametrize("sibling", ["[]", "{}", '"["', "[[[]]]", "[{}]"])
def test_what_was_closed_again_does_not_count_as_depth(sibling: str) -> None:
    def behind_siblings(depth: int) -> str:
        return '{"a":[' + f"{sibling}," * 40 + "[" * (depth - 2) + "]" * (depth - 2) + "]}"

    assert decode_object(behind_siblings(32), WIDE)
    assert isinstance(refused(behind_siblings(33)), LimitExceeded)


@pytest.mark.parametrize(
    "text",
    [
        nested(200_000),
        nested(100_000, '{"a":', "}"),
        "[" * 200_000,
        '{"a":' * 150_000,
        "]" * 1000 + "[" * 1000,
        "[]" * 1000 + "[" * 1000,
    ],
    ids=["lists", "objects", "open lists", "open objects", "closers first", "many lists"],
)
def test_any_depth_is_refused_without_recursion(text: str) -> None:
    assert refused(text).close_code == 1007


@pytest.mark.parametrize(
    "value", ["[" * 100, "{" * 100, '"' + "[" * 100, "\\" + "[" * 100, '\\"' + "[" * 100, "\n[{" * 50, "]" * 100]
)
def test_brackets_in_strings_and_side_by_side_are_no_depth(value: str) -> None:
    wanted: JsonObject = {value: value, "wide": [[] for _ in range(100)]}
    assert decode_object(encode_object(wanted), WIDE) == wanted


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"' + '\\"' * 32_000,
        '{"a":"' + "\\" * 65_000,
        '"' * 65_000,
        '{"a":"' + "[" * 65_000,
        '\\"' * 32_000 + "[" * 64,
        ('"' + "[" * 40 + "\\") * 1500,
    ],
    ids=["quotes", "backslashes", "only quotes", "brackets", "quotes outside", "mixed"],
)
def test_unterminated_strings_are_read_once(text: str) -> None:
    # Any backtracking would be quadratic here: minutes instead of milliseconds.
    wide = attrs.evolve(WIDE, json_depth=0)
    for _ in range(20):
        with pytest.raises(RemoteProtocolError):
            decode_object(text, wide)


def test_an_object_has_at_most_1024_members() -> None:
    assert len(decode_object(json.dumps(dict.fromkeys(map(str, range(1024)))), WIDE)) == 1024
    for members in (1025, 10_000):
        text = json.dumps({"inner": dict.fromkeys(map(str, range(members)))})
        assert str(refused(text)) == "an object has more than 1024 members"


def test_bounds_given_once_do_not_stay_for_others() -> None:
    narrow = attrs.evolve(DEFAULT_LIMITS, json_digits=1, json_members=1)
    for text in ('{"a":12}', '{"a":1,"b":2}'):
        with pytest.raises(LimitExceeded):
            decode_object(text, narrow)
        assert decode_object(text, DEFAULT_LIMITS) == json.loads(text)


# ---------------------------------------------------------------------- keys and characters


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"a":"1"}',
        '{"a":null,"b":2,"a":null}',
        '{"b":{"a":1,"a":{}}}',
        '{"b":[0,{"a":1,"a":2}]}',
        '{"a":1,"\\u0061":2}',
        '{"":1,"":2}',
    ],
)
def test_a_key_that_comes_twice_is_refused(text: str) -> None:
    assert str(refused(text)) == "an object has a key twice"


@pytest.mark.parametrize("text", ['{"a":1,"A":2}', '{"a":{"a":{"a":1}}}', '{"__proto__":1,"constructor":2}'])
def test_keys_that_only_look_alike_are_fine(text: str) -> None:
    assert decode_object(text, DEFAULT_LIMITS) == json.loads(text)


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\uD800", "\\udfff", "\\uDFFF", "\\ude00\\ud83d", "\\ud83d\\ud83d\\ude00", "\\ud83d x"]
)
@pytest.mark.parametrize("where", ['{{"a":"{}"}}', '{{"{}":1}}', '{{"a":[{{"b":"{}"}}]}}'])
def test_lone_surrogates_are_refused_wherever_they_are(where: str, escape: str) -> None:
    assert str(refused(where.format(escape))) == "a text message holds a lone surrogate"


@pytest.mark.parametrize("escape", ["\\ud83d\\ude00", "\\uD83D\\uDE00", "\\\\ud800", "\\ud7ff", "\\ue000", "\\u0041"])
def test_surrogate_pairs_and_other_escapes_are_fine(escape: str) -> None:
    text = f'{{"a":"{escape}"}}'
    assert decode_object(text, DEFAULT_LIMITS) == json.loads(text)


def test_a_text_that_is_no_unicode_is_refused() -> None:
    assert refused('{"a":"\ud800"}').excerpt == b'{"a":"?"}'


# ---------------------------------------------------------------------- privacy


@pytest.mark.parametrize(
    "text",
    [
        f'{{"token":"{CANARY}"',
        f'["{CANARY}"]',
        f'{{"{CANARY}":1,"{CANARY}":2}}',
        f'{{"{CANARY}":NaN}}',
        f'{{"{CANARY}":-0}}',
        f'{{"{CANARY}":1e999}}',
        f'{{"{CANARY}":{"9" * 33}}}',
        f'{{"{CANARY}":"\\ud800"}}',
        f'{{"{CANARY}":{"[" * 40}',
        f'"{CANARY}"' + " " * WIDE.json_bytes,
        f'{{"{CANARY}":"\ud800"}}',
    ],
)
def test_no_message_of_an_error_quotes_the_text(text: str) -> None:
    error = refused(text)
    assert CANARY not in str(error)
    assert CANARY not in repr(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_json_is_any_value() -> None:
    values: list[Json] = [None, True, 1, 1.5, "x", [1], {"a": 1}]
    assert decode_object(encode_object({"all": values}), DEFAULT_LIMITS) == {"all": values}
