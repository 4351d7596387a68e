"""The world of the RELAY dialect: a network, the gateway's own RELAY service on it, and the adapter under test."""

import importlib
import random
from types import ModuleType, TracebackType
from typing import Any, Self, final

import anyio
import attrs
from anyio.abc import TaskGroup

from telcoflow_anyio.gateway.relay import Desk, RelayCaller, RelayService, RelayServiceCall
from telcoflow_anyio.relay import Call, ConnectionState, Message, RelayClient
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.connection import RelayServerConnection
from telcoflow_proto.relay.messages import ConnectRequested, RequestReceived
from tests.world.ends import Carrier
from tests.world.net import Net, NetStream
from tests.world.world import Case, tasks, timers

PORT = 8085
PROJECT = "canary-project"
TOKEN = "canary-token"
JWT = "canary-jwt"

_KEPT_BY_A_CLIENT = ("_calls", "_unhandled", "_dials", "_sending", "_messages")
_KEPT_BY_A_MACHINE = ("_queue", "_starting", "_dialling", "_asked_contexts", "_quiet")


@final
@attrs.frozen(kw_only=True)
class Asked:
    """Something a client asked for, when, and on which of its connections (the first is 0)."""

    at: float
    connection: int
    method: str
    params: JsonObject = attrs.field(repr=False)


