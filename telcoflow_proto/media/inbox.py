"""Received audio, per channel, waiting for a reader: bounded, oldest dropped first, drops counted."""

from collections import deque
from typing import final

_MOST_CHUNKS = 4096
"""However small they are: a chunk costs memory too. 10 seconds of 20 ms frames are 500."""


@final
class Inbox:
    """The audio of one channel. Sizes are bytes; chunks stay as they came."""

    def __init__(self, *, capacity: int) -> None:
        self._capacity = capacity
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self.received = 0
        self.dropped = 0

    def put(self, pcm: bytes) -> bool:
        """Add a chunk; True if there was none waiting before, so that a reader is to be woken."""
        first = not self._chunks
        self._chunks.append(pcm)
        size = len(pcm)
        self.received += size
        self._waiting += size
        while self._waiting > self._capacity or len(self._chunks) > _MOST_CHUNKS:
            lost = len(self._chunks.popleft())
            self._waiting -= lost
            self.dropped += lost
        return first

    def next(self) -> bytes | None:
        """Take the oldest waiting chunk, or None."""
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._waiting -= len(chunk)
        return chunk
