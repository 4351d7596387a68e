"""Every method of the table: what arrives, what comes back, how its action ends, and what is refused."""

from collections.abc import Callable
from typing import Any, final

import anyio
import attrs
import pytest

from telcoflow_anyio.gateway.relay import RelayCaller
from telcoflow_anyio.relay import ActionEnd, RelayError, RelayEvent
from telcoflow_proto.relay.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND
from telcoflow_proto.relay.methods import METHODS, Method, Param, Subcommand
from tests.adapters.acts import outcome
from tests.relay_adapters.samples import (
    BEFORE,
    CALLER,
    NOT_YET_ANSWERED,
    PAUSE,
    SAMPLES,
    WRONG,
    WRONG_ON_THE_WIRE,
    given,
    on_the_wire,
    sample,
)
from tests.world.relay import Phone, RelayWorld

ACTIONS = {
    "play": "PlayAction",
    "record": "RecordAction",
    "play_and_collect": "CollectAction",
    "collect": "StandaloneCollectAction",
    "detect": "DetectAction",
    "send_fax": "FaxAction",
    "receive_fax": "FaxAction",
    "tap": "TapAction",
    "stream": "StreamAction",
    "pay": "PayAction",
    "transcribe": "TranscribeAction",
    "ai": "AIAction",
}
WITH_ACTION = [method for method in METHODS if method.action is not None]
WITH_PARAMS = [method for method in METHODS if method.params]
COMMANDS = [
    (method, command) for method in WITH_ACTION if method.action is not None for command in method.action.commands
]
SUBCOMMAND_ARGUMENTS: dict[str, dict[str, Any]] = {"pause": {"behavior": "silence"}, "volume": {"volume": -3.0}}


def by_name(method: object) -> str:
    assert isinstance(method, Method | Subcommand)
    return method.name


async def phone_for(world: RelayWorld, client: Any, method: Method, caller: RelayCaller = CALLER) -> Phone:
    """A call on which this method makes sense."""
    phone = await (world.call_in if method.name in NOT_YET_ANSWERED else world.talk)(client, caller)
    if method.name in BEFORE:
        await BEFORE[method.name](phone)
    return phone


def address(phone: Phone) -> dict[str, str]:
    return {"node_id": phone.there.node_id, "call_id": phone.there.call_id}


# ---------------------------------------------------------------------- on the wire


@pytest.mark.parametrize("everything", [False, True], ids=["required", "all"])
@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_a_method_arrives_as_the_table_says(world: RelayWorld, method: Method, everything: bool) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        arguments = given(method, everything=everything)
        if "queue_id" in arguments:
            arguments["queue_id"] = world.service.queues["support"].gathering_id
        result = await getattr(phone.call, method.name)(**arguments)
        arrived = dict(phone.asked(method.wire)[-1])
        control_id = arrived.pop("control_id", None)
        assert arrived == {**address(phone), **on_the_wire(method, arguments)}
        assert (control_id is not None) == method.control_id
        if method.action is None:
            assert isinstance(result, dict)
            assert result["code"] == "200"
            assert result["message"]
        else:
            assert type(result) is getattr(world.adapter, ACTIONS[method.name])
            assert result.control_id == control_id
            assert result.call is phone.call


async def test_names_that_differ_on_the_wire_are_those_of_the_vendor(world: RelayWorld) -> None:
    """Written out, because the table is what every other test reads."""
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.play(PAUSE)
        await phone.call.record({"format": "wav"})
        await phone.call.pay("https://pay.example.com", input_method="dtmf", security_code=False, timeout=7)
        await phone.call.join_conference("my_conference", stream_obj={"url": "wss://example.com"})
        await phone.call.ai(ai_params={"temperature": 0.5})
        await phone.call.live_transcribe({"stop": {}})
        await phone.call.bind_digit("*", "calling.play", bind_params={"play": PAUSE})
        await phone.call.queue_enter("support")
        await phone.call.denoise()
        await phone.call.denoise_stop()
        await phone.call.hangup()
        names = (
            "play",
            "record",
            "input",
            "security_code",
            "timeout",
            "stream",
            "params",
            "action",
            "queue_name",
            "reason",
        )
        assert [
            (wire, {name: params[name] for name in names if name in params})
            for wire, params in phone.there.requests
            if wire != "calling.answer"
        ] == [
            ("calling.play", {"play": PAUSE}),
            ("calling.record", {"record": {"audio": {"format": "wav"}}}),
            ("calling.pay", {"input": "dtmf", "security_code": "false", "timeout": "7"}),
            ("calling.join_conference", {"stream": {"url": "wss://example.com"}}),
            ("calling.ai", {"params": {"temperature": 0.5}}),
            ("calling.live_transcribe", {"action": {"stop": {}}}),
            ("calling.bind_digit", {"params": {"play": PAUSE}}),
            ("calling.queue.enter", {"queue_name": "support"}),
            ("calling.denoise", {}),
            ("calling.denoise.stop", {}),
            ("calling.end", {"reason": "hangup"}),
        ]


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_free_keywords_go_to_the_top_level_where_the_table_has_them(world: RelayWorld, method: Method) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        arguments = {**given(method, everything=False), "further": {"of": "ours"}, "not_given": None}
        before = len(phone.there.requests)
        result = await outcome(lambda: getattr(phone.call, method.name)(**arguments))
        if method.free:
            assert phone.asked(method.wire)[-1]["further"] == {"of": "ours"}
            assert "not_given" not in phone.asked(method.wire)[-1]
        else:
            assert isinstance(result, TypeError)
            assert len(phone.there.requests) == before


