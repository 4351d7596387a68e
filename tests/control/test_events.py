"""Events are values."""

import attrs
import pytest

from telcoflow_proto.control.events import RequestDone, SessionReadied, SetupCompleted
from telcoflow_proto.control.messages import OpenSession
from telcoflow_proto.replies import Outcome


def test_an_event_cannot_change() -> None:
    event = SetupCompleted(connection_id="w1")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.connection_id = None  # type: ignore[misc]


def test_equal_events_are_equal() -> None:
    assert SessionReadied(session_id="s1") == SessionReadied(session_id="s1")


def test_the_end_of_a_request_tells_no_more_than_it_knows() -> None:
    done = RequestDone(request_id="r", request=OpenSession(session_id="s1"), outcome=Outcome.LOST)
    assert (done.content, done.error_code, done.error_content) == (None, None, None)
    assert (done.session, done.session_id, done.created) == (None, None, None)
