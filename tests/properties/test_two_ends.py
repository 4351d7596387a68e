"""Two honest ends over a pipe, in any order of events: nobody is blamed, nothing is lost, both agree.

What is said is drawn from the legal rows of the tables. A message is two seconds under way at most; the
ends may act at any time before it arrives.
"""

from collections import deque
from typing import Any, final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telcoflow_proto.control.client import ControlClient
from telcoflow_proto.control.events import RequestDone, RequestReceived, SetupRequested
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    CreateSession,
    MessageIn,
    OpenSession,
    Requested,
    SessionInfo,
    SessionNotice,
)
from telcoflow_proto.control.server import ControlServer
from telcoflow_proto.control.table import SESSION_TABLE, ControlState, SessionState, SessionWord
from telcoflow_proto.door import ConnectionLost, Message
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.events import CallEnded, CommandDone, CommandReceived
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.media.table import CALL_TABLE, COMMANDS, CallState, CallWord
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Close
from tests.media.calls import COMMAND_VERBS, entropy

UNDER_WAY = 2.0
"""Seconds a message needs at most; both ways together they stay below the client's grace."""

SETTINGS = settings(derandomize=True, deadline=None, max_examples=400, stateful_step_count=50)

RARELY = st.integers(0, 30).map(lambda number: number == 17)  # in the middle: the ends are drawn more often


class Pipe(RuleBasedStateMachine):
    """Carries messages between two ends, each in its time, and keeps the clock."""

    client: Any
    server: Any

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.wires: dict[Role, deque[tuple[float, Message]]] = {role: deque() for role in Role}
        self.hung_up: set[Role] = set()

    def end(self, role: Role) -> Any:
        return self.client if role is Role.CLIENT else self.server

    @property
    def up(self) -> bool:
        return not self.client.lost and not self.server.lost

    def may_speak(self, role: Role) -> bool:
        return self.up and role not in self.hung_up

    def settle(self) -> None:
        """After anything happened: put on the wire what is to be sent, and look at what is reported."""
        for role in Role:
            for message in self.end(role).messages_to_send(now=self.now):
                assert role not in self.hung_up, "nothing comes behind a close"
                self.on_said(role, message)
                self.wires[role].append((self.now, message))
                if isinstance(message, Close):
                    self.hung_up.add(role)
        for role in Role:
            for event in self.end(role).events():
                self.on_event(role, event)

    def deliver_one(self, sender: Role) -> None:
        _, message = self.wires[sender].popleft()
        if isinstance(message, Close):
            self.lose(code=message.code)
        else:
            self.on_heard(sender.peer, message)
            self.end(sender.peer).receive_message(message, now=self.now)
            self.settle()

    def lose(self, code: int = 1006) -> None:
        for role in Role:
            self.wires[role].clear()
            self.end(role).receive_close(code=code, now=self.now)
        self.settle()

    def on_said(self, role: Role, message: Message) -> None:
        """Look at a message on its way out."""

    def on_heard(self, role: Role, message: str | bytes) -> None:
        """Look at a message on its way in."""

    def on_event(self, role: Role, event: object) -> None:
        """Look at what an end reports."""

    @rule(sender=st.sampled_from(Role), count=st.integers(1, 5))
    def deliver(self, sender: Role, count: int) -> None:
        for _ in range(count):
            if self.wires[sender]:
                self.deliver_one(sender)

    @rule()
    def deliver_all(self) -> None:
        while any(self.wires.values()):
            for sender in Role:
                self.deliver(sender, 1)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 6.0, 40.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            arrivals = [wire[0][0] + UNDER_WAY for wire in self.wires.values() if wire]
            deadlines = [self.end(role).next_deadline() for role in Role]
            self.now = min([until, *arrivals, *(at for at in deadlines if at is not None)])
            for sender in Role:
                while self.wires[sender] and self.wires[sender][0][0] + UNDER_WAY <= self.now:
                    self.deliver_one(sender)
            for role in Role:
                self.end(role).handle_timeout(now=self.now)
            self.settle()
            due = [self.end(role).next_deadline() for role in Role]
            assert all(at is None or at > self.now for at in due), "what was due is done"

    @precondition(lambda self: self.up)
    @rule(now=RARELY)
    def lose_the_connection(self, now: bool) -> None:
        if now:
            self.lose()

    @invariant()
    def nobody_is_blamed(self) -> None:
        for role in Role:
            assert (self.end(role).bad_frames, self.end(role).unexpected) == (0, 0), role


