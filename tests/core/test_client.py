"""What a client does over several control connections."""

import pytest

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client import ClientMachine
from telcoflow_proto.client_events import CallOffered, CallUnreachable, ClaimLost, ClientStatistics, SessionLost
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.connection import ControlServerConnection
from telcoflow_proto.control.events import RequestDone, SetupRequested
from telcoflow_proto.control.messages import (
    CallFlow,
    MessageIn,
    OpenSession,
    SessionClosed,
    SessionInfo,
    SessionNotice,
    Setup,
    SetUpCallFlow,
)
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.limits import Limits
from telcoflow_proto.replies import Outcome
from telcoflow_proto.roles import Role
from tests.core.support import counting, frame
from tests.core.switchboard import CONFIG, Switchboard


def new(**arguments: object) -> Switchboard:
    return Switchboard(ClientMachine(CONFIG, entropy=counting(), **arguments))  # type: ignore[arg-type]


def ready(*, accepting: bool = True, **arguments: object) -> Switchboard:
    board = new(**arguments)
    board.machine.connect(now=board.now)
    if accepting:
        board.machine.accept_calls(now=board.now)
    board.connect()
    board.taken()
    return board


def test_before_it_begins_every_verb_is_harmless() -> None:
    board = new()
    machine = board.machine
    machine.start(now=1)
    machine.receive_data(b"x", now=1)
    machine.receive_eof(now=1)
    machine.fail_transport("x", now=1)
    machine.handle_timeout(now=1)
    assert machine.data_to_send() == b""
    assert machine.next_deadline() is None
    assert machine.closed
    assert not machine.finished
    assert board.taken() == []
    machine.close(now=1)
    assert machine.finished


def test_it_connects_and_sets_up() -> None:
    board = new()
    board.machine.connect(now=100)
    assert [type(one) for one in board.taken()] == [TransportWanted]
    with pytest.raises(LocalProtocolError):
        board.machine.connect(now=100)
    board.connect()
    assert board.taken() == [ClientReady(attempt=0)]
    assert board.machine.state is ClientState.READY
    assert board.machine.next_deadline() == 115


def test_it_sets_up_with_what_is_configured() -> None:
    config = ClientConfig.sandbox(
        api_key="k", connector_uuid="c", base_url="ws://localhost:8080", sample_rate=8000, audio_mode="isolated"
    )
    machine = ClientMachine(config, entropy=counting())
    machine.connect(now=1)
    machine.start(now=1)
    service = ControlServerConnection(entropy=counting())
    service.start(now=1)
    service.receive_data(machine.data_to_send(now=1), now=1)
    service.accept(now=1)
    machine.receive_data(service.data_to_send(now=1), now=1)
    service.receive_data(machine.data_to_send(now=1), now=1)
    setups = [event.setup for event in service.events() if isinstance(event, SetupRequested)]
    assert setups == [Setup(sample_rate=8000, audio_mode="isolated")]


@pytest.mark.parametrize("how", ["no transport", "silent", "eof", "refused"])
def test_a_first_attempt_that_fails_is_the_last(how: str) -> None:
    board = new()
    board.machine.connect(now=100)
    if how == "no transport":
        board.machine.fail_transport("no route", now=100)
    elif how == "silent":
        board.machine.start(now=100)
        board.later(10)
    else:
        board.sets_up = False
        board.connect()
        board.machine.receive_eof(now=100) if how == "eof" else board.close(4401)
    (lost,) = board.taken(ClientLost)
    assert lost.retry_in is None
    assert lost.credentials_refused is (how == "refused")
    assert board.machine.finished


def test_a_call_is_claimed_readied_and_offered_once() -> None:
    board = ready()
    board.calls = 2
    board.notify("s1")
    board.notify("s1")
    (offer,) = board.taken(CallOffered)
    assert (offer.identity.call_id, offer.identity.direction) == ("call-of-s1", "MT")
    statistics = board.machine.statistics()
    assert (statistics.calls_offered, statistics.calls_live, statistics.duplicates) == (1, 1, 1)
    board.machine.release("call-of-s1")
    assert board.machine.statistics().calls_live == 0


