"""Every method of the table: done right, done wrong, and cut short by the end of the call."""

from typing import Any

import pytest

from telcoflow_anyio.gateway.relay.verbs import ON_CALLS
from telcoflow_proto.relay.jsonrpc import INVALID_PARAMS
from telcoflow_proto.relay.methods import ACTION_KINDS, BY_NAME, METHODS, Kind, Method, Param, Subcommand
from tests.gateway.relay.client import MEDIA, PHONE, Hand, town

GOOD: dict[str, dict[str, Any]] = {
    "hangup": {"reason": "hangup"},
    "play": {"play": MEDIA},
    "record": {"record": {"audio": {}}},
    "play_and_collect": {"play": MEDIA, "collect": {"digits": {"max": 1}}},
    "collect": {"digits": {"max": 1}},
    "connect": {"devices": PHONE},
    "send_digits": {"digits": "12"},
    "detect": {"detect": {"type": "machine", "params": {}}},
    "refer": {"device": {"type": "sip", "params": {"to": "sip:user@example.com"}}},
    "transfer": {"dest": "https://example.com/swml"},
    "send_fax": {"document": "https://example.com/document.pdf"},
    "tap": {
        "tap": {"type": "audio", "params": {"direction": "both"}},
        "device": {"type": "rtp", "params": {"addr": "192.0.2.1", "port": 5000}},
    },
    "stream": {"url": "wss://example.com/audio"},
    "pay": {"payment_connector_url": "https://pay.example.com"},
    "join_conference": {"name": "ours"},
    "leave_conference": {"conference_id": "ours"},
    "live_transcribe": {"action": {"start": {"language": "en-US"}}},
    "live_translate": {"action": {"start": {"source": "en-US", "target": "es"}}},
    "join_room": {"name": "ours"},
    "queue_enter": {"queue_name": "ours"},
    "queue_leave": {"queue_name": "ours"},
    "bind_digit": {"digits": "*1", "bind_method": "calling.hold"},
    "user_event": {"event": "order_placed", "order_id": "12345"},
}
FIRST = {
    "disconnect": "connect",
    "leave_conference": "join_conference",
    "leave_room": "join_room",
    "queue_leave": "queue_enter",
    "ai_message": "ai",
    "ai_hold": "amazon_bedrock",
    "ai_unhold": "ai",
}
"""What must have been asked before a method makes sense."""
LASTING = {
    "play": "finished",
    "record": "finished",
    "play_and_collect": "finished",
    "collect": "finished",
    "detect": "machine=finished",
    "send_fax": "finished",
    "receive_fax": "finished",
    "tap": "finished",
    "stream": "finished",
    "pay": "caller-hung-up",
    "transcribe": "finished",
    "ai": "finished",
    "connect": "failed",
    "refer": "cancel",
    "send_digits": "error",
    "echo": "finished",
    "join_conference": "conference-end",
    "join_room": "leave",
    "queue_enter": "leave",
}
"""Methods something runs after, and the last that is told of it when the call ends."""
WRONG: dict[Kind, Any] = {
    Kind.TEXT: 1,
    Kind.INTEGER: "1",
    Kind.NUMBER: "1",
    Kind.BOOLEAN: "true",
    Kind.OBJECT: [],
    Kind.ARRAY: {},
    Kind.GROUPS: [{}],
    Kind.SCALAR: 1,
    Kind.TEXT_OR_OBJECT: 1,
}


def params_of(method: Method, control_id: str = "c") -> dict[str, Any]:
    control = {"control_id": control_id} if method.control_id else {}
    return {**control, **GOOD.get(method.name, {})}


async def ask_first(hand: Hand, method: Method) -> None:
    if method.name in FIRST:
        before = BY_NAME[FIRST[method.name]]
        await hand.done(before.wire.removeprefix("calling."), **params_of(before, "before"))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_every_method_can_be_carried_out(method: Method) -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call()
        hand = client.on(call)
        if method.name not in {"answer", "pass_"}:
            await hand.done("answer")
        await ask_first(hand, method)
        before = len(client.order)
        params = params_of(method)
        result = await hand.done(method.wire.removeprefix("calling."), **params)
        assert result["code"] == "200"
        assert result["message"]
        assert result["call_id"] == call.call_id
        assert ("control_id" in result) is method.control_id
        assert client.order[before] == f"={method.wire}"
        assert call.requests[-1] == (method.wire, {**hand.address, **params})
        if method.action is not None:
            assert call.actions[-1].control_id == "c"
            assert call.actions[-1].running
            assert method.name in repr(call.actions[-1])


