"""What must hold for any bytes: nothing escapes, any split is the same, and what was heard can be said."""

import itertools
import random
import zlib
from collections.abc import Callable, Iterable
from typing import Protocol

from telcoflow_proto.door import ConnectionLost, FrameDropped
from telcoflow_proto.websocket import LinkLost

MOST_BYTES = 4096
"""Longer inputs find nothing new here and make every split slower; the bounds have tests of their own."""


class Finding(AssertionError):
    """Something that must hold does not."""


def expect(*, that: bool, otherwise: str) -> None:
    """Fail with a text that says what broke."""
    if not that:
        raise Finding(otherwise)


class Listener(Protocol):
    """Something that is given a stream piece by piece."""

    def feed(self, piece: bytes) -> None:
        """Take bytes, then keep what happened."""
        ...

    @property
    def over(self) -> bool:
        """True once nothing that follows is listened to."""
        ...

    def outcome(self) -> object:
        """All that can be seen of it, in a form that compares."""
        ...


def plain(event: object) -> object:
    """Make an event comparable: an error is what it is and what it says."""
    if isinstance(event, LinkLost | ConnectionLost):
        return (type(event).__name__, event.code, event.reason, *_error(event.error))
    if isinstance(event, FrameDropped):
        return ("FrameDropped", *_error(event.error))
    return event


def _error(error: Exception | None) -> tuple[object, ...]:
    return (type(error).__name__, str(error), getattr(error, "close_code", None))


def random_pieces(data: bytes, chance: random.Random) -> list[bytes]:
    """Cut at up to eight places; pieces may be empty."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 9)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def check_splits(make: Callable[[], Listener], data: bytes) -> None:
    """Whole, in small pieces and in random ones: the same outcome, and an end at the same byte."""
    whole = _heard(make, [data]).outcome()
    small = make()
    at, ended = 0, None
    for piece in _small_pieces(data):
        small.feed(piece)
        if ended is None and small.over:
            ended = (at, at + len(piece))
        at += len(piece)
    _same("in small pieces", small.outcome(), whole)
    chance = random.Random(zlib.crc32(data))
    pieces = random_pieces(data, chance)
    _same(f"in pieces of {list(map(len, pieces))}", _heard(make, pieces).outcome(), whole)
    if ended is not None:
        before, after = ended
        _same(f"cut at byte {after}, where it ends", _heard(make, [data[:after]]).outcome(), whole)
        expect(
            that=not _heard(make, [data[:before]]).over,
            otherwise=f"in small pieces it ends behind byte {before}, in one piece before that",
        )


def _small_pieces(data: bytes) -> list[bytes]:
    """Cut into single bytes; a long input into 16 at a time, but for its first and last 200."""
    middle = range(200, max(200, len(data) - 200), 16)
    edges = [*range(min(200, len(data))), *middle, *range(max(200, middle.stop), len(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def _heard(make: Callable[[], Listener], pieces: Iterable[bytes]) -> Listener:
    listener = make()
    for piece in pieces:
        listener.feed(piece)
    return listener


def _same(how: str, got: object, whole: object) -> None:
    expect(that=got == whole, otherwise=f"another outcome {how}:\n  {got!r}\nthan in one piece:\n  {whole!r}")
