"""The WebSocket upgrade, from both ends, in pieces of any size."""

import base64
import hashlib
from collections.abc import Iterable

import pytest

from telcoflow_proto.chance import Chance
from telcoflow_proto.errors import HandshakeRefused, LimitExceeded, LocalProtocolError, RemoteProtocolError
from telcoflow_proto.handshake import Headers, UpgradeRequested, printable
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.upgrade import ClientHandshake, ServerHandshake
from tests.core.support import counting, pieces

KEY = "AAECAwQFBgcICQoLDA0ODw=="  # what counting() gives
ACCEPT = base64.b64encode(hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()  # noqa: S324
FRAME = b"\x82\x03abc"
SIZES = [1, 7, 10**6]
RIGHT = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": ACCEPT,
}
ASKED = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def head(first_line: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [first_line, *(f"{name}: {value}" for name, value in headers)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def changed(headers: dict[str, str], change: dict[str, str | None]) -> list[tuple[str, str]]:
    """Return header lines with some of them changed, added, or (None) left out."""
    return [(name, value) for name, value in {**headers, **change}.items() if value is not None]


def response(change: dict[str, str | None] | None = None) -> bytes:
    return head("HTTP/1.1 101 Switching Protocols", changed(RIGHT, change or {}))


def request(change: dict[str, str | None] | None = None, first_line: str = "GET /ws?a=b HTTP/1.1") -> bytes:
    return head(first_line, changed(ASKED, change or {}))


def padded(make_head: bytes, size: int) -> bytes:
    """Fill a head with one more header, so that it has ``size`` bytes."""
    lines = make_head.removesuffix(b"\r\n")
    return lines + b"x: " + b"y" * (size - len(lines) - 7) + b"\r\n\r\n"


def client(headers: Headers = ()) -> ClientHandshake:
    return ClientHandshake(
        host="example.com", target="/ws?a=b", headers=headers, chance=Chance(counting()), limits=DEFAULT_LIMITS
    )


def server() -> ServerHandshake:
    return ServerHandshake(limits=DEFAULT_LIMITS)


def answer(data: bytes, size: int = 10**6) -> bytes | None:
    """Give a client its answer in pieces; return what follows the head."""
    handshake = client()
    follows = None
    for piece in pieces(data, size):
        follows = handshake.receive(piece) if follows is None else follows + piece
    return follows


def ask(data: bytes, size: int = 10**6) -> UpgradeRequested | None:
    """Give a server a request in pieces; return the last that it said."""
    handshake = server()
    found = [asked for piece in pieces(data, size) if (asked := handshake.receive(piece)) is not None]
    assert len(found) < 2
    return found[0] if found else None


def refused(data: bytes, size: int = 10**6, *, eof: bool = False) -> RemoteProtocolError:
    handshake = client()
    with pytest.raises(RemoteProtocolError) as refusal:  # noqa: PT012 - which piece it is, is the test's question
        for piece in pieces(data, size):
            assert handshake.receive(piece) is None
        assert eof, "it must be refused before the end"
        handshake.receive(b"")
    return refusal.value


# ---------------------------------------------------------------------- client


def test_the_client_asks_for_a_websocket_and_nothing_else() -> None:
    assert client([("Authorization", "Bearer t")]).request == head(
        "GET /ws?a=b HTTP/1.1",
        [
            ("Host", "example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Version", "13"),
            ("Authorization", "Bearer t"),
        ],
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("glued", [b"", FRAME])
def test_an_accepted_upgrade_returns_what_follows_the_head(size: int, glued: bytes) -> None:
    assert answer(response() + glued, size) == glued


@pytest.mark.parametrize("cut", range(1, len(response())))
def test_an_answer_cut_anywhere_is_waited_for(cut: int) -> None:
    handshake = client()
    assert handshake.receive(response()[:cut]) is None
    assert handshake.receive(response()[cut:] + FRAME) == FRAME


@pytest.mark.parametrize("size", SIZES)
def test_other_informational_answers_are_passed_over(size: int) -> None:
    assert answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + response(), size) == b""


@pytest.mark.parametrize(
    "change",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, UPGRADE"},
        {"Sec-WebSocket-Extensions": ""},
        {"Server": "nginx", "Date": "today"},
    ],
)
def test_an_answer_may_be_written_in_other_ways(change: dict[str, str | None]) -> None:
    assert answer(response(change)) == b""


@pytest.mark.parametrize(
    ("change", "blamed"),
    [
        ({"Upgrade": None}, "upgrade"),
        ({"Upgrade": "h2c"}, "upgrade"),
        ({"Upgrade": "websocket2"}, "upgrade"),
        ({"Connection": None}, "connection"),
        ({"Connection": "close"}, "connection"),
        ({"Sec-WebSocket-Accept": None}, "sec-websocket-accept"),
        ({"Sec-WebSocket-Accept": "x"}, "sec-websocket-accept"),
        ({"Sec-WebSocket-Accept": ACCEPT.lower()}, "sec-websocket-accept"),
        ({"sec-websocket-accept": ACCEPT}, "sec-websocket-accept"),  # twice
        ({"Sec-WebSocket-Extensions": "permessage-deflate"}, "sec-websocket-extensions"),
        ({"Sec-WebSocket-Protocol": "chat"}, "sec-websocket-protocol"),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_a_wrong_or_unasked_header_in_the_answer_is_refused(
    change: dict[str, str | None], blamed: str, size: int
) -> None:
    error = refused(response(change), size)
    assert str(error) == f"the upgrade response has a wrong or unasked {blamed} header"


@pytest.mark.parametrize("version", ["0.1", "1.0", "1.2"])
def test_a_101_in_another_version_of_http_is_refused(version: str) -> None:
    error = refused(response().replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
    assert str(error) == "the upgrade response has a wrong or unasked HTTP version"


def test_an_answer_that_fits_another_key_is_refused() -> None:
    chance = Chance(counting())
    chance.draw(16)
    other = ClientHandshake(host="a", target="/", headers=(), chance=chance, limits=DEFAULT_LIMITS)
    with pytest.raises(RemoteProtocolError, match="sec-websocket-accept"):
        other.receive(response())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 401, 403, 404, 426, 429, 500, 503])
def test_any_other_status_is_a_refusal_and_no_redirect_is_followed(status: int, size: int) -> None:
    lines = [("Location", "wss://evil.test/"), ("Retry-After", "7")]
    body = "" if status == 204 else "<b>no</b>\r\nnot today"
    lines += [("Content-Length", str(len(body)))] if body else []
    error = refused(head(f"HTTP/1.1 {status} Whatever", lines) + body.encode(), size)
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.retry_after) == (status, 7.0)
    assert error.detail == ("<b>no</b>??not today" if body else "")
    assert "evil" not in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("999999", 999999.0),
        ("1000000", None),
        ("-1", None),
        ("1.5", None),
        ("1e9", None),
        ("\u00b2", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("", None),
    ],
)
def test_only_plain_seconds_are_believed_as_a_wait(value: str, seconds: float | None) -> None:
    error = refused(head("HTTP/1.1 503 Busy", [("Retry-After", value), ("Content-Length", "0")]))
    assert isinstance(error, HandshakeRefused)
    assert error.retry_after == seconds


