"""Hypercorn's connections on trio, each behind a wall: what one raises must not end the others.

Hypercorn's own server gives all connections one nursery, so that a stranger who sends a frame behind an upgrade that
was turned away takes the whole service down. Imported only where trio runs; asyncio has no such nursery.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

_logger = logging.getLogger("telcoflow_anyio.gateway")


async def serve(app: ASGIFramework, config: Config, *, shutdown_trigger: Callable[[], Awaitable[object]]) -> None:
    """Serve until the trigger returns; connections get ``config.graceful_timeout`` seconds to end after that."""
    context = WorkerContext(None)
    wrapped = ASGIWrapper(app)

    async def serve_one(stream: trio.SSLStream[trio.SocketStream] | trio.SocketStream) -> None:
        state = ConnectionState({})
        try:
            await TCPServer(wrapped, config, context, state, stream)  # type: ignore[arg-type]  # it takes both
        except* Exception as errors:  # noqa: BLE001 - whatever it is, it is this connection's end and nobody else's
            _logger.warning("a connection ended with %r", errors.exceptions)

    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as listening:
            accept = partial(trio.serve_listeners, serve_one, _listeners(config), handler_nursery=connections)
            listening.start_soon(accept)
            await shutdown_trigger()
            listening.cancel_scope.cancel()
        await context.terminated.set()
        connections.cancel_scope.deadline = trio.current_time() + config.graceful_timeout


def _listeners(config: Config) -> list[trio.SocketListener | trio.SSLListener[trio.SocketStream]]:
    sockets, tls = config.create_sockets(), config.create_ssl_context()
    listeners: list[trio.SocketListener | trio.SSLListener[trio.SocketStream]] = []
    for one in (*sockets.secure_sockets, *sockets.insecure_sockets):
        one.listen(config.backlog)
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(one))
        listeners.append(listener if tls is None else trio.SSLListener(listener, tls, https_compatible=True))
    return listeners
