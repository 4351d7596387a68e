"""What a user of an adapter catches. One tree, shared by all adapters; nothing outside it escapes them.

WSSError
├─ WSSConnectionError
├─ WSSAuthenticationError
├─ WSSMediaError (WSSSessionError)
├─ BufferFullError
├─ BufferClosedError
├─ SessionError, and one class per error code
├─ RelayError, with RelayConnectionError, RelayTimeoutError, RelayAuthenticationError, RelayLimitError
└─ WSSCallError
├─ WSSCallClosedError
├─ WSSCallStateError
├─ WSSCallCommandError
└─ WSSCallCommandTimeoutError
"""


class WSSError(Exception):
    """Base of everything an adapter raises about the service, its connections and calls."""


class WSSConnectionError(WSSError):
    """The control connection could not be opened, or is gone. ``code`` is its close code or HTTP status."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class WSSAuthenticationError(WSSError):
    """The service refused our credentials; trying again with the same ones is pointless, so nobody does."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class WSSMediaError(WSSError):
    """The media connection of a call could not be opened, or is gone; what was asked on it has no answer."""


WSSSessionError = WSSMediaError


class BufferFullError(WSSError):
    """The outgoing audio queue has no room for all of it; nothing was queued."""


class BufferClosedError(WSSError):
    """The call is over, so no audio can be sent."""


class WSSCallError(WSSError):
    """Base of what goes wrong with one call."""


class WSSCallClosedError(WSSCallError):
    """The call is over."""


class WSSCallStateError(WSSCallError):
    """The state of the call forbids this; the message names the state and what it allows."""


class WSSCallCommandError(WSSCallError):
    """The service refused a command. The call is as it was."""

    def __init__(self, command: str, *, error_code: str | None, error_message: str | None) -> None:
        said = ": ".join(part for part in (error_code, error_message) if part)
        super().__init__(f"{command} was refused{': ' if said else ''}{said}")
        self.error_code = error_code
        self.error_message = error_message


class WSSCallUnansweredError(WSSCallCommandError):
    """Nobody picked up in the ring time."""


class WSSCallRefusedError(WSSCallCommandError):
    """The other end is busy, or declined."""


class WSSCallCommandTimeoutError(WSSCallError):
    """The service did not answer a command in time. Whether it was carried out is unknown."""


class SessionError(WSSError):
    """The service refused something about a session. ``code`` is its error code, known or not."""

    def __init__(self, code: str, message: str = "", *, owner: str | None = None) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.owner = owner


class SessionBusy(SessionError):
    """Another worker has the session; ``owner`` is its connection, if the service told."""


class SessionClosed(SessionError):
    """The session is over."""


class SessionNotFound(SessionError):
    """There is no such session."""


class SessionNotOpen(SessionError):
    """The session is not open."""


class SessionAlreadyExists(SessionError):
    """A session with this remote address was open already."""


SESSION_ERRORS: dict[str, type[SessionError]] = {
    "SESSION_BUSY": SessionBusy,
    "SESSION_CLOSED": SessionClosed,
    "SESSION_NOT_FOUND": SessionNotFound,
    "SESSION_NOT_OPEN": SessionNotOpen,
    "SESSION_ALREADY_EXISTS": SessionAlreadyExists,
}
"""Error codes with a class of their own; every other code is a plain SessionError that names it."""


def session_error(code: str | None, message: str = "", *, owner: str | None = None) -> SessionError:
    """Return the error for a code of the service, known or not."""
    known = code or "UNKNOWN"
    return SESSION_ERRORS.get(known, SessionError)(known, message, owner=owner)


class RelayError(WSSError):
    """A RELAY request was not carried out. ``code`` is the service's; -1 where it did not say one, or nothing."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"RELAY error {code}: {message}")
        self.code = code
        self.message = message


class RelayConnectionError(RelayError):
    """There is no connection, or it was lost before the answer; whether it was carried out is unknown then."""


class RelayTimeoutError(RelayError):
    """The service did not answer in time. Whether it was carried out is unknown."""


class RelayAuthenticationError(RelayError):
    """The service refused our credentials."""


class RelayLimitError(RelayError, RuntimeError):
    """The environment allows no further RELAY client in this process."""
