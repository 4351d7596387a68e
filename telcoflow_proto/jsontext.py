"""JSON text to values and back, stricter and more bounded than the standard library.

Python's decoder accepts NaN, keeps the last of two equal keys, turns 1e999 into infinity, and its depth limit
depends on the interpreter's version. A peer must not be able to use any of that.
"""

import functools
import json
import math
import re
from typing import NoReturn

from telcoflow_proto.errors import LimitExceeded, RemoteProtocolError
from telcoflow_proto.limits import Limits

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]

# Strings are swallowed whole (possessively: no backtracking over hostile input); what is left are brackets.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = " \t\n\r"
_ENCODER = json.JSONEncoder(allow_nan=False)  # json.dumps would make one for each text


def decode_object(text: str, limits: Limits) -> JsonObject:
    """Decode one text message into an object.

    Raises RemoteProtocolError (LimitExceeded for a bound) for anything else: other top-level values,
    duplicate keys, NaN, Infinity, numbers that overflow, lone surrogates, too deep, too long, too many members.
    """
    try:
        if len(text) > limits.json_bytes or (not text.isascii() and len(text.encode()) > limits.json_bytes):
            raise LimitExceeded(f"a text message is longer than {limits.json_bytes} bytes", close_code=1009)
        if text.count("{") + text.count("[") > limits.json_depth:
            _check_depth(text, limits.json_depth)
        value = _decoder(limits).decode_all(text)
    except ValueError:
        # The standard library's message quotes the text, which may hold numbers or tokens: drop it.
        raise RemoteProtocolError(
            "a text message is not valid JSON", close_code=1007, excerpt=text[:64].encode("utf-8", "replace")
        ) from None
    if not isinstance(value, dict):
        raise RemoteProtocolError("a text message is not a JSON object", close_code=1007)
    # The text itself is valid UTF-8 by now, so a lone surrogate can only come from an escape.
    if ("\\ud" in text or "\\uD" in text) and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise RemoteProtocolError("a text message holds a lone surrogate", close_code=1007)
    return value


def encode_object(value: JsonObject) -> str:
    """Encode an object as the vendor's client does: ASCII, a space behind comma and colon, keys as given."""
    return _ENCODER.encode(value)


def _check_depth(text: str, limit: int) -> None:
    depth = 0
    for match in _TOKEN.finditer(text):
        bracket = match.group()
        if bracket in "{[":
            depth += 1
            if depth > limit:
                raise LimitExceeded(f"a text message nests deeper than {limit}", close_code=1007)
        elif bracket in "}]":
            depth -= 1


class _Decoder(json.JSONDecoder):
    def __init__(self, limits: Limits) -> None:
        most_digits, most_members = limits.json_digits, limits.json_members

        def whole(digits: str) -> int:
            if len(digits) > most_digits:
                raise _too_long(most_digits)
            if digits == "-0":
                raise RemoteProtocolError("-0 is not an integer", close_code=1007)
            return int(digits)

        def real(digits: str) -> float:
            if len(digits) > most_digits:
                raise _too_long(most_digits)
            value = float(digits)
            if math.isinf(value):
                raise RemoteProtocolError("a number is too large", close_code=1007)
            return value

        def members(pairs: list[tuple[str, Json]]) -> JsonObject:
            if len(pairs) > most_members:
                raise LimitExceeded(f"an object has more than {most_members} members", close_code=1007)
            value = dict(pairs)
            if len(value) != len(pairs):
                raise RemoteProtocolError("an object has a key twice", close_code=1007)
            return value

        super().__init__(
            object_pairs_hook=members,
            parse_int=whole,
            parse_float=real,
            parse_constant=_refuse_constant,
        )

    def decode_all(self, text: str) -> Json:
        """Decode a text that holds one value and nothing else. Raises ValueError."""
        bare = text.strip(_SPACE)  # the library looks for space with two regular expressions
        value: Json
        value, end = self.raw_decode(bare)
        if end != len(bare):
            raise ValueError("something stands behind the value")
        return value


@functools.lru_cache(maxsize=8)
def _decoder(limits: Limits) -> _Decoder:
    return _Decoder(limits)


def _too_long(most: int) -> LimitExceeded:
    return LimitExceeded(f"a number has more than {most} characters", close_code=1007)


def _refuse_constant(name: str) -> NoReturn:
    raise RemoteProtocolError(f"{name} is not JSON", close_code=1007)
