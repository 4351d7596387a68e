"""Event names: members, constants and raw strings are equal, and no two of one kind are."""

import enum

import pytest

from telcoflow_proto import events
from telcoflow_proto.events import CallEvent, ClientEvent, SessionEvent


@pytest.mark.parametrize("kind", [ClientEvent, CallEvent])
def test_every_event_of_clients_and_calls_is_a_constant_too(kind: type[enum.StrEnum]) -> None:
    for event in kind:
        assert getattr(events, event.name) == event == event.value


def test_a_session_tells_what_its_client_would() -> None:
    assert SessionEvent.INCOMING_CALL == ClientEvent.INCOMING_CALL
    assert SessionEvent.INCOMING_MESSAGE == ClientEvent.INCOMING_MESSAGE
    assert SessionEvent.CLOSED == ClientEvent.SESSION_CLOSED
