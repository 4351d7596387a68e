"""The agent's end of a call: commands in, speech both ways, and asking for more speech in time."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never, final

import anyio
import attrs

from telcoflow_anyio.gateway.audio import SAMPLE_BYTES, frame_bytes
from telcoflow_anyio.gateway.faults import Faults
from telcoflow_anyio.gateway.network import Mode, PhoneCall, PhoneState, Ring, Tick
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, DoorEvent, FrameDropped
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.media.events import (
    AudioArrived,
    CallEnded,
    CommandExpired,
    CommandReceived,
    EndReason,
    ServerMediaEvent,
)
from telcoflow_proto.media.messages import Command
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.media.table import CallWord

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.link import Link

_MODES = {CallWord.BARGE: Mode.BARGE, CallWord.WHISPER: Mode.WHISPER, CallWord.SPY: Mode.SPY}
_RING_ERRORS = {Ring.BUSY: "CALLEE_BUSY", Ring.UNANSWERED: "CALL_UNANSWERED"}
_TALKING = (PhoneState.ANSWERED, PhoneState.CONNECTED)


@final
@attrs.frozen(kw_only=True)
class CommandTaken:
    """One command of the agent: how many seconds we took to answer, and with which error code, if any."""

    command: str
    took: float
    error_code: str | None


@final
class AgentLine:
    """What happens on the media connection of one call, from the moment it may be opened to its end."""

    def __init__(
        self,
        network: PhoneCall,
        *,
        outbound: bool,
        prefetch: float,
        faults: Faults,
        on_out: Callable[[EndReason], None],
    ) -> None:
        self.media = MediaServer(entropy=os.urandom, sample_rate=network.sample_rate)
        self.link: Link[ServerMediaEvent] | None = None
        self.taken: list[CommandTaken] = []
        self.frames_in = 0
        self.frames_out = 0
        self.bytes_out = 0
        self.bytes_interrupted = 0
        self._network = network
        self._outbound = outbound
        self._faults = faults
        self._on_out = on_out
        self._frame = frame_bytes(network.sample_rate)
        self._ahead = int(prefetch * network.sample_rate) * SAMPLE_BYTES
        self._requested = 0
        self._waiting: dict[str, tuple[Command, float]] = {}

    def tick(self, tick: Tick) -> None:
        """Hand on what 20 ms in the network brought."""
        now = anyio.current_time()
        if tick.ring is not None and not self.media.over:  # it may be over without our having been told so yet
            for command, _ in list(self._waiting.values()):
                self._reply(command, _RING_ERRORS.get(tick.ring), now)
        if not self.media.over:
            for channel, pcm in tick.frames:
                self.media.send_audio(pcm, channel=channel, now=now)
                self.frames_out += 1
                self.bytes_out += len(pcm)
            self._ask_for_speech(now)
        self._settle()

    def hang_up(self) -> None:
        """The call is over in the network: tell the agent, unless the agent knows."""
        if not self.media.over:
            self.media.terminate(now=anyio.current_time())
        self._settle()

    def on_event(self, event: ServerMediaEvent | DoorEvent) -> None:
        """Do what the agent asks, and notice when it is gone."""
        match event:
            case CommandReceived():
                self._obey(event.command, anyio.current_time())
            case CommandExpired():
                self._settle_command(event.command, "TIMEOUT")
            case AudioArrived():
                while (pcm := self.media.next_audio()) is not None:
                    self.frames_in += 1
                    self._requested = max(0, self._requested - len(pcm))
                    self._network.agent_says(pcm)
            case CallEnded():
                self._waiting.clear()
                if event.reason is EndReason.DISCONNECTED:
                    self._network.end("agent")
                elif event.reason is not EndReason.TERMINATED:
                    self._network.leave()
                self._on_out(event.reason)
            case ConnectionOpened() | ConnectionLost() | FrameDropped() | UpgradeRequested():
                pass
            case _:
                assert_never(event)

    def _obey(self, command: Command, now: float) -> None:
        word = command.command
        self._waiting[command.command_id] = (command, now)
        refusal = self._faults.refuse.get(word.value)
        if refusal is not None:
            self._reply(command, refusal, now)
        elif word is CallWord.CONNECT:
            self._network.ring(command.ring_time_seconds or 0)
        elif word is CallWord.ANSWER and self._outbound:
            self._network.ring(command.timeout_ms / 1000, leads_to=PhoneState.ANSWERED)
        else:
            if word is CallWord.ANSWER:
                self._network.answer()
            elif word is CallWord.INTERRUPT:
                self.bytes_interrupted += self._network.interrupt()
            elif word in _MODES:
                self._network.mode = _MODES[word]
            self._reply(command, None, now)  # what a close or disconnect means comes back as CallEnded
            self._ask_for_speech(now)

    def _reply(self, command: Command, error_code: str | None, now: float) -> None:
        self._settle_command(command, error_code)
        if error_code is None:
            self.media.succeed(command.command_id, now=now)
        else:
            self.media.refuse(command.command_id, error_code=error_code, now=now)

    def _settle_command(self, command: Command, error_code: str | None) -> None:
        _, heard_at = self._waiting.pop(command.command_id)
        took = anyio.current_time() - heard_at
        self.taken.append(CommandTaken(command=command.command.value, took=took, error_code=error_code))

    def _ask_for_speech(self, now: float) -> None:
        """Keep ``prefetch`` seconds of speech in our buffer or on their way, one frame per request."""
        if self._network.state not in _TALKING or self.media.over or self._faults.mute_credit:
            return
        while self._network.buffered + self._requested + self._frame <= self._ahead:
            self.media.request_audio(self._frame, frame_bytes=self._frame, now=now)
            self._requested += self._frame

    def _settle(self) -> None:
        if self.link is not None:
            self.link.settle()
