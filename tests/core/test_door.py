"""The two doors into the core, with the smallest protocol there can be behind them."""

from collections.abc import Callable
from typing import final

import attrs
import pytest

from telcoflow_proto.door import ByteDoor, ConnectionLost, ConnectionOpened, FrameDropped, Message, MessageDoor
from telcoflow_proto.errors import (
    HandshakeRefused,
    LocalProtocolError,
    PeerSilent,
    RemoteProtocolError,
    TransportFailed,
)
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Close, Heartbeat, WebSocketLink
from tests.core.support import close_frame, counting, frame, frames_in

BEAT = Heartbeat(every=5.0, within=5.0)


class Echo(MessageDoor[str]):
    """Greets, repeats what it hears, refuses "bad", pulls what it has too much of, and rings every 7 s."""

    def __init__(self, role: Role = Role.CLIENT) -> None:
        super().__init__(role, entropy=counting(), limits=DEFAULT_LIMITS)
        self.rings_at: float | None = None
        self.pulled: list[Message] = []
        self.pulled_at: list[float] = []
        self.told: list[str] = []
        self.repeats = True

    def say(self, text: str) -> None:
        self._say(text)

    def _on_open(self, now: float) -> None:
        self._say("hello")
        self.rings_at = now + 7.0

    def _on_text(self, text: str, now: float) -> None:
        if text == "bad":
            raise RemoteProtocolError("bad text", close_code=1007)
        self.happened.append(text)
        if self.repeats:
            self._say(text)

    def _on_binary(self, data: bytes, now: float) -> None:
        self.happened.append(f"{len(data)} bytes")

    def _more_to_send(self, now: float) -> list[Message]:
        self.pulled_at.append(now)
        pulled, self.pulled = self.pulled, []
        return pulled

    def _on_lost(self, now: float) -> None:
        self.told.append(f"lost at {now}")

    def _deadline(self) -> float | None:
        return self.rings_at

    def _on_timeout(self, now: float) -> None:
        if self.rings_at is not None and now >= self.rings_at:
            self.rings_at = now + 7.0
            self._say("ring")


class Plain(Echo):
    """The same, with nothing to pull: what a protocol gets that does not say more."""

    def _more_to_send(self, now: float) -> list[Message]:
        return MessageDoor._more_to_send(self, now)  # noqa: SLF001 - the default is under test


@final
class EchoConnection(ByteDoor[str], Echo):
    """The same protocol over bytes, but it repeats nothing: two that echo would never come to rest."""

    def __init__(self, role: Role = Role.CLIENT) -> None:
        super().__init__(role)
        self.repeats = False
        self._link = WebSocketLink(role, entropy=counting(), host="example.com", heartbeat=BEAT)


@pytest.fixture
def door() -> Echo:
    """A started message door with its greeting taken."""
    made = Echo()
    made.start(now=10.0)
    assert list(made.events()) == [ConnectionOpened()]
    assert made.messages_to_send() == ["hello"]
    return made


# ---------------------------------------------------------------------- messages


def test_before_the_start_nothing_flows() -> None:
    door = Echo()
    door.say("early")
    assert (door.started, door.lost, door.next_deadline(), door.messages_to_send()) == (False, False, None, [])
    door.handle_timeout(now=100.0)
    door.start(now=100.0)
    assert door.started
    assert door.messages_to_send() == ["early", "hello"], "what was said before is on its way"


def test_messages_come_in_and_go_out_in_order(door: Echo) -> None:
    door.receive_message("one", now=11.0)
    door.receive_message(b"\0\1", now=11.0)
    door.receive_message("two", now=11.0)
    assert list(door.events()) == ["one", "2 bytes", "two"]
    assert door.messages_to_send() == ["one", "two"]
    assert (list(door.events()), door.messages_to_send()) == ([], [])


def test_what_is_pulled_goes_behind_what_was_said(door: Echo) -> None:
    door.pulled = [b"audio"]
    door.say("first")
    assert door.messages_to_send(now=12.0) == ["first", b"audio"]


def test_a_protocol_need_not_have_more_to_send() -> None:
    door = Plain()
    door.start(now=0.0)
    assert door.messages_to_send() == ["hello"]


