"""Two voices on one clock, in a WAV file that is valid whenever the process dies."""

import io
import struct
import wave
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.exceptions import WSSCallClosedError
from telcoflow_proto.recording import Recording, StereoTrack
from tests.core.loopless import Clock, FakeFile, Line, Task, TimeUp

RATE = 1000
"""A millisecond is a sample."""


def sound(value: int, samples: int) -> bytes:
    return struct.pack("<h", value) * samples


def sides(stereo: bytes) -> tuple[list[int], list[int]]:
    """Return what is left and what is right, sample by sample."""
    samples = [value for (value,) in struct.iter_unpack("<h", stereo)]
    return samples[0::2], samples[1::2]


def track(start: float = 100.0) -> StereoTrack:
    return StereoTrack(sample_rate=RATE, start=start)


def runs(samples: list[int]) -> list[tuple[int, int]]:
    """Count equal samples: value and how many."""
    found: list[tuple[int, int]] = []
    for value in samples:
        if found and found[-1][0] == value:
            found[-1] = (value, found[-1][1] + 1)
        else:
            found.append((value, 1))
    return found


# ------------------------------------------------------------------ the track


def test_the_agent_is_left_and_the_caller_is_right() -> None:
    both = track()
    both.said(sound(1, 20), at=100.0)
    both.heard(sound(-2, 20), at=100.0)
    left, right = sides(both.take(until=None))
    assert (left, right) == ([1] * 20, [-2] * 20)


def test_the_shorter_side_is_filled_with_silence() -> None:
    both = track()
    both.said(sound(1, 5), at=100.0)
    both.heard(sound(2, 3), at=100.0)
    assert sides(both.take(until=None)) == ([1] * 5, [2] * 3 + [0] * 2)
    assert both.take(until=None) == b""


def test_what_comes_later_stands_later() -> None:
    both = track()
    both.heard(sound(2, 10), at=100.5)
    assert runs(sides(both.take(until=None))[1]) == [(0, 500), (2, 10)]


def test_what_came_before_the_start_stands_at_the_start() -> None:
    both = track()
    both.heard(sound(2, 10), at=99.0)
    assert runs(sides(both.take(until=None))[1]) == [(2, 10)]


@pytest.mark.parametrize("late", [-0.06, -0.02, 0.0, 0.02, 0.06])
def test_jitter_within_60_milliseconds_is_closed_up(late: float) -> None:
    both = track()
    both.heard(sound(1, 100), at=100.0)
    both.heard(sound(2, 100), at=100.1 + late)
    assert runs(sides(both.take(until=None))[1]) == [(1, 100), (2, 100)]


@pytest.mark.parametrize("late", [0.061, 0.1, 2.0])
def test_a_real_gap_is_kept(late: float) -> None:
    both = track()
    both.heard(sound(1, 100), at=100.0)
    both.heard(sound(2, 100), at=100.1 + late)
    assert runs(sides(both.take(until=None))[1]) == [(1, 100), (0, round(late * RATE)), (2, 100)]


def test_the_file_stays_a_little_behind() -> None:
    both = track()
    both.said(sound(1, 1000), at=100.0)
    assert len(sides(both.take(until=100.5))[0]) == 300
    assert both.take(until=100.5) == b""
    assert both.take(until=100.1) == b"", "a clock that goes back is harmless"
    assert len(sides(both.take(until=None))[0]) == 700


def test_silence_is_recorded_too() -> None:
    assert runs(sides(track().take(until=101.2))[0]) == [(0, 1000)]


def test_speech_after_silence_that_was_taken_stands_where_it_belongs() -> None:
    both = track()
    both.take(until=101.2)
    both.heard(sound(1, 10), at=101.03)
    assert runs(sides(both.take(until=None))[1]) == [(0, 30), (1, 10)]


def test_an_interruption_takes_back_what_was_not_heard() -> None:
    both = track()
    both.said(sound(1, 1000), at=100.0)
    both.cleared(at=100.4)
    assert runs(sides(both.take(until=None))[0]) == [(1, 400)]


def test_what_is_in_the_file_already_stays_there() -> None:
    both = track()
    both.said(sound(1, 1000), at=100.0)
    both.take(until=100.7)
    both.cleared(at=100.3)
    both.said(sound(2, 10), at=100.3)
    assert runs(sides(both.take(until=None))[0]) == [(2, 10)]


def test_an_interruption_leaves_the_caller_alone() -> None:
    both = track()
    both.heard(sound(2, 500), at=100.0)
    both.cleared(at=100.1)
    assert runs(sides(both.take(until=None))[1]) == [(2, 500)]


def test_speech_after_an_interruption_follows_at_its_time() -> None:
    both = track()
    both.said(sound(1, 1000), at=100.0)
    both.cleared(at=100.4)
    both.said(sound(2, 10), at=100.6)
    assert runs(sides(both.take(until=None))[0]) == [(1, 400), (0, 200), (2, 10)]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["said", "heard", "cleared", "take"]), st.integers(0, 400)), max_size=40))
