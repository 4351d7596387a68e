"""One target in a process of its own: ``python -m fuzz.worker TARGET SECONDS ENGINE CORPUS FOLDER...``.

It reads the seeds in CORPUS, keeps what it finds useful in the first FOLDER, and prints a line of numbers now and
then. Exit code 1 means a finding, whose input is then ``finding`` in that folder.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

SLOW_SECONDS = 1.0
_LONGEST = 4096
_REPORT_EVERY = 5.0


def main(arguments: list[str]) -> int:
    """Run one target with one engine."""
    name, seconds, engine, corpus, folder = arguments
    run = _run_atheris if engine == "atheris" else _run_random
    return run(name, float(seconds), Path(corpus), Path(folder))


def guarded(target: Callable[[bytes], None], folder: Path) -> Callable[[bytes], None]:
    """Make a target that keeps its input when it fails, or takes more than a second of the processor's time."""

    def run(data: bytes) -> None:
        try:
            in_time(target, data)
        except Exception:
            (folder / "finding").write_bytes(data)
            raise

    return run


def in_time(target: Callable[[bytes], None], data: bytes) -> None:
    """Run a target; raise TimeoutError if it took more of the processor's time than any input may."""
    began = time.process_time()
    target(data)
    took = time.process_time() - began
    if took > SLOW_SECONDS:
        raise TimeoutError(f"{took:.1f} s of processor time for {len(data)} bytes")


def _run_atheris(name: str, seconds: float, corpus: Path, folder: Path) -> int:
    import atheris  # noqa: PLC0415 - not everywhere

    with atheris.instrument_imports(include=["telcoflow_proto", "h11" if "handshake" in name else "wsproto"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415 - it must be imported under instrumentation

    target = guarded(TARGETS[name], folder)
    kept = folder / "corpus"
    kept.mkdir(exist_ok=True)
    options = [
        f"-max_total_time={max(1, int(seconds))}",
        f"-max_len={_LONGEST}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-timeout=20",
        "-rss_limit_mb=2048",
    ]
    atheris.Setup([sys.argv[0], *options, str(kept), str(corpus)], target)
    atheris.Fuzz()
    return 0  # atheris ends the process itself


def _run_random(name: str, seconds: float, corpus: Path, folder: Path) -> int:
    from fuzz.edges import edges_of  # noqa: PLC0415 - the other engine must import the core by itself
    from fuzz.mutate import mutated  # noqa: PLC0415
    from fuzz.targets import TARGETS  # noqa: PLC0415

    target = guarded(TARGETS[name], folder)
    inputs = [path.read_bytes() for path in sorted(corpus.iterdir())] if corpus.is_dir() else []
    inputs = inputs or [b""]
    covered = {edge for data in inputs for edge in edges_of(TARGETS[name], data)}
    kept = folder / "corpus"
    kept.mkdir(exist_ok=True)
    chance = random.Random(f"{name} {seconds}")
    began = reported = time.monotonic()
    executions = new_inputs = 0
    while (now := time.monotonic()) - began < seconds:
        data = mutated(chance.choice(inputs), inputs, chance)
        executions += 1
        try:
            target(data)
        except Exception:  # noqa: BLE001 - kept by the guard
            print(json.dumps({"executions": executions, "coverage": len(covered)}), flush=True)
            return 1
        if executions % 8 == 0:  # tracing is slow: a sample of the inputs is looked at
            edges = edges_of(TARGETS[name], data)
            if not edges <= covered:
                covered |= edges
                inputs.append(data)
                (kept / f"{new_inputs:05}").write_bytes(data)
                new_inputs += 1
        if now - reported > _REPORT_EVERY:
            reported = now
            print(json.dumps({"executions": executions, "coverage": len(covered)}), flush=True)
    print(json.dumps({"executions": executions, "coverage": len(covered)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
