"""Our link and wsproto's own connection understand each other, whoever is the client."""

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from telcoflow_proto.errors import HandshakeRefused
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Close, Heartbeat, LinkLost, LinkOpened, WebSocketLink
from tests.core.support import counting, heard, pieces

LENGTHS = [0, 1, 125, 126, 65535, 65536]


class Wire:
    """Our link on one end, wsproto on the other; bytes travel in pieces of ``size``."""

    def __init__(self, role: Role, size: int = 65536) -> None:
        self.ours = WebSocketLink(
            role, entropy=counting(), host="example.com", target="/ws?a=b", heartbeat=Heartbeat(every=5.0, within=5.0)
        )
        self.theirs = WSConnection(ConnectionType.SERVER if role is Role.CLIENT else ConnectionType.CLIENT)
        self.size = size

    def to_theirs(self) -> list[Event]:
        """Carry our bytes over; return what wsproto makes of them, messages put together."""
        events: list[Event] = []
        for piece in pieces(self.ours.data_to_send(), self.size):
            self.theirs.receive_data(piece)
            events += self.theirs.events()
        return events

    def to_ours(self, data: bytes) -> list[object]:
        for piece in pieces(data, self.size):
            self.ours.receive_data(piece, now=0.0)
        return list(heard(self.ours))

    def open(self) -> None:
        self.ours.start(now=0.0)
        if self.ours.role is Role.CLIENT:
            (request,) = self.to_theirs()
            assert isinstance(request, Request)
            assert (request.host, request.target) == ("example.com", "/ws?a=b")
            assert (request.extensions, request.subprotocols) == ([], [])
            assert self.to_ours(self.theirs.send(AcceptConnection())) == [LinkOpened()]
        else:
            (asked,) = self.to_ours(self.theirs.send(Request(host="example.com", target="/ws?a=b")))
            assert isinstance(asked, UpgradeRequested)
            self.ours.accept(now=0.0)
            assert heard(self.ours) == [LinkOpened()]
            (accepted,) = self.to_theirs()
            assert isinstance(accepted, AcceptConnection)


@pytest.fixture(params=[(role, size) for role in Role for size in (1, 1000, 10**6)], ids=str)
def wire(request: pytest.FixtureRequest) -> Wire:
    """An open wire, for both roles and some sizes of pieces."""
    made = Wire(*request.param)
    made.open()
    return made


@pytest.mark.parametrize("length", LENGTHS)
def test_wsproto_reads_what_we_say(wire: Wire, length: int) -> None:
    blob = bytes(index % 256 for index in range(length))
    text = "é" * (length // 2) + "x" * (length % 2)
    wire.ours.send(blob, now=0.0)
    wire.ours.send(text, now=0.0)
    events = wire.to_theirs()
    assert b"".join(event.data for event in events if isinstance(event, BytesMessage)) == blob
    assert "".join(event.data for event in events if isinstance(event, TextMessage)) == text
    assert sum(isinstance(event, BytesMessage | TextMessage) and event.message_finished for event in events) == 2


@pytest.mark.parametrize("length", LENGTHS)
def test_we_read_what_wsproto_says(wire: Wire, length: int) -> None:
    blob = bytes(index % 256 for index in range(length))
    text = "é" * (length // 2) + "x" * (length % 2)
    assert wire.to_ours(wire.theirs.send(BytesMessage(data=blob)) + wire.theirs.send(TextMessage(data=text))) == [
        blob,
        text,
    ]
    parts = [wire.theirs.send(TextMessage(data=part, message_finished=False)) for part in (text, "", "€")]
    assert wire.to_ours(b"".join(parts) + wire.theirs.send(TextMessage(data=""))) == [text + "€"]


def test_pings_are_answered_both_ways(wire: Wire) -> None:
    assert wire.to_ours(wire.theirs.send(Ping(payload=b"theirs"))) == []
    (pong,) = wire.to_theirs()
    assert isinstance(pong, Pong)
    assert pong.payload == b"theirs"
    wire.ours.handle_timeout(now=5.0)
    (ping,) = wire.to_theirs()
    assert isinstance(ping, Ping)
    assert wire.to_ours(wire.theirs.send(ping.response())) == []
    assert wire.ours.next_deadline() == 5.0, "5 s after the pong, which came at 0.0 here"


def test_we_close_and_wsproto_answers(wire: Wire) -> None:
    wire.ours.send(Close(code=4001, reason="dünn"), now=0.0)
    (close,) = wire.to_theirs()
    assert isinstance(close, CloseConnection)
    assert (close.code, close.reason) == (4001, "dünn")
    assert wire.to_ours(wire.theirs.send(close.response())) == [LinkLost(code=4001, reason="dünn", error=None)]


def test_wsproto_closes_and_we_answer(wire: Wire) -> None:
    assert wire.to_ours(wire.theirs.send(CloseConnection(code=1001, reason="bye"))) == [
        LinkLost(code=1001, reason="bye", error=None)
    ]
    (close,) = wire.to_theirs()
    assert isinstance(close, CloseConnection)
    assert (close.code, close.reason) == (1001, "bye")


def test_wsproto_understands_why_we_give_up(wire: Wire) -> None:
    (last,) = wire.to_ours(b"\x83\x80\0\0\0\0")
    assert isinstance(last, LinkLost)
    (close,) = wire.to_theirs()
    assert isinstance(close, CloseConnection)
    assert close.code == 1002
    assert str(last.error) == close.reason


def test_wsproto_refuses_us() -> None:
    wire = Wire(Role.CLIENT)
    wire.ours.start(now=0.0)
    wire.to_theirs()
    refusal = wire.theirs.send(RejectConnection(status_code=404, headers=[(b"content-length", b"4")], has_body=True))
    (last,) = wire.to_ours(refusal + wire.theirs.send(RejectData(data=b"gone")))
    assert isinstance(last, LinkLost)
    assert isinstance(last.error, HandshakeRefused)
    assert (last.error.status, last.error.detail) == (404, "gone")


def test_we_refuse_wsproto() -> None:
    wire = Wire(Role.SERVER)
    wire.to_ours(wire.theirs.send(Request(host="example.com", target="/")))
    wire.ours.reject(status=503, detail="full")
    refused, body = wire.to_theirs()[:2]
    assert isinstance(refused, RejectConnection)
    assert refused.status_code == 503
    assert isinstance(body, RejectData)
    assert body.data == b"full"
