"""What a RELAY client does over several connections."""

from typing import Any

import attrs
import pytest

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.relay.client_events import (
    ActionEnd,
    ActionOver,
    CallOver,
    CallReceived,
    CallTold,
    DialOver,
    MessageArrived,
    MessageTold,
)
from telcoflow_proto.relay.machine import RelayMachine
from telcoflow_proto.relay.messages import Replied
from telcoflow_proto.relay.methods import PLAY
from telcoflow_proto.relay.table import RelayState
from telcoflow_proto.replies import Outcome
from telcoflow_proto.secret import Secret
from tests.relay.office import PROJECT, TOKEN, Office, chance, config, machine, played, ready, with_call

NEVER: JsonObject = {"n": 10**5000}


def request(office: Office, method: str = "calling.answer", **params: Any) -> str:
    request_id = office.machine.request(method, params, now=office.now)
    office.carry()
    return request_id


def outcomes(office: Office) -> dict[str, Outcome]:
    return {one.request_id: one.outcome for one in office.taken(Replied)}


# -------------------------------------------------------------------------------------------- one life


def test_before_it_begins_every_verb_is_harmless() -> None:
    office = machine()
    relay = office.machine
    relay.start(now=1)
    relay.receive_data(b"x", now=1)
    relay.receive_eof(now=1)
    relay.fail_transport("x", now=1)
    relay.handle_timeout(now=1)
    relay.give_up_dial("nothing", now=1)
    relay.hang_up("nothing", now=1)
    assert relay.data_to_send() == b""
    assert relay.next_deadline() is None
    assert relay.closed
    assert not relay.finished
    assert relay.contexts == ["office"]
    assert office.taken() == []
    with pytest.raises(LocalProtocolError, match="no connection: the client is idle"):
        relay.request("calling.answer", {}, now=1)
    relay.close(now=1)
    assert relay.finished
    assert [type(one) for one in office.taken()] == [ClientLost]


def test_it_connects_and_says_who_it_is() -> None:
    office = machine()
    office.machine.connect(now=100)
    with pytest.raises(LocalProtocolError):
        office.machine.connect(now=100)
    office.open()
    assert [type(one) for one in office.taken()] == [TransportWanted, ClientReady]
    (said,) = office.connects
    assert said.credentials.project == Secret(PROJECT)
    assert said.credentials.token == Secret(TOKEN)
    assert (said.contexts, said.resumption.protocol, said.resumption.authorization_state) == (("office",), "", None)
    assert (office.machine.protocol, office.machine.restored) == ("session-1", False)
    assert office.machine.state is ClientState.READY
    assert office.machine.statistics().connections == 1


def test_a_request_is_answered() -> None:
    office = ready()
    office.answers["calling.answer"] = {"code": "200", "more": 1}
    request_id = request(office, call_id="c")
    assert office.asked_for("calling.answer") == [{"call_id": "c"}]
    (replied,) = office.taken(Replied)
    assert (replied.request_id, replied.outcome, replied.result) == (
        request_id,
        Outcome.DONE,
        {"code": "200", "more": 1},
    )


def test_a_request_that_times_out_harms_nothing_else() -> None:
    office = ready()
    office.answers["slow"] = None
    slow = request(office, "slow")
    office.later(9)
    other = request(office, "other")
    office.later(1)
    assert outcomes(office) == {slow: Outcome.TIMED_OUT, other: Outcome.DONE}
    office.answer("slow")
    assert office.taken() == []
    assert office.machine.state is ClientState.READY


def test_closing_ends_in_order() -> None:
    office = ready()
    office.machine.close(now=office.now)
    office.machine.close(now=office.now)
    assert office.machine.state is ClientState.CLOSING
    office.carry()
    assert office.machine.finished
    (lost,) = office.taken(ClientLost)
    assert (lost.wanted, lost.retry_in, lost.code) == (True, None, 1000)
    with pytest.raises(LocalProtocolError, match="the client is closed"):
        request(office)


def test_closing_while_it_waits_ends_at_once() -> None:
    office = ready().drop()
    office.machine.close(now=office.now)
    assert office.machine.finished
    assert office.machine.next_deadline() is None
    lost = office.taken(ClientLost)
    assert [one.retry_in is None for one in lost] == [False, True]


def test_closing_before_the_stream_is_open_ends_at_once() -> None:
    office = machine()
    office.machine.connect(now=office.now)
    office.machine.close(now=office.now)
    assert office.machine.finished


# -------------------------------------------------------------------------------------------- sessions


def test_a_session_is_resumed_with_its_protocol_and_its_authorization_state() -> None:
    office = ready()
    office.tell("signalwire.authorization.state", authorization_state="opaque")
    office.comes_back()
    said = office.connects[-1]
    assert said.resumption.protocol == "session-1"
    assert said.resumption.authorization_state == Secret("opaque")
    assert office.machine.restored
    assert office.taken(CallTold, DialOver, FrameDropped) == []


def test_an_empty_authorization_state_changes_nothing() -> None:
    office = ready()
    office.tell("signalwire.authorization.state", authorization_state="opaque")
    office.tell("signalwire.authorization.state", authorization_state="")
    assert office.comes_back().connects[-1].resumption.authorization_state == Secret("opaque")


def test_a_restart_forgets_both() -> None:
    office = ready()
    office.tell("signalwire.authorization.state", authorization_state="opaque")
    office.end.ask_to_leave(restart=True, now=office.now)
    office.carry().later(2)
    office.reconnect()
    said = office.connects[-1]
    assert (said.resumption.protocol, said.resumption.authorization_state) == ("", None)
    assert office.machine.protocol == "session-2"


