"""The phone network alone: no sockets and no clock, every sample counted."""

from typing import Any

import pytest

from telcoflow_anyio.gateway import Callee, Caller, Voice, frame_bytes, mix
from telcoflow_anyio.gateway.network import DIRECT_RING_SECONDS, Mode, PhoneCall, PhoneState, Ring, Tick

RATE = 8000
FRAME = frame_bytes(RATE)
SILENCE = bytes(FRAME)
SECOND = 50  # ticks


def words(first: int, frames: int = 100) -> bytes:
    """Frames no other party says, none of them silent."""
    return b"".join((first + n).to_bytes(2, "little") * (FRAME // 2) for n in range(frames))


CALLER, CALLEE, AGENT = words(1000), words(2000), words(3000)


def phone_call(*, isolated: bool = False, outbound: bool = False, **plan: Any) -> PhoneCall:
    caller = Caller(voice=Voice.pcm(CALLER), hangs_up_after=plan.pop("caller_hangs_up_after", None))
    call = PhoneCall(caller, Callee(voice=Voice.pcm(CALLEE), **{"answers_after": 0.1, **plan}), outbound=outbound)
    call.tune(sample_rate=RATE, isolated=isolated)
    return call


def connected(mode: Mode = Mode.BARGE, *, isolated: bool = False, **plan: Any) -> PhoneCall:
    """A call in which all three are on the line and nobody has said a word yet."""
    call = phone_call(isolated=isolated, **{"answers_after": 0.0, **plan})
    call.ring(10)
    call.mode = mode
    return call


def tick(call: PhoneCall, count: int) -> list[Tick]:
    return [call.tick() for _ in range(count)]


def heard_on(ticks: list[Tick], channel: int = 0) -> bytes:
    return b"".join(pcm for one in ticks for number, pcm in one.frames if number == channel)


def mixed(*voices: bytes, frames: int) -> bytes:
    at = range(0, frames * FRAME, FRAME)
    return b"".join(mix(*(voice[n : n + FRAME] for voice in voices)) for n in at)


def test_nobody_hears_anything_before_the_call_is_up() -> None:
    call = phone_call()
    assert not any(one.frames for one in tick(call, 10))
    assert call.caller.heard == call.callee.heard == call.agent_heard == b""
    assert call.state is PhoneState.PENDING


def test_an_answered_call_joins_caller_and_agent() -> None:
    call = phone_call()
    call.answer()
    call.agent_says(AGENT)
    ticks = tick(call, 10)
    assert heard_on(ticks) == call.agent_heard == CALLER[: 10 * FRAME]
    assert call.caller.heard == AGENT[: 10 * FRAME]
    assert call.callee.heard == 10 * SILENCE


@pytest.mark.parametrize(
    ("mode", "caller_hears_agent", "callee_hears_agent"),
    [(Mode.BARGE, True, True), (Mode.WHISPER, False, True), (Mode.SPY, False, False)],
)
def test_who_hears_the_agent_depends_on_the_mode(
    mode: Mode, caller_hears_agent: bool, callee_hears_agent: bool
) -> None:
    call = connected(mode)
    call.agent_says(AGENT)
    ticks = tick(call, 10)
    assert heard_on(ticks) == mixed(CALLER, CALLEE, frames=10)
    assert call.caller.heard == mixed(CALLEE, *[AGENT] * caller_hears_agent, frames=10)
    assert call.callee.heard == mixed(CALLER, *[AGENT] * callee_hears_agent, frames=10)


def test_the_mode_can_change_in_the_middle_of_a_sentence() -> None:
    call = connected(Mode.BARGE)
    call.agent_says(AGENT)
    tick(call, 1)
    call.mode = Mode.SPY
    tick(call, 1)
    assert call.caller.heard == mixed(CALLEE, AGENT, frames=1) + CALLEE[FRAME : 2 * FRAME]


def test_isolated_legs_come_one_by_one_beside_the_mix() -> None:
    ticks = tick(connected(isolated=True), 5)
    assert heard_on(ticks, 0) == mixed(CALLER, CALLEE, frames=5)
    assert heard_on(ticks, 1) == CALLER[: 5 * FRAME]
    assert heard_on(ticks, 2) == CALLEE[: 5 * FRAME]


def test_silent_isolated_legs_are_frames_of_silence() -> None:
    ticks = tick(connected(isolated=True), 102)[-2:]
    assert [one.frames for one in ticks] == [((0, SILENCE), (1, SILENCE), (2, SILENCE))] * 2


def test_an_isolated_call_has_one_channel_until_the_callee_is_there() -> None:
    call = phone_call(isolated=True)
    call.answer()
    assert call.tick().frames == ((0, CALLER[:FRAME]),)


def test_all_recordings_share_one_clock() -> None:
    call = phone_call(answers_after=0.1)
    call.answer()
    tick(call, 3)
    call.ring(10)
    tick(call, 20)
    assert len(call.caller.heard) == len(call.callee.heard) == len(call.agent_heard) == 23 * FRAME
    silent = len(call.callee.heard) - len(call.callee.heard.lstrip(b"\0"))
    assert call.callee.heard[silent:] == CALLER[silent : 23 * FRAME]


def test_the_callee_picks_up_after_their_time() -> None:
    call = phone_call(answers_after=0.1)
    call.ring(10)
    rings = [one.ring for one in tick(call, 5)]
    assert rings == [None, None, None, None, Ring.ANSWERED]
    assert call.state is PhoneState.CONNECTED
    assert call.elapsed == pytest.approx(0.1)


def test_a_busy_callee_is_known_at_once_and_changes_nothing() -> None:
    call = phone_call(busy=True)
    call.answer()
    call.ring(10)
    assert call.tick().ring is Ring.BUSY
    assert call.state is PhoneState.ANSWERED
    assert call.tick().ring is None


def test_a_callee_who_does_not_answer_is_rung_to_the_end_and_can_be_rung_again() -> None:
    call = phone_call(answers_after=None)
    for _ in range(2):
        call.ring(1.0)
        rings = [one.ring for one in tick(call, SECOND)]
        assert rings == [None] * (SECOND - 1) + [Ring.UNANSWERED]
    assert call.state is PhoneState.PENDING


def test_a_second_ring_joins_the_first() -> None:
    call = phone_call(answers_after=None)
    call.ring(0.1)
    call.tick()
    call.ring(60)
    assert [one.ring for one in tick(call, 4)][-1] is Ring.UNANSWERED


def test_a_callee_can_decline() -> None:
    call = phone_call(answers_after=None)
    call.callee_hangs_up()
    call.ring(10)
    assert call.tick().ring is None
    call.callee_hangs_up()
    assert call.tick().ring is Ring.BUSY


def test_a_callee_who_is_not_in_the_call_cannot_hang_up() -> None:
    call = phone_call()
    call.answer()
    call.callee_hangs_up()
    assert call.state is PhoneState.ANSWERED


@pytest.mark.parametrize("end", ["caller_hangs_up", "callee_hangs_up"])
def test_whoever_hangs_up_ends_a_connected_call(end: str) -> None:
    call = connected()
    call.tick()
    getattr(call, end)()
    call.caller_hangs_up()
    assert call.state is PhoneState.OVER
    assert call.ended_by == end.split("_", maxsplit=1)[0]
    assert call.tick() == Tick()


def test_a_caller_gives_up_waiting_at_their_time() -> None:
    call = phone_call(caller_hangs_up_after=0.1)
    tick(call, 4)
    assert call.state is PhoneState.PENDING
    call.tick()
    assert call.state is PhoneState.OVER
    assert call.ended_by == "caller"


def test_a_callee_hangs_up_their_time_after_picking_up() -> None:
    call = phone_call(answers_after=0.1, hangs_up_after=0.2)
    call.ring(10)
    tick(call, 14)
    assert call.state is PhoneState.CONNECTED
    call.tick()
    assert call.ended_by == "callee"


def test_a_caller_who_hangs_up_ends_the_ringing() -> None:
    call = phone_call(answers_after=0.1, caller_hangs_up_after=0.1)
    call.ring(10)
    assert [one.ring for one in tick(call, 8)] == [None] * 8


def test_leaving_an_answered_call_ends_it() -> None:
    call = phone_call()
    call.answer()
    call.leave()
    assert call.state is PhoneState.OVER
    assert call.ended_by == "agent"


def test_leaving_a_connected_call_leaves_the_parties_talking() -> None:
    call = connected()
    call.agent_says(AGENT)
    tick(call, 2)
    call.leave()
    assert not any(one.frames for one in tick(call, 2))
    assert call.state is PhoneState.DIRECT
    assert call.caller.heard[2 * FRAME :] == CALLEE[2 * FRAME : 4 * FRAME]
    assert call.callee.heard[2 * FRAME :] == CALLER[2 * FRAME : 4 * FRAME]
    assert len(call.agent_heard) == 2 * FRAME
    call.leave()
    assert call.state is PhoneState.DIRECT


def test_letting_go_of_a_waiting_call_rings_the_callee_directly() -> None:
    call = phone_call(answers_after=0.1)
    call.leave()
    assert call.state is PhoneState.DIRECT
    tick(call, 10)
    assert call.caller.heard.lstrip(b"\0") == CALLEE[: len(call.caller.heard)]
    assert call.agent_heard == b""


@pytest.mark.parametrize(("plan", "end"), [({"busy": True}, "busy"), ({"answers_after": None}, "unanswered")])
def test_a_direct_call_nobody_picks_up_is_over(plan: dict[str, Any], end: str) -> None:
    call = phone_call(**plan)
    call.leave()
    tick(call, round(DIRECT_RING_SECONDS * SECOND))
    assert call.state is PhoneState.OVER
    assert call.ended_by == end


def test_interrupting_drops_what_was_not_played() -> None:
    call = phone_call()
    call.answer()
    call.agent_says(AGENT[: 5 * FRAME])
    tick(call, 2)
    assert call.buffered == 3 * FRAME
    assert call.interrupt() == 3 * FRAME
    tick(call, 1)
    assert call.caller.heard == AGENT[: 2 * FRAME] + SILENCE
    assert call.agent_said == AGENT[: 5 * FRAME]


def test_a_tail_shorter_than_a_frame_is_played_too() -> None:
    call = phone_call()
    call.answer()
    call.agent_says(AGENT[: FRAME + 100])
    tick(call, 3)
    assert call.caller.heard == AGENT[: FRAME + 100].ljust(3 * FRAME, b"\0")


def test_states_are_told_as_they_come() -> None:
    moves: list[PhoneState] = []
    call = PhoneCall(Caller(), Callee(answers_after=0.0), on_move=moves.append)
    call.tune(sample_rate=RATE, isolated=False)
    call.answer()
    call.ring(1)
    call.tick()
    call.leave()
    call.end("service")
    call.end("caller")
    assert [state.value for state in moves] == ["answered", "connected", "direct", "over"]
    assert call.ended_by == "service"


def test_in_an_outgoing_call_the_agent_talks_to_the_callee() -> None:
    call = phone_call(outbound=True, answers_after=0.1)
    call.ring(10, leads_to=PhoneState.ANSWERED)
    tick(call, 4)
    call.agent_says(AGENT)
    ticks = tick(call, 3)
    assert call.state is PhoneState.ANSWERED
    assert heard_on(ticks) == mixed(CALLER, CALLEE, frames=3)
    assert call.callee.heard == mixed(CALLER, AGENT, frames=3)
    call.leave()
    assert call.state is PhoneState.OVER


def test_a_voice_that_does_not_exist_at_the_rate_is_refused() -> None:
    call = PhoneCall(Caller(voice=Voice.wav("nowhere.wav")), Callee())
    with pytest.raises(FileNotFoundError):
        call.tune(sample_rate=RATE, isolated=False)
    assert call.sample_rate == 0