@pytest.mark.parametrize("over", [False, True])
def test_a_door_is_started_once_and_never_after_its_end(door: Echo, over: bool) -> None:
    if over:
        door.receive_close(now=11.0)
        list(door.events())
    with pytest.raises(LocalProtocolError, match="started already, or is over"):
        door.start(now=12.0)
    assert (list(door.events()), door.messages_to_send()) == ([], [])


def test_deadlines_ring_until_the_end(door: Echo) -> None:
    assert door.next_deadline() == 17.0
    door.handle_timeout(now=16.9)
    assert door.messages_to_send() == []
    door.handle_timeout(now=17.0)
    door.handle_timeout(now=17.0)
    assert (door.messages_to_send(), door.next_deadline()) == (["ring"], 24.0)
    door.receive_close(now=18.0)
    door.handle_timeout(now=24.0)
    assert (door.messages_to_send(), door.next_deadline()) == ([], None)


def test_the_end_is_the_last_event_and_comes_once(door: Echo) -> None:
    error = PeerSilent("quiet")
    door.receive_message("one", now=11.0)
    door.receive_close(code=4001, reason="bye", error=error, now=12.0)
    door.receive_close(now=13.0)
    door.receive_message("late", now=13.0)
    door.close_connection(now=13.0)
    assert list(door.events()) == ["one", ConnectionLost(code=4001, reason="bye", error=error)]
    assert (door.lost, door.told, door.messages_to_send()) == (True, ["lost at 12.0"], [])


def test_closing_is_the_last_thing_said(door: Echo) -> None:
    door.say("last words")
    door.pulled = [b"audio"]
    door.close_connection(code=1001, reason="bye", now=11.0)
    door.close_connection(now=11.0)
    door.receive_message("crossing", now=11.0)
    assert door.messages_to_send() == ["last words", Close(code=1001, reason="bye")]
    assert (list(door.events()), door.lost) == ([], False)
    door.receive_close(code=1001, now=12.0)
    assert list(door.events()) == [ConnectionLost(code=1001, reason="", error=None)]


def test_closing_without_a_code_is_in_order(door: Echo) -> None:
    door.close_connection(now=11.0)
    assert door.messages_to_send() == [Close(code=1000, reason="")]


def test_closing_before_the_start_ends_at_once() -> None:
    door = Echo()
    door.close_connection(now=1.0)
    assert list(door.events()) == [ConnectionLost(code=1006, reason="", error=None)]
    assert (door.started, door.lost, door.messages_to_send()) == (True, True, [])


@pytest.mark.parametrize("make", [Echo, EchoConnection])
@pytest.mark.parametrize("code", [1006, 999, 70_000])
def test_a_close_with_an_impossible_code_is_refused_and_changes_nothing(make: type[Echo], code: int) -> None:
    door = make()
    with pytest.raises(LocalProtocolError):
        door.close_connection(code=code, now=1.0)
    assert (door.lost, list(door.events())) == (False, [])
    door.start(now=2.0)
    door.close_connection(now=3.0)


# ---------------------------------------------------------------------- bad messages


def test_a_bad_message_is_dropped_and_reported_and_the_next_is_heard(door: Echo) -> None:
    door.receive_message("bad", now=11.0)
    door.receive_message("good", now=11.0)
    dropped, good = door.events()
    assert isinstance(dropped, FrameDropped)
    assert str(dropped.error) == "bad text"
    assert (good, door.bad_frames) == ("good", 1)


@pytest.mark.parametrize(("gap", "closes"), [(0.0, True), (5.9, True), (6.0, False)])
def test_more_than_10_bad_messages_in_a_minute_close_with_1008(door: Echo, gap: float, closes: bool) -> None:
    for number in range(11):
        assert door.messages_to_send() == []
        door.receive_message("bad", now=100.0 + number * gap)
    assert door.bad_frames == 11
    assert door.messages_to_send() == ([Close(code=1008, reason="too many bad frames")] if closes else [])
    assert all(isinstance(event, FrameDropped) for event in door.events())


def test_the_first_minute_has_its_full_budget_even_at_time_zero() -> None:
    door = Plain()
    door.start(now=0.0)
    door.messages_to_send()
    for _ in range(10):
        door.receive_message("bad", now=0.0)
    assert door.messages_to_send() == []


