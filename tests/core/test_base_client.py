"""The client as its user sees it, without any event loop."""

from typing import Any

import pytest

from telcoflow_proto.client_table import ClientState
from telcoflow_proto.control.messages import MessageIn
from telcoflow_proto.exceptions import WSSAuthenticationError, WSSConnectionError
from tests.core.loopless import FakeCall, FakeClient, Task
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
    assert [str(url) for url in client.wanted] == ["ws://localhost:8080/v1/agent/session-manager"]
    board.notify("s1")
    (call,) = taken
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