@pytest.mark.parametrize("name", LASTING)
async def test_what_runs_is_told_to_be_over_before_the_call_is(name: str) -> None:
    method = BY_NAME[name]
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        await hand.done(method.wire.removeprefix("calling."), **params_of(method))
        call.hang_up()
        event = method.action.event if method.action is not None else method.events[0]
        last = [told for told in client.order if told.startswith(f"{event}:")][-1]
        assert last == f"{event}:{LASTING[name]}"
        assert client.order.index(f"{event}:{LASTING[name]}") < client.order.index("calling.call.state:ended")
        assert client.order[-1] == "calling.call.state:ended"
        assert not call.running
        assert "over" in repr(call.actions[-1])
        assert (one.service.conferences, one.service.rooms, one.service.queues) == ({}, {}, {})
        if method.action is not None:
            final = client.of(event, control_id="c")[-1].params
            assert method.action.over(final)
            assert final["control_id"] == "c"


@pytest.mark.parametrize("kind", ACTION_KINDS, ids=lambda kind: kind.name)
async def test_every_action_can_be_stopped_once(kind: Any) -> None:
    method = BY_NAME[kind.name]
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        verb = method.wire.removeprefix("calling.")
        await hand.done(verb, **params_of(method))
        assert call.actions[-1].state in {"", *kind.states}
        assert (await hand.done(f"{verb}.stop", control_id="c"))["message"] == "Stopping"
        final = client.of(kind.event, control_id="c")[-1].params
        assert kind.over(final)
        assert await hand.refused(f"{verb}.stop", control_id="c") == (404, "there is no such operation")
        await hand.done(verb, **params_of(method))  # the id is free again


@pytest.mark.parametrize("kind", ACTION_KINDS, ids=lambda kind: kind.name)
async def test_a_control_id_in_use_is_refused(kind: Any) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        method = BY_NAME[kind.name]
        await hand.done(method.wire.removeprefix("calling."), **params_of(method))
        for other in (method, BY_NAME["ai"]):
            wire = other.wire.removeprefix("calling.")
            assert await hand.refused(wire, **params_of(other)) == (409, "this control_id is in use")


COMMANDS = [(kind, command) for kind in ACTION_KINDS for command in kind.commands]


@pytest.mark.parametrize(("kind", "command"), COMMANDS, ids=lambda one: one.name)
async def test_a_subcommand_is_for_its_own_kind_of_action(kind: Any, command: Subcommand) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        verb = command.wire.removeprefix("calling.")
        params: dict[str, Any] = {"volume": 1.0} if command.name == "volume" else {}
        assert await hand.refused(verb, control_id="c", **params) == (404, "there is no such operation")
        other = BY_NAME["tap" if kind.name != "tap" else "stream"]
        await hand.done(other.wire.removeprefix("calling."), **params_of(other))
        assert await hand.refused(verb, control_id="c", **params) == (404, "there is no such operation")
        assert await hand.refused(verb, **params) == (INVALID_PARAMS, "control_id is required")


@pytest.mark.parametrize("wire", sorted(ON_CALLS))
async def test_every_request_needs_a_call_that_lives(wire: str) -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        call.hang_up()
        verb = wire.removeprefix("calling.")
        assert await hand.refused(verb) == (404, "call not found")
        assert await client.refused(wire, node_id=call.node_id) == (INVALID_PARAMS, "call_id is required")
        assert await client.refused(wire, call_id=call.call_id) == (INVALID_PARAMS, "node_id is required")


@pytest.mark.parametrize("method", [method for method in METHODS if method.control_id], ids=lambda method: method.name)
async def test_methods_with_a_control_id_insist_on_it(method: Method) -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        verb = method.wire.removeprefix("calling.")
        assert await hand.refused(verb, **GOOD.get(method.name, {})) == (INVALID_PARAMS, "control_id is required")
        assert call.actions == []


def bad_params() -> list[Any]:
    rows = []
    for method in METHODS:
        for param in method.params:
            if param.kind in WRONG:
                rows.append(pytest.param(method, param, WRONG[param.kind], id=f"{method.name}-{param.name}-type"))
            if param.required:
                rows.append(pytest.param(method, param, None, id=f"{method.name}-{param.name}-missing"))
            for need in param.needs:
                parent = need.rpartition(".")[0]
                lacking: Any = {other: {} for other in param.needs if other != need and "." not in other}
                lacking |= {parent: {}} if parent else {}
                bad = {Kind.ARRAY: [lacking], Kind.GROUPS: [[lacking]]}.get(param.kind, lacking)
                rows.append(pytest.param(method, param, bad, id=f"{method.name}-{param.name}-without-{need}"))
    return rows


@pytest.mark.parametrize(("method", "param", "value"), bad_params())
async def test_a_bad_parameter_is_refused_by_name(method: Method, param: Param, value: Any) -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        params = params_of(method)
        path = param.wire.split(".")
        if value is None:
            del params[param.wire]
        else:
            params[path[0]] = {path[1]: value} if len(path) > 1 else value
        code, message = await hand.refused(method.wire.removeprefix("calling."), **params)
        assert code == 400
        assert param.wire in message
        assert call.actions == []
        assert call.state == "answered"


async def test_a_volume_must_be_given() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        await hand.done("play", control_id="c", play=MEDIA)
        assert await hand.refused("play.volume", control_id="c") == (400, "volume is required")
