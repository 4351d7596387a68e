"""A WebSocket link from either end: every cell of its table, every frame a peer may get wrong, every timer."""

import itertools
import math
import struct
from collections.abc import Callable, Iterable

import attrs
import pytest
from wsproto.frame_protocol import FrameProtocol

from telcoflow_proto.errors import (
    HandshakeRefused,
    LimitExceeded,
    LocalProtocolError,
    PeerSilent,
    RemoteProtocolError,
)
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.link_table import LINK_TABLE, LinkState, LinkWord
from telcoflow_proto.machine import Machine, Row
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import (
    Close,
    Heartbeat,
    LinkLost,
    LinkOpened,
    WebSocketLink,
)
from tests.core.support import KEY, Pair, close_frame, counting, frame, header, heard, open_link, pieces, said

C, V = Role.CLIENT, Role.SERVER
S, W = LinkState, LinkWord
HALF_CLOSED = {C: S.CLIENT_CLOSING, V: S.SERVER_CLOSING}
BEAT = Heartbeat(every=5.0, within=3.0)
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8A
BEGIN_TEXT, BEGIN_BINARY, GO_ON = 0x01, 0x02, 0x00

both_roles = pytest.mark.parametrize("role", Role)


def new_link(role: Role, heartbeat: Heartbeat | None = None) -> WebSocketLink:
    return WebSocketLink(role, entropy=counting(), host="example.com", heartbeat=heartbeat)


def brought_to(state: LinkState, role: Role) -> WebSocketLink:
    """Bring a link into a state a link can be seen in, with nothing left to write or to read."""
    pair = Pair.make(heartbeat=BEAT)
    link = pair.end(role)
    match state:
        case S.IDLE:
            pass
        case S.OPENING:
            pair.request()
        case S.OPEN:
            pair.open()
        case S.CLOSED:
            link.drop()
        case _:
            assert state is HALF_CLOSED[role]
            pair.open()
            link.send(Close(), now=0.0)
    link.data_to_send()
    heard(link)
    assert link.state is state
    return link


def seen_states(role: Role) -> list[LinkState]:
    """List the states a link of this role can be seen in: it answers the peer's close at once."""
    return [state for state in S if state is not HALF_CLOSED[role.peer]]


def lost(link: WebSocketLink) -> LinkLost:
    """Return the last event, which must be the only one of its kind."""
    events = heard(link)
    assert isinstance(events[-1], LinkLost)
    assert sum(isinstance(event, LinkLost) for event in events) == 1
    return events[-1]


def failed(link: WebSocketLink, code: int) -> RemoteProtocolError:
    """Assert that the peer broke the protocol, that no event came of it, and that it was told ``code``."""
    (event,) = heard(link)
    assert isinstance(event, LinkLost)
    assert isinstance(event.error, RemoteProtocolError)
    assert (event.code, event.reason, event.error.close_code) == (1006, "", code)
    ((first, payload),) = said(link)
    assert (first, payload[:2]) == (CLOSE, struct.pack("!H", code))
    assert str(event.error).startswith(payload[2:].decode())
    assert link.closed
    assert link.next_deadline() is None
    return event.error


# ---------------------------------------------------------------------- every cell of the table