# ---------------------------------------------------------------------- bytes


@attrs.define
class Both:
    """A client and a server over bytes."""

    client: EchoConnection = attrs.Factory(lambda: EchoConnection(Role.CLIENT))
    server: EchoConnection = attrs.Factory(lambda: EchoConnection(Role.SERVER))

    def carry(self, *, now: float = 0.0) -> None:
        busy = True
        while busy:
            busy = False
            for one, other in ((self.client, self.server), (self.server, self.client)):
                data = one.data_to_send(now=now)
                busy = busy or bool(data)
                for byte in data:
                    other.receive_data(bytes([byte]), now=now)

    def open(self) -> None:
        self.client.start(now=0.0)
        self.server.start(now=0.0)
        self.carry()
        self.server.accept(now=0.0)
        self.carry()
        for end in (self.client, self.server):
            list(end.events())

    def ends(self) -> list[EchoConnection]:
        return [self.client, self.server]


@pytest.fixture
def both() -> Both:
    """Two open ends that have taken each other's greeting."""
    made = Both()
    made.open()
    return made


def test_the_upgrade_opens_both_ends_and_greetings_cross() -> None:
    both = Both()
    for end in both.ends():
        assert not end.started
        end.start(now=0.0)
        assert end.started
    assert (both.client.next_deadline(), both.server.next_deadline()) == (10.0, 5.0)
    both.carry()
    (asked,) = both.server.events()
    assert isinstance(asked, UpgradeRequested)
    both.server.accept(headers=[("X-Session", "7")], now=0.0)
    assert list(both.server.events()) == [ConnectionOpened()]
    both.carry()
    assert list(both.client.events()) == [ConnectionOpened(), "hello"]
    assert list(both.server.events()) == ["hello"]


def test_a_rejected_upgrade_is_the_last_event_of_both_ends() -> None:
    both = Both()
    both.client.start(now=0.0)
    both.carry()
    list(both.server.events())
    both.server.reject(status=401, detail="who are you?", now=1.0)
    assert list(both.server.events()) == [ConnectionLost(code=1006, reason="", error=None)]
    assert both.server.told == ["lost at 1.0"]
    both.carry()
    (lost,) = both.client.events()
    assert isinstance(lost, ConnectionLost)
    assert isinstance(lost.error, HandshakeRefused)
    assert (lost.error.status, lost.error.detail) == (401, "who are you?")
    assert all(end.closed and end.lost and end.next_deadline() is None for end in both.ends())


def test_what_is_said_before_the_upgrade_waits_for_it() -> None:
    client = EchoConnection()
    client.say("early")
    client.start(now=0.0)
    assert client.data_to_send().startswith(b"GET ")
    assert client.data_to_send() == b""


@pytest.mark.parametrize(
    "hear",
    [
        lambda door: door.receive_message("x", now=12.0),
        lambda door: door.handle_timeout(now=12.0),
        lambda door: door.messages_to_send(now=12.0),
        lambda door: door.receive_data(b"\x82", now=12.0),
    ],
)
def test_what_is_pulled_is_pulled_at_the_time_last_heard_of(both: Both, hear: Callable[[EchoConnection], None]) -> None:
    door = both.client
    hear(door)
    door.pulled_at.clear()
    door.data_to_send()
    door.messages_to_send()
    door.data_to_send(now=13.0)
    assert door.pulled_at == [12.0, 12.0, 13.0]


@pytest.mark.parametrize("role", Role)
def test_messages_flow_as_frames(both: Both, role: Role) -> None:
    end = both.client if role is Role.CLIENT else both.server
    end.say("text")
    end.pulled = [b"audio"]
    assert list(frames_in(end.data_to_send())) == [(0x81, b"text"), (0x82, b"audio")]
    end.receive_data(frame(role.peer, 0x82, b"audio"), now=1.0)
    assert list(end.events()) == ["5 bytes"]


def test_the_earliest_deadline_of_link_and_protocol_counts(both: Both) -> None:
    client = both.client
    assert client.next_deadline() == 5.0
    client.handle_timeout(now=5.0)
    assert [first for first, _ in frames_in(client.data_to_send())] == [0x89]
    client.receive_data(frame(Role.SERVER, 0x8A), now=6.0)
    assert client.next_deadline() == 7.0
    client.handle_timeout(now=7.0)
    assert list(frames_in(client.data_to_send())) == [(0x81, b"ring")]