@pytest.mark.parametrize("method", [one for one in METHODS if one.control_id], ids=by_name)
async def test_a_control_id_may_be_chosen(world: RelayWorld, method: Method) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        call = getattr(phone.call, method.name)
        arguments = given(method, everything=False)
        await call(**arguments, control_id="my-own")
        assert phone.asked(method.wire)[-1]["control_id"] == "my-own"
        assert isinstance(await outcome(lambda: call(**arguments, control_id=7)), TypeError)
        assert isinstance(await outcome(lambda: call(**arguments, control_id="")), ValueError)
        if method.action is not None:
            assert "in use" in str(await outcome(lambda: call(**arguments, control_id="my-own")))


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_what_the_service_refuses_is_raised(world: RelayWorld, method: Method) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        act = getattr(phone.call, method.name)
        arguments = given(method, everything=False)
        world.service.faults.refuse[method.wire] = ("402", "no money left")
        error = await outcome(lambda: act(**arguments))
        assert type(error) is RelayError
        assert (error.code, error.message) == (402, "no money left")
        del world.service.faults.refuse[method.wire]
        world.service.faults.fail[method.wire] = (-32603, "something broke")
        error = await outcome(lambda: act(**arguments))
        assert type(error) is RelayError
        assert (error.code, error.message) == (-32603, "something broke")
        if method.name != "ai" and method.name not in BEFORE:
            assert client.statistics().actions_live == 0


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_on_a_call_that_is_over_or_gone_nothing_is_raised(world: RelayWorld, method: Method) -> None:
    completed: list[RelayEvent] = []
    extra = {"on_completed": completed.append} if method.action else {}
    async with world.client() as client:
        for gone in (True, False):
            phone = await phone_for(world, client, method)
            if gone:
                world.service.forget_call(phone.there.call_id)
            else:
                phone.there.hang_up()
                await phone.call.wait_for_ended(5)
            result = await getattr(phone.call, method.name)(**given(method, everything=False), **extra)
            if method.action is None:
                assert result == {}
                continue
            assert (await result.wait(5)).event_type == ""
            assert result.end is (ActionEnd.CALL_GONE if gone else ActionEnd.CALL_ENDED)
            assert completed.pop() is result.result
            assert completed == []
            for command in method.action.commands:
                values = [-3.0] if command.params and command.params[0].required else []
                assert await getattr(result, command.name)(*values) == {}


# ---------------------------------------------------------------------- how actions end


@final
@attrs.frozen(kw_only=True)
class Ending:
    """How an action comes to its end, and what tells of it."""

    event: str
    looks: Callable[[Any], bool]
    caller: RelayCaller = CALLER
    given: dict[str, Any] = attrs.field(factory=dict)
    stopped_after: float | None = None


