"""What a client asks for by itself, without any event loop: sessions, messages, call flow, outgoing calls."""

import json
from typing import Any

import pytest

from telcoflow_proto.client_table import ClientState
from telcoflow_proto.control.messages import (
    CallFlow,
    CreateSession,
    InboundCalls,
    MessageIn,
    OpenSession,
    SendMessage,
    SessionInfo,
    SetUpCallFlow,
)
from telcoflow_proto.exceptions import (
    SessionAlreadyExists,
    SessionBusy,
    SessionClosed,
    SessionError,
    WSSAuthenticationError,
    WSSCallCommandError,
    WSSCallRefusedError,
    WSSCallStateError,
    WSSCallUnansweredError,
    WSSConnectionError,
    WSSMediaError,
)
from telcoflow_proto.media.table import CallState
from telcoflow_proto.session import Session
from tests.core.loopless import FakeCall, FakeClient, Line, Task, TimeUp
from tests.core.switchboard import CONFIG, Switchboard


def connected() -> tuple[FakeClient, Switchboard]:
    client = FakeClient(CONFIG)
    board = Switchboard(client.machine, client.settle)
    task = Task(client.begin())
    board.connect()
    task.outcome()
    return client, board


def opened(client: FakeClient, board: Switchboard, session_id: str = "s1") -> Session[FakeCall]:
    task = Task(client.open_session(session_id))
    board.carry()
    session: Session[FakeCall] = task.outcome()
    return session


def lose(client: FakeClient, board: Switchboard) -> None:
    board.machine.fail_transport("cut", now=board.now)
    client.settle()


def reconnect(client: FakeClient, board: Switchboard) -> None:
    board.later(30)
    client.clock.now = board.now
    board.connect()


def reopen(client: FakeClient, board: Switchboard) -> None:
    lose(client, board)
    reconnect(client, board)


# ------------------------------------------------------------------ REST


def test_open_sessions_are_listed() -> None:
    client, _ = connected()
    client.reply = (200, json.dumps({"items": [{"id": "s1", "channel": "WA"}]}).encode())
    found = Task(client.list_sessions(channel="WA", remote_address="+1")).outcome()
    assert found == [SessionInfo(id="s1", channel="WA")]
    assert client.requests[0].target == "/public/v1/sessions?channel=WA&remoteAddress=%2B1&state=OPEN"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ((401, b""), WSSAuthenticationError),
        ((500, b"<html>"), WSSConnectionError),
        ((409, b'{"code": "QUOTA_EXCEEDED"}'), SessionError),
        (WSSConnectionError("no route"), WSSConnectionError),
    ],
)
def test_what_goes_wrong_there_is_raised_and_the_session_stays(reply: Any, kind: type[Exception]) -> None:
    client, board = connected()
    session = opened(client, board)
    client.reply = reply
    for work in (client.list_sessions(), session.close()):
        with pytest.raises(kind):
            Task(work).outcome()
    assert not session.is_closed
    assert client.kept[0] == 1


@pytest.mark.parametrize("reply", [(200, b'{"closedAt": 1, "reason": "SDK_REQUEST"}'), (404, b"<html>")])
def test_a_session_is_closed_there(reply: Any) -> None:
    client, board = connected()
    session = opened(client, board, "../admin")
    client.reply = reply
    Task(session.close()).outcome()
    assert session.close_reason == "SDK_REQUEST"
    assert client.requests[-1].target == "/public/v1/sessions/%2E%2E%2Fadmin/close"
    assert client.kept == [0, 0, 0, 0]
    board.end.close_session("../admin", "SDK_REQUEST", now=board.now)
    board.carry()
    assert session.close_reason == "SDK_REQUEST"


def test_a_session_that_is_closed_while_we_are_offline_is_not_claimed_again() -> None:
    client, board = connected()
    board.channel, board.calls = "WA", 0
    session = opened(client, board)
    lose(client, board)
    Task(session.close()).outcome()
    assert session.is_closed
    reconnect(client, board)
    assert board.asked == [OpenSession(session_id="s1")]


def test_a_session_that_was_opened_again_while_it_was_closed_stays_open() -> None:
    client, board = connected()
    session = opened(client, board)
    again: list[Session[FakeCall]] = []

    def meanwhile() -> None:
        board.end.close_session("s1", "FORCE_CLOSE", now=board.now)
        board.carry()
        again.append(opened(client, board))

    client.meanwhile = meanwhile
    Task(session.close()).outcome()
    assert session.close_reason == "FORCE_CLOSE"
    assert not again[0].is_closed
    assert Task(client.open_session("s1")).outcome() is again[0]


