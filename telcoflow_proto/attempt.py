"""One connection of a client that has one after the other, bound to the one stream that carries it."""

from typing import Protocol, final


class _Connection(Protocol):
    """What an attempt needs of its connection."""

    @property
    def closed(self) -> bool: ...
    def data_to_send(self, *, now: float | None = None) -> bytes: ...


class _Machine(Protocol):
    """What an attempt needs of its client machine."""

    @property
    def control(self) -> _Connection | None: ...
    def start(self, *, now: float) -> None: ...
    def receive_data(self, data: bytes, *, now: float) -> None: ...
    def receive_eof(self, *, now: float) -> None: ...
    def fail_transport(self, detail: str, *, now: float) -> None: ...


@final
class Attempt:
    """One connection of a client machine, as a byte door.

    Once superseded it does nothing more: a stream that lingers can neither disturb the next connection nor
    take its bytes.
    """

    def __init__(self, machine: _Machine, control: _Connection) -> None:
        self._machine = machine
        self._control = control

    @property
    def _current(self) -> bool:
        return self._machine.control is self._control

    @property
    def closed(self) -> bool:
        """True when the byte stream should be closed, after writing ``data_to_send()`` once more."""
        return not self._current or self._control.closed

    def start(self, *, now: float) -> None:
        """The stream is connected."""
        if self._current:
            self._machine.start(now=now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the stream."""
        if self._current:
            self._machine.receive_data(data, now=now)

    def receive_eof(self, *, now: float) -> None:
        """The stream has ended."""
        if self._current:
            self._machine.receive_eof(now=now)

    def fail_transport(self, detail: str, *, now: float) -> None:
        """The stream could not be opened, or broke."""
        if self._current:
            self._machine.fail_transport(detail, now=now)

    def data_to_send(self, *, now: float | None = None) -> bytes:
        """Take the bytes to write, the last ones of a superseded connection included."""
        return self._control.data_to_send(now=now)
