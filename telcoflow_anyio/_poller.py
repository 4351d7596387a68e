"""Sockets on asyncio without transports: the loop waits for all sockets of a client at once.

A transport costs a callback per socket that can be read, and a pass through its own buffers. Here the readiness of
many sockets is one callback, and everything that is due at the end of a turn is one more.
"""

import asyncio
import selectors
from typing import final

import anyio

from telcoflow_anyio._loop import Loop, clock_of
from telcoflow_anyio._turn import Turn
from telcoflow_proto.socket_lane import Socket, SocketLane

_CAN_POLL = hasattr(selectors.DefaultSelector, "fileno")


def can_poll(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether the readiness of many sockets is that of one file descriptor, and the loop waits for those."""
    return _CAN_POLL and isinstance(loop, asyncio.SelectorEventLoop)


@final
class Poller:
    """Moves the bytes of many sockets."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
        self.clock = clock_of(loop)
        self.new_bell = Loop().new_bell
        self.time_limit = anyio.move_on_after
        self.write_soon = turn.write_soon
        self._turn = turn
        self._loop = loop
        self._selector: selectors.DefaultSelector | None = None

    def watch(self, lane: SocketLane, sock: Socket, events: int, before: int) -> None:
        """Call ``lane.ready`` when its socket is. It needs a file descriptor as long as there is any."""
        if self._selector is None:
            self._selector = selectors.DefaultSelector()
            self._loop.add_reader(self._selector, self._read)
        selector = self._selector
        if not before:
            selector.register(sock, events, lane)
        elif events:
            selector.modify(sock, events, lane)
        else:
            selector.unregister(sock)
            if not selector.get_map():
                self._loop.remove_reader(selector)
                selector.close()
                self._selector = None

    def _read(self) -> None:
        if self._selector is None:
            return
        now = self.clock()
        with self._turn.held():
            for key, _ in self._selector.select(0):
                try:
                    key.data.ready(now)
                except Exception as error:  # noqa: BLE001 - as the loop has it with a callback: others are not to blame
                    self._loop.call_exception_handler({"message": "a socket could not be read", "exception": error})
