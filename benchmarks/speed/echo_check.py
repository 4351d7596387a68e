"""Whether every sample comes back, exactly once and in order."""

import os
import struct
from collections import deque
from typing import final

import attrs

PCM_BYTES = 960  # 20 ms of 16-bit mono at 24 kHz
_STAMP = struct.Struct("<IIQ")  # the call, the frame's number on it, and when it was sent in nanoseconds
_TAIL = os.urandom(PCM_BYTES - _STAMP.size)
_CHANNEL = b"\0"
MESSAGE_BYTES = len(_CHANNEL) + PCM_BYTES


@final
@attrs.define
class Faults:
    """What is wrong with the audio that came back, in frames."""

    lost: int = 0
    unreturned: int = 0
    """Of the last ones, which nothing came behind."""
    duplicated: int = 0
    reordered: int = 0
    damaged: int = 0

    def add(self, other: "Faults") -> None:
        """Count those of another call, too."""
        self.lost += other.lost
        self.unreturned += other.unreturned
        self.duplicated += other.duplicated
        self.reordered += other.reordered
        self.damaged += other.damaged

    def text(self) -> str:
        """Name them; empty if there are none."""
        return ", ".join(f"{count} {name}" for name, count in attrs.asdict(self).items() if count)


@final
class EchoCheck:
    """What was said on one call, and what came back of it."""

    __slots__ = ("_call", "_missed", "_outstanding", "_partial", "came", "faults", "sent")

    def __init__(self, call: int) -> None:
        self._call = call
        self._outstanding: deque[tuple[bytes, int]] = deque()
        self._partial = b""
        self._missed: set[int] = set()
        self.sent = 0
        self.came = 0
        self.faults = Faults()

    @property
    def outstanding(self) -> int:
        """How many frames have not come back."""
        return len(self._outstanding)

    def next_message(self, now: int) -> bytes:
        """Return the next message to say, stamped with the time in nanoseconds."""
        message = _CHANNEL + _STAMP.pack(self._call, self.sent, now) + _TAIL
        self._outstanding.append((message, now))
        self.sent += 1
        return message

    def receive(self, message: bytes, now: int, latencies: list[int]) -> None:
        """Take what came back, in pieces of any size; note how many nanoseconds each whole frame was away."""
        waiting = self._outstanding
        if waiting and not self._partial and message == waiting[0][0]:
            self.came += 1
            latencies.append(now - waiting.popleft()[1])
            return
        pcm = self._partial + message[1:]
        while len(pcm) >= PCM_BYTES:
            self._take(_CHANNEL + pcm[:PCM_BYTES], now, latencies)
            pcm = pcm[PCM_BYTES:]
        self._partial = pcm

    def finish(self) -> Faults:
        """Nothing more will come."""
        self.faults.unreturned += len(self._outstanding)
        self.faults.damaged += bool(self._partial)
        self._outstanding.clear()
        return self.faults

    def _take(self, message: bytes, now: int, latencies: list[int]) -> None:
        self.came += 1
        ahead = next((index for index, (said, _) in enumerate(self._outstanding) if said == message), None)
        if ahead is not None:
            for _ in range(ahead):
                self._missed.add(_number(self._outstanding.popleft()[0]))
                self.faults.lost += 1
            latencies.append(now - self._outstanding.popleft()[1])
            return
        call, number, _ = _STAMP.unpack_from(message, len(_CHANNEL))
        if call != self._call or number >= self.sent or not message.endswith(_TAIL):
            self.faults.damaged += 1
        elif number in self._missed:
            self._missed.discard(number)
            self.faults.lost -= 1
            self.faults.reordered += 1
        else:
            self.faults.duplicated += 1


def _number(message: bytes) -> int:
    number: int = _STAMP.unpack_from(message, len(_CHANNEL))[1]
    return number