def test_everything_is_counted() -> None:
    board = ready(limits=Limits(waiting_notices=1))
    for session in ("s1", "s1", "s2", "s2"):
        board.notify(session)
    board.calls = 0
    for session in ("t1", "t2"):
        board.notify(session)
        board.end.offer_call(board.offer(session, "call-of-s1"), now=board.now)
        board.carry()
    board.claims = "SESSION_BUSY"
    for session in ("s3", "s4"):
        board.notify(session)
    board.machine.release("call-of-s2")
    board.machine.refuse_calls()
    for session in ("s5", "s6", "s7"):
        board.notify(session)
    for _ in range(2):
        board.machine.receive_data(frame(Role.SERVER, 0x81, b"no message at all"), now=board.now)
    board.taken()
    assert board.machine.statistics() == ClientStatistics(
        state=ClientState.READY,
        connections=1,
        calls_offered=2,
        calls_live=1,
        duplicates=4,
        claims_lost=2,
        notices_waiting=1,
        notices_dropped=2,
        bad_frames=2,
    )


def test_the_same_call_id_again_is_no_new_call_while_it_is_remembered() -> None:
    board = ready(limits=Limits(remembered_ids=1))
    for session, call in (("s1", "same"), ("s2", "same"), ("s3", "other"), ("s4", "same")):
        board.calls = 0
        board.notify(session)
        board.end.offer_call(board.offer(session, call), now=board.now)
        board.carry()
        board.machine.release(call)
    assert [one.identity.session_id for one in board.taken(CallOffered)] == ["s1", "s3", "s4"]


def test_a_session_knows_its_calls_until_they_are_released() -> None:
    board = ready()
    board.notify("s1")
    board.end.close_session("s1", "CALL_TERMINATED", now=board.now)
    board.carry()
    board.calls = 0
    board.machine.open_session("s1", now=board.now)
    board.carry()
    board.machine.ready("s1", now=board.now)
    board.carry()
    board.end.offer_call(board.offer("s1", "another"), now=board.now)
    board.carry()
    assert board.machine.calls_of("s1") == ["call-of-s1", "another"]
    board.machine.release("call-of-s1")
    assert board.machine.calls_of("s1") == ["another"]
    board.machine.release("another")
    board.machine.release("another")
    assert board.machine.calls_of("s1") == []


def test_an_id_that_comes_again_in_another_session_leaves_the_first_one_without_it() -> None:
    board = ready(limits=Limits(remembered_ids=1))
    for session, call in (("s1", "same"), ("s2", "other"), ("s3", "same")):
        board.calls = 0
        board.notify(session)
        board.end.offer_call(board.offer(session, call), now=board.now)
        board.carry()
    assert board.machine.calls_of("s1") == []
    assert board.machine.calls_of("s3") == ["same"]


def test_notices_wait_until_somebody_takes_calls_and_old_ones_go_first() -> None:
    board = ready(accepting=False, limits=Limits(waiting_notices=2))
    for session in ("s1", "s2", "s3"):
        board.notify(session)
    board.notify("w", channel="WA")
    board.notify("m", activity="NEW_INCOMING_MESSAGE")
    assert len(board.taken(SessionNotice)) == 5
    assert board.machine.statistics().notices_waiting == 2
    assert board.machine.statistics().notices_dropped == 1
    board.end.close_session("s2", "FORCE_CLOSE", now=board.now)
    board.carry()
    board.machine.accept_calls(now=board.now)
    board.carry()
    assert [one.identity.session_id for one in board.taken(CallOffered)] == ["s3"]
    board.machine.refuse_calls()
    board.notify("s4")
    assert board.taken(CallOffered) == []


def test_a_claim_that_is_lost_is_told() -> None:
    board = ready()
    board.claims = "SESSION_BUSY"
    board.notify("s1")
    (lost,) = board.taken(ClaimLost)
    assert (lost.session_id, lost.error_code) == ("s1", "SESSION_BUSY")
    board.claims = None
    board.notify("s2")
    board.later(4)
    board.carry()
    board.later(27)
    assert board.machine.statistics().claims_lost == 2


