"""What one message costs without any socket: ``python -m benchmarks.speed.core_alone WHAT`` prints an ``Outcome``.

``link`` is our WebSocket link, ``media`` our media connection above it, ``wsproto`` its connection, which does what
our link does. Each is the client, and hears or says one message at a time. Nanoseconds of CPU.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, Request, TextMessage

from benchmarks.speed.figures import median
from benchmarks.speed.orders import Outcome
from telcoflow_proto.frames import frame_head
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.media.events import CommandReceived
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import Pair
from telcoflow_proto.websocket import WebSocketLink

SIZES = (321, 961, 9601)
TEXT_SIZE = 212
_ACTIONS, _BATCH = 3000, 200
_MOST_CREDIT = 96_000
_TEXT, _BINARY = 1, 2


class End(Protocol):
    """A client's end of an open connection."""

    def hear(self, data: bytes) -> None:
        """Take bytes and every event they make."""

    def say(self, message: bytes) -> None:
        """Say a binary message and take the bytes."""

    def say_text(self, message: str) -> None:
        """Say a text message and take the bytes."""


class Link:
    """Our WebSocket link."""

    def __init__(self) -> None:
        self._link = WebSocketLink(Role.CLIENT, entropy=os.urandom)
        far = WebSocketLink(Role.SERVER, entropy=os.urandom)
        for end in (self._link, far):
            end.start(now=0.0)
        far.receive_data(self._link.data_to_send(), now=0.0)
        far.accept(now=0.0)
        self.hear(far.data_to_send())

    def hear(self, data: bytes) -> None:
        """Take bytes and every event they make."""
        self._link.receive_data(data, now=1.0)
        for _ in self._link.events():
            pass

    def say(self, message: bytes | str) -> None:
        """Say a message and take the bytes."""
        self._link.send(message, now=1.0)
        self._link.data_to_send()

    say_text = say


class WsProto:
    """The connection of wsproto."""

    def __init__(self) -> None:
        self._connection = WSConnection(ConnectionType.CLIENT)
        far = WSConnection(ConnectionType.SERVER)
        far.receive_data(self._connection.send(Request(host="localhost", target="/")))
        for event in far.events():
            if isinstance(event, Request):
                self.hear(far.send(AcceptConnection()))

    def hear(self, data: bytes) -> None:
        """Take bytes and every event they make."""
        self._connection.receive_data(data)
        for _ in self._connection.events():
            pass

    def say(self, message: bytes) -> None:
        """Say a binary message and take the bytes."""
        self._connection.send(BytesMessage(data=message))

    def say_text(self, message: str) -> None:
        """Say a text message and take the bytes."""
        self._connection.send(TextMessage(data=message))


class Media:
    """Our media connection: audio comes out and goes in, the service asks for as much as it gets."""

    def __init__(self) -> None:
        url = parse_ws_url("ws://127.0.0.1:8080/media")
        self._near = MediaClientConnection(url=url, token="t", entropy=os.urandom)  # noqa: S106 - made up
        self._far = MediaServerConnection(entropy=os.urandom)
        pair = Pair(self._near, self._far)
        pair.open(now=0.0)
        self._near.answer(now=0.0)
        pair.carry(now=0.0)
        for event in pair.server_events:
            if isinstance(event, CommandReceived):
                self._far.succeed(event.command.command_id, now=0.0)
        pair.carry(now=0.0)

    def hear(self, data: bytes) -> None:
        """Take bytes, every event they make, and the audio."""
        self._near.receive_data(data, now=1.0)
        for _ in self._near.events():
            pass
        self._near.next_audio(0)

    def say(self, message: bytes) -> None:
        """Say audio and take the bytes."""
        self._near.send_audio(message[1:], now=1.0)
        self._near.data_to_send(now=1.0)

    def be_asked(self, frame: int) -> None:
        """Let the service ask for as much as may ever be asked for."""
        self._far.request_audio(_MOST_CREDIT, frame_bytes=frame, now=1.0)
        self._near.receive_data(self._far.data_to_send(now=1.0), now=1.0)


def nanoseconds(action: Callable[[], None], *, batch: int = _BATCH, prepare: Callable[[], None] | None = None) -> float:
    """Return what an action costs: the median of some batches, the first of which warms up."""
    costs = []
    for _ in range(_ACTIONS // batch + 1):
        if prepare is not None:
            prepare()
        begun = time.process_time_ns()
        for _ in range(batch):
            action()
        costs.append((time.process_time_ns() - begun) / batch)
    return median(costs[1:])


def from_server(opcode: int, payload: bytes) -> bytes:
    """Write a whole message as a server does."""
    return frame_head(opcode, len(payload), masked=False) + payload


def of_an_end(end: End) -> dict[str, float]:
    """Measure a WebSocket end."""
    figures = {}
    for size in SIZES:
        message = b"\0" + os.urandom(size - 1)
        frame = from_server(_BINARY, message)
        figures[f"receive {size} B"] = nanoseconds(partial(end.hear, frame))
        figures[f"send {size} B"] = nanoseconds(partial(end.say, message))
    text = "x" * TEXT_SIZE
    frame = from_server(_TEXT, text.encode())
    figures[f"receive {TEXT_SIZE} B text"] = nanoseconds(partial(end.hear, frame))
    figures[f"send {TEXT_SIZE} B text"] = nanoseconds(partial(end.say_text, text))
    return figures


def of_media() -> dict[str, float]:
    """Measure our media connection."""
    figures = {}
    for size in SIZES:
        end = Media()
        message = b"\0" + os.urandom(size - 1)
        frame = from_server(_BINARY, message)
        figures[f"receive {size} B"] = nanoseconds(partial(end.hear, frame))
        figures[f"send {size} B"] = nanoseconds(
            partial(end.say, message), batch=_MOST_CREDIT // size, prepare=partial(end.be_asked, size - 1)
        )
    return figures


WHAT: dict[str, Callable[[], dict[str, float]]] = {
    "link": lambda: of_an_end(Link()),
    "wsproto": lambda: of_an_end(WsProto()),
    "media": of_media,
}

if __name__ == "__main__":
    print(Outcome(figures=WHAT[sys.argv[1]]()).to_json())
