"""The playout queue against a model that keeps every byte and every frame it ever saw, in any order of events."""

from typing import final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from telcoflow_proto.errors import PlayoutFull
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.playout import Playout

CAPACITY = 6000
RATE = 16_000
"""Bytes per second at 8 kHz."""

MOST_CREDIT = int(DEFAULT_LIMITS.credit_seconds * RATE)
SETTINGS = settings(derandomize=True, deadline=None, max_examples=200, stateful_step_count=50)


@final
class PlayoutModel(RuleBasedStateMachine):
    """Writes numbered samples; a frame that left sounds as long as it is, one behind the other, until a clear."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.out = Playout(sample_rate=8000, capacity=CAPACITY, limits=DEFAULT_LIMITS)
        self.frame = 960
        self.credit = 0
        self.queue: list[int] = []  # one number per sample
        self.left: list[tuple[int, float, float]] = []  # bytes, sounds from, sounds until
        self.cleared = self.number = self.sent = 0
        self.tail_leaves_at = 0.0

    @initialize(credit=st.sampled_from([0, 960, 10_000]))
    def begin(self, credit: int) -> None:
        if credit:
            self.grant(credit, 960)

    def pcm(self, samples: list[int]) -> bytes:
        return b"".join(number.to_bytes(2, "little") for number in samples)

    def leave(self) -> None:
        """Whatever happened: what may leave now does, in the sizes the rules give."""
        for frame in self.out.frames(now=self.now):
            size = min(self.frame, self.credit - self.credit % 2)
            whole = len(self.queue) * 2 >= size
            assert whole or self.now >= self.tail_leaves_at, "a tail waits for its time"
            size = size if whole else len(self.queue) * 2
            assert frame == self.pcm(self.queue[: size // 2])
            del self.queue[: size // 2]
            self.credit -= size
            self.sent += size
            begins = max(self.now, self.left[-1][2] if self.left else self.now)
            self.left.append((size, begins, begins + size / RATE))
        stuck = self.queue and self.credit > 1
        assert not stuck or (len(self.queue) * 2 < self.frame and self.now < self.tail_leaves_at), "nothing is stuck"

    @rule(samples=st.integers(0, 1500))
    def write(self, samples: int) -> None:
        numbers = [(self.number + index) % 65536 for index in range(samples)]
        if samples * 2 > CAPACITY - len(self.queue) * 2:
            with pytest.raises(PlayoutFull):
                self.out.write(self.pcm(numbers), now=self.now)
            return
        self.out.write(self.pcm(numbers), now=self.now)
        self.queue += numbers
        self.number += samples
        if samples:
            self.tail_leaves_at = self.now + self.frame / RATE
        self.leave()

    @rule(samples=st.integers(0, 400))
    def write_half_a_sample(self, samples: int) -> None:
        with pytest.raises(ValueError, match="odd"):
            self.out.write(bytes(2 * samples + 1), now=self.now)

    @rule(size=st.integers(1, 50_000), frame_bytes=st.integers(-1, 8000))
    def grant(self, size: int, frame_bytes: int) -> None:
        self.out.grant(size, frame_bytes=frame_bytes)
        self.credit = min(MOST_CREDIT, self.credit + size)
        self.frame = max(2, min(frame_bytes, CAPACITY) // 2 * 2)
        self.leave()

    @rule()
    def flush(self) -> None:
        self.out.flush()
        self.tail_leaves_at = self.now
        self.leave()

    @rule()
    def clear(self) -> None:
        assert self.out.clear(now=self.now) == len(self.queue) * 2
        self.cleared += len(self.queue) * 2
        self.queue.clear()
        self.left = [
            (size, begins, until) if until <= self.now else (self.heard_of(size, begins, until), begins, self.now)
            for size, begins, until in self.left
        ]

    @rule(milliseconds=st.integers(1, 300))
    def wait(self, milliseconds: int) -> None:
        until = self.now + milliseconds / 1000
        due = self.out.tail_due_at()
        if due is not None and due < until:
            self.now = due
            self.out.ring(now=self.now)
            self.leave()
        self.now = until
        self.out.ring(now=self.now)
        self.leave()

    def heard_of(self, size: int, begins: float, until: float) -> int:
        if self.now >= until:
            return size
        return max(0, min(size, round((self.now - begins) * RATE)))

    @invariant()
    def every_byte_is_somewhere(self) -> None:
        assert self.out.queued == len(self.queue) * 2 <= CAPACITY
        assert self.out.room == CAPACITY - self.out.queued
        assert (self.out.sent, self.out.dropped) == (self.sent, self.cleared)
        assert self.number * 2 == self.sent + self.cleared + len(self.queue) * 2

    @invariant()
    def credit_is_what_was_granted_and_not_used(self) -> None:
        assert self.out.credit == self.credit
        assert 0 <= self.credit <= MOST_CREDIT

    @invariant()
    def what_was_heard_is_what_had_its_time(self) -> None:
        heard = sum(self.heard_of(*frame) for frame in self.left)
        slack = 2 * (1 + len(self.left))  # a rounding for every frame that sounded, and every clear
        assert abs(self.out.heard(now=self.now) - heard) <= slack
        assert 0 <= self.out.heard(now=self.now) <= self.out.audible <= self.sent + self.out.queued

    @invariant()
    def it_is_finished_when_nothing_is_left_to_hear(self) -> None:
        if self.out.finished(now=self.now):
            assert not self.queue
            assert self.out.unheard(now=self.now) == 0

    @invariant()
    def a_tail_that_waits_has_a_time(self) -> None:
        due = self.out.tail_due_at()
        assert due is None or due > self.now


TestPlayoutModel = PlayoutModel.TestCase
TestPlayoutModel.settings = SETTINGS
