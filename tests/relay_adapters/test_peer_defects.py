"""What the vendor's client does wrong, and ours does right: one test for each finding.

``w1`` to ``w14`` are the rows of §8.4 of our notes on the wire, ``R01`` to ``R20`` those of the table of RELAY
findings. R17 and R21 need real sockets: see ``tests/e2e/test_relay_run.py``.
"""

# mypy: disable-error-code="truthy-bool"

import json
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import MessageFate, RelayCallee, RelayCaller
from telcoflow_anyio.relay import (
    ActionEnd,
    ClientState,
    Message,
    RelayAuthenticationError,
    RelayConnectionError,
    RelayError,
    RelayTimeoutError,
)
from telcoflow_proto.backoff import Backoff
from telcoflow_proto.jsontext import JsonObject
from tests.core.support import frames_in
from tests.relay_adapters.acts import (
    DEVICES,
    LONG,
    SHORT,
    Later,
    back,
    meanwhile,
    outcome,
    patient,
    until,
)
from tests.world.relay import Journal, RelayWorld


def event(event_type: str, params: Any, *, event_id: str = "raw") -> str:
    """An event as it stands on the wire, right or wrong."""
    told = {"event_type": event_type, "params": params}
    return json.dumps({"jsonrpc": "2.0", "id": event_id, "method": "signalwire.event", "params": told})


def said(world: RelayWorld) -> list[JsonObject]:
    """Every frame the newest connection's client said."""
    return [json.loads(payload) for first, payload in frames_in(world.line.carrier.raw) if first & 0x0F == 1]


# ---------------------------------------------------------------------- §8.4


