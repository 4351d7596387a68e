"""Opening byte streams: TCP, and TLS with one policy for control and media."""

import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from telcoflow_proto.config import ClientConfig
from telcoflow_proto.driving import CONNECT_WITHIN, Lane
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.socket_lane import SocketLane
from telcoflow_trio._poller import CAN_POLL, Poller
from telcoflow_trio._tls import Tls

Dial = Callable[[WsUrl], Awaitable[trio.abc.Stream | socket.socket]]
"""How a byte stream is opened, or a socket is connected that gets its TLS from us; raises OSError."""

_CHUNK = 65536


def tls_context(config: ClientConfig) -> ssl.SSLContext:
    """Make the TLS policy of a client: verified, with hostname check, TLS 1.2 at least.

    Read from disk each time, so a certificate that was rotated is used by the next connection.
    Raises OSError when a file cannot be read or is not what it should be.
    """
    context = ssl.create_default_context(cafile=config.ca_path)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.cert_path is not None:
        context.load_cert_chain(Path(config.cert_path), config.key_path)
    return context


def relay_tls_context(ca_path: str | None) -> ssl.SSLContext:
    """Make the TLS policy of a RELAY client: as above, with a CA bundle to trust beside the system's.

    Raises OSError when the bundle cannot be read or is not what it should be.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_path is not None:
        context.load_verify_locations(cafile=ca_path)
    return context


async def open_transport(
    url: WsUrl, tls: ssl.SSLContext | None, poller: Poller, sock: socket.socket | None = None
) -> trio.abc.Stream | Lane:
    """Connect to a URL's host and port, or take a connected socket; with TLS on top, or not. No proxy, no redirect.

    Raises OSError (TLS faults and the time-out are OSErrors too), in words of the operating system.
    """
    with trio.move_on_after(CONNECT_WITHIN):
        if sock is None:
            stream = await trio.open_tcp_stream(url.address, url.port)
        else:
            sock.setblocking(False)  # noqa: FBT003 - the standard library has it so
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        try:
            if not CAN_POLL:
                return stream if tls is None else await _secured(stream, url, tls)
            secure = None if tls is None else await _shaken(stream, Tls(tls, url.address))
            return SocketLane(_plain(stream), secure, poller)
        except (trio.BrokenResourceError, EOFError) as error:
            await trio.aclose_forcefully(stream)
            raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from None
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
    raise TimeoutError


async def _shaken(stream: trio.SocketStream, tls: Tls) -> Tls:
    """Do the TLS handshake over a stream. Raises OSError, BrokenResourceError, or EOFError if the peer leaves."""
    received = b""
    while True:
        done = tls.shake_hands(received)
        if data := tls.pending():
            await stream.send_all(data)
        if done:
            return tls
        received = bytes(await stream.receive_some(_CHUNK))
        if not received:
            raise EOFError("the connection ended during the TLS handshake")


async def _secured(stream: trio.SocketStream, url: WsUrl, tls: ssl.SSLContext) -> trio.abc.Stream:
    # A WebSocket says itself when it ends, so TLS need not wait for the other end's farewell.
    secure = trio.SSLStream(stream, tls, server_hostname=url.address, https_compatible=True)
    await secure.do_handshake()
    return secure


def _plain(stream: trio.SocketStream) -> socket.socket:
    """Take the socket out of a stream, which is empty afterwards."""
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)  # noqa: FBT003 - the standard library has it so
    return sock


def explain(error: OSError, url: WsUrl) -> str:
    """Say in one line what went wrong, with the address it went wrong for."""
    cause = error.__cause__ or error
    while isinstance(cause, BaseExceptionGroup):  # one per address that was tried
        cause = cause.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a group of anything
    text = f"{cause}" or f"no answer within {CONNECT_WITHIN:.0f} s"
    return f"cannot connect to {url.address}:{url.port}: {text}"
