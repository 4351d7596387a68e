"""Two honest ends and an adversary for a network: bytes come late, in pieces, twice or never, and links break.

The client's whole life is in it: control connections that come and go, and calls with media connections of their
own. What is said is drawn from the legal rows. The invariants have names:

I1 every request and every command ends exactly once        I5 after a clear, no speech from before it leaves
I2 a call ends exactly once, and tells nothing after that   I6 everything that is kept stays within its bound
I3 speech never exceeds credit                              I7 nothing is told after the end of a connection
I4 every frame of audio is whole samples                    I8 what is over waits for nothing
"""

import json
from contextlib import suppress
from typing import Any, final

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telcoflow_proto import (
    CallEnded,
    CallIn,
    CallOffered,
    CallState,
    CallWord,
    ClientConfig,
    ClientLost,
    ClientMachine,
    CommandDone,
    CommandReceived,
    ConnectionLost,
    ControlServerConnection,
    ControlState,
    CreateSession,
    FrameDropped,
    LocalProtocolError,
    MediaServerConnection,
    OpenSession,
    RequestDone,
    RequestReceived,
    Role,
    SessionInfo,
    SessionNotice,
    SessionReadied,
    SessionState,
    SetupRequested,
    TransportWanted,
    UpgradeRequested,
)
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.table import CALL_TABLE, COMMANDS
from telcoflow_proto.testing import entropy
from tests.core.support import frames_in

SETTINGS = settings(derandomize=True, deadline=None, max_examples=150, stateful_step_count=60)
CONFIG = ClientConfig.sandbox(api_key="k", connector_uuid="u", base_url="ws://localhost:8080")
MOST_CREDIT = int(DEFAULT_LIMITS.credit_seconds * 48_000)
SESSIONS = ("s0", "s1")


@final
@attrs.define(eq=False)
class Line:
    """One connection: what each end has said and the other has not heard, in writes as they left."""

    client: Any
    server: Any
    wires: dict[Role, list[bytes]] = attrs.field(factory=lambda: {role: [] for role in Role})
    told_end: dict[Role, int] = attrs.field(factory=lambda: dict.fromkeys(Role, 0))
    cut: bool = False

    def end(self, role: Role) -> Any:
        return self.client if role is Role.CLIENT else self.server


@final
@attrs.define(eq=False)
class Call:
    """What the adversary knows of one call."""

    id: str
    line: Line
    said: set[str] = attrs.field(factory=set)
    done: list[str] = attrs.field(factory=list)
    waiting: list[str] = attrs.field(factory=list)
    ended: int = 0
    granted: int = 0
    sent: int = 0
    epoch: int = 1


