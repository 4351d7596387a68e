"""The client role of the media plane: commands, their outcomes, and speech against credit."""

from telcoflow_proto.chance import Entropy
from telcoflow_proto.door import Message
from telcoflow_proto.errors import CallOver
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.media.codec import encode_media
from telcoflow_proto.media.events import (
    CallChanged,
    CallEnded,
    CallErrorReported,
    CallFailedToMove,
    CallNoticed,
    ClientMediaEvent,
    CommandDone,
    EndReason,
    PlayoutFinished,
)
from telcoflow_proto.media.messages import BufferRequest, CallNotice, Command, CommandResponse, MediaMessage
from telcoflow_proto.media.playout import Playout
from telcoflow_proto.media.protocol import MediaProtocol, MediaStatistics
from telcoflow_proto.media.table import COMMANDS, GRACE, RING_TIMES, CallState, CallWord
from telcoflow_proto.replies import Expected, Outcome, Replies
from telcoflow_proto.roles import Role
from telcoflow_proto.timers import earliest

_on_channel_0 = b"\x00".__add__
_LEAVING = (CallWord.CLOSE, CallWord.DISCONNECT)
_END_REASONS = {
    CallWord.LEFT: EndReason.CLOSED,
    CallWord.ENDED: EndReason.DISCONNECTED,
    CallWord.TERMINATED: EndReason.TERMINATED,
    CallWord.SESSION_CLOSED: EndReason.SESSION_CLOSED,
}
_NOTICE_WORDS = {
    "call.terminated": CallWord.TERMINATED,
    "call.error": CallWord.ERROR,
    # Names of older services: the same outcomes, told as events. The table keeps them from firing twice.
    "call.answered": CallWord.ANSWERED,
    "call.connected": CallWord.CONNECTED,
    "call.answer_failed": CallWord.ANSWER_REFUSED,
    "call.connect_failed": CallWord.CONNECT_REFUSED,
}
_COMMAND_OF = {rule.refused: word for word, rule in COMMANDS.items() if rule.refused is not CallWord.REFUSED}
_ANSWERED_BY = {
    word: (command, success)
    for command in _COMMAND_OF.values()
    for word, success in ((COMMANDS[command].done, True), (COMMANDS[command].refused, False))
}


