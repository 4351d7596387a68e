"""Recording a call: two voices on one clock, agent left and caller right, as a WAV file that is always valid."""

import struct
from collections.abc import Awaitable, Callable
from typing import Protocol, final

from telcoflow_proto.media.playout import SAMPLE_BYTES

_JITTER = 0.06
"""Seconds a frame may come early or late and still be taken for the next one: the network's, not the speaker's."""

_LAG = 0.2
"""Seconds the file stays behind, so that what is interrupted can still be taken back."""

_EVERY = 0.5
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MOST = 0xFFFFFFFF - _HEADER.size


class AsyncFile(Protocol):
    """A binary file that is written without blocking the loop (``anyio.AsyncFile``, ``trio``'s)."""

    async def write(self, data: bytes, /) -> int:
        """Write at the current position."""
        ...

    async def seek(self, offset: int, /) -> int:
        """Move the current position."""
        ...

    async def flush(self) -> None:
        """Hand everything to the operating system."""
        ...

    async def aclose(self) -> None:
        """Close it."""
        ...


@final
class StereoTrack:
    """What was said and heard, placed on one clock. Times are monotonic seconds, sound is 16-bit PCM."""

    def __init__(self, *, sample_rate: int, start: float) -> None:
        self._rate = sample_rate
        self._start = start
        self._sides = (_Side(), _Side())
        self._done = 0

    def said(self, pcm: bytes, *, at: float) -> None:
        """Place speech of the agent that will be heard from ``at`` on."""
        self._sides[0].add(pcm, self._sample(at), round(_JITTER * self._rate))

    def heard(self, pcm: bytes, *, at: float) -> None:
        """Place speech of the caller that came at ``at``."""
        self._sides[1].add(pcm, self._sample(at), round(_JITTER * self._rate))

    def cleared(self, *, at: float) -> None:
        """What the agent has said beyond ``at`` will not be heard: take it back."""
        self._sides[0].cut(max(self._done, self._sample(at)))

    def take(self, *, until: float | None) -> bytes:
        """Return the interleaved PCM up to ``until`` that was not taken yet; None for everything there is."""
        ends = max(side.end for side in self._sides)
        end = max(self._done, ends if until is None else self._sample(until - _LAG))
        left, right = (side.take(end - self._done) for side in self._sides)
        self._done = end
        stereo = bytearray(2 * len(left))
        for at, side in ((0, left), (2, right)):
            stereo[at::4], stereo[at + 1 :: 4] = side[0::2], side[1::2]
        return bytes(stereo)

    def header(self, size: int) -> bytes:
        """Return a WAV header for ``size`` bytes of sound."""
        frame = 2 * SAMPLE_BYTES
        size = min(size, _MOST)
        return _HEADER.pack(
            b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 2, self._rate, self._rate * frame, frame, 16, b"data", size
        )

    def _sample(self, at: float) -> int:
        return max(0, round((at - self._start) * self._rate))


@final
class _Side:
    """One channel: samples waiting to be taken, the first of which has the number ``_first``."""

    def __init__(self) -> None:
        self._first = 0
        self._pcm = bytearray()

    @property
    def end(self) -> int:
        return self._first + len(self._pcm) // SAMPLE_BYTES

    def add(self, pcm: bytes, sample: int, jitter: int) -> None:
        gap = sample - self.end
        if gap > jitter or (gap > 0 and not self._pcm):
            self._pcm += bytes(gap * SAMPLE_BYTES)
        self._pcm += pcm

    def cut(self, sample: int) -> None:
        del self._pcm[max(0, sample - self._first) * SAMPLE_BYTES :]

    def take(self, count: int) -> bytes:
        size = count * SAMPLE_BYTES
        piece = bytes(self._pcm[:size]).ljust(size, b"\0")
        del self._pcm[:size]
        self._first += count
        return piece


@final
class Recording:
    """A recording under way. It ends with the call, or with ``stopped = True``.

    ``error`` is what the file system said when it could not be written any further.
    """

    def __init__(self, track: StereoTrack, file: AsyncFile, clock: Callable[[], float]) -> None:
        self._track = track
        self._file = file
        self._clock = clock
        self._size = 0
        self.stopped = False
        self.error: OSError | None = None

    async def run(self, pause: Callable[[float], Awaitable[bool]]) -> None:
        """Write twice a second until stopped. ``pause`` waits that many seconds; True when the call is over."""
        try:
            await self._write(b"")
            over = False
            while not over and not self.stopped:
                over = await pause(_EVERY)
                await self._write(self._track.take(until=self._clock()))
            await self._write(self._track.take(until=None))
        except OSError as error:
            self.error = error
        finally:
            self.stopped = True
            await self._close()

    async def _close(self) -> None:
        try:
            await self._file.aclose()
        except OSError as error:  # what was buffered could not be written
            self.error = self.error or error

    async def _write(self, sound: bytes) -> None:
        """Sound first, header after: whenever the process dies, the header speaks of what is there."""
        await self._file.seek(_HEADER.size + self._size)
        await self._file.write(sound)
        self._size += len(sound)
        await self._file.seek(0)
        await self._file.write(self._track.header(self._size))
        await self._file.flush()
