"""What importing a client costs: ``python -m benchmarks.speed.imports MODULE`` prints an ``Outcome``.

CPU time of a fresh interpreter that imports the one name a program begins with, and no more, less that of one that
imports nothing, as the operating system counts them. The name, and not the bare module: a package may leave its names
for later. Byte code is there, as it is after the first run of an installed program.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from benchmarks.speed.figures import median
from benchmarks.speed.orders import Outcome

_PAIRS = 3
_NAMES = {
    "telcoflow_proto": "ClientMachine",
    "telcoflow_proto.relay": "RelayMachine",
    "telcoflow_anyio": "TelcoflowClient",
    "telcoflow_trio": "TelcoflowClient",
    "telcoflow": "SessionManager",
}
_NAME_OF_RELAY = "RelayClient"
_COUNT = "import sys; before = len(sys.modules); {0}; print(len(sys.modules) - before)"


def statement(module: str) -> str:
    """Return what a program writes to use a module."""
    return f"from {module} import {_NAMES.get(module, _NAME_OF_RELAY)}"


def cpu_of(code: str, environment: Mapping[str, str]) -> float:
    """Return the CPU seconds an interpreter uses on some code."""
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)  # noqa: S603 - our own code
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for behind its back
    if process.returncode:
        raise RuntimeError(f"{code!r} failed")
    return usage.ru_utime + usage.ru_stime


def main(module: str) -> Outcome:
    """Measure a module; the first time is not counted, it has to compile."""
    code = statement(module)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(  # noqa: S603 - as above
            [sys.executable, "-c", _COUNT.format(code)], capture_output=True, text=True, check=True, env=environment
        )
        costs = [cpu_of(code, environment) - cpu_of("pass", environment) for _ in range(_PAIRS)]
    return Outcome(figures={"cpu_ms": median(costs) * 1e3, "modules": float(done.stdout)})


if __name__ == "__main__":
    print(main(sys.argv[1]).to_json())