ENDINGS = {
    "play": Ending(event="PlayEvent", given={"media": PAUSE}, looks=lambda event: event.state == "finished"),
    "record": Ending(
        event="RecordEvent",
        stopped_after=2,
        looks=lambda event: event.state == "finished" and event.url and 1.9 < event.duration < 2.1 and event.size,
    ),
    "play_and_collect": Ending(
        event="CollectEvent",
        caller=RelayCaller(presses=((2.0, "2"),)),
        looks=lambda event: event.result["params"]["digits"] == "2",
    ),
    "collect": Ending(
        event="CollectEvent",
        given={"digits": {"max": 4, "terminators": "#"}},
        caller=RelayCaller(presses=((1.0, "12#"),)),
        looks=lambda event: event.result["params"] == {"digits": "12", "terminator": "#"},
    ),
    "detect": Ending(event="DetectEvent", looks=lambda event: event.detect["params"]["event"] == "HUMAN"),
    "send_fax": Ending(
        event="FaxEvent",
        caller=RelayCaller(fax_pages=2),
        looks=lambda event: event.fax["params"]["pages"] == 2 and event.fax["params"]["success"],
    ),
    "receive_fax": Ending(
        event="FaxEvent",
        caller=RelayCaller(fax_pages=1),
        looks=lambda event: event.fax["params"]["direction"] == "receive",
    ),
    "tap": Ending(event="TapEvent", stopped_after=1, looks=lambda event: event.device["params"]["port"] == 5000),
    "stream": Ending(event="StreamEvent", stopped_after=1, looks=lambda event: event.url == "wss://example.com/audio"),
    "pay": Ending(
        event="PayEvent",
        caller=RelayCaller(payment="success"),
        looks=lambda event: event.params["result"] == "success",
    ),
    "transcribe": Ending(event="TranscribeEvent", stopped_after=3, looks=lambda event: 2.9 < event.duration < 3.1),
    "ai": Ending(event="RelayEvent", stopped_after=1, looks=lambda event: event.event_type == "calling.call.ai"),
}


@pytest.mark.parametrize("callback", ["sync", "async", "raising"])
@pytest.mark.parametrize("method", WITH_ACTION, ids=by_name)
async def test_an_action_ends_with_its_event(world: RelayWorld, method: Method, callback: str) -> None:
    ending = ENDINGS[method.name]
    completed: list[RelayEvent] = []

    async def later(event: RelayEvent) -> None:
        await anyio.sleep(0.1)
        completed.append(event)

    def fail(event: RelayEvent) -> None:
        completed.append(event)
        raise RuntimeError("a handler that fails")

    handler: Callable[[RelayEvent], object] = {"sync": completed.append, "async": later, "raising": fail}[callback]
    async with world.client() as client:
        phone = await world.talk(client, ending.caller)
        arguments = ending.given or given(method, everything=False)
        action: Any = await getattr(phone.call, method.name)(**arguments, on_completed=handler)
        assert (action.is_done, action.completed, action.result, action.end) == (False, False, None, None)
        assert "running" in repr(action)
        if ending.stopped_after is not None:
            await anyio.sleep(ending.stopped_after)
            assert not action.is_done
            assert (await action.stop())["code"] == "200"
        event = await action.wait(timeout=60)
        assert type(event) is getattr(world.adapter, ending.event)
        assert ending.looks(event)
        assert (event.call_id, event.params["control_id"]) == (phone.call.call_id, action.control_id)
        assert event.timestamp > 0
        assert (action.is_done, action.completed, action.result) == (True, True, event)
        assert action.end is ActionEnd.COMPLETED
        assert await action.wait() is event
        await anyio.sleep(5)
        assert completed == [event]
        assert client.statistics().actions_live == 0


@pytest.mark.parametrize(("method", "command"), COMMANDS, ids=lambda one: one.name)
async def test_every_subcommand_of_an_action_works(world: RelayWorld, method: Method, command: Subcommand) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action: Any = await getattr(phone.call, method.name)(**given(method, everything=False))
        if command.name == "resume":
            await action.pause()
        arguments = SUBCOMMAND_ARGUMENTS.get(command.name, {})
        result = await getattr(action, command.name)(**arguments)
        assert result["code"] == "200"
        assert phone.asked(command.wire) == [{**address(phone), "control_id": action.control_id, **arguments}]
        world.service.faults.refuse[command.wire] = ("500", "not now")
        assert isinstance(await outcome(lambda: getattr(action, command.name)(**arguments)), RelayError)
        if command.name == "volume":
            for wrong in ("loud", None, True):
                error = await outcome(action.volume, wrong)
                assert isinstance(error, TypeError | ValueError)
                assert "volume" in str(error)
        phone.there.hang_up()
        await action.wait(5)


