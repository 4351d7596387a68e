"""Opening byte streams: TCP, and TLS with one policy for control and media."""

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio.abc import ByteStream

from telcoflow_proto.config import ClientConfig
from telcoflow_proto.origin import WsUrl

Dial = Callable[[WsUrl], Awaitable[ByteStream]]
"""How a byte stream is opened; raises OSError."""

CONNECT_WITHIN = 10.0
"""Seconds for TCP and TLS together."""


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


async def dial(url: WsUrl, tls: ssl.SSLContext) -> ByteStream:
    """Connect to a URL's host and port, over TLS if it says so. No proxy, no redirect.

    Raises OSError (TLS faults and the time-out are OSErrors too), in words of the operating system.
    """
    with anyio.fail_after(CONNECT_WITHIN):
        if not url.secure:
            return await anyio.connect_tcp(url.address, url.port)
        try:
            # A WebSocket says itself when it ends, so TLS need not wait for the other end's farewell.
            return await anyio.connect_tcp(
                url.address,
                url.port,
                tls=True,
                ssl_context=tls,
                tls_standard_compatible=False,
                tls_hostname=url.address,
            )
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise OSError("the connection ended during the TLS handshake") from error


def explain(error: OSError, url: WsUrl) -> str:
    """Say in one line what went wrong, with the address it went wrong for."""
    cause = error.__cause__ or error
    while isinstance(cause, BaseExceptionGroup):  # one per address that was tried
        cause = cause.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a group of anything
    text = f"{cause}" or f"no answer within {CONNECT_WITHIN:.0f} s"
    return f"cannot connect to {url.address}:{url.port}: {text}"
