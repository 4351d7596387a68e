"""Known defects of the vendor's RELAY client as small scenes, the same for its client and for ours.

Each is told how to make a client and says in a few words what happened.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

import anyio

from telcoflow_proto.jsontext import JsonObject
from tests.interop.relay.responder import inbound
from tests.interop.relay.script import run_and_come_back

Make = Callable[..., Any]
Scene = Callable[[Make], str]
PATIENCE = 0.4  # seconds until nothing is going to happen any more
TTS = {"type": "tts", "params": {"text": "Hello!"}}
NUMBERS = {"to_number": "+15551234567", "from_number": "+15559876543"}

DEFECTS: dict[str, Scene] = {}


class Stage:
    """A connected client with one call on it, and a service that says what it is told to say."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls: list[Any] = []
        self.came = anyio.Event()
        client.on_call(self._take)

    async def _take(self, call: Any) -> None:
        self.calls.append(call)
        self.came.set()

    @property
    def call(self) -> Any:
        return self.calls[0]

    async def push(self, *events: tuple[str, JsonObject | None]) -> None:
        """Let the service tell of events; they were taken when this returns."""
        texts = []
        for number, (event_type, params) in enumerate(events):
            told: JsonObject = {"event_type": event_type, "params": params}
            texts.append(
                json.dumps({"jsonrpc": "2.0", "id": f"told-{number}", "method": "signalwire.event", "params": told})
            )
        await self.client.execute("parity.push", {"texts": texts})

    async def tell(self, event_type: str, **params: Any) -> None:
        await self.push((event_type, {"call_id": "call", "node_id": "node-of-call", **params}))

    async def end_call(self) -> None:
        await self.tell("calling.call.state", call_state="ended", end_reason="hangup")


def on_stage(play: Callable[[Stage], Any]) -> Callable[[Stage], Any]:
    """Have the scene played on a connected client with a call, in a loop of its own."""

    async def perform(make: Make) -> str:
        async with make("parity") as client:
            stage = Stage(client)
            await stage.push(("calling.call.receive", inbound("call")))
            await stage.came.wait()
            finding: str = await play(stage)
            return finding

    DEFECTS[play.__name__] = lambda make: anyio.run(perform, make)
    return play


async def outcome(of: Any) -> str:
    """Await something; say what came of it, or that nothing did."""
    try:
        with anyio.fail_after(PATIENCE):
            return type(await of).__name__
    except TimeoutError:
        return "nothing"
    except BaseException as error:  # noqa: BLE001 - a cancellation nobody asked for is a finding, too
        return f"raised {type(error).__name__}"


@on_stage
async def wait_again_for_the_end_after_a_time_out(stage: Stage) -> str:
    await outcome(stage.call.wait_for_ended(timeout=0.01))
    return await outcome(stage.call.wait_for_ended(timeout=0.01))


@on_stage
async def wait_for_what_runs_when_the_call_ends(stage: Stage) -> str:
    action = await stage.call.play([TTS])
    await stage.end_call()
    return await outcome(action.wait())


@on_stage
async def tell_a_detect_that_a_play_has_finished(stage: Stage) -> str:
    action = await stage.call.detect({"type": "machine", "params": {}})
    await stage.tell("calling.call.play", control_id=action.control_id, state="finished")
    return "done" if action.is_done else "running"


@on_stage
async def wait_for_a_fax_to_be_sent(stage: Stage) -> str:
    action = await stage.call.send_fax("https://example.com/document.pdf")
    fax = {"type": "finished", "params": {"success": True, "pages": 1}}
    await stage.tell("calling.call.fax", control_id=action.control_id, fax=fax)
    return await outcome(action.wait())


@on_stage
async def wait_for_a_payment(stage: Stage) -> str:
    action = await stage.call.pay("https://pay.example.com")
    await stage.tell("calling.call.pay", control_id=action.control_id, result="success")
    return await outcome(action.wait())


@on_stage
async def collect_with_partial_results(stage: Stage) -> str:
    action = await stage.call.collect(digits={"max": 2}, partial_results=True)
    for digits, final in (("1", False), ("12", True)):
        result = {"type": "digit", "params": {"digits": digits}}
        await stage.tell("calling.call.collect", control_id=action.control_id, result=result, final=final)
    digits = (await action.wait(timeout=PATIENCE)).params["result"]["params"]["digits"]
    return f"collected {digits}"


@on_stage
async def be_called_back_for_what_starts_on_a_call_that_is_over(stage: Stage) -> str:
    called: list[Any] = []
    await stage.end_call()
    await stage.call.play([TTS], on_completed=called.append)
    await stage.client.execute("parity.pause", {})
    return f"called {len(called)} times"


@on_stage
async def go_on_after_an_event_without_params(stage: Stage) -> str:
    with anyio.move_on_after(PATIENCE):
        await stage.push(("calling.call.play", None))
    return await outcome(stage.client.execute("parity.pause", {}))


@on_stage
async def start_what_is_answered_with_an_empty_object(stage: Stage) -> str:
    await stage.client.execute("parity.empty", {})
    action = await stage.call.play([TTS])
    return "done" if action.is_done else "running"


@on_stage
async def wait_for_a_message_delivered_at_once(stage: Stage) -> str:
    message = await stage.client.send_message(body="Hi", **NUMBERS)
    return await outcome(message.wait())


@on_stage
async def ask_a_call_for_its_context(stage: Stage) -> str:
    context: str = stage.call.context
    return context


@on_stage
async def be_told_of_one_call_twice(stage: Stage) -> str:
    await stage.push(("calling.call.receive", inbound("call")))
    await stage.client.execute("parity.pause", {})
    return f"{len(stage.calls)} calls"


@on_stage
async def disconnect_while_a_request_is_pending(stage: Stage) -> str:
    found: list[str] = []

    async def ask() -> None:
        try:
            await stage.client.execute("parity.silence", {})
        except BaseException as error:  # noqa: BLE001 - a cancellation nobody asked for is a finding
            found.append(f"raised {type(error).__name__}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await stage.client.execute("parity.pause", {})
        await stage.client.disconnect()
    return found[0]


@on_stage
async def answer_a_message_from_its_handler(stage: Stage) -> str:
    answered = anyio.Event()

    async def answer(_event: Any) -> None:
        await stage.client.send_message(body="Thank you", **NUMBERS)
        answered.set()

    message = await stage.client.send_message(body="later", **NUMBERS)
    message.on(answer)
    with anyio.move_on_after(PATIENCE):
        await stage.push(("messaging.state", {"message_id": message.message_id, "message_state": "sent"}))
        await answered.wait()
    return "answered" if answered.is_set() else "nothing"


def make_another_client_after_one_was_turned_away(make: Make) -> str:
    async def connect() -> str:
        first = make("unknown")
        await outcome(first.connect())
        second = make("parity")
        found = await outcome(second.connect())
        await second.disconnect()
        return found

    return anyio.run(connect)


def run_in_a_thread(make: Make) -> str:
    found: list[str] = []

    def run() -> None:
        try:
            run_and_come_back(make("leaving"))
            found.append("ran")
        except RuntimeError as error:
            found.append(f"raised {type(error).__name__}")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


DEFECTS |= {one.__name__: one for one in (make_another_client_after_one_was_turned_away, run_in_a_thread)}
