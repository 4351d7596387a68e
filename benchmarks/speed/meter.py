"""What the operating system says about a process, and about the machine. Linux, as the rest of the benchmarks."""

import contextlib
import ctypes
import importlib.metadata
import os
import platform
import time
from pathlib import Path

_PACKAGES = (
    *("telcoflow", "signalwire-sdk", "websockets", "picows", "uvloop"),
    *("anyio", "trio", "wsproto", "attrs"),
)


def cpu_clock(pid: int) -> int:
    """Return the id of the clock that counts a process's CPU time, in user and in kernel mode, all its threads."""
    clock = ctypes.c_int()
    error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return clock.value


def cpu_seconds(clock: int) -> float:
    """Return the CPU seconds a process has used so far."""
    return time.clock_gettime(clock)


def wants_to_run(pid: int) -> bool:
    """Tell whether a thread of a process runs, or waits for a core: waiting is counted only when it is over."""
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if thread.read_text(encoding="utf-8").rpartition(")")[2].split()[0] in {"R", "D"}:
                return True
    return False


def rss(pid: int) -> int:
    """Return the bytes of memory a process has in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


def seconds_waited(pid: int) -> float:
    """Return for how many seconds the threads of a process could have run and had no core to run on."""
    waited = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            waited += int(thread.read_text(encoding="ascii").split()[1])
    return waited / 1e9


def machine() -> dict[str, object]:
    """Describe where and with what is measured, and how busy others keep it."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
        "load": [round(value, 2) for value in os.getloadavg()],
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
