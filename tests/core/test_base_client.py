"""The client as its user sees it, without any event loop."""

from typing import Any

import pytest

from telcoflow_proto.client_table import ClientState
from telcoflow_proto.control.messages import MessageIn
from telcoflow_proto.exceptions import SessionClosed, WSSAuthenticationError, WSSConnectionError
from tests.core.loopless import FakeCall, FakeClient, Line, Task, TimeUp
from tests.core.switchboard import CONFIG, Switchboard


def connected(*, calls: bool = True) -> tuple[FakeClient, Switchboard, list[Any]]:
    client = FakeClient(CONFIG)
    board = Switchboard(client.machine, client.settle)
    taken: list[Any] = []
    if calls:
        client.on("call.new")(taken.append)
    task = Task(client.begin())
    assert not task.done
    board.connect()
    task.outcome()
    return client, board, taken


def test_it_connects_takes_calls_and_ends() -> None:
    client, board, taken = connected()
    assert client.state is ClientState.READY
    assert repr(client) == "<client of ws://localhost:8080/ ready>"
    assert [str(one.url) for one in client.wanted] == ["ws://localhost:8080/v1/agent/session-manager"]
    board.notify("s1")
    (call,) = taken
    assert client.ran == [("call.new", call)], "what a handler does with a call is about that call"
    assert client.calls == [call]
    assert client.get_call("call-of-s1") is call
    assert isinstance(call, FakeCall)
    assert client.statistics().calls_live == 1
    running, also_running = Task(client.run_forever()), Task(client.run_forever())
    ending = Task(client.end())
    board.carry()
    board.machine.receive_eof(now=board.now)
    client.settle()
    ending.outcome()
    running.outcome()
    also_running.outcome()
    client.forget(call)
    assert client.calls == []
    assert call.end_reason == "forced"


def test_a_handler_that_comes_late_gets_the_calls_that_waited() -> None:
    client, board, _ = connected(calls=False)
    board.notify("s1")
    taken: list[Any] = []
    client.register_event_handler("call.new", taken.append)
    assert client.machine.next_deadline() > board.now, "the claim is timed by the clock"
    board.carry()
    assert len(taken) == 1


def test_everything_else_is_told_or_noted() -> None:
    client, board, _ = connected()
    told: list[Any] = []
    for event in ("session.notified", "session.closed", "message.new", "connection.lost", "connection.restored"):
        client.register_event_handler(event, told.append)
    board.notify("s1")
    board.end.push_message(MessageIn(session_id="s1", sender=None, content={}), now=board.now)
    board.end.close_session("s1", "FORCE_CLOSE", now=board.now)
    board.end._out.append("garbage")  # noqa: SLF001 - what no honest service says
    board.carry()
    board.close(1012)
    board.later(30)
    board.connect()
    kinds = [type(one).__name__ for one in told]
    assert kinds == ["SessionNotice", "MessageIn", "SessionClosed", "ClientLost", "ClientReady"]
    assert [type(one).__name__ for one in client.notes] == ["ClientReady", "FrameDropped", "ClientLost", "ClientReady"]


def test_unknown_events_are_refused() -> None:
    with pytest.raises(ValueError, match=r"call\.new"):
        FakeClient(CONFIG).on("nothing")(print)


@pytest.mark.parametrize(
    ("answer", "kind", "code"), [("401", WSSAuthenticationError, 401), ("503", WSSConnectionError, 503)]
)
def test_a_refused_upgrade_is_raised(answer: str, kind: type[Exception], code: int) -> None:
    client = FakeClient(CONFIG)
    task = Task(client.begin())
    client.machine.start(now=100)
    client.machine.receive_data(f"HTTP/1.1 {answer} No\r\nContent-Length: 0\r\n\r\n".encode(), now=100)
    client.settle()
    with pytest.raises(kind) as caught:
        task.outcome()
    assert caught.value.code == code  # type: ignore[attr-defined]
    with pytest.raises(kind):
        Task(client.run_forever()).outcome()


def test_closing_before_it_is_ready_is_told_to_who_waits_for_it() -> None:
    client = FakeClient(CONFIG)
    task = Task(client.begin())
    Task(client.end()).outcome()
    with pytest.raises(WSSConnectionError, match="before it was ready"):
        task.outcome()
    Task(client.run_forever()).outcome()


def test_a_client_connects_once() -> None:
    client, _, _ = connected()
    with pytest.raises(WSSConnectionError, match="this client is ready; make a new one"):
        Task(client.begin()).outcome()


def test_a_call_that_cannot_be_reached_is_noted() -> None:
    client, board, taken = connected()
    board.url = "ws://evil.example/"
    board.notify("s1")
    assert [type(one).__name__ for one in client.notes] == ["ClientReady", "CallUnreachable"]
    assert taken == client.calls == []