def test_a_session_that_was_closed_may_be_opened_again_at_once() -> None:
    client, board = connected()
    session = opened(client, board)
    Task(session.close()).outcome()
    board.claims = "SESSION_CLOSED"
    task = Task(client.open_session("s1"))
    board.carry()
    with pytest.raises(SessionError):
        task.outcome()


# ------------------------------------------------------------------ opening


def test_everybody_who_opens_a_session_gets_the_same_object() -> None:
    client, board = connected()
    one, two = Task(client.open_session("s1")), Task(client.open_session("s1"))
    board.carry()
    first = one.outcome()
    assert two.outcome() is first
    assert Task(client.open_session("s1")).outcome() is first
    assert board.asked == [OpenSession(session_id="s1")]
    assert client.kept == [1, 0, 0, 0]


def test_the_first_opener_may_be_cancelled() -> None:
    client, board = connected()
    one, two = Task(client.open_session("s1")), Task(client.open_session("s1"))
    one.step(TimeUp())
    board.carry()
    assert two.outcome().session_id == "s1"
    assert client.kept == [1, 0, 0, 0]


def test_openers_who_are_all_cancelled_leave_nothing_behind_them() -> None:
    client, board = connected()
    for task in [Task(client.open_session("s1")), Task(client.open_session("s1"))]:
        task.step(TimeUp())
    assert client.kept == [0, 1, 0, 0], "the request itself is still under way"
    late = Task(client.open_session("s1"))
    board.carry()
    assert late.outcome().session_id == "s1"
    assert len(board.asked) == 1
    board.end.close_session("s1", "FORCE_CLOSE", now=board.now)
    board.carry()
    assert client.kept == [0, 0, 0, 0]


def test_a_session_another_worker_has_is_busy_and_its_owner_is_told() -> None:
    client, board = connected()
    board.claims = "SESSION_BUSY"
    one, two = Task(client.open_session("s1")), Task(client.open_session("s1"))
    board.carry()
    for task in (one, two):
        with pytest.raises(SessionBusy) as caught:
            task.outcome()
        assert caught.value.owner == "sm-7"
    assert client.kept == [0, 0, 0, 0]
    board.claims = "give"
    assert opened(client, board).session_id == "s1", "and may be asked for again"


@pytest.mark.parametrize("content", [None, "sm-7", ["sm-7"], {"boundSmWsId": 7}, {}])
def test_an_owner_that_is_not_told_readably_is_nobody(content: Any) -> None:
    client, board = connected()
    board.claims = None
    task = Task(client.open_session("s1"))
    board.carry()
    (claim,) = board.end._requests.waiting()  # noqa: SLF001 - what the service was asked
    board.end.refuse(claim.id, error_code="SESSION_BUSY", error_content=content, now=board.now)
    board.carry()
    with pytest.raises(SessionBusy) as caught:
        task.outcome()
    assert caught.value.owner is None


@pytest.mark.parametrize("code", ["A_NEW_ONE", "QUOTA_EXCEEDED"])
def test_codes_without_a_class_of_their_own_are_kept(code: str) -> None:
    client, board = connected()
    board.claims = code
    task = Task(client.open_session("s1"))
    board.carry()
    with pytest.raises(SessionError, match=code) as caught:
        task.outcome()
    assert type(caught.value) is SessionError


def test_a_response_that_does_not_fit_is_told() -> None:
    client, board = connected()
    board.claims = None
    task = Task(client.open_session("s1"))
    board.carry()
    (claim,) = board.end._requests.waiting()  # noqa: SLF001 - what the service was asked
    content = {"session": {"id": "another", "channel": "TELCO"}}
    board.end._out.append(  # noqa: SLF001 - what no honest service says
        json.dumps({"type": "response", "reqId": claim.id, "ok": True, "content": content})
    )
    board.carry()
    with pytest.raises(SessionError, match="INVALID_RESPONSE"):
        task.outcome()
    assert client.kept == [0, 0, 0, 0]


def test_a_session_that_is_closed_in_the_same_bytes_is_closed() -> None:
    client, board = connected()
    board.claims = None
    one, two = Task(client.open_session("s1")), Task(client.open_session("s1"))
    board.carry()
    (claim,) = board.end._requests.waiting()  # noqa: SLF001 - what the service was asked
    board.end.open_succeeded(claim.id, SessionInfo(id="s1", channel="TELCO"), now=board.now)
    board.end.close_session("s1", "CALL_TERMINATED", now=board.now)
    board.carry()
    for task in (one, two):
        with pytest.raises(SessionClosed):
            task.outcome()
    assert client.kept == [0, 0, 0, 0]


