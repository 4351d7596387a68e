"""Every cell of the RELAY tables, driven through what walks them: connections, calls, actions, dials, the client.

That both ends of a table agree is in test_every_cell.py. Here the machines that use it must do what it says.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from telcoflow_proto.client_table import ClientState, ClientWord
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.life_events import TransportWanted
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.relay.client import RelayClientProtocol
from telcoflow_proto.relay.client_events import ActionEnd, ActionOver, CallOver, CallRecord, CallTold, DialOver
from telcoflow_proto.relay.config import RelayConfig
from telcoflow_proto.relay.connection import RelayServerConnection
from telcoflow_proto.relay.dialling import Dials
from telcoflow_proto.relay.machine import RelayMachine
from telcoflow_proto.relay.methods import BY_NAME
from telcoflow_proto.relay.registry import CALL_STATE, CallRegistry
from telcoflow_proto.relay.server import RelayServerProtocol
from telcoflow_proto.relay.table import (
    ACTION_TABLE,
    DIAL_TABLE,
    RELAY_CALL_TABLE,
    RELAY_CLIENT_TABLE,
    RELAY_TABLE,
    ActionState,
    ActionWord,
    DialState,
    DialWord,
    RelayCallState,
    RelayCallWord,
    RelayState,
    RelayWord,
)
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Close
from tests.core.support import counting
from tests.relay.ends import (
    T0,
    begun_client,
    clear,
    client_in,
    connect_text,
    event,
    failure,
    request,
    result,
    said,
    seen,
    server_in,
)

S, W = RelayState, RelayWord
End = RelayClientProtocol | RelayServerProtocol


def cells(states: type[Enum], words: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("state", "word"),
        [pytest.param(state, word, id=f"{state.value}, {word.value}") for state in states for word in words],
    )


def look(end: End) -> tuple[object, ...]:
    """Take all that can be seen of an end; what it has to say and report is gone then."""
    return said(end), seen(end), end.state, end.unexpected, end.bad_frames, end.next_deadline()


# ------------------------------------------------------------------ a connection: what is said

CLIENT_SAYS: dict[RelayWord, Callable[[RelayClientProtocol], object]] = {
    W.CONNECT: lambda client: client.start(now=T0),
    W.REQUEST: lambda client: client.request("calling.answer", {}, now=T0),
    W.LOST: lambda client: client.receive_close(now=T0),
}
SERVER_SAYS: dict[RelayWord, Callable[[RelayServerProtocol], object]] = {
    W.ACCEPT: lambda server: server.authenticate(protocol="p1", now=T0),
    W.REFUSE: lambda server: server.refuse_connect(code=-32002, message="no", now=T0),
    W.RESPONSE: lambda server: server.respond("open", {}, now=T0),
    W.EVENT: lambda server: server.push("t", {}, now=T0),
    W.DISCONNECT: lambda server: server.ask_to_leave(restart=False, now=T0),
    W.LOST: lambda server: server.receive_close(now=T0),
}
BY_THEMSELVES = {Role.CLIENT: {W.CONNECT, W.PING}, Role.SERVER: {W.PING}}
"""What a protocol object says when its time has come, and not because anybody calls a verb of that name."""


def check_saying(end: End, role: Role, state: RelayState, word: RelayWord, say: Callable[[Any], object]) -> None:
    row = RELAY_TABLE.find(state, role, word)
    before = look(end)
    if row is not None and not row.crossing:
        say(end)
        assert end.state is row.next_state
        spoken, reported, *_ = look(end)
        assert bool(spoken) == (word is not W.LOST)
        assert bool(reported) == (word in {W.CONNECT, W.LOST}), "it is opened, or lost"
        return
    if word is W.LOST:  # told again: harmless
        say(end)
    else:
        with pytest.raises(LocalProtocolError):
            say(end)
    assert look(end) == before


@cells(S, CLIENT_SAYS)
def test_the_client_says_what_the_table_allows_and_nothing_else(state: RelayState, word: RelayWord) -> None:
    check_saying(client_in(state), Role.CLIENT, state, word, CLIENT_SAYS[word])


@cells(S, SERVER_SAYS)
def test_the_server_says_what_the_table_allows_and_nothing_else(state: RelayState, word: RelayWord) -> None:
    check_saying(server_in(state), Role.SERVER, state, word, SERVER_SAYS[word])


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", S, ids=lambda state: state.value)
def test_pings_are_said_by_time_alone_and_only_where_the_table_allows_them(state: RelayState, role: Role) -> None:
    end: End = client_in(state) if role is Role.CLIENT else server_in(state)
    spoken: list[Any] = []
    for step in range(240):
        end.handle_timeout(now=T0 + step / 2)
        spoken += [one["method"] for one in said(end) if not isinstance(one, Close)]
    assert set(spoken) == ({"signalwire.ping"} if state is S.READY else set())
    row = RELAY_TABLE.find(state, role, W.PING)
    assert not spoken or (row is not None and not row.crossing)


# ------------------------------------------------------------------ a connection: what is heard


def client_with_a_request(state: RelayState) -> tuple[RelayClientProtocol, str]:
    """A client in a state, and the id of its connect; "open" waits for an answer where one can."""
    if state in {S.NEW, S.LOST}:
        return client_in(state), "nothing was said"
    client, connect_id = begun_client()
    if state is S.REFUSED:
        client.receive_message(failure(connect_id, {"code": -1}), now=T0)
    if state in {S.READY, S.LEAVING}:
        client.receive_message(result(connect_id, {"protocol": "p1"}), now=T0)
        client.request("calling.answer", {}, request_id="open", now=T0)
    if state is S.LEAVING:
        client.receive_message(request("signalwire.disconnect"), now=T0)
    clear(client)
    assert client.state is state
    return client, connect_id


def service_says(word: RelayWord, connect_id: str) -> str:
    return {
        W.ACCEPT: result(connect_id, {"protocol": "p1"}),
        W.REFUSE: failure(connect_id, {"code": -1}),
        W.RESPONSE: result("open", {"code": "200"}),
        W.EVENT: event(),
        W.PING: request("signalwire.ping"),
        W.DISCONNECT: request("signalwire.disconnect"),
    }[word]


@cells(S, [W.ACCEPT, W.REFUSE, W.RESPONSE, W.EVENT, W.PING, W.DISCONNECT])
def test_the_client_hears_what_the_table_allows_and_ignores_the_rest(state: RelayState, word: RelayWord) -> None:
    client, connect_id = client_with_a_request(state)
    row = RELAY_TABLE.find(state, Role.SERVER, word)
    before = look(client)
    client.receive_message(service_says(word, connect_id), now=T0)
    after = look(client)
    assert client.state is (state if row is None else row.next_state)
    assert client.bad_frames == 0
    if row is None:
        deaf = client.lost or state is S.REFUSED  # the door is closed, or closing
        assert client.unexpected == (not deaf)
        assert after[:2] == ([], [])
    else:
        assert client.unexpected == 0
        reported = bool(after[1])
        if row.crossing:
            assert after[0] == [], "our last frame was said"
            assert reported == (word in {W.RESPONSE, W.EVENT})
        else:
            assert reported == (word is not W.PING)
            assert after != before


@cells(S, [W.CONNECT, W.REQUEST, W.PING])
def test_the_server_hears_what_the_table_allows_and_answers_the_rest(state: RelayState, word: RelayWord) -> None:
    server = server_in(state)
    row = RELAY_TABLE.find(state, Role.CLIENT, word)
    message = {
        W.CONNECT: connect_text("new"),
        W.REQUEST: request("calling.answer", id_="new"),
        W.PING: request("signalwire.ping", id_="new"),
    }[word]
    server.receive_message(message, now=T0)
    answers, reported, *_ = look(server)
    assert server.state is (state if row is None else row.next_state)
    assert (server.unexpected, server.bad_frames) == (0, 0)
    assert isinstance(answers, list)
    if row is None:
        deaf = server.lost or state is S.REFUSED
        assert ["error" in one for one in answers] == ([] if deaf else [True])
        assert reported == []
    elif row.crossing:
        assert (answers, reported) == ([], [])
    else:
        assert bool(answers) == (word is W.PING)
        assert bool(reported) == (word is not W.PING)


def test_every_word_of_the_connection_was_said_and_heard_above() -> None:
    client_words = {row.message for row in RELAY_TABLE.rows if row.sender is Role.CLIENT}
    server_words = {row.message for row in RELAY_TABLE.rows if row.sender is Role.SERVER}
    assert client_words == {*CLIENT_SAYS, *BY_THEMSELVES[Role.CLIENT]}
    assert server_words == {*SERVER_SAYS, *BY_THEMSELVES[Role.SERVER]}


# ------------------------------------------------------------------ a call

CALL = "call-1"


class Told:
    """A registry with one call, and what it told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.registry = CallRegistry(self.events.append, most=10, limits=RELAY_LIMITS)
        self.registry.receive({"call_id": CALL, "node_id": "n", "call_state": "created"}, project_id="p")
        record = self.registry.get(CALL)
        assert record is not None
        self.record = record
        self.events.clear()

    def deliver(self, event_type: str, **params: Any) -> None:
        told: JsonObject = {"call_id": CALL, **params}
        self.registry.deliver(event_type, told, {"event_type": event_type, "params": told})

    def move(self, state: RelayCallState) -> None:
        self.deliver(CALL_STATE, call_state=state.value)
        self.events.clear()