@final
class Adversary(RuleBasedStateMachine):
    """Holds the client, the service, every wire between them, and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.client = ClientMachine(CONFIG, entropy=entropy(1))
        self.control: Line | None = None
        self.wanted = False
        self.calls: dict[str, Call] = {}
        self.asked: set[str] = set()
        self.done: list[str] = []
        self.requests: list[Any] = []
        self.offered: list[str] = []
        self.numbers = 0

    @initialize(begun=st.sampled_from(["no", "set up", "a call", "a call", "talking", "talking"]))
    def begin(self, begun: str) -> None:
        """Honest beginnings: what happens in them the adversary can also reach, but rarely does."""
        self.client.connect(now=self.now)
        self.client.accept_calls(now=self.now)
        self.settle()
        if begun == "no":
            return
        self.a_control_stream_is_opened_or_not(works=True)
        self.deliver_everything()
        if begun == "set up":
            return
        self.the_service_pushes("s0", "notify")
        self.deliver_everything()
        self.the_service_answers(success=True)
        self.deliver_everything()
        self.a_call_is_connected(0)
        if begun == "talking":
            (call,) = self.calls.values()
            call.said.add(call.line.client.answer(now=self.now))
            self.deliver_everything()
            self.the_service_carries_out(0, success=True)
            self.the_service_wants_audio(0, 2000, 960)
            self.deliver_everything()

    # ------------------------------------------------------------------ what happens after anything happened

    def lines(self) -> list[Line]:
        control = [] if self.control is None else [self.control]
        return [*control, *(call.line for call in self.calls.values() if call.line.server is not None)]

    def settle(self) -> None:
        """Take what is to be written, and look at what is told, until nothing more happens."""
        busy = True
        while busy:
            busy = False
            for line in self.lines():
                for role in Role:
                    data = line.end(role).data_to_send(now=self.now)
                    if data and not line.cut:
                        busy = True
                        self.on_said(line, role, data)
                        line.wires[role].append(data)
                busy |= self.hear_server(line)
            busy |= self.hear_client()
            for call in self.calls.values():
                busy |= self.hear_call(call)
        for line in self.lines():
            self.close_streams(line)

    def on_said(self, line: Line, role: Role, data: bytes) -> None:
        call = next((call for call in self.calls.values() if call.line is line), None)
        if call is None or role is Role.SERVER or data.startswith(b"GET "):
            return
        for first, payload in frames_in(data):
            if first == 0x82:
                pcm = payload[1:]
                assert payload[0] == 0
                assert len(pcm) % 2 == 0, "I4"
                assert pcm, "I4"
                assert set(pcm) <= {call.epoch}, "I5"
                call.sent += len(pcm)

    def hear_client(self) -> bool:
        busy = False
        for event in self.client.events():
            busy = True
            if isinstance(event, TransportWanted):
                self.wanted, self.control = True, None
            elif isinstance(event, CallOffered):
                assert event.identity.call_id not in self.calls, "a call is offered once"
                self.calls[event.identity.call_id] = Call(event.identity.call_id, Line(event.media, None))
            elif isinstance(event, RequestDone):
                self.done.append(event.request_id)
            elif isinstance(event, ClientLost):
                assert (event.retry_in is None) is self.client.finished
            assert not isinstance(event, FrameDropped), "an honest service is not blamed"
        return busy

    def hear_server(self, line: Line) -> bool:
        busy = False
        for event in line.server.events():
            busy = True
            assert not line.told_end[Role.SERVER], "I7"
            assert not isinstance(event, FrameDropped), "an honest client is not blamed"
            if isinstance(event, ConnectionLost):
                line.told_end[Role.SERVER] += 1
            elif isinstance(event, UpgradeRequested):
                line.server.accept(now=self.now)
            elif isinstance(event, SetupRequested):
                line.server.complete_setup(connection_id="w", now=self.now)
            elif isinstance(event, RequestReceived):
                self.requests.append((line, event.requested))
            elif isinstance(event, SessionReadied):
                self.offer(line, event.session_id)
            elif isinstance(event, CommandReceived):
                call = next(call for call in self.calls.values() if call.line is line)
                call.waiting.append(event.command.command_id)
        return busy

    def hear_call(self, call: Call) -> bool:
        busy = False
        for event in call.line.client.events():
            busy = True
            assert not call.line.told_end[Role.CLIENT], "I7"
            assert not call.ended or isinstance(event, ConnectionLost), "I2"
            assert not isinstance(event, FrameDropped), "an honest service is not blamed"
            if isinstance(event, CallEnded):
                call.ended += 1
                self.client.release(call.id)
            elif isinstance(event, CommandDone):
                call.done.append(event.command_id)
            elif isinstance(event, ConnectionLost):
                call.line.told_end[Role.CLIENT] += 1
        return busy

    def close_streams(self, line: Line) -> None:
        """An end that is closed closes its stream once it has written; the other one hears that after the rest."""
        for role in Role:
            if line.end(role).closed and not line.wires[role] and not line.end(role.peer).closed and not line.cut:
                line.end(role.peer).receive_eof(now=self.now)
                self.settle()

    def offer(self, line: Line, session_id: str) -> None:
        if line.server.session_state(session_id) in (SessionState.READY, SessionState.IN_CALL):
            self.offered.append(session_id)
            call = CallIn(session_id=session_id, call_id=f"c-{session_id}", url="ws://localhost:8080/m", token="t")
            line.server.offer_call(call, now=self.now)

    # ------------------------------------------------------------------ the network

    @precondition(lambda self: self.wanted)
    @rule(works=st.sampled_from([True, True, True, False]))
    def a_control_stream_is_opened_or_not(self, works: bool) -> None:
        self.wanted = False
        if works:
            self.control = Line(self.client, ControlServerConnection(entropy=entropy(2)))
            self.control.server.start(now=self.now)
            self.client.start(now=self.now)
        else:
            self.client.fail_transport("refused", now=self.now)
        self.settle()

    @rule(pick=st.integers(0, 10), sender=st.sampled_from(Role), count=st.sampled_from([1, 7, 200, 10**6]))
    def deliver(self, pick: int, sender: Role, count: int) -> None:
        lines = self.lines()
        if not lines:
            return
        line = lines[pick % len(lines)]
        while count and line.wires[sender] and not line.cut:
            whole = line.wires[sender].pop(0)
            piece, rest = whole[:count], whole[count:]
            if rest:
                line.wires[sender].insert(0, rest)
            count -= len(piece)
            line.end(sender.peer).receive_data(piece, now=self.now)
            self.settle()

    @rule()
    def deliver_everything(self) -> None:
        for _ in range(20):
            for number in range(len(self.lines())):
                for sender in Role:
                    self.deliver(number, sender, 10**6)

    @rule(pick=st.integers(0, 10))
    def deliver_twice(self, pick: int) -> None:
        """At least once is what a service promises: its next pushes arrive two times."""
        line = self.control
        if line is None or line.cut or not line.wires[Role.SERVER]:
            return
        data = line.wires[Role.SERVER][0]
        whole = data[:1] == b"\x81" and all(
            first == 0x81 and json.loads(payload)["type"] in ("session.notify", "call.in", "session.closed")
            for first, payload in _frames(data)
        )
        if whole and _frames(data):
            line.wires[Role.SERVER].insert(0, data)

    @rule(pick=st.integers(0, 10), now=st.integers(0, 8).map(lambda number: number == 5))
    def cut(self, pick: int, now: bool) -> None:
        lines = self.lines()
        if lines and now:
            line = lines[pick % len(lines)]
            line.cut = True
            for wire in line.wires.values():
                wire.clear()
            line.client.receive_eof(now=self.now)
            line.server.receive_eof(now=self.now)
            self.settle()

    @precondition(lambda self: self.control is not None and self.control.server.state is ControlState.READY)
    @rule(now=st.integers(0, 3).map(lambda number: number == 2))
    def the_control_connection_breaks_and_comes_back(self, now: bool) -> None:
        """The steps of a reconnect, in a row: one by one they are rarely drawn. Calls are announced again."""
        if not now:
            return
        self.cut(0, now=True)
        while not self.wanted:
            self.pass_time(0.5)
        self.a_control_stream_is_opened_or_not(works=True)
        self.deliver_everything()
        if self.control is not None and self.control.server.state is ControlState.READY:
            self.the_service_pushes("s0", "notify")
            self.deliver_everything()
            if self.requests:
                self.the_service_answers(success=True)
                self.deliver_everything()

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 12.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            ends = [self.client, *(end for line in self.lines() for end in (line.client, line.server))]
            ends += [call.line.client for call in self.calls.values()]
            due = min((at for end in ends if (at := end.next_deadline()) is not None), default=until)
            if due > until:
                break
            self.now = max(self.now, due)
            for end in ends:
                end.handle_timeout(now=self.now)
            self.settle()
            if due == until:
                break
        self.now = max(self.now, until)

    # ------------------------------------------------------------------ the application and the service

    @precondition(lambda self: self.control is not None and self.control.server.state is ControlState.READY)
    @rule(session_id=st.sampled_from(SESSIONS), word=st.sampled_from(["notify", "notify", "again", "closed"]))
    def the_service_pushes(self, session_id: str, word: str) -> None:
        assert self.control is not None
        server = self.control.server
        if word == "notify":
            notice = SessionNotice(session_id=session_id, channel="TELCO", activity="NEW_INCOMING_CALL")
            server.notify(notice, now=self.now)
        elif word == "again":
            self.offer(self.control, session_id)
        else:
            server.close_session(session_id, "CALL_TERMINATED", now=self.now)
            gone = OpenSession(session_id=session_id)
            self.requests = [(line, asked) for line, asked in self.requests if asked.request != gone]
        self.settle()

    @precondition(lambda self: self.requests)
    @rule(success=st.sampled_from([True, True, True, False]))
    def the_service_answers(self, success: bool) -> None:
        line, requested = self.requests.pop(0)
        server, request = line.server, requested.request
        if server.lost or server.state is not ControlState.READY:
            return
        with suppress(LocalProtocolError):  # it comes too late
            if not success:
                server.refuse(requested.request_id, error_code="SESSION_BUSY", now=self.now)
            elif isinstance(request, OpenSession):
                info = SessionInfo(id=request.session_id, channel="TELCO")
                server.open_succeeded(requested.request_id, info, now=self.now)
            elif isinstance(request, CreateSession):
                server.create_succeeded(requested.request_id, "s9", created=True, now=self.now)
        self.settle()

    @rule()
    def the_application_asks(self) -> None:
        try:
            self.asked.add(self.client.create_session(channel="TELCO", remote_address="+1", now=self.now))
        except LocalProtocolError:
            assert self.client.control is None or self.client.control.state is not ControlState.READY
        self.settle()

    def live(self, pick: int) -> Call | None:
        calls = [call for call in self.calls.values() if not call.line.client.over]
        return calls[pick % len(calls)] if calls else None

    @rule(pick=st.integers(0, 5))
    def a_call_is_connected(self, pick: int) -> None:
        call = self.live(pick)
        if call is not None and call.line.server is None and not call.line.client.started:
            call.line.server = MediaServerConnection(entropy=entropy(3))
            call.line.server.start(now=self.now)
            call.line.client.start(now=self.now)
            self.settle()

    @rule(pick=st.integers(0, 5), data=st.data())
    def the_agent_commands(self, pick: int, data: st.DataObject) -> None:
        call = self.live(pick)
        if call is None:
            return
        legal = [word for word in CALL_TABLE.sayable(call.line.client.state, Role.CLIENT) if word in COMMANDS]
        word = data.draw(st.sampled_from(legal))
        if word is CallWord.INTERRUPT:
            call.epoch = call.epoch % 200 + 1
        call.said.add(getattr(call.line.client, word.name.lower())(now=self.now))
        self.settle()

    @rule(pick=st.integers(0, 5), samples=st.integers(1, 4000), last=st.booleans())
    def the_agent_speaks(self, pick: int, samples: int, last: bool) -> None:
        call = self.live(pick)
        if call is None or call.line.client.state is CallState.PENDING:
            return
        pcm = bytes([call.epoch]) * (2 * samples)
        if len(pcm) <= call.line.client.room:
            call.line.client.send_audio(pcm, now=self.now)
        if last:
            call.line.client.drain_audio(now=self.now)
        self.settle()

    @rule(pick=st.integers(0, 5), more=st.booleans())
    def the_agent_is_interrupted(self, pick: int, more: bool) -> None:
        """The caller speaks in between: what was to be said is not, and something else may be."""
        self.the_agent_speaks(pick, 4000, last=False)
        call = self.live(pick)
        if call is None or call.line.client.state is CallState.PENDING:
            return
        call.epoch = call.epoch % 200 + 1
        call.said.add(call.line.client.interrupt(now=self.now))
        if more:
            self.the_agent_speaks(pick, 500, last=False)
        self.settle()

    @rule(pick=st.integers(0, 5), how=st.sampled_from(["force", "hang up", *["stay"] * 12]))
    def the_agent_leaves(self, pick: int, how: str) -> None:
        call = self.live(pick)
        if call is not None and how == "force":
            call.line.client.force_disconnect(now=self.now)
        elif call is not None and how == "hang up":
            call.line.client.close_connection(now=self.now)
        self.settle()

    def serving(self, pick: int) -> Call | None:
        calls = [call for call in self.calls.values() if call.line.server and not call.line.server.over]
        return calls[pick % len(calls)] if calls else None

    @rule(pick=st.integers(0, 5), success=st.sampled_from([True, True, True, False]))
    def the_service_carries_out(self, pick: int, success: bool) -> None:
        call = self.serving(pick)
        if call is None or not call.waiting:
            return
        command_id = call.waiting.pop(0)
        with suppress(LocalProtocolError):  # it comes too late
            if success:
                call.line.server.succeed(command_id, now=self.now)
            else:
                call.line.server.refuse(command_id, error_code="NO", now=self.now)
        self.settle()

    @rule(pick=st.integers(0, 5), size=st.integers(1, 200_000), frame_bytes=st.integers(1, 5000))
    def the_service_wants_audio(self, pick: int, size: int, frame_bytes: int) -> None:
        call = self.serving(pick)
        if call is not None and call.line.server.state is not CallState.PENDING:
            call.line.server.request_audio(size, frame_bytes=frame_bytes, now=self.now)
            call.granted += size
            self.settle()

    @rule(pick=st.integers(0, 5), ends=st.integers(0, 9).map(lambda number: number == 5))
    def the_service_talks(self, pick: int, ends: bool) -> None:
        call = self.serving(pick)
        if call is None:
            return
        if ends:
            call.line.server.terminate(now=self.now)
        elif call.line.server.state is not CallState.PENDING:
            call.line.server.send_audio(b"\1\0" * 480, now=self.now)
        self.settle()

    # ------------------------------------------------------------------ what must hold, always

    @invariant()
    def i1_everything_ends_once(self) -> None:
        assert len(self.done) == len(set(self.done))
        assert set(self.done) <= self.asked
        if self.client.control is None:
            assert set(self.done) == self.asked
        for call in self.calls.values():
            assert len(call.done) == len(set(call.done))
            assert set(call.done) <= call.said
            if call.line.client.over:
                assert set(call.done) == call.said

    @invariant()
    def i2_a_call_ends_once(self) -> None:
        for call in self.calls.values():
            assert call.ended == call.line.client.over

    @invariant()
    def i3_speech_never_exceeds_credit(self) -> None:
        for call in self.calls.values():
            assert call.sent <= call.granted

    @invariant()
    def i6_what_is_kept_stays_within_its_bound(self) -> None:
        for call in self.calls.values():
            statistics = call.line.client.statistics()
            assert statistics.bytes_queued <= call.line.client.capacity
            assert statistics.credit <= MOST_CREDIT
            assert statistics.pending_commands <= len(COMMANDS) + DEFAULT_LIMITS.pending_requests
            assert statistics.bad_frames == 0
        assert self.client.statistics().notices_waiting <= DEFAULT_LIMITS.waiting_notices
        assert len(self.calls) <= len(SESSIONS)

    @invariant()
    def i7_an_end_is_told_once(self) -> None:
        for line in self.lines():
            assert all(count <= 1 for count in line.told_end.values())

    @invariant()
    def i8_what_is_over_waits_for_nothing(self) -> None:
        for call in self.calls.values():
            if call.line.client.lost:
                assert call.line.client.next_deadline() is None
                assert call.line.client.statistics().pending_commands == 0
            if call.line.server is not None and call.line.server.lost:
                assert call.line.server.next_deadline() is None

    def teardown(self) -> None:
        self.client.close(now=self.now)
        self.settle()
        for line in self.lines():
            line.client.receive_eof(now=self.now)
            line.server.receive_eof(now=self.now)
        for call in self.calls.values():
            call.line.client.force_disconnect(now=self.now)
        self.settle()
        self.i1_everything_ends_once()
        self.i2_a_call_ends_once()
        self.i8_what_is_over_waits_for_nothing()
        assert self.client.finished
        assert self.client.next_deadline() is None
        assert set(self.done) == self.asked


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    """Read frames, if the data begins and ends with whole ones."""
    try:
        return list(frames_in(data))
    except (AssertionError, IndexError):
        return []


TestAdversary = Adversary.TestCase
TestAdversary.settings = SETTINGS


def test_the_adversary_reaches_talking_and_reconnecting() -> None:
    """The machine is no use if its honest ends never get anywhere: one straight walk through it."""
    world = Adversary()
    world.begin("talking")
    (call,) = world.calls.values()
    world.the_agent_speaks(0, 1000, last=True)
    world.deliver_everything()
    assert call.sent == 2000
    world.cut(0, now=True)
    while not world.wanted:
        world.pass_time(0.5)
        world.deliver_everything()
    assert not call.line.client.over, "a lost control connection leaves calls alone"
    world.a_control_stream_is_opened_or_not(works=True)
    world.deliver_everything()
    assert world.control is not None
    assert world.control.server.state is ControlState.READY
    world.teardown()
