"""Every kind of connection keeps the bounds it was given, from the first byte on."""

from collections.abc import Callable
from typing import Any

import pytest

from telcoflow_proto.control.connection import ControlClientConnection, ControlServerConnection
from telcoflow_proto.door import ByteDoor, ConnectionLost
from telcoflow_proto.limits import Limits
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.relay.connection import RelayClientConnection, RelayServerConnection
from telcoflow_proto.relay.messages import Credentials
from telcoflow_proto.secret import Secret
from tests.core.support import counting

URL = parse_ws_url("ws://localhost:8080/path")
CLIENTS: dict[str, Callable[[Limits], ByteDoor[Any]]] = {
    "control": lambda limits: ControlClientConnection(url=URL, credentials=[], entropy=counting(), limits=limits),
    "media": lambda limits: MediaClientConnection(url=URL, token="t", entropy=counting(), limits=limits),
    "relay": lambda limits: RelayClientConnection(
        url=URL, credentials=Credentials(project=Secret("p"), token=Secret("t")), entropy=counting(), limits=limits
    ),
}
SERVERS: dict[str, Callable[[Limits], ByteDoor[Any]]] = {
    "control": lambda limits: ControlServerConnection(entropy=counting(), limits=limits),
    "media": lambda limits: MediaServerConnection(entropy=counting(), limits=limits),
    "relay": lambda limits: RelayServerConnection(entropy=counting(), limits=limits),
}
ENDS = [
    *(pytest.param(make, b"HTTP/1.1 101 Switching\r\nX: ", id=f"{name} client") for name, make in CLIENTS.items()),
    *(pytest.param(make, b"GET /path HTTP/1.1\r\nX: ", id=f"{name} server") for name, make in SERVERS.items()),
]


@pytest.mark.parametrize(("make", "head"), ENDS)
@pytest.mark.parametrize(("most", "fits"), [(100, False), (10_000, True)])
def test_a_head_that_is_too_long_ends_the_connection(
    make: Callable[[Limits], ByteDoor[Any]], head: bytes, most: int, fits: bool
) -> None:
    end = make(Limits(handshake_bytes=most))
    end.start(now=1.0)
    end.data_to_send(now=1.0)
    end.receive_data(head + b"x" * 200, now=1.0)
    assert any(isinstance(event, ConnectionLost) for event in end.events()) is not fits