@pytest.mark.parametrize("size", [1, 1000, 10**7])
@pytest.mark.parametrize("framing", [("Content-Length", str(2**20)), ("Connection", "close")])
def test_the_body_of_a_refusal_is_cut(size: int, framing: tuple[str, str]) -> None:
    handshake = client()
    data = head("HTTP/1.1 403 Forbidden", [framing]) + b"x" * 2**20
    taken = 0
    with pytest.raises(HandshakeRefused) as refusal:  # noqa: PT012 - as above
        for piece in pieces(data, size):
            taken += len(piece)
            handshake.receive(piece)
    assert refusal.value.detail == "x" * 256
    assert taken <= DEFAULT_LIMITS.refusal_body + 200 + size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (head("HTTP/1.1 403 No", [("Content-Length", "9")]) + b"half", "half"),
        (head("HTTP/1.1 403 No", [("Transfer-Encoding", "chunked")]) + b"4\r\nhalf\r\n", "half"),
        (head("HTTP/1.0 403 No", []) + b"all of it", "all of it"),
        (head("HTTP/1.1 403 No", [("Content-Length", "9")]), ""),
    ],
)
def test_a_refusal_whose_body_ends_early_is_still_a_refusal(data: bytes, detail: str, size: int) -> None:
    error = refused(data, size, eof=True)
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.detail) == (403, detail)


