"""The agent's end of a RELAY connection: who we are, requests that end once, events acknowledged, silence noticed."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.errors import LimitExceeded, LocalProtocolError, PeerSilent, RemoteProtocolError
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.relay.client import RelayClientProtocol
from telcoflow_proto.relay.messages import (
    Authenticated,
    AuthenticationRefused,
    Credentials,
    EventArrived,
    Replied,
    Resumption,
    ServerLeaves,
)
from telcoflow_proto.relay.table import RelayState
from telcoflow_proto.replies import Outcome
from telcoflow_proto.secret import Secret
from telcoflow_proto.version import AGENT
from telcoflow_proto.websocket import Close
from tests.core.support import counting
from tests.relay.ends import (
    BY_JWT,
    CREDENTIALS,
    JWT,
    PROJECT,
    STATE,
    T0,
    TOKEN,
    begun_client,
    clear,
    client_in,
    event,
    failure,
    ready_client,
    request,
    result,
    said,
    seen,
)

BAD_TEXTS = {
    "no json": "{",
    "no object": "[]",
    "no frame": "{}",
    "deep json": '{"method": "m", "params": ' + "[" * 200_000,
    "deep but whole": '{"method": "m", "params": ' + '{"a": ' * 80 + "1" + "}" * 81,
    "a number of 5000 digits": '{"id": "i", "result": ' + "9" * 5000 + "}",
    "a list as id": request("signalwire.event", {"event_type": "t", "params": {}}, id_=["e1"]),
    "params null": '{"id": "e1", "method": "signalwire.event", "params": null}',
    "params a list": '{"id": "e1", "method": "signalwire.event", "params": []}',
    "a key twice": '{"id": "e1", "id": "e1", "method": "m", "params": {}}',
}


def connect_of(**arguments: Any) -> Any:
    """Return the params a client says first."""
    client = RelayClientProtocol(**{"credentials": CREDENTIALS, "entropy": counting(), **arguments})
    client.start(now=T0)
    (connect,) = said(client)
    assert connect["method"] == "signalwire.connect"
    return connect["params"]


def asked(client: RelayClientProtocol, method: str = "calling.answer", **arguments: Any) -> str:
    request_id = client.request(method, {}, **{"now": T0, **arguments})
    clear(client)
    return request_id


def answered(value: Json, *, wire: Callable[[str, Json], str] = result) -> Replied:
    """Return how a request went that got this answer."""
    client = ready_client()
    client.receive_message(wire(asked(client), value), now=T0)
    (replied,) = seen(client)
    assert isinstance(replied, Replied)
    assert client.unexpected == 0
    return replied


def outcomes(client: RelayClientProtocol) -> list[Outcome]:
    return [one.outcome for one in seen(client) if isinstance(one, Replied)]


# ------------------------------------------------------------------ who we are


def test_connect_leaves_by_itself_and_says_exactly_this() -> None:
    client = RelayClientProtocol(credentials=CREDENTIALS, entropy=counting())
    assert (client.state, said(client), client.next_deadline()) == (RelayState.NEW, [], None)
    client.start(now=T0)
    assert seen(client) == [ConnectionOpened()]
    (connect,) = said(client)
    assert uuid.UUID(connect.pop("id")).version == 4
    assert connect == {
        "jsonrpc": "2.0",
        "method": "signalwire.connect",
        "params": {
            "version": {"major": 2, "minor": 0, "revision": 0},
            "agent": AGENT,
            "event_acks": True,
            "authentication": {"project": PROJECT, "token": TOKEN},
        },
    }
    assert client.state is RelayState.AUTHENTICATING


def test_a_jwt_is_sent_alone() -> None:
    assert connect_of(credentials=BY_JWT)["authentication"] == {"jwt_token": JWT}
    assert connect_of(credentials=Credentials(jwt_token=Secret(JWT)))["authentication"] == {"jwt_token": JWT}


def test_who_has_no_credentials_says_so_with_empty_ones() -> None:
    assert connect_of(credentials=Credentials())["authentication"] == {"project": "", "token": ""}


def test_contexts_are_sent_only_if_there_are_any() -> None:
    assert "contexts" not in connect_of(contexts=[])
    assert connect_of(contexts=("sales", "support"))["contexts"] == ["sales", "support"]


@pytest.mark.parametrize(
    ("resumption", "sent"),
    [
        (None, {}),
        (Resumption(), {}),
        (Resumption(authorization_state=Secret(STATE)), {}),
        (Resumption(protocol="p1"), {"protocol": "p1"}),
        (
            Resumption(protocol="p1", authorization_state=Secret(STATE)),
            {"protocol": "p1", "authorization_state": STATE},
        ),
    ],
)
def test_a_session_is_asked_for_by_its_protocol(resumption: Resumption | None, sent: dict[str, str]) -> None:
    params = connect_of(resumption=resumption)
    assert {name: params[name] for name in ("protocol", "authorization_state") if name in params} == sent


@pytest.mark.parametrize(
    ("asked_for", "value", "told"),
    [
        ("", {"protocol": "p1", "identity": "i"}, Authenticated(protocol="p1", identity="i", restored=False)),
        ("", {}, Authenticated(protocol="", identity="", restored=False)),
        ("", {"protocol": 7, "identity": ["x"]}, Authenticated(protocol="", identity="", restored=False)),
        ("", {"code": "500", "protocol": "p1"}, Authenticated(protocol="p1", identity="", restored=False)),
        ("", "raw", Authenticated(protocol="", identity="", restored=False)),
        ("p1", {"protocol": "p1"}, Authenticated(protocol="p1", identity="", restored=True)),
        ("p1", {}, Authenticated(protocol="p1", identity="", restored=True)),
        ("p1", [1], Authenticated(protocol="p1", identity="", restored=True)),
        ("p1", {"protocol": "p2"}, Authenticated(protocol="p2", identity="", restored=False)),
    ],
)
def test_what_the_service_says_to_who_is_let_in(asked_for: str, value: Json, told: Authenticated) -> None:
    client, connect_id = begun_client(resumption=Resumption(protocol=asked_for))
    client.receive_message(json.dumps({"id": connect_id, "result": value}), now=T0)
    assert seen(client) == [told]
    assert client.state is RelayState.READY
    assert client.next_deadline() == T0 + 12.0


def test_who_is_refused_is_told_why_and_the_connection_is_closed() -> None:
    client, connect_id = begun_client()
    client.receive_message(failure(connect_id, {"code": -32002, "message": "401"}), now=T0)
    assert seen(client) == [AuthenticationRefused(code=-32002, message="401")]
    assert said(client) == [Close(code=1000)]
    assert (client.state, client.next_deadline()) == (RelayState.REFUSED, T0 + 5.0)


@pytest.mark.parametrize("again", [result, lambda id_: failure(id_, {"code": 1})])
def test_the_answer_to_connect_counts_once(again: Callable[[str], str]) -> None:
    client, connect_id = begun_client()
    client.receive_message(result(connect_id, {"protocol": "p1"}), now=T0)
    clear(client)
    for count in (1, 2):
        client.receive_message(again(connect_id), now=T0)
        assert (seen(client), said(client), client.state, client.unexpected) == ([], [], RelayState.READY, count)


def test_peer_bug_r03_a_silent_service_is_silent_not_wrong() -> None:
    client, connect_id = begun_client()
    assert client.next_deadline() == T0 + 10.0
    client.handle_timeout(now=T0 + 9.99)
    assert seen(client) == []
    client.handle_timeout(now=T0 + 10.0)
    client.handle_timeout(now=T0 + 10.0)
    client.receive_message(result(connect_id), now=T0 + 10.0)
    (lost,) = seen(client)
    assert isinstance(lost, ConnectionLost)
    assert isinstance(lost.error, PeerSilent)
    assert lost.code == 1006
    assert (client.state, client.lost, client.next_deadline()) == (RelayState.LOST, True, None)


def test_a_ping_does_not_postpone_the_answer_to_connect() -> None:
    client, _ = begun_client()
    client.receive_message(request("signalwire.ping"), now=T0 + 9.0)
    assert said(client) == [{"jsonrpc": "2.0", "id": "i1", "result": {}}]
    assert client.next_deadline() == T0 + 10.0


# ------------------------------------------------------------------ requests end once


def test_a_request_carries_a_new_id_and_waits_ten_seconds() -> None:
    client = ready_client()
    first = client.request("calling.answer", {"call_id": "c", "n": [1]}, now=T0 + 1.0)
    second = client.request("calling.answer", {}, now=T0 + 1.0)
    assert first != second
    assert uuid.UUID(first).version == 4
    assert said(client)[0] == {
        "jsonrpc": "2.0",
        "id": first,
        "method": "calling.answer",
        "params": {"call_id": "c", "n": [1]},
    }
    assert client.next_deadline() == T0 + 11.0


def test_a_request_may_bring_its_own_id_and_time() -> None:
    client = ready_client()
    assert client.request("m", {}, request_id="mine", within=2.5, now=T0) == "mine"
    assert said(client)[0]["id"] == "mine"
    assert client.next_deadline() == T0 + 2.5


def test_an_id_that_waits_for_its_answer_cannot_be_used_again() -> None:
    client = ready_client()
    client.request("first", {}, request_id="mine", now=T0)
    clear(client)
    with pytest.raises(LocalProtocolError, match="'mine' is in use"):
        client.request("second", {}, request_id="mine", within=99.0, now=T0)
    assert (said(client), client.next_deadline()) == ([], T0 + 10.0)
    client.receive_message(result("mine"), now=T0)
    (replied,) = seen(client)
    assert replied.method == "first"
    client.request("third", {}, request_id="mine", now=T0)


@pytest.mark.parametrize("value", [{}, {"code": "200"}, {"code": "299", "a": 1}, {"code": 204}, {"code": None}])
def test_what_is_done(value: JsonObject) -> None:
    replied = answered(value)
    assert (replied.outcome, replied.result, replied.code, replied.message) == (Outcome.DONE, value, -1, "")
    assert replied.method == "calling.answer"


@pytest.mark.parametrize("value", [None, [], "text", 7, True])
def test_a_result_that_is_no_object_is_success_and_kept(value: Json) -> None:
    replied = answered(value, wire=lambda id_, one: json.dumps({"id": id_, "result": one}))
    assert (replied.outcome, replied.result) == (Outcome.DONE, {"raw": value})


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ({"code": "404", "message": "no such call"}, 404, "no such call"),
        ({"code": 404, "message": "no such call"}, 404, "no such call"),
        ({"code": "500"}, 500, "Unknown error"),
        ({"code": "500", "message": ""}, 500, "Unknown error"),
        ({"code": "500", "message": {"a": 1}}, 500, "Unknown error"),
        ({"code": "-7", "message": "m"}, -7, "m"),
        ({"code": "oops", "message": "m"}, -1, "m"),
        ({"code": "", "message": "m"}, -1, "m"),
        ({"code": "199", "message": "m"}, 199, "m"),
        ({"code": "300", "message": "m"}, 300, "m"),
        ({"code": "2000", "message": "m"}, 2000, "m"),
        ({"code": "20", "message": "m"}, 20, "m"),
        ({"code": "200 ", "message": "m"}, -1, "m"),
        ({"code": "٢٠٠", "message": "m"}, -1, "m"),
        ({"code": "9" * 5000, "message": "m"}, -1, "m"),
        ({"code": 200.0, "message": "m"}, -1, "m"),
        ({"code": True, "message": "m"}, -1, "m"),
        ({"code": ["200"], "message": "m"}, -1, "m"),
    ],
)
def test_a_code_that_is_not_200_to_299_is_a_refusal(value: JsonObject, code: int, message: str) -> None:
    replied = answered(value)
    assert (replied.outcome, replied.code, replied.message) == (Outcome.REFUSED, code, message)
    assert replied.result == value


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": -32601, "message": "no such method", "data": {"a": 1}}, -32601, "no such method"),
        ({}, -1, "Unknown error"),
        ("it broke", -1, "it broke"),
    ],
)
def test_an_error_is_a_refusal(error: Json, code: int, message: str) -> None:
    replied = answered(error, wire=failure)
    assert (replied.outcome, replied.code, replied.message, replied.result) == (Outcome.REFUSED, code, message, {})


def test_answers_come_in_any_order() -> None:
    client = ready_client()
    first, second = asked(client, "first"), asked(client, "second")
    client.receive_message(result(second), now=T0)
    client.receive_message(failure(first, {}), now=T0)
    assert [(one.method, one.request_id) for one in seen(client)] == [("second", second), ("first", first)]
    assert client.next_deadline() == T0 + 12.0


@pytest.mark.parametrize("id_", ["never asked", "", 0, 7])
def test_an_answer_to_nothing_is_ignored_and_counted(id_: str | int) -> None:
    client = ready_client()
    client.receive_message(result(id_), now=T0)
    client.receive_message(failure(id_, "x"), now=T0)
    assert (seen(client), said(client), client.unexpected, client.bad_frames) == ([], [], 2, 0)


def test_a_second_answer_is_ignored_and_counted() -> None:
    client = ready_client()
    request_id = asked(client)
    client.receive_message(result(request_id), now=T0)
    client.receive_message(failure(request_id, {}), now=T0)
    assert outcomes(client) == [Outcome.DONE]
    assert client.unexpected == 1


def test_a_frame_in_the_name_of_a_number_answers_no_text() -> None:
    client = ready_client()
    client.request("m", {}, request_id="7", now=T0)
    client.receive_message(result(7), now=T0)
    assert (seen(client), client.unexpected) == ([], 1)


def test_peer_bug_r02_a_slow_request_times_out_alone() -> None:
    client = ready_client()
    slow, quick = asked(client, "slow"), asked(client, "quick", now=T0 + 4.0)
    client.handle_timeout(now=T0 + 9.99)
    assert seen(client) == []
    client.handle_timeout(now=T0 + 10.0)
    (replied,) = seen(client)
    assert (replied.request_id, replied.outcome) == (slow, Outcome.TIMED_OUT)
    assert (client.state, client.lost) == (RelayState.READY, False)
    client.receive_message(result(quick), now=T0 + 11.0)
    client.receive_message(result(slow), now=T0 + 11.0)
    (replied,) = seen(client)
    assert (replied.request_id, replied.outcome, client.unexpected) == (quick, Outcome.DONE, 1)
    asked(client, now=T0 + 11.0)


@pytest.mark.parametrize("state", [one for one in RelayState if one is not RelayState.READY])
def test_nothing_can_be_asked_unless_the_connection_is_ready(state: RelayState) -> None:
    client = client_in(state)
    before = client.next_deadline()
    with pytest.raises(LocalProtocolError, match="cannot say 'request' while the RELAY connection is"):
        client.request("m", {}, request_id="mine", now=T0)
    assert (said(client), seen(client), client.state, client.next_deadline()) == ([], [], state, before)
    client.receive_close(now=T0)
    assert outcomes(client) == []


def test_too_many_requests_are_refused_and_change_nothing() -> None:
    client = ready_client(limits=attrs.evolve(RELAY_LIMITS, pending_requests=2))
    asked(client)
    asked(client)
    with pytest.raises(LocalProtocolError, match="2 replies are awaited already"):
        client.request("m", {}, now=T0)
    assert said(client) == []
    client.receive_close(now=T0)
    assert outcomes(client) == [Outcome.LOST] * 2


@pytest.mark.parametrize("params", [{"a": float("nan")}, {"a": object()}])
def test_what_cannot_be_written_is_refused_and_changes_nothing(params: Any) -> None:
    client = ready_client()
    with pytest.raises((ValueError, TypeError)):
        client.request("m", params, now=T0)
    assert (said(client), client.next_deadline()) == ([], T0 + 12.0)


def test_peer_bug_r01_a_lost_connection_ends_every_request_once_and_at_once() -> None:
    client = ready_client()
    done, late, open_ = asked(client, "done"), asked(client, "late", within=1.0), asked(client, "open")
    client.receive_message(result(done), now=T0)
    client.handle_timeout(now=T0 + 1.0)
    client.receive_close(code=4000, reason="r", now=T0 + 2.0)
    client.receive_close(code=4001, now=T0 + 2.0)
    client.handle_timeout(now=T0 + 99.0)
    events = seen(client)
    assert [(one.request_id, one.outcome) for one in events[:-1]] == [
        (done, Outcome.DONE),
        (late, Outcome.TIMED_OUT),
        (open_, Outcome.LOST),
    ]
    assert events[-1] == ConnectionLost(code=4000, reason="r", error=None)
    assert (client.state, client.next_deadline()) == (RelayState.LOST, None)


def test_what_is_asked_while_closing_is_lost_with_the_connection() -> None:
    client = ready_client()
    client.close_connection(now=T0)
    request_id = client.request("m", {}, now=T0)
    assert said(client) == [Close(code=1000)]
    client.receive_close(now=T0)
    replied, _ = seen(client)
    assert (replied.request_id, replied.outcome) == (request_id, Outcome.LOST)


# ------------------------------------------------------------------ events


def test_an_event_is_acknowledged_and_told() -> None:
    client = ready_client()
    client.receive_message(event("calling.call.state", {"call_id": "c"}, event_channel="x", timestamp=1.5), now=T0)
    assert said(client) == [{"jsonrpc": "2.0", "id": "e1", "result": {}}]
    (told,) = seen(client)
    assert isinstance(told, EventArrived)
    assert (told.event_type, told.params) == ("calling.call.state", {"call_id": "c"})
    assert told.payload == {
        "event_type": "calling.call.state",
        "params": {"call_id": "c"},
        "event_channel": "x",
        "timestamp": 1.5,
    }


@pytest.mark.parametrize("id_", ["", "e1", 0, 7])
def test_an_event_is_acknowledged_by_the_id_it_came_with(id_: str | int) -> None:
    client = ready_client()
    client.receive_message(event(id_=id_), now=T0)
    assert said(client) == [{"jsonrpc": "2.0", "id": id_, "result": {}}]
    assert len(seen(client)) == 1


def test_an_event_without_an_id_is_told_and_not_acknowledged() -> None:
    client = ready_client()
    client.receive_message(event(id_=None), now=T0)
    (told,) = seen(client)
    assert (said(client), told.fingerprint) == ([], None)


def test_an_event_that_is_told_again_can_be_recognised() -> None:
    client = ready_client()
    for id_ in ("e1", "e1", "e2"):
        client.receive_message(event(id_=id_), now=T0)
    first, again, other = seen(client)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert len(said(client)) == 3


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"params": {}},
        {"event_type": "", "params": {}},
        {"event_type": None, "params": {}},
        {"event_type": ["t"], "params": {}},
        {"event_type": "t"},
        {"event_type": "t", "params": None},
        {"event_type": "t", "params": []},
        {"event_type": "t" * 1000, "params": "text"},
    ],
)
def test_peer_bug_r06_an_event_nobody_can_read_is_acknowledged_and_dropped(params: JsonObject) -> None:
    client = ready_client()
    client.receive_message(request("signalwire.event", params, id_="e1"), now=T0)
    assert said(client) == [{"jsonrpc": "2.0", "id": "e1", "result": {}}]
    (dropped,) = seen(client)
    assert isinstance(dropped, FrameDropped)
    assert len(str(dropped.error)) < 200
    assert isinstance(dropped.error, RemoteProtocolError)
    assert dropped.error.close_code == 1007
    assert (client.bad_frames, client.unexpected, client.state) == (1, 0, RelayState.READY)


def test_an_event_before_we_are_let_in_is_neither_told_nor_acknowledged() -> None:
    client, _ = begun_client()
    client.receive_message(event(), now=T0)
    assert (seen(client), said(client), client.unexpected, client.bad_frames) == ([], [], 1, 0)


# ------------------------------------------------------------------ what else the service says


@pytest.mark.parametrize(
    ("params", "echoed"),
    [
        ({}, {}),
        ({"timestamp": 1.5, "payload": "x", "more": 1}, {"timestamp": 1.5, "payload": "x"}),
        ({"timestamp": None}, {"timestamp": None}),
        ({"payload": {"a": [1]}}, {"payload": {"a": [1]}}),
    ],
)
def test_a_ping_is_answered_with_what_it_carried(params: JsonObject, echoed: JsonObject) -> None:
    client = ready_client()
    client.receive_message(request("signalwire.ping", params, id_=7), now=T0)
    assert said(client) == [{"jsonrpc": "2.0", "id": 7, "result": echoed}]
    client.receive_message(request("signalwire.ping", params, id_=None), now=T0)
    assert (said(client), seen(client), client.unexpected) == ([], [], 0)


@pytest.mark.parametrize("method", ["signalwire.tomorrow", "signalwire.connect", "calling.answer"])
def test_what_the_service_may_ask_tomorrow_is_ignored_and_counted(method: str) -> None:
    client = ready_client()
    for count in (1, 2):
        client.receive_message(request(method), now=T0)
        assert (said(client), seen(client), client.unexpected, client.bad_frames) == ([], [], count, 0)


@pytest.mark.parametrize("state", [RelayState.AUTHENTICATING, RelayState.READY])
@pytest.mark.parametrize(
    ("params", "restart"),
    [({}, False), ({"restart": False}, False), ({"restart": True}, True), ({"restart": 1}, False)],
)
def test_a_service_that_leaves_gets_one_last_frame(state: RelayState, params: JsonObject, restart: bool) -> None:
    client = client_in(state)
    client.receive_message(request("signalwire.disconnect", params, id_="d"), now=T0)
    assert said(client) == [{"jsonrpc": "2.0", "id": "d", "result": {}}]
    assert seen(client) == [ServerLeaves(restart=restart)]
    client.receive_message(event(), now=T0)
    client.receive_message(request("signalwire.ping"), now=T0)
    client.receive_message(request("signalwire.disconnect"), now=T0)
    client.handle_timeout(now=T0 + 4.99)
    assert said(client) == [], "our reply was our last frame"
    assert (client.state, client.unexpected, client.bad_frames) == (RelayState.LEAVING, 0, 0)


def test_a_farewell_before_the_connection_is_open_is_ignored_and_counted() -> None:
    client = client_in(RelayState.NEW)
    client.receive_message(request("signalwire.disconnect"), now=T0)
    assert (seen(client), client.state, client.unexpected) == ([], RelayState.NEW, 1)
    client.start(now=T0)
    (connect,) = said(client)
    assert connect["method"] == "signalwire.connect"


def test_a_farewell_without_an_id_gets_no_reply() -> None:
    client = ready_client()
    client.receive_message(request("signalwire.disconnect", id_=None), now=T0)
    assert (said(client), seen(client)) == ([], [ServerLeaves(restart=False)])


def test_what_was_under_way_is_still_heard_from_a_service_that_leaves() -> None:
    client = ready_client()
    request_id = asked(client)
    client.receive_message(request("signalwire.disconnect"), now=T0)
    clear(client)
    client.receive_message(result(request_id), now=T0)
    client.receive_message(event(), now=T0)
    replied, told = seen(client)
    assert (replied.outcome, type(told)) == (Outcome.DONE, EventArrived)
    assert said(client) == [], "it is told again, on the next connection"


def test_the_answer_to_connect_from_a_service_that_leaves_changes_nothing() -> None:
    for answer in (result, lambda id_: failure(id_, {"code": 1})):
        client, connect_id = begun_client()
        client.receive_message(request("signalwire.disconnect"), now=T0)
        clear(client)
        client.receive_message(answer(connect_id), now=T0)
        assert (seen(client), said(client), client.state) == ([], [], RelayState.LEAVING)
        assert (client.unexpected, client.next_deadline()) == (0, T0 + 5.0)


def test_a_service_that_leaves_and_stays_is_left() -> None:
    client = ready_client()
    request_id = asked(client, within=60.0)
    client.receive_message(request("signalwire.disconnect"), now=T0)
    clear(client)
    assert client.next_deadline() == T0 + 5.0
    client.handle_timeout(now=T0 + 5.0)
    assert said(client) == [Close(code=1000)]
    client.receive_close(code=1000, now=T0 + 5.1)
    replied, lost = seen(client)
    assert (replied.request_id, replied.outcome) == (request_id, Outcome.LOST)
    assert lost == ConnectionLost(code=1000, reason="", error=None)


# ------------------------------------------------------------------ silence


def test_peer_bug_r18_a_silent_service_is_noticed_within_18_seconds() -> None:
    client = ready_client()
    request_id = asked(client, within=60.0)
    client.handle_timeout(now=T0 + 11.99)
    assert said(client) == []
    client.handle_timeout(now=T0 + 12.0)
    (ping,) = said(client)
    assert uuid.UUID(ping.pop("id")).version == 4
    assert ping == {"jsonrpc": "2.0", "method": "signalwire.ping", "params": {}}
    assert client.next_deadline() == T0 + 18.0
    client.handle_timeout(now=T0 + 17.99)
    assert seen(client) == []
    client.handle_timeout(now=T0 + 18.0)
    replied, lost = seen(client)
    assert (replied.request_id, replied.outcome) == (request_id, Outcome.LOST)
    assert isinstance(lost.error, PeerSilent)
    assert client.lost


SIGNS_OF_LIFE: dict[str, str | bytes] = {
    "an event": event(),
    "a ping": request("signalwire.ping"),
    "an answer to nothing": result("nothing"),
    "something new": request("signalwire.tomorrow"),
    "a bad frame": "{",
    "a binary message": b"\0",
}


@pytest.mark.parametrize("sign", SIGNS_OF_LIFE)
def test_anything_that_is_heard_postpones_the_ping_and_answers_it(sign: str) -> None:
    client = ready_client()
    client.receive_message(SIGNS_OF_LIFE[sign], now=T0 + 5.0)
    assert client.next_deadline() == T0 + 17.0
    client.handle_timeout(now=T0 + 17.0)
    assert client.next_deadline() == T0 + 23.0
    client.receive_message(SIGNS_OF_LIFE[sign], now=T0 + 20.0)
    assert client.next_deadline() == T0 + 32.0
    client.handle_timeout(now=T0 + 23.0)
    assert not client.lost


def test_the_answer_to_a_ping_is_no_surprise() -> None:
    client = ready_client()
    client.handle_timeout(now=T0 + 12.0)
    (ping,) = said(client)
    client.receive_message(result(ping["id"], {"timestamp": 1.0}), now=T0 + 13.0)
    assert (seen(client), client.unexpected, client.next_deadline()) == ([], 0, T0 + 25.0)


def test_a_service_that_leaves_is_not_pinged() -> None:
    client = ready_client()
    client.handle_timeout(now=T0 + 12.0)
    client.receive_message(request("signalwire.disconnect"), now=T0 + 13.0)
    clear(client)
    assert client.next_deadline() == T0 + 18.0
    client.receive_message(event(), now=T0 + 14.0)
    client.handle_timeout(now=T0 + 18.0)
    assert said(client) == [Close(code=1000)]
    assert client.next_deadline() == T0 + 23.0


def test_a_connection_whose_close_gets_stuck_is_lost_five_seconds_later() -> None:
    client = ready_client()
    request_id = asked(client)
    client.close_connection(now=T0 + 1.0)
    client.close_connection(now=T0 + 2.0)
    client.receive_message(event(), now=T0 + 3.0)
    assert (seen(client), client.next_deadline()) == ([], T0 + 6.0)
    client.handle_timeout(now=T0 + 6.0)
    replied, lost = seen(client)
    assert (replied.request_id, replied.outcome) == (request_id, Outcome.LOST)
    assert isinstance(lost.error, PeerSilent)
    assert str(lost.error) == "the connection could not be closed in time"
    client.close_connection(now=T0 + 7.0)
    assert (client.lost, client.next_deadline()) == (True, None)


# ------------------------------------------------------------------ what breaks the rules


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_peer_bug_r06_a_bad_text_is_dropped_and_the_connection_lives_on(name: str) -> None:
    client = ready_client()
    request_id = asked(client)
    client.receive_message(BAD_TEXTS[name], now=T0)
    (dropped,) = seen(client)
    assert isinstance(dropped, FrameDropped)
    assert (said(client), client.bad_frames, client.unexpected) == ([], 1, 0)
    client.receive_message(result(request_id), now=T0)
    assert outcomes(client) == [Outcome.DONE]


def test_a_binary_message_is_dropped() -> None:
    client = ready_client()
    client.receive_message(event().encode(), now=T0)
    (dropped,) = seen(client)
    assert isinstance(dropped.error, RemoteProtocolError)
    assert (dropped.error.close_code, said(client)) == (1003, [])


def test_too_many_bad_frames_close_the_connection() -> None:
    client = ready_client()
    request_id = asked(client)
    for _ in range(10):
        client.receive_message("{", now=T0)
    assert said(client) == []
    client.receive_message("{", now=T0)
    client.receive_message(result(request_id), now=T0)
    assert said(client) == [Close(code=1008, reason="too many bad frames")]
    client.receive_close(code=1008, now=T0)
    events = seen(client)
    assert [type(one) for one in events] == [FrameDropped] * 11 + [Replied, ConnectionLost]
    assert events[-2].outcome is Outcome.LOST
    assert isinstance(events[-1].error, LimitExceeded)
    assert client.bad_frames == 11


def test_ten_bad_frames_a_minute_are_forgiven_every_minute() -> None:
    client = ready_client()
    for minute in range(3):
        for _ in range(10):
            client.receive_message("{", now=T0 + 60.0 * minute)
    assert (said(client), client.bad_frames) == ([], 30)


# ------------------------------------------------------------------ secrets


@pytest.mark.parametrize("credentials", [CREDENTIALS, BY_JWT])
def test_no_secret_shows(credentials: Credentials) -> None:
    resumption = Resumption(protocol="p1", authorization_state=Secret(STATE))
    client = RelayClientProtocol(credentials=credentials, resumption=resumption, entropy=counting())
    client.start(now=T0)
    (connect,) = said(client)
    shown = [repr(client), str(client), repr(credentials), repr(resumption), str(resumption)]
    client.receive_message(result(connect["id"], {"protocol": "p1", "authorization": {"token": TOKEN}}), now=T0)
    secret: JsonObject = {"authorization_state": STATE, "jwt_token": JWT, "token": TOKEN, "project": PROJECT}
    client.receive_message(event("signalwire.authorization.state", secret), now=T0)
    client.receive_message(event("signalwire.authorization.state", STATE), now=T0)
    client.receive_message('{"token": "' + TOKEN + '", "a": }', now=T0)
    client.receive_message(result(client.request("m", secret, now=T0), secret), now=T0)
    client.receive_message(result(client.request("m", secret, now=T0), {"code": "500", **secret}), now=T0)
    client.receive_message(failure(client.request("m", secret, now=T0), {"data": secret}), now=T0)
    with pytest.raises(LocalProtocolError) as refused:
        client_in(RelayState.NEW).request("m", secret, now=T0)
    shown += [str(refused.value), repr(refused.value)]
    client.receive_close(now=T0)
    events = seen(client)
    assert len(events) == 9
    shown += [f"{one!r} {one}" for one in events]
    shown += [f"{one.error!r} {one.error} {one.error.__cause__}" for one in events if isinstance(one, FrameDropped)]
    assert not [one for one in shown if any(canary in one for canary in (PROJECT, TOKEN, JWT, STATE))]