def test_whatever_happens_both_sides_are_of_one_length_and_nothing_is_taken_twice(steps: list[tuple[str, int]]) -> None:
    both, now, taken = track(), 100.0, b""
    for step, number in steps:
        now += number / 1000
        match step:
            case "said":
                both.said(sound(1, number), at=now)
            case "heard":
                both.heard(sound(2, number), at=now)
            case "cleared":
                both.cleared(at=now)
            case _:
                taken += both.take(until=now)
                assert len(taken) // 4 <= round((now - 100.0) * RATE)
    taken += both.take(until=None)
    assert len(taken) % 4 == 0
    left, right = sides(taken)
    assert len(left) == len(right)
    assert set(left) <= {0, 1}
    assert set(right) <= {0, 2}
    assert right.count(2) == sum(number for step, number in steps if step == "heard"), "what was heard was heard"


@pytest.mark.parametrize("size", [0, 4, 4000])
def test_the_header_is_one(size: int) -> None:
    with wave.open(io.BytesIO(track().header(size) + bytes(size)), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        assert file.getnframes() == size // 4


def test_a_recording_too_long_for_a_header_has_the_largest_one() -> None:
    header = track().header(1 << 40)
    (riff,), (size,) = struct.unpack("<I", header[4:8]), struct.unpack("<I", header[40:44])
    assert riff == size + 36 <= 0xFFFFFFFF


# ------------------------------------------------------------------ the file


class Pause:
    """Half seconds that pass by hand."""

    def __init__(self, clock: Clock, *, after: Callable[[], object] = lambda: None, over_at: int = 3) -> None:
        self.clock = clock
        self.asked: list[float] = []
        self._after = after
        self._over_at = over_at

    async def __call__(self, seconds: float) -> bool:
        self.asked.append(seconds)
        self.clock.now += seconds
        self._after()
        return len(self.asked) >= self._over_at


def frames_in(file: FakeFile) -> tuple[int, bytes]:
    with wave.open(io.BytesIO(bytes(file.data)), "rb") as parsed:
        assert (parsed.getnchannels(), parsed.getsampwidth(), parsed.getframerate()) == (2, 2, RATE)
        return parsed.getnframes(), parsed.readframes(parsed.getnframes())


def run(recording: Recording, pause: Callable[[float], Awaitable[bool]]) -> None:
    Task(recording.run(pause)).outcome()


def test_the_file_is_valid_after_every_step() -> None:
    clock, both, file, seen = Clock(), track(), FakeFile(), list[int]()

    def check() -> None:
        if file.data:
            count, stereo = frames_in(file)
            assert len(stereo) == 4 * count, "the header speaks of what is there"
            seen.append(count)

    def speak() -> None:
        both.said(sound(1, 500), at=clock.now - 0.5)
        both.heard(sound(2, 500), at=clock.now - 0.5)

    file.after = check
    pause = Pause(clock, after=speak)
    recording = Recording(both, file, lambda: clock.now)
    run(recording, pause)
    assert pause.asked == [0.5, 0.5, 0.5]
    assert seen == sorted(seen)
    assert set(seen) == {0, 300, 800, 1300, 1500}
    assert sides(frames_in(file)[1]) == ([1] * 1500, [2] * 1500)
    assert file.flushed == 5, "nothing stays in the process"
    assert file.closed
    assert recording.stopped
    assert recording.error is None


def test_a_call_without_a_word_is_a_file_too() -> None:
    clock, file = Clock(), FakeFile()
    recording = Recording(track(), file, lambda: clock.now)
    run(recording, Pause(Clock(), over_at=1))
    assert frames_in(file) == (0, b"")
    assert len(file.data) == 44


def test_it_stops_when_told() -> None:
    clock, file, both = Clock(), FakeFile(), track()
    recording = Recording(both, file, lambda: clock.now)
    both.said(sound(1, 700), at=100.0)

    def stop() -> None:
        recording.stopped = True

    pause = Pause(clock, after=stop, over_at=99)
    run(recording, pause)
    assert pause.asked == [0.5]
    assert frames_in(file)[0] == 700
    assert file.closed


def test_a_full_disk_ends_it_and_what_was_written_is_valid() -> None:
    clock, file, both = Clock(), FakeFile(), track()
    file.room = 44 + 4 * 400
    recording = Recording(both, file, lambda: clock.now)
    run(recording, Pause(clock))
    assert isinstance(recording.error, OSError)
    assert recording.stopped
    assert file.closed
    assert frames_in(file)[0] == 300


def test_a_disk_that_fails_at_the_end_is_told_and_the_first_error_counts() -> None:
    file = FakeFile()
    file.room = 0
    recording = Recording(track(), file, lambda: 100.0)
    run(recording, Pause(Clock()))
    assert recording.error is not None
    assert recording.error.errno == 28


def test_an_error_that_shows_only_when_it_is_closed_is_told() -> None:
    file = FakeFile()
    recording = Recording(track(), file, lambda: 100.0)

    def unplug() -> None:
        file.room = 0 if file.flushed == 3 else file.room

    file.after = unplug
    run(recording, Pause(Clock(), over_at=1))
    assert recording.error is not None
    assert recording.error.errno == 5


# ------------------------------------------------------------------ a call that is recorded


def recorded(line: Line, path: str = "call.wav") -> Recording:
    task = Task(line.call.record(path))
    recording: Recording = task.outcome()
    return recording


def words(line: Line) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    with wave.open(io.BytesIO(bytes(line.call.file.data)), "rb") as parsed:
        assert parsed.getframerate() == 8000
        left, right = sides(parsed.readframes(parsed.getnframes()))
    return runs(left), runs(right)


def talking() -> Line:
    return Line(sample_rate=8000).answered()


def test_a_call_is_recorded_from_both_ends_until_it_ends() -> None:
    line = talking()
    recording = recorded(line)
    line.speak(sound(2, 800))
    Task(line.call.send_audio(sound(1, 800))).outcome()
    line.grant(1600)
    line.later(0.5)
    assert not recording.stopped
    line.service.terminate(now=line.clock.now)
    line.carry()
    line.later(0.5)
    assert recording.stopped
    assert line.call.file.closed
    assert line.call.media.track is None
    left, right = words(line)
    assert left[0] == (1, 800)
    assert right[0] == (2, 800)


def test_an_interruption_shows_in_the_recording() -> None:
    line = talking()
    recording = recorded(line)
    Task(line.call.send_audio(sound(1, 8000))).outcome()
    line.grant(16000)
    line.later(0.4)
    line.run(line.call.interrupt())
    line.succeed()
    recording.stopped = True
    for task in line.call.tasks:
        task.step(TimeUp())
    assert recording.stopped
    assert words(line)[0] == [(1, 3200)], "0.4 s were heard, no more is recorded"


def test_the_end_of_the_call_takes_back_what_nobody_heard() -> None:
    line = talking()
    recorded(line)
    Task(line.call.send_audio(sound(1, 8000))).outcome()
    line.grant(16000)
    line.later(0.25)
    line.service.terminate(now=line.clock.now)
    line.carry()
    line.later(0)
    assert words(line)[0] == [(1, 2000)]


def test_other_channels_are_not_recorded() -> None:
    line = Line(sample_rate=8000, isolated=True).answered()
    recording = recorded(line)
    line.service.send_audio(sound(9, 100), channel=1, now=line.clock.now)
    line.speak(sound(2, 100))
    recording.stopped = True
    for task in line.call.tasks:
        task.step(TimeUp())
    assert words(line)[1] == [(2, 100)]


def test_a_recording_that_was_stopped_keeps_nothing_in_memory() -> None:
    line = talking()
    recorded(line).stopped = True
    for task in line.call.tasks:
        task.step(TimeUp())
    assert line.call.media.track is None


def test_a_second_recording_is_not_ended_by_the_first() -> None:
    line = talking()
    first = recorded(line)
    recorded(line)
    second_track = line.call.media.track
    first.stopped = True
    line.call.tasks[0].step(TimeUp())
    assert line.call.tasks[0].done
    assert not line.call.tasks[1].done
    assert line.call.media.track is second_track


def test_two_recordings_end_with_the_call() -> None:
    line = talking()
    one, two = recorded(line), recorded(line)
    line.service.terminate(now=line.clock.now)
    line.carry()
    line.later(0)
    assert one.stopped
    assert two.stopped
    assert line.call.media.track is None


def test_a_file_that_cannot_be_opened_is_told_and_nothing_is_recorded() -> None:
    line = talking()
    with pytest.raises(FileNotFoundError):
        Task(line.call.record("missing/call.wav")).outcome()
    assert line.call.media.track is None
    assert line.call.tasks == []


def test_a_call_that_is_over_cannot_be_recorded() -> None:
    line = talking()
    Task(line.call.force_disconnect()).outcome()
    with pytest.raises(WSSCallClosedError, match="nothing to record"):
        Task(line.call.record("call.wav")).outcome()


def test_a_full_disk_does_not_disturb_the_call() -> None:
    line = talking()
    line.call.file.room = 50
    recording = recorded(line)
    line.clock.now += 1
    line.call.tasks[0].step(TimeUp())
    assert isinstance(recording.error, OSError)
    assert line.call.tasks[0].done
    assert line.call.tasks[0].error is None, "nobody else hears of it"
    assert line.call.media.track is None
    assert not line.call.media.over
