"""One call in the gateway: its identity, its life in the phone network, and what everybody heard."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import final

import anyio
import anyio.lowlevel
import attrs

from telcoflow_anyio.gateway.audio import write_wav
from telcoflow_anyio.gateway.faults import Faults
from telcoflow_anyio.gateway.line import AgentLine, CommandTaken
from telcoflow_anyio.gateway.network import PhoneCall, PhoneState
from telcoflow_anyio.gateway.parties import Callee, Caller
from telcoflow_proto.control.messages import Setup
from telcoflow_proto.media.events import EndReason

_AGENT_ENDED = (EndReason.CLOSED, EndReason.DISCONNECTED)


@final
@attrs.frozen(kw_only=True)
class CallStatistics:
    """A snapshot of one call. Bytes are PCM bytes, all channels together; seconds are the network's."""

    state: str
    seconds: float
    frames_to_agent: int
    bytes_to_agent: int
    frames_from_agent: int
    bytes_from_agent: int
    bytes_dropped: int
    bytes_interrupted: int
    commands: tuple[CommandTaken, ...]


@final
class GatewayCall:
    """A call on the gateway's phone network, from the first ring to the end. ``Gateway.place_call`` makes one.

    ``state`` is pending, answered, connected, direct (the agent is out, the parties are not) or over, and
    ``states`` its history. ``on_change`` hears of each new state, ``on_session_over`` once that the call is over
    for the agent.
    """

    def __init__(
        self,
        *,
        call_id: str,
        session_id: str,
        token: str,
        caller: Caller,
        callee: Callee,
        outbound: bool,
        prefetch: float,
        faults: Faults,
        on_change: Callable[["GatewayCall"], None],
        on_session_over: Callable[["GatewayCall"], None],
    ) -> None:
        self.call_id = call_id
        self.session_id = session_id
        self.token = token
        self.caller = caller
        self.callee = callee
        self.outbound = outbound
        self.placed_at = int(time.time())
        self.states = [PhoneState.PENDING.value]
        self.session_open = True
        self.close_reason: str | None = None
        self._network = PhoneCall(caller, callee, outbound=outbound, on_move=self._moved)
        self._line: AgentLine | None = None
        self._prefetch = prefetch
        self._faults = faults
        self._on_change = on_change
        self._on_session_over = on_session_over
        self._changed = anyio.Event()

    def __repr__(self) -> str:
        return f"<GatewayCall {self.call_id} {self.state}>"

    # ------------------------------------------------------------------ what a test asks

    @property
    def state(self) -> str:
        """Where the call stands."""
        return self._network.state.value

    @property
    def seconds(self) -> float:
        """How long ago the call was placed, in seconds of the network's clock."""
        return self._network.elapsed

    @property
    def ended_by(self) -> str | None:
        """Who ended it: caller, callee, agent, service, or a callee who is busy or unanswered; None before."""
        return self._network.ended_by

    @property
    def sample_rate(self) -> int:
        """Samples a second, as the agent wished in its set-up; 0 before an agent has claimed the call."""
        return self._network.sample_rate

    @property
    def heard_by_caller(self) -> bytes:
        """What the caller has heard since somebody picked up, silence included."""
        return bytes(self._network.caller.heard)

    @property
    def heard_by_callee(self) -> bytes:
        """What the callee has heard, on the same clock: silence until they are in the call."""
        return bytes(self._network.callee.heard)

    @property
    def heard_by_agent(self) -> bytes:
        """What the agent was sent on channel 0, on the same clock."""
        return bytes(self._network.agent_heard)

    @property
    def said_by_agent(self) -> bytes:
        """The agent's speech as it arrived, without regard to when it was played, or whether."""
        return bytes(self._network.agent_said)

    async def wait_state(self, state: str) -> None:
        """Wait until the call is, or has been, in that state.

        Raises ValueError for a state that does not exist, RuntimeError if the call ends without getting there.
        """
        wanted = PhoneState(state).value
        while wanted not in self.states:
            if self.state == PhoneState.OVER.value:
                raise RuntimeError(f"the call is over and never was {wanted}: {' → '.join(self.states)}")
            await self._changed.wait()

    async def caller_hangs_up(self) -> None:
        """Let the caller hang up now."""
        self._network.caller_hangs_up()
        await anyio.lowlevel.checkpoint()

    async def callee_hangs_up(self) -> None:
        """Let the callee hang up now, or decline while it rings; nothing happens if they are not in the call."""
        self._network.callee_hangs_up()
        await anyio.lowlevel.checkpoint()

    async def drop_media(self, code: int | None = None) -> None:
        """End the agent's media connection with a close code; None breaks it without a word.

        Returns when it is gone. Raises RuntimeError if there is none.
        """
        link = self._line.link if self._line is not None else None
        if link is None or link.ended.is_set():
            raise RuntimeError("this call has no media connection now")
        await link.drop(code)

    def save(self, folder: str | Path) -> None:
        """Write heard-by-caller.wav, heard-by-callee.wav and heard-by-agent.wav; the folder is made.

        Raises OSError if that fails, and ValueError for a call that no agent ever claimed: it has no rate.
        """
        if not self.sample_rate:
            raise ValueError("nobody claimed this call, so there is nothing to save")
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in ("caller", "callee", "agent"):
            write_wav(Path(folder) / f"heard-by-{name}.wav", getattr(self, f"heard_by_{name}"), self.sample_rate)

    def statistics(self) -> CallStatistics:
        """Return a frozen snapshot. Legal in every state."""
        line = self._line
        return CallStatistics(
            state=self.state,
            seconds=self.seconds,
            frames_to_agent=line.frames_out if line else 0,
            bytes_to_agent=line.bytes_out if line else 0,
            frames_from_agent=line.frames_in if line else 0,
            bytes_from_agent=len(self._network.agent_said),
            bytes_dropped=line.media.bytes_dropped_out if line else 0,
            bytes_interrupted=line.bytes_interrupted if line else 0,
            commands=tuple(line.taken) if line else (),
        )

    # ------------------------------------------------------------------ what the gateway does

    @property
    def waiting(self) -> bool:
        """True while the call waits for an agent that opens its media connection."""
        return self._line is None and self.session_open

    def tune(self, setup: Setup) -> None:
        """Take the audio format of the agent that claims the call. Raises as ``Voice.speak`` does."""
        self._network.tune(sample_rate=setup.sample_rate, isolated=setup.audio_mode == "isolated")

    def open_line(self) -> AgentLine:
        """Open the agent's end, once: see ``waiting``."""
        self._line = AgentLine(
            self._network, outbound=self.outbound, prefetch=self._prefetch, faults=self._faults, on_out=self._agent_out
        )
        return self._line

    async def wait_line_gone(self) -> None:
        """Wait until the agent's media connection is gone; return at once if there was none."""
        if self._line is not None and self._line.link is not None:
            await self._line.link.ended.wait()

    def tick(self) -> None:
        """Let 20 ms of the network's time pass."""
        tick = self._network.tick()
        if self._line is not None:
            self._line.tick(tick)

    def end(self, *, by: str, close_reason: str) -> None:
        """End the call for everybody, and its session with that reason."""
        self.close_reason = self.close_reason or close_reason
        self._network.end(by)

    def _moved(self, state: PhoneState) -> None:
        self.states.append(state.value)
        self._changed.set()
        self._changed = anyio.Event()
        self._on_change(self)
        if state is PhoneState.OVER:
            if self._line is None:
                self._close_session("CALL_TERMINATED")
            else:
                self._line.hang_up()

    def _agent_out(self, reason: EndReason) -> None:
        self._close_session("SDK_REQUEST" if reason in _AGENT_ENDED else "CALL_TERMINATED")

    def _close_session(self, reason: str) -> None:
        self.session_open = False
        self.close_reason = self.close_reason or reason
        self._on_session_over(self)
