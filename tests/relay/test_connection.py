"""A RELAY connection over a byte stream: the link in front, the same protocol behind, in pieces of any size."""

import itertools
import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.errors import HandshakeRefused, LimitExceeded, PeerSilent, TransportFailed
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import Json
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.relay.connection import RelayClientConnection
from telcoflow_proto.relay.jsonrpc import Id
from telcoflow_proto.relay.messages import (
    Authenticated,
    AuthenticationRefused,
    ConnectRequested,
    Credentials,
    EventAcknowledged,
    EventArrived,
    Replied,
    RequestReceived,
    ServerLeaves,
)
from telcoflow_proto.relay.table import RelayState
from telcoflow_proto.replies import Outcome
from telcoflow_proto.roles import Role
from tests.core.support import close_frame, counting, frame, frames_in, pieces
from tests.relay.ends import (
    PROJECT,
    T0,
    TOKEN,
    URL_HOST,
    clear,
    connections,
    event,
    failure,
    met,
    pump,
    request,
    result,
    seen,
)

LIMITS = attrs.evolve(RELAY_LIMITS, bad_frames_per_minute=3, control_frames_per_second=5, message_bytes=2000)


# ------------------------------------------------------------------ a whole life


def test_the_upgrade_carries_no_credentials() -> None:
    client, _ = connections()
    head = client.data_to_send(now=T0).decode()
    assert head.startswith("GET / HTTP/1.1\r\n")
    assert f"\r\nHost: {URL_HOST}\r\n" in head
    assert "authorization" not in head.lower()
    assert "protocol:" not in head.lower()
    assert TOKEN not in head
    assert PROJECT not in head


def test_the_upgrade_goes_to_the_path_of_the_url() -> None:
    client = RelayClientConnection(
        url=parse_ws_url("wss://relay.example/api/relay/ws"), credentials=Credentials(), entropy=counting()
    )
    client.start(now=T0)
    assert client.data_to_send(now=T0).startswith(b"GET /api/relay/ws HTTP/1.1\r\n")


def test_a_whole_session() -> None:
    client, server = connections(contexts=["sales"])
    pump(client, server)
    (upgrade,) = seen(server)
    assert isinstance(upgrade, UpgradeRequested)
    server.accept(now=T0)
    pump(client, server)
    opened, requested = seen(server)
    assert (opened, type(requested), requested.contexts) == (ConnectionOpened(), ConnectRequested, ("sales",))
    server.authenticate(protocol="p1", identity="i", now=T0)
    pump(client, server)
    assert seen(client) == [ConnectionOpened(), Authenticated(protocol="p1", identity="i", restored=False)]

    request_id = client.request("calling.answer", {"call_id": "c"}, now=T0)
    event_id = server.push("calling.call.state", {"call_id": "c"}, now=T0)
    pump(client, server)
    acknowledged, asked = sorted(seen(server), key=lambda one: type(one).__name__)
    assert acknowledged == EventAcknowledged(event_id=event_id, result={})
    assert asked == RequestReceived(request_id=request_id, method="calling.answer", params={"call_id": "c"})
    server.respond(request_id, {"code": "200"}, now=T0)
    pump(client, server)
    told, replied = seen(client)
    assert (type(told), replied.outcome) == (EventArrived, Outcome.DONE)

    server.ask_to_leave(restart=True, now=T0)
    pump(client, server)
    assert seen(client) == [ServerLeaves(restart=True)]
    server.handle_timeout(now=T0 + 1.0)
    pump(client, server, now=T0 + 1.0)
    assert seen(client) == [ConnectionLost(code=1000, reason="", error=None)]
    assert seen(server) == [ConnectionLost(code=1000, reason="", error=None)]
    assert client.state is server.state is RelayState.LOST
    assert client.closed
    assert server.closed


def test_an_answer_after_our_close_is_not_said_but_tells_the_time() -> None:
    client, server = met()
    request_id = client.request("calling.answer", {}, now=T0)
    pump(client, server)
    server.close_connection(now=T0)
    server.respond(request_id, {}, now=T0 + 1.0)
    client.receive_data(server.data_to_send(), now=T0 + 1.0)
    assert [one.outcome for one in seen(client) if isinstance(one, Replied)] == [Outcome.LOST]
    assert server.next_deadline() == T0 + 3.0, "the client has 2 seconds to close, too"


def test_who_is_refused_hears_it_before_the_close() -> None:
    client, server = connections()
    pump(client, server)
    server.accept(now=T0)
    pump(client, server)
    server.refuse_connect(code=-32002, message="no", now=T0)
    pump(client, server)
    assert seen(client)[1:] == [
        AuthenticationRefused(code=-32002, message="no"),
        ConnectionLost(code=1000, reason="", error=None),
    ]


