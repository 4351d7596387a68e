"""What a driver has to do with the machines of the core, whatever its event loop: who calls whom, and its numbers."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

CONNECT_WITHIN = 10.0
"""Seconds for TCP and TLS together."""

CLOSE_WITHIN = 1.0
"""Seconds to write what is left, and again to close, before a stream is given up."""

LEAVE_WITHIN = 1.8
"""Seconds to leave in order: with what letting go of the rest takes, no client is left in more than 2."""

LATE_AFTER = 5.0
"""Seconds a handler may go on after its call has ended before the log says so."""


class Clockwork(Protocol):
    """What of the core has deadlines."""

    def next_deadline(self) -> float | None:
        """Return when ``handle_timeout`` must be called next, in monotonic seconds, or None."""
        ...

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due at ``now``."""
        ...


class Door(Protocol):
    """What of the core has a byte stream."""

    @property
    def closed(self) -> bool:
        """True when the stream should be closed, after writing ``data_to_send`` once more."""
        ...

    def start(self, *, now: float) -> None:
        """The stream is connected."""
        ...

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer."""
        ...

    def receive_eof(self, *, now: float) -> None:
        """The peer will send nothing more."""
        ...

    def fail_transport(self, detail: str, *, now: float) -> None:
        """The stream could not be opened, or broke; ``detail`` is what the system said."""
        ...

    def data_to_send(self, *, now: float | None = None) -> bytes:
        """Take the bytes to write at ``now``."""
        ...


class Lane(ABC):
    """A transport that calls the machine by itself, with fewer steps in between than a stream has."""

    @abstractmethod
    async def carry(self, door: Door, report: Callable[[], None], look: Callable[[], None]) -> None:
        """Carry from the start to the end of the connection, and close the transport, also when it is stuck.

        ``report`` is called after everything that may have happened in the machine, ``look`` after everything
        that may have set a deadline.
        """

    @abstractmethod
    def wake(self) -> None:
        """Look again: there may be something to write, an earlier deadline, or it may be over. Never waits."""