def test_a_session_that_ends_right_behind_its_claim_is_not_readied() -> None:
    board = ready()
    board.claims = None
    board.notify("s1")
    (claim,) = [one.id for one in board.end._requests.waiting()]  # noqa: SLF001 - what the service was asked
    board.end.open_succeeded(claim, SessionInfo(id="s1", channel="TELCO"), now=board.now)
    board.end.close_session("s1", "FORCE_CLOSE", now=board.now)
    board.carry()
    assert board.taken(CallOffered, ClaimLost) == []
    assert board.machine.statistics().calls_live == 0


def test_other_requests_are_reported() -> None:
    board = ready()
    control = board.machine.control
    assert control is not None
    control.set_up_call_flow(CallFlow(), now=board.now)
    board.carry()
    assert len(board.taken(RequestDone)) == 1


def test_a_media_url_to_elsewhere_is_told_and_not_used() -> None:
    board = ready()
    board.url = "ws://evil.example/"
    board.notify("s1")
    assert len(board.taken(CallUnreachable)) == 1
    assert board.machine.statistics().calls_live == 0


def test_a_session_that_closes_ends_its_call_and_no_other() -> None:
    board = ready()
    board.notify("s1")
    board.notify("s2")
    first, second = board.taken(CallOffered)
    board.end.close_session("s1", "FORCE_CLOSE", now=board.now)
    board.carry()
    assert len(board.taken(SessionClosed)) == 1
    assert first.media.over
    assert not second.media.over


def test_bad_frames_and_messages_are_passed_on() -> None:
    board = ready()
    board.calls = 0
    board.notify("s1")
    board.end.push_message(MessageIn(session_id="s1", sender=None, content={}), now=board.now)
    board.end._out.append("garbage")  # noqa: SLF001 - what no honest service says
    board.carry()
    assert [type(one) for one in board.taken(MessageIn, FrameDropped)] == [MessageIn, FrameDropped]
    board.machine.fail_transport("cut", now=board.now)
    assert board.machine.statistics().bad_frames == 1


def test_a_lost_connection_comes_back_later_and_later() -> None:
    board = ready(backoff=Backoff(first=1, ceiling=4))
    board.later(10)
    waits: list[float] = []
    board.machine.fail_transport("cut", now=board.now)
    for _ in range(4):
        (lost,) = board.taken(ClientLost)
        assert lost.retry_in is not None
        assert board.machine.next_deadline() == board.now + lost.retry_in
        waits.append(lost.retry_in)
        board.later(lost.retry_in)
        assert board.machine.state is ClientState.RECONNECTING
        board.machine.fail_transport("cut", now=board.now)
    assert all(1 <= wait <= 4 for wait in waits)
    (lost,) = board.taken(ClientLost)
    assert lost.attempt == 5
    board.later(10)
    board.connect()
    assert board.taken(ClientReady) == [ClientReady(attempt=5)]
    board.later(1)
    board.machine.fail_transport("cut", now=board.now)
    assert board.taken(ClientLost)[0].attempt == 6


def test_a_connection_that_served_for_a_while_starts_the_count_afresh() -> None:
    board = ready(backoff=Backoff(healthy_after=5))
    board.later(6)
    board.machine.fail_transport("cut", now=board.now)
    assert board.taken(ClientLost)[0].attempt == 1


def test_a_call_outlives_its_control_connection_and_is_not_claimed_twice() -> None:
    board = ready()
    board.notify("s1")
    (offer,) = board.taken(CallOffered)
    board.machine.fail_transport("cut", now=board.now)
    board.machine.accept_calls(now=board.now)
    board.later(2)
    board.connect()
    board.notify("s1", activity="RESUME")
    assert board.taken(CallOffered) == []
    assert not offer.media.over


def test_a_handler_that_comes_while_there_is_no_connection_claims_nothing_yet() -> None:
    board = ready(accepting=False)
    board.notify("s1")
    board.machine.fail_transport("cut", now=board.now)
    board.machine.accept_calls(now=board.now)
    assert board.taken(CallOffered) == []