def test_a_silent_peer_is_the_reason_of_the_end(both: Both) -> None:
    both.client.handle_timeout(now=5.0)
    both.client.handle_timeout(now=10.0)
    (lost,) = both.client.events()
    assert isinstance(lost, ConnectionLost)
    assert isinstance(lost.error, PeerSilent)
    assert (both.client.closed, both.client.lost, both.client.told) == (True, True, ["lost at 10.0"])


def test_a_bad_frame_ends_the_connection_and_good_ones_before_it_are_heard(both: Both) -> None:
    both.client.receive_data(frame(Role.SERVER, 0x81, b"good") + b"\x83\x00", now=1.0)
    good, lost = both.client.events()
    assert good == "good"
    assert isinstance(lost, ConnectionLost)
    assert isinstance(lost.error, RemoteProtocolError)
    assert [payload[:2] for _, payload in frames_in(both.client.data_to_send())] == [b"\x03\xea"]


def test_closing_an_open_connection_shakes_hands(both: Both) -> None:
    both.client.say("last words")
    both.client.close_connection(code=1001, reason="bye", now=1.0)
    both.client.close_connection(code=4000, now=1.0)
    assert not both.client.closed
    both.carry(now=1.0)
    event = ConnectionLost(code=1001, reason="bye", error=None)
    assert list(both.server.events()) == ["last words", event]
    assert list(both.client.events()) == [event]
    both.client.close_connection(now=2.0)
    assert list(both.client.events()) == []


def test_closing_twice_does_not_cut_the_handshake_short(both: Both) -> None:
    both.client.close_connection(now=1.0)
    both.client.data_to_send(now=1.0)
    both.client.close_connection(now=1.5)
    assert (both.client.closed, both.client.next_deadline()) == (False, 3.0)
    both.client.handle_timeout(now=3.0)
    assert both.client.closed


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("started", [False, True])
def test_closing_before_the_upgrade_ends_at_once(role: Role, started: bool) -> None:
    end = EchoConnection(role)
    if started:
        end.start(now=0.0)
    end.close_connection(now=1.0)
    end.receive_data(b"x", now=1.0)
    assert list(end.events()) == [ConnectionLost(code=1006, reason="", error=None)]
    assert (end.closed, end.lost, end.started, end.next_deadline()) == (True, True, True, None)


def test_the_peers_close_and_the_end_of_the_stream_are_one_end(both: Both) -> None:
    both.client.receive_data(close_frame(Role.SERVER, 4001, b"bye"), now=1.0)
    both.client.receive_eof(now=1.0)
    assert list(both.client.events()) == [ConnectionLost(code=4001, reason="bye", error=None)]
    both.server.receive_eof(now=1.0)
    both.server.receive_eof(now=1.0)
    (lost,) = both.server.events()
    assert isinstance(lost, ConnectionLost)
    assert str(lost.error) == "the connection ended without a close"


@pytest.mark.parametrize("stage", ["before the start", "opening", "open", "closing", "closed"])
def test_a_broken_transport_is_the_last_event_at_every_stage(stage: str) -> None:
    both = Both()
    end = both.client
    match stage:
        case "before the start":
            pass
        case "opening":
            end.start(now=0.0)
        case _:
            both.open()
    if stage in {"closing", "closed"}:
        end.close_connection(now=0.0)
    if stage == "closed":
        both.carry()
        list(end.events())
    end.fail_transport("connection reset", now=1.0)
    end.fail_transport("again", now=1.0)
    events = list(end.events())
    if stage == "closed":
        assert events == []
    else:
        (lost,) = events
        assert isinstance(lost, ConnectionLost)
        assert isinstance(lost.error, TransportFailed)
        assert str(lost.error) == "connection reset"
    assert (end.closed, end.lost, end.next_deadline()) == (True, True, None)


def test_nothing_said_after_a_close_follows_it(door: Echo) -> None:
    door.say("before")
    door.close_connection(now=0.0)
    door.say("after")
    messages = door.messages_to_send(now=0.0)
    assert "before" in messages
    assert messages[-1] == Close()
