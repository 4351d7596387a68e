"""A RELAY client machine, or a whole client without an event loop, and a service for it: one wire, one clock."""

import random
from collections.abc import Callable
from typing import Any, Literal, Self

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.chance import Entropy
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.relay.base_client import BaseRelayClient
from telcoflow_proto.relay.call import Call
from telcoflow_proto.relay.client_events import MessageArrived, RelayMachineEvent
from telcoflow_proto.relay.config import RelayConfig
from telcoflow_proto.relay.connection import RelayServerConnection
from telcoflow_proto.relay.jsonrpc import Id
from telcoflow_proto.relay.machine import RelayMachine
from telcoflow_proto.relay.messages import ConnectRequested, EventAcknowledged, RequestReceived
from telcoflow_proto.relay.methods import PLAY
from telcoflow_proto.timers import earliest
from tests.core.loopless import FakeBell, FakeLimit, Task

PHONE: JsonObject = {"type": "phone", "params": {"from_number": "+15550001", "to_number": "+15550002"}}
DEVICES: Json = [[PHONE]]
PROJECT, TOKEN = "secret-project", "secret-token"

Answer = JsonObject | int | None
"""What the service answers: a result, a code that is put into one, or nothing."""


def chance() -> Entropy:
    """Chance that is the same every time, and never the same twice."""
    return random.Random(7).randbytes


def config(*, contexts: tuple[str, ...] = ("office",), most: int = 1000, jwt: str | None = None) -> RelayConfig:
    return RelayConfig.checked(
        project=None if jwt else PROJECT,
        token=None if jwt else TOKEN,
        jwt_token=jwt,
        host="localhost:8080",
        contexts=contexts,
        max_active_calls=most,
        scheme="ws",
        allow_plaintext=False,
        environment={},
    )


