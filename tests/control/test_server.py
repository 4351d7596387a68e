"""The service's end of a control connection: set-up, requests, who holds which session, what it pushes."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from telcoflow_proto.control.events import RequestReceived, SessionReadied, SetupRequested
from telcoflow_proto.control.messages import (
    MessageIn,
    OpenSession,
    SessionNotice,
    Setup,
)
from telcoflow_proto.control.server import ControlServer
from telcoflow_proto.control.table import ControlState, SessionState
from telcoflow_proto.door import ConnectionLost, FrameDropped
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.websocket import Close
from tests.control.agents import (
    CALL,
    INFO,
    T0,
    clear,
    entropy,
    frame,
    new_server,
    said,
    seen,
    server_holding,
)

SETUP = frame("setup", data={"sampleRate": 16000, "audioMode": "isolated"})
MESSAGE = MessageIn(session_id="s1", sender="+1", content={"text": "hi"})
NOTICE = SessionNotice(session_id="s1", channel="TELCO", activity="NEW_INCOMING_CALL")

REQUESTS = {
    "session.open": frame("session.open", sessionId="new", reqId="r1"),
    "session.create": frame("session.create", channel="TELCO", remoteAddress="+1", reqId="r1"),
    "wa.msg.out": frame(
        "wa.msg.out", data={"sessionId": "s1", "clientMsgId": "m", "apiVersion": "v", "data": {}}, reqId="r1"
    ),
    "call_flow.setup": frame(
        "call_flow.setup",
        data={"inboundCall": "ALL", "outboundCall": True, "inboundMessage": True, "outboundMessage": True},
        reqId="r1",
    ),
}
EVERY_REQUEST = pytest.mark.parametrize("kind", REQUESTS)

ANSWERS: dict[str, Callable[[ControlServer], None]] = {
    "session.open": lambda server: server.open_succeeded("r1", attrs.evolve(INFO, id="new"), now=T0),
    "session.create": lambda server: server.create_succeeded("r1", "s9", created=False, now=T0),
    "wa.msg.out": lambda server: server.respond("r1", now=T0),
    "call_flow.setup": lambda server: server.respond("r1", content={"k": 1}, now=T0),
}

CONTENT: dict[str, Any] = {
    "session.open": {
        "content": {
            "session": {
                "id": "new",
                "channel": "TELCO",
                "initiator": None,
                "state": None,
                "remoteAddress": None,
                "localAddress": None,
                "openedAt": None,
                "closedAt": None,
            }
        }
    },
    "session.create": {"content": {"sessionId": "s9", "created": False}},
    "wa.msg.out": {},
    "call_flow.setup": {"content": {"k": 1}},
}

PUSHES: dict[str, Callable[[ControlServer], None]] = {
    "setup.done": lambda server: server.complete_setup(connection_id="w1", now=T0),
    "session.notify": lambda server: server.notify(NOTICE, now=T0),
    "call.in": lambda server: server.offer_call(CALL, now=T0),
    "wa.msg.in": lambda server: server.push_message(MESSAGE, now=T0),
    "session.closed": lambda server: server.close_session("s1", "SDK_REQUEST", now=T0),
}


def received(server: ControlServer) -> list[RequestReceived]:
    return [event for event in seen(server) if isinstance(event, RequestReceived)]


# ------------------------------------------------------------------ set-up


def test_a_set_up_is_put_to_the_application_and_confirmed() -> None:
    server = ControlServer(entropy=entropy())
    server.start(now=T0)
    clear(server)
    assert server.next_deadline() == T0 + 10.0
    server.receive_message(SETUP, now=T0)
    assert seen(server) == [SetupRequested(setup=Setup(sample_rate=16000, audio_mode="isolated"))]
    assert (server.state, server.next_deadline()) == (ControlState.SETTING_UP, None)
    server.complete_setup(connection_id="w1", now=T0)
    assert said(server) == [{"type": "setup.done", "smWsId": "w1"}]
    assert server.state is ControlState.READY


def test_a_client_that_never_sets_up_is_sent_away() -> None:
    server = ControlServer(entropy=entropy())
    server.start(now=T0)
    server.handle_timeout(now=T0 + 9.9)
    assert said(server) == []
    server.handle_timeout(now=T0 + 10.0)
    server.handle_timeout(now=T0 + 10.0)
    assert said(server) == [Close(code=1008, reason="no setup in time")]


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_second_set_up_is_dropped(confirmed: bool) -> None:
    server = ControlServer(entropy=entropy())
    server.start(now=T0)
    server.receive_message(SETUP, now=T0)
    if confirmed:
        server.complete_setup(now=T0)
    clear(server)
    server.receive_message(SETUP, now=T0)
    assert [type(event) for event in seen(server)] == [FrameDropped]
    assert server.state is (ControlState.READY if confirmed else ControlState.SETTING_UP)


@EVERY_REQUEST
def test_a_request_before_the_set_up_is_dropped(kind: str) -> None:
    server = ControlServer(entropy=entropy())
    server.start(now=T0)
    clear(server)
    server.receive_message(REQUESTS[kind], now=T0)
    assert [type(event) for event in seen(server)] == [FrameDropped]
    assert said(server) == []


@pytest.mark.parametrize("push", PUSHES)
def test_nothing_is_pushed_before_the_set_up(push: str) -> None:
    server = ControlServer(entropy=entropy())
    server.start(now=T0)
    before = server.next_deadline()
    with pytest.raises(LocalProtocolError):
        PUSHES[push](server)
    assert (said(server), server.state, server.next_deadline()) == ([], ControlState.NEW, before)


# ------------------------------------------------------------------ requests


@EVERY_REQUEST
def test_an_answer_before_the_set_up_is_refused_for_that_reason(kind: str) -> None:
    server = ControlServer(entropy=entropy())
    server.start(now=T0)
    with pytest.raises(LocalProtocolError, match="cannot say 'response' while the control connection is 'new'"):
        ANSWERS[kind](server)
    assert said(server) == []


@EVERY_REQUEST
def test_a_request_is_put_to_the_application_and_answered_once(kind: str) -> None:
    server = server_holding()
    server.receive_message(REQUESTS[kind], now=T0)
    server.receive_message(REQUESTS[kind], now=T0)
    (event,) = received(server)
    assert event.requested.request_id == "r1"
    assert server.unexpected == 1, "the same request, delivered again while it waits"
    ANSWERS[kind](server)
    assert said(server) == [{"type": "response", "reqId": "r1", "ok": True, **CONTENT[kind]}]
    with pytest.raises(LocalProtocolError):
        ANSWERS[kind](server)
    with pytest.raises(LocalProtocolError, match="not waiting for an answer"):
        server.refuse("r1", error_code="E", now=T0)
    assert (said(server), server.next_deadline()) == ([], None)


@EVERY_REQUEST
def test_a_request_is_refused_with_a_code(kind: str) -> None:
    server = server_holding()
    server.receive_message(REQUESTS[kind], now=T0)
    server.refuse("r1", error_code="SESSION_BUSY", error_content={"boundSmWsId": "w2"}, now=T0)
    assert said(server) == [
        {
            "type": "response",
            "reqId": "r1",
            "ok": False,
            "errorCode": "SESSION_BUSY",
            "errorContent": {"boundSmWsId": "w2"},
        }
    ]
    assert server.session_state("new") is SessionState.UNCLAIMED


@EVERY_REQUEST
def test_a_request_nobody_answers_is_forgotten_after_30_seconds(kind: str) -> None:
    server = server_holding()
    server.receive_message(REQUESTS[kind], now=T0)
    assert server.next_deadline() == T0 + 30.0
    server.handle_timeout(now=T0 + 29.9)
    assert server.next_deadline() == T0 + 30.0
    server.handle_timeout(now=T0 + 30.0)
    assert (said(server), server.next_deadline()) == ([], None)
    assert server.session_state("new") is SessionState.UNCLAIMED
    with pytest.raises(LocalProtocolError):
        ANSWERS[kind](server)


def test_one_request_too_many_is_refused() -> None:
    server = new_server()
    for number in range(257):
        server.receive_message(frame("session.open", sessionId=f"s{number}", reqId=f"r{number}"), now=T0)
    assert len(received(server)) == 256
    assert said(server) == [{"type": "response", "reqId": "r256", "ok": False, "errorCode": "QUOTA_EXCEEDED"}]
    assert server.session_state("s256") is SessionState.UNCLAIMED


@pytest.mark.parametrize("answered", [True, False], ids=["claimed", "claiming"])
def test_a_session_cannot_be_claimed_twice_on_one_connection(answered: bool) -> None:
    server = new_server()
    server.receive_message(frame("session.open", sessionId="s1", reqId="r1"), now=T0)
    if answered:
        server.open_succeeded("r1", INFO, now=T0)
    clear(server)
    server.receive_message(frame("session.open", sessionId="s1", reqId="r2"), now=T0)
    assert said(server) == [{"type": "response", "reqId": "r2", "ok": False, "errorCode": "INVALID_REQUEST"}]
    assert received(server) == []


def test_the_vendors_client_claims_what_it_has_created() -> None:
    server = new_server()
    server.receive_message(REQUESTS["session.create"], now=T0)
    server.create_succeeded("r1", "s1", created=True, now=T0)
    server.receive_message(frame("session.open", sessionId="s1", reqId="r2"), now=T0)
    server.open_succeeded("r2", INFO, now=T0)
    server.receive_message(frame("session.ready", sessionId="s1"), now=T0)
    assert [type(event) for event in seen(server)] == [RequestReceived, RequestReceived, SessionReadied]
    assert server.session_state("s1") is SessionState.READY


@pytest.mark.parametrize("session_id", ["s2", "s1"], ids=["not claimed", "not ready"])
def test_a_message_of_a_session_that_is_not_open_is_refused(session_id: str) -> None:
    server = server_holding("s1", ready=False)
    server.receive_message(
        frame(
            "wa.msg.out",
            data={"sessionId": session_id, "clientMsgId": "m", "apiVersion": "v", "data": {}},
            reqId="r1",
        ),
        now=T0,
    )
    assert said(server) == [{"type": "response", "reqId": "r1", "ok": False, "errorCode": "SESSION_NOT_OPEN"}]


def test_an_answer_about_another_session_is_refused_and_the_claim_still_waits() -> None:
    server = new_server()
    server.receive_message(frame("session.open", sessionId="s1", reqId="r1"), now=T0)
    with pytest.raises(LocalProtocolError, match="not claimed"):
        server.open_succeeded("r1", attrs.evolve(INFO, id="s2"), now=T0)
    assert said(server) == []
    server.open_succeeded("r1", INFO, now=T0)
    assert server.session_state("s1") is SessionState.CLAIMED


def test_the_close_of_a_session_refuses_a_claim_that_waits_and_no_other() -> None:
    server = new_server()
    for number in (1, 2):
        server.receive_message(frame("session.open", sessionId=f"s{number}", reqId=f"r{number}"), now=T0)
    server.close_session("s1", "CALL_TERMINATED", now=T0)
    assert said(server) == [
        {"type": "response", "reqId": "r1", "ok": False, "errorCode": "SESSION_CLOSED"},
        {"type": "session.closed", "sessionId": "s1", "reason": "CALL_TERMINATED"},
    ]
    assert server.session_state("s1") is SessionState.UNCLAIMED
    assert server.session_state("s2") is SessionState.CLAIMING
    server.receive_message(frame("session.open", sessionId="s1", reqId="r3"), now=T0)
    assert received(server)[-1].requested.request == OpenSession(session_id="s1")


# ------------------------------------------------------------------ ready, and what is pushed


def test_ready_is_reported_once() -> None:
    server = server_holding(ready=False)
    for _ in range(2):
        server.receive_message(frame("session.ready", sessionId="s1"), now=T0)
    assert seen(server) == [SessionReadied(session_id="s1")]
    assert server.unexpected == 0


def test_ready_for_a_claim_that_still_waits_is_ignored_and_counted() -> None:
    server = new_server()
    server.receive_message(REQUESTS["session.open"], now=T0)
    clear(server)
    server.receive_message(frame("session.ready", sessionId="new"), now=T0)
    assert (seen(server), server.unexpected) == ([], 1)


def test_ready_that_crossed_the_close_of_its_session_is_nobodys_fault() -> None:
    server = server_holding(ready=False)
    server.close_session("s1", "FORCE_CLOSE", now=T0)
    clear(server)
    server.receive_message(frame("session.ready", sessionId="s1"), now=T0)
    assert (seen(server), said(server), server.unexpected, server.bad_frames) == ([], [], 0, 0)


@pytest.mark.parametrize("push", [push for push in PUSHES if push != "setup.done"])
def test_what_is_pushed_for_a_ready_session_leaves_and_may_be_repeated(push: str) -> None:
    server = server_holding()
    PUSHES[push](server)
    PUSHES["session.notify" if push == "session.closed" else push](server)
    first, _ = said(server)
    assert (first["type"], first["sessionId"]) == (push, "s1")


@pytest.mark.parametrize("push", ["call.in", "wa.msg.in"])
@pytest.mark.parametrize("claimed", [True, False], ids=["claimed, not ready", "not claimed"])
def test_what_a_session_is_not_ready_for_is_refused_and_leaves_no_trace(push: str, claimed: bool) -> None:
    server = server_holding(ready=False) if claimed else new_server()
    before = server.session_state("s1")
    with pytest.raises(LocalProtocolError):
        PUSHES[push](server)
    assert (said(server), server.session_state("s1")) == ([], before)


def test_a_set_up_is_confirmed_once() -> None:
    server = new_server()
    with pytest.raises(LocalProtocolError, match="cannot say 'setup"):
        server.complete_setup(now=T0)
    assert said(server) == []


def test_a_notice_may_come_for_any_session() -> None:
    server = new_server()
    server.notify(NOTICE, now=T0)
    assert [one["activity"] for one in said(server)] == ["NEW_INCOMING_CALL"]


# ------------------------------------------------------------------ the end, and bad frames


def test_a_lost_connection_forgets_requests_and_sessions() -> None:
    server = server_holding()
    server.receive_message(REQUESTS["session.open"], now=T0)
    clear(server)
    server.receive_close(code=1001, now=T0)
    assert seen(server) == [ConnectionLost(code=1001, reason="", error=None)]
    assert (server.state, server.next_deadline()) == (ControlState.OVER, None)
    assert server.session_state("s1") is SessionState.UNCLAIMED
    with pytest.raises(LocalProtocolError):
        server.notify(NOTICE, now=T0)


@pytest.mark.parametrize("text", [frame("hologram"), frame("setup.done"), frame("response", reqId="r", ok=True)])
def test_a_type_no_client_says_is_ignored_and_counted(text: str) -> None:
    server = new_server()
    server.receive_message(text, now=T0)
    assert (seen(server), said(server), server.unexpected, server.bad_frames) == ([], [], 1, 0)


@pytest.mark.parametrize("bad", ["[]", b"\0\1\0"], ids=["text", "binary"])
def test_the_eleventh_bad_frame_of_a_minute_closes_the_connection(bad: str | bytes) -> None:
    server = new_server()
    for _ in range(11):
        server.receive_message(bad, now=T0)
    assert said(server) == [Close(code=1008, reason="too many bad frames")]
    assert server.bad_frames == 11


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("session.open", lambda server: server.respond("r1", now=T0)),
        ("session.open", lambda server: server.create_succeeded("r1", "s1", created=True, now=T0)),
        ("session.create", lambda server: server.respond("r1", now=T0)),
        ("call_flow.setup", lambda server: server.create_succeeded("r1", "s1", created=True, now=T0)),
    ],
)
def test_a_request_cannot_be_answered_as_if_it_were_another(kind: str, wrong: Callable[[ControlServer], None]) -> None:
    server = new_server()
    server.receive_message(REQUESTS[kind], now=T0)
    with pytest.raises(LocalProtocolError, match="no answer to a request"):
        wrong(server)
    server.refuse("r1", error_code="FORBIDDEN", now=T0)
    assert [one["ok"] for one in said(server)] == [False]


@pytest.mark.parametrize("data", [{"sampleRate": 0, "audioMode": "mixed"}, {"sampleRate": 8000, "audioMode": "banana"}])
def test_a_set_up_with_values_nobody_has_is_dropped_and_another_may_follow(data: dict[str, object]) -> None:
    server = ControlServer(entropy=entropy())
    server.start(now=T0)
    server.receive_message(frame("setup", data=data), now=T0)
    assert (server.bad_frames, server.state) == (1, ControlState.NEW)
    server.receive_message(frame("setup", data={"sampleRate": 8000, "audioMode": "isolated"}), now=T0)
    assert server.state is ControlState.SETTING_UP
