"""A small agent on the vendor's RELAY SDK, for interoperation tests.

It uses only the public names of ``signalwire-sdk==3.7.5`` and runs against any service that speaks RELAY over TLS
(``SIGNALWIRE_RELAY_CA_FILE`` says whom to trust)::

    python -m tests.interop.relay.vendor_agent 127.0.0.1:8443 answer

It plays one scenario and prints one JSON object per line, each with an ``event`` key. Exit status: 0 the scenario
ran to its end, 1 something failed, 2 wrong arguments, 3 the hard time limit struck. Most scenarios take one call;
``parity`` reads a list of steps from the standard input, and ``surface`` only prints what the SDK offers.
"""

import asyncio
import dataclasses
import inspect
import json
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import signalwire.relay as sdk

from tests.interop.relay.defects import DEFECTS
from tests.interop.relay.script import perform, run_and_come_back

SCENARIO_LIMIT = 18.0  # seconds
HARD_LIMIT = 25.0  # seconds; then the process ends, whatever it is doing
OnACall = Callable[[sdk.Call], Coroutine[Any, Any, None]]
AsAClient = Callable[[sdk.RelayClient], Coroutine[Any, Any, None]]
TTS = {"type": "tts", "params": {"text": "one two three four five"}}


def report(event: str, **details: object) -> None:
    """Print one line for the test that started this program."""
    print(json.dumps({"event": event, **details}), flush=True)  # noqa: T201 - the output is the report


def new_client(host: str, project: str = "test-project") -> sdk.RelayClient:
    return sdk.RelayClient(project=project, token="test-token", host=host, contexts=["default"])


# ---------------------------------------------------------------------------------------------- on one inbound call


async def answer(call: sdk.Call) -> None:
    report("answer", result=await call.answer())
    await call.wait_for_answered(timeout=5)
    await call.hangup("busy")
    report("ended", **(await call.wait_for_ended(timeout=5)).params)


async def play(call: sdk.Call) -> None:
    await call.answer()
    done = asyncio.Event()
    action = await call.play([TTS], volume=-3.0, on_completed=lambda _event: done.set())
    report("played", **(await action.wait(timeout=5)).params)
    await done.wait()
    stopped = await call.play([{"type": "silence", "params": {"duration": 600}}])
    paused = asyncio.create_task(
        call.wait_for("calling.call.play", lambda event: event.params["state"] == "paused", timeout=5)
    )
    await asyncio.sleep(0)  # it listens from its first turn on
    await stopped.pause()
    await paused
    await stopped.resume()
    await stopped.volume(4.0)
    await stopped.stop()
    report("stopped", **(await stopped.wait(timeout=5)).params)


async def collect(call: sdk.Call) -> None:
    await call.answer()
    action = await call.collect(digits={"max": 4, "terminators": "#"}, initial_timeout=100.0)
    report("collecting")
    report("collected", **(await action.wait(timeout=5)).params)


async def play_and_collect(call: sdk.Call) -> None:
    await call.answer()
    action = await call.play_and_collect([TTS], {"digits": {"max": 1}, "initial_timeout": 100.0})
    report("collecting")
    report("collected", **(await action.wait(timeout=5)).params)
    spoken = await call.prompt_tts("Say something", {"speech": {"end_silence_timeout": 1.0}, "initial_timeout": 100.0})
    report("listening")
    report("heard", **(await spoken.wait(timeout=5)).params)


async def record(call: sdk.Call) -> None:
    await call.answer()
    action = await call.record(audio={"format": "wav", "stereo": True, "direction": "both"})
    await action.pause("silence")
    await action.resume()
    await action.stop()
    report("recorded", **(await action.wait(timeout=5)).params)


async def detect(call: sdk.Call) -> None:
    await call.answer()
    action = await call.detect_answering_machine(timeout=30.0)
    report("detected", **(await action.wait(timeout=5)).params)


def is_bridged(event: sdk.RelayEvent) -> bool:
    return bool(event.params["connect_state"] == "connected")


def is_parted(event: sdk.RelayEvent) -> bool:
    return bool(event.params["connect_state"] == "disconnected")


async def bridge(call: sdk.Call) -> None:
    await call.answer()
    waiting = asyncio.create_task(call.wait_for("calling.call.connect", is_bridged))
    await asyncio.sleep(0)
    await call.connect([[{"type": "phone", "params": {"to_number": "+15559", "from_number": "+15550"}}]])
    report("bridged", peer=(await asyncio.wait_for(waiting, 5)).params["peer"])
    waiting = asyncio.create_task(call.wait_for("calling.call.connect", is_parted))
    await asyncio.sleep(0)
    await call.disconnect()
    await asyncio.wait_for(waiting, 5)
    report("parted")


async def gone(call: sdk.Call) -> None:
    """Ask for things on a call that the service has ended meanwhile."""
    await call.answer()
    await call.wait_for_ended(timeout=5)
    report("gone", result=await call.send_digits("1"))


ON_A_CALL: tuple[OnACall, ...] = (*(answer, play, collect, play_and_collect, record, detect, bridge, gone),)


async def take_one_call(host: str, scenario: OnACall) -> None:
    """Connect, take the first call and play the scenario on it."""
    calls: asyncio.Queue[sdk.Call] = asyncio.Queue()
    client = new_client(host)
    client.on_call(calls.put)
    async with asyncio.timeout(SCENARIO_LIMIT), client:
        report("connected", protocol=client.relay_protocol)
        call = await calls.get()
        report("call", call_id=call.call_id, direction=call.direction, device=call.device, state=call.state)
        await scenario(call)
        await call.hangup()


