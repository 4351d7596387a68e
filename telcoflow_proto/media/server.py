"""The server role of the media plane: hears commands, answers them, asks for speech, sends audio."""

from collections import deque

from telcoflow_proto.chance import Entropy
from telcoflow_proto.door import Message
from telcoflow_proto.errors import CallOver, LocalProtocolError
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.media.codec import DEFAULT_FRAME_BYTES, encode_media
from telcoflow_proto.media.events import CallEnded, CommandExpired, CommandReceived, EndReason, ServerMediaEvent
from telcoflow_proto.media.messages import BufferRequest, CallNotice, Command, CommandResponse, MediaMessage
from telcoflow_proto.media.playout import SAMPLE_BYTES
from telcoflow_proto.media.protocol import MediaProtocol
from telcoflow_proto.media.table import COMMANDS, RING_TIMES, CallWord
from telcoflow_proto.replies import Replies
from telcoflow_proto.roles import Role
from telcoflow_proto.timers import earliest

_CLOSE_WITHIN = 0.5
_GRACE = 1.0
"""Seconds beyond the client's deadline before we answer TIMEOUT: a ring that ends right on time is no time-out, and
the client waits five seconds longer anyway."""

_STANDING = (CallWord.ANSWER, CallWord.CONNECT)
_LEAVING = (CallWord.CLOSE, CallWord.DISCONNECT)
_END_REASONS = {
    CallWord.LEFT: EndReason.CLOSED,
    CallWord.ENDED: EndReason.DISCONNECTED,
    CallWord.TERMINATED: EndReason.TERMINATED,
    CallWord.LOST: EndReason.CONNECTION_LOST,
}


