"""Opening byte streams: TCP, and TLS with one policy for control and media."""

import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream

from telcoflow_anyio._lanes import Lanes
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.driving import CONNECT_WITHIN, Lane
from telcoflow_proto.origin import WsUrl

Dial = Callable[[WsUrl], Awaitable[ByteStream | socket.socket]]
"""How a byte stream is opened, or a socket is connected that gets its TLS from us; raises OSError."""


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
    url: WsUrl, tls: ssl.SSLContext | None, lanes: Lanes | None, sock: socket.socket | None = None
) -> ByteStream | Lane:
    """Connect to a URL's host and port, or take a connected socket; with TLS on top, or not. No proxy, no redirect.

    On asyncio, ``lanes`` are those of the client, and there is no stream. Raises OSError (TLS faults and the
    time-out are OSErrors too), in words of the operating system.
    """
    with anyio.fail_after(CONNECT_WITHIN):
        if lanes is not None:
            return await lanes.open(url, tls, sock)
        if sock is None:
            stream = await anyio.connect_tcp(url.address, url.port)
        else:
            stream = await SocketStream.from_socket(sock)
        return stream if tls is None else await _secured(stream, url, tls)


async def _secured(stream: ByteStream, url: WsUrl, tls: ssl.SSLContext) -> ByteStream:
    try:
        # A WebSocket says itself when it ends, so TLS need not wait for the other end's farewell.
        return await TLSStream.wrap(stream, hostname=url.address, ssl_context=tls, standard_compatible=False)
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
        await anyio.aclose_forcefully(stream)
        raise OSError("the connection ended during the TLS handshake") from error
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


def explain(error: OSError, url: WsUrl) -> str:
    """Say in one line what went wrong, with the address it went wrong for."""
    cause = error.__cause__ or error
    while isinstance(cause, BaseExceptionGroup):  # one per address that was tried
        cause = cause.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a group of anything
    text = f"{cause}" or f"no answer within {CONNECT_WITHIN:.0f} s"
    return f"cannot connect to {url.address}:{url.port}: {text}"