@pytest.mark.parametrize("size", SIZES)
def test_a_refusal_whose_body_breaks_http_is_still_a_refusal(size: int) -> None:
    error = refused(head("HTTP/1.1 403 No", [("Transfer-Encoding", "chunked")]) + b"4\r\nhalf\r\nzzz\r\n", size)
    assert isinstance(error, HandshakeRefused)
    assert (error.status, error.detail) == (403, "half")


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101 Swi", response()[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_stream_that_ends_before_the_answer_is_an_error(data: bytes) -> None:
    error = refused(data, eof=True)
    assert type(error) is RemoteProtocolError
    assert str(error) == "the connection was closed before the WebSocket upgrade was answered"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
        b"HTTP/1.1 abc Nonsense\r\n\r\n",
        b"HTTP/1.1 101 x\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 101 x\r\nUpgrade : websocket\r\n\r\n",
        b"HTTP/1.1 101 x\r\nA: \x00\r\n\r\n",
        b"HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_an_error(data: bytes, size: int) -> None:
    error = refused(data, size)
    assert str(error) == "the peer's handshake is not valid HTTP/1.1"
    assert error.__suppress_context__, "h11's message quotes what it read"


# ---------------------------------------------------------------------- bounds, both ends

LIMIT = DEFAULT_LIMITS.handshake_bytes


@pytest.mark.parametrize("size", [1, 1000, LIMIT, LIMIT + 1, 10**6])
def test_a_head_of_8_kib_passes_and_one_byte_more_does_not(size: int) -> None:
    assert len(padded(response(), LIMIT)) == LIMIT
    assert answer(padded(response(), LIMIT) + FRAME, size) == FRAME
    assert isinstance(refused(padded(response(), LIMIT + 1), size), LimitExceeded)
    assert ask(padded(request(), LIMIT), size) is not None
    with pytest.raises(LimitExceeded):
        ask(padded(request(), LIMIT + 1), size)


def test_a_head_that_is_too_long_is_refused_in_the_same_words_however_it_is_cut() -> None:
    for data, taker in ((padded(response(), 9000), client), (padded(request(), 9000), server)):
        said = set()
        for size in SIZES:
            handshake = taker()
            with pytest.raises(LimitExceeded) as refusal:  # noqa: PT012 - which piece it is, is not the question
                for piece in pieces(data, size):
                    handshake.receive(piece)
            said.add(str(refusal.value))
        assert said == {"the handshake is longer than 8192 bytes"}


@pytest.mark.parametrize("size", [1, 1000, 10**6])
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 " + b"x" * LIMIT * 2,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        padded(head("HTTP/1.1 403 No", [("Content-Length", "0")]), LIMIT + 1),
    ],
    ids=["endless line", "endless continue", "long refusal"],
)
def test_an_answer_that_never_comes_to_the_point_is_cut_off(data: bytes, size: int) -> None:
    assert isinstance(refused(data, size), LimitExceeded)


