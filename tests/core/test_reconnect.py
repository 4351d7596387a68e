"""One connection after the other: when there is another one, how long it waits, and what is told of each end."""

import pytest

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_table import CLIENT_TABLE, ClientState, LossVerdict
from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.errors import LocalProtocolError, PeerSilent, TransportFailed
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.reconnect import Reconnecting
from telcoflow_proto.relay.connection import RelayClientConnection, RelayServerConnection
from telcoflow_proto.relay.messages import Authenticated, Credentials
from tests.core.support import counting

BACKOFF = Backoff(first=0.5, ceiling=10.0, healthy_after=30.0)


class Client(Reconnecting[RelayClientConnection, Authenticated]):
    """The least a client can be: it is ready when it is authenticated, and judges as it is told."""

    def __init__(self, verdict: LossVerdict = LossVerdict()) -> None:  # noqa: B008 - frozen
        super().__init__(CLIENT_TABLE, entropy=counting(), backoff=BACKOFF)
        self.verdict = verdict
        self.now = 100.0
        self.service = RelayServerConnection(entropy=counting())

    def _new_connection(self) -> RelayClientConnection:
        return RelayClientConnection(
            url=parse_ws_url("wss://localhost"), credentials=Credentials(), entropy=self._entropy
        )

    def _decide(self, control: RelayClientConnection, now: float) -> bool:
        batch = list(control.events())
        for event in batch:
            if isinstance(event, ConnectionLost):
                self._lost_connection(event, now)
            elif isinstance(event, Authenticated):
                self._became_ready(now)
        return bool(batch)

    def _judge(self, lost: ConnectionLost) -> LossVerdict:
        return self.verdict

    @property
    def bad_frames(self) -> int:
        return self._bad_frames

    def carry(self) -> None:
        while True:
            up, down = self.data_to_send(now=self.now), self.service.data_to_send(now=self.now)
            if up:
                self.service.receive_data(up, now=self.now)
            if down:
                self.receive_data(down, now=self.now)
            if not up and not down:
                return

    def meet(self) -> None:
        """Open the stream that is wanted, and let the client in."""
        self.service = RelayServerConnection(entropy=counting())
        self.service.start(now=self.now)
        self.start(now=self.now)
        self.carry()
        self.service.accept(now=self.now)
        self.carry()
        self.service.authenticate(protocol="p", now=self.now)
        self.carry()

    def cut(self) -> ClientLost:
        """Cut the stream, and return what is told of it."""
        list(self.events())
        self.fail_transport("cut", now=self.now)
        (lost,) = self.events()
        assert isinstance(lost, ClientLost)
        return lost

    def wait(self) -> None:
        """Wait for the next attempt."""
        due = self.next_deadline()
        assert due is not None
        self.handle_timeout(now=due - 0.01)
        assert self.state is ClientState.WAITING
        self.now = due
        self.handle_timeout(now=due)


def ready(**arguments: LossVerdict) -> Client:
    client = Client(**arguments)
    client.connect(now=client.now)
    client.meet()
    return client


def test_before_it_begins_every_verb_is_harmless() -> None:
    client = Client()
    client.start(now=1.0)
    client.receive_data(b"x", now=1.0)
    client.receive_eof(now=1.0)
    client.fail_transport("x", now=1.0)
    client.handle_timeout(now=1.0)
    assert (client.data_to_send(), client.next_deadline(), list(client.events())) == (b"", None, [])
    assert (client.state, client.closed, client.finished) == (ClientState.IDLE, True, False)


def test_a_silent_service_is_a_loss() -> None:
    client = ready()
    list(client.events())
    while client.control is not None:
        due = client.next_deadline()
        assert due is not None
        client.handle_timeout(now=due)
    (lost,) = client.events()
    assert isinstance(lost, ClientLost)
    assert isinstance(lost.error, PeerSilent)


def test_it_begins_once() -> None:
    client = Client()
    client.connect(now=100.0)
    (want,) = client.events()
    assert isinstance(want, TransportWanted)
    assert str(want.url) == "wss://localhost/"
    with pytest.raises(LocalProtocolError):
        client.connect(now=100.0)
    assert list(client.events()) == []
    client.meet()
    assert list(client.events()) == [ClientReady(attempt=0)]
    assert client.was_ready