def test_leaving_without_a_restart_keeps_both() -> None:
    office = ready()
    office.end.ask_to_leave(restart=False, now=office.now)
    office.carry()
    request_id = request(office)
    assert office.machine.statistics().requests_queued == 1, "the service hears nothing more on this connection"
    office.later(2)
    office.reconnect()
    assert office.connects[-1].resumption.protocol == "session-1"
    assert outcomes(office) == {request_id: Outcome.DONE}


def test_a_refused_resumption_tries_afresh_and_is_not_held_against_the_credentials() -> None:
    office = ready().drop()
    office.lets_in = (-32002, "unknown session")
    office.reconnect()
    assert office.machine.refusal is None
    assert not any(one.credentials_refused for one in office.taken(ClientLost))
    office.lets_in = True
    office.reconnect()
    assert [one.resumption.protocol for one in office.connects] == ["", "session-1", ""]
    assert office.machine.state is ClientState.READY


# -------------------------------------------------------------------------------------------- refusals, back-off


@pytest.mark.parametrize("code", [-32001, -32002, -32003, -32401])
def test_refused_credentials_stop_it_after_three(code: int) -> None:
    office = machine()
    office.lets_in = (code, "who are you?")
    office.connect().reconnect().reconnect()
    assert office.machine.finished
    lost = office.taken(ClientLost)
    assert [one.credentials_refused for one in lost] == [True, True, True]
    assert lost[-1].retry_in is None
    refusal = office.machine.refusal
    assert refusal is not None
    assert (refusal.code, refusal.message) == (code, "who are you?")
    assert office.machine.next_deadline() is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_upgrade_counts_as_refused_credentials(status: int) -> None:
    office = machine()
    office.rejects = status
    office.connect().reconnect().reconnect()
    assert office.machine.finished
    assert office.taken(ClientLost)[-1].credentials_refused


def test_what_is_transient_does_not_count_as_refused() -> None:
    office = machine()
    office.lets_in = (-32005, "later")
    office.connect().reconnect()
    office.lets_in = (-32002, "who are you?")
    office.reconnect().reconnect()
    assert not office.machine.finished
    assert office.reconnect().machine.finished


def test_refused_credentials_never_stop_it_after_the_first_success() -> None:
    office = ready().drop()
    office.lets_in = (-32002, "who are you?")
    for _ in range(10):
        office.reconnect()
    assert not office.machine.finished
    office.lets_in = True
    assert office.reconnect().machine.state is ClientState.READY
    assert office.machine.refusal is None


@pytest.mark.parametrize("how", ["capacity", "silence", "drop", "503", "no transport"])
def test_everything_else_is_transient(how: str) -> None:
    office = machine()
    match how:
        case "capacity":
            office.lets_in = (-32005, "later")
        case "503":
            office.rejects = 503
        case _:
            office.lets_in = None
    office.machine.connect(now=office.now)
    for _ in range(6):
        if how == "no transport":
            office.machine.fail_transport("no route", now=office.now)
        else:
            office.open()
        if how == "drop":
            office.drop()
        office.next_attempt()
    lost = office.taken(ClientLost)
    assert len(lost) == 6
    assert not any(one.credentials_refused for one in lost)
    office.lets_in, office.rejects = True, None
    assert office.open().machine.state is ClientState.READY


def test_the_waits_are_drawn_and_grow_up_to_the_ceiling() -> None:
    office = machine(backoff=Backoff(first=1.0, ceiling=30.0))
    office.lets_in = None
    office.machine.connect(now=office.now)
    waits = []
    for _ in range(10):
        office.machine.fail_transport("no", now=office.now)
        (lost,) = office.taken(ClientLost)
        waits.append(lost.retry_in)
        office.later(30)
    assert all(1.0 <= wait <= min(30.0, 10 * 1.5**place) for place, wait in enumerate(waits))
    assert len(set(waits)) == len(waits), "no two are the same: the whole crowd must not come back at once"
    assert max(waits) > 8


def test_accept_then_close_does_not_begin_the_count_afresh() -> None:
    office = ready()
    for attempt in (1, 2, 3):
        office.drop()
        (lost,) = office.taken(ClientLost)
        assert lost.attempt == attempt
        office.reconnect()
        office.later(29)


def test_a_connection_that_served_well_begins_the_count_afresh() -> None:
    office = ready().comes_back().comes_back()
    office.taken()
    office.later(30)
    office.drop()
    (lost,) = office.taken(ClientLost)
    assert lost.attempt == 1


def test_a_service_that_falls_silent_is_noticed_in_twenty_seconds() -> None:
    office = ready().vanish().later(20)
    (lost,) = office.taken(ClientLost)
    assert lost.retry_in is not None


# -------------------------------------------------------------------------------------------- contexts


def test_contexts_added_at_run_time_are_in_the_next_connect() -> None:
    office = ready()
    assert office.machine.receive(["sales", "office", "sales"], now=office.now) is not None
    office.carry()
    assert office.asked_for("signalwire.receive") == [{"contexts": ["sales", "office"]}]
    assert office.comes_back().connects[-1].contexts == ("office", "sales")


def test_refused_contexts_are_not() -> None:
    office = ready()
    office.answers["signalwire.receive"] = 403
    office.machine.receive(["sales", "office"], now=office.now)
    office.carry()
    assert office.machine.contexts == ["office"]
    assert office.comes_back().connects[-1].contexts == ("office",)


def test_contexts_whose_answer_is_lost_are_in_the_next_connect() -> None:
    office = ready()
    office.answers["signalwire.receive"] = None
    office.machine.receive(["sales"], now=office.now)
    office.carry()
    assert office.comes_back().connects[-1].contexts == ("office", "sales")


def test_contexts_that_were_given_up_are_not_in_the_next_connect() -> None:
    office = ready(contexts=("office", "sales"))
    assert office.machine.unreceive(["sales"], now=office.now) is not None
    office.carry()
    assert office.asked_for("signalwire.unreceive") == [{"contexts": ["sales"]}]
    assert office.comes_back().connects[-1].contexts == ("office",)


