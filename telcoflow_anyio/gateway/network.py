"""The phone network, as a pure machine: who is in a call, who hears whom, who picks up and who hangs up.

No sockets and no clock: ``tick`` is called once per 20 ms of the network's time, and everything that takes
time is counted in ticks.
"""

import enum
from collections.abc import Callable
from typing import final

import attrs

from telcoflow_anyio.gateway.audio import TICK, frame_bytes, mix
from telcoflow_anyio.gateway.parties import Callee, Caller, Party

DIRECT_RING_SECONDS = 60.0
"""How long the network rings the callee on its own, when the agent has let go of the call."""


@final
class PhoneState(enum.Enum):
    """Where a call stands in the network."""

    PENDING = "pending"
    ANSWERED = "answered"
    CONNECTED = "connected"
    DIRECT = "direct"
    """The agent is out: the network rings the callee, or caller and callee are left to themselves."""
    OVER = "over"


@final
class Mode(enum.Enum):
    """Who hears the agent of a connected call: both parties, the callee, nobody."""

    BARGE = "barge"
    WHISPER = "whisper"
    SPY = "spy"


@final
class Ring(enum.Enum):
    """How ringing the callee ended."""

    ANSWERED = "answered"
    BUSY = "busy"
    UNANSWERED = "unanswered"


@final
@attrs.frozen(kw_only=True)
class Tick:
    """What one tick brought: how ringing ended, and what the agent hears, by channel."""

    ring: Ring | None = None
    frames: tuple[tuple[int, bytes], ...] = ()