@cells(RelayCallState, RelayCallWord)
def test_a_call_moves_as_its_table_says(state: RelayCallState, word: RelayCallWord) -> None:
    told = Told()
    if state is not RelayCallState.CREATED:
        told.move(state)
    assert told.record.state is state
    row = RELAY_CALL_TABLE.find(state, Role.SERVER, word) or RELAY_CALL_TABLE.find(state, Role.CLIENT, word)
    if word is RelayCallWord.GONE:
        told.registry.gone(CALL)
    elif word is RelayCallWord.GIVEN_UP:
        told.registry.give_up(ActionEnd.DISCONNECTED)
    else:
        told.deliver(CALL_STATE, call_state=word.value)
    assert told.record.state is (state if row is None else row.next_state)
    overs = [one for one in told.events if isinstance(one, CallOver)]
    ended_now = told.record.state is RelayCallState.ENDED is not state
    assert len(overs) == ended_now
    assert (told.registry.get(CALL) is None) == (told.record.state is RelayCallState.ENDED)
    if state is RelayCallState.ENDED:
        assert told.events == []
    else:
        assert isinstance(told.events[0], CallTold), "an event that was overtaken is told all the same"


# ------------------------------------------------------------------ an action

PLAY = BY_NAME["play"].action


def an_action(state: ActionState) -> tuple[Told, Any]:
    """A registry with an action that has come this far, and the machine of it."""
    assert PLAY is not None
    told = Told()
    told.registry.start(CALL, "a", PLAY, None)
    machine = told.registry._actions[CALL]["a"].machine  # noqa: SLF001 - its state is told to nobody
    if state is ActionState.RUNNING:
        told.registry.accepted(CALL, "a")
    elif state is ActionState.OVER:
        told.deliver(PLAY.event, control_id="a", state="finished")
    elif state is ActionState.REFUSED:
        told.registry.refused(CALL, "a")
    told.events.clear()
    assert machine.state is state
    return told, machine


