"""What a client uses while it is under load, and whether anything but the client was the limit."""

import time
from collections.abc import Sequence
from typing import final

import attrs

from benchmarks.speed.figures import percentile
from benchmarks.speed.meter import cpu_seconds, seconds_waited

_LATE = 0.01
_BUSY = 0.9
_STARVED = 0.1


@final
@attrs.frozen
class Client:
    """The client's process: its id, and the clock of its CPU time."""

    pid: int
    clock: int


@final
class Window:
    """What was used between opening it and closing it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._at = time.monotonic()
        self._own = time.process_time()
        self._waited = seconds_waited(client.pid)
        self._cpu = cpu_seconds(client.clock)
        self.seconds = self.own = self.cpu = self.waited = 0.0

    def close(self) -> None:
        """Stop counting."""
        self.cpu = cpu_seconds(self._client.clock) - self._cpu
        self.waited = seconds_waited(self._client.pid) - self._waited
        self.own = time.process_time() - self._own
        self.seconds = time.monotonic() - self._at

    @property
    def idle(self) -> bool:
        """True if the client had nothing to do."""
        return self.cpu + self.waited < self.seconds / 10

    def limited(self, lags: Sequence[float] = ()) -> str:
        """Tell what else may have been the limit, given by how many seconds the gateway was late."""
        late = percentile(lags, 99)
        limits = []
        if late > _LATE:
            limits.append(f"the gateway was {late * 1000:.0f} ms late")
        if self.own > self.seconds * _BUSY:
            limits.append(f"the gateway used {self.own / self.seconds:.0%} of a core")
        if self.waited > self.seconds * _STARVED:
            limits.append(f"others kept the client from running {self.waited / self.seconds:.0%} of the time")
        return ", ".join(limits)
