"""What the tests of the core share: repeatable chance, frames built by hand, and two links on one wire."""

import itertools
import struct
from collections.abc import Iterator

import attrs

from telcoflow_proto.chance import Entropy
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Heartbeat, LinkEvent, WebSocketLink

KEY = b"\x11\x22\x33\x44"


def counting() -> Entropy:
    """Chance that is none: bytes that count upwards."""
    numbers = itertools.count()
    return lambda count: bytes(next(numbers) % 251 for _ in range(count))


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut into pieces of ``size`` bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def masked(payload: bytes, key: bytes) -> bytes:
    """XOR with the key, byte by byte: too slow for use, too plain to be wrong."""
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def header(first: int, length: int, *, key: bytes | None = None, size: int | None = None) -> bytes:
    """Build a frame header; ``size`` (0, 2, 8) asks for a length field of that many bytes."""
    if size is None:
        size = 0 if length < 126 else 2 if length < 65536 else 8
    bit = 0x80 if key is not None else 0
    short = {0: length, 2: 126, 8: 127}[size]
    return bytes([first, bit | short]) + (length.to_bytes(size, "big") if size else b"") + (key or b"")


def frame(sender: Role, first: int, payload: bytes = b"") -> bytes:
    """Build a frame as ``sender`` must: masked by a client, plain from a server."""
    if sender is Role.CLIENT:
        return header(first, len(payload), key=KEY) + masked(payload, KEY)
    return header(first, len(payload)) + payload


def close_frame(sender: Role, code: int | None = 1000, reason: bytes = b"") -> bytes:
    """Build a close frame."""
    return frame(sender, 0x88, b"" if code is None else struct.pack("!H", code) + reason)


def frames_in(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Read whole frames: first byte and unmasked payload. Mask keys are chance, so they are left out."""
    at = 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        length, at = second & 0x7F, at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        key = b"\0\0\0\0"
        if second & 0x80:
            key, at = data[at : at + 4], at + 4
        assert at + length <= len(data), "a frame that is not whole"
        yield first, masked(data[at : at + length], key)
        at += length


@attrs.define
class Pair:
    """A client and a server link, and the wire between them, which cuts everything into pieces of ``size``."""

    client: WebSocketLink
    server: WebSocketLink
    size: int = 65536

    @classmethod
    def make(cls, *, size: int = 65536, heartbeat: Heartbeat | None = None, limits: Limits = DEFAULT_LIMITS) -> "Pair":
        """Make two ends that have not met."""
        return cls(
            WebSocketLink(Role.CLIENT, entropy=counting(), host="example.com", heartbeat=heartbeat, limits=limits),
            WebSocketLink(Role.SERVER, entropy=counting(), heartbeat=heartbeat, limits=limits),
            size,
        )

    def end(self, role: Role) -> WebSocketLink:
        """Return the end of this role."""
        return self.client if role is Role.CLIENT else self.server

    def carry(self, *, now: float = 0.0) -> None:
        """Carry bytes both ways until nobody has any."""
        busy = True
        while busy:
            busy = False
            for one, other in ((self.client, self.server), (self.server, self.client)):
                for piece in pieces(one.data_to_send(), self.size):
                    busy = True
                    other.receive_data(piece, now=now)

    def request(self, *, now: float = 0.0) -> None:
        """Start both ends and carry the upgrade request over."""
        self.client.start(now=now)
        self.server.start(now=now)
        self.carry(now=now)

    def open(self, *, now: float = 0.0) -> None:
        """Upgrade, and forget the events of it."""
        self.request(now=now)
        self.server.accept(now=now)
        self.carry(now=now)
        heard(self.client)
        heard(self.server)


def open_link(
    role: Role, *, heartbeat: Heartbeat | None = None, limits: Limits = DEFAULT_LIMITS, now: float = 0.0
) -> WebSocketLink:
    """Return one open end, with nothing to write and no events; the test plays the other end."""
    pair = Pair.make(heartbeat=heartbeat, limits=limits)
    pair.open(now=now)
    return pair.end(role)


def heard(link: WebSocketLink) -> list[LinkEvent]:
    """Take the events of a link."""
    return list(link.events())


def said(link: WebSocketLink) -> list[tuple[int, bytes]]:
    """Take the frames a link has to send."""
    return list(frames_in(link.data_to_send()))