@final
class PhoneCall:
    """One call. ``on_move`` hears of each new state; states only ever change inside the methods below.

    In an ``outbound`` call it is the callee whom the agent talks to, and nobody stands behind the caller.
    """

    def __init__(
        self,
        caller: Caller,
        callee: Callee,
        *,
        outbound: bool = False,
        on_move: Callable[[PhoneState], None] = lambda _state: None,
    ) -> None:
        self.state = PhoneState.PENDING
        self.mode = Mode.BARGE
        self.caller = Party(caller.voice)
        self.callee = Party(callee.voice)
        self.agent_heard = bytearray()
        self.agent_said = bytearray()
        self.sample_rate = 0
        self.ended_by: str | None = None
        self._near = self.callee if outbound else self.caller
        self._outbound = outbound
        self._plan = callee
        self._on_move = on_move
        self._isolated = False
        self._silence = b""
        self._playout = bytearray()
        self._ticks = 0
        self._caller_leaves_at = _in_ticks(caller.hangs_up_after)
        self._callee_leaves_at: int | None = None
        self._rung_at: int | None = None
        self._ring_until = 0
        self._ring_leads_to = PhoneState.CONNECTED

    @property
    def elapsed(self) -> float:
        """Seconds of network time since the call was placed."""
        return self._ticks * TICK

    @property
    def buffered(self) -> int:
        """Bytes of the agent's speech that wait to be played."""
        return len(self._playout)

    # ------------------------------------------------------------------ what the agent does

    def tune(self, *, sample_rate: int, isolated: bool) -> None:
        """Give the call its rate in Hz, and its legs to the agent one by one if ``isolated``.

        Raises ValueError or OSError if a voice does not exist at that rate; the call can be tuned again.
        """
        self.caller.prepare(sample_rate)
        self.callee.prepare(sample_rate)
        self.sample_rate = sample_rate
        self._isolated = isolated
        self._silence = bytes(frame_bytes(sample_rate))

    def answer(self) -> None:
        """The agent picks up the waiting call."""
        self.caller.present = True
        self._move(PhoneState.ANSWERED)

    def ring(self, seconds: float, *, leads_to: PhoneState = PhoneState.CONNECTED) -> None:
        """Ring the callee that long; the ``Tick`` in which it ends tells how. A second ring joins the first."""
        if self._rung_at is None:
            self._rung_at = self._ticks
            self._ring_until = self._ticks + round(seconds / TICK)
            self._ring_leads_to = leads_to

    def agent_says(self, pcm: bytes) -> None:
        """Take speech of the agent, to be played in turn."""
        self.agent_said += pcm
        self._playout += pcm

    def interrupt(self) -> int:
        """Drop the agent's speech that was not played yet; returns how many bytes that was."""
        dropped = len(self._playout)
        self._playout.clear()
        return dropped

    def leave(self) -> None:
        """The agent is out: caller and callee talk on, or the callee is rung; without them the call is over."""
        self.interrupt()
        if self._outbound or self.state is PhoneState.ANSWERED:
            self.end("agent")
        elif self.state is PhoneState.CONNECTED:
            self._move(PhoneState.DIRECT)
        elif self.state is PhoneState.PENDING:
            self.ring(DIRECT_RING_SECONDS)
            self._move(PhoneState.DIRECT)

    # ------------------------------------------------------------------ what the parties do

    def caller_hangs_up(self) -> None:
        """The caller hangs up, or gives up waiting."""
        self.end("caller")

    def callee_hangs_up(self) -> None:
        """The callee hangs up, or declines while it rings; nothing happens if they are not in the call."""
        if self.callee.present:
            self.end("callee")
        elif self._rung_at is not None:
            self._plan = attrs.evolve(self._plan, busy=True)

    def end(self, by: str) -> None:
        """End the call for everybody. Who ended it first is remembered in ``ended_by``."""
        if self.state is not PhoneState.OVER:
            self.ended_by = by
            self._rung_at = None
            self._move(PhoneState.OVER)

    # ------------------------------------------------------------------ time

    def tick(self) -> Tick:
        """Let 20 ms pass: scripted hang-ups, ringing, and one frame from everybody to everybody."""
        self._ticks += 1
        if self._caller_leaves_at is not None and self._ticks >= self._caller_leaves_at:
            self.end("caller")
        if self._callee_leaves_at is not None and self._ticks >= self._callee_leaves_at:
            self.end("callee")
        ring = self._ringing()
        if self.state in {PhoneState.PENDING, PhoneState.OVER} or not self.caller.present:
            return Tick(ring=ring)
        return Tick(ring=ring, frames=self._exchange_frames())

    def _ringing(self) -> Ring | None:
        """Let it ring on; return how it ended, once it has."""
        if self._rung_at is None:
            return None
        answers_after = _in_ticks(self._plan.answers_after)
        if self._plan.busy:
            outcome = Ring.BUSY
        elif answers_after is not None and self._ticks >= self._rung_at + answers_after:
            outcome = Ring.ANSWERED
            self._callee_picks_up()
        elif self._ticks >= self._ring_until:
            outcome = Ring.UNANSWERED
        else:
            return None
        self._rung_at = None
        if self.state is PhoneState.DIRECT and outcome is not Ring.ANSWERED:
            self.end(outcome.value)
        return outcome

    def _callee_picks_up(self) -> None:
        self.caller.present = self.callee.present = True
        stays = _in_ticks(self._plan.hangs_up_after)
        self._callee_leaves_at = None if stays is None else self._ticks + stays
        if self.state is not PhoneState.DIRECT:
            self._move(self._ring_leads_to)

    def _exchange_frames(self) -> tuple[tuple[int, bytes], ...]:
        caller, callee, agent = self.caller.next_frame(), self.callee.next_frame(), self._play()
        self.caller.listen(mix(callee, agent if self._hears_agent(self.caller) else b""), self._silence)
        to_callee = mix(caller, agent if self._hears_agent(self.callee) else b"")
        self.callee.listen(to_callee if self.callee.present else b"", self._silence)
        if self.state is PhoneState.DIRECT:
            return ()
        both = mix(caller, callee) or self._silence
        self.agent_heard += both
        if self._isolated and self.state is PhoneState.CONNECTED:
            return ((0, both), (1, caller or self._silence), (2, callee or self._silence))
        return ((0, both),)

    def _hears_agent(self, party: Party) -> bool:
        if self.state is PhoneState.CONNECTED:
            return self.mode is Mode.BARGE or (self.mode is Mode.WHISPER and party is self.callee)
        return self.state is PhoneState.ANSWERED and party is self._near

    def _play(self) -> bytes:
        size = len(self._silence)
        frame = bytes(self._playout[:size])
        del self._playout[:size]
        return frame.ljust(size, b"\0") if frame else b""

    def _move(self, state: PhoneState) -> None:
        self.state = state
        self._on_move(state)


def _in_ticks(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds / TICK)
