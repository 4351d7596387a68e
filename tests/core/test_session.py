"""A session as its user sees it, with a client that only takes notes."""

from collections.abc import Callable
from typing import Any

import pytest

from telcoflow_proto.control.messages import MessageIn, SessionInfo
from telcoflow_proto.exceptions import SessionBusy, SessionClosed, WSSConnectionError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.session import Session
from tests.core.loopless import FakeBell, Task, TimeUp

INFO = SessionInfo(id="s1", channel="WA", remote_address="+1", opened_at=5)


class Host:
    """The client's side of a session."""

    def __init__(self) -> None:
        self.did: list[Any] = []
        self.told: list[tuple[str, object]] = []
        self.error: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None

    def _do(self, *what: Any) -> None:
        if self.error is not None:
            raise self.error
        self.did.append(what)
        self.meanwhile()

    def session_ready(self, session_id: str) -> None:
        self._do("ready", session_id)

    async def session_send(self, session_id: str, content: JsonObject) -> object:
        self._do("send", session_id, content)
        return {"messageId": 1}

    async def session_close(self, session_id: str) -> str:
        self._do("close", session_id)
        return "SDK_REQUEST"

    def session_tell(self, call: Callable[[], object], event: str, about: str | None) -> None:
        self.told.append((str(event), about))
        call()


def new() -> tuple[Session[str], Host]:
    host = Host()
    session: Session[str] = Session(INFO, host, FakeBell)
    return session, host


def test_it_tells_what_it_is() -> None:
    session, _ = new()
    assert (session.session_id, session.channel, session.remote_address) == ("s1", "WA", "+1")
    assert session.info is INFO
    assert (session.is_closed, session.close_reason) == (False, None)
    assert repr(session) == "<session s1 open>"
    session.closed("FORCE_CLOSE")
    assert (session.is_closed, session.close_reason) == (True, "FORCE_CLOSE")
    assert repr(session) == "<session s1 closed>"


def test_it_asks_its_client() -> None:
    session, host = new()
    Task(session.ready()).outcome()
    assert Task(session.send_message({"text": "hi"})).outcome() == {"messageId": 1}
    Task(session.close()).outcome()
    assert host.did == [("ready", "s1"), ("send", "s1", {"text": "hi"}), ("close", "s1")]
    assert session.close_reason == "SDK_REQUEST"


def test_handlers_are_registered_as_decorators_or_by_a_call() -> None:
    session, host = new()
    heard: list[Any] = []

    @session.on_incoming_message
    def hear() -> None:
        heard.append("told")

    assert session.on_incoming_message(heard.append) == heard.append
    assert session.on_incoming_call(heard.append) == heard.append
    assert session.on_closed(heard.append) == heard.append
    message = MessageIn(session_id="s1", sender="+1", content={})
    assert session.message_came(message)
    assert session.call_came("a call")
    session.closed("FORCE_CLOSE")
    assert heard == ["told", message, "a call", "FORCE_CLOSE"]
    assert host.told == [
        ("message.new", None),
        ("message.new", None),
        ("call.new", "a call"),
        ("session.closed", None),
    ]
    assert callable(hear)


def test_what_nobody_handles_is_given_back() -> None:
    session, host = new()
    assert not session.call_came("a call")
    assert not session.message_came(MessageIn(session_id="s1", sender=None, content={}))
    assert host.told == []


def test_its_end_is_told_once() -> None:
    session, _ = new()
    heard: list[str] = []
    session.on_closed(heard.append)
    session.closed("CALL_TERMINATED")
    session.closed("FORCE_CLOSE")
    assert heard == ["CALL_TERMINATED"]
    assert session.close_reason == "CALL_TERMINATED"


def test_everybody_who_waits_for_the_end_hears_the_reason() -> None:
    session, _ = new()
    one, two, gone = (Task(session.wait_closed()) for _ in range(3))
    gone.step(TimeUp())
    session.closed("FORCE_CLOSE")
    assert one.outcome() == two.outcome() == "FORCE_CLOSE"
    assert Task(session.wait_closed()).outcome() == "FORCE_CLOSE", "afterwards too"


def test_over_is_over() -> None:
    session, host = new()
    session.closed("FORCE_CLOSE")
    for work in (session.ready(), session.send_message({})):
        with pytest.raises(SessionClosed, match="FORCE_CLOSE") as caught:
            Task(work).outcome()
        assert caught.value.code == "SESSION_CLOSED"
    Task(session.close()).outcome()
    assert host.did == []


@pytest.mark.parametrize("error", [WSSConnectionError("x"), SessionBusy("SESSION_BUSY")])
def test_what_the_client_raises_is_raised_and_changes_nothing(error: Exception) -> None:
    session, host = new()
    host.error = error
    for work in (session.ready(), session.send_message({}), session.close()):
        with pytest.raises(type(error)):
            Task(work).outcome()
    assert not session.is_closed
    host.error = None
    Task(session.close()).outcome()
    assert session.is_closed


def test_the_services_word_that_overtakes_the_reply_counts() -> None:
    session, host = new()
    heard: list[str] = []
    session.on_closed(heard.append)
    host.meanwhile = lambda: session.closed("CALL_TERMINATED")
    Task(session.close()).outcome()
    assert heard == ["CALL_TERMINATED"]