def test_a_lost_connection_is_followed_by_another_one() -> None:
    client = ready()
    first = client.control
    lost = client.cut()
    assert isinstance(lost.error, TransportFailed)
    assert (lost.wanted, lost.attempt, lost.credentials_refused) == (False, 1, False)
    assert (client.control, client.closed, client.finished) == (None, True, False)
    assert lost.retry_in is not None
    assert client.next_deadline() == pytest.approx(100.0 + lost.retry_in)
    client.wait()
    (want,) = client.events()
    assert isinstance(want, TransportWanted)
    assert client.control is not first
    client.meet()
    assert list(client.events()) == [ClientReady(attempt=1)]


def test_it_may_wait_longer_each_time_but_never_less_than_the_shortest_wait() -> None:
    client = ready()
    ceilings = [BACKOFF.delay(attempt, fraction=1.0) for attempt in range(1, 6)]
    assert ceilings == [5.0, 7.5, 10.0, 10.0, 10.0]
    for attempt, ceiling in enumerate(ceilings, 1):
        lost = client.cut()
        assert lost.attempt == attempt
        assert lost.retry_in is not None
        assert 0.5 <= lost.retry_in <= ceiling
        client.wait()


@pytest.mark.parametrize(("served", "attempt"), [(29.0, 2), (31.0, 1)])
def test_only_a_connection_that_served_a_while_starts_the_count_afresh(served: float, attempt: int) -> None:
    client = ready()
    client.cut()
    client.wait()
    client.meet()
    client.now += served
    assert client.cut().attempt == attempt


def test_the_service_may_ask_for_a_longer_wait() -> None:
    client = ready(verdict=LossVerdict(wait_at_least=77.0))
    assert client.cut().retry_in == 77.0
    client.wait()
    assert client.state is ClientState.RECONNECTING


def test_what_is_refused_for_good_is_not_tried_again() -> None:
    client = ready(verdict=LossVerdict(credentials_refused=True, stop=True))
    lost = client.cut()
    assert (lost.retry_in, lost.credentials_refused, lost.attempt) == (None, True, 0)
    assert client.finished
    assert client.next_deadline() is None
    client.close(now=100.0)
    client.handle_timeout(now=10_000.0)
    assert list(client.events()) == [], "the end was told already"


def test_a_close_in_order_is_wanted_and_the_last() -> None:
    client = ready()
    list(client.events())
    client.close(now=100.0)
    client.close(now=100.0)
    assert client.state is ClientState.CLOSING
    client.carry()
    (lost,) = client.events()
    assert isinstance(lost, ClientLost)
    assert (lost.code, lost.error, lost.wanted, lost.retry_in) == (1000, None, True, None)
    assert client.finished


@pytest.mark.parametrize("begun", [True, False])
def test_a_close_between_two_connections_ends_at_once_and_is_told_once(begun: bool) -> None:
    client = ready() if begun else Client()
    if begun:
        client.cut()
    client.close(now=100.0)
    client.close(now=100.0)
    (lost,) = client.events()
    assert isinstance(lost, ClientLost)
    assert (lost.code, lost.wanted, lost.retry_in) == (1000, True, None)
    assert (client.finished, client.next_deadline()) == (True, None)


def test_the_last_bytes_of_a_connection_that_ended_can_still_be_written() -> None:
    client = ready()
    client.service.close_connection(code=1012, now=client.now)
    client.receive_data(client.service.data_to_send(now=client.now), now=client.now)
    assert client.control is None
    assert client.data_to_send(now=client.now)[:1] == b"\x88"
    client.receive_data(b"x", now=client.now)
    client.receive_eof(now=client.now)
    client.start(now=client.now)
    assert client.data_to_send(now=client.now) == b""


def test_dropped_frames_are_counted_over_all_connections() -> None:
    client = ready()
    for total in (1, 2, 3):
        client.service.push_raw("{", now=client.now)
        client.carry()
        assert client.bad_frames == total
        client.cut()
        assert client.bad_frames == total
        client.wait()
        client.meet()


def test_a_stream_that_ends_is_a_loss() -> None:
    client = ready()
    list(client.events())
    client.receive_eof(now=client.now)
    (lost,) = client.events()
    assert isinstance(lost, ClientLost)
    assert "\n" not in lost.reason
    assert (lost.code, client.state) == (1006, ClientState.WAITING)