async def test_peer_w1_a_wait_for_the_end_that_timed_out_is_repeated(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await phone.call.wait_for_ended(0.2)
        phone.there.hang_up()
        assert (await phone.call.wait_for_ended(5)).params["end_reason"] == "hangup"


async def test_peer_w2_actions_that_run_when_their_call_ends_are_over_too(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        actions: list[Any] = [await phone.call.play(LONG), await phone.call.record(), await phone.call.receive_fax()]
        world.service.faults.lose_events = {"calling.call.play", "calling.call.record", "calling.call.fax"}
        phone.there.hang_up()
        for action in actions:
            assert (await action.wait(5)).params == {"reason": "call ended"}


async def test_peer_w3_an_action_ends_by_events_of_its_own_type_only(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.detect({"type": "digit"}, timeout=20)
        params: JsonObject = {"control_id": action.control_id, "state": "finished"}
        phone.there.tell("calling.call.play", params)
        phone.there.tell("calling.call.record", params)
        await anyio.sleep(1)
        assert not action.is_done
        phone.there.press("5")
        assert (await action.wait(5)).event_type == "calling.call.detect"


async def test_peer_w4_fax_and_pay_end_with_the_events_that_end_them(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(fax_pages=1, payment="success"))
        fax = await phone.call.send_fax("https://example.com/document.pdf")
        pay = await phone.call.pay("https://pay.example.com")
        faxed, paid = await fax.wait(10), await pay.wait(10)
        assert "state" not in faxed.params
        assert "state" not in paid.params
        assert paid.params["result"] == "success"


async def test_peer_w5_a_collect_does_not_end_when_the_caller_begins(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.collect(digits={"max": 2}, send_start_of_input=True, partial_results=True)
        phone.there.press("1")
        await anyio.sleep(1)
        assert not action.is_done
        phone.there.press("2")
        ended: Any = await action.wait(5)
        assert ended.result["params"]["digits"] == "12"


async def test_peer_w6_the_callback_is_called_for_an_action_on_a_call_that_has_ended(world: RelayWorld) -> None:
    completed: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client)
        phone.there.hang_up()
        await phone.call.wait_for_ended(5)
        action = await phone.call.play(SHORT, on_completed=completed.append)
        assert completed == [await action.wait()]


async def test_peer_w7_an_event_without_params_ends_nothing(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        world.service.push_raw(event("calling.call.state", None))
        await anyio.sleep(1)
        assert (await phone.call.hold())["code"] == "200"
        assert client.statistics().connections == len(world.net.connections) == 1


async def test_peer_w8_a_service_that_does_not_answer_the_authentication_is_waited_for(world: RelayWorld) -> None:
    world.service.faults.ignore = {"signalwire.connect"}
    client = patient(world.client())
    async with meanwhile() as group:
        connecting = Later(group, client.connect)
        await until(lambda: len(world.lines) == 5, within=300)
        assert connecting.took is None
        world.service.faults.ignore = set()
        assert await connecting.done() is None
        assert client.state is ClientState.READY
        await client.disconnect()


async def test_peer_w9_requests_that_timed_out_offline_are_forgotten(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.refuse()
        await world.lose()
        waiting = [Later(group, phone.call.hold) for _ in range(100)]
        await until(lambda: client.statistics().requests_queued == 100)
        for one in waiting:
            assert isinstance(await one.done(), RelayTimeoutError)
        assert client.statistics().requests_queued == 0
        world.listen()
        await back(client, 2)
        assert phone.asked("calling.hold") == []
        assert client.statistics().connections >= 2


async def test_peer_w10_a_client_that_could_not_connect_frees_its_place(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_MAX_CONNECTIONS", "1")
    world.refuse()
    assert isinstance(await outcome(world.client().connect), RelayConnectionError)
    world.listen()
    async with world.client() as client:
        assert client.state is ClientState.READY


async def test_peer_w11_a_connection_that_does_not_authenticate_does_not_shorten_the_wait(world: RelayWorld) -> None:
    async with world.client() as client:
        journal = Journal(client)
        world.service.faults.fail["signalwire.connect"] = (-32000, "try again")
        await world.lose()
        await anyio.sleep(600)
        assert len(world.lines) < 60
        assert [one.attempt for one in journal.connections] == list(range(1, len(journal.connections) + 1))
        world.service.faults.fail.clear()
        await back(client, 2)


async def test_peer_w12_an_empty_answer_to_a_start_is_no_lost_call(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.service.faults.ignore = {"calling.play"}
        starting = Later(group, phone.call.play, SHORT)
        await until(lambda: said(world)[-1].get("method") == "calling.play")
        world.service.push_raw(json.dumps({"jsonrpc": "2.0", "id": said(world)[-1]["id"], "result": {}}))
        action = await starting.done()
        assert not action.is_done
        phone.there.tell("calling.call.play", {"control_id": action.control_id, "state": "finished"})
        assert (await action.wait(5)).params["state"] == "finished"
        assert phone.call.state == "answered"


async def test_peer_w13_states_that_overtake_the_answer_reach_their_message(world: RelayWorld) -> None:
    world.service.message_fate = lambda params: MessageFate(states=((0.0, "delivered"),), overtakes=True)
    async with world.client() as client:
        message = await client.send_message(to_number="+1", from_number="+2", body="Hello")
        assert (await message.wait(1)).params["message_state"] == "delivered"


async def test_peer_w14_the_context_of_a_call_is_the_one_it_came_in_by(world: RelayWorld) -> None:
    async with world.client(contexts=["office", "night"]) as client:
        journal = Journal(client)
        await world.service.place_call(context="night")
        await until(lambda: journal.calls)
        assert journal.calls[0].context == "night"
        assert client.relay_protocol.startswith("signalwire_")


# ---------------------------------------------------------------------- R01 to R20


async def test_peer_r01_a_drop_fails_what_is_under_way_at_once_and_every_client_reconnects(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.service.faults.ignore = {"calling.hold"}
        under_way = Later(group, phone.call.hold)
        await anyio.sleep(0.1)
        await world.lose()
        assert type(await under_way.done()) is RelayConnectionError
        assert under_way.took is not None
        assert under_way.took < 0.2
        world.service.faults.ignore = set()
        assert (await phone.call.hold())["code"] == "200"
        assert client.statistics().connections == 2


async def test_peer_r02_an_answer_after_eleven_seconds_harms_that_request_only(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone, other = await world.talk(client), await world.talk(client)
        world.service.faults.delay_of["calling.hold"] = 11
        slow = Later(group, phone.call.hold)
        await anyio.sleep(9)
        fine = Later(group, other.call.denoise)
        assert (await fine.done())["code"] == "200"
        assert isinstance(await slow.done(), RelayTimeoutError)
        await anyio.sleep(5)
        assert (await phone.call.denoise())["code"] == "200"
        assert client.statistics().connections == 1


async def test_peer_r03_a_service_that_starts_slowly_costs_neither_the_client_nor_a_socket(world: RelayWorld) -> None:
    world.service.faults.ignore = {"signalwire.connect"}
    async with meanwhile() as group:
        client = patient(world.client())
        Later(group, client.connect)
        await anyio.sleep(45)
        assert world.net.client_streams <= 1
        assert client.state is not ClientState.CLOSED
        world.service.faults.ignore = set()
        await back(client, 2)
        assert world.net.client_streams == 1
        await client.disconnect()


async def test_peer_r04_drops_during_the_authentication_are_no_refusals(world: RelayWorld) -> None:
    world.service.faults.delay_of["signalwire.connect"] = 1
    async with meanwhile() as group:
        client = patient(world.client())
        connecting = Later(group, client.connect)
        for count in range(1, 6):
            await until(lambda count=count: len(world.lines) == count and world.lines[-1].connect)  # type: ignore[misc]
            world.line.reset()
            await anyio.sleep(0.1)
            assert world.net.client_streams == 0  # noticed at once, not after ten seconds
        assert await connecting.done() is None
        assert client.state is ClientState.READY
        await client.disconnect()


async def test_peer_r05_an_old_connection_cannot_harm_the_new_one(world: RelayWorld) -> None:
    async with world.client() as client:
        old = world.line
        old.partition()
        await back(client, 2)
        phone = await world.talk(client)
        old.stream.connection.heal()
        await outcome(old.stream.send, b"\x88\x00 whatever comes late")
        old.reset()
        await anyio.sleep(60)
        assert (await phone.call.hold())["code"] == "200"
        assert client.statistics().connections == 2


WRONG_EVENTS = [
    event("calling.call.state", None),
    event("calling.call.state", []),
    event("calling.call.state", {"call_id": ["list"]}),
    event("calling.call.dial", {"tag": "t", "dial_state": "answered", "call": []}),
    event("calling.call.receive", {"call_id": {}}),
    event("messaging.state", {"message_id": 7}),
    '{"jsonrpc":"2.0","id":["list"],"method":"signalwire.event","params":{}}',
    '{"jsonrpc":"2.0","id":"x","method":"signalwire.event","params":' + "[" * 2000 + "]" * 2000 + "}",
    '{"jsonrpc":"2.0","id":"x","method":"signalwire.event","params":{"n":' + "7" * 5000 + "}}",
]


async def test_peer_r06_wrong_events_are_dropped_and_counted(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        for text in WRONG_EVENTS:
            world.service.push_raw(text)
        await anyio.sleep(1)
        statistics = client.statistics()
        assert statistics.bad_frames + statistics.bad_events == len(WRONG_EVENTS)
        assert statistics.connections == len(world.net.connections) == 1
        assert (await phone.call.hold())["code"] == "200"


async def test_peer_r07_a_call_that_is_announced_twice_is_handled_once(world: RelayWorld) -> None:
    async with world.client() as client:
        journal = Journal(client)
        there = await world.service.place_call()
        there.announce()
        await until(lambda: journal.calls)
        await journal.calls[0].hangup()
        await there.wait_state("ended")
        session = next(iter(world.service.sessions.values()))
        session.push("calling.call.receive", {"call_id": there.call_id, "node_id": there.node_id, "context": "default"})
        await anyio.sleep(1)
        assert len(journal.calls) == 1
        assert client.statistics().duplicates == 2
        assert client.calls == []


async def test_peer_r08_calls_whose_end_was_lost_in_an_outage_take_no_place(world: RelayWorld) -> None:
    async with world.client(max_active_calls=3) as client:
        journal = Journal(client)
        phones = [await world.talk(client) for _ in range(3)]
        world.refuse()
        await world.lose()
        for phone in phones:
            world.service.forget_call(phone.there.call_id)
        world.listen()
        await back(client, 2)
        await until(lambda: not client.calls, within=5)
        assert phones[0].call.state == "ended"
        await world.talk(client)
        assert len(journal.calls) == 4
        assert client.statistics().calls_turned_away == 0


@pytest.mark.parametrize("how", ["the call ends", "the session is lost", "we leave"])
async def test_peer_r09_whoever_waits_is_told_however_it_ends(world: RelayWorld, how: str) -> None:
    reasons = {
        "the call ends": ActionEnd.CALL_ENDED,
        "the session is lost": ActionEnd.CONNECTION_LOST,
        "we leave": ActionEnd.DISCONNECTED,
    }
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        action = await phone.call.play(LONG)
        played, ended = Later(group, action.wait), Later(group, phone.call.wait_for_ended)
        await anyio.sleep(1)
        world.service.faults.lose_events = {"calling.call.play"}
        if how == "the call ends":
            phone.there.hang_up()
        elif how == "the session is lost":
            await world.lose(forget=True)
        else:
            await client.disconnect()
        assert (await played.done()).params == {"reason": reasons[how].value}
        assert (await ended.done()).params["call_state"] == "ended"
        assert action.end is reasons[how]


async def test_peer_r10_a_time_out_spoils_no_later_wait(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        patiently = Later(group, phone.call.wait_for_ended)
        for _ in range(3):
            assert isinstance(await outcome(phone.call.wait_for_ended, 0.2), TimeoutError)
        phone.there.hang_up()
        assert (await patiently.done()).params == (await phone.call.wait_for_ended(0.2)).params


async def test_peer_r11_a_message_handler_may_send_a_message(world: RelayWorld) -> None:
    sent: list[Message] = []
    client = world.client()

    @client.on_message
    async def answer(message: Message) -> None:
        reply = await client.send_message(to_number="+1", from_number="+2", body="Yes")

        async def once_more(event: Any) -> None:
            sent.append(await client.send_message(to_number="+1", from_number="+2", body="Delivered?"))

        reply.on(once_more)
        await reply.wait()

    async with client:
        begun = anyio.current_time()
        await world.service.receive_message("Hi")
        await until(lambda: len(sent) >= 3, within=2)
        assert anyio.current_time() - begun < 2
        assert client.statistics().connections == 1


async def test_peer_r12_a_refused_client_frees_its_place(world: RelayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_MAX_CONNECTIONS", "1")
    kept_alive = world.client(token="wrong")
    assert isinstance(await outcome(kept_alive.connect), RelayAuthenticationError)
    async with world.client() as client:
        assert client.state is ClientState.READY
    assert kept_alive.state is ClientState.CLOSED


async def test_peer_r13_leaving_raises_what_can_be_caught(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.service.faults.ignore = {"calling.hold"}
        pending = Later(group, phone.call.hold)
        await anyio.sleep(1)
        await client.disconnect()
        error = await pending.done()
        assert type(error) is RelayConnectionError
        assert isinstance(error, Exception)
        assert "Connection closed before the answer to calling.hold" in str(error)


async def test_peer_r14_who_picks_up_after_the_dial_timed_out_is_not_left_alone(world: RelayWorld) -> None:
    world.service.on_dial = lambda device: RelayCallee(answers_after=10)
    async with world.client() as client:
        with pytest.raises(RelayError, match="timed out"):
            await client.dial(DEVICES, dial_timeout=9.99)
        await until(lambda: not world.service.calls, within=1)
        assert client.calls == []


async def test_peer_r15_the_waits_between_attempts_are_jittered(world: RelayWorld) -> None:
    async with world.client() as first, world.client() as second:
        journals = Journal(first), Journal(second)
        world.refuse()
        await world.lose()
        await anyio.sleep(120)
        waits = [[one.retry_in for one in journal.connections] for journal in journals]
        assert waits[0] != waits[1]
        for one in waits:
            assert len(set(one)) == len(one) > 3
        world.listen()
        await back(first, 2)
        await back(second, 2)


async def test_peer_r16_only_live_requests_count_against_the_queue(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        world.refuse()
        await world.lose()
        waiting = [Later(group, phone.call.hold) for _ in range(500)]
        await until(lambda: client.statistics().requests_queued == 500)
        with pytest.raises(RelayError, match="queue full"):
            await phone.call.hold()
        for one in waiting:
            assert isinstance(await one.done(), RelayTimeoutError)
        late = Later(group, phone.call.hold)
        world.listen()
        assert (await late.done())["code"] == "200"


async def test_peer_r18_a_silent_peer_is_found_in_less_than_twenty_seconds(world: RelayWorld) -> None:
    async with world.client() as client:
        await anyio.sleep(100)
        world.net.partition()
        begun = anyio.current_time()
        await until(lambda: client.state is not ClientState.READY)
        assert anyio.current_time() - begun < 20
        world.net.heal()
        await back(client, 2)


async def test_peer_r20_a_request_made_offline_survives_attempts_that_fail(world: RelayWorld) -> None:
    async with world.client(backoff=Backoff(ceiling=2.0)) as client, meanwhile() as group:
        phone = await world.talk(client)
        world.refuse()
        await world.lose()
        waiting = Later(group, phone.call.hold)
        dials = len(world.net.dials)
        await until(lambda: len(world.net.dials) >= dials + 2)
        assert waiting.took is None
        world.listen()
        assert (await waiting.done())["code"] == "200"
        assert waiting.took is not None
        assert waiting.took < 10
