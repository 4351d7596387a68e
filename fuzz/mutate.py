"""Random changes to bytes, for where atheris does not run: it knows nothing of coverage, so it knows some grammar."""

import random
from collections.abc import Sequence
from typing import Final

_WORDS: Final = (
    *(b'""', b"null", b"true", b"false", b"-1", b"0", b"1e999", b"NaN", b"[]", b"{}", b"3.9", b'"7"', b"9" * 40),
    *(b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"\r\n", b"\r\n\r\n", b"\n"),
    *(b"\x88\x00", b"\x89\x00", b"\x81\x7e", b"\x82\x7f", b"\x01\x00", b"\x80\x00", b"\x88\x02\x03\xe8"),
    *(b"type", b"data", b"reqId", b"sessionId", b"call_event", b"command_response", b"buffer_request", b"call.in"),
    *(b"Upgrade: websocket", b"Connection: close", b"Content-Length: 1", b"Transfer-Encoding: chunked", b"HTTP/1.1 "),
    *(b"@", b"#", b"?", b"[::1]", b"://", b":0", b".."),
)


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return ``data`` with one to five changes; ``others`` are inputs to splice with."""
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 2, 4, 8, 32)))
        match chance.randrange(8):
            case 0:
                data = data[:at] + bytes((chance.randrange(256),)) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + 1 :] if at == len(data) else _flip(data, at, 1 << chance.randrange(8))
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:end] + data[at:end] * chance.choice((1, 1, 2, 10)) + data[end:]
            case 4:
                data = data[:at] + chance.choice(_WORDS) + data[at:]
            case 5:
                data = data[:at] + chance.choice(_WORDS) + data[end:]
            case 6:
                data = data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at:]
            case _:
                other = chance.choice(others)
                data = data[:at] + other[chance.randrange(len(other) + 1) :]
    return data


def _flip(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]