Walk = list[tuple[LinkState, Role, LinkWord]]


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Record the cells that machines walk through, whoever they belong to."""
    cells: Walk = []
    say, hear = Machine.say, Machine.hear

    def recording_say(machine: Machine[LinkState, LinkWord], word: LinkWord) -> object:
        row = say(machine, word)
        cells.append((row.state, row.sender, word))
        return row

    def recording_hear(machine: Machine[LinkState, LinkWord], word: LinkWord) -> object:
        row = hear(machine, word)
        if row is not None:
            cells.append((row.state, row.sender, word))
        return row

    monkeypatch.setattr(Machine, "say", recording_say)
    monkeypatch.setattr(Machine, "hear", recording_hear)
    return cells


def response_to(link: WebSocketLink, word: LinkWord) -> bytes:
    """Return what a real server answers to this client."""
    server = new_link(V)
    link_request = new_link(C)
    link_request.start(now=0.0)
    server.receive_data(link_request.data_to_send(), now=0.0)
    if word is W.ACCEPT:
        server.accept(now=0.0)
    else:
        server.reject(status=403, detail="no")
    return server.data_to_send()


def request_of_a_client() -> bytes:
    client = new_link(C)
    client.start(now=0.0)
    return client.data_to_send()


def answer_a_ping(link: WebSocketLink) -> None:
    link.receive_data(frame(link.role.peer, PING), now=0.0)
    link.data_to_send()


SAY: dict[LinkWord, Callable[[WebSocketLink], None]] = {
    W.REQUEST: lambda link: link.start(now=0.0),
    W.ACCEPT: lambda link: link.accept(now=0.0),
    W.REJECT: lambda link: link.reject(status=403),
    W.MESSAGE: lambda link: link.send("hello", now=0.0),
    W.PING: lambda link: link.handle_timeout(now=BEAT.every),
    W.PONG: answer_a_ping,
    W.CLOSE: lambda link: link.send(Close(), now=0.0),
    W.END: WebSocketLink.drop,
}


def hear(link: WebSocketLink, word: LinkWord) -> None:
    """Let a link hear a word in real bytes."""
    peer = link.role.peer
    match word:
        case W.REQUEST:
            link.receive_data(request_of_a_client(), now=0.0)
        case W.ACCEPT | W.REJECT:
            link.receive_data(response_to(link, word), now=0.0)
        case W.MESSAGE | W.PING | W.PONG:
            first = {W.MESSAGE: TEXT, W.PING: PING, W.PONG: PONG}[word]
            link.receive_data(frame(peer, first, b"hello"), now=0.0)
        case W.CLOSE:
            link.receive_data(close_frame(peer), now=0.0)
        case W.END:
            link.receive_eof(now=0.0)


ROWS = [(role, row) for role in Role for row in LINK_TABLE.rows]


@pytest.mark.parametrize(("role", "row"), ROWS, ids=lambda part: str(getattr(part, "value", None) or part)[:120])
def test_every_row_is_walked_by_real_bytes(role: Role, row: Row[LinkState, LinkWord], walk: Walk) -> None:
    key = (row.state, row.sender, row.message)
    if row.state is HALF_CLOSED[role.peer]:
        # The peer's close is answered within the call that hears it: the only row walked from here is that answer.
        link = brought_to(S.OPEN, role)
        hear(link, W.CLOSE)
        assert link.closed
        assert (key in walk) is (row.sender is role and row.message is W.CLOSE)
        return
    link = brought_to(row.state, role)
    walk.clear()
    if row.sender is role:
        SAY[row.message](link)
    else:
        hear(link, row.message)
    if row.message is W.CLOSE and row.sender is not role and row.state is S.OPEN:
        assert walk == [key, (row.next_state, role, W.CLOSE)]
        assert link.closed
    else:
        assert link.state is row.next_state
        assert (key in walk) is (row.state is not S.CLOSED), "a closed link is beyond walking"


ILLEGAL = [
    (role, state, word)
    for role in Role
    for state in seen_states(role)
    for word in (W.REQUEST, W.ACCEPT, W.REJECT, W.MESSAGE, W.CLOSE)
    if (row := LINK_TABLE.find(state, role, word)) is None or row.crossing
    if (role, state, word) != (V, S.IDLE, W.REQUEST)  # a server's start says nothing, but is legal there
]


@pytest.mark.parametrize(("role", "state", "word"), ILLEGAL)
def test_a_refused_word_changes_nothing(role: Role, state: LinkState, word: LinkWord) -> None:
    link = brought_to(state, role)
    if state is S.OPEN:
        link.send("queued", now=0.0)
        link.receive_data(frame(role.peer, PING, b"pending"), now=0.0)
    deadline = link.next_deadline()
    with pytest.raises(LocalProtocolError):
        SAY[word](link)
    assert (link.state, link.next_deadline(), heard(link)) == (state, deadline, [])
    assert said(link) == ([(TEXT, b"queued"), (PONG, b"pending")] if state is S.OPEN else [])


def test_a_server_starts_once() -> None:
    link = new_link(V)
    assert not link.started
    link.start(now=0.0)
    assert link.started
    with pytest.raises(LocalProtocolError, match="started already"):
        link.start(now=1.0)
    assert link.next_deadline() == 5.0


@both_roles
def test_a_link_that_is_over_cannot_be_started(role: Role) -> None:
    link = new_link(role)
    link.drop()
    with pytest.raises(LocalProtocolError):
        link.start(now=0.0)
    assert (link.next_deadline(), link.data_to_send()) == (None, b"")
    link.handle_timeout(now=100.0)
    assert heard(link) == [LinkLost(code=1006, reason="", error=None)]


# ---------------------------------------------------------------------- upgrade


@pytest.mark.parametrize("size", [1, 3, 65536])
def test_two_ends_open_and_talk_in_pieces_of_any_size(size: int) -> None:
    pair = Pair.make(size=size)
    pair.request()
    (asked,) = heard(pair.server)
    assert isinstance(asked, UpgradeRequested)
    assert (asked.target, asked.header("host")) == ("/", "example.com")
    pair.server.accept(now=0.0, headers=[("X-Session", "7")])
    pair.server.send("glued", now=0.0)
    pair.carry()
    assert heard(pair.server) == [LinkOpened()]
    assert heard(pair.client) == [LinkOpened(), "glued"]
    pair.client.send(b"\0\1", now=0.0)
    pair.carry()
    assert heard(pair.server) == [b"\0\1"]


@pytest.mark.parametrize("size", [1, 50, 65536])
def test_a_first_frame_glued_to_the_request_is_delivered_once_accepted(size: int) -> None:
    link = new_link(V)
    link.start(now=0.0)
    for piece in pieces(request_of_a_client() + frame(C, TEXT, b"eager"), size):
        link.receive_data(piece, now=0.0)
    (asked,) = heard(link)
    assert isinstance(asked, UpgradeRequested)
    link.accept(now=0.0)
    assert heard(link) == [LinkOpened(), "eager"]


def test_a_bad_frame_glued_to_the_request_ends_the_link_after_it_opened() -> None:
    link = new_link(V)
    link.receive_data(request_of_a_client() + frame(C, TEXT, b"good") + frame(V, TEXT, b"unmasked"), now=0.0)
    heard(link)
    link.accept(now=0.0)
    opened, good, last = heard(link)
    assert (opened, good) == (LinkOpened(), "good")
    assert isinstance(last, LinkLost)
    assert isinstance(last.error, RemoteProtocolError)
    head, close = link.data_to_send().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert close[:1] == bytes([CLOSE])


@pytest.mark.parametrize("cut", range(1, len(response_to(new_link(C), W.ACCEPT))))
def test_a_first_frame_glued_to_the_answer_is_delivered_wherever_the_head_is_cut(cut: int) -> None:
    link = brought_to(S.OPENING, C)
    data = response_to(link, W.ACCEPT) + frame(V, TEXT, b"hi") + frame(V, PING, b"p")
    link.receive_data(data[:cut], now=0.0)
    assert heard(link) == []
    link.receive_data(data[cut:], now=0.0)
    assert heard(link) == [LinkOpened(), "hi"]
    assert said(link) == [(PONG, b"p")]


@pytest.mark.parametrize("status", [200, 301, 302, 307, 401, 403, 404, 426, 429, 503])
def test_a_refused_upgrade_ends_the_link_with_the_reason(status: int) -> None:
    link = brought_to(S.OPENING, C)
    link.receive_data(
        f"HTTP/1.1 {status} No\r\nLocation: wss://evil.test/\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno".encode(),
        now=0.0,
    )
    event = lost(link)
    assert isinstance(event.error, HandshakeRefused)
    assert (event.error.status, event.error.detail, event.error.retry_after) == (status, "no", 7.0)
    assert (link.closed, link.data_to_send()) == (True, b""), "no redirect is followed, no frame is said"


def test_a_rejected_client_hears_status_and_detail() -> None:
    pair = Pair.make()
    pair.request()
    pair.server.reject(status=403, detail="unknown token")
    pair.carry()
    assert heard(pair.server)[1:] == [LinkLost(code=1006, reason="", error=None)]
    event = lost(pair.client)
    assert isinstance(event.error, HandshakeRefused)
    assert (event.error.status, event.error.detail) == (403, "unknown token")
    assert pair.server.next_deadline() is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"x" * 8193, b"431"),
    ],
)
def test_a_server_answers_a_bad_request_with_the_status_that_says_why(data: bytes, status: bytes) -> None:
    link = brought_to(S.IDLE, V)
    link.start(now=0.0)
    link.receive_data(data, now=0.0)
    fault = lost(link).error
    assert isinstance(fault, RemoteProtocolError)
    answer = link.data_to_send()
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert answer.endswith(str(fault).encode())


def test_a_refusal_whose_body_never_ends_is_told_as_the_refusal_it_is() -> None:
    link = new_link(C)
    link.start(now=0.0)
    link.receive_data(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 99\r\n\r\nno such key", now=1.0)
    link.handle_timeout(now=10.0)
    error = lost(link).error
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.detail) == (403, "no such key")


def test_headers_that_cannot_be_said_leave_the_request_unanswered() -> None:
    link = brought_to(S.OPENING, V)
    with pytest.raises(LocalProtocolError):
        link.accept(now=0.0, headers=[("X-Evil", "1\r\n2")])
    assert (link.state, link.data_to_send(), link.next_deadline()) == (S.OPENING, b"", 5.0)
    link.accept(now=0.0)
    assert link.state is S.OPEN


# ---------------------------------------------------------------------- frames in

LARGE = 70_000


@both_roles
@pytest.mark.parametrize("size", [1, 1000, 10**6])
@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, LARGE])
def test_messages_of_any_size_arrive_whole(role: Role, length: int, size: int) -> None:
    text, blob = "é" * (length // 2) + "x" * (length % 2), bytes(range(256)) * (length // 256 + 1)
    blob = blob[:length]
    link = open_link(role)
    for piece in pieces(frame(role.peer, TEXT, text.encode()) + frame(role.peer, BINARY, blob), size):
        link.receive_data(piece, now=0.0)
    assert heard(link) == [text, blob]
    assert link.data_to_send() == b""


@both_roles
@pytest.mark.parametrize("size", [1, 2, 10**6])
def test_fragments_make_one_message_with_control_frames_between(role: Role, size: int) -> None:
    peer = role.peer
    euro = "€".encode()
    stream = (
        frame(peer, BEGIN_TEXT, b"1" + euro[:1])
        + frame(peer, PING, b"between")
        + frame(peer, GO_ON, euro[1:2])
        + frame(peer, GO_ON)
        + frame(peer, PONG, b"unasked")
        + frame(peer, CONTINUATION, euro[2:] + b"2")
        + frame(peer, BEGIN_BINARY)
        + frame(peer, CONTINUATION)
        + frame(peer, BEGIN_TEXT)
        + frame(peer, CONTINUATION)
        + frame(peer, BINARY, b"after")
    )
    link = open_link(role)
    for piece in pieces(stream, size):
        link.receive_data(piece, now=0.0)
    assert heard(link) == ["1€2", b"", "", b"after"]
    assert said(link) == [(PONG, b"between")]


def wrong_mask(sender: Role, first: int, payload: bytes = b"") -> bytes:
    return frame(sender.peer, first, payload)


def with_header(sender: Role, first: int, length: int, size: int, payload: bytes = b"") -> bytes:
    return header(first, length, key=b"\0\0\0\0" if sender is C else None, size=size) + payload


def sends(first: int, payload: bytes = b"") -> Callable[[Role], bytes]:
    return lambda peer: frame(peer, first, payload)


def closes(code: int) -> Callable[[Role], bytes]:
    return lambda peer: close_frame(peer, code)


BAD_FRAMES: dict[str, Callable[[Role], bytes]] = {
    **{f"reserved bit {bit:#x}": sends(TEXT | bit, b"x") for bit in (0x10, 0x20, 0x40)},
    "reserved bit on a ping": lambda peer: frame(peer, PING | 0x40),
    **{f"reserved opcode {opcode:#x}": sends(0x80 | opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "fragmented ping": lambda peer: frame(peer, 0x09, b"x"),
    "fragmented close": lambda peer: frame(peer, 0x08),
    "ping of 126 bytes": lambda peer: frame(peer, PING, b"x" * 126),
    "pong of 64 KiB": lambda peer: frame(peer, PONG, b"x" * 65536),
    "ping of 5 bytes in a long length": lambda peer: with_header(peer, PING, 5, 2, b"12345"),
    "2-byte length for 0": lambda peer: with_header(peer, TEXT, 0, 2),
    "2-byte length for 125": lambda peer: with_header(peer, BINARY, 125, 2, bytes(125)),
    "8-byte length for 125": lambda peer: with_header(peer, BINARY, 125, 8, bytes(125)),
    "8-byte length for 65535": lambda peer: with_header(peer, BINARY, 65535, 8, bytes(65535)),
    "length with the top bit": lambda peer: with_header(peer, BINARY, 2**63 + 1, 8, b"x"),
    "text masked by the wrong end": lambda peer: wrong_mask(peer, TEXT, b"x"),
    "ping masked by the wrong end": lambda peer: wrong_mask(peer, PING),
    "continuation of nothing": lambda peer: frame(peer, CONTINUATION, b"x"),
    "empty continuation of nothing": lambda peer: frame(peer, CONTINUATION),
    "unfinished continuation of nothing": lambda peer: frame(peer, GO_ON, b"x"),
    "new text inside a fragment": lambda peer: frame(peer, BEGIN_TEXT, b"x") + frame(peer, TEXT, b"x"),
    "new binary inside a fragment": lambda peer: frame(peer, BEGIN_TEXT, b"x") + frame(peer, BINARY, b"x"),
    "new empty text inside a fragment": lambda peer: frame(peer, BEGIN_TEXT) + frame(peer, TEXT),
    "new fragment inside a fragment": lambda peer: frame(peer, BEGIN_BINARY, b"x") + frame(peer, BEGIN_BINARY, b"x"),
    "reserved control frame inside a fragment": lambda peer: frame(peer, BEGIN_TEXT, b"x") + frame(peer, 0x8B, b"x"),
    "close with 1 byte": lambda peer: frame(peer, CLOSE, b"\x03"),
    **{
        f"close with code {code}": closes(code)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}
BAD_TEXTS: dict[str, Callable[[Role], bytes]] = {
    "bad byte": lambda peer: frame(peer, TEXT, b"a\xffb"),
    "cut character": lambda peer: frame(peer, TEXT, "é".encode()[:1]),
    "overlong form": lambda peer: frame(peer, TEXT, b"\xc0\xaf"),
    "surrogate": lambda peer: frame(peer, TEXT, b"\xed\xa0\x80"),
    "beyond unicode": lambda peer: frame(peer, TEXT, b"\xf4\x90\x80\x80"),
    "bad in a later fragment": lambda peer: frame(peer, BEGIN_TEXT, b"ab") + frame(peer, CONTINUATION, b"c\xff"),
    "cut across fragments": lambda peer: frame(peer, BEGIN_TEXT, b"\xe2") + frame(peer, CONTINUATION, b"\x82"),
    "cut before an empty end": lambda peer: frame(peer, BEGIN_TEXT, b"\xe2") + frame(peer, CONTINUATION),
    "bad close reason": lambda peer: close_frame(peer, 1000, b"\xff"),
    "cut close reason": lambda peer: close_frame(peer, 1000, "é".encode()[:1]),
}
BAD = [(1002, name, make) for name, make in BAD_FRAMES.items()] + [
    (1007, name, make) for name, make in BAD_TEXTS.items()
]


@both_roles
@pytest.mark.parametrize("size", [1, 3, 10**6])
@pytest.mark.parametrize(("code", "name", "make"), BAD, ids=[f"{code} {name}" for code, name, _ in BAD])
def test_a_bad_frame_ends_the_link_with_its_code_and_without_an_event(
    role: Role, code: int, name: str, make: Callable[[Role], bytes], size: int
) -> None:
    link = open_link(role)
    for piece in pieces(make(role.peer) + frame(role.peer, TEXT, b"never heard"), size):
        link.receive_data(piece, now=0.0)
    failed(link, code)


@both_roles
def test_good_messages_before_a_bad_byte_are_delivered(role: Role) -> None:
    link = open_link(role)
    link.receive_data(frame(role.peer, TEXT, b"good") + frame(role.peer, 0x83), now=0.0)
    good, last = heard(link)
    assert good == "good"
    assert isinstance(last, LinkLost)


@both_roles
@pytest.mark.parametrize("size", [1, 2, 3, 10**6])
def test_what_is_said_of_bad_text_tells_neither_the_byte_nor_where_a_piece_began(role: Role, size: int) -> None:
    link = open_link(role)
    for piece in pieces(frame(role.peer, TEXT, b"abc\xff"), size):
        link.receive_data(piece, now=0.0)
    assert str(failed(link, 1007)) == "bad WebSocket frame: invalid UTF-8"


# ---------------------------------------------------------------------- bounds

SMALL = attrs.evolve(DEFAULT_LIMITS, message_bytes=1000)


def in_fragments(sender: Role, payload: bytes, count: int) -> bytes:
    """Cut a message into that many frames."""
    cuts = [len(payload) * number // count for number in range(count + 1)]
    firsts = [BEGIN_BINARY] + [GO_ON] * (count - 2) + [CONTINUATION]
    parts = [payload[start:end] for start, end in itertools.pairwise(cuts)]
    return b"".join(frame(sender, first, part) for first, part in zip(firsts, parts, strict=True))


@both_roles
@pytest.mark.parametrize("size", [1, 10**6])
@pytest.mark.parametrize("fragments", [1, 2, 3, 128])
@pytest.mark.parametrize(("length", "fits"), [(999, True), (1000, True), (1001, False), (1002, False)])
def test_a_message_is_bounded_with_all_its_fragments(
    role: Role, length: int, fits: bool, fragments: int, size: int
) -> None:
    payload = bytes(length)
    data = frame(role.peer, BINARY, payload) if fragments == 1 else in_fragments(role.peer, payload, fragments)
    link = open_link(role, limits=SMALL)
    for piece in pieces(data * 2, size):
        link.receive_data(piece, now=0.0)
    if fits:
        assert heard(link) == [payload, payload]
    else:
        assert isinstance(failed(link, 1009), LimitExceeded)


@both_roles
@pytest.mark.parametrize("length", [DEFAULT_LIMITS.message_bytes + 1, 2**31, 2**62, 2**63 - 1])
def test_a_message_declared_too_long_is_refused_at_its_header(role: Role, length: int) -> None:
    link = open_link(role)
    link.receive_data(with_header(role.peer, BINARY, length, 8), now=0.0)
    assert isinstance(failed(link, 1009), LimitExceeded)


def test_a_message_of_exactly_1_mib_passes() -> None:
    payload = bytes(DEFAULT_LIMITS.message_bytes)
    link = open_link(C)
    link.receive_data(frame(V, BINARY, payload), now=0.0)
    assert heard(link) == [payload]


@both_roles
@pytest.mark.parametrize("size", [1, 10**6])
@pytest.mark.parametrize("last", [b"", b"x"])
@pytest.mark.parametrize(("count", "fits"), [(127, True), (128, True), (129, False), (10_000, False)])
def test_a_message_has_at_most_128_fragments(role: Role, count: int, fits: bool, last: bytes, size: int) -> None:
    peer = role.peer
    middle = frame(peer, GO_ON) * (count - 2)
    message = frame(peer, BEGIN_BINARY) + middle + frame(peer, CONTINUATION, last)
    link = open_link(role)
    for piece in pieces(message + message, size):
        link.receive_data(piece, now=0.0)
    if fits:
        assert heard(link) == [last, last]
    else:
        assert isinstance(failed(link, 1008), LimitExceeded)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count what wsproto is given: the work a flood can cause."""
    given: list[int] = []
    receive = FrameProtocol.receive_bytes

    def counted(protocol: FrameProtocol, data: bytes) -> None:
        given.append(len(data))
        receive(protocol, data)

    monkeypatch.setattr(FrameProtocol, "receive_bytes", counted)
    return given