def test_a_session_the_service_closes_leaves_the_registry() -> None:
    client, board = connected()
    one, two = opened(client, board, "s1"), opened(client, board, "s2")
    waiting = Task(one.wait_closed())
    board.end.close_session("s1", "nobody knows this reason", now=board.now)
    board.carry()
    assert waiting.outcome() == "FORCE_CLOSE"
    assert not two.is_closed
    assert client.kept[0] == 1
    again = opened(client, board, "s1")
    assert again is not one
    assert not again.is_closed


def test_what_a_session_asks_for_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client, board = connected()
    board.channel, board.calls = "WA", 0
    session = opened(client, board)
    written: list[bytes] = []
    monkeypatch.setattr(client, "_woken", lambda: written.append(client.machine.data_to_send(now=board.now)))
    Task(session.ready()).outcome()
    assert any(written)


# ------------------------------------------------------------------ requests that get no answer


def requests(client: FakeClient, session: Session[FakeCall]) -> list[Any]:
    return [
        client.open_session("other"),
        client.create_session("TELCO", "+1"),
        client.setup_call_flow(CallFlow()),
        session.send_message({"text": "hi"}),
    ]


def silent() -> tuple[FakeClient, Switchboard, Session[FakeCall]]:
    client, board = connected()
    board.channel, board.calls = "WA", 0
    session = opened(client, board)
    Task(session.ready()).outcome()
    board.carry()
    board.claims = board.creates = board.answers = None
    return client, board, session


def test_requests_while_there_is_no_connection_are_refused_at_once() -> None:
    client, board, session = silent()
    lose(client, board)
    for work in [*requests(client, session), session.ready(), client.dial("+1")]:
        with pytest.raises(WSSConnectionError, match="no control connection: the client is waiting"):
            Task(work).outcome()
    assert client.kept == [1, 0, 0, 0]
    assert client.tasks == []


def test_a_client_that_never_connected_says_so() -> None:
    for work in (FakeClient(CONFIG).open_session("s1"), FakeClient(CONFIG).dial("+1")):
        with pytest.raises(WSSConnectionError, match="the client is idle"):
            Task(work).outcome()


def test_requests_whose_connection_is_lost_are_told() -> None:
    client, board, session = silent()
    tasks = [Task(work) for work in requests(client, session)]
    board.carry()
    lose(client, board)
    for task in tasks:
        with pytest.raises(WSSConnectionError, match="lost before the answer"):
            task.outcome()
    assert client.kept == [1, 0, 0, 0]


def test_requests_that_are_not_answered_in_time_are_told() -> None:
    client, board, session = silent()
    tasks = [Task(work) for work in requests(client, session)]
    for _ in range(6):
        board.carry()
        board.later(5)
    for task in tasks:
        with pytest.raises(WSSConnectionError, match="did not answer in time"):
            task.outcome()
    assert client.kept == [1, 0, 0, 0]


def test_a_session_that_is_not_claimed_here_cannot_be_readied() -> None:
    client, board, session = silent()
    lose(client, board)
    reconnect(client, board)
    with pytest.raises(WSSConnectionError, match=r"claiming|session\.ready"):
        Task(session.ready()).outcome()
    assert not session.is_closed


# ------------------------------------------------------------------ messages and call flow


def test_a_message_is_sent_and_one_comes_back() -> None:
    client, board = connected()
    board.channel, board.calls = "WA", 0
    session = opened(client, board)
    told: list[Any] = []
    session.on_incoming_message(told.append)
    with pytest.raises(WSSConnectionError):
        Task(session.send_message({})).outcome()
    Task(session.ready()).outcome()
    board.carry()
    task = Task(session.send_message({"text": "hi"}))
    board.carry()
    assert task.outcome() == {"done": True}
    sent = board.asked[-1]
    assert isinstance(sent, SendMessage)
    assert (sent.session_id, sent.content) == ("s1", {"text": "hi"})
    board.end.push_message(MessageIn(session_id="s1", sender="+1", content={"a": 1}), now=board.now)
    board.carry()
    assert [one.content for one in told] == [{"a": 1}]
    board.answers = "OVERFLOW"
    task = Task(session.send_message({}))
    board.carry()
    with pytest.raises(SessionError, match="OVERFLOW"):
        task.outcome()