# ---------------------------------------------------------------------------------------------- as a client


async def dial(client: sdk.RelayClient) -> None:
    phone = {"type": "phone", "params": {"to_number": "+15559", "from_number": "+15550"}}
    call = await client.dial([[phone]], tag="my-tag", dial_timeout=10)
    report("answered", call_id=call.call_id, state=call.state, tag=call.tag, direction=call.direction)
    await call.hangup()
    report("ended", **(await call.wait_for_ended(timeout=5)).params)
    try:
        await client.dial([[{"type": "phone", "params": {"to_number": "busy", "from_number": "+15550"}}]])
    except sdk.RelayError as error:
        report("failed", code=error.code)


async def send_message(client: sdk.RelayClient) -> None:
    message = await client.send_message(to_number="+15559", from_number="+15550", body="Hello", tags=["greeting"])
    states: list[str] = []
    message.on(lambda event: states.append(event.params["message_state"]))
    event = await message.wait(timeout=5)
    report("told", state=message.state, states=states, last=event.params["message_state"], id=message.message_id)


async def receive_message(client: sdk.RelayClient) -> None:
    messages: asyncio.Queue[sdk.Message] = asyncio.Queue()
    client.on_message(messages.put)
    message = await asyncio.wait_for(messages.get(), 5)
    report("message", body=message.body, sender=message.from_number, context=message.context, media=message.media)


async def listen(client: sdk.RelayClient) -> None:
    calls: asyncio.Queue[sdk.Call] = asyncio.Queue()
    client.on_call(calls.put)
    await client.receive(["support"])
    report("listening")
    call = await asyncio.wait_for(calls.get(), 5)
    await client.unreceive(["support", "default"])
    report("deaf", call_id=call.call_id)


AS_A_CLIENT: tuple[AsAClient, ...] = (dial, send_message, receive_message, listen)


async def be_a_client(host: str, scenario: AsAClient) -> None:
    async with asyncio.timeout(SCENARIO_LIMIT), new_client(host) as client:
        report("connected", protocol=client.relay_protocol)
        await scenario(client)


def resume(host: str) -> None:
    """Run; take a call, collect a key through an outage, and leave."""
    client = new_client(host)

    async def take(call: sdk.Call) -> None:
        await call.answer()
        action = await call.collect(digits={"max": 1}, initial_timeout=60.0)
        report("collecting")
        report("collected", **(await action.wait()).params)
        await call.hangup()
        report("ended", **(await call.wait_for_ended()).params)
        await client.disconnect()

    client.on_call(take)
    client.run()


# ---------------------------------------------------------------------------------------------- beside ours


def surface(_host: str) -> None:
    """Print every public class with its methods, what they take, and the further names its values have."""
    for name, made in vars(sdk).items():
        if inspect.isclass(made) and not name.startswith("_"):
            public = [method for method in inspect.getmembers(made) if not method[0].startswith("_")]
            methods = {
                method: [[param.name, param.kind.name] for param in inspect.signature(function).parameters.values()]
                for method, function in public
                if inspect.isfunction(function)
            }
            fields = [field.name for field in dataclasses.fields(made)] if dataclasses.is_dataclass(made) else []
            properties = [member for member, value in public if isinstance(value, property)]
            report("class", name=name, methods=methods, members=[*fields, *properties])


def meet_defects(host: str) -> None:
    """Play one of the defects, as named on the standard input."""
    name = json.load(sys.stdin)
    report("found", finding=DEFECTS[name](partial(sdk.RelayClient, token="test-token", host=host)))


def parity(host: str) -> None:
    """Do the steps; connect once more, with a JWT; be sent away and come back."""
    steps = json.load(sys.stdin)

    async def perform_all() -> dict[str, Any]:
        async with sdk.RelayClient("parity", "secret-token", host=host, contexts=["default", "sales"]) as client:
            outcomes = await perform(client, steps)
        async with sdk.RelayClient(jwt_token="secret-jwt", host=host):
            return outcomes

    report("outcomes", outcomes=asyncio.run(perform_all()))
    run_and_come_back(new_client(host, project="leaving"))


def run_on_a_call(scenario: OnACall, host: str) -> None:
    asyncio.run(take_one_call(host, scenario))


def run_as_a_client(scenario: AsAClient, host: str) -> None:
    asyncio.run(be_a_client(host, scenario))


def out_of_time() -> None:
    """End the process although the scenario hangs."""
    report("error", type="HardLimit", message=f"still running after {HARD_LIMIT} s")
    os._exit(3)


def main(arguments: list[str]) -> int:
    """Run the program; return its exit status."""
    runs: dict[str, Callable[[str], None]] = {one.__name__: one for one in (resume, surface, meet_defects, parity)}
    runs |= {one.__name__: partial(run_on_a_call, one) for one in ON_A_CALL}
    runs |= {one.__name__: partial(run_as_a_client, one) for one in AS_A_CLIENT}
    if len(arguments) != 3 or arguments[2] not in runs:
        sys.stderr.write(f"usage: vendor_agent.py HOST {'|'.join(runs)}\n")
        return 2
    watchdog = threading.Timer(HARD_LIMIT, out_of_time)
    watchdog.start()
    try:
        runs[arguments[2]](arguments[1])
    except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
        report("error", type=type(error).__name__, message=str(error))
        return 1
    finally:
        watchdog.cancel()
    report("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