def test_a_session_another_worker_took_is_noted() -> None:
    client, board, taken = connected()
    board.claims = "SESSION_BUSY"
    board.notify("s1")
    assert [type(one).__name__ for one in client.notes] == ["ClientReady", "ClaimLost"]
    assert taken == []


def test_a_session_that_handles_its_call_has_it_for_itself() -> None:
    client, board, taken = connected()
    task = Task(client.open_session("s1"))
    board.carry()
    session, calls = task.outcome(), list[Any]()
    session.on_incoming_call(calls.append)
    Task(session.ready()).outcome()
    board.carry()
    assert calls == client.calls
    assert taken == []
    assert client.ran == [("call.new", calls[0])], "if the handler breaks, its call is known"


def test_what_a_session_does_not_handle_is_the_clients() -> None:
    client, board, taken = connected()
    messages: list[Any] = []
    client.register_event_handler("message.new", messages.append)
    task = Task(client.open_session("s1"))
    board.carry()
    Task(task.outcome().ready()).outcome()
    board.carry()
    board.end.push_message(MessageIn(session_id="s1", sender=None, content={}), now=board.now)
    board.carry()
    assert taken == client.calls
    assert len(taken) == len(messages) == 1


def test_a_session_that_closes_before_its_call_was_answered_ends_it() -> None:
    client, board, taken = connected()
    board.notify("s1")
    (call,) = taken
    told: list[Any] = []
    call.register_event_handler("call.terminated", told.append)
    board.end.close_session("s1", "CALL_TERMINATED", now=board.now)
    board.carry()
    assert told == ["session closed"]
    assert client.calls == []


def test_a_session_that_closes_bothers_no_call_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    _, board, taken = connected()
    for session in ("s1", "s2", "s3"):
        board.notify(session)
    settled: list[str] = []
    monkeypatch.setattr(FakeCall, "settle", lambda call: settled.append(call.call_id))
    board.end.close_session("s2", "CALL_TERMINATED", now=board.now)
    board.carry()
    assert [call.call_id for call in taken] == ["call-of-s1", "call-of-s2", "call-of-s3"]
    assert settled == ["call-of-s2"]


def ended(client: FakeClient, board: Switchboard) -> None:
    """The service closes its end of the control connection too."""
    board.carry()
    board.machine.receive_eof(now=board.now)
    client.settle()


def test_draining_lets_live_calls_finish_and_takes_no_more() -> None:
    client, board, taken = connected()
    board.notify("s1")
    line = Line(taken[0]).answered()
    running, draining = Task(client.run_forever()), Task(client.drain())
    board.notify("s2")
    assert len(taken) == 1
    assert not draining.step().done
    line.service.terminate(now=line.clock.now)
    line.carry()
    draining.step()
    ended(client, board)
    line.later(2)
    assert draining.outcome() is True
    assert taken[0].end_reason == "terminated"
    running.outcome()


def test_draining_cuts_off_what_takes_too_long() -> None:
    client, board, taken = connected()
    board.notify("s1")
    line = Line(taken[0]).answered()
    draining = Task(client.drain(5))
    draining.step(TimeUp())
    ended(client, board)
    line.carry()
    line.later(2)
    assert draining.outcome() is False
    assert taken[0].end_reason == "forced"
    assert client.state is ClientState.CLOSED


def test_draining_without_calls_is_closing() -> None:
    client, board, _ = connected()
    draining = Task(client.drain(5))
    ended(client, board)
    assert draining.outcome() is True


def test_what_did_not_end_in_time_is_cut() -> None:
    client, board, taken = connected()
    board.notify("s1")
    line = Line(taken[0]).answered()
    task = Task(client.open_session("s2"))
    board.carry()
    session = task.outcome()
    waiting = [Task(line.call.wait_ended()), Task(line.call.wait_closed()), Task(session.wait_closed())]
    running, ending = Task(client.run_forever()), Task(client.end())
    client.cut()
    client.cut()
    for one in [*waiting, running, ending]:
        one.outcome()
    assert client.state is ClientState.CLOSED
    with pytest.raises(SessionClosed):
        Task(session.ready()).outcome()
    with pytest.raises(WSSConnectionError):
        Task(client.open_session("s3")).outcome()
    assert client.kept == [0, 0, 0, 0]


def test_a_call_that_goes_on_when_the_client_is_cut_is_cut_too() -> None:
    client, board, taken = connected()
    board.notify("s1")
    line = Line(taken[0]).answered()
    client.cut()
    assert line.call.end_reason == "connection lost"
    assert client.calls == []
