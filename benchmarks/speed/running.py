"""Carrying out a plan, one measurement after the other, and saying how far it is."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed.orders import Outcome
from benchmarks.speed.results import Results
from benchmarks.speed.scenarios import LABELS, Job

ROOT = Path(__file__).parents[2]
_WITHIN = 120.0


def carry_out(plan: Sequence[tuple[int, Job]]) -> Results:
    """Carry out a plan; Ctrl-C ends it early, with what was measured until then."""
    results = Results()
    begun = time.monotonic()
    for number, (turn, job) in enumerate(plan, start=1):
        try:
            outcome = measure(job)
        except KeyboardInterrupt:
            print(f"interrupted: {len(plan) - number + 1} of {len(plan)} were not measured", file=sys.stderr)
            break
        results.add(job.scenario, job.point, job.client, outcome)
        left = (time.monotonic() - begun) / number * (len(plan) - number)
        where = f"round {turn}, {job.scenario} {job.point}, {LABELS.get(job.client, job.client)}"
        print(f"[{number}/{len(plan)}, {left:.0f} s left] {where}: {said(outcome)}", file=sys.stderr, flush=True)
    return results


def measure(job: Job) -> Outcome:
    """Carry out one measurement, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(  # noqa: S603 - the command lines are our own
        job.command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            written, complaints = process.communicate(timeout=_WITHIN)
        except subprocess.TimeoutExpired:
            return Outcome(failed=f"not over in {_WITHIN:.0f} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started itself
    if process.returncode:
        return Outcome(failed=(complaints.strip().splitlines() or ["it says nothing"])[-1])
    return Outcome.from_json(written)


def said(outcome: Outcome) -> str:
    """Say an outcome in one line."""
    if outcome.failed:
        return outcome.failed
    figures = ", ".join(f"{name} {value:.4g}" for name, value in outcome.figures.items())
    remarks = [remark for remark in (outcome.note, outcome.limited, outcome.faults) if remark]
    return figures + (f" ({'; '.join(remarks)})" if remarks else "")
