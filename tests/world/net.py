"""A network in memory, on anyio primitives only: the same on asyncio and trio, repeatable by its seed.

Every stream of it can be slow, cut into segments, unread, partitioned, reset at a byte, closed by either end.
Only ``Net`` knows of all streams, so a test can ask it whether any were left open.
"""

import errno
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, final

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from telcoflow_proto.origin import WsUrl


@final
class Wakeup:
    """An event that can be rung again and again."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def ring(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self, until: float = math.inf) -> None:
        if self._event is None:
            self._event = anyio.Event()
        event = self._event
        if until == math.inf:
            await event.wait()
        else:
            with anyio.CancelScope(deadline=until):
                await event.wait()


@final
class Pipe:
    """One direction of a connection."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.changed = Wakeup()
        self.segments: deque[tuple[float, bytes]] = deque()
        self.buffered = 0
        self.passed = 0
        self.ended = False
        self.reader_gone = False
        self._last_arrival = -math.inf

    def put(self, data: bytes) -> None:
        net = self.connection.net
        arrival = anyio.current_time() + net.latency + net.chance.random() * net.jitter
        self._last_arrival = arrival = max(arrival, self._last_arrival)
        self.segments.append((arrival, data))
        self.buffered += len(data)
        self.changed.ring()

    def take(self, most: int) -> bytes:
        _, data = self.segments[0]
        size = min(most, self.connection.net.segment_size(), self.connection.until_reset())
        if size < len(data):
            self.segments[0] = (self.segments[0][0], data[size:])
            data = data[:size]
        else:
            self.segments.popleft()
        self.buffered -= len(data)
        self.passed += len(data)
        self.connection.check_reset()
        self.changed.ring()
        return data


@final
class Connection:
    """Both directions between a client and a server, and what can go wrong with them."""

    def __init__(self, net: "Net", url: WsUrl) -> None:
        self.net = net
        self.url = url
        self.opened_at = anyio.current_time()
        self.partitioned = False
        self.broken = False
        self._reset_after: int | None = None
        up, down = Pipe(self), Pipe(self)
        self.client = NetStream(self, incoming=down, outgoing=up)
        self.server = NetStream(self, incoming=up, outgoing=down)
        self.pipes = (up, down)

    @property
    def open_ends(self) -> int:
        return (not self.client.closed) + (not self.server.closed)

    @property
    def passed(self) -> int:
        """Bytes delivered, both ways together."""
        return sum(pipe.passed for pipe in self.pipes)

    @property
    def cut(self) -> bool:
        return self.partitioned or self.net.partitioned

    def partition(self) -> None:
        """Deliver nothing any more, and tell nobody."""
        self.partitioned = True

    def heal(self) -> None:
        """Deliver again, what was held back first."""
        self.partitioned = False
        self.wake()

    def reset(self, *, after_bytes: int = 0) -> None:
        """Break the connection for both ends once that many more bytes were delivered."""
        self._reset_after = self.passed + after_bytes
        self.check_reset()

    def until_reset(self) -> int:
        return 1 << 30 if self._reset_after is None else max(1, self._reset_after - self.passed)

    def check_reset(self) -> None:
        if self._reset_after is not None and self.passed >= self._reset_after:
            self.broken = True
            self.wake()

    def wake(self) -> None:
        for pipe in self.pipes:
            pipe.changed.ring()