def test_the_call_flow_is_said_again_after_a_reconnect() -> None:
    client, board = connected()
    flow = CallFlow(inbound_call=InboundCalls.NONE, outbound_message=False)
    task = Task(client.setup_call_flow(flow))
    board.carry()
    task.outcome()
    assert board.asked == [SetUpCallFlow(flow=flow)]
    reopen(client, board)
    assert board.asked == [SetUpCallFlow(flow=flow)] * 2
    assert client.kept == [0, 0, 0, 0]


# ------------------------------------------------------------------ sessions across reconnects


def test_message_sessions_are_opened_and_readied_again() -> None:
    client, board = connected()
    board.channel, board.calls = "WA", 0
    readied, unready = opened(client, board, "s1"), opened(client, board, "s2")
    Task(readied.ready()).outcome()
    board.carry()
    board.asked.clear()
    board.readied.clear()
    reopen(client, board)
    assert board.asked == [OpenSession(session_id="s1"), OpenSession(session_id="s2")]
    assert board.readied == ["s1"], "only what was readied before"
    assert not readied.is_closed
    assert not unready.is_closed
    told: list[Any] = []
    readied.on_incoming_message(told.append)
    board.end.push_message(MessageIn(session_id="s1", sender=None, content={}), now=board.now)
    board.carry()
    assert len(told) == 1


@pytest.mark.parametrize("code", ["SESSION_BUSY", "SESSION_CLOSED", "A_NEW_ONE"])
def test_a_message_session_that_cannot_be_had_again_is_closed_here(code: str) -> None:
    client, board = connected()
    board.channel, board.calls = "WA", 0
    session = opened(client, board)
    told: list[Any] = []
    session.on_closed(told.append)
    board.claims = code
    reopen(client, board)
    assert told == [session.close_reason] == ["FORCE_CLOSE"]
    assert client.kept == [0, 0, 0, 0]
    reopen(client, board)
    assert board.asked == [OpenSession(session_id="s1")] * 2, "and is not asked for a third time"


def test_a_call_session_is_closed_here_while_its_call_goes_on() -> None:
    client, board = connected()
    session = opened(client, board)
    calls: list[FakeCall] = []
    session.on_incoming_call(calls.append)
    Task(session.ready()).outcome()
    board.carry()
    (call,) = calls
    Line(call).answered()
    reopen(client, board)
    assert session.close_reason == "FORCE_CLOSE"
    assert call.state is CallState.ANSWERED
    assert client.calls == [call]
    assert board.asked == [OpenSession(session_id="s1")], "it cannot be had again"


def test_sessions_end_with_the_client() -> None:
    client, board = connected()
    session = opened(client, board)
    waiting = Task(session.wait_closed())
    ending = Task(client.end())
    board.carry()
    board.machine.receive_eof(now=board.now)
    client.settle()
    ending.outcome()
    assert waiting.outcome() == "FORCE_CLOSE"
    assert client.kept == [0, 0, 0, 0]


# ------------------------------------------------------------------ creating


def test_a_session_is_created_and_claimed() -> None:
    client, board = connected()
    board.channel = "WA"
    task = Task(client.create_session("WA", "+1"))
    board.carry()
    task.step()
    board.carry()
    assert task.outcome().session_id == "out"
    assert board.asked == [CreateSession(channel="WA", remote_address="+1"), OpenSession(session_id="out")]


def test_a_session_that_exists_is_not_ours() -> None:
    client, board = connected()
    board.creates = "exists"
    task = Task(client.create_session("TELCO", "+1"))
    board.carry()
    with pytest.raises(SessionAlreadyExists, match="out") as caught:
        task.outcome()
    assert caught.value.code == "SESSION_ALREADY_EXISTS"
    assert client.kept == [0, 0, 0, 0]


# ------------------------------------------------------------------ dialling


class Dialling:
    """A client that dials, and the service's end of it."""

    def __init__(self, *, calls: int = 1, ring: int = 30) -> None:
        self.client, self.board = connected()
        self.board.calls = calls
        self.task = Task(self.client.dial("+2", ring_time_seconds=ring))

    def turn(self) -> None:
        for _ in range(4):
            self.board.carry()
            self.client.turn()

    def ringing(self) -> Line:
        """Carry it to where the callee's telephone rings."""
        self.turn()
        (call,) = self.client.calls
        line = Line(call)
        line.open()
        self.client.turn()
        line.carry()
        assert len(line.commands) == 1
        return line

    def hung_up(self, line: Line) -> bool:
        """Let the service carry out the disconnect we have said, if we have; tell whether the call is over."""
        self.client.turn()
        line.carry()
        while line.commands:
            line.succeed()
            self.client.turn()
        return line.call.media.over


