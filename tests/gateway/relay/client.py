"""A RELAY client for the gateway's tests: the core's client protocol, joined to a desk without any socket."""

import itertools
import math
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio
import anyio.abc

from telcoflow_anyio.gateway.relay import Desk, RelayService, RelayServiceCall
from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.client import RelayClientProtocol
from telcoflow_proto.relay.messages import Authenticated, Credentials, EventArrived, Replied, Resumption, ServerLeaves
from telcoflow_proto.relay.server import RelayServerProtocol
from telcoflow_proto.replies import Outcome
from telcoflow_proto.secret import Secret
from telcoflow_proto.timers import earliest
from telcoflow_proto.websocket import Close

GOOD = Credentials(project=Secret("test-project"), token=Secret("test-token"))
MEDIA: list[Any] = [{"type": "silence", "params": {"duration": 2}}]
TTS: list[Any] = [{"type": "tts", "params": {"text": "one two three four five"}}]  # two seconds
PHONE: list[Any] = [[{"type": "phone", "params": {"to_number": "+15550002", "from_number": "+15550000"}}]]


class Client:
    """One connection of a client: what it was told, in order, and what it asks."""

    def __init__(
        self,
        service: RelayService,
        *,
        contexts: tuple[str, ...] = ("default",),
        credentials: Credentials = GOOD,
        resumption: Resumption | None = None,
    ) -> None:
        self.door = RelayClientProtocol(
            credentials=credentials, contexts=contexts, resumption=resumption, entropy=os.urandom
        )
        self.server = RelayServerProtocol(entropy=os.urandom)
        self.desk = Desk(service, self.server, self.settle)
        self.events: list[Any] = []
        self.texts: list[str] = []
        self.order: list[str] = []
        """What came, in short: ``calling.call.play:playing`` for events, ``=calling.play`` for answers."""
        self.reading = True
        self._changed = anyio.Event()
        self._names = itertools.count(1)

    # ------------------------------------------------------------------ the connection

    def start(self) -> Self:
        now = anyio.current_time()
        self.server.start(now=now)
        self.door.start(now=now)
        self.settle()
        return self

    def settle(self) -> None:
        now = anyio.current_time()
        moved = True
        while moved:
            moved = self._carry(now)
        self._changed.set()
        self._changed = anyio.Event()

    def _carry(self, now: float) -> bool:
        to_service = self.door.messages_to_send(now=now)
        for message in to_service:
            self._deliver(message, self.server, self.door, now)
        told = list(self.server.events())
        for event in told:
            self.desk.on_event(event)
        to_client = self.server.messages_to_send(now=now) if self.reading else []
        for message in to_client:
            if isinstance(message, str):
                self.texts.append(message)
            self._deliver(message, self.door, self.server, now)
        if self.server.lost and not self.door.lost:
            self.door.receive_close(now=now)
        if self.door.lost and not self.server.lost:
            self.server.receive_close(now=now)
            return True
        heard = list(self.door.events())
        for one in heard:
            self._note(one)
        return bool(to_service or told or to_client or heard)

    def _deliver(self, message: Any, to: Any, of: Any, now: float) -> None:
        if isinstance(message, Close):
            to.receive_close(code=message.code, reason=message.reason, now=now)
            of.receive_close(code=message.code, now=now)
        else:
            to.receive_message(message, now=now)

    def _note(self, event: Any) -> None:
        self.events.append(event)
        if isinstance(event, Replied):
            self.order.append(f"={event.method}")
        if isinstance(event, EventArrived):
            self.order.append(f"{event.event_type}:{brief(event.params)}")

    def say(self, text: str) -> None:
        """Say any text to the service."""
        self.server.receive_message(text, now=anyio.current_time())
        self.settle()

    def cut(self) -> None:
        """Lose the connection."""
        self.server.receive_close(now=anyio.current_time())
        self.settle()

    async def ring(self) -> None:
        """Keep both ends' time."""
        while not (self.door.lost and self.server.lost):
            changed, due = self._changed, earliest(self.door.next_deadline(), self.server.next_deadline())
            with anyio.CancelScope(deadline=math.inf if due is None else due):
                await changed.wait()
                continue
            self.door.handle_timeout(now=anyio.current_time())
            self.server.handle_timeout(now=anyio.current_time())
            self.settle()

    # ------------------------------------------------------------------ for tests

    @property
    def authenticated(self) -> Authenticated:
        return next(event for event in self.events if isinstance(event, Authenticated))

    @property
    def leaving(self) -> ServerLeaves:
        return next(event for event in self.events if isinstance(event, ServerLeaves))

    @property
    def lost(self) -> ConnectionLost:
        return next(event for event in self.events if isinstance(event, ConnectionLost))

    @property
    def resumption(self) -> Resumption:
        states = [one.params["authorization_state"] for one in self.of("signalwire.authorization.state")]
        return Resumption(
            protocol=self.authenticated.protocol, authorization_state=Secret(str(states[-1])) if states else None
        )

    def of(self, event_type: str, **members: Any) -> list[EventArrived]:
        """Return the events of a type that came and have these members."""
        return [
            event
            for event in self.events
            if isinstance(event, EventArrived)
            and event.event_type == event_type
            and members.items() <= {key: value for key, value in event.params.items() if key in members}.items()
        ]

    async def until(self, what: Callable[[], object]) -> None:
        while not what():
            await self._changed.wait()

    async def told(self, event_type: str, **members: Any) -> JsonObject:
        """Wait for an event of a type that has these members; return its params."""
        await self.until(lambda: self.of(event_type, **members))
        return self.of(event_type, **members)[-1].params

    async def ask(self, method: str, *, within: float = 10.0, **params: Any) -> Replied:
        """Ask for something and wait for the answer."""
        id_ = self.door.request(method, params, within=within, now=anyio.current_time())
        self.settle()
        await self.until(lambda: self.replies(id_))
        return self.replies(id_)[0]

    async def done(self, method: str, **params: Any) -> JsonObject:
        """Ask for something that is carried out."""
        reply = await self.ask(method, **params)
        assert reply.outcome is Outcome.DONE, reply
        return reply.result

    async def refused(self, method: str, **params: Any) -> tuple[int, str]:
        """Ask for something that is not."""
        reply = await self.ask(method, **params)
        assert reply.outcome is Outcome.REFUSED, reply
        return reply.code, reply.message

    def replies(self, id_: str) -> list[Replied]:
        return [event for event in self.events if isinstance(event, Replied) and event.request_id == id_]

    def on(self, call: RelayServiceCall) -> "Hand":
        return Hand(self, call.node_id, call.call_id)


