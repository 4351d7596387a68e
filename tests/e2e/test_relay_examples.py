"""The RELAY examples, over real sockets: what the service was asked, who heard what, what was printed."""

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from telcoflow_anyio.gateway import Gateway, RelayCallee, RelayCaller, RelayServiceCall
from telcoflow_anyio.relay import RelayClient
from telcoflow_proto.jsontext import JsonObject, decode_object
from telcoflow_proto.limits import RELAY_LIMITS

EXAMPLES = Path(__file__).parents[2] / "examples" / "relay"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def client_of() -> AsyncIterator[tuple[Gateway, RelayClient]]:
    """A gateway whose phone network runs ten times as fast as life, and a client of it."""
    with anyio.fail_after(30):
        async with Gateway(speed=10) as gateway:
            client = RelayClient(
                "test-project", "test-token", host=gateway.relay_host, contexts=["default"], scheme="ws"
            )
            async with client:
                yield gateway, client


def asked(call: RelayServiceCall) -> list[str]:
    return [method for method, _ in call.requests]


def heard(call: RelayServiceCall) -> list[object]:
    return [played.item["params"] for played in call.played if played.item["type"] == "tts"]


async def test_answer_and_greet_records_what_the_caller_says(capsys: pytest.CaptureFixture[str]) -> None:
    async with client_of() as (gateway, client):
        load("answer_and_greet").register(client)
        caller = RelayCaller(says=((5.0, "my name is Ada"),), hangs_up_after=15.0)
        call = await gateway.relay.place_call(caller)
        await call.wait_state("ended")
        while client.calls:
            await client.calls[0].wait_for_ended()
        await anyio.wait_all_tasks_blocked()

    assert asked(call) == ["calling.answer", "calling.play", "calling.record"]
    assert heard(call) == [{"text": "Hello! Please tell us your name after the tone."}]
    assert len(call.recordings) == 1
    printed = capsys.readouterr().out
    assert f"recorded {call.recordings[0].duration} s: {call.recordings[0].url}" in printed
    assert "the call is over: hangup" in printed


@pytest.mark.parametrize(("key", "number"), [("1", "+15550101"), ("2", "+15550102")])
async def test_the_ivr_connects_whoever_chooses(key: str, number: str) -> None:
    reached: list[object] = []

    def plan(device: JsonObject) -> RelayCallee:
        reached.append(device["params"])
        return RelayCallee(answers_after=1.0, hangs_up_after=2.0)

    async with client_of() as (gateway, client):
        load("ivr").register(client)
        gateway.relay.on_dial = plan
        call = await gateway.relay.place_call(RelayCaller(presses=((1.0, key),), hangs_up_after=20.0))
        await call.wait_state("ended")

    assert asked(call) == ["calling.answer", "calling.play_and_collect", "calling.connect"]
    assert reached == [{"to_number": number, "from_number": "+15550001", "timeout": 20}]


async def test_the_ivr_asks_three_times_and_says_goodbye_to_who_is_silent() -> None:
    async with client_of() as (gateway, client):
        load("ivr").register(client)
        call = await gateway.relay.place_call(RelayCaller())
        await call.wait_state("ended")

    assert asked(call) == [
        "calling.answer",
        *["calling.play_and_collect"] * 3,
        "calling.play",
        "calling.end",
    ]
    assert call.end_reason == "hangup"


async def test_dial_and_play_is_heard_to_the_end() -> None:
    async with client_of() as (gateway, client):
        done = await load("dial_and_play").remind(client, "+15550002", "Your appointment is tomorrow at nine.")
        said = [decode_object(entry.text, RELAY_LIMITS) for entry in gateway.log if entry.text is not None]

    assert done
    assert [frame["method"] for frame in said if str(frame.get("method")).startswith("calling.")] == [
        "calling.dial",
        "calling.play",
        "calling.end",
    ]


async def test_dial_and_play_tells_that_nobody_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    async with client_of() as (gateway, client):
        gateway.relay.on_dial = lambda device: RelayCallee(busy=True)
        done = await load("dial_and_play").remind(client, "+15550002", "Hello")

    assert not done
    assert "nobody was reached" in capsys.readouterr().out


@pytest.mark.parametrize(("machine", "who"), [(True, "a machine"), (False, "a person")])
async def test_voicemail_tells_a_machine_from_a_person(*, machine: bool, who: str) -> None:
    async with client_of() as (gateway, client):
        gateway.relay.on_dial = lambda device: RelayCallee(machine=machine)
        told = await load("voicemail").deliver(client, "+15550002")

    assert told.startswith(f"{who}, recorded: http")


def test_no_example_goes_untested() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == [
        "answer_and_greet",
        "dial_and_play",
        "ivr",
        "voicemail",
    ]