def test_no_contexts_are_no_request() -> None:
    office = ready()
    assert office.machine.receive([], now=office.now) is None
    assert office.machine.unreceive([], now=office.now) is None
    assert office.carry().methods == []


def test_contexts_that_cannot_be_asked_for_change_nothing() -> None:
    office = machine()
    for ask in (office.machine.receive, office.machine.unreceive):
        with pytest.raises(LocalProtocolError):
            ask(["office", "sales"], now=office.now)
    assert office.machine.contexts == ["office"]


# -------------------------------------------------------------------------------------------- the queue


def test_requests_wait_for_a_connection_in_order() -> None:
    office = ready().drop()
    ids = [office.machine.request(f"m{number}", {"n": number}, now=office.now) for number in range(20)]
    assert office.machine.statistics().requests_queued == 20
    office.reconnect()
    assert office.methods == [f"m{number}" for number in range(20)]
    assert outcomes(office) == dict.fromkeys(ids, Outcome.DONE)
    assert office.machine.statistics().requests_queued == 0


def test_they_are_sent_only_after_authentication() -> None:
    office = machine()
    office.machine.connect(now=office.now)
    request_id = office.machine.request("early", {}, now=office.now)
    office.lets_in = None
    office.open()
    assert office.methods == []
    office.end.authenticate(protocol="p", now=office.now)
    office.carry()
    assert office.methods == ["early"]
    assert outcomes(office) == {request_id: Outcome.DONE}


def test_a_queued_request_expires_alone_and_harms_no_connection() -> None:
    office = ready().drop()
    office.later(0.1)
    old = office.machine.request("old", {}, now=office.now)
    while office.machine.state is not ClientState.RECONNECTING:
        office.later(0.1)
    office.lets_in = None
    office.open()
    office.later(9)
    young = office.machine.request("young", {}, now=office.now)
    office.later(0.9)
    assert outcomes(office) == {old: Outcome.TIMED_OUT}
    assert office.machine.state is ClientState.RECONNECTING
    office.end.authenticate(protocol="session-1", now=office.now)
    office.carry()
    assert outcomes(office) == {young: Outcome.DONE}
    assert office.methods == ["young"]


def test_a_request_has_no_more_time_because_it_waited() -> None:
    office = ready().drop()
    office.answers["m"] = None
    asked_at = office.now
    request_id = office.machine.request("m", {}, now=asked_at)
    office.reconnect().later(asked_at + 9.9 - office.now)
    assert outcomes(office) == {}
    office.later(0.2)
    assert outcomes(office) == {request_id: Outcome.TIMED_OUT}


def test_what_expired_unnoticed_is_not_sent_when_the_connection_is_back() -> None:
    office = ready().drop()
    old = office.machine.request("old", {}, now=office.now)
    office.machine.handle_timeout(now=office.now + 9)
    office.now += 11  # the alarm is late
    office.open()
    assert office.methods == []
    assert outcomes(office) == {old: Outcome.TIMED_OUT}


def test_the_501st_is_refused_and_only_the_live_ones_count() -> None:
    office = ready().drop()
    for _ in range(500):
        office.machine.request("m", {}, now=office.now)
    with pytest.raises(LocalProtocolError, match="Execute queue full"):
        office.machine.request("m", {}, now=office.now)
    with pytest.raises(LocalProtocolError, match="Execute queue full"):
        office.machine.dial({}, tag="t", now=office.now)
    assert len(outcomes(office)) == 0
    office.later(11)
    assert len(outcomes(office)) == 500
    assert office.machine.statistics().requests_queued == 0
    office.machine.request("m", {}, now=office.now)


def test_no_more_wait_than_one_connection_may_carry() -> None:
    office = ready(limits=attrs.evolve(RELAY_LIMITS, pending_requests=3)).drop()
    for _ in range(3):
        office.machine.request("m", {}, now=office.now)
    with pytest.raises(LocalProtocolError, match="Execute queue full"):
        office.machine.request("m", {}, now=office.now)
    assert office.reconnect().methods == ["m"] * 3


def test_the_queue_survives_several_failed_attempts() -> None:
    office = ready(backoff=Backoff(first=0.1, ceiling=0.2)).drop()
    request_id = office.machine.request("m", {}, now=office.now)
    office.lets_in = (-32005, "later")
    for _ in range(5):
        office.reconnect()
    office.lets_in = True
    office.reconnect()
    assert outcomes(office) == {request_id: Outcome.DONE}


def test_the_queue_survives_a_connection_that_ends_in_the_bytes_that_open_it() -> None:
    office = ready().drop()
    request_id = office.machine.request("m", {}, now=office.now)
    office.lets_in = None
    office.reconnect()
    office.end.authenticate(protocol="session-1", now=office.now)
    office.end.ask_to_leave(restart=False, now=office.now)
    office.carry()
    assert office.methods == []
    office.later(2)
    office.lets_in = True
    office.reconnect()
    assert outcomes(office) == {request_id: Outcome.DONE}


def test_a_request_under_way_is_lost_with_its_connection() -> None:
    office = ready()
    office.answers["m"] = None
    request_id = request(office, "m")
    office.drop()
    assert outcomes(office) == {request_id: Outcome.LOST}


def test_what_json_cannot_say_is_told_at_once_and_not_when_the_connection_is_back() -> None:
    office = with_call()
    for _ in range(2):
        before = office.machine.statistics()
        with pytest.raises(ValueError, match="digits"):
            office.machine.request("m", NEVER, now=office.now)
        with pytest.raises(ValueError, match="digits"):
            office.machine.dial(NEVER, tag="t", now=office.now)
        with pytest.raises(ValueError, match="digits"):
            office.machine.start_action(
                call_id="c1", method="calling.play", params=NEVER, control_id="p", kind=PLAY, now=office.now
            )
        assert office.machine.statistics() == before
        office.drop()
    office.reconnect()
    assert office.taken(ActionOver, DialOver, Replied) == []