@pytest.mark.parametrize("size", SIZES)
def test_a_head_has_at_most_128_header_lines(size: int) -> None:
    def filler(lines: int) -> dict[str, str | None]:
        return {f"x{number}": "" for number in range(lines)}

    assert answer(response(filler(128 - len(RIGHT))), size) == b""
    assert ask(request(filler(128 - len(ASKED))), size) is not None
    assert isinstance(refused(response(filler(129 - len(RIGHT))), size), LimitExceeded)
    with pytest.raises(LimitExceeded, match="more than 128 header lines"):
        ask(request(filler(129 - len(ASKED))), size)


# ---------------------------------------------------------------------- server


@pytest.mark.parametrize("size", SIZES)
def test_the_server_hears_a_request_with_target_and_headers(size: int) -> None:
    asked = ask(request({"Authorization": "Bearer s3cret"}), size)
    assert asked is not None
    assert asked.target == "/ws?a=b"
    assert asked.header("host") == "example.com"
    assert asked.header("authorization") == "Bearer s3cret"
    assert asked.header("absent") is None
    assert "s3cret" not in repr(asked)


def test_a_header_that_comes_twice_has_no_value() -> None:
    asked = ask(request({"token": "a", "TOKEN": "b"}))
    assert asked is not None
    assert asked.header("token") is None
    assert [value for name, value in asked.headers if name == "token"] == ["a", "b"]


@pytest.mark.parametrize("cut", range(1, len(request())))
def test_a_request_cut_anywhere_is_waited_for(cut: int) -> None:
    handshake = server()
    assert handshake.receive(request()[:cut]) is None
    assert handshake.receive(request()[cut:]) is not None


@pytest.mark.parametrize(
    "change", [{"Upgrade": "WEBSOCKET"}, {"Connection": "keep-alive, Upgrade"}, {"Sec-WebSocket-Extensions": "x"}]
)
def test_a_request_may_be_written_in_other_ways(change: dict[str, str | None]) -> None:
    assert ask(request(change)) is not None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (request(first_line="POST /ws HTTP/1.1"), "method"),
        (request(first_line="GET /ws HTTP/1.0"), "HTTP version"),
        (request({"Content-Length": "3"}), "body"),
        (request({"Transfer-Encoding": "chunked"}), "body"),
        (request({"Upgrade": None}), "upgrade header"),
        (request({"Upgrade": "h2c"}), "upgrade header"),
        (request({"Connection": None}), "connection header"),
        (request({"Sec-WebSocket-Version": None}), "sec-websocket-version header"),
        (request({"Sec-WebSocket-Version": "8"}), "sec-websocket-version header"),
        (request({"Sec-WebSocket-Version": "13, 8"}), "sec-websocket-version header"),
        (request({"Sec-WebSocket-Key": None}), "sec-websocket-key header"),
        (request({"Sec-WebSocket-Key": ""}), "sec-websocket-key header"),
        (request({"Sec-WebSocket-Key": "AAAA"}), "sec-websocket-key header"),
        (request({"Sec-WebSocket-Key": KEY[:-1]}), "sec-websocket-key header"),
        (request({"Sec-WebSocket-Key": "!" + KEY}), "sec-websocket-key header"),
        (request({"Sec-WebSocket-Key": "é" * 24}), "sec-websocket-key header"),
        (request({"sec-websocket-key": KEY}), "sec-websocket-key header"),  # twice
    ],
)
def test_a_request_for_something_else_is_refused(data: bytes, wrong: str, size: int) -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        ask(data, size)
    assert str(refusal.value) == f"the request is not a WebSocket upgrade: wrong {wrong}"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        b"GET /\r\n\r\n",
        request({"Host": None}),
        request({"Content-Length": "x"}),
        request(first_line="GET /\x01 HTTP/1.1"),
    ],
)
def test_a_request_that_is_no_http_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^the peer's handshake is not valid HTTP/1\.1$"):
        ask(data, size)


