"""What a process of the soak says about itself."""

import gc
import logging
import os
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import final

import anyio

from benchmarks.stages import rss

SAMPLED_EVERY = 5.0


def resident() -> int:
    """Collect garbage and return the bytes of memory this process then has in RAM.

    A call that is over is a cycle, and CPython looks for old cycles when a quarter more objects are old: without a
    collection the figure would show when that happens to be, and calls that are over, instead of what is held.
    """
    gc.collect()
    return rss("self")


def descriptors() -> int:
    """Return how many file descriptors are open, without the one this takes."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1


@final
class Errors(logging.Handler):
    """Counts what is logged at ERROR and above, by whomever, and remembers the last."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
        self.last = self.format(record)[-2000:]


def run(main: Callable[[], Awaitable[None]], backend: str = "asyncio") -> None:
    """Run a process of the soak. One that fails ends at once, although a thread of it waits for its next line."""
    try:
        anyio.run(main, backend=backend)
    except BaseException:  # noqa: BLE001 - it is shown, and the status tells
        traceback.print_exc()
        os._exit(1)