# -------------------------------------------------------------------------------------------- calls over outages


def test_calls_and_their_actions_survive_a_restored_session() -> None:
    office = with_call()
    office.play()
    office.comes_back()
    assert office.taken(CallOver, ActionOver) == []
    office.tell("calling.call.play", played("finished"))
    assert [one.end for one in office.taken(ActionOver)] == [ActionEnd.COMPLETED]
    office.state("c1", "ended")
    assert len(office.taken(CallOver)) == 1


def test_a_session_that_is_not_restored_ends_the_actions_and_keeps_the_calls() -> None:
    office = with_call()
    office.play()
    office.comes_back(restored=False)
    (over,) = office.taken(ActionOver)
    assert (over.control_id, over.end, over.payload) == (
        "p1",
        ActionEnd.CONNECTION_LOST,
        {"event_type": "", "params": {"reason": "connection lost"}},
    )
    assert office.machine.call("c1") is not None
    assert office.machine.statistics().actions_live == 0


def test_what_was_begun_while_the_session_was_away_is_not_lost_with_it() -> None:
    office = with_call()
    office.drop()
    office.play()
    office.dial("t1")
    office.reconnect(restored=False)
    assert office.taken(ActionOver, DialOver) == []
    assert [one for one in office.methods if one != "calling.clear_digit_bindings"] == ["calling.play", "calling.dial"]
    office.tell("calling.call.play", played("finished"))
    office.dialled("answered", "w")
    assert [type(one) for one in office.taken(ActionOver, DialOver)] == [ActionOver, DialOver]


def test_a_session_that_is_not_restored_gives_up_the_dials_and_hangs_up_what_rings() -> None:
    office = ready().dial().leg("l1")
    office.comes_back(restored=False)
    (over,) = office.taken(DialOver)
    assert (over.call, over.reason) == (None, "the session with the service was lost")
    assert [one["call_id"] for one in office.asked_for("calling.end")] == ["l1"]


def test_a_leg_that_names_no_project_is_of_ours() -> None:
    record = ready().dial().leg("l1").machine.call("l1")
    assert record is not None
    assert record.project_id == PROJECT


def test_a_dial_goes_on_over_a_restored_session() -> None:
    office = ready().dial().comes_back().leg("l1").dialled("answered", "l1")
    (over,) = office.taken(DialOver)
    assert over.call is office.machine.call("l1")


def test_calls_are_probed_after_every_outage() -> None:
    for restored in (True, False):
        office = ready(backoff=Backoff(first=0.1, ceiling=0.1)).ring("c1").ring("c2")
        office.comes_back(restored=restored)
        probes = office.asked_for("calling.clear_digit_bindings")
        assert [(one["node_id"], one["call_id"]) for one in probes] == [("n1", "c1"), ("n1", "c2")]
        assert all(one["realm"] for one in probes)
        assert office.taken(Replied) == [], "nobody asked for it"
        office.later(59.9)
        assert office.asked_for("calling.clear_digit_bindings") == []
        office.later(0.2)
        assert len(office.asked_for("calling.clear_digit_bindings")) == (0 if restored else 2)


@pytest.mark.parametrize("code", [404, 410])
def test_a_call_whose_end_was_lost_is_found_gone_and_frees_its_place(code: int) -> None:
    office = with_call(most=1)
    office.play()
    office.answers["calling.clear_digit_bindings"] = code
    office.comes_back(restored=True)
    told = office.taken(ActionOver, CallTold, CallOver)
    assert [type(one) for one in told] == [ActionOver, CallTold, CallOver]
    assert told[0].end is ActionEnd.CALL_GONE
    assert told[1].payload == told[2].payload
    assert told[2].payload == {
        "event_type": "calling.call.state",
        "params": {"call_id": "c1", "call_state": "ended", "end_reason": "notFound"},
    }
    office.ring("c2")
    assert len(office.taken(CallReceived)) == 1
    assert office.machine.statistics().calls_turned_away == 0


def test_a_probe_that_fails_otherwise_ends_no_call() -> None:
    office = with_call()
    office.answers["calling.clear_digit_bindings"] = 500
    office.comes_back()
    office.answers["calling.clear_digit_bindings"] = None
    office.comes_back().later(15)
    assert office.machine.call("c1") is not None
    assert office.taken(CallOver, Replied) == []


def test_a_call_that_is_adrift_is_found_gone_a_minute_later() -> None:
    office = with_call()
    office.comes_back(restored=False)
    office.answers["calling.clear_digit_bindings"] = 404
    office.later(61)
    assert len(office.taken(CallOver)) == 1
    office.methods  # noqa: B018 - takes them
    office.later(200)
    assert office.methods == []


def test_who_sleeps_until_the_next_deadline_looks_for_calls_adrift_in_time() -> None:
    office = with_call().comes_back(restored=False)
    assert len(office.asked_for("calling.clear_digit_bindings")) == 1
    began = office.now
    while not office.asked_for("calling.clear_digit_bindings"):
        due = office.machine.next_deadline()
        assert due is not None
        office.later(due - office.now)
    assert office.now - began == 60


def test_a_call_that_cannot_be_probed_now_is_left_alone() -> None:
    office = with_call(limits=attrs.evolve(RELAY_LIMITS, pending_requests=1)).drop()
    office.answers["m"] = None
    office.machine.request("m", {}, now=office.now)
    office.reconnect()
    assert office.methods == ["m"]
    assert office.machine.call("c1") is not None


