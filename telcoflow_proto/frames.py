"""WebSocket frame headers and masks (RFC 6455 §5.2, §5.3): read, measured and built."""

import struct

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
"""Opcodes (RFC 6455 §5.2)."""

MEDIUM = 126
"""The length in a header that says: the next two bytes are the length."""

_FIN = 0x80
_MASK_BIT = 0x80
_LONG, _MEDIUM_MOST = 127, 0xFFFF
_short_head, _medium_head, _long_head = (struct.Struct(form).pack for form in ("!BB", "!BBH", "!BBQ"))


def frame_head(opcode: int, length: int, *, masked: bool) -> bytes:
    """Build the header of a whole frame, up to where the mask key or the payload begins."""
    mask_bit = _MASK_BIT if masked else 0
    if length < MEDIUM:
        return _short_head(_FIN | opcode, mask_bit | length)
    if length <= _MEDIUM_MOST:
        return _medium_head(_FIN | opcode, mask_bit | MEDIUM, length)
    return _long_head(_FIN | opcode, mask_bit | _LONG, length)


def read_header(data: bytes, at: int) -> tuple[int, int] | None:
    """Return the size of the frame header at ``at`` and its payload's length in bytes; None for "need more"."""
    have = len(data) - at
    if have < 2:
        return None
    second = data[at + 1]
    length = second & 0x7F
    size = 2
    if length >= MEDIUM:
        size = 4 if length == MEDIUM else 10
        if have < size:
            return None
        length = int.from_bytes(data[at + 2 : at + size], "big")
    if second & _MASK_BIT:
        size += 4
    return (size, length) if have >= size else None


def mask(payload: bytes, key: bytes) -> bytes:
    """XOR with the repeated 4-byte key (RFC 6455 §5.3): one big integer beats a loop up to about 10 kB."""
    length = len(payload)
    pad = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(pad, "little")).to_bytes(length, "little")
