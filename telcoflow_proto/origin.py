"""WebSocket URLs: reading them strictly, and deciding where a token may be carried.

The service names the media URL in ``call.in`` and we go there with a bearer token. A service that is buggy
or taken over must not be able to send the token anywhere else, or in the clear.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import final

import attrs

from telcoflow_proto.errors import RemoteProtocolError

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1123 §2.1; a resolver chokes on empty or long ones
_URL = re.compile(
    r"(?P<scheme>wss?)://"
    rf"(?P<host>(?:{_LABEL}\.)*{_LABEL}|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!$-;=@-Z_a-z~]*)?"
    r"(?P<query>\?[!$-;=?-Z_a-z~]*)?",
    re.ASCII,
)
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


@final
@attrs.frozen(kw_only=True)
class WsUrl:
    """A ``ws`` or ``wss`` URL in parts; ``host`` is in lower case, ``target`` is the path with its query."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def host_header(self) -> str:
        """The value of the Host header: without the port where it is the scheme's own."""
        return self.host if self.port == (443 if self.secure else 80) else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The host as a resolver wants it: an IPv6 address without its brackets."""
        return self.host.strip("[]")

    @property
    def loopback(self) -> bool:
        """True for ``localhost`` and the loopback addresses: plaintext never leaves the machine there."""
        if self.host == "localhost":
            return True
        address = _ip_address(self)
        return address is not None and address.is_loopback

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.host_header}{self.target}"


def parse_ws_url(text: str) -> WsUrl:
    """Read a URL strictly.

    Raises ValueError, which does not quote it, for anything unusual: other schemes, user information,
    fragments, spaces, backslashes, control or non-ASCII characters, ports out of range.
    """
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError("must be a plain ws:// or wss:// URL without user information or fragment")
    scheme = found["scheme"]
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[scheme]
    if port not in range(1, 65536):
        raise ValueError("must have a port from 1 to 65535")
    url = WsUrl(
        secure=scheme == "wss",
        host=found["host"].lower(),
        port=port,
        target=(found["path"] or "/") + (found["query"] or ""),
    )
    if url.host.startswith("[") and not isinstance(_ip_address(url), ipaddress.IPv6Address):
        raise ValueError("must have a valid IPv6 address in its brackets")
    return url


def check_media_url(text: str, *, control: WsUrl, allowed_hosts: Sequence[str]) -> WsUrl:
    """Read the media URL of a call and decide whether we go there.

    The host must be the control connection's, or match one of ``allowed_hosts`` (``media.example.com``, or
    ``*.example.com`` for everything below it; never an IP address by wildcard). The port must be control's or
    443, and ``wss`` is never left for ``ws``. Raises RemoteProtocolError before a byte is sent.
    """
    try:
        url = parse_ws_url(text)
    except ValueError as error:
        raise RemoteProtocolError(f"the media URL of a call is unusable: it {error}") from None
    if control.secure and not url.secure:
        raise RemoteProtocolError("the media URL of a call downgrades from wss to ws; the token stays here")
    if url.host != control.host and not any(_matches(url, allowed) for allowed in allowed_hosts):
        raise RemoteProtocolError("the media URL of a call points to another host; allow it with media_hosts")
    if url.port not in (control.port, 443):
        raise RemoteProtocolError("the media URL of a call points to another port of the host")
    if not url.secure and not url.loopback and url.host != control.host:
        raise RemoteProtocolError("the media URL of a call would carry the token to another host in the clear")
    return url


def _matches(url: WsUrl, allowed: str) -> bool:
    if allowed.startswith("*."):
        return url.host.endswith(allowed[1:].lower()) and _ip_address(url) is None
    return url.host == allowed.lower()


def _ip_address(url: WsUrl) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(url.address)
    except ValueError:
        return None