def test_the_probes_of_a_connection_that_is_lost_begin_anew_on_the_next() -> None:
    office = ready()
    for number in range(20):
        office.ring(f"c{number}")
    office.answers["calling.clear_digit_bindings"] = None
    office.comes_back()
    assert len(office.asked_for("calling.clear_digit_bindings")) == 16
    office.answers["calling.clear_digit_bindings"] = 200
    office.comes_back()
    assert len(office.asked_for("calling.clear_digit_bindings")) == 20


def test_nothing_waits_longer_than_five_minutes_without_a_connection() -> None:
    office = with_call()
    office.play()
    office.dial("t1", within=10_000).leg("l1")
    office.drop()
    office.later(299)
    assert office.taken(ActionOver, CallOver, DialOver) == []
    office.later(1)
    request_id = office.machine.request("m", {}, now=office.now)
    told = office.taken(ActionOver, CallOver, DialOver)
    assert [type(one) for one in told] == [DialOver, ActionOver, CallOver, CallOver]
    assert told[1].end is ActionEnd.CONNECTION_LOST
    assert told[2].payload["params"]["end_reason"] == "connection lost"
    statistics = office.machine.statistics()
    assert (statistics.calls_live, statistics.actions_live) == (0, 0)
    office.reconnect()
    assert outcomes(office) == {request_id: Outcome.DONE}


def test_five_minutes_are_counted_from_the_loss_and_not_from_the_last_attempt() -> None:
    office = with_call().drop()
    office.lets_in = None
    began = office.now
    while office.machine.call("c1") is not None:
        if office.machine.state is ClientState.RECONNECTING and not office.online:
            office.open()
        office.later(1)
    assert 300 <= office.now - began <= 301


def test_a_service_that_wants_us_to_wait_longer_is_waited_for() -> None:
    office = machine()
    office.machine.connect(now=office.now)
    office.machine.start(now=office.now)
    answer = b"HTTP/1.1 503 No\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"
    office.machine.receive_data(answer, now=office.now)
    (lost,) = office.taken(ClientLost)
    assert lost.retry_in == 120


def test_disconnecting_ends_everything_with_a_reason() -> None:
    office = with_call()
    office.play()
    office.taken()
    office.answers["m"] = None
    pending = request(office, "m")
    office.dial("t1").leg("l1")
    office.machine.close(now=office.now)
    office.carry()
    told = office.taken(ActionOver, CallOver, DialOver, Replied)
    assert [type(one) for one in told] == [DialOver, ActionOver, CallOver, CallOver, Replied]
    assert told[0].reason == "disconnected"
    assert told[1].end is ActionEnd.DISCONNECTED
    assert told[2].payload["params"]["end_reason"] == "disconnected"
    assert (told[4].request_id, told[4].outcome) == (pending, Outcome.LOST)
    assert [one["call_id"] for one in office.asked_for("calling.end")] == ["l1"], "said before the connection closes"
    assert office.machine.statistics().calls_live == 0


def test_disconnecting_while_offline_ends_everything_too() -> None:
    office = with_call()
    office.play()
    office.drop().taken()
    queued = office.machine.request("m", {}, now=office.now)
    office.dial("t1")
    office.machine.close(now=office.now)
    told = office.taken(ActionOver, CallOver, DialOver, Replied)
    assert [type(one) for one in told] == [DialOver, Replied, ActionOver, CallOver]
    assert (told[1].request_id, told[1].outcome) == (queued, Outcome.LOST)
    assert office.machine.next_deadline() is None


def test_credentials_that_are_refused_for_good_end_what_waited_for_them() -> None:
    office = machine(backoff=Backoff(first=0.1, ceiling=0.1))
    office.lets_in = (-32002, "no")
    office.machine.connect(now=office.now)
    request_id = office.machine.request("m", {}, now=office.now)
    office.open().reconnect().reconnect()
    assert outcomes(office) == {request_id: Outcome.LOST}


# -------------------------------------------------------------------------------------------- events


def test_an_event_that_is_redelivered_is_told_once_on_the_next_connection_too() -> None:
    office = with_call()
    params: JsonObject = {"call_id": "c1", "state": "x"}
    event_id = office.put("calling.call.echo", params)
    office.carry()
    office.end.push("calling.call.echo", params, event_id=event_id, now=office.now)
    office.carry().comes_back()
    office.end.push("calling.call.echo", params, event_id=event_id, now=office.now)
    office.carry()
    assert len(office.taken(CallTold)) == 1
    assert office.acknowledged.count(event_id) == 3, "it is acknowledged all the same"
    assert office.machine.statistics().duplicates == 2


def test_only_so_many_events_are_remembered() -> None:
    office = with_call(limits=attrs.evolve(RELAY_LIMITS, remembered_ids=2))
    for event_id in ("a", "b", "c", "a"):
        office.end.push("calling.call.echo", {"call_id": "c1"}, event_id=event_id, now=office.now)
    office.carry()
    assert len(office.taken(CallTold)) == 4


def test_an_event_without_an_id_is_never_taken_for_a_repetition() -> None:
    office = with_call()
    text = (
        '{"jsonrpc": "2.0", "method": "signalwire.event", '
        '"params": {"event_type": "calling.call.echo", "params": {"call_id": "c1"}}}'
    )
    for _ in range(2):
        office.end.push_raw(text, now=office.now)
    assert len(office.carry().taken(CallTold)) == 2


