"""The media plane of one call, message door: what both roles share."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, final

import attrs

from telcoflow_proto.chance import Entropy
from telcoflow_proto.door import MessageDoor
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.limits import Limits
from telcoflow_proto.machine import Machine, Row
from telcoflow_proto.media.codec import decode_media
from telcoflow_proto.media.events import AudioArrived, EndReason
from telcoflow_proto.media.inbox import Inbox
from telcoflow_proto.media.messages import MediaMessage
from telcoflow_proto.media.playout import SAMPLE_BYTES
from telcoflow_proto.media.table import CALL_TABLE, CallState, CallWord
from telcoflow_proto.roles import Role

if TYPE_CHECKING:
    from telcoflow_proto.recording import StereoTrack

MediaEvent = TypeVar("MediaEvent")

_ARRIVED = [AudioArrived(channel=channel) for channel in range(256)]
"""One event per channel there can be: a call hears 50 frames a second."""


@final
@attrs.frozen(kw_only=True)
class MediaStatistics:
    """A snapshot of one call. Bytes are PCM bytes, without the channel byte."""

    state: CallState
    audio_mode: str | None
    bytes_sent: int
    frames_sent: int
    bytes_received: int
    frames_received: int
    bytes_queued: int
    credit: int
    bytes_dropped_in: int
    bytes_dropped_out: int
    bad_frames: int
    unexpected: int
    pending_commands: int
    last_command_seconds: float | None


class MediaProtocol(MessageDoor[MediaEvent | AudioArrived], Generic[MediaEvent]):
    """The life table of the call and the audio in, for either role. Use MediaClient or MediaServer."""

    def __init__(self, role: Role, *, sample_rate: int, isolated: bool, entropy: Entropy, limits: Limits) -> None:
        super().__init__(role, entropy=entropy, limits=limits)
        self.sample_rate = sample_rate
        self._machine = Machine(CALL_TABLE, role)
        self._channels = limits.audio_in_channels + 1 if isolated and role is Role.CLIENT else 1
        self._capacity = int(limits.audio_in_seconds * sample_rate) * SAMPLE_BYTES
        self._inboxes: dict[int, Inbox] = {0: Inbox(capacity=self._capacity)}
        self._frames_received = 0
        self._unexpected: int = 0
        self.end_reason: EndReason | None = None
        self.track: StereoTrack | None = None
        """What is heard and said is noted there, if somebody records."""

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        return self._machine.state

    @property
    def over(self) -> bool:
        """True once the call has ended; it never comes back."""
        return self._machine.state is CallState.DISCONNECTED

    @property
    def unexpected(self) -> int:
        """How many messages made no sense where they came and were ignored."""
        return self._unexpected

    def next_audio(self, channel: int = 0) -> bytes | None:
        """Take the oldest PCM chunk that arrived on a channel, or None. Legal in every state.

        Raises ValueError for a channel this call cannot have.
        """
        return self._inbox(channel).next()

    def audio_reader(self, channel: int = 0) -> Callable[[], bytes | None]:
        """Return ``next_audio`` of one channel, for who asks often. Raises ValueError as it does."""
        return self._inbox(channel).next

    def _inbox(self, channel: int) -> Inbox:
        inbox = self._inboxes.get(channel)
        if inbox is None:
            if channel not in range(self._channels):
                raise ValueError(f"channel {channel} does not exist: this call has 0 to {self._channels - 1}")
            inbox = self._inboxes[channel] = Inbox(capacity=self._capacity)
        return inbox

    def _on_text(self, text: str, now: float) -> None:
        message = decode_media(text, sender=self.role.peer, limits=self._limits)
        if message is None:
            self._unexpected += 1
        else:
            self._on_media_message(message, now)

    def _on_binary(self, data: bytes, now: float) -> None:
        if len(data) < 2:
            return
        channel = data[0]
        if channel >= self._channels:
            raise RemoteProtocolError(f"audio on channel {channel}, which this call does not have")
        if len(data) % SAMPLE_BYTES == 0:
            raise RemoteProtocolError("audio with half a sample")
        row = self._machine.hear(CallWord.AUDIO)
        if row is None or row.crossing:
            self._unexpected += row is None
            return
        self._frames_received += 1
        pcm = data[1:]
        inbox = self._inboxes.get(channel) or self._inbox(channel)
        if inbox.put(pcm):
            self.happened.append(_ARRIVED[channel])
        if self.track is not None and not channel:
            self.track.heard(pcm, at=now)

    def _hear(self, word: CallWord) -> Row[CallState, CallWord] | None:
        row = self._machine.hear(word)
        if row is None:
            self._unexpected += 1
        return row

    def _on_too_many_bad_frames(self, now: float) -> None:
        """A call is worth more than a clean stream: bad frames are counted and dropped, never fatal."""

    @abstractmethod
    def _on_media_message(self, message: MediaMessage, now: float) -> None: ...
