"""A small agent for the gateway's tests: the core's client machines on a TCP stream, and waiting for events."""

import os
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import anyio.abc

from telcoflow_anyio.gateway import Gateway
from telcoflow_proto.control.connection import ControlClientConnection
from telcoflow_proto.control.events import RequestDone, SetupCompleted
from telcoflow_proto.control.messages import CallIn, SessionNotice
from telcoflow_proto.door import ConnectionLost, ConnectionOpened
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.media.events import AudioArrived, CommandDone
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.replies import Outcome

Event = TypeVar("Event")
CREDENTIALS = (("x-api-key", "test-key"), ("x-connector-uuid", "test-connector"))


class Wire:
    """One connection: its door, the events it reported and the audio it heard, by channel."""

    def __init__(self, door: Any) -> None:
        self.door = door
        self.events: list[Any] = []
        self.audio: dict[int, bytearray] = defaultdict(bytearray)
        self._seen: dict[type, int] = defaultdict(int)
        self._changed = anyio.Event()

    def settle(self) -> None:
        for event in self.door.events():
            self.events.append(event)
            if isinstance(event, AudioArrived):
                while (pcm := self.door.next_audio(event.channel)) is not None:
                    self.audio[event.channel] += pcm
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, what: Callable[[], bool]) -> None:
        while not what():
            await self._changed.wait()

    async def next(self, kind: type[Event]) -> Event:
        """Return the next event of a kind, whatever else has happened."""
        count = self._seen[kind] = self._seen[kind] + 1
        await self.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    async def say(self, verb: str, *arguments: Any, **named: Any) -> Any:
        """Say something to the door; for a command or request, wait for how it went."""
        ticket = getattr(self.door, verb)(*arguments, **named, now=anyio.current_time())
        self.settle()
        if ticket is None:
            return None
        await self.until(lambda: any(_id(event) == ticket for event in self.events))
        return next(event for event in self.events if _id(event) == ticket)

    async def hears(self, size: int, channel: int = 0) -> bytes:
        """Wait until that many bytes of audio have been heard on a channel."""
        await self.until(lambda: len(self.audio[channel]) >= size)
        return bytes(self.audio[channel])

    async def pump(self, stream: anyio.abc.ByteStream) -> None:
        async with stream, anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, stream)
            tasks.start_soon(self._alarm)
            while not self.door.closed:
                try:
                    self.door.receive_data(await stream.receive(), now=anyio.current_time())
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    self.door.receive_eof(now=anyio.current_time())
                self.settle()
            tasks.cancel_scope.cancel()

    async def _write(self, stream: anyio.abc.ByteStream) -> None:
        while True:
            changed = self._changed
            if data := self.door.data_to_send(now=anyio.current_time()):
                try:
                    await stream.send(data)
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return  # the peer has left; who reads tells
            else:
                await changed.wait()

    async def _alarm(self) -> None:
        while True:
            changed, due = self._changed, self.door.next_deadline()
            with anyio.CancelScope(deadline=float("inf") if due is None else due):
                await changed.wait()
                continue
            self.door.handle_timeout(now=anyio.current_time())
            self.settle()


def _id(event: Any) -> str | None:
    if isinstance(event, RequestDone):
        return event.request_id
    return event.command_id if isinstance(event, CommandDone) else None


@asynccontextmanager
async def connected(door: Any, **tls: Any) -> AsyncGenerator[Wire]:
    """Run a door on a TCP connection."""
    wire = Wire(door)
    stream = await anyio.connect_tcp(door.url.address, door.url.port, **tls)
    async with anyio.create_task_group() as tasks:
        door.start(now=anyio.current_time())
        tasks.start_soon(wire.pump, stream)
        yield wire
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[Gateway]:
    """Run a gateway with a network ten times as fast as life, for ten seconds at most."""
    with anyio.fail_after(10):
        async with Gateway(**{"speed": 10.0, **options}) as gateway:
            yield gateway


@asynccontextmanager
async def agent(gateway: Gateway, *, ready: bool = True, tls: Any = None, **options: Any) -> AsyncGenerator[Wire]:
    """Connect an agent; ``ready`` waits until the gateway tells it of calls."""
    door = ControlClientConnection(
        url=parse_ws_url(f"{gateway.base_url}/v1/agent/session-manager"),
        **{"credentials": CREDENTIALS, "entropy": os.urandom, **options},
    )
    count = gateway.agents
    async with connected(door, **(tls or {})) as wire:
        if ready:
            await wire.next(SetupCompleted)
            await gateway.wait_for_agents(count + 1)
        yield wire


@asynccontextmanager
async def media(offer: CallIn, *, token: str | None = None, tls: Any = None, **options: Any) -> AsyncGenerator[Wire]:
    """Open the media connection of a call."""
    door = MediaClientConnection(url=parse_ws_url(offer.url), token=token or offer.token, entropy=os.urandom, **options)
    async with connected(door, **(tls or {})) as wire:
        await wire.until(lambda: bool(wire.of(ConnectionOpened) or wire.of(ConnectionLost)))
        yield wire


async def claim(wire: Wire) -> CallIn:
    """Take the next call that is announced to an agent."""
    notice = await wire.next(SessionNotice)
    done = await wire.say("open_session", notice.session_id)
    assert done.outcome is Outcome.DONE, done
    await wire.say("ready", notice.session_id)
    return await wire.next(CallIn)