@both_roles
@pytest.mark.parametrize("first", [PING, PONG, GO_ON])
@pytest.mark.parametrize("payload", [b"", b"x"])
def test_a_flood_of_300_000_frames_costs_next_to_nothing(
    role: Role, first: int, payload: bytes, work: list[int]
) -> None:
    link = open_link(role)
    start = frame(role.peer, BEGIN_BINARY) if first == GO_ON else b""
    link.receive_data(start + frame(role.peer, first, payload) * 300_000, now=0.0)
    failed(link, 1008)
    assert len(work) <= 2 * DEFAULT_LIMITS.message_fragments
    assert sum(work) < 4096


@both_roles
def test_50_control_frames_in_a_second_are_fine_every_second(role: Role) -> None:
    link = open_link(role)
    for second in range(3):
        link.receive_data(frame(role.peer, PONG) * 50, now=10.0 + second)
    assert heard(link) == []
    link.receive_data(frame(role.peer, PONG), now=12.9)
    failed(link, 1008)


@both_roles
@pytest.mark.parametrize("size", [1, 10**6])
def test_a_close_behind_a_flood_makes_one_last_event_only(role: Role, size: int) -> None:
    link = open_link(role)
    for piece in pieces(frame(role.peer, PONG) * 50 + close_frame(role.peer, None), size):
        link.receive_data(piece, now=0.0)
    failed(link, 1008)


