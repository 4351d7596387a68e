"""A control connection over a byte stream: the link in front, the same protocol behind."""

from telcoflow_proto.control.connection import (
    CONTROL_HEARTBEAT,
    ControlClientConnection,
    ControlServerConnection,
)
from telcoflow_proto.control.events import RequestDone, RequestReceived, SetupCompleted, SetupRequested
from telcoflow_proto.control.table import ControlState, SessionState
from telcoflow_proto.door import ConnectionLost, ConnectionOpened
from telcoflow_proto.errors import HandshakeRefused, PeerSilent
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.replies import Outcome
from tests.control.agents import INFO, T0, entropy, seen


def pair() -> tuple[ControlClientConnection, ControlServerConnection]:
    client = ControlClientConnection(
        url=parse_ws_url("wss://example.com/v1/agent/session-manager"),
        credentials=[("x-api-key", "key"), ("x-connector-uuid", "uuid")],
        entropy=entropy(),
        sample_rate=8000,
    )
    server = ControlServerConnection(entropy=entropy())
    client.start(now=T0)
    server.start(now=T0)
    return client, server


def pump(client: ControlClientConnection, server: ControlServerConnection, now: float = T0) -> None:
    """Carry bytes until neither end has any."""
    while True:
        up, down = client.data_to_send(now=now), server.data_to_send(now=now)
        if not up and not down:
            return
        if up:
            server.receive_data(up, now=now)
        if down:
            client.receive_data(down, now=now)


def open_pair() -> tuple[ControlClientConnection, ControlServerConnection]:
    client, server = pair()
    pump(client, server)
    server.accept(now=T0)
    pump(client, server)
    server.complete_setup(connection_id="w1", now=T0)
    pump(client, server)
    return client, server


def test_the_upgrade_carries_the_credentials_and_the_wire_version() -> None:
    client, _ = pair()
    head = client.data_to_send().decode().lower()
    assert head.startswith("get /v1/agent/session-manager http/1.1\r\n")
    for line in ("host: example.com", "x-api-key: key", "x-connector-uuid: uuid", "x-sdk-version: 1.0.0"):
        assert f"\r\n{line}\r\n" in head


def test_a_whole_claim() -> None:
    client, server = open_pair()
    assert seen(client) == [ConnectionOpened(), SetupCompleted(connection_id="w1")]
    assert [type(event) for event in seen(server)] == [UpgradeRequested, ConnectionOpened, SetupRequested]
    request_id = client.open_session("s1", now=T0)
    pump(client, server)
    (event,) = seen(server)
    assert isinstance(event, RequestReceived)
    server.open_succeeded(request_id, INFO, now=T0)
    pump(client, server)
    (done,) = seen(client)
    assert isinstance(done, RequestDone)
    assert done.outcome is Outcome.DONE
    client.ready("s1", now=T0)
    pump(client, server)
    assert server.session_state("s1") is client.session_state("s1") is SessionState.READY
    client.close_connection(now=T0)
    pump(client, server)
    assert seen(client) == [ConnectionLost(code=1000, reason="", error=None)]
    assert client.state is server.state is ControlState.OVER


def test_a_refused_upgrade_ends_the_connection_with_what_the_server_said() -> None:
    client, server = pair()
    pump(client, server)
    server.reject(status=401, detail="unknown key", now=T0)
    pump(client, server)
    client.receive_eof(now=T0)
    (lost,) = seen(client)
    assert isinstance(lost.error, HandshakeRefused)
    assert (lost.error.status, lost.error.detail) == (401, "unknown key")


def test_a_dead_peer_is_noticed_within_twenty_seconds() -> None:
    client, _ = open_pair()
    seen(client)
    now = T0
    while not client.lost:
        now = client.next_deadline() or now
        client.handle_timeout(now=now)
        client.data_to_send(now=now)
    assert now <= T0 + CONTROL_HEARTBEAT.every + CONTROL_HEARTBEAT.within == T0 + 20.0
    (lost,) = seen(client)
    assert isinstance(lost.error, PeerSilent)