@final
class Call(Pipe):
    """A call: commands, their answers, speech against credit, and every way to end."""

    client: MediaClient
    server: MediaServer

    def __init__(self) -> None:
        super().__init__()
        self.client = MediaClient(entropy=entropy())
        self.server = MediaServer(entropy=entropy())
        self.waiting: dict[str, float] = {}
        self.said: set[str] = set()
        self.done: list[str] = []
        self.ended = dict.fromkeys(Role, 0)
        self.granted = self.spoken = self.sent = self.epoch = 0
        self.largest = 960
        for role in Role:
            self.end(role).start(now=self.now)
        self.settle()

    def on_said(self, role: Role, message: Message) -> None:
        if role is Role.CLIENT and isinstance(message, bytes):
            pcm = message[1:]
            assert message[0] == 0
            assert pcm == bytes([self.epoch % 256]) * len(pcm), "no speech from before an interrupt"
            assert len(pcm) % 2 == 0
            assert 0 < len(pcm) <= self.largest
            self.sent += len(pcm)

    def on_event(self, role: Role, event: object) -> None:
        assert not self.ended[role] or isinstance(event, ConnectionLost), "the end of a call is the end of its events"
        if isinstance(event, CallEnded):
            self.ended[role] += 1
        elif isinstance(event, CommandDone):
            self.done.append(event.command_id)
        elif isinstance(event, CommandReceived):
            self.waiting[event.command.command_id] = self.now + event.command.timeout_ms / 1000 + 1

    @precondition(lambda self: self.may_speak(Role.CLIENT) and not self.client.over)
    @rule(data=st.data())
    def the_client_says(self, data: st.DataObject) -> None:
        legal = [word for word in CALL_TABLE.sayable(self.client.state, Role.CLIENT) if word in COMMANDS]
        word = data.draw(st.sampled_from(legal))
        if word is CallWord.CONNECT:
            self.said.add(self.client.connect(ring_time_seconds=data.draw(st.integers(1, 120)), now=self.now))
        elif word is CallWord.INTERRUPT:
            self.said.add(self.client.interrupt(now=self.now))
            self.epoch += 1
            assert self.client.bytes_queued == 0
        else:
            verb = getattr(self.client, word.name.lower())
            self.said.add(verb(now=self.now))
        self.settle()

    @precondition(
        lambda self: self.may_speak(Role.CLIENT) and self.client.state in (CallState.ANSWERED, CallState.CONNECTED)
    )
    @rule(samples=st.integers(0, 3000), last=st.booleans())
    def the_client_speaks(self, samples: int, last: bool) -> None:
        self.client.send_audio(bytes([self.epoch % 256]) * (2 * samples), now=self.now)
        if last:
            self.client.drain_audio(now=self.now)
        self.settle()

    @precondition(lambda self: self.may_speak(Role.SERVER) and self.waiting)
    @rule(data=st.data(), success=st.sampled_from([True, True, False]))
    def the_server_answers(self, data: st.DataObject, success: bool) -> None:
        command_id = data.draw(st.sampled_from(sorted(self.waiting)))
        due = self.waiting.pop(command_id)
        if self.server.over or self.now >= due:
            return  # settled with the call, or refused by the deadline
        if success:
            self.server.succeed(command_id, now=self.now)
        else:
            self.server.refuse(command_id, error_code="NO", now=self.now)
        self.settle()

    @precondition(lambda self: self.may_speak(Role.SERVER))
    @rule(size=st.integers(1, 20_000), frame_bytes=st.integers(1, 4000))
    def the_server_grants_credit(self, size: int, frame_bytes: int) -> None:
        if CallWord.CREDIT in CALL_TABLE.sayable(self.server.state, Role.SERVER):
            self.server.request_audio(size, frame_bytes=frame_bytes, now=self.now)
            self.granted += size
            self.largest = max(self.largest, frame_bytes)
            self.settle()

    @precondition(lambda self: self.may_speak(Role.SERVER))
    @rule(word=st.sampled_from([CallWord.ERROR, CallWord.NOTICE, CallWord.AUDIO]), ends=RARELY)
    def the_server_says(self, word: CallWord, ends: bool) -> None:
        if word not in CALL_TABLE.sayable(self.server.state, Role.SERVER):
            return
        if ends:
            self.server.terminate(now=self.now)
        elif word is CallWord.ERROR:
            self.server.report_error("E", "text", now=self.now)
        elif word is CallWord.NOTICE:
            self.server.notify("call.transferred", {}, now=self.now)
        else:
            self.server.send_audio(b"\1\0" * 480, now=self.now)
        self.settle()

    @precondition(lambda self: self.may_speak(Role.CLIENT))
    @rule(how=st.sampled_from(["hang up", "force", "session closed", *["stay"] * 30]))
    def the_client_leaves_without_a_word(self, how: str) -> None:
        if how == "hang up":
            self.client.close_connection(now=self.now)
        elif how == "force":
            self.client.force_disconnect(now=self.now)
        elif how == "session closed":
            self.client.session_closed("FORCE_CLOSE", now=self.now)
        self.settle()

    @invariant()
    def every_command_ends_once(self) -> None:
        assert len(self.done) == len(set(self.done))
        assert set(self.done) <= self.said
        if self.client.over:
            assert set(self.done) == self.said

    @invariant()
    def a_call_ends_once(self) -> None:
        for role in Role:
            assert self.ended[role] == self.end(role).over

    @invariant()
    def speech_never_exceeds_credit(self) -> None:
        assert self.sent <= self.granted
        assert self.client.statistics().bytes_sent == self.sent

    @invariant()
    def both_agree_when_the_wire_is_empty(self) -> None:
        if not any(self.wires.values()):
            assert self.client.state is self.server.state

    def teardown(self) -> None:
        self.lose()
        self.nobody_is_blamed()
        self.every_command_ends_once()
        self.a_call_ends_once()
        assert self.client.over
        assert self.server.over