@both_roles
def test_pings_are_answered_with_the_newest_pong_only(role: Role) -> None:
    link = open_link(role)
    for number in range(20):
        link.receive_data(frame(role.peer, PING, bytes([number])), now=0.0)
    link.send("first", now=0.0)
    assert said(link) == [(TEXT, b"first"), (PONG, bytes([19]))]
    assert link.data_to_send() == b""
    link.receive_data(frame(role.peer, PING, b"x" * 125), now=0.0)
    assert said(link) == [(PONG, b"x" * 125)]


# ---------------------------------------------------------------------- frames out


@both_roles
@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
def test_what_we_say_is_masked_by_a_client_only_and_as_short_as_can_be(role: Role, length: int) -> None:
    link = open_link(role)
    link.send(b"x" * length, now=0.0)
    data = link.data_to_send()
    assert bool(data[1] & 0x80) is (role is C)
    assert len(data) == length + len(header(BINARY, length, key=KEY if role is C else None))
    link.send("é" * (length // 2), now=0.0)
    assert said(link) == [(TEXT, ("é" * (length // 2)).encode())]


def test_every_frame_of_a_client_has_a_new_key() -> None:
    link = open_link(C)
    for _ in range(10):
        link.send(b"\0\0\0\0", now=0.0)
    keys = [piece[2:6] for piece in pieces(link.data_to_send(), 10)]
    assert len(set(keys)) == 10


# ---------------------------------------------------------------------- close


@both_roles
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (4401, "é" * 61), (3000, "x" * 123)])
def test_closing_is_answered_with_the_same_code(role: Role, code: int, reason: str) -> None:
    pair = Pair.make(heartbeat=BEAT)
    pair.open()
    pair.end(role).send(Close(code=code, reason=reason), now=1.0)
    assert pair.end(role).next_deadline() == 3.0, "2 s for the answer, and no ping any more"
    pair.carry(now=1.0)
    event = LinkLost(code=code, reason=reason, error=None)
    for end in (pair.client, pair.server):
        assert (heard(end), end.closed, end.next_deadline()) == ([event], True, None)


@both_roles
def test_a_close_without_a_code_is_1005_and_answered_alike(role: Role) -> None:
    link = open_link(role)
    link.receive_data(close_frame(role.peer, None), now=0.0)
    assert heard(link) == [LinkLost(code=1005, reason="", error=None)]
    assert said(link) == [(CLOSE, b"")]
    other = open_link(role)
    other.send(Close(code=1005, reason="never said"), now=0.0)
    assert said(other) == [(CLOSE, b"")]


@both_roles
def test_closes_that_cross_are_both_heard(role: Role) -> None:
    pair = Pair.make()
    pair.open()
    pair.client.send(Close(code=4001), now=0.0)
    pair.server.send(Close(code=4002), now=0.0)
    pair.carry()
    assert heard(pair.client) == [LinkLost(code=4002, reason="", error=None)]
    assert heard(pair.server) == [LinkLost(code=4001, reason="", error=None)]
    assert pair.client.data_to_send() + pair.server.data_to_send() == b""


@both_roles
def test_a_close_that_is_never_answered_ends_after_2_seconds(role: Role) -> None:
    link = open_link(role, heartbeat=BEAT)
    link.send(Close(), now=1.0)
    link.receive_data(frame(role.peer, TEXT, b"crossing"), now=2.9)
    link.handle_timeout(now=2.9)
    assert (heard(link), link.next_deadline()) == ([], 3.0)
    link.handle_timeout(now=3.0)
    event = lost(link)
    assert isinstance(event.error, PeerSilent)
    assert str(event.error) == "the peer was silent: the close of the connection did not come in time"
    assert event.code == 1006


@both_roles
def test_what_crosses_our_close_is_heard_and_dropped(role: Role) -> None:
    peer = role.peer
    link = open_link(role)
    link.send(Close(), now=0.0)
    link.data_to_send()
    link.receive_data(
        frame(peer, TEXT, b"x")
        + frame(peer, BEGIN_BINARY, b"x")
        + frame(peer, PING, b"x")
        + frame(peer, CONTINUATION, b"x")
        + frame(peer, PONG, b"x"),
        now=0.0,
    )
    assert (link.state, heard(link), link.data_to_send()) == (HALF_CLOSED[role], [], b"")
    link.receive_data(close_frame(peer), now=0.0)
    assert heard(link) == [LinkLost(code=1000, reason="", error=None)]


@both_roles
def test_a_bad_frame_that_crosses_our_close_is_a_fault_but_not_answered(role: Role) -> None:
    link = open_link(role)
    link.send(Close(), now=0.0)
    link.data_to_send()
    link.receive_data(frame(role.peer, 0x83), now=0.0)
    assert isinstance(lost(link).error, RemoteProtocolError)
    assert (link.closed, link.data_to_send()) == (True, b"")


@both_roles
@pytest.mark.parametrize("size", [1, 10**6])
def test_data_after_a_close_is_never_heard(role: Role, size: int) -> None:
    link = open_link(role)
    for piece in pieces(close_frame(role.peer) + frame(role.peer, TEXT, b"late") + b"\xff" * 20, size):
        link.receive_data(piece, now=0.0)
    assert heard(link) == [LinkLost(code=1000, reason="", error=None)]
    assert said(link) == [(CLOSE, b"\x03\xe8")]


@both_roles
def test_a_pong_that_is_due_is_said_before_our_close_and_never_behind_it(role: Role) -> None:
    link = open_link(role)
    link.receive_data(frame(role.peer, PING, b"x"), now=0.0)
    link.send(Close(), now=0.0)
    assert said(link) == [(PONG, b"x"), (CLOSE, b"\x03\xe8")]
    link = open_link(role)
    link.receive_data(frame(role.peer, PING, b"x") + close_frame(role.peer), now=0.0)
    assert said(link) == [(CLOSE, b"\x03\xe8")], "who has closed wants no pong"


@both_roles
@pytest.mark.parametrize(
    ("reason", "wanted"), [("x" * 200, "x" * 123), ("é" * 62, "é" * 61), ("half a pair: \ud83d", "half a pair: ?")]
)
def test_a_close_reason_is_cut_between_characters(role: Role, reason: str, wanted: str) -> None:
    link = open_link(role)
    link.send(Close(code=1001, reason=reason), now=0.0)
    assert said(link) == [(CLOSE, struct.pack("!H", 1001) + wanted.encode())]


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 5000, 65536])
def test_a_close_with_a_code_nobody_may_send_cannot_be_made(code: int) -> None:
    with pytest.raises(LocalProtocolError, match=f"{code} is not a close code"):
        Close(code=code)


# ---------------------------------------------------------------------- the end of the stream, and drop


@both_roles
@pytest.mark.parametrize(
    ("state", "message"),
    [
        (S.IDLE, "closed before the WebSocket upgrade"),
        (S.OPENING, "closed before the WebSocket upgrade"),
        (S.OPEN, "the connection ended without a close"),
        (None, None),
    ],
)
def test_the_end_of_the_stream_is_the_last_event_in_every_state(
    role: Role, state: LinkState | None, message: str | None
) -> None:
    link = brought_to(state or HALF_CLOSED[role], role)
    link.receive_eof(now=0.0)
    link.receive_eof(now=0.0)
    event = lost(link)
    assert (event.code, event.reason) == (1006, "")
    if message is None:
        assert event.error is None, "we had closed already"
    else:
        assert isinstance(event.error, RemoteProtocolError)
        assert message in str(event.error)
    assert (link.closed, link.next_deadline(), link.data_to_send()) == (True, None, b"")


@both_roles
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_a_stream_that_ends_inside_a_frame_gives_no_part_of_it(role: Role, cut: int) -> None:
    link = open_link(role)
    link.receive_data(frame(role.peer, TEXT, b"whole") + frame(role.peer, TEXT, b"half of it")[:cut], now=0.0)
    link.receive_eof(now=0.0)
    first, last = heard(link)
    assert first == "whole"
    assert isinstance(last, LinkLost)


@pytest.mark.parametrize(("role", "state"), [(role, state) for role in Role for state in seen_states(role)])
def test_dropping_ends_at_once_and_everything_after_it_is_harmless(role: Role, state: LinkState) -> None:
    link = brought_to(state, role)
    link.drop()
    link.drop()
    link.receive_data(frame(role.peer, TEXT, b"x"), now=0.0)
    link.receive_eof(now=0.0)
    link.handle_timeout(now=math.inf)
    assert heard(link) == ([] if state is S.CLOSED else [LinkLost(code=1006, reason="", error=None)])
    assert (link.closed, link.next_deadline(), link.data_to_send()) == (True, None, b"")


def test_dropping_keeps_what_was_said_before_for_the_writer() -> None:
    link = open_link(V)
    link.send("last words", now=0.0)
    link.drop()
    assert said(link) == [(TEXT, b"last words")]


# ---------------------------------------------------------------------- time


@pytest.mark.parametrize(("role", "within"), [(C, 10.0), (V, 5.0)])
@pytest.mark.parametrize("state", [S.IDLE, S.OPENING])
def test_an_upgrade_that_takes_too_long_ends_the_link(role: Role, within: float, state: LinkState) -> None:
    link = new_link(role)
    link.start(now=100.0)
    if role is V and state is S.OPENING:
        link.receive_data(request_of_a_client(), now=101.0)
        heard(link)
    link.data_to_send()
    assert link.next_deadline() == 100.0 + within
    link.handle_timeout(now=99.0 + within)
    assert heard(link) == []
    link.handle_timeout(now=100.0 + within)
    event = lost(link)
    assert isinstance(event.error, PeerSilent)
    assert str(event.error) == "the peer was silent: the WebSocket upgrade did not come in time"
    assert link.closed
    # A client kept waiting by our own application gets an answer all the same.
    assert link.data_to_send()[:12] == (b"HTTP/1.1 503" if (role, state) == (V, S.OPENING) else b"")


@both_roles
def test_without_a_heartbeat_an_open_link_waits_for_ever(role: Role) -> None:
    assert open_link(role).next_deadline() is None


@both_roles
def test_a_silent_peer_is_asked_and_then_given_up(role: Role) -> None:
    link = open_link(role, heartbeat=BEAT, now=100.0)
    assert link.next_deadline() == 105.0
    link.handle_timeout(now=105.0)
    ((first, payload),) = said(link)
    assert (first, len(payload)) == (PING, 4)
    assert link.next_deadline() == 108.0
    link.handle_timeout(now=107.9)
    assert heard(link) == []
    link.handle_timeout(now=108.0)
    event = lost(link)
    assert isinstance(event.error, PeerSilent)
    assert str(event.error) == "the peer was silent: a sign of life did not come in time"
    assert link.data_to_send() == b""


@both_roles
@pytest.mark.parametrize("life", [b"\x82", frame(V, PONG), frame(V, PING), frame(V, TEXT, b"x"), frame(V, BEGIN_TEXT)])
def test_any_byte_is_a_sign_of_life(role: Role, life: bytes) -> None:
    if role is V:
        life = life[:1]
    link = open_link(role, heartbeat=BEAT)
    link.handle_timeout(now=5.0)
    link.receive_data(life, now=7.9)
    assert link.next_deadline() == 12.9
    link.handle_timeout(now=8.0)
    assert not link.closed
    link.receive_data(b"", now=12.0)
    assert link.next_deadline() == 12.9, "no byte is no life"


@both_roles
def test_after_a_long_sleep_the_peer_is_asked_before_it_is_given_up(role: Role) -> None:
    link = open_link(role, heartbeat=BEAT)
    link.handle_timeout(now=600.0)
    assert not link.closed
    assert [first for first, _ in said(link)] == [PING]
    assert link.next_deadline() == 603.0


def test_two_quiet_ends_keep_each_other_alive_for_an_hour() -> None:
    pair = Pair.make(heartbeat=BEAT)
    pair.open()
    now, pings = 0.0, 0
    while now < 3600.0:
        deadlines: Iterable[float | None] = (pair.client.next_deadline(), pair.server.next_deadline())
        now = min(at for at in deadlines if at is not None)
        pair.client.handle_timeout(now=now)
        pair.server.handle_timeout(now=now)
        pings += 1
        pair.carry(now=now)
    assert (pair.client.state, pair.server.state) == (S.OPEN, S.OPEN)
    assert heard(pair.client) + heard(pair.server) == []
    assert pings <= 3600 / BEAT.every + 1


@pytest.mark.parametrize(("role", "state"), [(role, state) for role in Role for state in seen_states(role)])
def test_timers_are_harmless_early_repeated_and_on_a_clock_that_goes_backwards(role: Role, state: LinkState) -> None:
    link = brought_to(state, role)
    before = link.next_deadline()
    for now in (0.0, -1000.0, -math.inf, 0.0, 0.0):
        link.handle_timeout(now=now)
        assert link.next_deadline() == before
    assert (link.state, heard(link), link.data_to_send()) == (state, [], b"")


@pytest.mark.parametrize(("role", "state"), [(role, state) for role in Role for state in seen_states(role)])
def test_a_timer_that_rings_late_rings_once(role: Role, state: LinkState) -> None:
    link = brought_to(state, role)
    waits = link.next_deadline() is not None
    link.handle_timeout(now=1e6)
    after = (link.next_deadline(), link.data_to_send(), heard(link))
    link.handle_timeout(now=1e6)
    assert (link.next_deadline(), link.data_to_send(), heard(link)) == (after[0], b"", [])
    assert (after[1:] == (b"", [])) is not waits
