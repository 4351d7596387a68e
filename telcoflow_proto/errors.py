"""Whose fault is it? The class answers.

``LocalProtocolError`` is raised to the caller and changes nothing. Everything the peer or the network
does wrong is never raised by the core: it arrives as the ``error`` of a last ``ConnectionLost`` event.
"""


class ProtocolError(Exception):
    """Base of everything the core raises or reports about the protocol."""


class LocalProtocolError(ProtocolError):
    """We asked for something the state forbids. Nothing changed; the connection goes on."""


class PlayoutFull(LocalProtocolError):
    """The outgoing audio queue has no room for all of it; nothing was queued. Wait for room or clear."""


class CallOver(LocalProtocolError):
    """The call has ended, so nothing more can be said on it."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol.

    ``close_code`` is the RFC 6455 status code we answer with. ``excerpt`` keeps the first offending
    bytes for a debugger; it is never part of the message, because it may hold numbers or tokens.
    """

    def __init__(self, message: str, *, close_code: int = 1002, excerpt: bytes = b"") -> None:
        super().__init__(message)
        self.close_code = close_code
        self.excerpt = excerpt[:64]


class LimitExceeded(RemoteProtocolError):
    """The peer sent more than one of the bounds in ``limits.py`` allows."""


class HandshakeRefused(RemoteProtocolError):
    """The peer answered the WebSocket upgrade with something other than 101.

    ``status`` is the HTTP status, ``detail`` the printable start of the body (256 characters at most),
    ``retry_after`` the seconds the peer asked us to wait, if it said so.
    """

    def __init__(self, *, status: int, detail: str = "", retry_after: float | None = None) -> None:
        said = f": {detail}" if detail else ""
        super().__init__(f"the WebSocket upgrade was refused with HTTP {status}{said}")
        self.status = status
        self.detail = detail
        self.retry_after = retry_after


class PeerSilent(ProtocolError):
    """The peer did not do in time what the protocol obliges it to do."""


class TransportFailed(ProtocolError):
    """The byte stream could not be opened, or broke; the text says what the operating system said."""
