"""The upgrade: what a server answers, heard by a client; what a client asks, heard by a server.

Oracles: no exception; any split is the same; a server that hears a request can accept it, and ``websockets`` would
have accepted it too.
"""

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidHeaderValue
from websockets.http11 import Request
from websockets.server import ServerProtocol

from fuzz.disagreements import REQUESTS
from fuzz.oracles import check_splits, expect
from fuzz.targets.websocket import LIMITS, LinkListener
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import entropy
from telcoflow_proto.websocket import LinkOpened, WebSocketLink

_MOST_BYTES = 9000  # beyond the bound of a head


def handshake_client(data: bytes) -> None:
    """What a server answers to an upgrade request, and what follows."""
    data = data[:_MOST_BYTES]
    check_splits(_client, data)
    whole = _client()
    whole.feed(data)
    if any(isinstance(event, LinkOpened) for event in whole.events):
        expect(that=b"HTTP/1.1 101" in data, otherwise="opened by something that is no 101")


def handshake_server(data: bytes) -> None:
    """What a client asks, and what follows."""
    data = data[:_MOST_BYTES]
    check_splits(_server, data)
    whole = _server()
    whole.feed(data)
    requests = [event for event in whole.events if isinstance(event, UpgradeRequested)]
    expect(that=len(requests) < 2, otherwise="more than one request on one connection")
    if not requests or whole.over:
        return
    whole.link.accept(now=1.0)
    expect(that=whole.link.data_to_send().startswith(b"HTTP/1.1 101 "), otherwise="accepting says something else")
    _ask_websockets(requests[0])


def _client() -> LinkListener:
    link = WebSocketLink(Role.CLIENT, entropy=entropy(), host="localhost", target="/x", limits=LIMITS)
    link.start(now=0.0)
    link.data_to_send()
    return LinkListener(link)


def _server() -> LinkListener:
    link = WebSocketLink(Role.SERVER, entropy=entropy(), limits=LIMITS)
    link.start(now=0.0)
    return LinkListener(link)


def _ask_websockets(request: UpgradeRequested) -> None:
    try:
        headers = Headers(request.headers)
    except InvalidHeaderValue:
        return  # the disagreement about a "header value"
    try:
        ServerProtocol().process_request(Request(request.target, headers))
    except InvalidHandshake as refused:
        excused = any(name in str(refused).lower() for name in REQUESTS)
        expect(that=excused, otherwise=f"we hear a request that websockets refuses: {refused}")