@pytest.mark.parametrize("when", ["connecting", "ready", "waiting"])
def test_closing_ends_it_wherever_it_stands(when: str) -> None:
    board = new()
    board.machine.connect(now=board.now)
    if when != "connecting":
        board.connect()
    if when == "waiting":
        board.machine.fail_transport("cut", now=board.now)
    board.taken()
    board.machine.close(now=board.now)
    board.machine.close(now=board.now)
    board.carry()
    board.machine.receive_eof(now=board.now)
    assert all(one.wanted for one in board.taken(ClientLost))
    assert board.machine.finished
    assert board.machine.next_deadline() is None


def test_closing_while_the_set_up_is_under_way() -> None:
    board = new()
    board.machine.connect(now=board.now)
    board.sets_up = False
    board.connect()
    board.machine.close(now=board.now)
    board.end.complete_setup(now=board.now)
    board.carry()
    assert board.taken(ClientReady) == []
    assert board.machine.finished


# ------------------------------------------------------------------ what the application holds


def holding(*sessions: str, readied: bool = True, **arguments: object) -> Switchboard:
    """A client that has message sessions of its own."""
    board = ready(accepting=True, **arguments)
    board.channel, board.calls = "WA", 0
    for session in sessions:
        board.machine.open_session(session, now=board.now)
        board.carry()
        if readied:
            board.machine.ready(session, now=board.now)
            board.carry()
    board.asked.clear()
    board.readied.clear()
    board.taken()
    return board


def cut(board: Switchboard) -> None:
    board.machine.fail_transport("cut", now=board.now)
    board.later(30)


def test_requests_need_a_connection_that_is_set_up() -> None:
    board = new()
    board.machine.connect(now=board.now)
    for ask in (
        lambda: board.machine.open_session("s1", now=1),
        lambda: board.machine.create_session(channel="WA", remote_address="+1", now=1),
        lambda: board.machine.ready("s1", now=1),
        lambda: board.machine.send_message("s1", {}, now=1),
        lambda: board.machine.set_up_call_flow(CallFlow(), now=1),
    ):
        with pytest.raises(LocalProtocolError, match="the client is connecting"):
            ask()


def test_a_claim_that_is_lost_with_the_connection_is_tried_again_on_the_next() -> None:
    board = holding("s1")
    cut(board)
    board.claims = None
    board.connect()
    assert board.asked == [OpenSession(session_id="s1")]
    cut(board)
    assert board.taken(SessionLost) == [], "nobody has said that it is lost"
    board.claims = "give"
    board.connect()
    assert board.asked == [OpenSession(session_id="s1")] * 2
    assert board.readied == ["s1"]


def test_a_claim_that_is_not_answered_in_time_is_given_up() -> None:
    board = holding("s1")
    cut(board)
    board.claims = None
    board.connect()
    for _ in range(7):
        board.later(5)
        board.carry()
    assert board.taken(SessionLost) == [SessionLost(session_id="s1")]


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.REFUSED])
def test_a_session_that_closes_while_it_is_claimed_again_is_closed_and_no_more(outcome: Outcome) -> None:
    board = holding("s1")
    cut(board)
    board.claims = None
    board.connect()
    (claim,) = board.end._requests.waiting()  # noqa: SLF001 - what the service was asked
    board.end._out.append('{"type": "session.closed", "sessionId": "s1", "reason": "FORCE_CLOSE"}')  # noqa: SLF001
    board.carry()
    if outcome is Outcome.DONE:
        board.end.open_succeeded(claim.id, SessionInfo(id="s1", channel="WA"), now=board.now)
    else:
        board.end.refuse(claim.id, error_code="SESSION_CLOSED", now=board.now)
    board.carry()
    assert len(board.taken(SessionClosed)) == 1
    assert board.taken(SessionLost) == []
    assert board.readied == []
    cut(board)
    board.claims = "give"
    board.connect()
    assert board.asked == [OpenSession(session_id="s1")], "it is not claimed a third time"


def test_more_sessions_than_may_be_asked_for_at_once_are_claimed_as_answers_come() -> None:
    names = [f"s{number}" for number in range(10)]
    board = holding(*names, limits=Limits(pending_requests=3))
    board.machine.set_up_call_flow(CallFlow(), now=board.now)
    board.carry()
    board.asked.clear()
    cut(board)
    board.connect()
    assert board.asked == [SetUpCallFlow(flow=CallFlow()), *(OpenSession(session_id=name) for name in names)]
    assert board.readied == names
    assert board.taken(SessionLost) == []