class Hand:
    """A client's hand on one call."""

    def __init__(self, client: Client, node_id: str, call_id: str) -> None:
        self.client = client
        self.address = {"node_id": node_id, "call_id": call_id}

    async def ask(self, verb: str, **params: Any) -> Replied:
        return await self.client.ask(f"calling.{verb}", **{**self.address, **params})

    async def done(self, verb: str, **params: Any) -> JsonObject:
        return await self.client.done(f"calling.{verb}", **self.address, **params)

    async def refused(self, verb: str, **params: Any) -> tuple[int, str]:
        return await self.client.refused(f"calling.{verb}", **self.address, **params)

    async def told(self, kind: str, **members: Any) -> JsonObject:
        return await self.client.told(f"calling.{kind}", call_id=self.address["call_id"], **members)

    def story(self, kind: str) -> list[str]:
        """What was told of a kind, in short."""
        prefix = f"calling.{kind}:"
        return [one.removeprefix(prefix) for one in self.client.order if one.startswith(prefix)]


def brief(params: JsonObject) -> str:
    """Return what makes an event that event."""
    inner: Any = params
    for way in ("call_state", "state", "connect_state", "dial_state", "message_state", "join_status", "status"):
        if isinstance(params.get(way), str):
            return str(params[way])
    for way in ("result", "detect", "fax"):
        inner = params.get(way)
        if isinstance(inner, dict):
            found = inner.get("params", {})
            told = found.get("event") or found.get("digits") or found.get("text") if isinstance(found, dict) else ""
            return f"{inner.get('type')}={told}" if told else str(inner.get("type"))
        if isinstance(inner, str):
            return inner
    return str(params.get("for") or params.get("denoised", ""))


class Town:
    """A service in virtual time, and its clients."""

    def __init__(self, service: RelayService, tasks: anyio.abc.TaskGroup) -> None:
        self.service = service
        self._tasks = tasks

    def connect(self, **how: Any) -> Client:
        """Let a client come, whatever becomes of it."""
        client = Client(self.service, **how)
        self._tasks.start_soon(client.ring)
        return client.start()

    def client(self, **how: Any) -> Client:
        """Let a client come in."""
        client = self.connect(**how)
        assert not client.door.lost
        assert client.authenticated.protocol
        return client

    async def answered(self, client: Client, caller: Any = None) -> tuple[RelayServiceCall, Hand]:
        """Let somebody call, and the client answer."""
        call = await self.service.place_call(caller)
        hand = client.on(call)
        await hand.done("answer")
        assert call.state == "answered"
        return call, hand


@asynccontextmanager
async def town(**options: Any) -> AsyncGenerator[Town]:
    with anyio.fail_after(7200):
        async with anyio.create_task_group() as tasks:
            yield Town(RelayService(tasks, **options), tasks)
            tasks.cancel_scope.cancel()
