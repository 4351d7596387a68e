"""The audio of a call as its user sees it: queueing, back-pressure, draining, barge-in, playing, listening."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, aclosing, suppress
from typing import Self, final

from telcoflow_proto.errors import CallOver, LocalProtocolError, PlayoutFull
from telcoflow_proto.exceptions import BufferClosedError, BufferFullError, WSSCallClosedError, WSSCallStateError
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.recording import AsyncFile, Recording, StereoTrack
from telcoflow_proto.sound import chunked, one_piece, pieces_of, read_wav
from telcoflow_proto.surface import (
    AudioSource,
    BufferSize,
    Interruption,
    PathLike,
    Played,
    TimeLimit,
    path_text,
)
from telcoflow_proto.waiting import Bells

END, ROOM, PLAYED = "end", "room", "played"
"""What people wait for, as keys of the call's bells; received audio rings under its channel's number."""


@final
class AudioStream:
    """The audio of one channel, chunk by chunk as it came; ends quietly when the call ends."""

    def __init__(self, media: MediaClientConnection, channel: int, bells: Bells) -> None:
        self._media = media
        self._channel = channel
        self._bells = bells
        self._take = media.audio_reader(channel)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        take = self._take
        while (chunk := take()) is None:
            if self._media.end_reason is not None:
                raise StopAsyncIteration
            bell = self._bells.hang(self._channel)
            try:
                await bell.wait()
            except BaseException:
                self._bells.take_down(self._channel, bell)
                raise
        return chunk


class CallAudio(ABC):
    """The audio half of ``BaseCall``."""

    _media: MediaClientConnection
    _bells: Bells
    _playouts_finished: int

    async def send_audio(self, audio_data: bytes | bytearray | memoryview) -> None:
        """Queue 16-bit mono PCM of any length, all or nothing; never waits.

        Raises BufferFullError (nothing was queued), BufferClosedError after the end, WSSCallStateError before
        the answer, TypeError for non-bytes, ValueError for half a sample.
        """
        pcm = audio_data if isinstance(audio_data, bytes) else _pcm(audio_data)
        try:
            self._media.send_audio(pcm, now=self._clock())
        except PlayoutFull as error:
            raise BufferFullError(str(error)) from None
        except CallOver as error:
            raise BufferClosedError(str(error)) from None
        except LocalProtocolError as error:
            raise WSSCallStateError(str(error)) from None
        self._woken()

    async def wait_for_room(self, size: int) -> None:
        """Wait until ``size`` bytes can be queued.

        Raises BufferClosedError when the call ends, ValueError for more than the queue ever holds.
        """
        if size > self._media.capacity:
            raise ValueError(f"{size} bytes never fit: the queue holds {self._media.capacity}")
        while not self._media.over and self._media.room < size:
            await self._bells.wait(ROOM)
        if self._media.over:
            raise BufferClosedError("the call is over")

    async def drain(self, timeout: float | None = None) -> bool:
        """Wait until all queued audio has been taken and, by our estimate, heard.

        Returns True then, False when ``timeout`` seconds were not enough or the call ended first.
        """
        try:
            self._media.drain_audio(now=self._clock())
        except CallOver:
            return False
        before = self._playouts_finished
        self.settle()
        with self._time_limit(timeout):
            while self._media.end_reason is None and self._playouts_finished == before:
                await self._bells.wait(PLAYED)
        return self._playouts_finished != before

    async def clear_send_audio_buffer(self) -> Interruption:
        """Drop queued audio here, before anything else happens, and at the service.

        Returns how many bytes were queued here, and with it how many milliseconds of speech nobody will hear
        and how many were heard, by our estimate. On a call that is over there is nothing to drop: 0.
        """
        now = self._clock()
        dropped = 0 if self._media.over else self._media.bytes_queued
        interruption = Interruption(
            dropped,
            milliseconds_dropped=self._media.milliseconds_unheard(now=now),
            milliseconds_heard=self._media.milliseconds_heard(now=now),
        )
        if not self._media.over:
            with suppress(WSSCallClosedError):  # the end of the call drops more than we asked for
                await self._perform_interrupt()
        return interruption

    async def interrupt(self) -> Interruption:
        """Barge-in: the same as ``clear_send_audio_buffer``."""
        return await self.clear_send_audio_buffer()

    async def play_audio(self, source: AudioSource) -> Played:
        """Play bytes, an iterable or async iterable of PCM, or a WAV file, and wait until it has been heard.

        Back-pressure is built in: the source is read as fast as there is room. Returns how much was heard and
        whether it was cut short by ``interrupt`` or by the end of the call. Raises ValueError for half a sample
        or a WAV file that is not 16-bit mono at the call's rate, OSError for one that cannot be read,
        WSSCallStateError before the answer, BufferClosedError when the call is over already.
        """
        pieces = await self._pieces(source)
        if self._media.over:
            raise BufferClosedError("the call is over")
        clears, begun = self._media.audio_clears, self._media.bytes_audible
        total = 0
        async with aclosing(pieces):
            try:
                async for piece in pieces:
                    for part in chunked(_pcm(piece), self._media.capacity // 2):
                        await self.wait_for_room(len(part))
                        if self._media.audio_clears == clears:
                            await self.send_audio(part)
                            total += len(part)
                    if self._media.audio_clears != clears:
                        break
                else:
                    await self.drain()
            except BufferClosedError:
                pass  # the call ended: what was heard until then is the answer
        heard = min(max(self._media.bytes_heard(now=self._clock()) - begun, 0), total)
        complete = self._media.audio_clears == clears and not self._media.over
        return Played(bytes_queued=total, seconds_heard=self._media.seconds_of(heard), complete=complete)

    async def _pieces(self, source: AudioSource) -> AsyncGenerator[bytes, None]:
        if isinstance(source, str | PathLike):
            return one_piece(read_wav(await self._read_file(path_text(source)), self._media.sample_rate))
        if isinstance(source, bytes | bytearray | memoryview):
            return one_piece(_pcm(source))
        return pieces_of(source)

    def get_send_audio_buffer_size(self) -> BufferSize:
        """Return how many bytes are queued; the result may also be awaited."""
        return BufferSize(self._media.bytes_queued)

    def audio_stream(self, channel: int = 0) -> AsyncIterator[bytes]:
        """Iterate over received PCM, chunk by chunk. One reader per channel.

        Before the answer it waits; when the call ends, or its connection is lost, it ends quietly.
        """
        return AudioStream(self._media, channel, self._bells)

    async def record(self, path: str | PathLike) -> Recording:
        """Record the call to a stereo WAV file: the agent left, the caller right, on one clock.

        The file is valid at any time, even if the process dies. The recording ends with the call, or with
        ``recording.stopped = True``. Raises OSError if the file cannot be opened, WSSCallClosedError after the
        end of the call. When the disk is full later, the call goes on and ``recording.error`` tells.
        """
        if self._media.over:
            raise WSSCallClosedError("the call is over, there is nothing to record")
        file = await self._open_file(path_text(path))
        track = self._media.track = StereoTrack(sample_rate=self._media.sample_rate, start=self._clock())
        recording = Recording(track, file, self._clock)
        self._start(lambda: self._carry_recording(recording, track))
        return recording

    async def _carry_recording(self, recording: Recording, track: StereoTrack) -> None:
        await recording.run(self._pause)
        if self._media.track is track:
            self._media.track = None  # nobody takes from it any more

    async def _pause(self, seconds: float) -> bool:
        with self._time_limit(seconds):
            while not self._media.over:
                await self._bells.wait(END)
        return self._media.over

    # ------------------------------------------------------------------ what the call supplies

    @abstractmethod
    def _woken(self) -> None:
        """Something may have to be written, or a deadline moved; open the transport if that is wanted."""

    @abstractmethod
    def settle(self) -> None:
        """Report what the media connection has to report."""

    @abstractmethod
    async def _perform_interrupt(self) -> None:
        """Say the interrupt and wait for its outcome."""

    @abstractmethod
    def _clock(self) -> float:
        """Return monotonic seconds."""

    @abstractmethod
    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        """Return a scope that stops its body after that many seconds; None for never."""

    @abstractmethod
    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        """Start a task that ends with the client."""

    @abstractmethod
    async def _open_file(self, path: str) -> AsyncFile:
        """Open a new binary file for writing; raises OSError."""

    @abstractmethod
    async def _read_file(self, path: str) -> bytes:
        """Return what a file holds, without blocking the loop; raises OSError."""


def _pcm(audio: object) -> bytes:
    if isinstance(audio, bytes):
        return audio
    if isinstance(audio, bytearray):
        return bytes(audio)
    if isinstance(audio, memoryview):
        return audio.tobytes()
    raise TypeError(f"audio must be bytes of 16-bit PCM, got {type(audio).__name__}")
