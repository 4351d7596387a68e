"""The pump between one WebSocket of the web server and one message door of the core: no rule lives here."""

import math
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, final

import anyio
from starlette.websockets import WebSocket

from telcoflow_anyio.gateway.faults import Faults
from telcoflow_anyio.gateway.journal import Journal
from telcoflow_anyio.gateway.sockets import break_connections
from telcoflow_proto.door import DoorEvent, Message, MessageDoor
from telcoflow_proto.websocket import Close

Event = TypeVar("Event")

_LINGER = 1.0  # seconds a peer gets to answer our close
_MOST_UNDER_WAY = 2000  # messages; beyond that the door's own bounds decide what is dropped


@final
class Link(Generic[Event]):
    """One reader, one writer, one alarm. ``on_event`` is called for each event of the door, in order."""

    def __init__(
        self,
        websocket: WebSocket,
        door: MessageDoor[Event],
        *,
        name: str,
        journal: Journal,
        faults: Faults,
        on_event: Callable[[Event | DoorEvent], None],
    ) -> None:
        self.name = name
        self.websocket = websocket
        self.ended = anyio.Event()
        self._door = door
        self._journal = journal
        self._faults = faults
        self._on_event = on_event
        self._under_way: deque[tuple[float, Message]] = deque()
        self._settled = anyio.Event()
        self._scope = anyio.CancelScope()

    def settle(self) -> None:
        """Hand on what the door has to tell and to say. Call after every verb said to the door."""
        for event in self._door.events():
            self._on_event(event)
        if self._door.lost and not self.ended.is_set():
            self.cut()  # the door gave up a peer that does not answer, and nobody else would end the connection
        if len(self._under_way) < _MOST_UNDER_WAY:
            now = anyio.current_time()
            for message in self._door.messages_to_send(now=now):
                due = now + self._faults.delay
                if isinstance(message, Close):
                    self._scope.deadline = due + _LINGER
                copies = 2 if self._faults.duplicate and not isinstance(message, Close) else 1
                self._under_way.extend([(due, message)] * copies)
        self._settled.set()
        self._settled = anyio.Event()

    async def drop(self, code: int | None) -> None:
        """Close the connection with that code, or cut it; return when it is gone."""
        if code is None:
            self.cut()
        else:
            self.close(code)
        await self.ended.wait()

    def close(self, code: int) -> None:
        """Say nothing more and close the connection with that code."""
        self._door.close_connection(code=code, now=anyio.current_time())
        self.settle()

    def cut(self) -> None:
        """Break the connection without a word, as far as the operating system lets us."""
        server, client = self.websocket.scope["server"], self.websocket.scope["client"]
        break_connections(server[1], peer=(client[0], client[1]))
        self._scope.cancel()

    async def run(self) -> None:
        """Accept the WebSocket and serve it to its end, whoever brings it."""
        try:
            with self._scope:
                await self.websocket.accept()
                self._door.start(now=anyio.current_time())
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write)
                    tasks.start_soon(self._ring)
                    await self._read()
                    tasks.cancel_scope.cancel()
        finally:
            self.ended.set()
            self._door.receive_close(now=anyio.current_time())
            self.settle()

    async def _read(self) -> None:
        while not self._door.lost:
            self.settle()
            received = await self.websocket.receive()
            now = anyio.current_time()
            if received["type"] == "websocket.disconnect":
                self._door.receive_close(code=received["code"], now=now)
                return
            message: str | bytes = received["bytes"] if received.get("text") is None else received["text"]
            self._journal.note(self.name, "in", message, now=now)
            if not self._faults.swallow(message):
                self._door.receive_message(message, now=now)

    async def _write(self) -> None:
        while True:
            settled, now = self._settled, anyio.current_time()
            due, message = self._under_way[0] if self._under_way else (math.inf, "")
            if now < due:
                with anyio.CancelScope(deadline=due):
                    await settled.wait()
                continue
            self._under_way.popleft()
            if isinstance(message, Close):
                await self.websocket.close(message.code, message.reason)
                return
            self._journal.note(self.name, "out", message, now=now)
            if isinstance(message, str):
                await self.websocket.send_text(message)
            else:
                await self.websocket.send_bytes(message)

    async def _ring(self) -> None:
        while True:
            settled, due = self._settled, self._door.next_deadline()
            with anyio.CancelScope(deadline=math.inf if due is None else due):
                await settled.wait()
                continue
            self._door.handle_timeout(now=anyio.current_time())
            self.settle()