@pytest.mark.parametrize("status", [302, 401, 503])
def test_peer_bug_r21_a_refused_upgrade_ends_the_connection_and_nothing_is_followed(status: int) -> None:
    client, server = connections()
    pump(client, server)
    server.reject(status=status, detail="elsewhere", now=T0)
    pump(client, server)
    client.receive_eof(now=T0)
    (lost,) = seen(client)
    assert isinstance(lost.error, HandshakeRefused)
    assert lost.error.status == status
    assert client.closed


def test_a_stream_that_breaks_ends_every_request() -> None:
    client, _ = met()
    request_id = client.request("m", {}, now=T0)
    client.fail_transport("reset", now=T0)
    client.receive_eof(now=T0)
    replied, lost = seen(client)
    assert (replied.request_id, replied.outcome) == (request_id, Outcome.LOST)
    assert isinstance(lost.error, TransportFailed)
    assert client.data_to_send(now=T0) == b""


# ------------------------------------------------------------------ silence


def test_peer_bug_r18_a_dead_service_is_noticed_within_18_seconds() -> None:
    client, _ = met()
    now = T0
    while not client.lost:
        now = client.next_deadline() or now
        client.handle_timeout(now=now)
        client.data_to_send(now=now)
    assert now == T0 + 18.0
    (lost,) = seen(client)
    assert isinstance(lost.error, PeerSilent)
    assert client.closed


def test_two_ends_that_have_nothing_to_say_stay_together() -> None:
    client, server = met()
    now = T0
    while now < T0 + 300.0:
        now = min(at for at in (client.next_deadline(), server.next_deadline()) if at is not None)
        client.handle_timeout(now=now)
        server.handle_timeout(now=now)
        pump(client, server, now=now)
    assert (seen(client), seen(server), client.unexpected, server.unexpected) == ([], [], 0, 0)


def test_a_long_message_under_way_is_a_sign_of_life() -> None:
    client, _ = met()
    message = frame(Role.SERVER, 0x81, event("calling.ai", {"log": "x" * 200_000}).encode())
    now = T0
    for piece in pieces(message, 10_000):
        now += 5.0
        client.handle_timeout(now=now)
        client.receive_data(piece, now=now)
    assert now > T0 + 90.0
    (told,) = seen(client)
    assert isinstance(told, EventArrived)


def test_a_websocket_ping_is_a_sign_of_life() -> None:
    client, _ = met()
    client.receive_data(frame(Role.SERVER, 0x89, b"p"), now=T0 + 11.0)
    client.handle_timeout(now=T0 + 12.0)
    assert list(frames_in(client.data_to_send(now=T0 + 12.0))) == [(0x8A, b"p")]
    assert client.next_deadline() == T0 + 23.0


# ------------------------------------------------------------------ bad bytes


def test_a_message_that_is_too_long_ends_the_connection() -> None:
    client, _ = met(limits=LIMITS)
    request_id = client.request("m", {}, now=T0)
    client.data_to_send(now=T0)
    client.receive_data(frame(Role.SERVER, 0x81, b"x" * 2001), now=T0)
    replied, lost = seen(client)
    assert (replied.request_id, replied.outcome) == (request_id, Outcome.LOST)
    assert isinstance(lost.error, LimitExceeded)


def test_a_binary_frame_and_bad_json_are_dropped_and_the_connection_lives_on() -> None:
    client, server = met()
    client.receive_data(frame(Role.SERVER, 0x82, b"\0") + frame(Role.SERVER, 0x81, b"{"), now=T0)
    assert [type(one) for one in seen(client)] == [FrameDropped, FrameDropped]
    request_id = client.request("m", {}, now=T0)
    pump(client, server)
    server.respond(request_id, {}, now=T0)
    pump(client, server)
    assert [type(one) for one in seen(client)] == [Replied]


def test_too_many_bad_frames_are_told_off_with_1008() -> None:
    client, _ = met(limits=LIMITS)
    client.receive_data(frame(Role.SERVER, 0x81, b"{") * 4, now=T0)
    ((first, payload),) = frames_in(client.data_to_send(now=T0))
    assert (first, int.from_bytes(payload[:2])) == (0x88, 1008)
    client.receive_data(close_frame(Role.SERVER, 1008), now=T0)
    *dropped, lost = seen(client)
    assert [type(one) for one in dropped] == [FrameDropped] * 4
    assert isinstance(lost.error, LimitExceeded)
    assert lost.error.close_code == 1008


# ------------------------------------------------------------------ the same bytes in any pieces

