"""What passed over one connection, and when: recorded, kept as text, read like peer input, and played again.

The text has a first line that names the format, then one line per thing that happened: the time in monotonic
seconds, a word, and for bytes their hexadecimal digits::

    telcoflow-transcript 1
    100.0 start
    100.0 > 474554202f
    100.02 < 485454502f
    105.0 timeout
    106.5 eof

It holds whatever the connection carried, credentials and voices included: treat it like a password.
"""

import enum
import math
import re
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar, final

import attrs

from telcoflow_proto.errors import LimitExceeded, RemoteProtocolError
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits

_FIRST_LINE = "telcoflow-transcript 1"
_LINE = re.compile(r"(?P<at>[0-9.e+-]{1,32}) (?P<word>start|[<>]|timeout|eof)(?: (?P<hex>[0-9a-f]+))?", re.ASCII)

Event = TypeVar("Event")
EventOut_co = TypeVar("EventOut_co", covariant=True)


@final
class Happening(enum.Enum):
    """What can happen to a byte door. Bytes belong to two of them only."""

    STARTED = "start"
    HEARD = "<"
    SAID = ">"
    RANG = "timeout"
    ENDED = "eof"


_WITH_BYTES = (Happening.HEARD, Happening.SAID)


@final
@attrs.frozen
class Entry:
    """One thing that happened at ``at`` (monotonic seconds)."""

    at: float
    what: Happening
    data: bytes = attrs.field(default=b"", repr=False)


@final
@attrs.frozen
class Transcript:
    """All that happened, in order. ``dropped`` entries at the end did not fit the bounds and are not in it."""

    entries: tuple[Entry, ...]
    dropped: int = 0


class Door(Protocol[EventOut_co]):
    """What a recorder needs of a connection: the five verbs, and ``start``. Every byte door has them."""

    def start(self, *, now: float) -> None:
        """The stream is connected."""
        ...

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Bytes arrived."""
        ...

    def receive_eof(self, *, now: float) -> None:
        """Nothing more will arrive."""
        ...

    def handle_timeout(self, *, now: float) -> None:
        """A deadline has passed."""
        ...

    def data_to_send(self, *, now: float | None = None) -> bytes:
        """Take the bytes to write."""
        ...

    def events(self) -> Iterator[EventOut_co]:
        """Take what happened."""
        ...


@final
class Recorder(Generic[Event]):
    """Writes down what is done to a byte door. Drive the recorder; speak, and ask everything else, to ``door``."""

    def __init__(self, door: Door[Event], *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.door = door
        self._limits = limits
        self._entries: list[Entry] = []
        self._bytes = 0
        self._dropped = 0
        self._now = 0.0

    @property
    def transcript(self) -> Transcript:
        """All that was recorded so far."""
        return Transcript(tuple(self._entries), self._dropped)

    def start(self, *, now: float) -> None:
        """The stream is connected."""
        self._record(Happening.STARTED, now)
        self.door.start(now=now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Bytes arrived."""
        if data:
            self._record(Happening.HEARD, now, data)
        self.door.receive_data(data, now=now)

    def receive_eof(self, *, now: float) -> None:
        """Nothing more will arrive."""
        self._record(Happening.ENDED, now)
        self.door.receive_eof(now=now)

    def handle_timeout(self, *, now: float) -> None:
        """A deadline has passed."""
        self._record(Happening.RANG, now)
        self.door.handle_timeout(now=now)

    def data_to_send(self, *, now: float | None = None) -> bytes:
        """Take the bytes to write at ``now`` (the time last heard of, if None)."""
        at = self._now if now is None else now
        data = self.door.data_to_send(now=at)
        if data:
            self._record(Happening.SAID, at, data)
        return data

    def events(self) -> Iterator[Event]:
        """Take what happened."""
        return self.door.events()

    def _record(self, what: Happening, now: float, data: bytes = b"") -> None:
        self._now = now
        full = len(self._entries) >= self._limits.transcript_entries
        if self._dropped or full or self._bytes + len(data) > self._limits.transcript_bytes:
            self._dropped += 1  # a transcript is a beginning: nothing follows a gap
            return
        self._bytes += len(data)
        self._entries.append(Entry(now, what, bytes(data)))


def replay(
    transcript: Transcript,
    door: Door[Event],
    *,
    react: Callable[[Event, float], None] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Transcript:
    """Do to ``door`` what was done to the one recorded, at the same times; return what passed this time.

    The door must be made as that one was, with the same entropy. ``react`` is the application: it is given every
    event with its time and may speak to the door. The replay was exact if both transcripts are equal.
    """
    recorder = Recorder(door, limits=limits)
    for entry in transcript.entries:
        match entry.what:
            case Happening.STARTED:
                recorder.start(now=entry.at)
            case Happening.HEARD:
                recorder.receive_data(entry.data, now=entry.at)
            case Happening.SAID:
                recorder.data_to_send(now=entry.at)
            case Happening.RANG:
                recorder.handle_timeout(now=entry.at)
            case _:
                recorder.receive_eof(now=entry.at)
        if react is not None:
            for event in recorder.events():
                react(event, entry.at)
    return recorder.transcript


def write_transcript(transcript: Transcript) -> str:
    """Write it as text; ``read_transcript`` gives an equal one, but for ``dropped``."""
    lines = (
        f"{float(entry.at)!r} {entry.what.value} {entry.data.hex()}".rstrip() + "\n" for entry in transcript.entries
    )
    return f"{_FIRST_LINE}\n{''.join(lines)}"


def read_transcript(text: str, *, limits: Limits = DEFAULT_LIMITS) -> Transcript:
    """Read what ``write_transcript`` wrote.

    Raises RemoteProtocolError that names the line, never its content, for anything else: unknown words, bytes
    that are missing or too many, time that runs backwards, a second start, bytes heard after the end.
    LimitExceeded for more than the bounds in ``limits`` allow.
    """
    if len(text) > 2 * limits.transcript_bytes + 64 * limits.transcript_entries:
        raise LimitExceeded("a transcript is longer than its bounds allow")
    first, *lines = text.removesuffix("\n").split("\n")
    if first != _FIRST_LINE:
        raise RemoteProtocolError(f"a transcript begins with {_FIRST_LINE!r}")
    if len(lines) > limits.transcript_entries:
        raise LimitExceeded(f"a transcript has more than {limits.transcript_entries} entries")
    entries: list[Entry] = []
    done: set[Happening] = set()
    size = 0
    for number, line in enumerate(lines, 2):
        entry = _read_line(line)
        if entry is None or not _may_follow(entry, entries[-1:], done):
            raise RemoteProtocolError(f"line {number} of a transcript makes no sense there")
        size += len(entry.data)
        done.add(entry.what)
        entries.append(entry)
    if size > limits.transcript_bytes:
        raise LimitExceeded(f"a transcript holds more than {limits.transcript_bytes} bytes")
    return Transcript(tuple(entries))


def _read_line(line: str) -> Entry | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    what, digits = Happening(found["word"]), found["hex"] or ""
    try:
        at, data = float(found["at"]), bytes.fromhex(digits)
    except ValueError:
        return None
    fits = math.isfinite(at) and bool(data) is (what in _WITH_BYTES)
    return Entry(at, what, data) if fits else None


def _may_follow(entry: Entry, before: list[Entry], done: set[Happening]) -> bool:
    """Tell whether an entry can come behind what was read before it."""
    if before and entry.at < before[0].at:
        return False
    if entry.what is Happening.STARTED:
        return not done
    return not (entry.what is Happening.HEARD and Happening.ENDED in done)