class Office:
    """The service. It answers what it is told to answer, and everything else with 200."""

    def __init__(self, machine: RelayMachine, settle: Callable[[], None] | None = None, *, now: float = 100.0) -> None:
        self.machine = machine
        self.now = now
        self.lets_in: Literal[True] | tuple[int, str] | None = True
        """True, an error, or None for silence."""
        self.remembers = True
        """Whether sessions are restored."""
        self.answers: dict[str, Answer] = {}
        self.rejects: int | None = None
        """The HTTP status of refused upgrades."""
        self.connects: list[ConnectRequested] = []
        self.asked: list[RequestReceived] = []
        self.acknowledged: list[str] = []
        self.reported: list[Any] = []
        self.end = RelayServerConnection(entropy=chance())
        self.online = False
        self._unanswered: dict[str, list[Id]] = {}
        self._sessions = 0
        self._settle = settle or self._collect

    def _collect(self) -> None:
        self.reported += self.machine.events()

    def taken(self, *kinds: type) -> list[Any]:
        """Take what the machine reported, of these kinds."""
        self._settle()
        found = [one for one in self.reported if isinstance(one, kinds)] if kinds else list(self.reported)
        self.reported.clear()
        return found

    # ------------------------------------------------------------------ the wire, and time

    def connect(self) -> Self:
        self.machine.connect(now=self.now)
        return self.open()

    def open(self) -> Self:
        """Open the stream the machine wants, and carry what is said on it."""
        self.end = RelayServerConnection(entropy=chance())
        self._unanswered.clear()
        self.online = True
        self.end.start(now=self.now)
        self.machine.start(now=self.now)
        return self.carry()

    def carry(self) -> Self:
        """Carry bytes both ways until nobody has any."""
        self._settle()
        if not self.online:
            self.machine.data_to_send(now=self.now)  # into the void
        while self.online:
            up = self.machine.data_to_send(now=self.now)
            if up:
                self.end.receive_data(up, now=self.now)
            for event in list(self.end.events()):
                self._on(event)
            down = self.end.data_to_send(now=self.now)
            if down:
                self.machine.receive_data(down, now=self.now)
            self._settle()
            if self.machine.closed or self.end.closed:
                self.drop()
            if not (up or down):
                break
        return self

    def drop(self) -> Self:
        """The stream breaks; what was under way is lost."""
        if self.online:
            self.online = False
            self.machine.receive_eof(now=self.now)
        self._settle()
        return self

    def vanish(self) -> Self:
        """Nothing arrives any more, and nobody is told."""
        self.online = False
        return self

    def later(self, seconds: float) -> Self:
        """Let time pass, and both ends do what is due in it when it is due."""
        until = self.now + seconds
        for _ in range(100_000):
            due = earliest(self.machine.next_deadline(), self.end.next_deadline() if self.online else None)
            if due is None or due > until:
                self.now = until
                return self
            self.now = max(self.now, due)
            self.machine.handle_timeout(now=self.now)
            if self.online:
                self.end.handle_timeout(now=self.now)
            self.carry()
        raise AssertionError("a deadline that was met does not go away")

    def reconnect(self, *, restored: bool = True) -> Self:
        """Wait for the next attempt, and let it in."""
        self.remembers = restored
        return self.next_attempt().open()

    def next_attempt(self) -> Self:
        """Wait until the machine wants another stream."""
        while self.online or self.machine.state is not ClientState.RECONNECTING:
            due = self.machine.next_deadline()
            assert due is not None
            self.later(due - self.now)
        return self

    def comes_back(self, *, restored: bool = True) -> Self:
        return self.drop().reconnect(restored=restored)

    # ------------------------------------------------------------------ answering

    def _on(self, event: object) -> None:
        match event:
            case UpgradeRequested() if self.rejects is not None:
                self.end.reject(status=self.rejects, now=self.now)
            case UpgradeRequested():
                self.end.accept(now=self.now)
            case ConnectRequested():
                self._on_connect(event)
            case RequestReceived():
                self.asked.append(event)
                self._unanswered.setdefault(event.method, []).append(event.request_id)
                answer = self.answers.get(event.method, 200)
                if answer is not None and not self.end.lost:
                    self._answer(event.method, answer)
            case EventAcknowledged():
                self.acknowledged.append(event.event_id)
            case _:
                pass

    def _on_connect(self, event: ConnectRequested) -> None:
        self.connects.append(event)
        if self.lets_in is True:
            known = event.resumption.protocol if self.remembers else ""
            self._sessions += not known
            self.end.authenticate(protocol=known or f"session-{self._sessions}", now=self.now)
        elif isinstance(self.lets_in, tuple):
            code, message = self.lets_in
            self.end.refuse_connect(code=code, message=message, now=self.now)

    def _answer(self, method: str, answer: JsonObject | int) -> None:
        result: JsonObject = {"code": str(answer), "message": "said so"} if isinstance(answer, int) else answer
        self.end.respond(self._unanswered[method].pop(0), result, now=self.now)

    def answer(self, method: str, answer: JsonObject | int = 200) -> Self:
        """Answer the oldest request of this method that has no answer."""
        self._answer(method, answer)
        return self.carry()

    def waits_for_an_answer(self, method: str) -> bool:
        return bool(self._unanswered.get(method))

    def asked_for(self, method: str) -> list[JsonObject]:
        """Take the params of what was asked for by this method."""
        found = [one.params for one in self.asked if one.method == method]
        self.asked = [one for one in self.asked if one.method != method]
        return found

    @property
    def methods(self) -> list[str]:
        """Take what was asked for, in order."""
        methods, self.asked = [one.method for one in self.asked], []
        return methods

    # ------------------------------------------------------------------ telling

    def tell(self, event_type: str, params: JsonObject | None = None, **more: Json) -> Self:
        self.put(event_type, params, **more)
        return self.carry()

    def put(self, event_type: str, params: JsonObject | None = None, **more: Json) -> str:
        """Say it, and carry it later, with what else is said."""
        return self.end.push(event_type, {**(params or {}), **more}, now=self.now)

    def ring(self, call_id: str = "c1", **more: Json) -> Self:
        """Somebody calls."""
        params: JsonObject = {"call_id": call_id, "node_id": "n1", "device": PHONE, "context": "office"}
        params |= {"call_state": "ringing", **more}
        return self.tell("calling.call.receive", params)

    def state(self, call_id: str, state: Json, **more: Json) -> Self:
        return self.tell("calling.call.state", {"call_id": call_id, "call_state": state, **more})

    def leg(self, call_id: str, state: str = "ringing", *, tag: str = "t1", **more: Json) -> Self:
        return self.state(call_id, state, tag=tag, node_id="n1", device=PHONE, **more)

    def dialled(self, state: str, call_id: str | None = None, *, tag: str = "t1", **more: Json) -> Self:
        params: JsonObject = {"tag": tag, "dial_state": state, **more}
        if call_id is not None:
            params["call"] = {"call_id": call_id, "node_id": "n1", "device": PHONE}
        return self.tell("calling.call.dial", params)

    def play(self, call_id: str = "c1", control_id: str = "p1", *, over: Any = None) -> str:
        """The machine asks for a play; returns the request id."""
        request_id = self.machine.start_action(
            call_id=call_id,
            method="calling.play",
            params={"call_id": call_id, "control_id": control_id},
            control_id=control_id,
            kind=PLAY,
            over=over,
            now=self.now,
        )
        self.carry()
        return request_id

    def dial(self, tag: str = "t1", **more: Any) -> Self:
        self.machine.dial({"devices": DEVICES}, tag=tag, now=self.now, **more)
        return self.carry()


