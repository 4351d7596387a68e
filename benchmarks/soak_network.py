"""The bad network of the soak: a TCP proxy whose lines can be hurt one by one, or all together.

``tests.reliability.chaos`` has a thread for each direction, which is right for a test that blocks; here thousands of
lines come and go, and nothing may be left of them.
"""

import asyncio
import re
import socket
import struct
from typing import Final, cast, final

ALL: Final = "all lines"
CONTROL: Final = "control"
_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing says RST
_ORDINARY = 65536
_SIP = 256
_SIP_EVERY = 0.05
_PATH = re.compile(rb"GET (\S+) ")


@final
class End(asyncio.BufferedProtocol):
    """One end of a line: it reads unless somebody holds it, and hands on to the other end."""

    def __init__(self, line: "Line") -> None:
        self.line = line
        self.transport: asyncio.Transport | None = None
        self.slow = False
        self._holders: set[str] = set()
        self._buffer = bytearray(_ORDINARY)

    def hold(self, holder: str) -> None:
        """Read nothing more until this holder, too, lets go."""
        self._holders.add(holder)
        if self.transport is not None:
            self.transport.pause_reading()

    def let_go(self, holder: str) -> None:
        """Take a hold away."""
        self._holders.discard(holder)
        if self.transport is not None and not self._holders:
            self.transport.resume_reading()

    def write(self, data: bytes, segment: int) -> None:
        """Send in segments of that size: the kernel has been told not to gather them."""
        if self.transport is not None:
            for at in range(0, len(data), segment):
                self.transport.write(data[at : at + segment])

    def leave(self, *, broken: bool) -> None:
        """Close, with a reset if the line is broken."""
        if self.transport is None:
            return
        if broken:
            raw = self.transport.get_extra_info("socket")
            if raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            self.transport.abort()
        else:
            self.transport.close()

    # ------------------------------------------------------------------ what the event loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # of a stream socket it always is one
        self.line.met(self)
        if self._holders:
            self.transport.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[: _SIP if self.slow else _ORDINARY]

    def buffer_updated(self, nbytes: int) -> None:
        self.line.carry(self, bytes(self._buffer[:nbytes]))
        if self.slow:
            self.hold("slow")
            asyncio.get_running_loop().call_later(_SIP_EVERY, self.let_go, "slow")

    def pause_writing(self) -> None:
        self.line.other(self).hold("full")

    def resume_writing(self) -> None:
        self.line.other(self).let_go("full")

    def connection_lost(self, exc: Exception | None) -> None:
        self.line.break_off(broken=exc is not None)


@final
class Line:
    """One connection through the network. ``name`` is the call's id, or CONTROL; "" before the client has spoken."""

    def __init__(self, network: "Network") -> None:
        self.name = ""
        self.segment = _ORDINARY
        self.client = End(self)
        self.service = End(self)
        self._network = network

    @property
    def ends(self) -> tuple[End, End]:
        """Both ends, the client's first."""
        return self.client, self.service

    def other(self, end: End) -> End:
        """Return the end an end hands on to."""
        return self.service if end is self.client else self.client

    def met(self, end: End) -> None:
        """An end is there; the client's comes first and waits for the other."""
        if self._network.parted:
            end.hold("partition")
        if end is self.client:
            end.hold("dialling")
            self._network.dial(self)

    def carry(self, source: End, data: bytes) -> None:
        """Hand on what one end has read."""
        if not self.name and (said := _PATH.match(data)) is not None:
            path = said[1].decode("ascii", "replace")
            self.name = path.removeprefix("/media/") if path.startswith("/media/") else CONTROL
        self.other(source).write(data, self.segment)

    def break_off(self, *, broken: bool) -> None:
        """End the line at both ends."""
        for end in self.ends:
            end.leave(broken=broken)
        self._network.lines.discard(self)


@final
class Network:
    """Carries connections to ``target``. Lines that are over are forgotten."""

    def __init__(self, target: int) -> None:
        self.lines: set[Line] = set()
        self.parted = False
        self.port = 0
        self._target = target
        self._dialling: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen on a port of its own."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Line(self).client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Cut everything."""
        if self._server is not None:
            self._server.close()
        for line in list(self.lines):
            line.break_off(broken=True)

    def calls(self) -> list[Line]:
        """The media lines, in the order of their names: a seed must choose the same one from the same set."""
        return sorted((line for line in self.lines if line.name not in {"", CONTROL}), key=lambda line: line.name)

    def control(self) -> list[Line]:
        """The control line, if there is one just now."""
        return [line for line in self.lines if line.name == CONTROL]

    def part(self) -> None:
        """Deliver nothing any more, to nobody, and tell nobody."""
        self.parted = True
        for line in self.lines:
            for end in line.ends:
                end.hold("partition")

    def heal(self) -> None:
        """Deliver again, what was held back first."""
        self.parted = False
        for line in self.lines:
            for end in line.ends:
                end.let_go("partition")

    def dial(self, line: Line) -> None:
        """Connect a new line to the service."""
        self.lines.add(line)
        task = asyncio.create_task(self._dial(line))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, line: Line) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: line.service, "127.0.0.1", self._target)
        except OSError:
            line.break_off(broken=True)
        else:
            line.client.let_go("dialling")
            if line not in self.lines:  # the client left in the meantime
                line.service.leave(broken=True)
