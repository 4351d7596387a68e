"""Voices and WAV files: where the sound on the local phone network comes from and where it goes.

Sound is PCM everywhere: 16-bit signed little-endian mono. ``b""`` stands for a frame of silence, so that only
what really sounds is ever mixed.
"""

import math
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Self, final

import attrs

SAMPLE_BYTES = 2
TICK = 0.02
"""The length of one frame in seconds: telephony's usual packet."""

_LOUDEST = 32767
_TONE_PEAK = 8192
_RAMP_TOP = 30000


def frame_bytes(sample_rate: int) -> int:
    """Return the size of one 20 ms frame in bytes."""
    return round(sample_rate * TICK) * SAMPLE_BYTES


def mix(*frames: bytes) -> bytes:
    """Add up frames of equal length, saturating at full scale; ``b""`` is silence and costs nothing."""
    sounding = [frame for frame in frames if frame]
    if len(sounding) < 2:
        return sounding[0] if sounding else b""
    layout = f"<{len(sounding[0]) // SAMPLE_BYTES}h"
    sums = map(sum, zip(*(struct.unpack(layout, frame) for frame in sounding), strict=True))
    return struct.pack(layout, *(max(-_LOUDEST - 1, min(_LOUDEST, sample)) for sample in sums))


def skip_silence(pcm: bytes, sample_rate: int) -> bytes:
    """Return a recording without its silent 20 ms frames: what was said, without when."""
    size = frame_bytes(sample_rate)
    frames = (pcm[at : at + size] for at in range(0, len(pcm), size))
    return b"".join(frame for frame in frames if frame.strip(b"\0"))


def read_wav(path: str | Path, sample_rate: int | None = None) -> tuple[bytes, int]:
    """Read a 16-bit mono WAV file: its PCM and its sample rate.

    Raises ValueError that names the file if it has another layout or, where ``sample_rate`` (in Hz) is given,
    another rate; OSError if it cannot be read.
    """
    try:
        with wave.open(str(path), "rb") as file:
            layout = (file.getnchannels(), file.getsampwidth())
            rate = file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path} is not a WAV file we can read: {error!r}") from None
    if layout != (1, SAMPLE_BYTES):
        raise ValueError(f"{path} must be 16-bit mono, but has {layout[0]} channels of {layout[1] * 8} bits")
    if sample_rate not in {None, rate}:
        raise ValueError(f"{path} has {rate} samples a second, but the call has {sample_rate}; convert the file")
    return pcm, rate


def write_wav(path: str | Path, pcm: bytes, sample_rate: int) -> None:
    """Write PCM as a WAV file of that rate in Hz. Raises OSError if the file cannot be written."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(sample_rate)
        file.writeframes(pcm)


def _resample(pcm: bytes, rate: int, wanted: int) -> bytes:
    """Change the rate by linear interpolation: good enough for a voice on a phone line."""
    samples = struct.unpack(f"<{len(pcm) // SAMPLE_BYTES}h", pcm)
    last = len(samples) - 1
    out: list[int] = []
    for index in range(len(samples) * wanted // rate):
        whole, part = divmod(index * rate, wanted)
        out.append(samples[whole] + (samples[min(whole + 1, last)] - samples[whole]) * part // wanted)
    return struct.pack(f"<{len(out)}h", *out)


@final
class Speech:
    """One voice being spoken: 20 ms at a time, for ever; silence when there is nothing more to say."""

    def __init__(self, pcm: bytes, *, size: int, repeat: bool) -> None:
        self._pcm = pcm
        self._size = size
        self._repeat = repeat and bool(pcm)
        self._at = 0

    def next_frame(self) -> bytes:
        """Return the next frame, or ``b""`` for a silent one. A short last frame is filled with silence."""
        frame = self._pcm[self._at : self._at + self._size]
        self._at += len(frame)
        while self._repeat and len(frame) < self._size:
            self._at = min(len(self._pcm), self._size - len(frame))
            frame += self._pcm[: self._at]
        return frame.ljust(self._size, b"\0") if frame.strip(b"\0") else b""


@final
@attrs.frozen
class Voice:
    """What one party says, at whatever rate the call turns out to have. Make one with the class methods."""

    _render: Callable[[int], bytes]
    _pause: float = attrs.field(default=0.0, kw_only=True)
    _repeat: bool = attrs.field(default=False, kw_only=True)

    @classmethod
    def silence(cls) -> Self:
        """Say nothing."""
        return cls(lambda _rate: b"")

    @classmethod
    def pcm(cls, pcm: bytes) -> Self:
        """Say these 16-bit samples, which must have the rate of the call. Raises ValueError for half a sample."""
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError(f"a voice must be whole 16-bit samples, got an odd {len(pcm)} bytes")
        return cls(lambda _rate: pcm)

    @classmethod
    def wav(cls, path: str | Path, *, resample: bool = False) -> Self:
        """Play a WAV file, see ``read_wav`` for what can go wrong.

        The file is read when the call gets its sample rate; ``resample`` converts it to that, plainly.
        """

        def render(rate: int) -> bytes:
            pcm, found = read_wav(path, None if resample else rate)
            return pcm if found == rate else _resample(pcm, found, rate)

        return cls(render)

    @classmethod
    def tone(cls, hz: float, seconds: float) -> Self:
        """Hum a sine wave at a quarter of full scale."""

        def render(rate: int) -> bytes:
            count = round(seconds * rate)
            samples = (round(_TONE_PEAK * math.sin(math.tau * hz * index / rate)) for index in range(count))
            return struct.pack(f"<{count}h", *samples)

        return cls(render)

    @classmethod
    def ramp(cls, seconds: float) -> Self:
        """Say sample number n as the value n mod 30000, so that a listener recognises every single sample."""

        def render(rate: int) -> bytes:
            count = round(seconds * rate)
            return struct.pack(f"<{count}h", *(index % _RAMP_TOP for index in range(count)))

        return cls(render)

    def after(self, seconds: float) -> Self:
        """Return the same voice with a pause of that length before it."""
        return attrs.evolve(self, pause=seconds)

    def repeated(self) -> Self:
        """Return the same voice, said over and over, its pause included."""
        return attrs.evolve(self, repeat=True)

    def speak(self, sample_rate: int) -> Speech:
        """Begin to speak at that rate in Hz. Raises ValueError or OSError for a WAV file that does not fit."""
        pause = bytes(round(self._pause * sample_rate) * SAMPLE_BYTES)
        return Speech(pause + self._render(sample_rate), size=frame_bytes(sample_rate), repeat=self._repeat)
