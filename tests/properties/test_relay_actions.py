"""Actions of RELAY calls, whatever happens in whatever order: each ends exactly once, and nothing breaks.

A start ends with its action being over, or with an error that is raised instead: never both, never twice, and
nothing is left when the client has left.
"""

from collections import Counter
from typing import Any, final

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.exceptions import RelayError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.action import Action
from telcoflow_proto.relay.call import Call
from telcoflow_proto.relay.client_events import ActionOver, CallOver
from telcoflow_proto.relay.events import RelayEvent
from telcoflow_proto.relay.table import RelayState
from tests.core.loopless import Task
from tests.relay.office import FakeClient, config

SETTINGS = settings(derandomize=True, deadline=None, max_examples=200, stateful_step_count=50)

ENDS: dict[str, JsonObject] = {
    "play": {"state": "finished"},
    "record": {"state": "finished"},
    "collect": {"result": {"type": "digit"}},
    "detect": {"detect": {"type": "fax"}},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "play": {"media": [{"type": "silence", "params": {}}]},
    "record": {},
    "collect": {},
    "detect": {"detect": {"type": "fax", "params": {}}},
}
KINDS = tuple(ENDS)
METHODS = tuple(f"calling.{kind}" for kind in KINDS)


@final
@attrs.define(eq=False, kw_only=True)
class Start:
    """An action somebody asked for, and what became of it."""

    call: Call
    kind: str
    control_id: str
    task: Task
    completed: list[RelayEvent]

    @property
    def ends(self) -> int:
        """How often it has ended, in whatever way."""
        raised = self.task.done and self.task.error is not None
        return len(self.completed) + raised

    def check(self) -> None:
        """An end is told once, and what the user holds agrees with it."""
        assert self.ends <= 1
        for event in self.completed:
            assert event.event_type in {"", f"calling.call.{self.kind}"}
        if self.task.done and self.task.error is not None:
            assert isinstance(self.task.error, RelayError)
            assert self.task.error.code not in {404, 410}
        elif self.task.done:
            action = self.task.result
            assert isinstance(action, Action)
            assert action.is_done == action.completed == bool(self.completed)


class Actions(RuleBasedStateMachine):
    """One client, its calls, and a service that does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.client = FakeClient(config(most=6), backoff=Backoff(first=0.5, ceiling=2.0))
        self.office = self.client.office
        self.calls: list[Call] = []
        self.starts: list[Start] = []
        self.client.on_call(self.calls.append)
        self.office.answers |= dict.fromkeys((f"calling.{kind}" for kind in KINDS), None)
        task = self.client.begin()
        self.office.open().ring("c0").ring("c1")
        task.outcome()

    @property
    def alive(self) -> bool:
        return self.client.state not in {ClientState.CLOSING, ClientState.CLOSED}

    @property
    def speaks(self) -> bool:
        return self.alive and self.office.online and self.office.end.state is RelayState.READY

    # ------------------------------------------------------------------ what the user does

    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def start(self, data: st.DataObject, kind: str) -> None:
        call = data.draw(st.sampled_from(self.calls))
        completed: list[RelayEvent] = []
        control_id = f"a{len(self.starts)}"
        work = getattr(call, kind)(**ARGUMENTS[kind], control_id=control_id, on_completed=completed.append)
        start = Start(call=call, kind=kind, control_id=control_id, task=Task(work), completed=completed)
        self.starts.append(start)
        self.office.carry()

    # ------------------------------------------------------------------ what the service does

    @precondition(lambda self: self.speaks)
    @rule()
    def ring(self) -> None:
        self.office.ring(f"c{len(self.calls)}")

    @precondition(lambda self: self.speaks and any(map(self.office.waits_for_an_answer, METHODS)))
    @rule(data=st.data(), code=st.sampled_from([200, 200, 200, 200, 404, 410, 500]))
    def answer(self, data: st.DataObject, code: int) -> None:
        methods = list(filter(self.office.waits_for_an_answer, METHODS))
        self.office.answer(data.draw(st.sampled_from(methods)), code)

    @precondition(lambda self: self.speaks and self.starts)
    @rule(data=st.data(), kind=st.sampled_from((None, *KINDS)), terminal=st.booleans(), again=st.booleans())
    def tell(self, data: st.DataObject, kind: str | None, terminal: bool, again: bool) -> None:
        start = data.draw(st.sampled_from(self.starts))
        told = kind or start.kind
        params: JsonObject = ENDS[told] if terminal else {"state": "going on"}
        for _ in range(1 + again):
            self.office.put(f"calling.call.{told}", params, call_id=start.call.call_id, control_id=start.control_id)
        self.office.carry()

    @precondition(lambda self: self.speaks)
    @rule(data=st.data(), state=st.sampled_from(["answered", "ending", "ended"]))
    def move(self, data: st.DataObject, state: str) -> None:
        self.office.state(data.draw(st.sampled_from(self.calls)).call_id, state)

    # ------------------------------------------------------------------ what the network does

    @precondition(lambda self: self.speaks)
    @rule(how=st.sampled_from(["drop", "vanish", "leave", "restart"]), knows=st.sampled_from([200, 404, 500]))
    def lose_the_connection(self, how: str, knows: int) -> None:
        self.office.answers["calling.clear_digit_bindings"] = knows
        match how:
            case "drop":
                self.office.drop()
            case "vanish":
                self.office.vanish()
            case _:
                self.office.end.ask_to_leave(restart=how == "restart", now=self.office.now)
                self.office.carry()

    @precondition(lambda self: self.alive and not self.speaks)
    @rule(restored=st.booleans())
    def reconnect(self, restored: bool) -> None:
        self.office.reconnect(restored=restored)

    @precondition(lambda self: self.alive)
    @rule(seconds=st.sampled_from([0.3, 3.0, 11.0, 70.0, 310.0]))
    def wait(self, seconds: float) -> None:
        self.office.later(seconds)

    @precondition(lambda self: self.alive and len(self.starts) > 3)
    @rule(rarely=st.integers(0, 9))
    def disconnect(self, rarely: int) -> None:
        if rarely == 0:
            self.leave()

    # ------------------------------------------------------------------ what must be true

    @invariant()
    def each_ends_once(self) -> None:
        for start in self.starts:
            start.task.step()
            start.check()
        for told in (ActionOver, CallOver):
            counted = Counter(
                (one.call_id, getattr(one, "control_id", "")) for one in self.client.heard if isinstance(one, told)
            )
            assert set(counted.values()) <= {1}
        assert self.client.faults == []

    @invariant()
    def what_runs_is_what_has_not_ended(self) -> None:
        running = {start.control_id for start in self.starts if not start.ends}
        assert self.client.statistics().actions_live == len(running)

    def leave(self) -> None:
        ending = self.client.end()
        self.office.carry()
        self.office.later(30)
        self.client.cut()
        ending.outcome()

    def teardown(self) -> None:
        if self.alive:
            self.leave()
        for start in self.starts:
            start.task.step()
        for start in self.starts:
            start.check()
            assert start.task.done
            assert start.ends == 1
            assert start.call.state == "ended"
            assert not start.call._actions  # noqa: SLF001 - that nothing is left is the point
        relay: Any = self.office.machine
        for kept in (relay._queue, relay._starting, relay._dialling, relay._quiet, relay._asked_contexts):  # noqa: SLF001
            assert not kept
        assert (self.client.waiting, self.client.calls) == (0, [])


TestActions = Actions.TestCase
TestActions.settings = SETTINGS
