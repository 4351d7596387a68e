"""The service's ends of connections: the core's server roles, driven over streams of the world, all recorded."""

import itertools
from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

import anyio
import attrs

from telcoflow_proto.chance import Entropy
from telcoflow_proto.control.events import ServerControlEvent
from telcoflow_proto.control.server import ControlServer
from telcoflow_proto.door import ByteDoor
from telcoflow_proto.jsontext import JsonObject, decode_object
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.connection import MEDIA_HEARTBEAT
from telcoflow_proto.media.events import ServerMediaEvent
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Heartbeat, WebSocketLink
from tests.world.net import NetStream

NO_HEARTBEAT = Heartbeat(every=1e9, within=1e9)


@final
@attrs.frozen(kw_only=True)
class Heard:
    """One whole WebSocket message of the client, and when it came."""

    at: float
    message: str | bytes

    @property
    def json(self) -> JsonObject:
        assert isinstance(self.message, str)
        return decode_object(self.message, DEFAULT_LIMITS)


def counting() -> Entropy:
    """Chance that is none, but draws no two things alike."""
    numbers = itertools.count(1)
    return lambda count: b"".join(next(numbers).to_bytes(8, "big") for _ in range(count // 8 + 1))[:count]


class ControlEnd(ByteDoor[ServerControlEvent], ControlServer):
    """``ControlServerConnection`` that records what it hears and can say anything, right or wrong."""

    def __init__(self, *, entropy: Entropy, heartbeat: Heartbeat = NO_HEARTBEAT) -> None:
        super().__init__(entropy=entropy)
        self._link = WebSocketLink(Role.SERVER, entropy=entropy, heartbeat=heartbeat)
        self.heard: list[Heard] = []
        self.headers: dict[str, str] = {}

    def receive_message(self, message: str | bytes, *, now: float) -> None:
        self.heard.append(Heard(at=now, message=message))
        super().receive_message(message, now=now)

    def say_raw(self, message: str | bytes) -> None:
        self._out.append(message)

    def forget(self, session_id: str) -> None:
        """Know nothing of this session any more, and do not say so."""
        self._sessions.pop(session_id, None)


class MediaEnd(ByteDoor[ServerMediaEvent], MediaServer):
    """``MediaServerConnection`` that records what it hears and can say anything, right or wrong."""

    def __init__(self, *, entropy: Entropy, sample_rate: int, heartbeat: Heartbeat = MEDIA_HEARTBEAT) -> None:
        super().__init__(entropy=entropy, sample_rate=sample_rate)
        self._link = WebSocketLink(Role.SERVER, entropy=entropy, heartbeat=heartbeat)
        self.heard: list[Heard] = []
        self.headers: dict[str, str] = {}

    def receive_message(self, message: str | bytes, *, now: float) -> None:
        self.heard.append(Heard(at=now, message=message))
        super().receive_message(message, now=now)

    def say_raw(self, message: str | bytes) -> None:
        self._out.append(message)

    def forget(self, command_id: str) -> None:
        """Never answer this command, not even with TIMEOUT."""
        self._commands.take(command_id)


AnyEnd = TypeVar("AnyEnd", ControlEnd, MediaEnd)


@final
class Carrier(Generic[AnyEnd]):
    """Carries one end over one stream. ``touch`` after everything said, ``on_event`` gets what it reports."""

    def __init__(self, end: AnyEnd, stream: NetStream, on_event: Callable[[Any], None]) -> None:
        self.end: AnyEnd = end
        self.stream = stream
        self.raw = b""
        self.keep_raw = False
        self._on_event = on_event
        self._more = anyio.Event()
        self._moved = anyio.Event()

    def touch(self) -> None:
        """Report what there is to report, write what there is to write."""
        for event in self.end.events():
            self._on_event(event)
        self._more.set()
        self._moved.set()

    async def run(self, first: bytes) -> None:
        """Carry until the connection is over. ``first`` was read already."""
        now = anyio.current_time()
        self.end.start(now=now)
        self.end.receive_data(first, now=now)
        self.touch()
        async with anyio.create_task_group() as group:
            group.start_soon(self._read)
            group.start_soon(self._keep_time)
            await self._write()
            group.cancel_scope.cancel()

    async def _read(self) -> None:
        while not self.end.closed:
            try:
                data = await self.stream.receive()
            except anyio.EndOfStream:
                self.end.receive_eof(now=anyio.current_time())
            except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                self.end.fail_transport(repr(error), now=anyio.current_time())
            else:
                if self.keep_raw:
                    self.raw += data
                self.end.receive_data(data, now=anyio.current_time())
            self.touch()

    async def _write(self) -> None:
        while True:
            self._more = anyio.Event()
            data = self.end.data_to_send(now=anyio.current_time())
            if data:
                try:
                    await self.stream.send(data)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                    self.end.fail_transport(repr(error), now=anyio.current_time())
                self.touch()
            elif self.end.closed:
                return
            else:
                await self._more.wait()

    async def _keep_time(self) -> None:
        while True:
            self._moved = anyio.Event()
            deadline = self.end.next_deadline()
            with anyio.CancelScope(deadline=float("inf") if deadline is None else deadline):
                await self._moved.wait()
            if deadline is not None and anyio.current_time() >= deadline:
                self.end.handle_timeout(now=anyio.current_time())
                self.touch()
