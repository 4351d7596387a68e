"""The agent's end of a control connection: set-up, claims, requests that end once, what is pushed."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from telcoflow_proto.control.client import ControlClient
from telcoflow_proto.control.events import RequestDone, SetupCompleted
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    MessageIn,
    SessionClosed,
    SessionInfo,
    SessionNotice,
)
from telcoflow_proto.control.table import ControlState, SessionState
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.errors import LocalProtocolError, PeerSilent
from telcoflow_proto.replies import Outcome
from telcoflow_proto.websocket import Close
from tests.control.agents import (
    T0,
    call_in,
    clear,
    client_holding,
    entropy,
    frame,
    new_client,
    opened,
    response,
    said,
    seen,
)

REQUESTS: dict[str, Callable[[ControlClient], str]] = {
    "session.open": lambda client: client.open_session("new", now=T0),
    "session.create": lambda client: client.create_session(channel="TELCO", remote_address="+1", now=T0),
    "wa.msg.out": lambda client: client.send_message("s1", {"text": "hi"}, now=T0),
    "call_flow.setup": lambda client: client.set_up_call_flow(CallFlow(), now=T0),
}
EVERY_REQUEST = pytest.mark.parametrize("kind", REQUESTS)

CONTENT: dict[str, Any] = {
    "session.open": {"session": {"id": "new", "channel": "TELCO"}},
    "session.create": {"sessionId": "s9"},
    "wa.msg.out": None,
    "call_flow.setup": {"any": ["thing"]},
}


def outcomes(events: list[Any]) -> list[Outcome]:
    return [event.outcome for event in events if isinstance(event, RequestDone)]


# ------------------------------------------------------------------ set-up


def test_the_set_up_leaves_by_itself() -> None:
    client = ControlClient(entropy=entropy(), sample_rate=16000, audio_mode="isolated")
    assert client.state is ControlState.NEW
    assert client.messages_to_send() == []
    client.start(now=T0)
    assert client.messages_to_send() == ['{"type": "setup", "data": {"sampleRate": 16000, "audioMode": "isolated"}}']
    assert seen(client) == [ConnectionOpened()]
    assert client.state is ControlState.SETTING_UP


@pytest.mark.parametrize("connection_id", ["w1", None])
def test_the_connection_is_ready_once(connection_id: str | None) -> None:
    client = ControlClient(entropy=entropy())
    client.start(now=T0)
    clear(client)
    for _ in range(2):
        client.receive_message(frame("setup.done", smWsId=connection_id), now=T0)
    assert seen(client) == [SetupCompleted(connection_id=connection_id)]
    assert (client.state, client.unexpected, client.next_deadline()) == (ControlState.READY, 0, None)


def test_peer_bug_t02_a_set_up_that_is_not_confirmed_in_ten_seconds_ends_the_connection() -> None:
    client = ControlClient(entropy=entropy())
    client.start(now=T0)
    clear(client)
    assert client.next_deadline() == T0 + 10.0
    client.handle_timeout(now=T0 + 9.9)
    assert seen(client) == []
    client.handle_timeout(now=T0 + 10.0)
    client.handle_timeout(now=T0 + 10.0)
    (lost,) = seen(client)
    assert isinstance(lost, ConnectionLost)
    assert isinstance(lost.error, PeerSilent)
    assert (client.lost, client.next_deadline()) == (True, None)


@EVERY_REQUEST
def test_nothing_can_be_asked_before_the_set_up_is_done(kind: str) -> None:
    client = ControlClient(entropy=entropy())
    client.start(now=T0)
    clear(client)
    before = client.next_deadline()
    with pytest.raises(LocalProtocolError):
        REQUESTS[kind](client)
    assert (said(client), client.next_deadline(), client.session_state("new")) == ([], before, SessionState.UNCLAIMED)


# ------------------------------------------------------------------ every request ends once


@EVERY_REQUEST
def test_a_request_carries_a_new_id_and_waits_30_seconds(kind: str) -> None:
    client = client_holding()
    request_id = REQUESTS[kind](client)
    assert uuid.UUID(request_id).version == 4
    (text,) = client.messages_to_send()
    assert isinstance(text, str)
    assert text.startswith(f'{{"type": "{kind}", ')
    assert text.endswith(f', "reqId": "{request_id}"}}')
    assert client.next_deadline() == T0 + 30.0


def test_a_message_carries_an_id_of_its_own_and_the_version_of_the_interface() -> None:
    client = client_holding()
    request_id = client.send_message("s1", {"text": "hi"}, now=T0)
    (message,) = said(client)
    assert uuid.UUID(message["data"].pop("clientMsgId")).version == 4
    assert message == {
        "type": "wa.msg.out",
        "data": {"sessionId": "s1", "apiVersion": "v19.0", "data": {"text": "hi"}},
        "reqId": request_id,
    }


@EVERY_REQUEST
def test_a_request_is_done_once(kind: str) -> None:
    client = client_holding()
    done = response(REQUESTS[kind](client), content=CONTENT[kind])
    client.receive_message(done, now=T0)
    assert outcomes(seen(client)) == [Outcome.DONE]
    client.receive_message(done, now=T0)
    client.handle_timeout(now=T0 + 100)
    client.receive_close(now=T0 + 100)
    assert outcomes(seen(client)) == []
    assert client.unexpected == 1


@EVERY_REQUEST
@pytest.mark.parametrize("code", [None, "SESSION_BUSY", "CODE_OF_TOMORROW"])
def test_a_request_is_refused_once_and_its_code_is_kept(kind: str, code: str | None) -> None:
    client = client_holding()
    request_id = REQUESTS[kind](client)
    content = {"boundSmWsId": "w2"}
    client.receive_message(response(request_id, ok=False, errorCode=code, errorContent=content), now=T0)
    client.receive_message(response(request_id, content=CONTENT[kind]), now=T0)
    (done,) = seen(client)
    assert (done.outcome, done.error_code, done.error_content) == (Outcome.REFUSED, code, content)
    assert client.session_state("new") is SessionState.UNCLAIMED


@EVERY_REQUEST
def test_a_request_nobody_answers_times_out_and_a_late_response_is_ignored(kind: str) -> None:
    client = client_holding()
    request_id = REQUESTS[kind](client)
    client.handle_timeout(now=T0 + 29.9)
    assert seen(client) == []
    client.handle_timeout(now=T0 + 30.0)
    assert outcomes(seen(client)) == [Outcome.TIMED_OUT]
    client.receive_message(response(request_id, content=CONTENT[kind]), now=T0 + 31.0)
    assert (seen(client), client.unexpected) == ([], 1)
    assert client.session_state("new") is SessionState.UNCLAIMED


@EVERY_REQUEST
def test_peer_bug_t01_a_request_is_lost_at_once_with_the_connection(kind: str) -> None:
    client = client_holding()
    REQUESTS[kind](client)
    client.receive_close(code=4401, reason="revoked", now=T0)
    done, lost = seen(client)
    assert done.outcome is Outcome.LOST
    assert lost == ConnectionLost(code=4401, reason="revoked", error=None)
    assert (client.state, client.next_deadline()) == (ControlState.OVER, None)


@EVERY_REQUEST
def test_nothing_can_be_asked_on_a_lost_connection(kind: str) -> None:
    client = client_holding()
    client.receive_close(now=T0)
    clear(client)
    with pytest.raises(LocalProtocolError):
        REQUESTS[kind](client)
    assert (said(client), seen(client)) == ([], [])


def test_too_many_requests_are_refused_and_change_nothing() -> None:
    client = new_client()
    for _ in range(256):
        client.set_up_call_flow(CallFlow(), now=T0)
    clear(client)
    with pytest.raises(LocalProtocolError, match="256 replies"):
        client.open_session("s1", now=T0)
    assert (said(client), client.session_state("s1")) == ([], SessionState.UNCLAIMED)


def test_a_response_to_nothing_is_ignored_and_counted() -> None:
    client = new_client()
    client.receive_message(response("never asked"), now=T0)
    assert (seen(client), client.unexpected, client.bad_frames) == ([], 1, 0)


# ------------------------------------------------------------------ claims


def test_a_claim_that_wins_tells_about_the_session() -> None:
    client = new_client()
    request_id = client.open_session("s1", now=T0)
    assert client.session_state("s1") is SessionState.CLAIMING
    client.receive_message(opened(request_id), now=T0)
    (done,) = seen(client)
    assert done.session == SessionInfo(id="s1", channel="TELCO")
    assert (done.session_id, done.created) == ("s1", None)
    assert client.session_state("s1") is SessionState.CLAIMED


@pytest.mark.parametrize("state", [SessionState.CLAIMING, SessionState.CLAIMED, SessionState.READY])
def test_peer_bug_n13_a_session_is_claimed_once(state: SessionState) -> None:
    client = new_client()
    request_id = client.open_session("s1", now=T0)
    if state is not SessionState.CLAIMING:
        client.receive_message(opened(request_id), now=T0)
    if state is SessionState.READY:
        client.ready("s1", now=T0)
    clear(client)
    with pytest.raises(LocalProtocolError, match=f"the session is '{state.value}'"):
        client.open_session("s1", now=T0)
    assert (said(client), client.session_state("s1")) == ([], state)


@pytest.mark.parametrize("ends", ["refused", "timed out", "closed"])
def test_a_session_that_was_not_kept_can_be_claimed_again(ends: str) -> None:
    client = new_client()
    request_id = client.open_session("s1", now=T0)
    if ends == "refused":
        client.receive_message(response(request_id, ok=False), now=T0)
    elif ends == "timed out":
        client.handle_timeout(now=T0 + 30)
    else:
        client.receive_message(opened(request_id), now=T0)
        client.receive_message(frame("session.closed", sessionId="s1"), now=T0)
    client.receive_message(opened(client.open_session("s1", now=T0)), now=T0)
    assert client.session_state("s1") is SessionState.CLAIMED


@pytest.mark.parametrize(("ok", "after"), [(True, SessionState.CLAIMED), (False, SessionState.UNCLAIMED)])
def test_a_close_that_was_sent_before_the_claim_was_heard_leaves_the_claim_to_its_response(
    ok: bool, after: SessionState
) -> None:
    client = new_client()
    request_id = client.open_session("s1", now=T0)
    client.receive_message(frame("session.closed", sessionId="s1", reason="CALL_TERMINATED"), now=T0)
    assert client.session_state("s1") is SessionState.CLAIMING
    client.receive_message(opened(request_id) if ok else response(request_id, ok=False), now=T0)
    closed, done = seen(client)
    assert closed == SessionClosed(session_id="s1", reason="CALL_TERMINATED")
    assert done.outcome is (Outcome.DONE if ok else Outcome.REFUSED)
    assert (client.unexpected, client.session_state("s1")) == (0, after)


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "s1",
        {},
        {"session": None},
        {"session": []},
        {"session": {"id": 7, "channel": "TELCO"}},
        {"session": {"id": "s1"}},
        {"session": {"id": "s1", "channel": "TELCO", "openedAt": "noon"}},
    ],
    ids=repr,
)
def test_peer_bug_t16_a_claim_with_a_senseless_response_counts_as_refused(content: Any) -> None:
    client = new_client()
    client.receive_message(response(client.open_session("s1", now=T0), content=content), now=T0)
    (done,) = seen(client)
    assert (done.outcome, done.error_code, done.content) == (Outcome.REFUSED, "INVALID_RESPONSE", content)
    assert client.session_state("s1") is SessionState.UNCLAIMED


@pytest.mark.parametrize("content", [None, {}, {"sessionId": None}, {"sessionId": "s9", "created": "yes"}], ids=repr)
def test_a_create_with_a_senseless_response_counts_as_refused(content: Any) -> None:
    client = new_client()
    client.receive_message(response(REQUESTS["session.create"](client), content=content), now=T0)
    (done,) = seen(client)
    assert (done.outcome, done.error_code) == (Outcome.REFUSED, "INVALID_RESPONSE")


@pytest.mark.parametrize(
    ("content", "created"),
    [
        ({"sessionId": "s9"}, True),
        ({"sessionId": "s9", "created": None}, True),
        ({"sessionId": "s9", "created": True}, True),
        ({"sessionId": "s9", "created": False}, False),
    ],
    ids=repr,
)
def test_a_session_that_was_created_is_claimed_like_any_other(content: Any, created: bool) -> None:
    client = new_client()
    client.receive_message(response(REQUESTS["session.create"](client), content=content), now=T0)
    (done,) = seen(client)
    assert (done.session_id, done.created, done.session) == ("s9", created, None)
    assert client.session_state("s9") is SessionState.UNCLAIMED
    client.receive_message(opened(client.open_session("s9", now=T0), "s9"), now=T0)
    assert client.session_state("s9") is SessionState.CLAIMED


def test_ready_is_told_and_may_be_told_again() -> None:
    client = client_holding(ready=False)
    client.ready("s1", now=T0)
    client.ready("s1", now=T0)
    assert client.messages_to_send() == ['{"type": "session.ready", "sessionId": "s1"}'] * 2
    assert client.session_state("s1") is SessionState.READY


@pytest.mark.parametrize(
    "verb",
    [lambda client: client.ready("s2", now=T0), lambda client: client.send_message("s2", {}, now=T0)],
    ids=["ready", "message"],
)
def test_a_session_that_is_not_ours_cannot_be_used(verb: Callable[[ControlClient], None]) -> None:
    client = client_holding()
    with pytest.raises(LocalProtocolError, match="not claimed on this connection"):
        verb(client)
    client.open_session("s2", now=T0)
    clear(client)
    with pytest.raises(LocalProtocolError, match="while the session is 'claiming'"):
        verb(client)
    assert said(client) == []


# ------------------------------------------------------------------ what is pushed


def test_a_notice_is_reported_as_it_came() -> None:
    client = new_client()
    client.receive_message(
        frame("session.notify", sessionId="s1", channel="TELCO", activity="NEW_INCOMING_CALL", createdAt=7), now=T0
    )
    assert seen(client) == [SessionNotice(session_id="s1", channel="TELCO", activity="NEW_INCOMING_CALL", created_at=7)]


def test_a_notice_between_set_up_and_its_confirmation_is_kept() -> None:
    client = ControlClient(entropy=entropy())
    client.start(now=T0)
    clear(client)
    client.receive_message(frame("session.notify", sessionId="s1", channel="TELCO", activity="RESUME"), now=T0)
    client.receive_message(frame("setup.done"), now=T0)
    assert [type(event) for event in seen(client)] == [SessionNotice, SetupCompleted]
    assert client.unexpected == 0


def test_what_comes_before_the_connection_was_opened_is_nothing() -> None:
    client = ControlClient(entropy=entropy())
    for text in (
        frame("session.notify", sessionId="s1", channel="TELCO", activity="RESUME"),
        frame("session.closed", sessionId="s1"),
        frame("setup.done"),
    ):
        client.receive_message(text, now=T0)
    assert (seen(client), client.state) == ([], ControlState.NEW)


def test_peer_bug_t13_a_call_delivered_twice_is_one_call() -> None:
    client = client_holding()
    client.receive_message(call_in(), now=T0)
    client.receive_message(call_in(), now=T0)
    (call,) = seen(client)
    assert isinstance(call, CallIn)
    assert (call.call_id, call.caller, call.callee, call.organization) == ("c1", "+1", "+2", "o")
    assert (client.session_state("s1"), client.unexpected) == (SessionState.IN_CALL, 0)


def test_messages_are_reported_each() -> None:
    client = client_holding()
    for text in ("hi", "there"):
        client.receive_message(frame("wa.msg.in", sessionId="s1", sender="+1", content={"text": text}), now=T0)
    assert seen(client) == [MessageIn(session_id="s1", sender="+1", content={"text": text}) for text in ("hi", "there")]


@pytest.mark.parametrize("pushed", [call_in("s2"), frame("wa.msg.in", sessionId="s2", content={})], ids=["call", "msg"])
@pytest.mark.parametrize("claimed", [True, False], ids=["claimed, not ready", "not claimed"])
def test_what_is_pushed_for_a_session_that_is_not_ready_is_ignored_and_counted(pushed: str, claimed: bool) -> None:
    client = client_holding("s2", ready=False) if claimed else client_holding("s1")
    client.receive_message(pushed, now=T0)
    assert (seen(client), client.unexpected) == ([], 1)


@pytest.mark.parametrize("session_id", ["s1", "unknown"])
def test_the_end_of_any_session_is_reported(session_id: str) -> None:
    client = client_holding()
    client.receive_message(frame("session.closed", sessionId=session_id, reason="SDK_REQUEST"), now=T0)
    assert seen(client) == [SessionClosed(session_id=session_id, reason="SDK_REQUEST")]
    assert client.session_state(session_id) is SessionState.UNCLAIMED


def test_peer_bug_t15_a_session_that_is_over_is_forgotten() -> None:
    client = new_client()
    for number in range(101):
        session_id = f"s{number}"
        client.receive_message(opened(client.open_session(session_id, now=T0), session_id), now=T0)
        client.receive_message(frame("session.closed", sessionId=session_id), now=T0)
    assert client.session_state("s0") is SessionState.UNCLAIMED
    with pytest.raises(LocalProtocolError):
        client.ready("s0", now=T0)


def test_an_unknown_type_is_ignored_and_counted() -> None:
    client = new_client()
    client.receive_message(frame("hologram"), now=T0)
    assert (seen(client), client.unexpected, client.bad_frames) == ([], 1, 0)


# ------------------------------------------------------------------ bad frames


@pytest.mark.parametrize("bad", ["not JSON", frame("response", reqId=["r"], ok=True), b"\0\1\0"], ids=repr)
def test_the_eleventh_bad_frame_of_a_minute_closes_the_connection(bad: str | bytes) -> None:
    client = new_client()
    for _ in range(10):
        client.receive_message(bad, now=T0)
    assert said(client) == []
    client.receive_message(bad, now=T0 + 59)
    assert said(client) == [Close(code=1008, reason="too many bad frames")]
    events = seen(client)
    assert (client.bad_frames, [type(event) for event in events]) == (11, [FrameDropped] * 11)
    client.receive_message(frame("hologram"), now=T0 + 59)
    assert client.unexpected == 0, "nothing is heard behind the close"


def test_ten_bad_frames_a_minute_are_borne_for_ever() -> None:
    client = new_client()
    for minute in range(30):
        for _ in range(10):
            client.receive_message("not JSON", now=T0 + 60.0 * minute)
    assert client.bad_frames == 300
    assert said(client) == []


@pytest.mark.parametrize(
    "content", [{"a": {1, 2}}, {"a": float("nan")}, {"a": b"bytes"}], ids=["a set", "NaN", "bytes"]
)
def test_content_that_is_no_json_is_refused_and_leaves_nothing_behind(content: Any) -> None:
    client = client_holding()
    with pytest.raises((TypeError, ValueError)):
        client.send_message("s1", content, now=T0)
    assert said(client) == []
    assert client.next_deadline() is None, "nobody waits for an answer to what was not said"
    client.send_message("s1", {"a": 1}, now=T0)
    assert [one["type"] for one in said(client)] == ["wa.msg.out"]