@final
class NetStream(ByteStream):
    """One end of a connection, as an anyio byte stream."""

    def __init__(self, connection: Connection, *, incoming: Pipe, outgoing: Pipe) -> None:
        self.connection = connection
        self.closed = False
        self.reading = True
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = self._receiving = False

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {}

    async def receive(self, max_bytes: int = 65536) -> bytes:
        assert not self._receiving, "two tasks read from one stream"
        self._receiving = True
        try:
            await anyio.lowlevel.checkpoint()
            return await self._receive(max_bytes)
        finally:
            self._receiving = False

    async def _receive(self, max_bytes: int) -> bytes:
        pipe = self._incoming
        while True:
            self._check()
            until = math.inf
            if not self.connection.cut and self.reading:
                if pipe.segments:
                    until = pipe.segments[0][0]
                    if until <= anyio.current_time():
                        return pipe.take(max_bytes)
                elif pipe.ended:
                    raise anyio.EndOfStream
            await pipe.changed.wait(until)

    @property
    def room(self) -> int:
        """Bytes that can be sent without waiting."""
        return self.connection.net.byte_cap - self._outgoing.buffered

    async def send(self, item: bytes) -> None:
        assert not self._sending, "two tasks write to one stream"
        self._sending = True
        try:
            await anyio.lowlevel.checkpoint()
            await self._send(bytes(item))
        finally:
            self._sending = False

    async def _send(self, data: bytes) -> None:
        """Give to the network what it has room for; a cancelled send may have sent some of it."""
        pipe = self._outgoing
        while True:
            self._check()
            if pipe.ended or (pipe.reader_gone and not self.connection.cut):
                raise anyio.BrokenResourceError from BrokenPipeError(errno.EPIPE, "Broken pipe")
            room = self.connection.net.byte_cap - pipe.buffered
            if room > 0:
                pipe.put(data[:room])
                data = data[room:]
                if not data:
                    return
            await pipe.changed.wait()

    async def send_eof(self) -> None:
        self._outgoing.ended = True
        self._outgoing.changed.ring()

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self._outgoing.ended = True
            self._incoming.reader_gone = True
            self.connection.wake()
        await anyio.lowlevel.checkpoint()

    def stop_reading(self) -> None:
        """Be a peer that does not read: what is sent to it piles up to the network's cap, then blocks."""
        self.reading = False

    def read_again(self) -> None:
        self.reading = True
        self.connection.wake()

    def _check(self) -> None:
        if self.closed:
            raise anyio.ClosedResourceError
        if self.connection.broken and not self.connection.cut:
            raise anyio.BrokenResourceError from ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


Accept = Callable[[NetStream], Awaitable[None]]


@final
class Net:
    """The network. Latency and jitter are seconds, sizes bytes; a segment is what one receive returns."""

    def __init__(
        self,
        seed: int = 0,
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        segment: int | None = None,
        byte_cap: int = 65536,
    ) -> None:
        self.chance = random.Random(seed)
        self.latency = latency
        self.jitter = jitter
        self.segment = segment
        self.byte_cap = byte_cap
        self.connect_within = 10.0
        self.partitioned = False
        self.dials: list[tuple[float, WsUrl]] = []
        self.connections: list[Connection] = []
        self.resets: dict[int, int] = {}
        """Connections to be broken, by their number: after how many bytes."""
        self._accepts: dict[int, Accept] = {}
        self._hanging: set[int] = set()
        self._changed = Wakeup()

    @property
    def open_streams(self) -> int:
        """How many ends are open, of all connections together."""
        return sum(connection.open_ends for connection in self.connections)

    @property
    def client_streams(self) -> int:
        """How many ends the client holds open."""
        return sum(not connection.client.closed for connection in self.connections)

    def segment_size(self) -> int:
        return 1 << 30 if self.segment is None else self.chance.randint(1, self.segment)

    def listen(self, port: int, accept: Accept) -> None:
        """Let ``accept`` take the server end of every connection to a port; it must not block."""
        self._accepts[port] = accept

    def refuse(self, port: int) -> None:
        """Nobody listens there any more."""
        self._accepts.pop(port, None)

    def hang(self, port: int, *, within: float = math.inf) -> None:
        """Connections to this port neither succeed nor fail, for that many seconds at least."""
        self._hanging.add(port)
        self.connect_within = within

    def unhang(self, port: int) -> None:
        """Let hanging connections to this port succeed."""
        self._hanging.discard(port)
        self._changed.ring()

    def partition(self) -> None:
        """Deliver nothing any more, anywhere, and tell nobody."""
        self.partitioned = True

    def heal(self) -> None:
        """Deliver again."""
        self.partitioned = False
        self._changed.ring()
        for connection in self.connections:
            connection.wake()

    async def dial(self, url: WsUrl) -> NetStream:
        """Connect, as an operating system does. Raises OSError."""
        self.dials.append((anyio.current_time(), url))
        with anyio.fail_after(self.connect_within):
            await anyio.sleep(2 * self.latency)
            while self.partitioned or url.port in self._hanging:
                await self._changed.wait()
        accept = self._accepts.get(url.port)
        if accept is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        connection = Connection(self, url)
        if len(self.connections) in self.resets:
            connection.reset(after_bytes=self.resets[len(self.connections)])
        self.connections.append(connection)
        await accept(connection.server)
        return connection.client