def played(state: str, *, call_id: str = "c1", control_id: str = "p1") -> JsonObject:
    """Return the params of an event that tells of a play."""
    return {"call_id": call_id, "control_id": control_id, "state": state}


class FakeClient(BaseRelayClient):
    """A client without an event loop: its office has the clock."""

    def __init__(self, config: RelayConfig, *, backoff: Backoff | None = None, patient: bool = False) -> None:
        super().__init__(config, entropy=chance(), backoff=backoff)
        self._patient = patient
        self.office = Office(self._machine, self.settle)
        self.wanted: list[TransportWanted] = []
        self.heard: list[RelayMachineEvent] = []
        self.notes: list[object] = []
        self.faults: list[tuple[str, Exception]] = []
        self.tasks: list[tuple[str, Task]] = []
        self.limits: list[float | None] = []
        self.woken = 0

    @property
    def waiting(self) -> int:
        """How much is kept for people who wait."""
        return len(self._bells) + len(self._requests) + len(self._dials) + len(self._sending)

    def settle(self) -> None:
        self._settle()

    def begin(self) -> Task:
        return Task(self._begin())

    def end(self) -> Task:
        return Task(self._end())

    def cut(self) -> None:
        self._cut()

    def _on_event(self, event: RelayMachineEvent) -> None:
        self.heard.append(event)
        super()._on_event(event)

    def _clock(self) -> float:
        return self.office.now

    def _new_bell(self) -> FakeBell:
        return FakeBell()

    def _time_limit(self, seconds: float | None) -> FakeLimit:
        self.limits.append(seconds)
        return FakeLimit()

    def _open_transport(self, wanted: TransportWanted) -> None:
        self.wanted.append(wanted)

    def _run_handler(self, invoke: Callable[[], object], about: str) -> None:
        async def run() -> None:
            await invoke()  # type: ignore[misc]

        self.tasks.append((about, Task(run())))

    def _woken(self) -> None:
        self.woken += 1

    def _note(self, event: ClientReady | ClientLost | FrameDropped | MessageArrived) -> None:
        self.notes.append(event)

    def _note_fault(self, about: str, error: Exception) -> None:
        self.faults.append((about, error))


def machine(*, most: int = 1000, contexts: tuple[str, ...] = ("office",), **arguments: Any) -> Office:
    """Return the office of a machine that has not begun."""
    return Office(RelayMachine(config(most=most, contexts=contexts), entropy=chance(), **arguments))


def ready(**arguments: Any) -> Office:
    """Return the office of a machine that is authenticated."""
    office = machine(**arguments).connect()
    assert office.machine.state is ClientState.READY
    office.taken()
    return office


def with_call(**arguments: Any) -> Office:
    """Return the office of a machine that has taken a call, ``c1``."""
    office = ready(**arguments).ring()
    office.taken()
    return office


def client(**arguments: Any) -> tuple[FakeClient, Office]:
    """Return a client that is connected, and its office."""
    made = FakeClient(config(), **arguments)
    task = made.begin()
    made.office.open()
    task.outcome()
    return made, made.office


def called(**arguments: Any) -> tuple[Call, Office, FakeClient]:
    """Return a call that rings at a client."""
    made, office = client(**arguments)
    office.ring()
    (call,) = made.calls
    return call, office, made