BAD: dict[str, tuple[str, JsonObject]] = {
    "list as call_id": ("calling.call.play", {"call_id": []}),
    "list as call_id of a new call": ("calling.call.receive", {"call_id": ["c"]}),
    "no call_id of a new call": ("calling.call.receive", {}),
    "a new call that is over": ("calling.call.receive", {"call_id": "c9", "call_state": "ended"}),
    "list as control_id": ("calling.call.play", {"call_id": "c1", "control_id": []}),
    "list as control_id of the end": ("calling.call.state", {"call_id": "c1", "call_state": "ended", "control_id": []}),
    "list as call": ("calling.call.dial", {"tag": "t1", "dial_state": "answered", "call": []}),
    "list as call of a strange tag": ("calling.call.dial", {"tag": "t9", "dial_state": "answered", "call": []}),
    "no call": ("calling.call.dial", {"tag": "t1", "dial_state": "answered"}),
    "a call without an id": ("calling.call.dial", {"tag": "t1", "dial_state": "answered", "call": {}}),
    "list as id of the winner": ("calling.call.dial", {"tag": "t1", "dial_state": "answered", "call": {"call_id": []}}),
    "list as tag": ("calling.call.state", {"call_id": "c1", "tag": []}),
    "list as tag of a dial": ("calling.call.dial", {"tag": [], "dial_state": "answered"}),
    "no tag": ("calling.call.dial", {"dial_state": "answered"}),
    "no state of a dial": ("calling.call.dial", {"tag": "t1"}),
    "a leg without an id": ("calling.call.state", {"tag": "t1", "call_state": "ringing"}),
    "no message_id": ("messaging.state", {"message_state": "sent"}),
    "list as message_id": ("messaging.state", {"message_id": []}),
    "list as authorization_state": ("signalwire.authorization.state", {"authorization_state": []}),
}


_OF_A_LEG = {"a call without an id", "list as id of the winner", "a leg without an id"}


@pytest.mark.parametrize("what", BAD)
def test_one_bad_event_is_dropped_counted_and_reported_and_nothing_else_suffers(what: str) -> None:
    office = with_call()
    office.play()
    office.dial("t1")
    office.taken()
    event_type, params = BAD[what]
    event_id = office.put(event_type, params)
    office.carry()
    assert event_id in office.acknowledged
    (dropped,) = office.taken()
    assert isinstance(dropped, FrameDropped)
    assert str(dropped.error).startswith("a leg of a dial: " if what in _OF_A_LEG else f"{event_type}: ")
    statistics = office.machine.statistics()
    assert (statistics.bad_events, statistics.calls_live, statistics.actions_live) == (1, 1, 1)
    record = office.machine.call("c1")
    assert record is not None
    assert record.state.value == "ringing"
    office.tell("calling.call.play", played("finished"))
    office.state("c1", "ended")
    office.dialled("answered", "w")
    assert [type(one) for one in office.taken(ActionOver, CallOver, DialOver)] == [ActionOver, CallOver, DialOver]
    office.machine.close(now=office.now)


@pytest.mark.parametrize(
    ("event_type", "params"),
    [
        ("calling.call.state", {"call_id": "c1", "call_state": ["ended"]}),
        ("calling.call.state", {"call_id": "c1", "call_state": "never heard of"}),
        ("calling.call.state", {"call_id": "c1", "call_state": "answered", "node_id": ["n"]}),
        ("calling.call.play", {"call_id": "c1", "control_id": "p1", "state": ["finished"]}),
        ("calling.call.dial", {"tag": "t9", "dial_state": "dialing"}),
        ("calling.call.dial", {"tag": "t9", "dial_state": "failed"}),
        ("calling.call.dial", {"tag": "t9", "dial_state": "answered", "call": {}}),
        ("messaging.state", {"message_id": "m9", "message_state": ["delivered"]}),
        ("never.heard.of", {}),
        ("calling.conference", {"call_id": None}),
    ],
)
def test_odd_events_are_no_bad_ones(event_type: str, params: JsonObject) -> None:
    office = with_call()
    office.tell(event_type, params)
    assert office.machine.statistics().bad_events == 0
    assert office.taken(ActionOver, CallOver, FrameDropped) == []


def test_bad_frames_are_reported_and_counted_over_all_connections() -> None:
    office = with_call()
    for _ in range(2):
        office.end.push_raw("garbage", now=office.now)
        office.carry()
        office.comes_back()
    assert len(office.taken(FrameDropped)) == 2
    assert office.machine.statistics().bad_frames == 2
    assert office.machine.call("c1") is not None


def test_events_of_nobody_are_counted() -> None:
    office = ready()
    office.tell("calling.conference", name="x")
    office.state("c9", "ended")
    assert office.machine.statistics().unrouted == 2
    assert office.taken() == []


def test_a_message_that_comes_in_is_told() -> None:
    office = ready()
    office.tell("messaging.receive", message_id="m1", body="hello")
    (arrived,) = office.taken(MessageArrived)
    assert arrived.payload["params"] == {"message_id": "m1", "body": "hello"}


# -------------------------------------------------------------------------------------------- messages, actions, dials


def test_a_message_is_followed_from_the_answer_to_its_final_state() -> None:
    office = ready()
    office.answers["messaging.send"] = {"code": "200", "message_id": "m1"}
    request(office, "messaging.send", body="hello")
    office.tell("messaging.state", message_id="m1", message_state="sent")
    office.tell("messaging.state", message_id="m1", message_state="delivered")
    office.tell("messaging.state", message_id="m1", message_state="delivered", again=True)
    told = office.taken(Replied, MessageTold)
    assert [type(one) for one in told] == [Replied, MessageTold, MessageTold]
    assert [one.final for one in told[1:]] == [False, True]


def test_a_state_that_overtakes_the_answer_is_told_behind_it() -> None:
    office = ready()
    office.answers["messaging.send"] = None
    request(office, "messaging.send", body="hello")
    office.tell("messaging.state", message_id="m1", message_state="delivered")
    assert office.taken() == []
    office.answer("messaging.send", {"code": "200", "message_id": "m1"})
    assert [type(one) for one in office.taken()] == [Replied, MessageTold]


