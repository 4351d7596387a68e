"""A connection of ``net`` behind a real socket, for what an adapter does with sockets and not with streams.

A pair of Unix sockets hands bytes over within the system call, so virtual time never passes while some are under way.
"""

import os
import select
import socket
from contextlib import suppress
from typing import final

import anyio
from anyio.abc import TaskGroup

from telcoflow_proto.origin import WsUrl
from tests.world.net import Net, NetStream

_CHUNK = 4096


@final
class CableDial:
    """``dial=`` for every adapter: the other end of the socket is patched through to the network."""

    def __init__(self, net: Net, group: TaskGroup) -> None:
        self._net = net
        self._group = group

    async def __call__(self, url: WsUrl) -> socket.socket:
        stream = await self._net.dial(url)
        ours, theirs = socket.socketpair()
        for one in (ours, theirs):
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHUNK)
        self._group.start_soon(self._patch, stream, theirs, ours.fileno())
        return ours

    async def _patch(self, stream: NetStream, theirs: socket.socket, number: int) -> None:
        with theirs:
            async with anyio.create_task_group() as group:
                group.start_soon(_down, stream, theirs)
                group.start_soon(_watch, stream, group)
                await _up(stream, theirs)
                group.cancel_scope.cancel()
            if stream.connection.broken and not stream.connection.cut:
                with suppress(OSError):  # the client has closed first
                    os.write(number, b"!")  # closed with something unread, a Unix socket is reset
        with anyio.CancelScope(shield=True):
            await stream.aclose()


async def _up(stream: NetStream, theirs: socket.socket) -> None:
    """From the client to the service, until the client closes or the connection breaks."""
    try:
        while True:
            await anyio.wait_readable(theirs)
            data = theirs.recv(_CHUNK)
            if not data:
                return
            sent = stream.room >= len(data) or stream.connection.broken
            if sent:
                await stream.send(data)
            else:
                async with anyio.create_task_group() as group:
                    group.start_soon(_notice_close, theirs, group)
                    await stream.send(data)
                    sent = True
                    group.cancel_scope.cancel()
            if not sent:
                return
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


def _closed(theirs: socket.socket) -> bool:
    """Tell whether the client has closed, even if there is something of it left to read."""
    poll = select.poll()
    poll.register(theirs, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


async def _notice_close(theirs: socket.socket, group: TaskGroup) -> None:
    """End a send that is stuck when the client closes: nothing else would tell."""
    while not _closed(theirs):
        await anyio.sleep(0.5)
    group.cancel_scope.cancel()


async def _watch(stream: NetStream, group: TaskGroup) -> None:
    """End everything when the connection breaks."""
    pipe = stream.connection.pipes[0]
    while not stream.connection.broken or stream.connection.cut:
        await pipe.changed.wait()
    group.cancel_scope.cancel()


async def _down(stream: NetStream, theirs: socket.socket) -> None:
    """From the service to the client."""
    try:
        while True:
            data = await stream.receive(_CHUNK)
            while data:
                try:
                    data = data[theirs.send(data) :]
                except BlockingIOError:
                    await anyio.wait_writable(theirs)
    except anyio.EndOfStream:
        theirs.shutdown(socket.SHUT_WR)
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