ACTION_SAYS: dict[ActionWord, Callable[[Told], None]] = {
    ActionWord.ACCEPTED: lambda told: told.registry.accepted(CALL, "a"),
    ActionWord.ENDED: lambda told: told.deliver("calling.call.play", control_id="a", state="finished"),
    ActionWord.REFUSED: lambda told: told.registry.refused(CALL, "a"),
    ActionWord.GONE: lambda told: told.registry.action_gone(CALL, "a"),
    ActionWord.CALL_OVER: lambda told: told.deliver(CALL_STATE, call_state="ended"),
}


@cells(ActionState, ActionWord)
def test_an_action_moves_as_its_table_says(state: ActionState, word: ActionWord) -> None:
    told, machine = an_action(state)
    row = ACTION_TABLE.find(state, Role.SERVER, word)
    ACTION_SAYS[word](told)
    asked_twice = state is ActionState.RUNNING and word is ActionWord.REFUSED
    assert machine.state is (state if row is None else row.next_state)
    overs = [one for one in told.events if isinstance(one, ActionOver)]
    assert len(overs) == (machine.state is ActionState.OVER is not state)
    if not asked_twice:
        assert told.registry.actions == (machine.state in {ActionState.STARTING, ActionState.RUNNING})


# ------------------------------------------------------------------ a dial


class Dialled:
    """One dial with one leg that rings, what was told and what was hung up."""

    def __init__(self, state: DialState) -> None:
        self.overs: list[DialOver] = []
        self.hung_up: list[CallRecord] = []
        self.dials = Dials(self.overs.append, self.hung_up.append, limits=RELAY_LIMITS)
        self.leg = Told().record
        self.dials.begin("t", within=120.0, now=T0)
        self.dials.leg("t", self.leg)
        self.machine = self.dials._pending["t"].machine  # noqa: SLF001 - its state is told to nobody
        if state is DialState.ABANDONED:
            self.say(DialWord.GIVE_UP)
        elif state is not DialState.DIALING:
            self.say(DialWord(state.value))
        self.overs.clear()
        self.hung_up.clear()
        assert self.machine.state is state

    def say(self, word: DialWord) -> None:
        match word:
            case DialWord.ANSWERED:
                self.dials.answered("t", self.leg)
            case DialWord.FAILED:
                self.dials.failed("t", "busy")
            case DialWord.GIVE_UP:
                self.dials.give_up("t", "nobody waits")