@pytest.mark.parametrize("result", [{"code": "200"}, {"message_id": ""}, {"message_id": ["m1"]}, {"message_id": 1}])
def test_an_answer_that_names_no_message_follows_none(result: JsonObject) -> None:
    office = ready()
    office.answers["messaging.send"] = result
    request(office, "messaging.send", body="hello")
    office.tell("messaging.state", message_id="m1", message_state="delivered")
    assert [type(one) for one in office.taken()] == [Replied]


def test_an_action_that_was_accepted_is_ended_by_its_event() -> None:
    office = with_call()
    request_id = office.play()
    office.tell("calling.call.play", played("playing"))
    office.tell("calling.call.play", played("finished"))
    replied, first, over, last = office.taken()
    assert (replied.request_id, replied.outcome) == (request_id, Outcome.DONE)
    assert (type(first), type(last)) == (CallTold, CallTold)
    assert (over.call_id, over.control_id, over.end) == ("c1", "p1", ActionEnd.COMPLETED)
    assert over.payload == last.payload
    assert office.machine.statistics().actions_live == 0


def test_an_event_that_overtakes_the_answer_ends_it_all_the_same() -> None:
    office = with_call()
    office.answers["calling.play"] = None
    office.play()
    office.tell("calling.call.play", played("finished"))
    office.answer("calling.play")
    assert [type(one) for one in office.taken(ActionOver, Replied)] == [ActionOver, Replied]


@pytest.mark.parametrize("code", [404, 410])
def test_a_start_on_a_call_the_service_does_not_know_ends_the_action_and_looks_for_the_call(code: int) -> None:
    office = with_call()
    office.answers |= {"calling.play": code, "calling.clear_digit_bindings": code}
    office.play()
    told = office.taken()
    assert [type(one) for one in told] == [ActionOver, Replied, CallTold, CallOver]
    assert told[0].end is ActionEnd.CALL_GONE
    assert office.machine.call("c1") is None


def test_a_start_that_is_not_found_does_not_end_a_call_that_is_there() -> None:
    office = with_call()
    office.answers["calling.play"] = 404
    office.play()
    assert [type(one) for one in office.taken()] == [ActionOver, Replied]
    assert office.machine.call("c1") is not None


def test_a_start_that_is_refused_is_no_action() -> None:
    office = with_call()
    office.answers["calling.play"] = 500
    office.play()
    (replied,) = office.taken()
    assert (replied.outcome, replied.code) == (Outcome.REFUSED, 500)
    office.tell("calling.call.play", played("finished"))
    assert office.taken(ActionOver) == []
    office.answers["calling.play"] = 200
    office.play()
    assert office.machine.statistics().actions_live == 1, "its id is free again"


def test_an_action_that_cannot_be_asked_for_is_none() -> None:
    office = with_call()
    office.play()
    for call_id, what in (("c1", "is in use"), ("c9", "is over")):
        with pytest.raises(LocalProtocolError, match=what):
            office.play(call_id)
    office.drop()
    for _ in range(500):
        office.machine.request("m", {}, now=office.now)
    with pytest.raises(LocalProtocolError, match="queue full"):
        office.play(control_id="p2")
    assert office.machine.statistics().actions_live == 1
    assert office.taken(ActionOver) == []


def test_a_call_that_ends_first_ends_its_actions_first() -> None:
    office = with_call()
    office.play()
    office.play(control_id="p2")
    office.taken()
    office.state("c1", "ended", end_reason="hangup")
    told = office.taken()
    assert [type(one) for one in told] == [ActionOver, ActionOver, CallTold, CallOver]
    assert {one.end for one in told[:2]} == {ActionEnd.CALL_ENDED}


def test_a_dial_that_is_refused_tells_why() -> None:
    office = ready()
    office.answers["calling.dial"] = 402
    office.dial()
    (over,) = office.taken(DialOver)
    assert (over.call, over.code, over.reason) == (None, 402, "said so")
    office.answers["calling.dial"] = 200
    office.dial()
    assert office.taken() == [], "the tag is free again"


def test_a_dial_whose_answer_does_not_come_is_given_up_if_nothing_rings() -> None:
    office = ready()
    office.answers["calling.dial"] = None
    office.dial().later(10)
    (over,) = office.taken(DialOver)
    assert over.reason == "Request timeout for calling.dial"
    office.leg("late")
    assert [one["call_id"] for one in office.asked_for("calling.end")] == ["late"]


def test_a_dial_whose_answer_does_not_come_goes_on_if_something_rings() -> None:
    office = ready()
    office.answers["calling.dial"] = None
    office.dial().leg("l1").later(10)
    assert office.taken(DialOver) == []
    office.dialled("answered", "l1")
    assert office.taken(DialOver)[0].call is office.machine.call("l1")


def test_a_dial_whose_answer_is_lost_with_the_connection_is_given_up_if_nothing_rings() -> None:
    for legs in ([], ["l1"]):
        office = ready()
        office.answers["calling.dial"] = None
        office.dial()
        for leg in legs:
            office.leg(leg)
        office.drop()
        assert [one.reason for one in office.taken(DialOver)] == ([] if legs else ["Connection closed during dial"])


def test_a_dial_that_is_given_up_before_it_was_asked_for_never_is() -> None:
    office = ready().drop().dial("t1")
    office.dial("t2", within=0.2)
    office.machine.give_up_dial("t1", now=office.now)
    office.machine.give_up_dial("t1", now=office.now)
    office.later(0.3)
    assert [one.reason for one in office.taken(DialOver)] == [
        "it was given up",
        "Dial timed out waiting for answer (tag=t2)",
    ]
    assert office.machine.statistics().requests_queued == 0
    office.dial("t1")
    assert office.reconnect().methods == ["calling.dial"], "the tag was free again"


def test_a_dial_that_waits_too_long_for_a_connection_is_over() -> None:
    office = ready().drop().dial().later(11)
    assert [one.reason for one in office.taken(DialOver)] == ["Request timeout for calling.dial"]


