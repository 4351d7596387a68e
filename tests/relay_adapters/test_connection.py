"""What becomes of everything when the connection goes: and of the connection when anything goes wrong."""

# mypy: disable-error-code="truthy-bool"

import functools
import itertools
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCallee, RelayCaller
from telcoflow_anyio.relay import (
    ActionEnd,
    Call,
    ClientState,
    ConnectionState,
    RelayAuthenticationError,
    RelayClient,
    RelayConnectionError,
    RelayError,
    RelayLimitError,
    RelayTimeoutError,
)
from telcoflow_proto.jsontext import JsonObject
from tests.core.support import frames_in
from tests.relay_adapters.acts import (
    DEVICES,
    LONG,
    SHORT,
    Later,
    back,
    cancel_at,
    meanwhile,
    never,
    nobody,
    outcome,
    patient,
    until,
)
from tests.world.relay import JWT, PORT, PROJECT, TOKEN, Journal, Phone, RelayWorld, kept_by

# ---------------------------------------------------------------------- drops, and the session is kept


async def test_a_call_that_was_not_answered_yet_is_answered_after_a_drop(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.call_in(client)
        await world.lose()
        await back(client, 2)
        await phone.call.answer()
        await phone.call.wait_for_answered(5)
        assert phone.there.state == "answered"
        assert client.calls == [phone.call]


async def test_a_play_goes_on_over_a_drop_and_ends(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.play(SHORT)
        await world.lose()
        event = await action.wait(60)
        assert event.params["state"] == "finished"
        assert action.end is ActionEnd.COMPLETED
        assert client.statistics().connections == 2
        assert phone.call.state == "answered"


async def test_what_ended_during_the_outage_is_told_afterwards(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.play(SHORT)
        world.refuse()
        await world.lose()
        await phone.there.wait_state("answered")
        await anyio.sleep(10)
        phone.there.hang_up()
        assert not action.is_done
        world.listen()
        assert (await action.wait(60)).params["state"] == "finished"
        assert (await phone.call.wait_for_ended(60)).params["end_reason"] == "hangup"
        assert client.calls == []


@pytest.mark.parametrize("doing", ["paused", "recording", "collecting", "streaming", "in a bridge"])
async def test_whatever_runs_on_a_call_can_be_stopped_after_a_drop(world: RelayWorld, doing: str) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        if doing == "in a bridge":
            await phone.call.connect(DEVICES)
            await phone.call.wait_for(
                "calling.call.connect", lambda event: event.params["connect_state"] == "connected"
            )
            await world.lose()
            await back(client, 2)
            assert (await phone.call.disconnect())["code"] == "200"
            return
        starts: dict[str, Callable[[], Awaitable[Any]]] = {
            "paused": lambda: phone.call.play(LONG),
            "recording": phone.call.record,
            "collecting": lambda: phone.call.collect(digits={"max": 1}, initial_timeout=100),
            "streaming": lambda: phone.call.stream("wss://example.com/audio"),
        }
        action = await starts[doing]()
        if doing == "paused":
            await action.pause()
        await world.lose()
        await back(client, 2)
        await action.stop()
        await action.wait(5)
        assert action.end is ActionEnd.COMPLETED


@pytest.mark.parametrize("restored", [True, False])
async def test_a_request_that_was_under_way_fails_at_once_when_the_connection_does(
    world: RelayWorld, restored: bool
) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.call_in(client)
        world.service.faults.delay_of |= {"calling.answer": 5, "calling.play": 5}
        answering = Later(group, phone.call.answer)
        await until(lambda: phone.asked("calling.answer"))
        starting = Later(group, phone.call.play, LONG)
        await until(lambda: phone.asked("calling.play"))
        await world.lose(forget=not restored)
        for one in (answering, starting):
            error = await one.done()
            assert type(error) is RelayConnectionError
            assert "Connection closed before the answer" in str(error)
            assert one.took is not None
            assert one.took < 0.2
        await back(client, 2)
        if restored:
            await phone.call.wait_for_answered(5)  # it was carried out, and its events came afterwards
            await phone.call.hangup()
        await phone.call.wait_for_ended(5)


async def test_a_hang_up_cut_off_by_a_drop_is_told_by_its_event(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.service.faults.delay_of["calling.end"] = 5
        world.service.faults.lose_events = {"calling.call.state"}
        hanging_up = Later(group, phone.call.hangup)
        await until(lambda: phone.there.state == "ended")
        await world.lose()
        assert isinstance(await hanging_up.done(), RelayConnectionError)
        assert (await phone.call.wait_for_ended(60)).params["end_reason"] == "notFound"


async def test_a_dial_goes_on_over_a_drop(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        world.service.on_dial = lambda _device: RelayCallee(answers_after=8)
        dialling = Later(group, client.dial, DEVICES)
        await until(lambda: client.calls == [] and world.service.calls)
        await anyio.sleep(1)
        await world.lose()
        call = await dialling.done()
        assert isinstance(call, Call)
        assert call.state == "answered"
        assert client.calls == [call]
        assert client.statistics().connections == 2


# ---------------------------------------------------------------------- drops, and the session is forgotten


@pytest.mark.parametrize("how", ["lost", "asked to leave"])
async def test_when_the_session_is_forgotten_actions_end_with_a_reason_and_calls_are_looked_for(
    world: RelayWorld, how: str
) -> None:
    completed: list[Any] = []
    async with world.client() as client:
        journal = Journal(client)
        phone = await world.talk(client)
        actions = [
            await phone.call.play(LONG, on_completed=completed.append),
            await phone.call.record(on_completed=completed.append),
            await phone.call.collect(digits={"max": 1}, initial_timeout=1000, on_completed=completed.append),
        ]
        if how == "lost":
            await world.lose(forget=True)
        else:
            world.service.ask_to_leave(restart=True)
        for action in actions:
            event = await action.wait(60)
            assert (event.event_type, event.params) == ("", {"reason": "connection lost"})
            assert action.end is ActionEnd.CONNECTION_LOST
            assert (action.is_done, action.completed) == (True, True)
            assert await action.stop() == {}
        assert completed == [action.result for action in actions]
        ended = await phone.call.wait_for_ended(60)
        assert ended.params["end_reason"] == "notFound"
        assert client.calls == []
        assert [one.restored for one in journal.connections if one.state == "connected"] == [False]


async def test_a_call_adrift_is_looked_for_until_the_service_says_what_became_of_it(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        world.service.faults.ignore = {"calling.clear_digit_bindings"}
        await world.lose(forget=True)
        await back(client, 2)
        await anyio.sleep(30)
        assert phone.call.state == "answered"
        world.service.faults.ignore = set()
        await phone.call.wait_for_ended(60)
        assert client.calls == []


async def test_calls_are_given_up_after_five_minutes_without_a_service(world: RelayWorld) -> None:
    async with world.client() as client:
        journal = Journal(client)
        phone = await world.talk(client)
        action = await phone.call.play(LONG)
        world.refuse()
        await world.lose()
        begun = anyio.current_time()
        event = await phone.call.wait_for_ended(400)
        assert 299 < anyio.current_time() - begun < 301
        assert event.params["end_reason"] == "connection lost"
        assert action.end is ActionEnd.CONNECTION_LOST
        assert client.state is not ClientState.CLOSED
        world.listen()
        await back(client, 2)
        assert (await world.talk(client)).call.state == "answered"
        assert len(journal.calls) == 2


async def test_a_dial_under_way_fails_when_the_session_is_forgotten(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        world.service.on_dial = nobody
        dialling = Later(group, client.dial, DEVICES)
        await until(lambda: world.service.calls)
        await anyio.sleep(1)
        await world.lose(forget=True)
        error = await dialling.done()
        assert isinstance(error, RelayError)
        assert "session with the service was lost" in str(error)
        await until(lambda: not client.statistics().calls_live)


# ---------------------------------------------------------------------- being asked to leave


async def test_a_service_that_asks_to_leave_is_left_and_found_again_with_the_same_session(world: RelayWorld) -> None:
    async with world.client() as client:
        journal = Journal(client)
        phone = await world.talk(client)
        session, protocol = phone.there.session, client.relay_protocol
        action = await phone.call.play(SHORT)
        world.service.ask_to_leave()
        await back(client, 2)
        assert client.relay_protocol == protocol
        assert phone.there.session is session
        assert (await action.wait(30)).params["state"] == "finished"
        assert [one.restored for one in journal.connections if one.state == "connected"] == [True]
        assert world.lines[1].connect is not None
        assert world.lines[1].connect.resumption.protocol == protocol
        assert world.lines[1].connect.resumption.authorization_state is not None


async def test_a_service_that_asks_for_a_restart_is_not_asked_for_the_old_session(world: RelayWorld) -> None:
    async with world.client() as client:
        protocol = client.relay_protocol
        world.service.ask_to_leave(restart=True)
        await back(client, 2)
        assert world.lines[1].connect is not None
        assert world.lines[1].connect.resumption.protocol == ""
        assert world.lines[1].connect.resumption.authorization_state is None
        assert client.relay_protocol not in {"", protocol}


async def test_what_is_asked_for_while_the_service_leaves_waits_for_the_next_connection(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        world.service.ask_to_leave()
        await anyio.sleep(0.01)
        assert (await phone.call.hold())["code"] == "200"
        assert client.statistics().connections == 2


# ---------------------------------------------------------------------- while there is no connection


async def test_requests_made_offline_are_sent_once_there_is_a_connection(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.refuse()
        await world.lose()
        holding = Later(group, phone.call.hold)
        playing = Later(group, phone.call.play, SHORT)
        dialling = Later(group, client.dial, DEVICES)
        await until(lambda: client.statistics().requests_queued == 3)
        await anyio.sleep(4)
        world.listen()
        assert (await holding.done())["code"] == "200"
        assert (await (await playing.done()).wait(20)).params["state"] == "finished"
        assert isinstance(await dialling.done(), Call)
        assert phone.there.on_hold
        assert client.statistics().requests_queued == 0


async def test_a_request_made_offline_times_out_after_ten_seconds_and_is_gone(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.refuse()
        await world.lose()
        holding = Later(group, phone.call.hold)
        assert isinstance(await holding.done(), RelayTimeoutError)
        assert holding.took == pytest.approx(10, abs=0.1)
        assert client.statistics().requests_queued == 0
        world.listen()
        await back(client, 2)
        assert phone.asked("calling.hold") == []


async def test_before_and_after_its_life_a_client_is_asked_in_vain(world: RelayWorld) -> None:
    client = world.client()
    for method in before_and_after(client):
        error = await outcome(method)
        assert type(error) is RelayConnectionError
        assert "the client is idle" in str(error)
    async with client:
        pass
    for method in before_and_after(client):
        error = await outcome(method)
        assert type(error) is RelayConnectionError
        assert "the client is closed" in str(error)
    with pytest.raises(RelayConnectionError, match="make a new one to connect"):
        async with client:
            pass
    assert isinstance(await outcome(client.connect), RelayError)
    await client.disconnect()
    await client.run_forever()


def before_and_after(client: RelayClient) -> list[Callable[[], Awaitable[Any]]]:
    return [
        lambda: client.execute("signalwire.ping", {}),
        lambda: client.dial(DEVICES),
        lambda: client.send_message(to_number="+1", from_number="+2", body="text"),
        lambda: client.receive(["office"]),
        lambda: client.unreceive(["office"]),
    ]


# ---------------------------------------------------------------------- silence, refusals, patience


@pytest.mark.parametrize("entered", [True, False])
async def test_a_service_that_never_answers_the_authentication_is_told_after_ten_seconds(
    world: RelayWorld, entered: bool
) -> None:
    world.service.faults.ignore = {"signalwire.connect"}
    client = world.client()
    begun = anyio.current_time()
    with pytest.raises(RelayConnectionError, match="not answered in time"):
        await (client.__aenter__() if entered else client.connect())
    assert 9.9 < anyio.current_time() - begun < 10.1
    await anyio.sleep(60)
    assert len(world.lines) == 1
    assert client.state is ClientState.CLOSED


async def test_a_patient_client_waits_for_a_service_that_starts_slowly(world: RelayWorld) -> None:
    world.service.faults.ignore = {"signalwire.connect"}
    async with meanwhile() as group:

        async def wake_up() -> None:
            await anyio.sleep(300)
            world.service.faults.ignore = set()

        group.start_soon(wake_up)
        async with patient(world.client()) as client:
            assert client.state is ClientState.READY
            assert len(world.lines) > 5


async def test_a_client_that_was_connected_is_patient_with_a_service_that_went_silent(world: RelayWorld) -> None:
    async with world.client() as client:
        world.service.faults.ignore = {"signalwire.connect"}
        await world.lose()
        await anyio.sleep(300)
        assert client.state is not ClientState.CLOSED
        world.service.faults.ignore = set()
        await back(client, 5)


async def test_refused_credentials_are_told_at_once(world: RelayWorld) -> None:
    for name in ("token", "project", "jwt_token"):
        client = world.client(**{name: "wrong"})
        with pytest.raises(RelayAuthenticationError) as caught:
            await client.connect()
        assert (caught.value.code, caught.value.message) == (-32002, "authentication failed")
        assert client.state is ClientState.CLOSED
    assert len(world.lines) == 3


async def test_a_patient_client_stops_after_three_refusals(world: RelayWorld) -> None:
    client = patient(world.client(token="wrong"))
    journal = Journal(client)
    with pytest.raises(RelayAuthenticationError, match="authentication failed"):
        async with client:
            pass
    assert len(world.lines) == 3
    assert journal.states == ["lost", "lost", "closed"]
    await anyio.sleep(120)
    assert len(world.lines) == 3


async def test_an_upgrade_refused_with_401_counts_as_a_refusal(world: RelayWorld) -> None:
    world.refuse_upgrade = 401
    with pytest.raises(RelayAuthenticationError):
        await patient(world.client()).connect()
    assert len(world.lines) == 3
    with pytest.raises(RelayAuthenticationError):
        await world.client().connect()
    assert len(world.lines) == 4


@pytest.mark.parametrize("fault", ["upgrade refused with 503", "out of capacity", "nobody listens", "drops at once"])
async def test_a_service_that_cannot_now_is_tried_again_for_ever_by_the_patient(world: RelayWorld, fault: str) -> None:
    async def mend() -> None:
        await anyio.sleep(200)
        world.refuse_upgrade = None
        world.service.faults.fail.clear()
        world.listen()

    if fault == "upgrade refused with 503":
        world.refuse_upgrade = 503
    elif fault == "out of capacity":
        world.service.faults.fail["signalwire.connect"] = (-32005, "capacity exceeded")
    elif fault == "nobody listens":
        world.refuse()
    else:

        async def drop(stream: Any) -> None:
            await stream.aclose()

        world.net.listen(PORT, drop)
    error = await outcome(world.client().connect)
    assert isinstance(error, RelayError)
    assert not isinstance(error, RelayAuthenticationError)
    async with meanwhile() as group:
        group.start_soon(mend)
        async with patient(world.client()) as client:
            assert client.state is ClientState.READY
            assert len(world.net.dials) > 5


async def test_after_a_first_success_refusals_are_waited_out(world: RelayWorld) -> None:
    async with world.client() as client:
        protocol = client.relay_protocol
        world.service.projects[PROJECT] = "rotated"
        await world.lose()
        await anyio.sleep(600)
        assert client.state is not ClientState.CLOSED
        assert len(world.lines) > 10
        world.service.projects[PROJECT] = TOKEN
        await back(client, 10)
        assert client.relay_protocol != protocol


async def test_run_forever_returns_when_the_client_is_closed_and_raises_what_closed_it(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        waiting = Later(group, client.run_forever)
        await anyio.sleep(1)
        assert waiting.took is None
        await client.disconnect()
        assert await waiting.done() is None
    refused = patient(world.client(token="wrong"))
    assert isinstance(await outcome(refused.connect), RelayAuthenticationError)
    assert isinstance(await outcome(refused.run_forever), RelayAuthenticationError)


# ---------------------------------------------------------------------- one connection and the next


async def test_delays_between_attempts_are_drawn_and_grow(world: RelayWorld) -> None:
    async with world.client() as client:
        journal = Journal(client)
        world.refuse()
        await world.lose()
        await anyio.sleep(600)
        delays = [one.retry_in for one in journal.connections if one.retry_in is not None]
        assert len(delays) > 12
        assert all(0.5 <= delay <= 30 for delay in delays)
        assert len(set(delays)) == len(delays)
        assert max(delays[6:]) > 10
        assert [one.attempt for one in journal.connections] == list(range(1, len(journal.connections) + 1))
        tried = [at for at, _ in world.net.dials][1:]
        assert [later - sooner for sooner, later in itertools.pairwise(tried)] == pytest.approx(
            delays[1 : len(tried)], abs=0.01
        )
        world.listen()
        await back(client, 2)


async def test_accept_then_close_is_no_storm(world: RelayWorld) -> None:
    async with world.client() as client:

        async def keep_dropping() -> None:
            while True:
                await world.service.wait_for_sessions(1)
                await world.service.drop()

        async with meanwhile() as group:
            group.start_soon(keep_dropping)
            await anyio.sleep(60)
        assert len(world.lines) <= 12
        assert client.state is not ClientState.CLOSED


async def test_a_half_open_connection_is_found_within_18_seconds(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        await anyio.sleep(30)
        found: list[float] = []
        client.on_connection(lambda state: found.append(anyio.current_time()))
        world.line.partition()
        begun = anyio.current_time()
        await until(lambda: found, within=20)
        assert found[0] - begun <= 18.01
        await back(client, 2)
        assert (await phone.call.hold())["code"] == "200"


async def test_an_idle_connection_stays(world: RelayWorld) -> None:
    async with world.client() as client:
        await anyio.sleep(3600)
        assert client.statistics().connections == 1
        world.service.faults.ignore = {"signalwire.ping"}
        await anyio.sleep(30)
        assert client.statistics().connections > 1


async def test_what_happens_to_the_connection_is_told(world: RelayWorld) -> None:
    client = world.client()
    told: list[ConnectionState] = []
    also: list[str] = []
    client.on_connection(told.append)

    @client.on_connection
    async def tell_also(state: ConnectionState) -> None:
        also.append(state.state)

    async with client:
        await until(lambda: told)
        assert told == [ConnectionState(state="connected", attempt=0, restored=False)]
        await world.lose()
        await back(client, 2)
        assert [one.state for one in told] == ["connected", "lost", "connected"]
        assert told[1].reason
        assert told[1].retry_in is not None
        assert told[2].restored
        assert told[2].attempt == 1
    assert told[3].state == "closed"
    assert told[3].retry_in is None
    assert also[:3] == ["connected", "lost", "connected"]


async def test_contexts_added_and_removed_at_run_time_survive_a_reconnect(world: RelayWorld) -> None:
    async with world.client(contexts=["office", "default"]) as client:
        journal = Journal(client)
        await client.receive(["night", "office"])
        await client.unreceive(["default"])
        assert client.contexts == ["office", "night"]
        assert world.asked_for("signalwire.receive") == [{"contexts": ["night", "office"]}]
        assert world.asked_for("signalwire.unreceive") == [{"contexts": ["default"]}]
        await world.lose()
        await back(client, 2)
        assert world.line.connect is not None
        assert world.line.connect.contexts == ("office", "night")
        await world.service.place_call(context="night")
        await until(lambda: journal.calls)
        assert journal.calls[0].context == "night"
        with anyio.move_on_after(5) as waiting:
            await world.service.place_call(context="default")
        assert waiting.cancelled_caught


async def test_a_context_the_service_refuses_is_not_asked_for_again(world: RelayWorld) -> None:
    async with world.client() as client:
        world.service.faults.refuse["signalwire.receive"] = ("403", "not yours")
        with pytest.raises(RelayError, match="not yours"):
            await client.receive(["secret"])
        assert client.contexts == ["default"]
        await client.receive([])
        await client.unreceive([])
        for wrong in ("text", [7], [""]):
            assert isinstance(await outcome(client.receive, wrong), TypeError)
            assert isinstance(await outcome(client.unreceive, wrong), TypeError)


# ---------------------------------------------------------------------- nothing harms the others


async def test_one_slow_answer_harms_nobody(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        first, second = await world.talk(client), await world.talk(client)
        world.service.faults.delay_of["calling.play"] = 11
        slow = Later(group, first.call.play, LONG)
        await until(lambda: first.asked("calling.play"))
        world.service.faults.delay_of.clear()
        for _ in range(12):
            assert (await second.call.hold())["code"] == "200"
            await anyio.sleep(1)
        assert isinstance(await slow.done(), RelayTimeoutError)
        assert "Request timeout for calling.play" in str(await slow.done())
        assert slow.took == pytest.approx(10, abs=0.1)
        assert client.statistics().connections == 1
        assert (await first.call.hangup())["code"] == "200"


async def test_events_that_are_told_twice_are_heard_once(world: RelayWorld) -> None:
    completed: list[Any] = []
    async with world.client() as client:
        journal = Journal(client)
        world.service.faults.duplicate_events = True
        phone = await world.talk(client)
        action = await phone.call.play(SHORT, on_completed=completed.append)
        await action.wait()
        await world.service.receive_message("hello")
        await client.dial(DEVICES)
        phone.there.hang_up()
        await phone.call.wait_for_ended()
        await anyio.sleep(1)
        assert (len(journal.calls), len(journal.messages), len(completed)) == (1, 1, 1)
        assert client.statistics().duplicates > 8
        assert client.statistics().bad_frames == 0


BAD_EVENTS = {
    "params null": {"event_type": "calling.call.state", "params": None},
    "params a list": {"event_type": "calling.call.state", "params": []},
    "no type": {"params": {}},
    "type a number": {"event_type": 7, "params": {}},
    "call_id a list": {"event_type": "calling.call.state", "params": {"call_id": ["a"]}},
    "control_id a number": {"event_type": "calling.call.play", "params": {"call_id": "HERE", "control_id": 7}},
    "call a list": {"event_type": "calling.call.dial", "params": {"tag": "t", "dial_state": "answered", "call": []}},
    "tag an object": {"event_type": "calling.call.dial", "params": {"tag": {}, "dial_state": "answered"}},
    "received without an id": {"event_type": "calling.call.receive", "params": {"context": "default"}},
    "message_id a list": {"event_type": "messaging.state", "params": {"message_id": []}},
    "authorization a number": {"event_type": "signalwire.authorization.state", "params": {"authorization_state": 7}},
}
BAD_TEXTS = {
    "not JSON": "{",
    "not an object": "[]",
    "nothing in it": "{}",
    "deep": '{"id":"1","method":"signalwire.event","params":' + "[" * 5000 + "]" * 5000 + "}",
    "a number of 5000 digits": '{"id":"1","method":"signalwire.event","params":{"n":' + "9" * 5000 + "}}",
    "infinity": '{"id":"1","method":"signalwire.event","params":{"n":1e999}}',
    "params null": '{"id":"1","method":"signalwire.event","params":null}',
    "id a list": '{"id":[],"method":"signalwire.event","params":{}}',
    "an unknown method": '{"id":"1","method":"signalwire.unheard","params":{}}',
    "an answer nobody waits for": '{"id":"1","result":{"code":"200"}}',
    "an error nobody waits for": '{"id":"1","error":"text"}',
}


@pytest.mark.parametrize("what", [*(f"event: {name}" for name in BAD_EVENTS), *(f"text: {name}" for name in BAD_TEXTS)])
async def test_what_the_service_says_wrong_is_dropped_and_nothing_else_happens(world: RelayWorld, what: str) -> None:
    kind, _, name = what.partition(": ")
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.play(SHORT)
        if kind == "event":
            frame = {"jsonrpc": "2.0", "id": "bad", "method": "signalwire.event", "params": BAD_EVENTS[name]}
            world.service.push_raw(json.dumps(frame).replace("HERE", phone.call.call_id))
        else:
            world.service.push_raw(BAD_TEXTS[name])
        await anyio.sleep(1)
        assert (await phone.call.hold())["code"] == "200"
        assert (await action.wait(10)).params["state"] == "finished"
        assert client.statistics().connections == 1
        statistics = client.statistics()
        quiet = {"an unknown method", "an answer nobody waits for", "an error nobody waits for"}
        assert statistics.bad_frames + statistics.bad_events == (0 if name in quiet else 1)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_handlers_that_raise_are_logged_and_harm_nobody(
    world: RelayWorld, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(what: Any) -> None:
        raise RuntimeError("a handler that fails")

    async def fail_later(what: Any) -> None:
        await anyio.sleep(0.1)
        raise RuntimeError("a handler that fails")

    handler: Callable[[Any], Any] = fail if kind == "sync" else fail_later
    client = world.client()
    client.on_call(handler)
    client.on_message(handler)
    client.on_connection(handler)
    async with client:
        phone = await world.call_in(client)
        phone.call.on("calling.call.state", handler)
        await phone.call.answer()
        await (await phone.call.play(SHORT, on_completed=handler)).wait()
        await world.service.receive_message("hello")
        message = await client.send_message(to_number="+15550002", from_number="+15550000", body="text")
        message.on(handler)
        await message.wait(5)
        with pytest.raises(RuntimeError, match="a handler that fails"):
            await phone.call.wait_for("calling.call.hold", fail_predicate(phone), timeout=5)
        await anyio.sleep(1)
        assert (await phone.call.hold())["code"] == "200"
        await phone.call.hangup()
        await phone.call.wait_for_ended(5)
        assert client.statistics().connections == 1
    logged = [record for record in caplog.records if record.exc_info and "a handler that fails" in str(record.exc_info)]
    subjects = " ".join(record.getMessage() for record in logged)
    for about in ("on_call", "on_message", "on_connection", "calling.call.state", "on_completed of play", "message "):
        assert about in subjects


def fail_predicate(phone: Phone) -> Callable[[Any], bool]:
    def fail(event: Any) -> bool:
        raise RuntimeError("a handler that fails")

    phone.there.tell("calling.call.hold", {"state": "hold"})
    return fail


# ---------------------------------------------------------------------- leaving


@pytest.mark.parametrize("weather", ["fine", "partitioned", "offline"])
@pytest.mark.parametrize("entered", [True, False])
async def test_leaving_with_everything_pending_takes_two_seconds_at_most_and_resolves_it_all(
    world: RelayWorld, weather: str, entered: bool
) -> None:
    world.service.on_dial = nobody
    world.service.message_fate = never
    client = world.client()
    async with meanwhile() as group:
        await (client.__aenter__() if entered else client.connect())
        phone = await world.talk(client)
        action = await phone.call.play(LONG)
        message = await client.send_message(to_number="+15550002", from_number="+15550000", body="text")
        dialling = Later(group, client.dial, DEVICES)
        await until(lambda: len(world.service.calls) == 2)
        if weather == "offline":
            world.refuse()
            await world.lose()
        else:
            world.service.faults.ignore = {"calling.hold", "messaging.send", "signalwire.receive", "calling.record"}
        if weather == "partitioned":
            world.line.partition()
        pending: dict[str, Later] = {
            "hold": Later(group, phone.call.hold),
            "send": Later(group, lambda: client.send_message(to_number="+1", from_number="+2", body="text")),
            "receive": Later(group, client.receive, ["night"]),
            "execute": Later(group, client.execute, "calling.hold", {}),
        }
        starting = Later(group, phone.call.record)
        ended = Later(group, phone.call.wait_for_ended)
        event = Later(group, phone.call.wait_for, "calling.call.hold")
        played = Later(group, action.wait)
        sent = Later(group, message.wait)
        for_ever = Later(group, client.run_forever)
        await anyio.sleep(1)
        begun = anyio.current_time()
        await (client.__aexit__(None, None, None) if entered else client.disconnect())
        assert anyio.current_time() - begun <= 2.0
        for one in pending.values():
            assert type(await one.done()) is RelayConnectionError
        assert isinstance(await dialling.done(), RelayError)
        begun_action = await starting.done()  # who has the action in hand already is told by it
        assert isinstance(begun_action, RelayError) or begun_action.end is ActionEnd.DISCONNECTED
        assert (await ended.done()).params["end_reason"] == "disconnected"
        assert isinstance(await event.done(), RelayError)
        assert (await played.done()).params == {"reason": "disconnected"}
        assert action.end is ActionEnd.DISCONNECTED
        assert "will never be known" in str(await sent.done())
        assert await for_ever.done() is None
        assert client.calls == []
        assert kept_by(client) == {}
        if weather == "fine":
            await until(lambda: len(world.service.calls) == 1)  # what was dialled is hung up, what came in is not


async def test_a_handler_may_close_its_own_client(world: RelayWorld) -> None:
    client = world.client()

    @client.on_call
    async def leave(call: Call) -> None:
        await client.disconnect()

    await client.connect()
    await world.service.place_call()
    await client.run_forever()
    assert client.state is ClientState.CLOSED
    await client.disconnect()


async def test_an_error_in_the_body_comes_out_as_it_is(world: RelayWorld) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with world.client():
            raise KeyError("mine")


# ---------------------------------------------------------------------- cancellation


Act = Callable[[Phone, Any], Awaitable[Any]]
ACTS: dict[str, Act] = {
    "execute": lambda phone, _: phone.client.execute("calling.hold", address(phone)),
    "hold": lambda phone, _: phone.call.hold(),
    "hangup": lambda phone, _: phone.call.hangup(),
    "play": lambda phone, _: phone.call.play(LONG),
    "collect": lambda phone, _: phone.call.collect(digits={"max": 1}),
    "wait": lambda _, action: action.wait(),
    "wait with a limit": lambda _, action: action.wait(0.001),
    "stop": lambda _, action: action.stop(),
    "wait_for": lambda phone, _: phone.call.wait_for("calling.call.hold", timeout=0.001),
    "wait_for_ended": lambda phone, _: phone.call.wait_for_ended(0.001),
    "wait_for_ending": lambda phone, _: phone.call.wait_for_ending(0.001),
    "dial": lambda phone, _: phone.client.dial(DEVICES),
    "send_message": lambda phone, _: phone.client.send_message(to_number="+1", from_number="+2", body="text"),
    "wait for a message": lambda phone, _: send_and_wait(phone),
    "receive": lambda phone, _: phone.client.receive(["night"]),
    "unreceive": lambda phone, _: phone.client.unreceive(["default"]),
    "run_forever": lambda phone, _: phone.client.run_forever(),
}


def address(phone: Phone) -> JsonObject:
    return {"node_id": phone.there.node_id, "call_id": phone.there.call_id}


async def send_and_wait(phone: Phone) -> None:
    message = await phone.client.send_message(to_number="+1", from_number="+2", body="text")
    await message.wait()


@pytest.mark.parametrize("name", ACTS)
async def test_an_await_cancelled_at_any_checkpoint_leaves_nothing_behind(world: RelayWorld, name: str) -> None:
    act = ACTS[name]
    for count in range(40):
        async with world.client() as client:
            phone = await world.talk(client)
            action = await phone.call.play(LONG)
            again = await cancel_at(count, functools.partial(act, phone, action))
            await anyio.sleep(0.5)
            if name != "hangup" or phone.there.state != "ended":
                assert (await phone.call.hold())["code"] == "200"
                phone.there.hang_up()
            await phone.call.wait_for_ended(5)
            for call in client.calls:
                await call.hangup()
            await until(lambda: not client.calls)
            await until(lambda: not world.service.calls, within=130)
            await anyio.sleep(0.6)
            assert {name: kept for name, kept in kept_by(client).items() if name != "_messages"} == {}
            assert client.statistics().connections == 1
            list(frames_in(world.line.carrier.raw))
        if not again:
            return


async def test_connecting_and_leaving_can_be_cancelled_at_any_checkpoint(world: RelayWorld) -> None:
    for count in range(60):

        async def enter() -> None:
            async with world.client():
                pass

        again = await cancel_at(count, enter)
        client = world.client()
        await cancel_at(count, client.connect)
        await cancel_at(count, client.disconnect)
        await client.disconnect()
        await anyio.sleep(0.01)
        assert world.net.client_streams == 0
        if not again:
            return


async def test_connecting_can_be_cancelled_while_the_service_is_silent(world: RelayWorld) -> None:
    world.service.faults.ignore = {"signalwire.connect"}
    for connect in ("connect", "__aenter__"):
        client = world.client()
        with anyio.move_on_after(3):
            await getattr(client, connect)()
        await anyio.sleep(0.01)
        assert world.net.client_streams == 0
        assert client.state is ClientState.CLOSED


# ---------------------------------------------------------------------- many clients, and limits


async def test_two_clients_share_the_calls_and_leave_each_other_alone(world: RelayWorld) -> None:
    async with world.client() as first, world.client() as second:
        journals = Journal(first), Journal(second)
        for _ in range(6):
            await world.service.place_call()
        await anyio.sleep(1)
        assert [len(journal.calls) for journal in journals] == [3, 3]
        await first.disconnect()
        assert (await journals[1].calls[0].answer())["code"] == "200"
        assert second.state is ClientState.READY


async def test_the_environment_may_limit_how_many_clients_are_connected(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_MAX_CONNECTIONS", "1")
    async with world.client() as first:
        second = world.client()
        with pytest.raises(RelayLimitError, match="connection limit reached"):
            await second.connect()
        assert isinstance(await outcome(world.client().__aenter__), RuntimeError)
        await first.disconnect()
    async with world.client():
        monkeypatch.setenv("RELAY_MAX_CONNECTIONS", "2")
        async with world.client():
            pass
        monkeypatch.setenv("RELAY_MAX_CONNECTIONS", "many")
        async with world.client(), world.client():
            pass


async def test_a_client_that_could_not_connect_counts_no_more(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_MAX_CONNECTIONS", "1")
    for _ in range(3):
        assert isinstance(await outcome(world.client(token="wrong").connect), RelayAuthenticationError)
    world.service.faults.ignore = {"signalwire.connect"}
    with anyio.move_on_after(1):
        await world.client().connect()
    await anyio.sleep(0.01)
    world.service.faults.ignore = set()
    async with world.client():
        pass


async def test_more_calls_than_the_client_wants_are_turned_away(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_MAX_ACTIVE_CALLS", "2")
    async with world.client() as client:
        journal = Journal(client)
        calls = [await world.service.place_call() for _ in range(4)]
        await anyio.sleep(1)
        assert len(journal.calls) == 2
        assert client.statistics().calls_turned_away == 2
        calls[0].hang_up()
        await anyio.sleep(1)
        await world.service.place_call()
        await until(lambda: len(journal.calls) == 3)
        assert isinstance(await client.dial(DEVICES), Call)  # what we ask for ourselves is never limited


# ---------------------------------------------------------------------- who we are, and who may know


async def test_a_client_with_a_jwt_says_nothing_else(world: RelayWorld) -> None:
    async with world.client(jwt_token=JWT) as client:
        assert world.line.connect is not None
        credentials = world.line.connect.credentials
        assert (credentials.project, credentials.token) == (None, None)
        assert credentials.jwt_token is not None
        assert (client.jwt_token, client.project, client.token) == (JWT, PROJECT, TOKEN)


async def test_everything_may_come_from_the_environment(world: RelayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALWIRE_PROJECT_ID", PROJECT)
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", TOKEN)
    monkeypatch.setenv("SIGNALWIRE_SPACE", f"localhost:{PORT}")
    monkeypatch.setenv("SIGNALWIRE_RELAY_SCHEME", "ws")
    async with world.client(project=None, token=None, host=None, scheme=None) as client:
        assert client.host == f"localhost:{PORT}"
        assert client.contexts == ["default"]
        assert "ready" in repr(client)
        assert str(world.net.dials[0][1].port) == str(PORT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"project": None}, r"project is required.*SIGNALWIRE_PROJECT_ID"),
        ({"token": ""}, r"token is required.*SIGNALWIRE_API_TOKEN"),
        ({"host": "evil.example/path"}, "Invalid host"),
        ({"host": "user@evil.example"}, "Invalid host"),
        ({"host": "evil.example"}, "scheme must be wss"),
        ({"scheme": "http"}, "scheme must be"),
        ({"contexts": "default"}, "list of texts"),
    ],
)
async def test_what_is_missing_or_wrong_is_said_before_anything_is_dialled(
    world: RelayWorld, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        world.client(**changes)
    assert world.net.dials == []


async def test_nothing_secret_is_logged_or_shown(world: RelayWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    def fail(what: Any) -> None:
        shown.append(f"{what!r} {what}")
        raise RuntimeError("a handler that fails")

    for jwt in (None, JWT):
        client = world.client(jwt_token=jwt)
        client.on_connection(fail)
        async with client:
            caller = RelayCaller(number="+15557770001", to="+15557770002", presses=((0.5, "*42*"),))
            without_handler = await world.service.receive_message("secret-body", from_number="+15557770003")
            await anyio.sleep(0.1)
            client.on_call(fail)
            client.on_message(fail)
            phone = await world.talk(client, caller)
            action = await phone.call.collect(digits={"max": 4}, on_completed=fail)
            shown.append(repr(await action.wait(5)))
            await world.service.receive_message("secret-body", from_number="+15557770003")
            message = await client.send_message(
                to_number="+15557770004", from_number="+15557770003", body="secret-body", on_completed=fail
            )
            await message.wait(5)
            devices = [[{"type": "phone", "params": {"to_number": "+15557770004", "from_number": "+15557770003"}}]]
            call = await client.dial(devices)
            for text in ("{", '{"id":"1","method":"signalwire.event","params":{"event_type":"x","params":[]}}'):
                world.service.push_raw(text)
            await world.lose()
            await back(client, 2)
            shown += [repr(one) for one in (client, phone.call, call, message, action, client.statistics())]
            for error in (
                await outcome(client.execute, "calling.hold", {}),
                await outcome(client.dial, [[{"type": "nothing"}]]),
                await outcome(world.client(token="canary-wrong-token", jwt_token=None).connect),
            ):
                shown.append(f"{error!r} {error}")
            assert without_handler
    states = [session.authorization_state for session in world.service.sessions.values()]
    secrets = [PROJECT, TOKEN, JWT, "canary", *states, "+1555777", "15557770", "secret-body", "*42*"]
    text = "\n".join([caplog.text, *shown])
    assert len(caplog.records) > 8
    assert len(states) == 2
    for secret in secrets:
        assert secret not in text, secret


async def test_a_message_nobody_takes_is_noted(world: RelayWorld, caplog: pytest.LogCaptureFixture) -> None:
    async with world.client():
        await world.service.receive_message("hello")
        await anyio.sleep(0.1)
    assert "nobody is registered with on_message" in caplog.text
