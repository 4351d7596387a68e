"""Outgoing audio: whole samples against credit, every byte once, nothing stuck."""

from typing import Any, final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.errors import PlayoutFull
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.media.playout import Playout

FRAME_TIME = 0.02
"""960 bytes at 24 kHz."""


def playout(*, capacity: int = 100_000, sample_rate: int = 24_000, limits: Limits = DEFAULT_LIMITS) -> Playout:
    return Playout(sample_rate=sample_rate, capacity=capacity, limits=limits)


def speech(size: int) -> bytes:
    return bytes(number % 251 for number in range(size))


def test_whole_frames_leave_as_soon_as_there_is_credit() -> None:
    out = playout()
    out.write(speech(2500), now=0.0)
    assert out.frames(now=0.0) == []
    out.grant(9600, frame_bytes=960)
    assert [len(frame) for frame in out.frames(now=0.0)] == [960, 960]
    assert (out.queued, out.credit, out.sent) == (580, 9600 - 1920, 1920)


def test_credit_that_waits_is_served_when_audio_comes() -> None:
    out = playout()
    out.grant(1920, frame_bytes=960)
    assert out.frames(now=0.0) == []
    out.write(speech(960), now=1.0)
    assert out.frames(now=1.0) == [speech(960)]


def test_a_tail_leaves_after_one_frames_time() -> None:
    out = playout()
    out.grant(9600, frame_bytes=960)
    out.write(speech(640), now=1.0)
    assert out.frames(now=1.0) == []
    assert out.tail_due_at() == 1.0 + FRAME_TIME
    assert out.frames(now=1.0 + FRAME_TIME) == [speech(640)]
    assert out.tail_due_at() is None


@pytest.mark.parametrize(
    ("credit", "due"), [(640, None), (641, None), (642, 1.0 + FRAME_TIME), (644, 1.0 + FRAME_TIME)]
)
def test_a_tail_waits_only_where_whole_samples_more_could_leave_with_it(credit: int, due: float | None) -> None:
    out = playout()
    out.grant(credit, frame_bytes=960)
    out.write(speech(640), now=1.0)
    assert out.tail_due_at() == due


def test_more_speech_in_time_joins_the_tail() -> None:
    out = playout()
    out.grant(9600, frame_bytes=960)
    out.write(speech(640), now=1.0)
    out.write(speech(320), now=1.01)
    assert out.frames(now=1.01) == [speech(640) + speech(320)]


def test_a_flushed_tail_leaves_at_once() -> None:
    out = playout()
    out.grant(9600, frame_bytes=960)
    out.write(speech(640), now=1.0)
    out.flush()
    assert out.tail_due_at() is None, "it waits for the writer only"
    assert out.frames(now=1.0) == [speech(640)]


def test_a_tail_without_credit_waits_for_credit_and_not_for_time() -> None:
    out = playout()
    out.write(speech(640), now=1.0)
    out.flush()
    assert out.tail_due_at() is None
    assert out.frames(now=9.0) == []
    out.grant(100, frame_bytes=960)
    assert out.frames(now=9.0) == [speech(640)[:100]]


@pytest.mark.parametrize("size", [1, 961])
def test_half_a_sample_is_refused(size: int) -> None:
    out = playout()
    with pytest.raises(ValueError, match="odd"):
        out.write(speech(size), now=0.0)
    assert out.queued == 0


def test_all_of_it_fits_or_none() -> None:
    out = playout(capacity=1000)
    out.write(speech(600), now=0.0)
    with pytest.raises(PlayoutFull, match="402 bytes of audio do not fit: 400 of 1000 bytes are free"):
        out.write(speech(402), now=0.0)
    assert (out.queued, out.room, out.capacity) == (600, 400, 1000)
    out.write(speech(400), now=0.0)
    assert out.room == 0


def test_nothing_written_is_nothing_queued() -> None:
    out = playout()
    out.write(b"", now=0.0)
    assert out.queued == 0
    assert out.finished(now=0.0)


def test_what_is_queued_is_a_copy() -> None:
    out = playout()
    buffer: Any = bytearray(b"\1\0")
    out.grant(2, frame_bytes=2)
    out.write(buffer, now=0.0)
    buffer[0] = 9
    assert out.frames(now=0.0) == [b"\1\0"]


@pytest.mark.parametrize(
    ("granted", "held"),
    [(0, 0), (1, 1), (7, 7), (95_999, 95_999), (96_000, 96_000), (96_001, 96_000), (2**63, 96_000)],
)
def test_credit_is_capped_at_two_seconds(granted: int, held: int) -> None:
    out = playout()
    out.grant(granted, frame_bytes=960)
    assert out.credit == held