@cells(DialState, DialWord)
def test_a_dial_moves_as_its_table_says(state: DialState, word: DialWord) -> None:
    dialled = Dialled(state)
    ours = Role.CLIENT if word is DialWord.GIVE_UP else Role.SERVER
    row = DIAL_TABLE.find(state, ours, word)
    dialled.say(word)
    assert dialled.machine.state is (state if row is None else row.next_state)
    assert len(dialled.overs) == (state is DialState.DIALING), "who dialled is told once"
    nobody_waits = (state, word) in {(DialState.DIALING, DialWord.GIVE_UP), (DialState.ABANDONED, DialWord.ANSWERED)}
    assert len(dialled.hung_up) == nobody_waits
    assert dialled.dials.knows("t") == (dialled.machine.state in {DialState.DIALING, DialState.ABANDONED})


# ------------------------------------------------------------------ the client

CONFIG = RelayConfig.checked(
    project="p",
    token="t",
    jwt_token=None,
    host="localhost:8080",
    contexts=None,
    max_active_calls=None,
    scheme="ws",
    allow_plaintext=False,
    environment={},
)
K, E = ClientState, ClientWord


class Service:
    """A service that lets in, refuses or drops whoever comes."""

    def __init__(self, machine: RelayMachine) -> None:
        self.machine = machine
        self.now = T0
        self.end = RelayServerConnection(entropy=counting())

    def begin(self) -> None:
        """Open the stream, and bring the client as far as its ``signalwire.connect``."""
        self.end = RelayServerConnection(entropy=counting())
        self.end.start(now=self.now)
        self.machine.start(now=self.now)
        self.carry()
        self.end.accept(now=self.now)
        self.carry()

    def carry(self) -> None:
        while True:
            up, down = self.machine.data_to_send(now=self.now), self.end.data_to_send(now=self.now)
            if up:
                self.end.receive_data(up, now=self.now)
            if down:
                self.machine.receive_data(down, now=self.now)
            if not up and not down:
                return

    def say(self, word: ClientWord) -> None:
        if word is E.LOST:
            self.machine.fail_transport("cut", now=self.now)
            return
        if word is E.READY:
            self.end.authenticate(protocol="p1", now=self.now)
        else:
            self.end.refuse_connect(code=-32002, message="no", now=self.now)
        self.carry()
        self.end.receive_eof(now=self.now)

    def wait(self) -> None:
        self.now += 60.0
        self.machine.handle_timeout(now=self.now)


def a_client(state: ClientState) -> Service:
    """A client that has come this far; it was refused twice, where it can have been."""
    service = Service(RelayMachine(CONFIG, entropy=counting()))
    machine = service.machine
    if state is not K.IDLE and state is not K.CLOSED:
        machine.connect(now=T0)
        service.begin()
    if state is K.READY:
        service.say(E.READY)
    if state in {K.WAITING, K.RECONNECTING}:
        service.say(E.REFUSED)
        service.wait()
        service.begin()
        service.say(E.REFUSED)
    if state is K.RECONNECTING:
        service.wait()
        service.begin()
    if state in {K.CLOSING, K.CLOSED}:
        machine.close(now=T0)
    list(machine.events())
    assert machine.state is state
    return service


@cells(K, [E.CONNECT, E.CLOSE])
def test_a_client_does_what_its_table_allows(state: ClientState, word: ClientWord) -> None:
    service = a_client(state)
    row = RELAY_CLIENT_TABLE.find(state, Role.CLIENT, word)
    if word is E.CLOSE:
        service.machine.close(now=service.now)
    elif state is K.WAITING:
        service.wait()
    else:
        try:
            service.machine.connect(now=service.now)
        except LocalProtocolError:
            assert row is None
        else:
            assert row is not None
    assert service.machine.state is (state if row is None else row.next_state)
    wanted = [one for one in service.machine.events() if isinstance(one, TransportWanted)]
    assert len(wanted) == (word is E.CONNECT and row is not None)


@cells(K, [E.READY, E.LOST, E.REFUSED])
def test_a_client_follows_what_happens_to_its_connection(state: ClientState, word: ClientWord) -> None:
    row = RELAY_CLIENT_TABLE.find(state, Role.SERVER, word)
    if state in {K.IDLE, K.WAITING, K.CLOSED}:
        assert row is None, "there is no connection anything could happen to"
        return
    service = a_client(state)
    if word is not E.LOST and service.end.state is not S.AUTHENTICATING:
        assert row is None or state is K.CLOSING, "it was let in already"
        return
    service.say(word)
    if state is K.CLOSING:
        assert service.machine.state is K.CLOSED, "it hears nothing more, and the close ends it"
        return
    assert row is not None
    stops_now = word is not E.REFUSED or state is K.RECONNECTING  # the first refusal is not the last
    assert service.machine.state is (row.next_state if stops_now else K.WAITING)
