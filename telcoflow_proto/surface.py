"""The small things users hold and adapters supply: results, streams, and what an event loop must offer."""

from collections.abc import AsyncIterable, Awaitable, Generator, Iterable
from typing import Protocol, Self, final, runtime_checkable

import attrs


class Bell(Protocol):
    """A one-shot event of some event loop (``anyio.Event``, ``trio.Event``), for one who waits."""

    def set(self) -> object:
        """Wake who waits."""
        ...

    def wait(self) -> Awaitable[object]:
        """Wait until somebody sets it."""
        ...


class TimeLimit(Protocol):
    """What a time limit tells afterwards."""

    @property
    def cancelled_caught(self) -> bool:
        """True when the time was up before the work was done."""
        ...


@final
@attrs.frozen(kw_only=True)
class CommandResult:
    """A command was carried out; ``took`` seconds from saying it to hearing so. Always true."""

    command: str
    took: float = 0.0
    result: object = None


@final
class BufferSize(int):
    """Bytes in the outgoing queue. May be awaited, because some programs do."""

    def __await__(self) -> Generator[None, None, int]:
        yield from ()
        return int(self)


@final
class Interruption(int):
    """Bytes that were dropped from the outgoing queue, and what that means to the ear. Milliseconds, estimated."""

    milliseconds_dropped: int
    milliseconds_heard: int

    def __new__(cls, dropped: int, *, milliseconds_dropped: int, milliseconds_heard: int) -> Self:
        """Make one: an int with two more numbers."""
        self = super().__new__(cls, dropped)
        self.milliseconds_dropped = milliseconds_dropped
        self.milliseconds_heard = milliseconds_heard
        return self


@final
@attrs.frozen(kw_only=True)
class Played:
    """What became of audio that was played. ``complete`` is False if it was interrupted, or the call ended."""

    bytes_queued: int
    seconds_heard: float
    complete: bool


@runtime_checkable
class PathLike(Protocol):
    """Where a file is, as ``pathlib`` says it (the core itself opens nothing)."""

    def __fspath__(self) -> str:
        """Return the path as a text."""
        ...


def path_text(path: str | PathLike) -> str:
    """Return a path as a text."""
    return path if isinstance(path, str) else path.__fspath__()


AudioSource = bytes | bytearray | memoryview | str | PathLike | Iterable[bytes] | AsyncIterable[bytes]
"""16-bit mono PCM at the call's rate: all at once, piece by piece, or as the path of a WAV file."""


class Say(Protocol):
    """A verb of the media connection that says a command and returns its id."""

    def __call__(self, *, now: float) -> str:
        """Say it at ``now``."""
        ...