@final
class Line:
    """One connection, at the service's end."""

    def __init__(self, world: "RelayWorld", stream: NetStream) -> None:
        self.number = len(world.lines)
        self.world = world
        self.stream = stream
        self.door = RelayServerConnection(entropy=world.chance.randbytes)
        self.carrier: Carrier[Any] = Carrier(self.door, stream, self._on_event)
        self.carrier.keep_raw = True
        self.desk = Desk(world.service, self.door, self.carrier.touch)
        self.connect: ConnectRequested | None = None

    async def serve(self) -> None:
        try:
            await self.carrier.run(await self.stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass  # it was over before a word was said
        finally:
            with anyio.CancelScope(shield=True):
                await self.stream.aclose()

    def reset(self) -> None:
        """Break the connection for both ends."""
        self.stream.connection.reset()

    def partition(self) -> None:
        """Deliver nothing any more, and tell nobody."""
        self.stream.connection.partition()

    def _on_event(self, event: Any) -> None:
        now = anyio.current_time()
        match event:
            case UpgradeRequested() if self.world.refuse_upgrade is not None:
                self.door.reject(status=self.world.refuse_upgrade, now=now)
            case UpgradeRequested():
                self.door.accept(now=now)
            case ConnectRequested():
                self.connect = event
            case RequestReceived():
                asked = Asked(at=now, connection=self.number, method=event.method, params=event.params)
                self.world.asked.append(asked)
            case _:
                pass
        self.desk.on_event(event)


@final
class RelayWorld:
    """Use it as a context: what is inside may leave no task, stream or timer behind, and no client anything."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.adapter: ModuleType = importlib.import_module(f"{case.module}.relay")
        self.net = Net()
        self.chance = random.Random(7)
        self.lines: list[Line] = []
        self.asked: list[Asked] = []
        self.refuse_upgrade: int | None = None
        self.service: RelayService
        self.group: TaskGroup
        self._clients: list[RelayClient] = []
        self._tasks_before = self._timers_before = 0

    async def __aenter__(self) -> Self:
        self._tasks_before, self._timers_before = tasks(), len(timers())
        self.group = await anyio.create_task_group().__aenter__()
        self.service = RelayService(self.group, projects={PROJECT: TOKEN}, jwts=[JWT], entropy=self.chance.randbytes)
        self.listen()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc is None:
            await anyio.sleep(0.001)
            left_open = self.net.client_streams
            tasks_running = tasks()
        self.group.cancel_scope.cancel()
        await self.group.__aexit__(None, None, None)
        if exc is None:
            await anyio.sleep(0.001)
            assert not left_open, "the client left a stream open"
            assert self.net.open_streams == 0, "the service left a stream open"
            assert tasks() == self._tasks_before, f"a task was left behind, of {tasks_running}"
            assert len(timers()) == self._timers_before, f"timers were left behind: {timers()}"
            for client in self._clients:
                assert kept_by(client) == {}, "the client keeps something for ever"

    # ------------------------------------------------------------------ the two ends

    def listen(self) -> None:
        """Be there for clients."""
        self.net.listen(PORT, self._accept)

    def refuse(self) -> None:
        """Be there no more, for those who come anew."""
        self.net.refuse(PORT)

    async def _accept(self, stream: NetStream) -> None:
        line = Line(self, stream)
        self.lines.append(line)
        self.group.start_soon(line.serve)

    def client(self, **changes: Any) -> RelayClient:
        """A client of the adapter under test. Annotated as anyio's; the others have the same shape."""
        given: dict[str, Any] = {
            "project": PROJECT,
            "token": TOKEN,
            "host": f"localhost:{PORT}",
            "scheme": "ws",
            "contexts": ["default"],
            **changes,
        }
        client: RelayClient = self.adapter.RelayClient(**given, dial_stream=self.dial)
        self._clients.append(client)
        return client

    @property
    def dial(self) -> Any:
        """How the adapter under test opens streams of this world."""
        if self.case.module == "telcoflow_trio":
            from tests.world.triostream import TrioDial

            return TrioDial(self.net)
        return self.net.dial

    # ------------------------------------------------------------------ what a scenario says

    @property
    def line(self) -> Line:
        """The newest connection."""
        return self.lines[-1]

    def asked_for(self, method: str) -> list[JsonObject]:
        """Return the params of every request for a method that came, in order."""
        return [one.params for one in self.asked if one.method == method]

    async def lose(self, *, forget: bool = False) -> None:
        """Break every connection without a word; ``forget`` lets the service forget the sessions too."""
        for line in self.lines:
            line.reset()
        for desk in list(self.service.desks):
            await desk.gone.wait()
        if forget:
            self.service.forget_sessions()

    async def call_in(self, client: RelayClient, caller: RelayCaller | None = None) -> "Phone":
        """Let somebody call; nobody has answered yet."""
        there = await self.service.place_call(caller)
        with anyio.fail_after(60):
            while not (found := [call for call in client.calls if call.call_id == there.call_id]):
                await anyio.sleep(0.001)
        return Phone(client, found[0], there)

    async def talk(self, client: RelayClient, caller: RelayCaller | None = None) -> "Phone":
        """Let somebody call, and answer."""
        phone = await self.call_in(client, caller)
        await phone.call.answer()
        await phone.call.wait_for_answered(10)
        return phone


@final
@attrs.frozen
class Phone:
    """A call on both ends: ``call`` is the application's, ``there`` the service's."""

    client: RelayClient
    call: Call
    there: RelayServiceCall

    def asked(self, method: str) -> list[JsonObject]:
        """Return the params of every request for a method that came for this call."""
        return [params for wire, params in self.there.requests if wire == method]


@final
class Journal:
    """What a client told its handlers."""

    def __init__(self, client: RelayClient) -> None:
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.connections: list[ConnectionState] = []
        client.on_call(self.calls.append)
        client.on_message(self.messages.append)
        client.on_connection(self.connections.append)

    @property
    def states(self) -> list[str]:
        """What happened to the connection, in short."""
        return [one.state for one in self.connections]


def kept_by(client: RelayClient) -> dict[str, Any]:
    """Return what a client still holds on to; nothing once it was left."""
    machine = vars(client)["_machine"]
    kept = {name: vars(client)[name] for name in _KEPT_BY_A_CLIENT}
    kept |= {name: vars(machine)[name] for name in _KEPT_BY_A_MACHINE}
    statistics = client.statistics()
    kept |= {"bells": len(client.bells), "calls": statistics.calls_live, "actions": statistics.actions_live}
    return {name: value for name, value in kept.items() if value}
