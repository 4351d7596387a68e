"""The service's end of a RELAY connection: who comes, what they ask, what they are told, and whether they listen."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.errors import LimitExceeded, LocalProtocolError, PeerSilent
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.relay.jsonrpc import Id
from telcoflow_proto.relay.messages import (
    ConnectRequested,
    Credentials,
    EventAcknowledged,
    RequestReceived,
    Resumption,
)
from telcoflow_proto.relay.server import RelayServerProtocol
from telcoflow_proto.relay.table import RelayState
from telcoflow_proto.secret import Secret
from telcoflow_proto.websocket import Close
from tests.core.support import counting
from tests.relay.ends import (
    CREDENTIALS,
    JWT,
    PROJECT,
    STATE,
    T0,
    TOKEN,
    begun_server,
    clear,
    connect_text,
    event,
    failure,
    ready_server,
    request,
    result,
    said,
    seen,
    server_in,
)

VERBS: dict[str, Callable[[RelayServerProtocol], object]] = {
    "authenticate": lambda server: server.authenticate(protocol="p", now=T0),
    "refuse_connect": lambda server: server.refuse_connect(code=-1, message="no", now=T0),
    "respond": lambda server: server.respond("open", {}, now=T0),
    "fail": lambda server: server.fail("open", code=-1, message="no", now=T0),
    "push": lambda server: server.push("t", {}, now=T0),
    "push_raw": lambda server: server.push_raw("{", now=T0),
    "ask_to_leave": lambda server: server.ask_to_leave(restart=False, now=T0),
}


def error(id_: Json, code: int, message: str) -> JsonObject:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}}


# ------------------------------------------------------------------ who comes


def test_who_comes_is_put_to_the_application() -> None:
    server = RelayServerProtocol(entropy=counting())
    assert (server.state, server.next_deadline()) == (RelayState.NEW, None)
    server.start(now=T0)
    server.receive_message(connect_text(contexts=["a", "b"]), now=T0)
    opened, requested = seen(server)
    assert opened == ConnectionOpened()
    assert requested == ConnectRequested(
        agent="a/1", credentials=CREDENTIALS, resumption=Resumption(), contexts=("a", "b")
    )
    assert (said(server), server.state) == ([], RelayState.AUTHENTICATING)


@pytest.mark.parametrize(
    ("authentication", "credentials"),
    [
        ({}, Credentials()),
        ({"project": "p"}, Credentials(project=Secret("p"))),
        ({"project": "", "token": None}, Credentials()),
        ({"jwt_token": "j", "more": 1}, Credentials(jwt_token=Secret("j"))),
    ],
)
def test_credentials_may_be_missing(authentication: JsonObject, credentials: Credentials) -> None:
    server = begun_server()
    server.receive_message(connect_text(authentication=authentication), now=T0)
    (requested,) = seen(server)
    assert requested.credentials == credentials


@pytest.mark.parametrize(
    ("members", "resumption"),
    [
        ({}, Resumption()),
        ({"protocol": "p1"}, Resumption(protocol="p1")),
        ({"authorization_state": STATE}, Resumption(authorization_state=Secret(STATE))),
        (
            {"protocol": "p1", "authorization_state": STATE},
            Resumption(protocol="p1", authorization_state=Secret(STATE)),
        ),
    ],
)
def test_who_comes_back_says_so(members: JsonObject, resumption: Resumption) -> None:
    server = begun_server()
    server.receive_message(connect_text(**members), now=T0)
    (requested,) = seen(server)
    assert requested.resumption == resumption


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"authentication": None}, "authentication must be an object"),
        ({"authentication": "token"}, "authentication must be an object"),
        ({"authentication": {"project": 7}}, "project must be a text"),
        ({"authentication": {"token": ["t"]}}, "token must be a text"),
        ({"authentication": {"jwt_token": {"a": 1}}}, "jwt_token must be a text"),
        ({"contexts": "default"}, "contexts must be an array"),
        ({"contexts": None}, "contexts must be an array"),
        ({"contexts": ["a", 7]}, "every context must be a text"),
        ({"protocol": 7}, "protocol and agent must be texts"),
        ({"agent": None}, "protocol and agent must be texts"),
        ({"authorization_state": 7}, "authorization_state must be a text"),
    ],
)
def test_who_cannot_say_who_it_is_is_refused(members: JsonObject, why: str) -> None:
    server = begun_server()
    server.receive_message(connect_text(**members), now=T0)
    assert said(server) == [error("c1", -32602, why), Close(code=1000)]
    assert (seen(server), server.state) == ([], RelayState.REFUSED)


@pytest.mark.parametrize("id_", ["", "c", 0, 7])
def test_who_is_let_in_is_told_how_to_come_back(id_: Id) -> None:
    server = begun_server()
    server.receive_message(connect_text(id_), now=T0)
    server.authenticate(protocol="p1", identity="i", restored=True, now=T0)
    told = {"protocol": "p1", "identity": "i", "session_restored": True}
    assert said(server) == [{"jsonrpc": "2.0", "id": id_, "result": told}]
    assert (server.state, server.next_deadline()) == (RelayState.READY, T0 + 10.0)


def test_who_is_turned_away_is_told_why() -> None:
    server = begun_server()
    server.receive_message(connect_text(), now=T0)
    server.refuse_connect(code=-32002, message="no", data={"why": "x"}, now=T0)
    refusal = error("c1", -32002, "no")
    assert isinstance(refusal["error"], dict)
    refusal["error"]["data"] = {"why": "x"}
    assert said(server) == [refusal, Close(code=1000)]
    assert server.next_deadline() is None


def test_who_says_nothing_is_dropped_after_ten_seconds() -> None:
    server = begun_server()
    assert server.next_deadline() == T0 + 10.0
    server.receive_message(request("calling.answer"), now=T0 + 9.0)
    server.handle_timeout(now=T0 + 9.99)
    assert not server.lost
    server.handle_timeout(now=T0 + 10.0)
    (lost,) = seen(server)
    assert isinstance(lost.error, PeerSilent)
    assert server.state is RelayState.LOST


def test_who_has_said_who_it_is_may_wait_for_us_as_long_as_it_likes() -> None:
    server = begun_server()
    server.receive_message(connect_text(), now=T0 + 9.0)
    clear(server)
    server.handle_timeout(now=T0 + 60.0)
    assert not server.lost, "it is we who are slow"
    server.authenticate(protocol="p1", now=T0 + 60.0)
    assert len(said(server)) == 1


@pytest.mark.parametrize("state", [one for one in RelayState if one not in {RelayState.NEW, RelayState.LOST}])
def test_a_second_connect_is_refused_and_the_first_stays(state: RelayState) -> None:
    server = server_in(state)
    server.receive_message(connect_text("c2"), now=T0)
    answer = [] if state is RelayState.REFUSED else [error("c2", -32600, "connected already")]
    assert (said(server), seen(server), server.state) == (answer, [], state)
    if state is RelayState.AUTHENTICATING:
        server.authenticate(protocol="p1", now=T0)
        assert said(server)[0]["id"] == "c1"


@pytest.mark.parametrize("verb", ["authenticate", "refuse_connect"])
def test_nobody_can_be_let_in_who_has_not_come(verb: str) -> None:
    server = begun_server()
    with pytest.raises(LocalProtocolError, match=r"has not said signalwire\.connect yet"):
        VERBS[verb](server)
    assert (said(server), server.state, server.next_deadline()) == ([], RelayState.NEW, T0 + 10.0)


# ------------------------------------------------------------------ what they ask


@pytest.mark.parametrize("id_", ["", "r", 0, 7, -7])
def test_a_request_is_put_to_the_application_and_answered_by_its_id(id_: Id) -> None:
    server = ready_server()
    server.receive_message(request("calling.answer", {"call_id": "c"}, id_=id_), now=T0)
    assert seen(server) == [RequestReceived(request_id=id_, method="calling.answer", params={"call_id": "c"})]
    server.respond(id_, {"code": "200"}, now=T0)
    assert said(server) == [{"jsonrpc": "2.0", "id": id_, "result": {"code": "200"}}]


def test_a_request_may_fail() -> None:
    server = ready_server()
    server.receive_message(request("calling.unheard_of", id_="r"), now=T0)
    server.fail("r", code=-32601, message="no such method", data=["x"], now=T0)
    (answer,) = said(server)
    assert answer["error"] == {"code": -32601, "message": "no such method", "data": ["x"]}


@pytest.mark.parametrize("again", ["respond", "fail"])
def test_a_request_is_answered_once(again: str) -> None:
    server = ready_server()
    server.receive_message(request("m", id_="open"), now=T0)
    server.respond("open", {}, now=T0)
    clear(server)
    with pytest.raises(LocalProtocolError, match="no request waits for an answer under 'open'"):
        VERBS[again](server)
    assert (said(server), server.state) == ([], RelayState.READY)


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": object()}])
def test_an_answer_that_cannot_be_written_leaves_the_request_open(value: Any) -> None:
    server = ready_server()
    server.receive_message(request("m", id_="r"), now=T0)
    with pytest.raises((ValueError, TypeError)):
        server.respond("r", value, now=T0)
    with pytest.raises((ValueError, TypeError)):
        server.push("t", value, now=T0)
    assert said(server) == []
    server.respond("r", {}, now=T0)
    assert len(said(server)) == 1


NAN: Any = float("nan")
UNFIT: dict[str, Callable[[RelayServerProtocol], object]] = {
    "authenticate": lambda server: server.authenticate(protocol=NAN, now=T0),
    "refuse_connect": lambda server: server.refuse_connect(code=-1, message="no", data=NAN, now=T0),
}


@pytest.mark.parametrize("verb", UNFIT)
def test_what_cannot_be_written_decides_nothing(verb: str) -> None:
    server = begun_server()
    server.receive_message(connect_text(), now=T0)
    with pytest.raises(ValueError, match="JSON"):
        UNFIT[verb](server)
    assert (said(server), server.state) == ([], RelayState.AUTHENTICATING)


def test_an_id_in_use_is_refused_and_free_again_when_answered() -> None:
    server = ready_server()
    server.receive_message(request("first", id_="r"), now=T0)
    server.receive_message(request("second", id_="r"), now=T0)
    server.receive_message(request("signalwire.ping", id_="r"), now=T0)
    refusal = error("r", -32600, "this id is in use, or too many requests wait")
    assert said(server) == [refusal, refusal]
    assert [one.method for one in seen(server)] == ["first"]
    server.respond("r", {}, now=T0)
    server.receive_message(request("third", id_="r"), now=T0)
    assert [one.method for one in seen(server)] == ["third"]


def test_a_number_and_its_text_are_two_ids() -> None:
    server = ready_server()
    server.receive_message(request("m", id_=7), now=T0)
    server.receive_message(request("m", id_="7"), now=T0)
    assert [one.request_id for one in seen(server)] == [7, "7"]
    server.respond("7", {}, now=T0)
    server.respond(7, {}, now=T0)
    assert [one["id"] for one in said(server)] == ["7", 7]


def test_too_many_requests_are_refused() -> None:
    server = ready_server(limits=attrs.evolve(RELAY_LIMITS, pending_requests=2))
    for id_ in "abc":
        server.receive_message(request("m", id_=id_), now=T0)
    assert [one.request_id for one in seen(server)] == ["a", "b"]
    (refusal,) = said(server)
    assert (refusal["id"], refusal["error"]["code"]) == ("c", -32600)


@pytest.mark.parametrize("method", ["calling.answer", "signalwire.ping", "signalwire.receive"])
@pytest.mark.parametrize("state", [RelayState.NEW, RelayState.AUTHENTICATING])
def test_nothing_is_heard_before_connect(state: RelayState, method: str) -> None:
    server = server_in(state)
    server.receive_message(request(method, id_="r"), now=T0)
    assert said(server) == [error("r", -32003, "say signalwire.connect first")]
    assert (seen(server), server.state) == ([], state)


@pytest.mark.parametrize("method", ["signalwire.connect", "calling.answer", "signalwire.ping"])
def test_a_request_without_an_id_is_a_bad_frame(method: str) -> None:
    server = ready_server()
    server.receive_message(request(method, id_=None), now=T0)
    (dropped,) = seen(server)
    assert isinstance(dropped, FrameDropped)
    assert f"a '{method}' request has no id" in str(dropped.error)
    assert said(server) == []


def test_what_was_asked_of_a_server_that_has_said_goodbye_never_happened() -> None:
    server = ready_server()
    server.receive_message(request("m", id_="before"), now=T0)
    server.ask_to_leave(restart=False, now=T0)
    clear(server)
    server.receive_message(request("m", id_="crossing"), now=T0)
    server.receive_message(request("signalwire.ping", id_="ping"), now=T0)
    assert (seen(server), said(server), server.unexpected) == ([], [], 0)
    with pytest.raises(LocalProtocolError, match="leaving"):
        server.respond("before", {}, now=T0)


# ------------------------------------------------------------------ what they are told


def test_an_event_is_told_and_its_acknowledgement_reported() -> None:
    server = ready_server()
    event_id = server.push("calling.call.play", {"a": 1}, envelope={"event_channel": "x"}, now=T0)
    told = {"event_type": "calling.call.play", "event_channel": "x", "params": {"a": 1}}
    assert said(server) == [{"jsonrpc": "2.0", "id": event_id, "method": "signalwire.event", "params": told}]
    server.receive_message(result(event_id), now=T0)
    assert seen(server) == [EventAcknowledged(event_id=event_id, result={})]
    server.receive_message(result(event_id), now=T0)
    assert (seen(server), server.unexpected) == ([], 1)


def test_an_event_can_be_told_again_by_its_id() -> None:
    server = ready_server()
    assert server.push("t", {}, event_id="e7", now=T0) == "e7"
    assert server.push("t", {}, event_id="e7", now=T0) == "e7"
    first, again = said(server)
    assert first == again
    server.receive_message(result("e7"), now=T0)
    assert seen(server) == [EventAcknowledged(event_id="e7", result={})]


@pytest.mark.parametrize(
    "answer", [failure("e7", "no"), result("e8"), result(7), failure("e8", "no"), result(""), failure("", "no")]
)
def test_an_answer_to_nothing_is_counted(answer: str) -> None:
    server = ready_server()
    server.push("t", {}, event_id="e7", now=T0)
    server.receive_message(answer, now=T0)
    assert (seen(server), server.unexpected, server.next_deadline()) == ([], 1, T0 + 10.0)


def test_only_so_many_events_are_remembered() -> None:
    server = ready_server(limits=attrs.evolve(RELAY_LIMITS, remembered_ids=2))
    ids = [server.push("t", {}, now=T0) for _ in range(3)]
    for id_ in ids:
        server.receive_message(result(id_), now=T0)
    assert [one.event_id for one in seen(server)] == ids[1:]
    assert server.unexpected == 1


def test_a_stand_in_may_say_anything() -> None:
    server = ready_server()
    server.push_raw("{ no json", now=T0)
    assert server.messages_to_send() == ["{ no json"]


def test_a_stand_in_may_be_deaf() -> None:
    server = begun_server()
    server.hears = lambda method: method != "calling.answer"
    server.receive_message(connect_text(), now=T0)
    server.authenticate(protocol="p1", now=T0)
    clear(server)
    server.receive_message(request("calling.answer", id_="r"), now=T0)
    server.receive_message(request("calling.end", id_="r"), now=T0)
    assert [one.method for one in seen(server)] == ["calling.end"]
    server.hears = lambda method: method != "signalwire.ping"
    server.receive_message(request("signalwire.ping", id_="p"), now=T0)
    server.handle_timeout(now=T0 + 10.0)
    assert (said(server), server.next_deadline()) == ([], T0 + 20.0)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", [RelayState.NEW, RelayState.REFUSED, RelayState.LOST])
def test_a_verb_that_is_not_allowed_changes_nothing(state: RelayState, verb: str) -> None:
    server = server_in(state)
    before = server.next_deadline()
    with pytest.raises(LocalProtocolError):
        VERBS[verb](server)
    assert (said(server), seen(server), server.state, server.next_deadline()) == ([], [], state, before)


# ------------------------------------------------------------------ whether they listen


@pytest.mark.parametrize("answer", [result, lambda id_: failure(id_, "no")])
def test_a_client_is_looked_for_every_ten_seconds(answer: Callable[[str], str]) -> None:
    server = ready_server()
    for at in (T0 + 10.0, T0 + 21.0):
        server.handle_timeout(now=at)
        (ping,) = said(server)
        assert ping["method"] == "signalwire.ping"
        assert ping["params"] == {"timestamp": at, "payload": "ping"}
        assert server.next_deadline() == at + 10.0
        server.receive_message(answer(ping["id"]), now=at + 1.0)
        assert server.next_deadline() == at + 11.0
    assert (seen(server), server.unexpected) == ([], 0)


def test_a_client_that_does_not_answer_a_ping_is_dropped_whatever_else_it_says() -> None:
    server = ready_server()
    server.handle_timeout(now=T0 + 10.0)
    clear(server)
    server.receive_message(request("signalwire.ping", id_="p"), now=T0 + 15.0)
    server.handle_timeout(now=T0 + 19.99)
    assert not server.lost
    server.handle_timeout(now=T0 + 20.0)
    (lost,) = seen(server)
    assert isinstance(lost.error, PeerSilent)


def test_a_ping_is_answered_once() -> None:
    server = ready_server()
    server.handle_timeout(now=T0 + 10.0)
    (ping,) = said(server)
    server.receive_message(result(ping["id"]), now=T0 + 11.0)
    server.receive_message(result(ping["id"]), now=T0 + 15.0)
    assert (server.unexpected, server.next_deadline()) == (1, T0 + 21.0)


@pytest.mark.parametrize("state", [RelayState.NEW, RelayState.AUTHENTICATING, RelayState.REFUSED, RelayState.LEAVING])
def test_an_answer_to_no_ping_starts_no_pings(state: RelayState) -> None:
    server = server_in(state)
    for id_ in ("", 0):
        server.receive_message(result(id_), now=T0 + 0.5)
    due = server.next_deadline()
    assert due is None or due <= T0 + 10.0
    server.handle_timeout(now=T0 + 30.0)
    server.handle_timeout(now=T0 + 60.0)
    assert [one for one in said(server) if not isinstance(one, Close)] == []


def test_the_answer_to_a_ping_may_come_after_the_goodbye() -> None:
    server = ready_server()
    server.handle_timeout(now=T0 + 10.0)
    (ping,) = said(server)
    server.ask_to_leave(restart=False, now=T0 + 10.0)
    clear(server)
    server.receive_message(result(ping["id"]), now=T0 + 10.5)
    assert (server.next_deadline(), server.unexpected) == (T0 + 11.0, 0)
    server.handle_timeout(now=T0 + 11.0)
    assert said(server) == [Close(code=1000)]
    server.handle_timeout(now=T0 + 60.0)
    assert (said(server), seen(server), server.next_deadline()) == ([], [], None)


def test_a_ping_of_the_client_is_answered_with_what_it_carried() -> None:
    server = ready_server()
    server.receive_message(request("signalwire.ping", {"a": 1}, id_="p"), now=T0)
    assert said(server) == [{"jsonrpc": "2.0", "id": "p", "result": {"a": 1}}]
    assert seen(server) == []


# ------------------------------------------------------------------ the end


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("state", [RelayState.AUTHENTICATING, RelayState.READY])
def test_a_goodbye_is_said_and_a_second_later_the_connection_is_closed(state: RelayState, restart: bool) -> None:
    server = server_in(state)
    server.ask_to_leave(restart=restart, now=T0)
    (farewell,) = said(server)
    assert (farewell["method"], farewell["params"]) == ("signalwire.disconnect", {"restart": restart})
    assert (server.state, server.next_deadline()) == (RelayState.LEAVING, T0 + 1.0)
    server.receive_message(result(farewell["id"]), now=T0)
    assert (seen(server), server.unexpected) == ([], 0)
    server.handle_timeout(now=T0 + 1.0)
    assert said(server) == [Close(code=1000)]


def test_an_event_may_be_acknowledged_after_the_goodbye() -> None:
    server = ready_server()
    event_id = server.push("t", {}, now=T0)
    server.ask_to_leave(restart=False, now=T0)
    server.receive_message(result(event_id), now=T0)
    assert seen(server) == [EventAcknowledged(event_id=event_id, result={})]


def test_the_end_is_told_once_and_nothing_waits_behind_it() -> None:
    server = server_in(RelayState.READY)
    server.receive_close(code=1001, reason="bye", now=T0)
    server.receive_close(code=1006, now=T0)
    assert seen(server) == [ConnectionLost(code=1001, reason="bye", error=None)]
    assert (server.state, server.next_deadline()) == (RelayState.LOST, None)
    with pytest.raises(LocalProtocolError):
        server.respond("open", {}, now=T0)


@pytest.mark.parametrize("message", ["{", "[]", "{}", b"\0", request("m", id_=[1]), event(id_=None)])
def test_a_client_that_breaks_the_rules_is_forgiven_ten_times(message: str | bytes) -> None:
    server = ready_server()
    for _ in range(10):
        server.receive_message(message, now=T0)
    assert [type(one) for one in seen(server)] == [FrameDropped] * 10
    assert said(server) == []
    server.receive_message(message, now=T0)
    assert said(server) == [Close(code=1008, reason="too many bad frames")]
    server.receive_close(now=T0)
    *_, lost = seen(server)
    assert isinstance(lost.error, LimitExceeded)


# ------------------------------------------------------------------ secrets


def test_no_secret_shows() -> None:
    server = begun_server()
    authentication: JsonObject = {"project": PROJECT, "token": TOKEN, "jwt_token": JWT}
    server.receive_message(
        connect_text(authentication=authentication, protocol="p1", authorization_state=STATE), now=T0
    )
    server.authenticate(protocol="p1", now=T0)
    server.receive_message(request("m", {"token": TOKEN, "authorization_state": STATE}, id_="r"), now=T0)
    event_id = server.push("signalwire.authorization.state", {"authorization_state": STATE}, now=T0)
    server.receive_message(result(event_id, {"token": TOKEN}), now=T0)
    server.receive_message('{"token": "' + TOKEN + '"', now=T0)
    hostile = begun_server()
    hostile.receive_message(connect_text(authentication={"token": [TOKEN]}), now=T0)
    shown = [f"{one!r} {one}" for one in [server, *seen(server), *seen(hostile), *said(hostile)]]
    assert len(shown) == 7
    assert not [one for one in shown if any(canary in one for canary in (PROJECT, TOKEN, JWT, STATE))]
