"""What the tests of a RELAY connection share: both ends, in any state, and the wire's own words."""

import json
from typing import Any

from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.relay.client import RelayClientProtocol
from telcoflow_proto.relay.connection import RelayClientConnection, RelayServerConnection
from telcoflow_proto.relay.jsonrpc import Id
from telcoflow_proto.relay.messages import Credentials
from telcoflow_proto.relay.server import RelayServerProtocol
from telcoflow_proto.relay.table import RelayState
from telcoflow_proto.secret import Secret
from tests.core.support import counting

T0 = 100.0
"""When every connection of these tests opens."""

PROJECT, TOKEN, JWT, STATE = "project-canary", "token-canary", "jwt-canary", "state-canary"
CREDENTIALS = Credentials(project=Secret(PROJECT), token=Secret(TOKEN))
BY_JWT = Credentials(project=Secret(PROJECT), token=Secret(TOKEN), jwt_token=Secret(JWT))

End = RelayClientProtocol | RelayServerProtocol


def request(method: str, params: Any = None, id_: Any = "i1", **members: Any) -> str:
    """A request as the wire has it; ``id_`` None leaves the id out."""
    told: JsonObject = {"jsonrpc": "2.0", "method": method, "params": {} if params is None else params, **members}
    return json.dumps(told if id_ is None else {**told, "id": id_})


def event(event_type: str = "calling.call.play", params: Any = None, id_: Any = "e1", **envelope: Any) -> str:
    """An event as the service tells it."""
    told = {"event_type": event_type, "params": {} if params is None else params, **envelope}
    return request("signalwire.event", told, id_)


def result(id_: Id, value: Json = None) -> str:
    """The answer to a request that was understood."""
    return json.dumps({"jsonrpc": "2.0", "id": id_, "result": {} if value is None else value})


def failure(id_: Id, error: Json) -> str:
    """The answer to a request that was not."""
    return json.dumps({"jsonrpc": "2.0", "id": id_, "error": error})


def seen(end: End) -> list[Any]:
    """Take what an end has to report."""
    return list(end.events())


def said(end: End) -> list[Any]:
    """Take what an end has to say: text decoded, a close as it is."""
    return [json.loads(one) if isinstance(one, str) else one for one in end.messages_to_send()]


def clear(end: End) -> None:
    """Forget what has been said and reported so far."""
    seen(end)
    said(end)


def begun_client(**arguments: Any) -> tuple[RelayClientProtocol, str]:
    """A client whose ``signalwire.connect`` is on its way, and the id of that."""
    client = RelayClientProtocol(**{"credentials": CREDENTIALS, "entropy": counting(), **arguments})
    client.start(now=T0)
    (connect,) = said(client)
    clear(client)
    return client, connect["id"]


def ready_client(**arguments: Any) -> RelayClientProtocol:
    """A client that is authenticated."""
    client, connect_id = begun_client(**arguments)
    client.receive_message(result(connect_id, {"protocol": "p1"}), now=T0)
    clear(client)
    return client


def client_in(state: RelayState) -> RelayClientProtocol:
    """A client that has come this far, with nothing to say or report."""
    if state is RelayState.NEW:
        return RelayClientProtocol(credentials=CREDENTIALS, entropy=counting())
    client, connect_id = begun_client()
    match state:
        case RelayState.REFUSED:
            client.receive_message(failure(connect_id, {"code": -32002, "message": "no"}), now=T0)
        case RelayState.READY:
            client.receive_message(result(connect_id, {"protocol": "p1"}), now=T0)
        case RelayState.LEAVING:
            client.receive_message(result(connect_id, {"protocol": "p1"}), now=T0)
            client.receive_message(request("signalwire.disconnect"), now=T0)
        case RelayState.LOST:
            client.receive_close(now=T0)
    clear(client)
    assert client.state is state
    return client


def begun_server(**arguments: Any) -> RelayServerProtocol:
    """A server whose client has not said anything."""
    server = RelayServerProtocol(**{"entropy": counting(), **arguments})
    server.start(now=T0)
    clear(server)
    return server


def connect_text(id_: Any = "c1", **members: Any) -> str:
    """What a client says first."""
    authentication = {"project": PROJECT, "token": TOKEN}
    return request("signalwire.connect", {"agent": "a/1", "authentication": authentication, **members}, id_)


def ready_server(**arguments: Any) -> RelayServerProtocol:
    """A server whose client is let in."""
    server = begun_server(**arguments)
    server.receive_message(connect_text(), now=T0)
    server.authenticate(protocol="p1", now=T0)
    clear(server)
    return server


def server_in(state: RelayState) -> RelayServerProtocol:
    """A server that has come this far, with nothing to say or report; a request "open" waits where one can."""
    server = begun_server()
    if state is RelayState.LOST:
        server.receive_close(now=T0)
    elif state is not RelayState.NEW:
        server.receive_message(connect_text(), now=T0)
    if state is RelayState.REFUSED:
        server.refuse_connect(code=-32002, message="no", now=T0)
    if state in {RelayState.READY, RelayState.LEAVING}:
        server.authenticate(protocol="p1", now=T0)
        server.receive_message(request("calling.answer", id_="open"), now=T0)
    if state is RelayState.LEAVING:
        server.ask_to_leave(restart=False, now=T0)
    clear(server)
    assert server.state is state
    return server


URL_HOST = "relay.example.com"


def connections(**arguments: Any) -> tuple[RelayClientConnection, RelayServerConnection]:
    """Two ends over bytes that have not met, both started."""
    client = RelayClientConnection(
        url=parse_ws_url(f"wss://{URL_HOST}"),
        entropy=counting(),
        **{"credentials": CREDENTIALS, **arguments},
    )
    server = RelayServerConnection(entropy=counting(), limits=arguments.get("limits", RELAY_LIMITS))
    client.start(now=T0)
    server.start(now=T0)
    return client, server


def pump(client: RelayClientConnection, server: RelayServerConnection, now: float = T0) -> None:
    """Carry bytes until neither end has any."""
    while True:
        up, down = client.data_to_send(now=now), server.data_to_send(now=now)
        if not up and not down:
            return
        if up:
            server.receive_data(up, now=now)
        if down:
            client.receive_data(down, now=now)


def met(**arguments: Any) -> tuple[RelayClientConnection, RelayServerConnection]:
    """Two ends over bytes; the client is authenticated."""
    client, server = connections(**arguments)
    pump(client, server)
    server.accept(now=T0)
    pump(client, server)
    server.authenticate(protocol="p1", now=T0)
    pump(client, server)
    clear(client)
    clear(server)
    return client, server
