"""The five common call flows, as in ``examples/``, over real sockets: which states, and who heard what."""

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from telcoflow_anyio import ActiveCall, CallState, TelcoflowClient, TelcoflowClientConfig, events
from telcoflow_anyio.gateway import Callee, Caller, Gateway, GatewayCall, Voice
from telcoflow_anyio.gateway.audio import skip_silence

EXAMPLES = Path(__file__).parents[2] / "examples"
RATE = 24000


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def agent_running(example: ModuleType) -> AsyncIterator[tuple[Gateway, list[ActiveCall], list[str]]]:
    """Run an example's agent against a gateway; yields its calls and the states they go through, as it sees them."""
    calls: list[ActiveCall] = []
    flow: list[str] = []
    ended = anyio.Event()

    def watch(call: ActiveCall) -> None:
        calls.append(call)
        flow.append(call.state.name)

        def moved(state: CallState) -> None:
            flow.append(state.name)

        @call.on(events.CALL_TERMINATED)
        def over() -> None:
            flow.append(call.state.name)
            ended.set()

        call.register_event_handler(events.CALL_ANSWERED, moved)
        call.register_event_handler(events.CALL_CONNECTED, moved)

    with anyio.fail_after(30):
        async with Gateway() as gateway:
            config = TelcoflowClientConfig.sandbox(
                api_key="test-key", connector_uuid="test-connector", base_url=gateway.base_url
            )
            async with TelcoflowClient(config) as client:
                client.register_event_handler(events.INCOMING_CALL, watch)
                example.register(client)
                yield gateway, calls, flow
                await ended.wait()


def sounds(pcm: bytes) -> bytes:
    return skip_silence(pcm, RATE)


def padded(pcm: bytes) -> bytes:
    """Speech as the network plays it: the last 20 ms are filled up with silence."""
    return pcm + bytes(-len(pcm) % 960)


def spoken(voice: Voice) -> bytes:
    speech = voice.speak(RATE)
    frames: list[bytes] = []
    while frame := speech.next_frame():
        frames.append(frame)
    return b"".join(frames)


CALLER = Voice.tone(200, 0.6)
CALLEE = Voice.tone(300, 0.4)


async def test_flow_1_the_agent_answers_and_the_caller_hears_itself_back() -> None:
    async with agent_running(load("flow_1_answer_and_talk")) as (gateway, _, flow):
        call = await gateway.place_call(caller=Caller(voice=CALLER, hangs_up_after=1.8))

        await call.wait_state("over")

    assert flow == ["PENDING", "ANSWERED", "DISCONNECTED"]
    assert call.states == ["pending", "answered", "over"]
    assert call.ended_by == "caller"
    assert sounds(call.heard_by_caller) == spoken(CALLER)
    assert sounds(call.heard_by_agent) == spoken(CALLER)
    assert sounds(call.heard_by_callee) == b""


async def test_flow_2_the_front_desk_greets_connects_and_leaves_the_two_to_themselves() -> None:
    example = load("flow_2_front_desk")
    async with agent_running(example) as (gateway, _, flow):
        caller = Caller(voice=CALLER.after(1.6), hangs_up_after=4.0)
        call = await gateway.place_call(caller=caller, callee=Callee(voice=CALLEE, answers_after=0.2))

        await call.wait_state("over")

    assert flow == ["PENDING", "ANSWERED", "CONNECTED", "DISCONNECTED"]
    assert call.states == ["pending", "answered", "connected", "direct", "over"]
    assert call.ended_by == "caller"
    assert sounds(call.heard_by_caller) == padded(example.GREETING) + spoken(CALLEE)
    assert sounds(call.heard_by_callee) == spoken(CALLER)
    assert example.GREETING not in call.heard_by_callee


async def test_flow_3_only_the_callee_hears_what_is_whispered() -> None:
    example = load("flow_3_whisper")
    async with agent_running(example) as (gateway, calls, flow):
        call = await gateway.place_call(caller=Caller(hangs_up_after=2.5), callee=Callee(answers_after=0.2))
        await call.wait_state("over")

    assert flow == ["PENDING", "ANSWERED", "CONNECTED", "DISCONNECTED"]
    assert call.states == ["pending", "answered", "connected", "over"]
    assert calls[0].audio_mode == "whisper"
    assert sounds(call.heard_by_callee) == padded(example.GUIDANCE)
    assert sounds(call.heard_by_caller) == b""


async def test_flow_4_the_callee_is_rung_without_the_agent_ever_answering() -> None:
    async with agent_running(load("flow_4_direct_routing")) as (gateway, calls, flow):
        caller = Caller(voice=CALLER, hangs_up_after=3.0)
        call = await gateway.place_call(caller=caller, callee=Callee(voice=CALLEE, answers_after=0.2))
        await call.wait_state("over")

    assert flow == ["PENDING", "CONNECTED", "DISCONNECTED"]
    assert calls[0].audio_mode == "barge"
    assert call.states == ["pending", "connected", "over"]
    assert sounds(call.heard_by_caller) == spoken(CALLEE)
    assert sounds(call.heard_by_callee) == spoken(CALLER)


async def test_flow_5_goodbye_is_heard_to_the_last_sample_before_the_call_ends_for_all() -> None:
    example = load("flow_5_goodbye")
    async with agent_running(example) as (gateway, _, flow):
        call = await gateway.place_call(caller=Caller())

        await call.wait_state("over")

    assert flow == ["PENDING", "ANSWERED", "DISCONNECTED"]
    assert call.states == ["pending", "answered", "over"]
    assert call.ended_by == "agent"
    assert sounds(call.heard_by_caller) == padded(example.GOODBYE)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_every_flow_has_its_example_and_no_example_goes_untested(number: int) -> None:
    assert len(list(EXAMPLES.glob(f"flow_{number}_*.py"))) == 1
    assert len(list(EXAMPLES.glob("flow_*.py"))) == 5


def test_the_recordings_of_a_call_share_one_clock(tmp_path: Path) -> None:
    async def scenario() -> GatewayCall:
        async with agent_running(load("flow_1_answer_and_talk")) as (gateway, _, _):
            call = await gateway.place_call(caller=Caller(voice=CALLER, hangs_up_after=0.5))
            await call.wait_state("over")
            return call

    call = anyio.run(scenario)
    call.save(tmp_path)

    assert len(call.heard_by_caller) == len(call.heard_by_agent) == len(call.heard_by_callee)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "heard-by-agent.wav",
        "heard-by-callee.wav",
        "heard-by-caller.wav",
    ]
