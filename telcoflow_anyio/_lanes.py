"""Opening connections on asyncio for what moves their bytes without a stream in between."""

import asyncio
import os
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, TypeVar, final

from telcoflow_anyio._asyncio import AsyncioSocket
from telcoflow_anyio._poller import Poller, can_poll
from telcoflow_anyio._tls import Tls
from telcoflow_anyio._turn import Turn
from telcoflow_proto.driving import Lane
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.socket_lane import SocketLane

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536
_HEAD_START = 0.25  # seconds for one address before the next is tried as well (RFC 8305 §8)
_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


@final
class Lanes:
    """The lanes of one client: polled sockets where the loop can wait for them, a protocol of asyncio's elsewhere."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._turn = Turn(loop)
        self._poller = Poller(loop, self._turn) if can_poll(loop) else None

    async def open(self, url: WsUrl, tls: ssl.SSLContext | None, sock: socket.socket | None) -> Lane:
        """Connect to the URL's host and port, or take a connected socket; with TLS on top, or not. Raises OSError."""
        if self._poller is None:
            return await _connected(partial(AsyncioSocket, self._turn), url, tls, sock)
        plain = await _plain(url) if sock is None else sock
        try:
            plain.setblocking(False)  # noqa: FBT003 - the standard library has it so
            secure = None if tls is None else await _shaken(plain, Tls(tls, url.address))
        except BaseException:
            plain.close()
            raise
        return SocketLane(plain, secure, self._poller)


async def _connected(
    new: "Callable[[], _Protocol]", url: WsUrl, tls: ssl.SSLContext | None, sock: socket.socket | None
) -> _Protocol:
    loop = asyncio.get_running_loop()
    name = None if tls is None else url.address
    if sock is not None:
        _, protocol = await loop.create_connection(new, sock=sock, ssl=tls, server_hostname=name)
    elif isinstance(loop, asyncio.BaseEventLoop):
        _, protocol = await loop.create_connection(
            new, url.address, url.port, ssl=tls, server_hostname=name, happy_eyeballs_delay=_HEAD_START
        )
    else:  # uvloop tries one address after the other, and knows no head start
        _, protocol = await loop.create_connection(new, url.address, url.port, ssl=tls, server_hostname=name)
    return protocol


@final
class _Courier(asyncio.Protocol):
    """Takes a socket that asyncio has connected out of its hands."""

    taken: socket.socket | OSError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        number: int = transport.get_extra_info("socket").fileno()
        try:
            self.taken = socket.socket(fileno=os.dup(number))
        except OSError as error:  # there is no file descriptor left
            self.taken = error
        transport.close()  # its own file descriptor, not the connection


async def _plain(url: WsUrl) -> socket.socket:
    """Connect; asyncio knows how to try several addresses. Raises OSError."""
    courier = await _connected(_Courier, url, None, None)
    if isinstance(courier.taken, OSError):
        raise courier.taken
    return courier.taken


async def _shaken(sock: socket.socket, tls: Tls) -> Tls:
    """Do the TLS handshake. Raises OSError."""
    loop = asyncio.get_running_loop()
    received = b""
    while True:
        done = tls.shake_hands(received)
        if data := tls.pending():
            await loop.sock_sendall(sock, data)
        if done:
            return tls
        received = await loop.sock_recv(sock, _CHUNK)
        if not received:
            raise OSError("the connection ended during the TLS handshake")
