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
    session_error,
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


@pytest.mark.parametrize("kind", [WSSConnectionError, WSSAuthenticationError])
def test_a_message_given_by_name_is_said_too(kind: type[WSSConnectionError | WSSAuthenticationError]) -> None:
    assert str(kind(message="x")) == "x"


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


@pytest.mark.parametrize("code", SESSION_ERRORS)
def test_known_codes_have_a_class_of_their_own(code: str) -> None:
    error = session_error(code, "because", owner="sm-1")
    assert type(error) is SESSION_ERRORS[code]
    assert (error.code, error.owner, str(error)) == (code, "sm-1", f"{code}: because")


@pytest.mark.parametrize(("code", "kept"), [("QUOTA_EXCEEDED", "QUOTA_EXCEEDED"), (None, "UNKNOWN"), ("", "UNKNOWN")])
def test_other_codes_are_kept_and_a_missing_one_is_said_so(code: str | None, kept: str) -> None:
    error = session_error(code)
    assert type(error) is SessionError
    assert (error.code, error.owner, str(error)) == (kept, None, kept)