class MediaServer(MediaProtocol[ServerMediaEvent]):
    """The service's end of one call, for who has WebSocket messages.

    Every ``CommandReceived`` wants ``succeed`` or ``refuse``; one that gets neither by a second after the
    client's deadline is refused with ``TIMEOUT``, and ``CommandExpired`` tells so. Commands the state forbids
    are refused without asking anybody.
    """

    def __init__(self, *, entropy: Entropy, sample_rate: int = 24000, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(Role.SERVER, sample_rate=sample_rate, isolated=False, entropy=entropy, limits=limits)
        self._commands: Replies[Command] = Replies(limits.pending_requests)
        self._audio: deque[bytes] = deque()
        self._audio_bytes = 0
        self._close_at: float | None = None  # the vendor's client never closes first
        self.bytes_dropped_out = 0

    # ------------------------------------------------------------------ saying

    def succeed(self, command_id: str, *, result: Json = None, now: float) -> None:
        """Tell that a command was carried out. Raises LocalProtocolError unless it waits for an answer."""
        command = self._take(command_id)
        self._answer(command, CommandResponse(command_id=command_id, success=True, result=result), now)

    def refuse(self, command_id: str, *, error_code: str, error_message: str | None = None, now: float) -> None:
        """Tell that a command was not carried out. Raises LocalProtocolError unless it waits for an answer."""
        command = self._take(command_id)
        response = CommandResponse(
            command_id=command_id, success=False, error_code=error_code, error_message=error_message
        )
        self._answer(command, response, now)

    def terminate(self, *, now: float) -> None:
        """Tell that the call is over for the agent: a party hung up, or the service ended it."""
        self._now = now
        self._machine.say(CallWord.TERMINATED)
        self._say(encode_media(CallNotice(event=CallWord.TERMINATED.value)))
        if self.end_reason is None:
            self._over(CallWord.TERMINATED, now)

    def report_error(self, error_code: str, error_message: str, *, now: float) -> None:
        """Tell that something went wrong; the call goes on."""
        self._now = now
        self._machine.say(CallWord.ERROR)
        details: JsonObject = {"error_code": error_code, "error_message": error_message}
        self._say(encode_media(CallNotice(event=CallWord.ERROR.value, details=details)))

    def notify(self, event: str, details: JsonObject, *, now: float) -> None:
        """Tell any other event of the call."""
        self._now = now
        self._machine.say(CallWord.NOTICE)
        self._say(encode_media(CallNotice(event=event, details=details)))

    def request_audio(self, requested_bytes: int, *, frame_bytes: int = DEFAULT_FRAME_BYTES, now: float) -> None:
        """Grant the client credit for that many bytes of speech, preferably in frames of that size."""
        self._now = now
        self._machine.say(CallWord.CREDIT)
        self._say(encode_media(BufferRequest(requested_bytes=requested_bytes, frame_bytes=frame_bytes)))

    def send_audio(self, pcm: bytes, *, channel: int = 0, now: float) -> None:
        """Send what the agent hears, whole 16-bit samples. A client that does not read loses the oldest."""
        self._now = now
        if self.over:
            raise CallOver("audio cannot be sent: the call is over")
        self._machine.say(CallWord.AUDIO)
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError(f"audio must be whole 16-bit samples, got an odd {len(pcm)} bytes")
        if not pcm:
            return
        self._audio.append(bytes((channel,)) + pcm)
        self._audio_bytes += len(pcm)
        while self._audio_bytes > self._capacity:
            lost = len(self._audio.popleft()) - 1
            self._audio_bytes -= lost
            self.bytes_dropped_out += lost

    def _more_to_send(self, now: float) -> list[Message]:
        frames: list[Message] = list(self._audio)
        self._audio.clear()
        self._audio_bytes = 0
        return frames

    def _take(self, command_id: str) -> Command:
        expected = self._commands.take(command_id)
        if expected is None:
            raise LocalProtocolError("this command is not waiting for an answer: answered, late or unknown")
        return expected.asked

    def _answer(self, command: Command, response: CommandResponse, now: float) -> None:
        self._now = now
        rule = COMMANDS[command.command]
        word = rule.done if response.success else rule.refused
        self._machine.say(word)
        self._say(encode_media(response))
        if self.over and self.end_reason is None:
            self._over(word, now)
            self.terminate(now=now)  # the vendor's client ends its call on this event, not on the reply

    # ------------------------------------------------------------------ hearing

    def _on_media_message(self, message: MediaMessage, now: float) -> None:
        if not isinstance(message, Command) or self._commands.knows(message.command_id):
            self._unexpected += 1
            return
        word = message.command
        row = self._hear(word)
        if row is None:
            self._reply(message, "INVALID_COMMAND", f"{word.value} is not allowed while {self.state.value}")
        elif not row.crossing and word is CallWord.CONNECT and message.ring_time_seconds not in RING_TIMES:
            self._reply(message, "INVALID_REQUEST", f"ringTimeSeconds must be 1 to {RING_TIMES[-1]}")
        elif not row.crossing and len(self._commands) >= self._limits.pending_requests:
            self._reply(message, "OVERFLOW", "too many commands are waiting")
        elif not row.crossing:
            within = max(0, message.timeout_ms) / 1000 + _GRACE
            self._commands.expect(message.command_id, message, now=now, within=within)
            self.happened.append(CommandReceived(command=message))
        elif word in (_LEAVING if self.over else _STANDING):
            self._reply(message, None, None)
        else:
            self._reply(message, "CALL_TERMINATED", "the call is over")

    def _reply(self, command: Command, error_code: str | None, error_message: str | None) -> None:
        self._say(
            encode_media(
                CommandResponse(
                    command_id=command.command_id,
                    success=error_code is None,
                    error_code=error_code,
                    error_message=error_message,
                )
            )
        )

    # ------------------------------------------------------------------ the end, and time

    def _over(self, word: CallWord, now: float) -> None:
        self.end_reason = _END_REASONS[word]
        self._commands.drain()
        self._close_at = now + _CLOSE_WITHIN
        self.happened.append(CallEnded(reason=self.end_reason))

    def _on_open(self, now: float) -> None:
        pass

    def _on_lost(self, now: float) -> None:
        if self._machine.hear(CallWord.LOST) and self.end_reason is None:
            self._over(CallWord.LOST, now)

    def _deadline(self) -> float | None:
        return earliest(self._commands.next_deadline(), self._close_at)

    def _on_timeout(self, now: float) -> None:
        for expected in self._commands.overdue(now):
            self.happened.append(CommandExpired(command=expected.asked))
            self._answer(
                expected.asked,
                CommandResponse(command_id=expected.id, success=False, error_code="TIMEOUT"),
                now,
            )
        if self._close_at is not None and now >= self._close_at:
            self._close_at = None
            self.close_connection(now=now)