async def test_an_action_that_is_waited_for_too_short_goes_on(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.play(PAUSE)
        for _ in range(3):
            with pytest.raises(TimeoutError, match="still running"):
                await action.wait(timeout=0.1)
        assert not action.is_done
        assert (await action.wait()).params["state"] == "finished"


# ---------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize("method", WITH_PARAMS, ids=by_name)
async def test_a_wrong_parameter_is_named_and_nothing_is_sent(world: RelayWorld, method: Method) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        before = len(phone.there.requests)
        act = getattr(phone.call, method.name)
        for param, wrong in wrong_values(method):
            arguments = {**given(method, everything=False), param.name: wrong}
            error = await outcome(lambda arguments=arguments: act(**arguments))
            assert isinstance(error, TypeError | ValueError), (param.name, wrong)
            assert method.name in str(error)
            assert param.name in str(error)
        assert len(phone.there.requests) == before
        actions_before = 1 if method.name.startswith("ai_") else 0
        assert client.statistics().actions_live == actions_before


def wrong_values(method: Method) -> list[tuple[Param, Any]]:
    """Every parameter with everything it must not be."""
    wrong = [(param, value) for param in method.params for value in WRONG[param.kind]]
    missing = [(param, None) for param in method.params if param.required]
    lacking = [(param, value) for param in method.params for value in lacking_members(method, param) if value]
    return [*wrong, *missing, *lacking]


def lacking_members(method: Method, param: Param) -> list[Any]:
    """The sample of a parameter, without each of the members that are needed; ``params`` of an object is filled in."""
    value = sample(method, param)
    found: list[Any] = []
    for need in param.needs:
        parent, _, member = need.rpartition(".")
        if isinstance(value, list):
            inner = value[0][0] if isinstance(value[0], list) else value[0]
            less = [{name: one for name, one in inner.items() if name != need}]
            found.append([less] if isinstance(value[0], list) else less)
        elif parent:
            found.append({**value, parent: {name: one for name, one in value[parent].items() if name != member}})
        elif need != "params":
            found.append({name: one for name, one in value.items() if name != need})
    return found


@pytest.mark.parametrize("method", WITH_PARAMS, ids=by_name)
async def test_a_required_parameter_cannot_be_left_out(world: RelayWorld, method: Method) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        before = len(phone.there.requests)
        for param in method.params:
            if param.required and (method.name, param.name) != ("hangup", "reason"):
                arguments = given(method, everything=True)
                del arguments[param.name]
                with pytest.raises((TypeError, ValueError), match=rf"{method.name}\(\).*{param.name}"):
                    await getattr(phone.call, method.name)(**arguments)
        assert len(phone.there.requests) == before


@pytest.mark.parametrize("method", WITH_PARAMS, ids=by_name)
async def test_the_service_refuses_wrong_parameters_that_are_sent_raw(world: RelayWorld, method: Method) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        good = {**address(phone), "control_id": "raw", **on_the_wire(method, given(method, everything=False))}
        for param in method.params:
            for wrong in WRONG_ON_THE_WIRE[param.kind]:
                error = await refused(client, method.wire, changed(good, param.wire, wrong))
                assert error.code == 400, (param.name, wrong)
                assert param.wire.split(".")[0] in error.message
            if param.required:
                error = await refused(client, method.wire, changed(good, param.wire, None))
                assert (error.code, error.message) == (400, f"{param.wire} is required")
        assert [action for action in phone.there.actions if action.control_id == "raw"] == []


@pytest.mark.parametrize("method", METHODS, ids=by_name)
async def test_the_service_wants_to_know_which_call_and_which_action(world: RelayWorld, method: Method) -> None:
    async with world.client() as client:
        phone = await phone_for(world, client, method)
        good = {**address(phone), "control_id": "raw", **on_the_wire(method, given(method, everything=False))}
        needed = ["node_id", "call_id", *(["control_id"] if method.control_id else [])]
        for name in needed:
            for wrong in (None, 7):
                error = await refused(client, method.wire, {**good, name: wrong})
                assert (error.code, error.message) == (INVALID_PARAMS, f"{name} is required")
        for unknown in ({"call_id": "nobody"}, {"node_id": "nowhere"}):
            assert (await refused(client, method.wire, {**good, **unknown})).code == 404
        assert (await refused(client, f"{method.wire}.not", good)).code == METHOD_NOT_FOUND
        assert not any(action.control_id == "raw" for action in phone.there.actions)


async def refused(client: Any, wire: str, params: dict[str, Any]) -> RelayError:
    error = await outcome(client.execute, wire, params)
    assert isinstance(error, RelayError), error
    return error


def changed(params: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Put another value into params; None takes it out."""
    first, _, rest = path.partition(".")
    inner = changed(params.get(first, {}), rest, value) if rest else value
    return {**{name: one for name, one in params.items() if name != first}, **({} if inner is None else {first: inner})}


def test_there_is_a_sample_for_every_parameter() -> None:
    for method in METHODS:
        named = {param.name for param in method.params}
        assert set(SAMPLES.get(method.name, {})) == named


def test_every_method_with_an_action_has_an_ending() -> None:
    assert set(ENDINGS) == set(ACTIONS) == {method.name for method in WITH_ACTION}
    assert len(set(ACTIONS.values())) == 11