def test_a_dialled_call_is_returned_when_it_is_connected() -> None:
    dialling = Dialling()
    line = dialling.ringing()
    assert not dialling.task.step().done
    line.succeed()
    dialling.client.turn()
    call = dialling.task.outcome()
    assert call is line.call
    assert (call.state, call.direction) == (CallState.CONNECTED, "MO")
    assert dialling.board.asked == [
        CreateSession(channel="TELCO", remote_address="+2"),
        OpenSession(session_id="out"),
    ]
    assert dialling.client.ran == [], "nobody else is told of it as an incoming call"
    assert dialling.client.kept == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("CALLEE_BUSY", WSSCallRefusedError),
        ("CALL_REJECTED", WSSCallRefusedError),
        ("CALL_DECLINED", WSSCallRefusedError),
        ("CALL_UNANSWERED", WSSCallUnansweredError),
        ("TIMEOUT", WSSCallUnansweredError),
        ("A_NEW_ONE", WSSCallCommandError),
    ],
)
def test_who_does_not_take_the_call_is_told_apart(code: str, kind: type[WSSCallCommandError]) -> None:
    dialling = Dialling()
    line = dialling.ringing()
    line.refuse(code)
    dialling.client.turn()
    with pytest.raises(WSSCallCommandError) as caught:
        dialling.task.outcome()
    assert type(caught.value) is kind
    assert caught.value.error_code == code
    assert dialling.hung_up(line)
    assert dialling.client.calls == []


def test_silence_is_unanswered_and_hung_up() -> None:
    dialling = Dialling(ring=30)
    line = dialling.ringing()
    for _ in range(9):
        line.later(4)
        line.carry()
    dialling.client.turn()
    with pytest.raises(WSSCallUnansweredError, match=r"^call\.connect was refused: TIMEOUT$"):
        dialling.task.outcome()
    assert dialling.hung_up(line)


def test_a_call_that_ends_while_it_rings_is_told() -> None:
    dialling = Dialling()
    line = dialling.ringing()
    line.call.media.fail_transport("cut", now=line.clock.now)
    line.call.settle()
    dialling.client.turn()
    with pytest.raises(WSSMediaError, match="cut"):
        dialling.task.outcome()


def test_a_number_that_has_a_session_already_is_told() -> None:
    client, board = connected()
    board.creates = "exists"
    task = Task(client.dial("+2"))
    board.carry()
    client.turn()
    with pytest.raises(SessionAlreadyExists):
        task.outcome()
    assert client.kept == [0, 0, 0, 0]
    assert client.requests == [], "that session is not ours to close"


@pytest.mark.parametrize("ring", [0, 121, -1, 1.5, True, None, "30"])
def test_a_ring_time_out_of_range_is_refused_before_anything_is_said(ring: Any) -> None:
    client, board = connected()
    with pytest.raises(ValueError, match="1 to 120"):
        Task(client.dial("+2", ring_time_seconds=ring)).outcome()
    board.carry()
    assert board.asked == []
    assert client.tasks == []


@pytest.mark.parametrize("closes", [(200, b"{}"), (500, b"<html>")], ids=["closed", "not even that"])
def test_a_call_that_is_never_delivered_is_told_and_its_session_closed(closes: Any) -> None:
    dialling = Dialling(calls=0)
    dialling.client.reply = closes
    dialling.turn()
    assert not dialling.task.step().done
    dialling.client.tasks[0].step(TimeUp())
    with pytest.raises(WSSConnectionError, match="did not deliver the call"):
        dialling.task.outcome()
    assert [one.target for one in dialling.client.requests] == ["/public/v1/sessions/out/close"]
    assert dialling.client.kept == [0 if closes[0] == 200 else 1, 0, 0, 0]


def test_a_session_that_closes_before_the_call_comes_is_not_waited_for() -> None:
    dialling = Dialling(calls=0)
    dialling.turn()
    dialling.board.end.close_session("out", "FORCE_CLOSE", now=dialling.board.now)
    dialling.turn()
    with pytest.raises(WSSConnectionError, match="did not deliver the call"):
        dialling.task.outcome()
    assert dialling.client.requests == []
    assert dialling.client.kept == [0, 0, 0, 0]


