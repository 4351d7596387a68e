"""Two honest ends of a RELAY connection over a pipe of bytes, in any order of events.

The pipe delivers any number of bytes at a time, a second late at most, and may break. Verbs are called whenever
they like, and may be refused; nothing else may ever be raised, and nobody is ever blamed.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.relay.jsonrpc import Id
from telcoflow_proto.relay.messages import (
    Authenticated,
    AuthenticationRefused,
    ConnectRequested,
    EventAcknowledged,
    EventArrived,
    Replied,
    RequestReceived,
    ServerLeaves,
)
from telcoflow_proto.relay.table import RelayState
from telcoflow_proto.replies import Outcome
from telcoflow_proto.roles import Role
from tests.relay.ends import T0, connections

UNDER_WAY = 0.9
"""Seconds a byte needs at most; there and back it is less than a link waits for the answer to its close."""
DECIDED_WITHIN = 4.0
"""Seconds an honest service needs at most to let a client in, or not."""

RARELY = st.integers(0, 30).map(lambda number: number == 17)  # in the middle: the ends are drawn more often
METHODS = st.sampled_from(["calling.answer", "calling.play", "signalwire.receive"])


@final
class Relay(RuleBasedStateMachine):
    """A client, a service, and what each of them must have heard of the other."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.client, self.server = connections()
        self.ends: dict[Role, Any] = {Role.CLIENT: self.client, Role.SERVER: self.server}
        self.wires: dict[Role, deque[tuple[float, bytes]]] = {role: deque() for role in Role}
        self.broken = False
        self.blamed: list[object] = []
        self.asked: set[str] = set()
        self.replied: Counter[str] = Counter()
        self.promised: dict[str, dict[str, Any]] = {}
        self.results: dict[str, Replied] = {}
        self.open: list[Id] = []
        self.decided_by: float | None = None
        self.pushed: list[str] = []
        self.taken: list[str] = []
        self.told: list[Any] = []
        self.lost: dict[Role, list[ConnectionLost]] = {role: [] for role in Role}
        self.left = False
        self.opened: set[Role] = set()
        self.hung_up = False

    # ------------------------------------------------------------------ the pipe

    def settle(self) -> None:
        """After anything happened: put on the wire what is to be sent, and look at what is reported."""
        busy = True
        while busy:
            busy = False
            for role, end in self.ends.items():
                data = end.data_to_send(now=self.now)
                if data and not self.broken:
                    self.wires[role].append((self.now + UNDER_WAY, data))
                for event in end.events():
                    busy = True
                    assert not self.lost[role], "the loss is the last event"
                    self.look(role, event)
        for role, end in self.ends.items():
            if end.closed and not self.wires[role] and not self.broken and not self.ends[role.peer].closed:
                self.ends[role.peer].receive_eof(now=self.now)  # all it had to say has arrived
                self.settle()

    def look(self, role: Role, event: object) -> None:
        match event:
            case FrameDropped():
                self.blamed.append(event)
            case ConnectionLost():
                self.lost[role].append(event)
                if event.error is not None and not self.broken:
                    self.blamed.append(event)
            case UpgradeRequested():
                self.server.accept(now=self.now)
            case ConnectRequested():
                self.decided_by = self.now + DECIDED_WITHIN
            case RequestReceived():
                assert self.server.state is RelayState.READY, "it could not be answered"
                self.open.append(event.request_id)
            case EventAcknowledged():
                self.taken.append(event.event_id)
            case EventArrived():
                self.told.append(event.params["n"])
            case Replied():
                self.replied[event.request_id] += 1
                self.results[event.request_id] = event
            case ServerLeaves():
                assert not self.left
                self.left = True
            case ConnectionOpened():
                self.opened.add(role)
            case _:
                assert isinstance(event, Authenticated | AuthenticationRefused)

    def deliver(self, sender: Role, count: int) -> None:
        """Deliver up to ``count`` bytes of the oldest piece."""
        due, data = self.wires[sender].popleft()
        if data[count:]:
            self.wires[sender].appendleft((due, data[count:]))
        self.ends[sender.peer].receive_data(data[:count], now=self.now)
        self.settle()

    @rule(sender=st.sampled_from(Role), counts=st.lists(st.sampled_from([1, 2, 7, 50, 10**6]), max_size=8))
    def some_bytes_arrive(self, sender: Role, counts: list[int]) -> None:
        for count in counts:
            if self.wires[sender]:
                self.deliver(sender, count)

    @rule()
    def everything_arrives(self) -> None:
        while any(self.wires.values()):
            for sender in Role:
                if self.wires[sender]:
                    self.deliver(sender, 10**6)

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 11.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            arrivals = [wire[0][0] for wire in self.wires.values() if wire]
            deadlines = [*(end.next_deadline() for end in self.ends.values()), self.decided_by]
            self.now = max(self.now, min([until, *arrivals, *(at for at in deadlines if at is not None)]))
            for sender in Role:
                while self.wires[sender] and self.wires[sender][0][0] <= self.now:
                    self.deliver(sender, 10**6)
            if self.decided_by is not None and self.decided_by <= self.now:
                self.the_service_decides(lets_in=True)
            for end in self.ends.values():
                end.handle_timeout(now=self.now)
            self.settle()
            due = [end.next_deadline() for end in self.ends.values()]
            assert all(at is None or at > self.now for at in due), "what was due is done"

    @rule(now=RARELY, how=st.sampled_from(["eof", "reset"]))
    def the_pipe_breaks(self, now: bool, how: str) -> None:
        if now:
            self.break_pipe(how)

    def break_pipe(self, how: str) -> None:
        self.broken = True
        for role, end in self.ends.items():
            self.wires[role].clear()
            if how == "eof":
                end.receive_eof(now=self.now)
            else:
                end.fail_transport("reset", now=self.now)
        self.settle()

    # ------------------------------------------------------------------ the ends

    def attempt(self, end: Any, verb: Callable[[], object]) -> object:
        """Call a verb; None if it was refused, and then nothing has changed."""
        before = end.state, end.next_deadline(), end.data_to_send(now=self.now)
        assert not before[2]
        try:
            said = verb()
        except LocalProtocolError:
            assert (end.state, end.next_deadline(), end.data_to_send(now=self.now)) == before
            return None
        self.settle()
        return said or True

    @initialize(begun=st.sampled_from(["no", "connecting", "ready", "ready", "ready"]))
    def begin(self, begun: str) -> None:
        self.settle()
        if begun != "no":
            self.everything_arrives()
        if begun == "ready":
            self.the_service_decides(lets_in=True)
            self.everything_arrives()
            assert self.client.state is self.server.state is RelayState.READY

    @rule(method=METHODS, within=st.sampled_from([0.5, 5.0, 10.0, 60.0]), count=st.integers(1, 3))
    def the_client_asks(self, method: str, within: float, count: int) -> None:
        for _ in range(count):
            request_id = self.attempt(self.client, lambda: self.client.request(method, {}, within=within, now=self.now))
            if request_id is not None:
                assert isinstance(request_id, str)
                self.asked.add(request_id)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def the_client_asks_under_an_id_it_had(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(sorted(self.asked)))
        if not self.replied[request_id]:
            again = self.attempt(self.client, lambda: self.client.request("m", {}, request_id=request_id, now=self.now))
            assert again is None

    @rule(lets_in=st.sampled_from([True, True, True, False]))
    def the_service_decides(self, lets_in: bool) -> None:
        allowed = self.server.state is RelayState.AUTHENTICATING
        self.decided_by = None
        if lets_in:
            done = self.attempt(self.server, lambda: self.server.authenticate(protocol="p1", now=self.now))
        else:
            done = self.attempt(self.server, lambda: self.server.refuse_connect(code=-1, message="no", now=self.now))
        assert (done is not None) == allowed

    @precondition(lambda self: self.open)
    @rule(data=st.data(), code=st.sampled_from(["200", "404", None]))
    def the_service_answers(self, data: st.DataObject, code: str | None) -> None:
        request_id = data.draw(st.sampled_from(self.open))
        if code is None:
            done = self.attempt(self.server, lambda: self.server.fail(request_id, code=-1, message="no", now=self.now))
        else:
            done = self.attempt(self.server, lambda: self.server.respond(request_id, {"code": code}, now=self.now))
        assert (done is not None) == (self.server.state is RelayState.READY)
        if done is not None:
            self.open.remove(request_id)
            self.promised[str(request_id)] = {"code": code}
            again = self.attempt(self.server, lambda: self.server.respond(request_id, {}, now=self.now))
            assert again is None, "an answer is given once"

    @rule(again=st.booleans())
    def the_service_tells(self, again: bool) -> None:
        number = len(self.pushed)
        event_id = f"e{number}"
        if self.attempt(self.server, lambda: self.server.push("t", {"n": number}, event_id=event_id, now=self.now)):
            self.pushed.append(event_id)

    @rule(now=RARELY, restart=st.booleans())
    def the_service_says_goodbye(self, now: bool, restart: bool) -> None:
        if now:
            self.attempt(self.server, lambda: self.server.ask_to_leave(restart=restart, now=self.now))

    @rule(now=RARELY, role=st.sampled_from(Role))
    def an_end_closes(self, now: bool, role: Role) -> None:
        if now:
            self.hung_up = True
            self.broken = self.broken or role not in self.opened  # who has no connection yet just goes
            self.ends[role].close_connection(now=self.now)
            self.settle()

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def nobody_is_blamed(self) -> None:
        assert self.blamed == []
        assert [end.bad_frames for end in self.ends.values()] == [0, 0]

    @invariant()
    def only_what_came_too_late_is_unexpected(self) -> None:
        late = sum(one.outcome is Outcome.TIMED_OUT for one in self.results.values())
        assert self.client.unexpected <= late
        assert self.server.unexpected == 0

    @invariant()
    def every_request_ends_once(self) -> None:
        assert set(self.replied) <= self.asked
        assert all(count == 1 for count in self.replied.values())
        if self.client.lost:
            assert set(self.replied) == self.asked

    @invariant()
    def what_was_answered_is_what_was_heard(self) -> None:
        for request_id, reply in self.results.items():
            if reply.outcome is Outcome.DONE:
                assert self.promised[request_id] == {"code": "200"}
            if reply.outcome is Outcome.REFUSED:
                assert self.promised[request_id]["code"] in {"404", None}

    @invariant()
    def events_arrive_once_and_in_order(self) -> None:
        assert self.told == list(range(len(self.told)))
        assert self.taken == self.pushed[: len(self.taken)]
        assert len(self.taken) <= len(self.told) <= len(self.pushed)

    @invariant()
    def both_agree_when_nothing_is_under_way(self) -> None:
        if any(self.wires.values()) or self.broken or len(self.opened) < len(self.ends):
            return
        if any(end.closed or end.lost for end in self.ends.values()) or self.hung_up:
            return
        assert {self.client.state, self.server.state} != {RelayState.READY, RelayState.LEAVING}
        if self.client.state is RelayState.READY:
            assert self.server.state is RelayState.READY
            assert len(self.taken) == len(self.told) == len(self.pushed)
            assert set(self.open) | set(self.promised) == self.asked

    @invariant()
    def the_loss_is_told_once(self) -> None:
        for role, end in self.ends.items():
            assert len(self.lost[role]) == end.lost

    def teardown(self) -> None:
        self.break_pipe("reset")
        assert all(len(losses) == 1 for losses in self.lost.values())
        assert all(end.closed and end.next_deadline() is None for end in self.ends.values())
        self.every_request_ends_once()
        self.nobody_is_blamed()


TestRelay = Relay.TestCase
TestRelay.settings = settings(derandomize=True, deadline=None, max_examples=200, stateful_step_count=50)