def test_a_session_that_closes_before_its_turn_comes_is_not_claimed() -> None:
    board = holding("s1", "s2", limits=Limits(pending_requests=1))
    cut(board)
    board.claims = None
    board.connect()
    board.end.notify(SessionNotice(session_id="s2", channel="WA", activity="RESUME"), now=board.now)
    board.end.close_session("s2", "FORCE_CLOSE", now=board.now)
    (claim,) = board.end._requests.waiting()  # noqa: SLF001 - what the service was asked
    board.end.open_succeeded(claim.id, SessionInfo(id="s1", channel="WA"), now=board.now)
    board.carry()
    assert board.asked == [OpenSession(session_id="s1")]
    assert board.readied == ["s1"]


def flood(board: Switchboard, count: int) -> None:
    """Announce many calls in one breath."""
    for number in range(count):
        notice = SessionNotice(session_id=f"s{number}", channel="TELCO", activity="NEW_INCOMING_CALL")
        board.end.notify(notice, now=board.now)
    board.carry()


def test_a_flood_of_notices_never_raises_and_the_oldest_go_first() -> None:
    board = ready(limits=Limits(pending_requests=3, waiting_notices=5))
    board.claims = None
    flood(board, 10)
    assert len(board.asked) == 3
    assert (board.machine.statistics().notices_waiting, board.machine.statistics().notices_dropped) == (5, 2)


def test_every_call_of_a_burst_is_claimed_in_its_turn() -> None:
    board = ready(limits=Limits(pending_requests=3))
    flood(board, 10)
    assert [one.identity.session_id for one in board.taken(CallOffered)] == [f"s{number}" for number in range(10)]
    assert (board.machine.statistics().notices_waiting, board.machine.statistics().notices_dropped) == (0, 0)


def test_what_waits_for_its_turn_is_announced_again_after_a_reconnect() -> None:
    board = ready(limits=Limits(pending_requests=1))
    board.claims = None
    flood(board, 3)
    cut(board)
    assert board.machine.statistics().notices_waiting == 0
    board.connect()
    assert board.asked == [OpenSession(session_id="s0")]


def test_a_connection_that_closes_in_the_bytes_of_its_set_up_claims_nothing() -> None:
    board = holding("s1")
    cut(board)
    board.sets_up = False
    board.connect()
    board.end.complete_setup(now=board.now)
    board.end.close_connection(code=1012, now=board.now)
    board.carry()
    assert board.taken(SessionLost) == []
    assert board.asked == []
    board.sets_up = True
    board.later(30)
    board.connect()
    assert board.readied == ["s1"]


@pytest.mark.parametrize(("created", "direction"), [("new", "MO"), ("exists", "MT")])
def test_a_call_is_outgoing_if_its_session_was_made_by_us(created: str, direction: str) -> None:
    board = ready()
    board.creates = created
    board.machine.create_session(channel="TELCO", remote_address="+1", now=board.now)
    board.carry()
    board.notify("out")
    (offer,) = board.taken(CallOffered)
    assert offer.identity.direction == direction


def test_a_session_that_was_closed_elsewhere_is_not_ours_any_more() -> None:
    board = ready()
    board.machine.create_session(channel="TELCO", remote_address="+1", now=board.now)
    board.carry()
    board.machine.forget_session("out")
    board.notify("out")
    (offer,) = board.taken(CallOffered)
    assert offer.identity.direction == "MT"


def test_a_call_speaks_as_it_is_configured() -> None:
    config = ClientConfig.sandbox(
        api_key="k", connector_uuid="c", base_url="ws://localhost:8080", sample_rate=8000, buffer_size=4096
    )
    board = Switchboard(ClientMachine(config, entropy=counting()))
    board.machine.connect(now=board.now)
    board.machine.accept_calls(now=board.now)
    board.connect()
    board.notify("s1")
    (offer,) = board.taken(CallOffered)
    assert (offer.media.sample_rate, offer.media.capacity) == (8000, 4096)
