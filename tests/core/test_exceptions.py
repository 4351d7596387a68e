"""What a user of an adapter catches."""

import pytest

from telcoflow_proto import exceptions
from telcoflow_proto.exceptions import (
    SESSION_ERRORS,
    SessionBusy,
    SessionError,
    WSSAuthenticationError,
    WSSCallCommandError,
    WSSCallError,
    WSSCallStateError,
    WSSConnectionError,
    WSSError,
    WSSMediaError,
    WSSSessionError,
)


def test_everything_is_one_tree() -> None:
    found = [one for one in vars(exceptions).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert all(issubclass(one, WSSError) for one in found)
    assert issubclass(WSSCallStateError, WSSCallError)
    assert WSSSessionError is WSSMediaError
    assert SESSION_ERRORS["SESSION_BUSY"] is SessionBusy


def test_connection_errors_carry_their_code() -> None:
    assert WSSConnectionError("x", code=1006).code == 1006
    assert WSSAuthenticationError("x", code=401).code == 401
    assert WSSConnectionError("x").code is None


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [(None, None, "c was refused"), ("A", None, "c was refused: A"), ("A", "b", "c was refused: A: b")],
)
def test_a_refused_command_says_why(code: str | None, message: str | None, said: str) -> None:
    error = WSSCallCommandError("c", error_code=code, error_message=message)
    assert str(error) == said
    assert (error.error_code, error.error_message) == (code, message)


def test_a_session_error_names_its_code_and_owner() -> None:
    assert str(SessionError("NEW_CODE")) == "NEW_CODE"
    busy = SessionBusy("SESSION_BUSY", "taken", owner="sm-1")
    assert str(busy) == "SESSION_BUSY: taken"
    assert busy.owner == "sm-1"