ASKED = ("r0", "r1", "r2")
IDS = st.sampled_from(["e1", "e2", "", 7, None])
ANSWERED: st.SearchStrategy[Id] = st.sampled_from([*ASKED, *ASKED, "late", 7])
PARAMS: st.SearchStrategy[Json] = st.sampled_from([{}, {"call_id": "c"}, None, [], "x" * 300])
RESULTS: st.SearchStrategy[Json] = st.sampled_from([{}, {"code": "200"}, {"code": "404"}, 7])
ERRORS: st.SearchStrategy[Json] = st.sampled_from([{"code": -1}, "it broke", {}])
RARE = st.integers(0, 12).map(lambda number: number == 5)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw what a service says: mostly good."""
    match draw(st.integers(0, 8)):
        case 0 | 1 | 2:
            return event(draw(st.sampled_from(["calling.call.state", "calling.ai", ""])), draw(PARAMS), id_=draw(IDS))
        case 3 | 4:
            return result(draw(ANSWERED), draw(RESULTS))
        case 5:
            return failure(draw(ANSWERED), draw(ERRORS))
        case 6:
            return request("signalwire.ping", {"timestamp": 1.5, "payload": "é"}, id_=draw(IDS))
        case 7 if draw(RARE):
            return request("signalwire.disconnect", {"restart": draw(st.booleans())})
        case _:
            return draw(st.sampled_from(["{", "[]", '{"id": [1], "result": 1}', "é", request("signalwire.tomorrow")]))


@st.composite
def wire(draw: st.DrawFn) -> bytes:
    """Draw the bytes of one message: whole, in fragments, behind a ping, binary, or the close."""
    text = draw(texts()).encode()
    match draw(st.integers(0, 12)):
        case 0:
            half = len(text) // 2
            return (
                frame(Role.SERVER, 0x01, text[:half])
                + frame(Role.SERVER, 0x89, b"p")
                + frame(Role.SERVER, 0x80, text[half:])
            )
        case 1:
            return frame(Role.SERVER, 0x82, text)
        case 2 if draw(RARE):
            return draw(st.sampled_from([close_frame(Role.SERVER, 1012, b"again"), b"\xff\xff", frame(Role.CLIENT, 1)]))
        case _:
            return frame(Role.SERVER, 0x81, text)


STREAMS = st.lists(wire(), max_size=8).map(b"".join)
CUTS = st.lists(st.integers(0, 10**6), max_size=6)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def plain(events: list[Any]) -> list[object]:
    """Make events comparable: errors by what they are and say."""
    return [
        (type(one), type(one.error), str(one.error), getattr(one, "code", None)) if hasattr(one, "error") else one
        for one in events
    ]


def outcome(client: RelayClientConnection, data: list[bytes], now: float = T0 + 1.0) -> tuple[object, ...]:
    """Return all that can be seen of a client that was given these pieces."""
    for piece in data:
        client.receive_data(piece, now=now)
    sent = [
        (first, json.loads(payload) if first == 0x81 else payload)
        for first, payload in frames_in(client.data_to_send(now=now))
    ]
    deadline = client.next_deadline()
    return plain(seen(client)), sent, client.state, client.unexpected, client.bad_frames, client.closed, deadline


def waiting_client() -> RelayClientConnection:
    client, _ = met(limits=LIMITS)
    for request_id in ASKED:
        client.request("m", {}, request_id=request_id, now=T0)
    client.data_to_send(now=T0)
    clear(client)
    return client


@settings(derandomize=True, deadline=None, max_examples=200)
@given(STREAMS, CUTS)
def test_any_pieces_of_what_the_service_says_have_the_same_outcome(stream: bytes, places: list[int]) -> None:
    whole = outcome(waiting_client(), [stream])
    assert outcome(waiting_client(), pieces(stream, 1)) == whole
    assert outcome(waiting_client(), cut(stream, places)) == whole


def said_to(client: RelayClientConnection) -> bytes:
    """Return the first half of a service: the upgrade, and the answer to connect, for a client of the same chance."""
    probe, server = connections(limits=LIMITS)
    upgrade = client.data_to_send(now=T0)
    assert probe.data_to_send(now=T0) == upgrade
    server.receive_data(upgrade, now=T0)
    server.accept(now=T0)
    accepted = server.data_to_send(now=T0)
    probe.receive_data(accepted, now=T0)
    server.receive_data(probe.data_to_send(now=T0), now=T0)
    server.authenticate(protocol="p1", now=T0)
    return accepted + server.data_to_send(now=T0)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(STREAMS, CUTS)
def test_the_upgrade_and_what_is_glued_to_it_may_be_cut_anywhere(stream: bytes, places: list[int]) -> None:
    def begun() -> tuple[RelayClientConnection, bytes]:
        client, _ = connections(limits=LIMITS)
        return client, said_to(client) + stream

    def play(how: list[int] | None) -> tuple[object, ...]:
        client, data = begun()
        return outcome(client, pieces(data, 1) if how is None else cut(data, how), now=T0)

    whole = play([])
    events = whole[0]
    assert isinstance(events, list)
    assert events[:2] == [ConnectionOpened(), Authenticated(protocol="p1", identity="", restored=False)]
    assert play(None) == whole
    assert play(places) == whole