def test_whatever_breaks_while_it_dials_is_raised_to_who_dialled() -> None:
    client, _ = connected()
    client.machine.create_session = None
    with pytest.raises(TypeError):
        Task(client.dial("+2")).outcome()
    assert client.tasks[0].error is None, "nobody else hears of it"


def test_a_client_that_is_closed_while_it_dials_says_so() -> None:
    dialling = Dialling(calls=0)
    dialling.turn()
    dialling.client.tasks[0].step(GeneratorExit())  # what ends with the client
    with pytest.raises(WSSConnectionError, match="closed while it dialled"):
        dialling.task.outcome()


# Cancelled, wherever it stands: it hangs up, even if they pick up later.


def test_cancelled_before_the_session_exists() -> None:
    dialling = Dialling()
    dialling.task.step(TimeUp())
    assert isinstance(dialling.task.error, TimeUp)
    dialling.turn()
    (call,) = dialling.client.calls
    line = Line(call)
    line.open()
    assert dialling.hung_up(line)
    assert line.call.end_reason == "disconnected"
    assert "call.connect" not in [event for event, _ in call.ran]


def test_cancelled_while_it_waits_for_a_call_that_comes_later() -> None:
    dialling = Dialling(calls=0)
    dialling.turn()
    dialling.task.step(TimeUp())
    board = dialling.board
    board.end.offer_call(board.offer("out"), now=board.now)
    dialling.turn()
    (call,) = dialling.client.calls
    line = Line(call)
    line.open()
    assert dialling.hung_up(line)


def test_cancelled_while_it_waits_for_a_call_that_never_comes() -> None:
    dialling = Dialling(calls=0)
    dialling.turn()
    dialling.task.step(TimeUp())
    dialling.client.tasks[0].step(TimeUp())
    assert [one.target for one in dialling.client.requests] == ["/public/v1/sessions/out/close"]
    assert dialling.client.kept == [0, 0, 0, 0]


def test_cancelled_while_it_rings() -> None:
    dialling = Dialling()
    line = dialling.ringing()
    dialling.task.step(TimeUp())
    line.carry()
    assert len(line.commands) == 2, "the disconnect does not wait for the ring to end"
    line.service.succeed(line.commands.pop(1), now=line.clock.now)
    line.carry()
    dialling.client.turn()
    assert line.call.end_reason == "disconnected"
    assert all(task.step().done and task.error is None for task in dialling.client.tasks)


def test_cancelled_while_it_rings_and_picked_up_all_the_same() -> None:
    dialling = Dialling()
    line = dialling.ringing()
    dialling.task.step(TimeUp())
    line.succeed()
    assert line.call.state is CallState.CONNECTED
    assert dialling.hung_up(line)
    assert all(task.step().done and task.error is None for task in dialling.client.tasks)


def test_cancelled_in_the_moment_they_pick_up() -> None:
    dialling = Dialling()
    line = dialling.ringing()
    line.succeed()
    dialling.client.turn()
    dialling.task.step(TimeUp())
    assert isinstance(dialling.task.error, TimeUp)
    assert dialling.hung_up(line)
    assert line.call.end_reason == "disconnected"


def test_cancelled_and_the_service_does_not_even_hang_up() -> None:
    dialling = Dialling()
    line = dialling.ringing()
    dialling.task.step(TimeUp())
    line.carry()
    line.service.refuse(line.commands.pop(1), error_code="NO", now=line.clock.now)
    line.carry()
    dialling.client.turn()
    assert line.call.end_reason == "forced"


# ------------------------------------------------------------------ hand-over


GIVEN = (
    '{"channel": "TELCO", "id": "c9", "caller": "+1", "callee": "", '
    '"session_url": "ws://localhost:8080/media", "session_token": "t"}'
)


def test_a_call_is_taken_over_and_is_this_clients_from_then_on() -> None:
    client = FakeClient(CONFIG)
    call = client.adopt(GIVEN)
    assert client.get_call("c9") is call
    assert call.to_json() == GIVEN
    Task(call.force_disconnect()).outcome()
    assert client.calls == []
    assert client.state is ClientState.IDLE
    with pytest.raises(WSSCallStateError):
        call.to_json()


def test_a_call_is_not_taken_over_twice() -> None:
    from telcoflow_proto.exceptions import WSSCallError

    client = FakeClient(CONFIG)
    call = client.adopt(GIVEN)
    with pytest.raises(WSSCallError, match="has it already"):
        client.adopt(GIVEN)
    assert client.calls == [call]
