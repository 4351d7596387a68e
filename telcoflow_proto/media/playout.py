"""The outgoing audio of one call: queued by the application, cut into frames, sent against credit.

The service pulls: it grants credit and says which frame size it likes. A tail shorter than a frame waits one
frame's time for more speech, then leaves as it is, so that no sentence is clipped and no deadline is ours.
"""

import math
from collections import deque
from typing import final

from telcoflow_proto.errors import PlayoutFull
from telcoflow_proto.limits import Limits

SAMPLE_BYTES = 2
"""PCM is 16-bit signed little-endian mono."""

_NOW = -math.inf

_SLACK = 0.06
"""Seconds a sample may be heard later than estimated: it travels, and the network plays slots of 20 ms that it may
just have missed. Who hangs up at the estimate cuts the last word."""


@final
class Playout:
    """A bounded queue of PCM and the credit it may be sent against. Sizes are bytes, times monotonic seconds."""

    def __init__(self, *, sample_rate: int, capacity: int, limits: Limits) -> None:
        self._rate = sample_rate * SAMPLE_BYTES
        self._capacity = capacity
        self._largest_frame = max(SAMPLE_BYTES, min(limits.frame_bytes, capacity) & ~1)
        self._most_credit = int(limits.credit_seconds * self._rate)
        self._chunks: deque[bytes] = deque()
        self._at = 0
        self._frame = min(960, self._largest_frame)
        self._flush_at = 0.0
        self._heard_at = 0.0
        self.queued: int = 0
        self.credit: int = 0
        self.sent = 0
        self.dropped = 0
        self.clears = 0
        self._never_heard = 0

    @property
    def capacity(self) -> int:
        """How many bytes the queue holds at most."""
        return self._capacity

    @property
    def room(self) -> int:
        """How many bytes can be queued now."""
        return self._capacity - self.queued

    def write(self, pcm: bytes, *, now: float) -> None:
        """Queue whole samples: all of them or, raising PlayoutFull, none.

        Raises ValueError for an odd number of bytes: half a sample turns everything after it into noise.
        """
        size = len(pcm)
        if size % SAMPLE_BYTES:
            raise ValueError(f"audio must be whole 16-bit samples, got an odd {size} bytes")
        if size > self._capacity - self.queued:
            raise PlayoutFull(f"{size} bytes of audio do not fit: {self.room} of {self._capacity} bytes are free")
        if size:
            self._chunks.append(bytes(pcm))
            self.queued += size
            self._flush_at = now + self._frame / self._rate

    def grant(self, requested: int, *, frame_bytes: int) -> None:
        """Add credit and adopt the preferred frame size, both clamped to what makes sense."""
        self.credit = min(self.credit + requested, self._most_credit)
        self._frame = max(SAMPLE_BYTES, min(frame_bytes, self._largest_frame) & ~1)

    def frames(self, *, now: float) -> list[bytes]:
        """Take the frames that may leave at ``now``: whole ones while credit lasts, then a tail that is due."""
        due: list[bytes] = []
        while self.queued:
            size = self._frame if self._frame <= self.credit else self.credit & ~1
            if self.queued < size:
                if now < self._flush_at:
                    break
                size = self.queued
            if not size:
                break
            whole = not self._at and len(self._chunks[0]) == size
            due.append(self._chunks.popleft() if whole else self._cut(size))
            self.queued -= size
            self.credit -= size
            self.sent += size
            self._heard_at = (max(now, self._heard_at)) + size / self._rate
        return due

    def clear(self, *, now: float) -> int:
        """Drop everything queued and return how many bytes that was. Credit stays: it is the server's promise."""
        dropped = self.queued
        self._chunks.clear()
        self._at = self.queued = 0
        self.dropped += dropped
        self.clears += 1
        self._never_heard += self._under_way(now)
        self._heard_at = min(self._heard_at, now - _SLACK)  # there is nothing left to wait for
        return dropped

    def flush(self) -> None:
        """No more speech is coming: let a short tail leave now."""
        self._flush_at = _NOW

    def ring(self, *, now: float) -> None:
        """The time of a tail may have come: from then on it waits for the writer only, and rings no more."""
        if now >= self._flush_at:
            self._flush_at = _NOW

    def finished(self, *, now: float) -> bool:
        """Tell whether everything has been sent and, by our estimate, has been heard to the last sample."""
        return not self.queued and (not self.sent or now >= self.finished_at)

    def seconds_of(self, size: int) -> float:
        """Return how long ``size`` bytes sound."""
        return size / self._rate

    def unheard(self, *, now: float) -> int:
        """Estimate how many bytes are queued here or were sent and not heard yet."""
        return self.queued + self._under_way(now)

    def heard(self, *, now: float) -> int:
        """Estimate how many of all bytes ever sent have been heard."""
        return self.sent - self._never_heard - self._under_way(now)

    @property
    def audible(self) -> int:
        """How many bytes have been heard or will be: all but what was cleared in time."""
        return self.sent - self._never_heard + self.queued

    def _under_way(self, now: float) -> int:
        return min(self.sent, max(0, round((self._heard_at - now) * self._rate)))

    def tail_due_at(self) -> float | None:
        """Return when a tail shorter than a frame leaves, if one waits for that."""
        waits = self._flush_at > _NOW and 0 < self.queued < min(self._frame, self.credit & ~1)
        return self._flush_at if waits else None

    @property
    def finished_at(self) -> float:
        """When the last sample has been heard for sure: our estimate, and what the line may add to it."""
        return self._heard_at + _SLACK

    @property
    def heard_at(self) -> float:
        """Our estimate of when the last sample sent has been heard."""
        return self._heard_at

    def _cut(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size:
            chunk = self._chunks[0]
            piece = chunk[self._at : self._at + size]
            size -= len(piece)
            self._at += len(piece)
            if self._at == len(chunk):
                self._chunks.popleft()
                self._at = 0
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
