"""What a soak has to show: memory that stays flat, an idle state that comes back, and an account of every call."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, Final, final

import attrs

from benchmarks.registries import fuller
from benchmarks.soak_network import ALL, CONTROL

MIB: Final = 1024 * 1024
STEEPEST = 1.0
"""MiB per ten minutes."""
HIGHEST_STEP = 2.0
"""MiB between the medians of the second and the last third."""
_EXPLAINS_WITHIN = 6.0  # seconds until who was reset must have noticed, a busy machine included
_SILENCE_LOOKED_AT = 12.0  # a silent peer is given up after 10 seconds
_SILENCE_ENOUGH = 4.5  # and never before it was silent for the 5 seconds a pong may take; a moment was under way
_BARS = "▁▂▃▄▅▆▇█"

Reading = tuple[float, float]
"""Seconds since the beginning, and a figure."""


@final
@attrs.frozen(kw_only=True)
class Verdict:
    """One thing that was looked at."""

    what: str
    kept: bool
    figure: str


@final
@attrs.frozen(kw_only=True)
class Fault:
    """Something that was done to the network: to one call's line, to the control line, or to all."""

    kind: str
    scope: str
    begun: float
    ended: float
    breaks: bool
    """The line is reset, whoever is on it."""
    silences: bool
    """Nothing comes through, and nobody is told."""


# ---------------------------------------------------------------------------------------------- figures that stay


def slope(readings: Sequence[Reading]) -> float:
    """Return by how much a figure grows per second, by least squares; 0 for less than two moments."""
    at, value = fmean(at for at, _ in readings), fmean(value for _, value in readings)
    spread = sum((x - at) ** 2 for x, _ in readings)
    return sum((x - at) * (y - value) for x, y in readings) / spread if spread else 0.0


def flat_memory(who: str, readings: Sequence[Reading]) -> Verdict:
    """Judge bytes of memory after the first third, in which caches fill and the allocator settles."""
    third = len(readings) // 3
    if third < 2:
        return Verdict(what=f"{who}: memory is flat", kept=False, figure=f"only {len(readings)} samples")
    steepness = slope(readings[third:]) / MIB * 600
    step = (median(v for _, v in readings[-third:]) - median(v for _, v in readings[third:-third])) / MIB
    return Verdict(
        what=f"{who}: memory is flat",
        kept=steepness < STEEPEST or step <= HIGHEST_STEP,
        figure=f"{steepness:+.2f} MiB per 10 min, {step:+.2f} MiB from the second third to the last",
    )


def idle_again(who: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Verdict]:
    """Compare how a client idles after its calls with how it did before them."""
    more = Counter(after["whereabouts"]) - Counter(before["whereabouts"])
    where = "; ".join(more) if after["tasks"] > before["tasks"] else ""
    found = [
        Verdict(
            what=f"{who}: {name} are back at the idle number",
            kept=after[key] <= before[key],
            figure=f"{before[key]} before, {after[key]} after{detail}",
        )
        for key, name, detail in (("tasks", "tasks", where and f": {where}"), ("fds", "file descriptors", ""))
    ]
    left = fuller(before["registries"], after["registries"])
    return [
        *found,
        Verdict(what=f"{who}: registries are empty", kept=not left, figure=", ".join(left) or "nothing left"),
    ]


def none_logged(who: str, sample: Mapping[str, Any]) -> Verdict:
    """Nothing was logged at ERROR or above."""
    figure = str(sample["errors"]) + (f", the last: {sample['last_error'].splitlines()[0]}" if sample["errors"] else "")
    return Verdict(what=f"{who}: nothing is logged at ERROR", kept=sample["errors"] == 0, figure=figure)


# ---------------------------------------------------------------------------------------------- every call


def loss_explained(faults: Sequence[Fault], scope: str, at: float) -> str | None:
    """Name the fault that explains why a line was lost at that time; None if none does."""
    ours = [fault for fault in faults if fault.scope in {scope, ALL} and fault.begun <= at]
    for fault in reversed(ours):
        if fault.breaks and at - fault.ended <= _EXPLAINS_WITHIN:
            return fault.kind
    silences = [fault for fault in ours if fault.silences and fault.ended >= at - _SILENCE_LOOKED_AT]
    if sum(min(fault.ended, at) - fault.begun for fault in silences) >= _SILENCE_ENOUGH:
        return max(silences, key=lambda fault: fault.ended - fault.begun).kind
    return None


@final
@attrs.define(kw_only=True)
class CallStory:
    """One call as the gateway and the client saw it. Times are monotonic seconds."""

    name: str
    placed: float
    over: float | None = None
    ended_by: str | None = None
    states: list[str] = attrs.field(factory=list)
    offered: int = 0
    answered: int = 0
    ends: int = 0
    """How often the client's program came to the call's end."""
    ended: float = 0.0
    reason: str = ""
    told: int = 0
    """How often the client was told that it is over."""
    declined: bool = False
    failed: str = ""

    def outcome(self, faults: Sequence[Fault], away: Sequence[tuple[float, float]]) -> tuple[str, str | None]:
        """Return how it ended, and what is wrong with that, if anything.

        ``away`` are the spans in which the client had no control connection.
        """
        if self.over is None:
            return "never over", "the gateway still has it"
        if not self.offered:
            return self._never_offered(faults, away, self.over)
        if (self.offered, self.ends, self.told) != (1, 1, 1) or not self.reason:
            times = f"offered {self.offered}, answered {self.answered}, ended {self.ends}, told {self.told} times"
            return "not once", f"{times}, reason {self.reason!r}, {self.states} by {self.ended_by}"
        cause = None
        if self.reason == "connection lost":
            cause = loss_explained(faults, self.name, self.ended)
            if cause is None:
                near = [
                    f"{fault.kind} {self.ended - fault.begun:.1f} s before, for {fault.ended - fault.begun:.1f} s"
                    for fault in faults
                    if fault.scope in {self.name, ALL} and 0 <= self.ended - fault.begun <= 30
                ]
                return "lost", f"no fault explains the loss; it failed with {self.failed!r}, near were {near}"
        if not self.answered and not self.declined and cause is None and self.ended_by == "agent":
            return "unanswered", f"nobody gave it up, yet it was not answered: {self.failed!r}"
        how = "answered" if self.answered else "declined" if self.declined else "given up before the answer"
        return f"{how}, {self.reason}" + (f" by {cause}" if cause else ""), None

    def _never_offered(
        self, faults: Sequence[Fault], away: Sequence[tuple[float, float]], over: float
    ) -> tuple[str, str | None]:
        """A caller gave up before the client heard of it: only while the client could not hear."""
        deaf = any(begun <= over and ended >= self.placed for begun, ended in away) or any(
            fault.scope in {CONTROL, ALL} and fault.begun <= over and fault.ended >= self.placed for fault in faults
        )
        if self.ended_by == "caller" and deaf:
            return "given up while the client was away", None
        return "never offered", f"ended by {self.ended_by}, states {self.states}, and the client could hear"


# ---------------------------------------------------------------------------------------------- pictures


def sparkline(readings: Sequence[Reading], width: int = 60) -> str:
    """Draw the means of equal spans of a series as bars, between its lowest and its highest."""
    count = min(width, len(readings))
    means = [
        fmean(value for _, value in readings[len(readings) * part // count : len(readings) * (part + 1) // count])
        for part in range(count)
    ]
    if not means:
        return ""
    low, high = min(means), max(means)
    return "".join(_BARS[round((mean - low) / (high - low) * (len(_BARS) - 1)) if high > low else 0] for mean in means)