class MediaClient(MediaProtocol[ClientMediaEvent]):
    """The agent's end of one call, for who has WebSocket messages.

    Commands return a command id; the matching ``CommandDone`` tells how it went. They may be said before the
    connection is open and leave when it is.
    """

    def __init__(
        self,
        *,
        entropy: Entropy,
        sample_rate: int = 24000,
        isolated: bool = False,
        buffer_size: int = DEFAULT_LIMITS.audio_out_bytes,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(Role.CLIENT, sample_rate=sample_rate, isolated=isolated, entropy=entropy, limits=limits)
        self._playout = Playout(sample_rate=sample_rate, capacity=buffer_size, limits=limits)
        self._replies: Replies[Command] = Replies(limits.pending_requests)
        self._frames_sent = 0
        self._last_command_seconds: float | None = None
        self._draining = False
        self.audio_mode: str | None = None

    # ------------------------------------------------------------------ commands

    def answer(self, *, now: float) -> str:
        """Pick up. Allowed while PENDING; said again while one waits, it joins that one."""
        return self._command(CallWord.ANSWER, now)

    def connect(self, *, ring_time_seconds: int = 60, now: float) -> str:
        """Ring the callee for 1 to 120 seconds and bring them into the call. Raises ValueError outside that."""
        if isinstance(ring_time_seconds, bool) or ring_time_seconds not in RING_TIMES:
            raise ValueError(f"ring_time_seconds must be 1 to {RING_TIMES[-1]} seconds, got {ring_time_seconds!r}")
        return self._command(CallWord.CONNECT, now, ring_time_seconds=int(ring_time_seconds))

    def whisper(self, *, now: float) -> str:
        """Let only the callee hear the agent. Allowed while CONNECTED, like ``barge`` and ``spy``."""
        return self._command(CallWord.WHISPER, now)

    def barge(self, *, now: float) -> str:
        """Let both parties hear the agent."""
        return self._command(CallWord.BARGE, now)

    def spy(self, *, now: float) -> str:
        """Let nobody hear the agent."""
        return self._command(CallWord.SPY, now)

    def interrupt(self, *, now: float) -> str:
        """Drop our speech here and at the server. Nothing that was queued leaves after this call."""
        command_id = self._command(CallWord.INTERRUPT, now)
        self._forget_speech(now)
        return command_id

    def close(self, *, now: float) -> str:
        """Leave: ends an ANSWERED call, leaves the parties of a CONNECTED one, lets go of a PENDING one."""
        return self._command(CallWord.CLOSE, now)

    def disconnect(self, *, now: float) -> str:
        """End the call for everybody; declines a PENDING one."""
        return self._command(CallWord.DISCONNECT, now)

    def force_disconnect(self, *, now: float) -> None:
        """End the call here and now, whatever the server does. Repeated calls are harmless."""
        self._end(CallWord.LOST, EndReason.FORCED, None, now)
        self.close_connection(now=now)

    def session_closed(self, reason: str, *, now: float) -> None:
        """The control connection told that the session of this call is closed."""
        self._machine.hear(CallWord.SESSION_CLOSED)
        self._finish(EndReason.SESSION_CLOSED, reason, now)

    def _command(self, word: CallWord, now: float, *, ring_time_seconds: int | None = None) -> str:
        self._now = now
        if self.over:
            raise CallOver(f"{word.value!r} cannot be said: the call is over ({self.end_reason})")
        self._machine.check(word)
        rule = COMMANDS[word]
        if rule.once:
            waiting = next((one.id for one in self._replies.waiting() if one.asked.command is word), None)
            if waiting is not None:
                return waiting
        within = float(ring_time_seconds or 0) if rule.within is None else rule.within
        command = Command(
            command_id=self._chance.identifier(),
            command=word,
            timeout_ms=int(within * 1000),
            ring_time_seconds=ring_time_seconds,
        )
        self._replies.expect(command.command_id, command, now=now, within=within + GRACE)
        self._machine.say(word)
        self._say(encode_media(command))
        return command.command_id

    @property
    def wants_transport(self) -> bool:
        """True when something was said and no connection has been opened for it yet."""
        return not self.started and bool(self._out)

    # ------------------------------------------------------------------ speech

    @property
    def bytes_queued(self) -> int:
        """Outgoing PCM bytes that have not left."""
        return self._playout.queued

    @property
    def capacity(self) -> int:
        """Outgoing PCM bytes that can be queued at most."""
        return self._playout.capacity

    @property
    def room(self) -> int:
        """Outgoing PCM bytes that can be queued now."""
        return self._playout.room

    @property
    def bytes_audible(self) -> int:
        """PCM bytes of our speech that have been heard or will be, unless they are cleared."""
        return self._playout.audible

    @property
    def audio_clears(self) -> int:
        """How often queued audio was dropped: who plays something long looks whether this moved."""
        return self._playout.clears

    def bytes_heard(self, *, now: float) -> int:
        """Estimate how many bytes of our speech have been heard by ``now``."""
        return self._playout.heard(now=now)

    def milliseconds_heard(self, *, now: float) -> int:
        """Estimate how many milliseconds of our speech have been heard by ``now``."""
        return round(self._playout.seconds_of(self._playout.heard(now=now)) * 1000)

    def milliseconds_unheard(self, *, now: float) -> int:
        """Estimate how many milliseconds of our speech are queued, here or at the service, at ``now``."""
        return round(self._playout.seconds_of(self._playout.unheard(now=now)) * 1000)

    def seconds_of(self, size: int) -> float:
        """Return how long ``size`` bytes of PCM sound at this call's rate."""
        return self._playout.seconds_of(size)

    def send_audio(self, pcm: bytes, *, now: float) -> None:
        """Queue 16-bit mono PCM: all of it or, raising, none.

        Raises PlayoutFull when it does not fit, CallOver after the end, LocalProtocolError before the answer,
        ValueError for half a sample.
        """
        self._now = now
        if self._machine.state is CallState.DISCONNECTED:
            raise CallOver(f"audio cannot be sent: the call is over ({self.end_reason})")
        self._machine.check(CallWord.AUDIO)
        self._playout.write(pcm, now=now)

    def drain_audio(self, *, now: float) -> None:
        """No more speech is coming for now: a short tail leaves at once, ``PlayoutFinished`` tells the end.

        Raises CallOver after the end of the call.
        """
        self._now = now
        if self.over:
            raise CallOver(f"audio cannot be drained: the call is over ({self.end_reason})")
        self._playout.flush()
        self._draining = True
        self._report_playout(now)

    def _forget_speech(self, now: float) -> None:
        """What was not heard yet never will be, and the recording must not claim otherwise."""
        self._playout.clear(now=now)
        if self.track is not None:
            self.track.cleared(at=now)

    def audio_finished(self, *, now: float) -> bool:
        """Tell whether the call goes on and all speech has left and, by our estimate, been heard."""
        return not self.over and self._playout.finished(now=now)

    def _report_playout(self, now: float) -> None:
        if self._draining and self._playout.finished(now=now):
            self._draining = False
            self.happened.append(PlayoutFinished())

    def _more_to_send(self, now: float) -> list[Message]:
        if not self._playout.queued or self._machine.state is CallState.DISCONNECTED:
            return []
        begins_at = max(self._playout.heard_at, now) if self.track is not None else now
        frames = self._playout.frames(now=now)
        self._frames_sent += len(frames)
        if self.track is not None:
            self.track.said(b"".join(frames), at=begins_at)
        return list(map(_on_channel_0, frames))

    # ------------------------------------------------------------------ hearing

    def _on_media_message(self, message: MediaMessage, now: float) -> None:
        if isinstance(message, CommandResponse):
            self._on_response(message, now)
        elif isinstance(message, BufferRequest):
            row = self._hear(CallWord.CREDIT)
            if row is not None and not row.crossing and message.channel == 0 and message.requested_bytes > 0:
                self._playout.grant(message.requested_bytes, frame_bytes=message.frame_bytes)
        elif isinstance(message, CallNotice):
            self._on_notice(message, now)

    def _on_response(self, response: CommandResponse, now: float) -> None:
        expected = self._replies.take(response.command_id)
        if expected is None:
            self._unexpected += 1
            return
        rule = COMMANDS[expected.asked.command]
        if response.success:
            self._done(expected, Outcome.DONE, now, response)
            if rule.done is CallWord.DONE:
                self.audio_mode = rule.mode or self.audio_mode
        else:
            timed_out = response.error_code == "TIMEOUT"
            self._done(expected, Outcome.TIMED_OUT if timed_out else Outcome.REFUSED, now, response)
        word = rule.done if response.success else rule.refused
        self._move(word, now, code=response.error_code, text=response.error_message)

    def _on_notice(self, notice: CallNotice, now: float) -> None:
        word = _NOTICE_WORDS.get(notice.event, CallWord.NOTICE)
        code, text = (_text_or_none(notice.details.get(name)) for name in ("error_code", "error_message"))
        if word is CallWord.NOTICE:
            if (row := self._hear(word)) is not None and not row.crossing:
                self.happened.append(CallNoticed(event=notice.event, details=notice.details))
        elif word is CallWord.ERROR:
            if (row := self._hear(word)) is not None and not row.crossing:
                self.happened.append(CallErrorReported(error_code=code, error_message=text))
        elif word in _ANSWERED_BY:
            self._on_outcome_event(word, now, code=code, text=text)
        else:
            self._move(word, now, code=code, text=text)

    def _on_outcome_event(self, word: CallWord, now: float, *, code: str | None, text: str | None) -> None:
        """An older service tells an outcome as an event: beside the response, or instead of it."""
        command, success = _ANSWERED_BY[word]
        waiting = next((one.id for one in self._replies.waiting() if one.asked.command is command), None)
        if waiting is not None:
            response = CommandResponse(command_id=waiting, success=success, error_code=code, error_message=text)
            self._on_response(response, now)
        elif success:
            self._move(word, now, code=None, text=None)

    def _move(self, word: CallWord, now: float, *, code: str | None, text: str | None) -> None:
        """Walk the table for a word of the server and report what it changed."""
        previous = self._machine.state
        row = self._hear(word)
        if row is None or row.crossing:
            return
        if word in _END_REASONS:
            self._finish(_END_REASONS[word], text, now)
        elif row.next_state is not previous:
            if row.next_state is CallState.CONNECTED:
                self.audio_mode = COMMANDS[CallWord.CONNECT].mode
            self.happened.append(CallChanged(previous=previous, state=row.next_state))
        elif word in _COMMAND_OF:
            self.happened.append(CallFailedToMove(command=_COMMAND_OF[word], error_code=code, error_message=text))

    # ------------------------------------------------------------------ the end, and time

    def _on_open(self, now: float) -> None:
        pass

    def _on_lost(self, now: float) -> None:
        self._end(CallWord.LOST, EndReason.CONNECTION_LOST, None, now)

    def _end(self, word: CallWord, reason: EndReason, detail: str | None, now: float) -> None:
        self._machine.hear(word)
        self._finish(reason, detail, now)

    def _finish(self, reason: EndReason, detail: str | None, now: float) -> None:
        """Once: settle every command, forget speech, report the end, and close the connection in order."""
        if self.end_reason is not None:
            return
        self.end_reason = reason
        lost = reason in (EndReason.CONNECTION_LOST, EndReason.FORCED)
        for expected in self._replies.drain():
            wanted = expected.asked.command in _LEAVING and not lost
            self._done(expected, Outcome.DONE if wanted else Outcome.LOST if lost else Outcome.CALL_OVER, now)
        self._forget_speech(now)
        self._draining = False
        self.happened.append(CallEnded(reason=reason, detail=detail))
        self.close_connection(now=now)

    def _done(
        self,
        expected: Expected[Command],
        outcome: Outcome,
        now: float,
        response: CommandResponse | None = None,
    ) -> None:
        took = now - expected.said_at
        if response is not None:
            self._last_command_seconds = took
        self.happened.append(
            CommandDone(
                command_id=expected.id,
                command=expected.asked.command,
                outcome=outcome,
                took=took,
                result=response.result if response else None,
                error_code=response.error_code if response else None,
                error_message=response.error_message if response else None,
            )
        )

    def _deadline(self) -> float | None:
        due = self._replies.next_deadline() if self._replies.pending else None
        if self._playout.queued:
            return earliest(due, self._playout.tail_due_at())
        return earliest(due, self._playout.finished_at) if self._draining else due

    def _on_timeout(self, now: float) -> None:
        self._playout.ring(now=now)
        for expected in self._replies.overdue(now):
            self._done(expected, Outcome.TIMED_OUT, now)
            if expected.asked.command in _COMMAND_OF.values():
                self.happened.append(
                    CallFailedToMove(command=expected.asked.command, error_code="TIMEOUT", error_message=None)
                )
        self._report_playout(now)

    def statistics(self) -> MediaStatistics:
        """Return a frozen snapshot. Legal in every state."""
        inboxes = self._inboxes.values()
        return MediaStatistics(
            state=self.state,
            audio_mode=self.audio_mode,
            bytes_sent=self._playout.sent,
            frames_sent=self._frames_sent,
            bytes_received=sum(inbox.received for inbox in inboxes),
            frames_received=self._frames_received,
            bytes_queued=self._playout.queued,
            credit=self._playout.credit,
            bytes_dropped_in=sum(inbox.dropped for inbox in inboxes),
            bytes_dropped_out=self._playout.dropped,
            bad_frames=self._bad.count,
            unexpected=self._unexpected,
            pending_commands=len(self._replies),
            last_command_seconds=self._last_command_seconds,
        )


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