def test_a_dial_that_is_over_at_once_hands_over_no_call() -> None:
    office = ready().dial().leg("l1", "answered").leg("l1", "ended").dialled("answered", "l1")
    (over,) = office.taken(DialOver)
    assert (over.call, over.reason) == (None, "Dial failed: the call was over at once (tag=t1)")
    assert office.machine.statistics().calls_live == 0


def test_a_leg_that_is_over_does_not_come_back() -> None:
    office = ready().dial().leg("l1").leg("l1", "ended").leg("l1", "ending")
    assert office.machine.statistics().calls_live == 0
    office.machine.give_up_dial("t1", now=office.now)
    office.carry().leg("l1", "ringing")
    assert office.asked_for("calling.end") == [], "nothing is left to hang up"


def test_a_leg_whose_first_event_is_its_end_is_told_and_gone() -> None:
    office = ready().dial().leg("l1", "ended")
    assert [type(one) for one in office.taken(CallTold, CallOver)] == [CallTold, CallOver]
    assert office.machine.statistics().calls_live == 0


def test_a_leg_that_wins_says_it_is_over_and_stays_answered() -> None:
    office = ready().dial()
    call: JsonObject = {"call_id": "w", "call_state": "ended"}
    office.tell("calling.call.dial", tag="t1", dial_state="answered", call=call)
    record = office.taken(DialOver)[0].call
    assert record.state.value == "answered"
    office.machine.close(now=office.now)


def test_only_so_many_legs_ring_and_one_of_them_may_still_win() -> None:
    office = ready(limits=attrs.evolve(RELAY_LIMITS, legs_per_dial=2)).dial().leg("l1").leg("l2")
    office.leg("l3")
    assert len(office.taken(FrameDropped)) == 1
    assert office.machine.call("l3") is None
    office.dialled("answered", "l2")
    assert office.taken(DialOver)[0].call is office.machine.call("l2")


def test_the_events_of_a_dial_that_was_answered_are_the_winner_s() -> None:
    office = ready().dial().dialled("dialing")
    office.dialled("answered", "w")
    assert office.taken(CallTold) == []
    office.dialled("answered", "w", again=True)
    (told,) = office.taken(CallTold)
    assert (told.call_id, told.event_type) == ("w", "calling.call.dial")


# -------------------------------------------------------------------------------------------- hang-ups


def test_a_hang_up_that_was_lost_with_the_connection_is_said_again_on_the_next() -> None:
    office = ready().dial().leg("l1")
    office.answers["calling.end"] = None
    office.machine.give_up_dial("t1", now=office.now)
    office.carry()
    assert len(office.asked_for("calling.end")) == 1
    for _ in range(2):
        office.comes_back()
        (said,) = office.asked_for("calling.end")
        assert said == {"node_id": "n1", "call_id": "l1", "reason": "hangup"}
    office.answer("calling.end")
    assert office.comes_back().asked_for("calling.end") == []


def test_a_dial_given_up_while_offline_is_hung_up_when_the_connection_is_back_however_long_that_takes() -> None:
    office = ready().dial().leg("l1").drop()
    office.machine.give_up_dial("t1", now=office.now)
    assert office.machine.statistics().requests_queued == 0
    office.later(320)
    assert [one["call_id"] for one in office.reconnect().asked_for("calling.end")] == ["l1"]
    assert office.comes_back().asked_for("calling.end") == []


def test_a_hang_up_for_a_call_that_is_gone_is_not_said_again() -> None:
    office = ready().dial().leg("l1")
    office.answers["calling.end"] = 404
    office.machine.give_up_dial("t1", now=office.now)
    office.carry()
    office.methods  # noqa: B018 - takes them
    assert office.comes_back().asked_for("calling.end") == []


def test_a_hang_up_that_was_refused_is_said_again() -> None:
    office = ready().dial().leg("l1")
    office.answers["calling.end"] = 500
    office.machine.give_up_dial("t1", now=office.now)
    office.carry()
    office.methods  # noqa: B018 - takes them
    assert len(office.comes_back().asked_for("calling.end")) == 1


def test_a_call_nobody_owns_is_hung_up_on_the_next_connection_if_not_on_this() -> None:
    office = with_call()
    office.drop()
    office.machine.hang_up("c1", now=office.now)
    assert [one["call_id"] for one in office.reconnect().asked_for("calling.end")] == ["c1"]


def test_a_hang_up_is_not_said_twice_on_one_connection() -> None:
    office = ready().dial().leg("l1")
    office.comes_back(restored=False)
    assert len(office.asked_for("calling.end")) == 1


# -------------------------------------------------------------------------------------------- limits


def test_inbound_calls_are_limited_and_outbound_ones_are_not() -> None:
    office = ready()
    for number in range(1001):
        office.put("calling.call.receive", call_id=f"c{number}")
    office.carry()
    assert len(office.taken(CallReceived)) == 1000
    assert office.machine.statistics().calls_turned_away == 1
    office.dial().leg("l1").dialled("answered", "l1")
    assert office.taken(DialOver)[0].call is office.machine.call("l1")
    assert office.machine.statistics().calls_live == 1001
    office.state("c0", "ended").state("c1", "ended").ring("c1000")
    assert [one.call.call_id for one in office.taken(CallReceived)] == ["c1000"], "a later time will take it"


def test_the_state_of_the_connection_of_the_moment_can_be_seen() -> None:
    office = ready()
    control = office.machine.control
    assert control is not None
    assert control.state is RelayState.READY
    office.drop()
    assert office.machine.control is None


def test_two_machines_with_the_same_chance_say_the_same() -> None:
    said = []
    for _ in range(2):
        relay = RelayMachine(config(), entropy=chance())
        relay.connect(now=1)
        relay.start(now=1)
        said.append(relay.data_to_send(now=1))
    assert said[0] == said[1] != b""