@pytest.mark.parametrize("data", [b"", request()])
def test_a_stream_that_ends_before_the_upgrade_is_an_error(data: bytes) -> None:
    handshake = server()
    for piece in pieces(data, 10**6):
        handshake.receive(piece)
    with pytest.raises(RemoteProtocolError, match="closed before the WebSocket upgrade was complete"):
        handshake.receive(b"")


def test_a_stream_that_ends_inside_the_request_is_an_error() -> None:
    handshake = server()
    handshake.receive(request()[:-1])
    with pytest.raises(RemoteProtocolError):
        handshake.receive(b"")


@pytest.mark.parametrize("size", [*SIZES, len(request()), len(request()) + 1])
@pytest.mark.parametrize("glued", [b"", FRAME, FRAME * 1000])
def test_what_follows_the_request_is_kept_until_it_is_accepted(size: int, glued: bytes) -> None:
    handshake = server()
    for piece in pieces(request() + glued, size):
        handshake.receive(piece)
    said, follows = handshake.accept([("X-Session", "7")])
    assert follows == glued
    assert said == head("HTTP/1.1 101 ", [*RIGHT.items(), ("X-Session", "7")])
    assert answer(said) == b""


@pytest.mark.parametrize("size", SIZES)
def test_a_client_that_does_not_wait_to_be_accepted_is_cut_off(size: int) -> None:
    assert ask(request() + bytes(LIMIT), size) is not None
    with pytest.raises(LimitExceeded):
        ask(request() + bytes(LIMIT + 1), size)


@pytest.mark.parametrize("detail", ["", "come back later", "Grüße \U0001f600", "half a pair: \ud83d"])
def test_a_refusal_is_a_whole_http_response_a_client_can_read(detail: str) -> None:
    said = server().refusal(status=503, detail=detail)
    error = refused(said)
    assert isinstance(error, HandshakeRefused)
    assert error.status == 503
    assert error.detail == printable(detail.encode(errors="replace").decode())
    assert b"\r\nConnection: close\r\n" in said


# ---------------------------------------------------------------------- what cannot be said

UNSAYABLE: list[Headers] = [
    [("Authorization", "Bearer s3cret\r\nX-Evil: 1")],
    [("Authorization", "Bearer s3cret\n")],
    [("Authorization", "Bearer s3cret\0")],
    [("Authorization", "Bearer s3crét")],
    [("s3cret name", "x")],
    [("s3cret:", "x")],
]


@pytest.mark.parametrize("headers", UNSAYABLE)
def test_a_header_that_would_inject_another_is_refused_and_not_quoted(headers: Headers) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        client(headers)
    assert "s3cr" not in str(refusal.value)
    assert refusal.value.__suppress_context__
    handshake = server()
    handshake.receive(request() + FRAME)
    with pytest.raises(LocalProtocolError):
        handshake.accept(headers)
    assert handshake.accept([])[1] == FRAME, "refusing changed nothing"


@pytest.mark.parametrize(
    ("host", "target"),
    [("a\r\nX-Evil: 1", "/"), ("ä", "/"), ("a", "/ HTTP/1.1\r\nX-Evil: 1"), ("a", "/a b"), ("a", "/ü")],
)
def test_a_host_or_target_that_would_inject_a_header_is_refused(host: str, target: str) -> None:
    with pytest.raises(LocalProtocolError):
        ClientHandshake(host=host, target=target, headers=(), chance=Chance(counting()), limits=DEFAULT_LIMITS)


# ---------------------------------------------------------------------- for a person


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("  busy \n", "busy"),
        ("a\r\nERROR forged line", "a??ERROR forged line"),
        ("\x1b[31mred\x1b[0m\x7f", "?[31mred?[0m?"),
        ("Zoë \u2028 \U0001f600", "Zo? ? ?"),
        ("x" * 300, "x" * 256),
    ],
)
def test_text_of_a_peer_is_made_fit_to_print(text: str, shown: str) -> None:
    assert printable(text) == shown