@final
class Control(Pipe):
    """A control connection: claims, requests and what is pushed, for two sessions."""

    client: ControlClient
    server: ControlServer

    def __init__(self) -> None:
        super().__init__()
        self.client = ControlClient(entropy=entropy())
        self.server = ControlServer(entropy=entropy())
        self.waiting: dict[str, tuple[float, Requested]] = {}
        self.asked: set[str] = set()
        self.done: list[str] = []
        self.calls: list[str] = []

    @initialize(begun=st.sampled_from(["no", "set up", "claimed", "claimed"]))
    def open(self, begun: str) -> None:
        for role in Role:
            self.end(role).start(now=self.now)
        self.settle()
        if begun == "no":
            return
        self.deliver_all()
        if begun == "claimed":
            request_id = self.client.open_session("s0", now=self.now)
            self.asked.add(request_id)
            self.settle()
            self.deliver_all()
            del self.waiting[request_id]
            self.server.open_succeeded(request_id, SessionInfo(id="s0", channel="TELCO"), now=self.now)
            self.settle()

    def on_event(self, role: Role, event: object) -> None:
        if isinstance(event, RequestDone):
            self.done.append(event.request_id)
        elif isinstance(event, RequestReceived):
            self.waiting[event.requested.request_id] = (self.now, event.requested)
        elif isinstance(event, SetupRequested):
            self.server.complete_setup(connection_id="w1", now=self.now)
            self.settle()

    SESSIONS = st.sampled_from(["s0", "s1"])

    @precondition(lambda self: self.may_speak(Role.CLIENT) and self.client.state is ControlState.READY)
    @rule(session_id=SESSIONS, data=st.data())
    def the_client_says(self, session_id: str, data: st.DataObject) -> None:
        legal = SESSION_TABLE.sayable(self.client.session_state(session_id), Role.CLIENT)
        word = data.draw(st.sampled_from([*legal * 4, None]))
        if word is SessionWord.OPEN:
            self.asked.add(self.client.open_session(session_id, now=self.now))
        elif word is SessionWord.READY:
            self.client.ready(session_id, now=self.now)
        elif word is SessionWord.MESSAGE_OUT:
            self.asked.add(self.client.send_message(session_id, {}, now=self.now))
        elif data.draw(st.booleans()):
            self.asked.add(self.client.create_session(channel="TELCO", remote_address="+1", now=self.now))
        else:
            self.asked.add(self.client.set_up_call_flow(CallFlow(), now=self.now))
        self.settle()

    @precondition(lambda self: self.may_speak(Role.SERVER) and self.waiting)
    @rule(data=st.data(), success=st.sampled_from([True, True, False]))
    def the_server_answers(self, data: st.DataObject, success: bool) -> None:
        request_id = data.draw(st.sampled_from(sorted(self.waiting)))
        heard_at, requested = self.waiting.pop(request_id)
        if self.now > heard_at + 20.0:
            return  # too late for an honest answer
        request = requested.request
        if isinstance(request, OpenSession) and self.server.session_state(request.session_id) is SessionState.UNCLAIMED:
            return  # closed meanwhile, and refused with that
        if not success:
            self.server.refuse(request_id, error_code="SESSION_BUSY", now=self.now)
        elif isinstance(request, OpenSession):
            session = SessionInfo(id=request.session_id, channel="TELCO")
            self.server.open_succeeded(request_id, session, now=self.now)
        elif isinstance(request, CreateSession):
            self.server.create_succeeded(request_id, "s0", created=True, now=self.now)
        else:
            self.server.respond(request_id, now=self.now)
        self.settle()

    @precondition(lambda self: self.may_speak(Role.SERVER) and self.server.state is ControlState.READY)
    @rule(session_id=SESSIONS, data=st.data())
    def the_server_pushes(self, session_id: str, data: st.DataObject) -> None:
        pushed = (SessionWord.NOTIFY, SessionWord.CALL_IN, SessionWord.MESSAGE_IN, SessionWord.CLOSED)
        legal = SESSION_TABLE.sayable(self.server.session_state(session_id), Role.SERVER)
        word = data.draw(st.sampled_from([word for word in legal if word in pushed]))
        if word is SessionWord.NOTIFY:
            notice = SessionNotice(session_id=session_id, channel="TELCO", activity="RESUME")
            self.server.notify(notice, now=self.now)
        elif word is SessionWord.CALL_IN:
            call = CallIn(session_id=session_id, call_id=session_id, url="wss://m.example/c", token="t")
            self.server.offer_call(call, now=self.now)
        elif word is SessionWord.MESSAGE_IN:
            self.server.push_message(MessageIn(session_id=session_id, sender=None, content={}), now=self.now)
        else:
            for request_id, (_, requested) in list(self.waiting.items()):
                if requested.request == OpenSession(session_id=session_id):
                    del self.waiting[request_id]
            self.server.close_session(session_id, "CALL_TERMINATED", now=self.now)
        self.settle()

    @precondition(lambda self: self.may_speak(Role.CLIENT))
    @rule(now=RARELY)
    def the_client_hangs_up(self, now: bool) -> None:
        if now:
            self.client.close_connection(now=self.now)
            self.settle()

    @invariant()
    def every_request_ends_once(self) -> None:
        assert len(self.done) == len(set(self.done))
        assert set(self.done) <= self.asked
        if self.client.lost:
            assert set(self.done) == self.asked

    @invariant()
    def both_agree_when_nothing_is_under_way(self) -> None:
        pending = self.client.next_deadline() is not None or self.server.next_deadline() is not None
        if not pending and not any(self.wires.values()):
            assert self.client.state is self.server.state
            for session_id in ("s0", "s1"):
                assert self.client.session_state(session_id) is self.server.session_state(session_id)

    def teardown(self) -> None:
        self.lose()
        self.nobody_is_blamed()
        self.every_request_ends_once()
        assert self.client.state is self.server.state is ControlState.OVER


TestCall = Call.TestCase
TestCall.settings = SETTINGS
TestControl = Control.TestCase
TestControl.settings = SETTINGS


def test_every_command_of_the_table_has_a_verb_of_its_name() -> None:
    assert {word.value for word in COMMANDS} == set(COMMAND_VERBS)
    assert all(callable(getattr(MediaClient, word.name.lower())) for word in COMMANDS)