def test_a_flood_of_credit_is_one_number() -> None:
    out = playout()
    for _ in range(200_000):
        out.grant(960, frame_bytes=960)
    assert out.credit == 96_000


def test_odd_credit_keeps_its_odd_byte() -> None:
    out = playout()
    out.write(speech(10), now=0.0)
    out.grant(7, frame_bytes=960)
    assert out.frames(now=0.0) == [speech(10)[:6]]
    assert out.credit == 1
    out.grant(1, frame_bytes=960)
    assert out.frames(now=0.0) == [speech(10)[6:8]]


@pytest.mark.parametrize(
    ("preferred", "cut"),
    [
        (0, 2),
        (1, 2),
        (3, 2),
        (961, 960),
        (640, 640),
        (2_000_000, 2000),
    ],
    ids=["none", "half a sample", "odd", "odd and large", "usual", "larger than the queue"],
)
def test_whatever_frame_is_preferred_samples_stay_whole_and_speech_leaves(preferred: int, cut: int) -> None:
    out = playout(capacity=2000)
    out.grant(90_000, frame_bytes=preferred)
    out.write(speech(2000), now=0.0)
    frames = out.frames(now=0.0)
    assert len(frames[0]) == cut
    assert b"".join(frames) == speech(2000)[: 2000 // cut * cut]


def test_a_frame_is_never_larger_than_ours_to_cut() -> None:
    out = playout(capacity=10_000, limits=attrs.evolve(DEFAULT_LIMITS, frame_bytes=1001))
    out.grant(90_000, frame_bytes=5000)
    out.write(speech(3000), now=0.0)
    assert {len(frame) for frame in out.frames(now=0.0)} == {1000}


def test_a_tiny_queue_still_speaks() -> None:
    out = playout(capacity=2)
    out.grant(100, frame_bytes=960)
    out.write(b"\1\0", now=0.0)
    assert out.frames(now=0.0) == [b"\1\0"]


def test_clearing_drops_speech_and_keeps_credit() -> None:
    out = playout()
    out.write(speech(1000), now=0.0)
    out.grant(960, frame_bytes=960)
    assert len(out.frames(now=0.0)) == 1
    out.grant(500, frame_bytes=960)
    assert out.clear(now=0.0) == 40
    assert out.clear(now=0.0) == 0
    assert (out.queued, out.credit, out.dropped) == (0, 500, 40)
    assert out.frames(now=9.0) == []


def test_speech_is_finished_when_it_has_been_heard() -> None:
    out = playout()
    out.grant(96_000, frame_bytes=960)
    out.write(speech(48_000), now=5.0)
    assert not out.finished(now=5.0)
    out.frames(now=5.0)
    assert out.heard_at == pytest.approx(6.0)
    assert not out.finished(now=out.heard_at), "the line may be a little late"
    assert out.finished(now=out.finished_at)


def test_speech_behind_speech_is_heard_behind_it() -> None:
    out = playout()
    out.grant(96_000, frame_bytes=960)
    for at in (5.0, 5.5):
        out.write(speech(48_000), now=at)
        out.frames(now=at)
    assert out.heard_at == pytest.approx(7.0)


def test_cleared_speech_is_not_waited_for() -> None:
    out = playout()
    out.grant(96_000, frame_bytes=960)
    out.write(speech(48_000), now=5.0)
    out.frames(now=5.0)
    out.clear(now=5.2)
    assert out.finished(now=5.2)


@pytest.mark.parametrize("piece", [2, 640, 962], ids=["one sample", "640 bytes", "481 samples"])
def test_every_byte_written_in_pieces_is_sent(piece: int) -> None:
    out, whole = playout(), speech(piece * 30)
    out.grant(96_000, frame_bytes=960)
    frames: list[bytes] = []
    for at in range(0, len(whole), piece):
        out.write(whole[at : at + piece], now=0.0)
        frames += out.frames(now=0.0)
    out.flush()
    frames += out.frames(now=0.0)
    assert b"".join(frames) == whole
    assert {len(frame) for frame in frames[:-1]} <= {960}
    assert len(frames[-1]) <= 960


def test_a_tail_rings_once_and_waits_for_the_writer_then() -> None:
    out = playout()
    out.grant(9600, frame_bytes=960)
    out.write(speech(640), now=1.0)
    out.ring(now=1.0)
    assert out.tail_due_at() == 1.0 + FRAME_TIME, "too early: it rings again"
    out.ring(now=1.0 + FRAME_TIME)
    assert out.tail_due_at() is None, "the alarm has rung; the writer may be slow"
    assert out.frames(now=1.0 + FRAME_TIME) == [speech(640)]


def test_speech_after_a_flush_waits_for_its_frame_again() -> None:
    out = playout()
    out.grant(9600, frame_bytes=960)
    out.write(speech(640), now=1.0)
    out.flush()
    out.write(speech(100), now=1.01)
    assert out.tail_due_at() == 1.01 + FRAME_TIME
    assert out.frames(now=1.01) == []


def test_what_was_heard_is_what_left_and_had_its_time() -> None:
    out = playout()
    out.grant(96_000, frame_bytes=960)
    out.write(speech(96_000), now=5.0)
    assert (out.heard(now=5.0), out.unheard(now=5.0), out.audible) == (0, 96_000, 96_000)
    out.frames(now=5.0)
    assert (out.heard(now=5.5), out.unheard(now=5.5), out.audible) == (24_000, 72_000, 96_000)
    assert (out.heard(now=9.0), out.unheard(now=9.0), out.audible) == (96_000, 0, 96_000)
    assert out.seconds_of(48_000) == 1.0


def test_what_was_cleared_is_never_heard() -> None:
    out = playout()
    out.grant(48_000, frame_bytes=960)
    out.write(speech(96_000), now=5.0)
    out.frames(now=5.0)
    assert out.clear(now=5.25) == 48_000
    assert out.clears == 1
    for now in (5.25, 9.0):
        assert (out.heard(now=now), out.unheard(now=now), out.audible) == (12_000, 0, 12_000)
    out.grant(960, frame_bytes=960)
    out.write(speech(960), now=9.0)
    assert out.audible == 12_960
    out.frames(now=9.0)
    assert out.heard(now=9.0 + FRAME_TIME) == 12_960
    assert out.clear(now=9.0 + FRAME_TIME) == 0
    assert (out.heard(now=99.0), out.clears) == (12_960, 2)


# ------------------------------------------------------------------ against a naive model


@final
class Naive:
    """The same rules, said as plainly as possible: one byte string and three numbers."""

    def __init__(self) -> None:
        self.queue = b""
        self.credit = 0
        self.frame = 960
        self.tail_leaves_at = 0.0

    def frames(self, now: float) -> list[bytes]:
        leaving: list[bytes] = []
        while True:
            size = min(self.frame, self.credit - self.credit % 2)
            if len(self.queue) < size and now >= self.tail_leaves_at:
                size = len(self.queue)
            if size == 0 or size > len(self.queue):
                return leaving
            leaving.append(self.queue[:size])
            self.queue = self.queue[size:]
            self.credit -= size


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1500).map(lambda samples: 2 * samples)),
        st.tuples(st.just("grant"), st.integers(1, 12_000)),
        st.tuples(st.just("prefer"), st.integers(0, 4000)),
        st.tuples(st.just("wait"), st.sampled_from([1, 5, 20, 100])),
        st.tuples(st.sampled_from(["clear", "flush"]), st.just(0)),
    ),
    max_size=50,
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(STEPS)
def test_it_does_what_the_naive_model_does(steps: list[tuple[str, int]]) -> None:
    out, model, now = playout(capacity=20_000), Naive(), 0.0
    written = sent = cleared = b""
    granted = 0
    for step, number in steps:
        match step:
            case "write" if number <= out.room:
                pcm = bytes((len(written) + index) % 256 for index in range(number))
                out.write(pcm, now=now)
                written += pcm
                model.queue += pcm
                if pcm:
                    model.tail_leaves_at = now + model.frame / 48_000
            case "grant":
                out.grant(number, frame_bytes=model.frame)
                granted += number
                model.credit = min(96_000, model.credit + number)
            case "prefer":
                out.grant(0, frame_bytes=number)
                model.frame = max(2, number - number % 2)
            case "wait":
                now += number / 1000
            case "flush":
                out.flush()
                model.tail_leaves_at = now
            case "clear":
                assert out.clear(now=now) == len(model.queue)
                cleared += model.queue
                model.queue = b""
        frames = out.frames(now=now)
        assert frames == model.frames(now)
        assert all(frame and len(frame) % 2 == 0 and len(frame) <= model.frame for frame in frames)
        sent += b"".join(frames)
        assert len(sent) == out.sent <= granted
        assert (out.queued, out.credit, out.dropped) == (len(model.queue), model.credit, len(cleared))
        due = out.tail_due_at()
        assert due is None or due > now, "what is due has left"
    assert sorted(sent + cleared + model.queue) == sorted(written), "no byte is lost, and none is said twice"
