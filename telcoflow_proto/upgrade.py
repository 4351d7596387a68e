"""The WebSocket upgrade (RFC 6455 §4) of both roles, over h11: request, response, and what follows them.

In: bytes of the peer's head. Out: our head, the peer's verdict, and the bytes that came glued behind it.
No extension and no subprotocol is ever offered: raw PCM does not compress, and an inflater is one more
thing to attack.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import final

import h11

from telcoflow_proto.chance import Chance
from telcoflow_proto.errors import HandshakeRefused, LimitExceeded, LocalProtocolError, RemoteProtocolError
from telcoflow_proto.handshake import Headers, UpgradeRequested, printable
from telcoflow_proto.limits import Limits

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


@final
class ClientHandshake:
    """Asks for the upgrade and checks the answer. Raises only RemoteProtocolError for what the peer did.

    Making one raises LocalProtocolError for a host, target or header that cannot be said.
    """

    def __init__(self, *, host: str, target: str, headers: Headers, chance: Chance, limits: Limits) -> None:
        self._limits = limits
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.handshake_bytes)
        self._key = base64.b64encode(chance.draw(16))
        self._taken = 0
        self._body = b""
        self._refusal: h11.Response | None = None
        self.request = self._request(host, target, headers)

    def receive(self, data: bytes) -> bytes | None:
        """Take bytes, b"" for the end of the stream. Return what follows the head, or None for "need more".

        Raises HandshakeRefused for any status but 101 (redirects are never followed: they would carry our
        credentials to another origin), LimitExceeded for a head beyond its bounds, RemoteProtocolError else.
        """
        try:
            self._http.receive_data(data)
            self._taken += len(data)
            while True:
                event = self._http.next_event()
                if self._refusal is None:
                    _check_size(self._taken - len(self._http.trailing_data[0]), self._limits)
                if event is h11.NEED_DATA:
                    return None
                if isinstance(event, h11.InformationalResponse):
                    if event.status_code == 101:
                        self._check_accepted(event)
                        return self._http.trailing_data[0]
                elif isinstance(event, h11.Response):
                    self._refusal = event
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) >= self._limits.refusal_body:
                        raise self._refused()
                else:
                    raise self._refused()
        except h11.RemoteProtocolError as error:
            if self._refusal is not None or not data:
                raise self._refused() from None
            raise _bad_head(error, self._limits) from None

    def _request(self, host: str, target: str, headers: Headers) -> bytes:
        lines = [
            ("Host", host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self._key.decode()),
            ("Sec-WebSocket-Version", "13"),
            *headers,
        ]
        try:
            return self._http.send(h11.Request(method=b"GET", target=target.encode("ascii"), headers=lines))
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise _unsayable() from None

    @property
    def refusal(self) -> HandshakeRefused | None:
        """What the server answered instead of 101, as far as its body has come; None if nothing did."""
        if self._refusal is None:
            return None
        headers = dict(_texts(self._refusal))
        wait = headers.get("retry-after", "")
        text = self._body[: self._limits.refusal_body].decode("utf-8", "replace")
        return HandshakeRefused(
            status=self._refusal.status_code,
            detail=printable(text),
            retry_after=float(wait) if wait.isascii() and wait.isdigit() and len(wait) < 7 else None,
        )

    def _refused(self) -> RemoteProtocolError:
        early = RemoteProtocolError("the connection was closed before the WebSocket upgrade was answered")
        return self.refusal or early

    def _check_accepted(self, response: h11.InformationalResponse) -> None:
        headers = _texts(response)
        _check_count(headers, self._limits)
        want = base64.b64encode(hashlib.sha1(self._key + _MAGIC).digest()).decode()  # noqa: S324 - RFC 6455 says SHA-1
        checks = (
            ("HTTP version", response.http_version == b"1.1"),
            ("upgrade header", "websocket" in _tokens(headers, "upgrade")),
            ("connection header", "upgrade" in _tokens(headers, "connection")),
            ("sec-websocket-accept header", [v for k, v in headers if k == "sec-websocket-accept"] == [want]),
            ("sec-websocket-extensions header", not _tokens(headers, "sec-websocket-extensions")),
            ("sec-websocket-protocol header", not _tokens(headers, "sec-websocket-protocol")),
        )
        for name, fine in checks:
            if not fine:
                raise RemoteProtocolError(f"the upgrade response has a wrong or unasked {name}")


@final
class ServerHandshake:
    """Hears an upgrade request, and answers it as the application decides."""

    def __init__(self, *, limits: Limits) -> None:
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.handshake_bytes)
        self._taken = 0
        self._key = b""

    def receive(self, data: bytes) -> UpgradeRequested | None:
        """Take bytes, b"" for the end of the stream. Return the request, once, when its head is complete.

        What comes behind the request is kept, within the same bound, until it is accepted.

        Raises LimitExceeded for a head beyond its bounds, RemoteProtocolError for anything that is not a
        WebSocket upgrade; ``refusal`` then gives the bytes to answer with.
        """
        self._taken += len(data)
        try:
            self._http.receive_data(data)
            event = h11.NEED_DATA if self._key and data else self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise _bad_head(error, self._limits) from None
        behind = len(self._http.trailing_data[0])
        if event is h11.NEED_DATA:
            if self._key:
                _check_size(behind, self._limits)
            return None
        if not isinstance(event, h11.Request):
            raise RemoteProtocolError("the connection was closed before the WebSocket upgrade was complete")
        _check_size(self._taken - behind, self._limits)
        _check_size(behind, self._limits)
        headers = _texts(event)
        _check_count(headers, self._limits)
        keys = [value for name, value in headers if name == "sec-websocket-key"]
        checks = (
            ("method", event.method == b"GET"),
            ("HTTP version", event.http_version == b"1.1"),
            ("upgrade header", "websocket" in _tokens(headers, "upgrade")),
            ("connection header", "upgrade" in _tokens(headers, "connection")),
            ("sec-websocket-version header", _tokens(headers, "sec-websocket-version") == ["13"]),
            ("sec-websocket-key header", len(keys) == 1 and _is_key(keys[0])),
            ("body", not _tokens(headers, "transfer-encoding") and not _tokens(headers, "content-length")),
        )
        for name, fine in checks:
            if not fine:
                raise RemoteProtocolError(f"the request is not a WebSocket upgrade: wrong {name}")
        self._key = keys[0].encode("ascii")
        return UpgradeRequested(target=event.target.decode("ascii"), headers=headers)

    def accept(self, headers: Headers) -> tuple[bytes, bytes]:
        """Return the 101 response and the bytes that already follow the request.

        Raises LocalProtocolError, and changes nothing, for headers that cannot be said.
        """
        token = base64.b64encode(hashlib.sha1(self._key + _MAGIC).digest())  # noqa: S324 - RFC 6455 says SHA-1
        lines = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", token.decode()),
            *headers,
        ]
        glued = self._http.trailing_data[0]
        try:
            response = h11.InformationalResponse(status_code=101, headers=lines)
        except (h11.LocalProtocolError, UnicodeEncodeError):
            raise _unsayable() from None
        return self._http.send(response), glued

    def refusal(self, *, status: int, detail: str) -> bytes:
        """Return a complete plain-text response that refuses the upgrade and ends the connection."""
        body = detail.encode(errors="replace")
        head = f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\n"
        return head.encode() + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def _texts(head: h11.Request | h11.Response | h11.InformationalResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers)


def _tokens(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    values = ",".join(value for key, value in headers if key == name)
    return [token.strip().lower() for token in values.split(",") if token.strip()]


def _check_size(size: int, limits: Limits) -> None:
    # h11 looks at its bound only while a head is incomplete; a long one that comes in one piece passes it.
    if size > limits.handshake_bytes:
        raise _too_long(limits)


def _check_count(headers: Sequence[tuple[str, str]], limits: Limits) -> None:
    if len(headers) > limits.handshake_headers:
        raise LimitExceeded(f"the head has more than {limits.handshake_headers} header lines")


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text.encode("ascii"), validate=True)) == 16
    except (ValueError, binascii.Error):
        return False


def _unsayable() -> LocalProtocolError:
    # h11's message quotes the header, which may be a token.
    return LocalProtocolError("a host, target or header holds characters that HTTP does not allow there")


def _too_long(limits: Limits) -> LimitExceeded:
    return LimitExceeded(f"the handshake is longer than {limits.handshake_bytes} bytes")


def _bad_head(error: h11.RemoteProtocolError, limits: Limits) -> RemoteProtocolError:
    if error.error_status_hint == 431:
        return _too_long(limits)  # in the words of _check_size: how the head was cut must not show
    return RemoteProtocolError("the peer's handshake is not valid HTTP/1.1")
