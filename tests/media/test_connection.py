"""A call over a byte stream: the link in front, the same protocol behind."""

from telcoflow_proto.door import ConnectionLost, ConnectionOpened
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.media.connection import MEDIA_HEARTBEAT, MediaClientConnection, MediaServerConnection
from telcoflow_proto.media.events import CallChanged, CallEnded, CommandDone, CommandReceived, EndReason
from telcoflow_proto.media.table import CallState, CallWord
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.replies import Outcome
from tests.media.calls import T0, entropy, seen


def pair() -> tuple[MediaClientConnection, MediaServerConnection]:
    url = parse_ws_url("ws://localhost:8080/v1/media?call=c1")
    client = MediaClientConnection(url=url, token="secret", entropy=entropy())
    return client, MediaServerConnection(entropy=entropy())


def pump(client: MediaClientConnection, server: MediaServerConnection, now: float = T0) -> None:
    """Carry bytes until neither end has any."""
    while True:
        up, down = client.data_to_send(now=now), server.data_to_send(now=now)
        if not up and not down:
            return
        if up:
            server.receive_data(up, now=now)
        if down:
            client.receive_data(down, now=now)


def open_pair() -> tuple[MediaClientConnection, MediaServerConnection]:
    client, server = pair()
    client.start(now=T0)
    server.start(now=T0)
    pump(client, server)
    server.accept(now=T0)
    pump(client, server)
    return client, server


def test_the_upgrade_names_the_call_the_token_and_the_wire_version() -> None:
    client, server = pair()
    client.start(now=T0)
    server.start(now=T0)
    request = client.data_to_send()
    head = request.decode().lower()
    assert head.startswith("get /v1/media?call=c1 http/1.1\r\n")
    assert "\r\nhost: localhost:8080\r\n" in head
    assert "\r\nauthorization: bearer secret\r\n" in head
    assert "\r\nx-sdk-version: 1.0.0\r\n" in head
    server.receive_data(request, now=T0)
    (event,) = seen(server)
    assert isinstance(event, UpgradeRequested)


def test_a_whole_call() -> None:
    client, server = open_pair()
    assert seen(client) == [ConnectionOpened()]
    client.answer(now=T0)
    pump(client, server)
    received = [event for event in seen(server) if isinstance(event, CommandReceived)]
    server.succeed(received[0].command.command_id, now=T0)
    server.request_audio(9600, now=T0)
    server.send_audio(b"\5\0", now=T0)
    pump(client, server)
    assert CallChanged(previous=CallState.PENDING, state=CallState.ANSWERED) in seen(client)
    assert client.next_audio() == b"\5\0"
    client.send_audio(b"\6\0" * 480, now=T0)
    pump(client, server)
    assert server.next_audio() == b"\6\0" * 480
    client.disconnect(now=T0)
    pump(client, server)
    (received_end,) = [event for event in seen(server) if isinstance(event, CommandReceived)]
    server.succeed(received_end.command.command_id, now=T0)
    pump(client, server)
    done, ended, lost = seen(client)
    assert (done.command, done.outcome) == (CallWord.DISCONNECT, Outcome.DONE)
    assert isinstance(done, CommandDone)
    assert ended == CallEnded(reason=EndReason.DISCONNECTED)
    assert lost == ConnectionLost(code=1000, reason="", error=None)
    assert [type(event) for event in seen(server)] == [CallEnded, ConnectionLost]
    assert client.closed
    assert server.closed


def test_a_command_said_before_the_stream_is_open_leaves_behind_the_upgrade() -> None:
    client, server = pair()
    client.answer(now=T0)
    client.start(now=T0)
    server.start(now=T0)
    pump(client, server)
    assert not any(isinstance(event, CommandReceived) for event in seen(server))
    server.accept(now=T0)
    pump(client, server)
    assert any(isinstance(event, CommandReceived) for event in seen(server))


def test_a_dead_peer_is_noticed_within_ten_seconds() -> None:
    client, _ = open_pair()
    now = T0
    while not client.lost:
        due = client.next_deadline()
        assert due is not None
        now = due
        client.handle_timeout(now=now)
        client.data_to_send(now=now)
    assert now <= T0 + MEDIA_HEARTBEAT.every + MEDIA_HEARTBEAT.within == T0 + 10.0
    assert client.end_reason is EndReason.CONNECTION_LOST


def test_a_token_never_shows_in_a_repr() -> None:
    client, _ = pair()
    assert "secret" not in repr(client)
    assert "secret" not in repr(client.statistics())
