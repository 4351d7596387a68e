"""What importing a module costs: ``python -m benchmarks.speed.imports MODULE`` prints an ``Outcome``.

CPU time of a fresh interpreter that imports it and no more, less that of one that imports nothing, as the operating
system counts them.
"""

import os
import subprocess
import sys

from benchmarks.speed.figures import median
from benchmarks.speed.orders import Outcome

_PAIRS = 3
_COUNT = "import sys; before = len(sys.modules); import {0}; print(len(sys.modules) - before)"


def cpu_of(code: str) -> float:
    """Return the CPU seconds an interpreter uses on some code."""
    process = subprocess.Popen([sys.executable, "-c", code])  # noqa: S603 - our own code
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for behind its back
    if process.returncode:
        raise RuntimeError(f"{code!r} failed")
    return usage.ru_utime + usage.ru_stime


def main(module: str) -> Outcome:
    """Measure a module; the first time is not counted, it may have to compile."""
    done = subprocess.run(  # noqa: S603 - as above
        [sys.executable, "-c", _COUNT.format(module)], capture_output=True, text=True, check=True
    )
    costs = [cpu_of(f"import {module}") - cpu_of("pass") for _ in range(_PAIRS)]
    return Outcome(figures={"cpu_ms": median(costs) * 1e3, "modules": float(done.stdout)})


if __name__ == "__main__":
    print(main(sys.argv[1]).to_json())
