"""What programs written for the vendor's SDK do, on plain asyncio: the contract of users.md §1.3 and §1.4.

The names in brackets are the lines of that contract. What is the same on every event loop is told elsewhere
(test_life, test_audio, test_leaving); here are native tasks, ``asyncio.run``, signals, and whole programs.
"""

# mypy: disable-error-code="truthy-bool"

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

import telcoflow_anyio
from telcoflow_anyio import ActiveCall, TelcoflowClient, TelcoflowClientConfig, events
from telcoflow_anyio.gateway import Callee, Caller, Gateway, Voice
from telcoflow_proto.exceptions import BufferClosedError, BufferFullError, WSSCallCommandError
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import phone_in, ring, taking, talk, until
from tests.world.service import refuse, succeed
from tests.world.simloop import SimLoop
from tests.world.world import CASES, Case, World

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=CASES[:1], ids=lambda case: case.id)
def case(request: pytest.FixtureRequest) -> Case:
    """Only asyncio: these programs know no other loop."""
    found: Case = request.param
    return found


def by_hand(scenario: Callable[[World], Coroutine[object, object, None]]) -> None:
    """Run a scenario with nothing but asyncio, in virtual time."""

    async def main() -> None:
        async with World(CASES[0]) as world:
            await scenario(world)

    with asyncio.Runner(loop_factory=SimLoop) as runner:
        runner.run(main())


# ---------------------------------------------------------------------- the loop and its tasks


def test_plain_asyncio_run_is_all_it_takes() -> None:
    """[C11, C12] No anyio.run anywhere."""

    async def scenario(world: World) -> None:
        heard = asyncio.Event()
        async with world.client() as client:

            @client.on(events.INCOMING_CALL)
            async def take(call: ActiveCall) -> None:
                await call.answer()
                async for _ in call.audio_stream():
                    heard.set()

            there = await world.service.answered_call()
            there.say(bytes(960))
            await asyncio.wait_for(heard.wait(), 5)
            there.hang_up()

    by_hand(scenario)


def test_run_forever_is_raced_against_a_stop_event_cancelled_and_never_awaited() -> None:
    """[C12] The main loop of eight of eight use cases."""

    async def scenario(world: World) -> None:
        stop = asyncio.Event()
        async with world.client() as client:
            running = asyncio.create_task(client.run_forever())
            stopping = asyncio.create_task(stop.wait())
            asyncio.get_running_loop().call_later(60, stop.set)
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            running.cancel()
            taking(client)
            phone = await talk(world, client)
            assert await phone.call.close()
        assert running.cancelled()

    by_hand(scenario)


def test_run_forever_is_gathered_with_a_loop_of_the_program() -> None:
    """The hourly reminders."""

    async def scenario(world: World) -> None:
        hours = 0

        async def hourly(client: TelcoflowClient) -> None:
            nonlocal hours
            while True:
                await asyncio.sleep(3600)
                hours += 1
                if hours == 3:
                    await client.disconnect()
                    return

        async with world.client() as client:
            await asyncio.gather(client.run_forever(), hourly(client))
        assert hours == 3

    by_hand(scenario)


async def test_methods_are_called_from_tasks_of_the_program_and_cancelled_there(world: World) -> None:
    """[C11] No cancel scope spans two calls; a cancelled send queues all or nothing."""
    async with phone_in(world, "pending") as phone:
        phone.there.will("call.answer", succeed(after=1))
        answering = [asyncio.create_task(phone.call.answer()) for _ in range(3)]
        await asyncio.sleep(0.5)
        answering[0].cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(phone.call.answer(), 0.1)
        results = await asyncio.gather(*answering, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(results[1:])
        for _ in range(20):
            task = asyncio.create_task(phone.call.send_audio(bytes(960)))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert phone.call.get_send_audio_buffer_size() % 960 == 0

        async def listen() -> bytes:
            return await anext(aiter(phone.call.audio_stream()))

        reader = asyncio.create_task(listen())
        await asyncio.sleep(0.1)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        phone.there.say(b"\1\1")
        assert await anext(aiter(phone.call.audio_stream())) == b"\1\1"
        assert phone.there.said == ["call.answer"]


async def test_answering_beside_the_model_connecting(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        phone.there.will("call.answer", succeed(after=1))
        answering = asyncio.create_task(phone.call.answer())
        await asyncio.sleep(3)  # the model connects
        assert await answering


async def test_the_hang_up_is_started_and_forgotten(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        keep = {asyncio.create_task(phone.call.close()) for _ in range(5)}
        assert await phone.call.wait_ended() == "closed"
        assert all(await asyncio.gather(*keep))
        assert phone.there.said == ["call.answer", "call.close"]


async def test_five_calls_at_the_same_time_each_in_a_task_of_its_own(world: World) -> None:
    """[C1]"""
    async with world.client() as client:
        tasks: set[object] = set()

        @client.on(events.INCOMING_CALL)
        async def take(call: ActiveCall) -> None:
            tasks.add(asyncio.current_task())
            await call.answer()
            await asyncio.sleep(5)
            if len(call.call_id[:12]) == len("call-3") and call.call_id.endswith("3"):
                raise RuntimeError("one of five")
            await call.close()

        calls = [await world.service.announce_call() for _ in range(5)]
        begun = anyio.current_time()
        for there in calls:
            await there.ended()
        assert anyio.current_time() - begun < 6
        assert len(tasks) == 5
        assert [there.said for there in calls] == [["call.answer", "call.close"]] * 5


async def test_a_native_cancellation_that_leaks_out_of_a_handler_harms_no_other_call(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """[C2] The graph's own task is cancelled; awaiting it raises in the handler."""
    async with world.client() as client:
        calls: list[ActiveCall] = []

        @client.on(events.INCOMING_CALL)
        async def triage(call: ActiveCall) -> None:
            calls.append(call)
            await call.answer()
            graph = asyncio.create_task(asyncio.sleep(1000))
            if len(calls) == 1:
                asyncio.get_running_loop().call_later(1, graph.cancel)
            try:
                await graph
            finally:
                graph.cancel()

        first = await world.service.answered_call()
        second = await world.service.answered_call()
        await first.ended()
        await anyio.sleep(10)
        assert [call.state for call in calls] == [CallState.DISCONNECTED, CallState.ANSWERED]
        second.say(b"\1\1")
        assert await anext(aiter(calls[1].audio_stream())) == b"\1\1"
        third = await world.service.answered_call()
        assert third.said == ["call.answer"]
    assert "foreign cancellation" in caplog.text


async def test_sync_handlers_run_on_the_thread_of_the_loop(world: World) -> None:
    """[C3] They set asyncio.Events and call loop methods."""
    import threading

    where: list[object] = []
    ended = asyncio.Event()
    async with phone_in(world, "answered") as phone:

        @phone.call.on(events.CALL_TERMINATED)
        def hung_up() -> None:
            where.append(threading.current_thread())
            where.append(asyncio.get_running_loop())
            ended.set()

        @phone.call.on(events.CALL_ERROR)
        def failed(data: dict[str, str]) -> None:
            where.append(data["error_code"])

        phone.there.report_error("TTS_SESSION_ERROR", "mute")
        await anyio.sleep(0.1)
        phone.there.hang_up()
        await asyncio.wait_for(ended.wait(), 1)
    assert where == ["TTS_SESSION_ERROR", threading.main_thread(), asyncio.get_running_loop()]


async def test_a_handler_may_cancel_and_await_the_tasks_that_read_the_audio(world: World) -> None:
    """[C5] ``register_event_handler`` with a bound async method, as in two programs."""

    class Session:
        def __init__(self, call: ActiveCall) -> None:
            self.call = call
            self.tasks = [asyncio.create_task(self.listen()), asyncio.create_task(self.speak())]
            self.cleaned = asyncio.Event()
            call.register_event_handler(events.CALL_TERMINATED, self.clean_up)

        async def listen(self) -> None:
            async for _ in self.call.audio_stream():
                pass

        async def speak(self) -> None:
            while True:
                try:
                    await self.call.send_audio(bytes(960))
                except BufferFullError:
                    await self.call.clear_send_audio_buffer()
                await asyncio.sleep(0.02)

        async def clean_up(self) -> None:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            self.cleaned.set()

    async with phone_in(world, "answered") as phone:
        session = Session(phone.call)
        await asyncio.sleep(1)
        phone.there.hang_up()
        await asyncio.wait_for(session.cleaned.wait(), 1)


async def test_the_end_of_the_stream_waits_for_no_handler(world: World) -> None:
    """[C5] The handler awaits the reader, which must not await the handler."""
    async with phone_in(world, "answered") as phone:

        async def read() -> int:
            return len([chunk async for chunk in phone.call.audio_stream()])

        reader = asyncio.create_task(read())
        awaited: list[int] = []

        @phone.call.on(events.CALL_TERMINATED)
        async def join() -> None:
            awaited.append(await reader)

        phone.there.say(b"\1\1")
        await asyncio.sleep(1)
        phone.there.hang_up()
        await asyncio.sleep(1)
        assert awaited == [1]


@pytest.mark.parametrize("how", ["close", "disconnect", "remote", "lost"])
async def test_the_end_is_told_exactly_once(world: World, how: str) -> None:
    """[C4]"""
    async with phone_in(world, "answered") as phone:
        told = 0

        @phone.call.on("call.terminated")
        def count() -> None:
            nonlocal told
            told += 1

        match how:
            case "remote":
                phone.there.hang_up()
            case "lost":
                phone.there.reset()
            case _:
                await getattr(phone.call, how)()
        await asyncio.sleep(10)
        assert told == 1


async def test_after_the_end_of_the_call(world: World) -> None:
    """[C6, C7, C8] ``finally: await call.close()``, a model loop that still interrupts, a producer that races."""
    async with phone_in(world, "answered") as phone:
        phone.there.hang_up()
        await phone.call.wait_ended()
        results = await asyncio.gather(
            phone.call.close(), phone.call.disconnect(), phone.call.clear_send_audio_buffer(), phone.call.interrupt()
        )
        assert results[2:] == [0, 0]
        assert all(results[:2])
        with pytest.raises(BufferClosedError):
            await phone.call.send_audio(bytes(960))
        assert [chunk async for chunk in phone.call.audio_stream()] == []
        with pytest.raises(AttributeError):
            await phone.call.hangup()  # type: ignore[attr-defined]


async def test_transfer_without_an_answer_then_leave(world: World) -> None:
    """[C9] voicemail in business hours"""
    async with phone_in(world, "pending") as phone:
        await phone.call.connect()
        await phone.call.close()
        assert phone.there.said == ["call.connect", "call.close"]


async def test_nobody_picks_up_and_the_agent_takes_over_again(world: World) -> None:
    """[C10] the appointment desk"""
    async with phone_in(world, "answered") as phone:
        phone.there.will("call.connect", refuse("CALL_UNANSWERED", after=30))
        with pytest.raises(WSSCallCommandError) as caught:
            await phone.call.connect(ring_time_seconds=30)
        assert caught.value.error_code == "CALL_UNANSWERED"
        await phone.call.send_audio(bytes(960))
        await phone.call.disconnect()


async def test_a_call_is_refused_by_hanging_up_on_it(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        await phone.call.disconnect()
        assert phone.there.said == ["call.disconnect"]


async def test_monitoring_spies_as_soon_as_the_parties_are_connected(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        await phone.call.connect(ring_time_seconds=30)
        await phone.call.spy()
        await phone.call.whisper()
        await phone.call.barge()
        assert phone.there.said == ["call.connect", "agent.spy", "agent.whisper", "agent.barge"]


async def test_what_programs_read_off_a_call(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client, caller=None)
        call = phone.call
        assert type(call.call_id) is str
        assert getattr(call, "call_id", "unknown")[:12] == "call-1"
        assert logging.getLogger("app").getChild(call.call_id[:8]).name == "app.call-1"
        assert (call.caller_number or "unknown") == "unknown"
        assert call.callee_number == "+15550002"
        assert hasattr(call, "interrupt")
        assert hasattr(call, "clear_send_audio_buffer")
        await call.answer()
        assert call.get_send_audio_buffer_size() == 0
        assert await call.get_send_audio_buffer_size() == 0


async def test_all_spellings_of_an_event(world: World) -> None:
    """[C15]"""
    async with world.client() as client:
        came: list[object] = []
        spellings = (events.INCOMING_CALL, events.ClientEvent.INCOMING_CALL, "call.new")
        for spelling in spellings:
            client.on(spelling)(came.append)
            client.register_event_handler(spelling, came.append)
        phone = await ring(world, client)
        await until(lambda: len(came) == 6)
        for end in (events.CALL_TERMINATED, events.CallEvent.CALL_TERMINATED, "call.terminated"):
            phone.call.on(end)(came.append)
            phone.call.register_event_handler(end, came.append)
        await phone.call.close()
        await until(lambda: len(came) == 12)


@pytest.mark.parametrize("missing", ["api_key", "connector_uuid"])
def test_a_credential_that_is_not_set_fails_early_and_names_itself(missing: str) -> None:
    """``os.getenv`` returns None in 25 of 25 programs."""
    known = {"api_key": "sesame-1", "connector_uuid": "c", missing: None}
    with pytest.raises(ValueError, match=missing) as caught:
        TelcoflowClientConfig.sandbox(sample_rate=24000, buffer_size=1024 * 1024, **known)  # type: ignore[arg-type]
    assert "sesame" not in str(caught.value)


def test_a_certificate_that_is_not_there_fails_early_and_names_itself() -> None:
    with pytest.raises(ValueError, match="cert_path"):
        TelcoflowClientConfig.production(cert_path="/none.pem", key_path="/none.key", sample_rate=24000)


# ---------------------------------------------------------------------- signals


async def test_signal_handlers_of_the_program_are_left_alone(world: World) -> None:
    """[C12] Whatever was installed before stays, through connecting, calls, run_forever and leaving."""

    def mine(signum: int, frame: object) -> None:
        raise AssertionError

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        for one in before:
            signal.signal(one, mine)
        client = world.client()
        await client.connect()
        running = asyncio.create_task(client.run_forever())
        taking(client)
        await talk(world, client)
        assert {signal.getsignal(one) for one in before} == {mine}
        running.cancel()
        await client.disconnect()
        async with world.client():
            assert {signal.getsignal(one) for one in before} == {mine}
        assert {signal.getsignal(one) for one in before} == {mine}
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


# ---------------------------------------------------------------------- whole programs

PREFACE = """
import sys
import telcoflow_anyio
sys.modules["telcoflow_sdk"] = telcoflow_anyio
"""


def test_the_alias_carries_submodules_and_one_set_of_classes() -> None:
    program = """
import telcoflow_sdk.events as events
from telcoflow_sdk.events import CallEvent, ClientEvent
from telcoflow_sdk.exceptions import BufferFullError, WSSCallCommandError, WSSMediaError, WSSSessionError
from telcoflow_sdk import ActiveCall, TelcoflowClient, TelcoflowClientConfig
import telcoflow_anyio.exceptions
import telcoflow_proto.exceptions as root
assert ActiveCall is telcoflow_anyio.ActiveCall and TelcoflowClient is telcoflow_anyio.TelcoflowClient
assert BufferFullError is telcoflow_anyio.exceptions.BufferFullError is root.BufferFullError
assert issubclass(BufferFullError, root.WSSError) and not issubclass(BufferFullError, root.WSSCallError)
assert WSSMediaError is WSSSessionError and issubclass(WSSCallCommandError, root.WSSCallError)
assert events.INCOMING_CALL == ClientEvent.INCOMING_CALL == "call.new"
assert events.CALL_TERMINATED == CallEvent.CALL_TERMINATED == "call.terminated"
print("fine")
"""
    done = asyncio.run(anyio.run_process([sys.executable, "-c", PREFACE + program], cwd=ROOT))
    assert done.stdout == b"fine\n"


def test_the_later_alias_names_the_same_two_classes() -> None:
    program = """
sys.modules["agentao_sdk"] = telcoflow_anyio
import agentao_sdk.events as events
from agentao_sdk import AgenTaoClient, AgenTaoClientConfig
assert AgenTaoClient is telcoflow_anyio.TelcoflowClient
assert AgenTaoClientConfig is telcoflow_anyio.TelcoflowClientConfig
assert events.INCOMING_CALL == "call.new"
print("fine")
"""
    done = asyncio.run(anyio.run_process([sys.executable, "-c", PREFACE + program], cwd=ROOT))
    assert done.stdout == b"fine\n"


VOICEMAIL = (
    PREFACE
    + """
import asyncio
import logging
import os
import signal

import telcoflow_sdk.events as events
from telcoflow_sdk import ActiveCall, TelcoflowClient, TelcoflowClientConfig
from telcoflow_sdk.exceptions import BufferClosedError, BufferFullError, WSSCallCommandError

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("app")
GREETING = bytes(range(2, 250, 2)) * 100


class Bot:
    def __init__(self, call: ActiveCall) -> None:
        self.call = call
        self.log = logger.getChild(getattr(call, "call_id", "unknown")[:8])
        self.terminated = asyncio.Event()
        self.heard = 0

        @call.on(events.CALL_TERMINATED)
        def on_terminated():
            self.terminated.set()

    async def run(self) -> None:
        try:
            await self.call.answer()
            try:
                await self.call.connect(ring_time_seconds=1)
            except WSSCallCommandError as error:
                print("connect", error.error_code, flush=True)
            tasks = [asyncio.create_task(self.listen()), asyncio.create_task(self.speak())]
            done, pending = await asyncio.wait(
                [*tasks, asyncio.create_task(self.terminated.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        finally:
            try:
                await self.call.hangup()
            except Exception:
                pass
            await self.call.close()
            print("heard", self.heard > 0, flush=True)

    async def listen(self) -> None:
        async for chunk in self.call.audio_stream():
            self.heard += len(chunk)

    async def speak(self) -> None:
        while True:
            try:
                await self.call.send_audio(GREETING)
            except BufferFullError:
                await self.call.clear_send_audio_buffer()
            except BufferClosedError:
                return  # the call ended while it slept, and nobody has cancelled it yet
            await asyncio.sleep(0.05)


async def main() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, stop.set)
    config = TelcoflowClientConfig.sandbox(
        connector_uuid=os.getenv("CONNECTOR"), api_key=os.getenv("KEY"), sample_rate=24000
    )
    async with TelcoflowClient(config) as client:

        @client.on(events.INCOMING_CALL)
        async def on_call(call: ActiveCall):
            try:
                await Bot(call).run()
            except Exception:
                logger.exception("call failed")

        running = asyncio.create_task(client.run_forever())
        stopped = asyncio.create_task(stop.wait())
        print("ready", flush=True)
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
    print("left", flush=True)


asyncio.run(main())
"""
)

SIMPLE = (
    PREFACE
    + """
import asyncio
import os
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

import telcoflow_sdk.events as events
from telcoflow_sdk import TelcoflowClient, TelcoflowClientConfig


async def main():
    config = TelcoflowClientConfig.sandbox(api_key=os.getenv("KEY"), connector_uuid=os.getenv("CONNECTOR"))
    async with TelcoflowClient(config) as client:

        @client.on(events.INCOMING_CALL)
        async def on_call(call):
            await call.answer()
            print("ready", flush=True)
            async for chunk in call.audio_stream():
                await call.send_audio(chunk)

        await client.run_forever()

"""
)


async def play(program: str, act: Callable[[Gateway, Any, Callable[[str], Any]], Any]) -> tuple[int, str, str]:
    """Run a program against a gateway it knows from its environment only [C14]."""
    with anyio.fail_after(20):
        async with Gateway(speed=2.0) as gateway:
            environment = {
                **os.environ,
                "KEY": "test-key",
                "CONNECTOR": "test-connector",
                "TELCOFLOW_BASE_URL": gateway.base_url,
                "PYTHONPATH": str(ROOT),
            }
            async with await anyio.open_process([sys.executable, "-c", program], env=environment) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                output = b""

                async def says(text: str) -> None:
                    nonlocal output
                    assert process.stdout is not None
                    while text.encode() not in output:
                        output += await process.stdout.receive()

                await act(gateway, process, says)
                async for piece in process.stdout:
                    output += piece
                errors = b"".join([piece async for piece in process.stderr])
                status = await process.wait()
            while gateway.agents:
                await anyio.sleep(0.001)
    return status, output.decode(), errors.decode()


def test_a_program_as_they_are_takes_a_call_and_stops_on_sigterm() -> None:
    """[C4–C14 together] only its import is changed"""

    async def act(gateway: Gateway, process: Any, says: Callable[[str], Any]) -> None:
        await says("ready")
        call = await gateway.place_call(
            Caller(voice=Voice.tone(300, 20), hangs_up_after=4.0), Callee(answers_after=None)
        )
        await call.wait_state("over")
        await says("heard True")
        assert call.said_by_agent
        process.send_signal(signal.SIGTERM)

    status, output, errors = asyncio.run(play(VOICEMAIL, act))
    assert status == 0
    assert output.splitlines() == ["ready", "connect CALL_UNANSWERED", "heard True", "left"]
    assert "Traceback" not in errors
    assert "test-key" not in errors


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("asyncio.run(main())", -signal.SIGINT),
        ("try:\n    asyncio.run(main())\nexcept KeyboardInterrupt:\n    print('bye')", 0),
    ],
)
def test_ctrl_c_ends_a_program_and_its_call(ending: str, status: int) -> None:
    """[C13] KeyboardInterrupt comes out of asyncio.run; the call is closed in order first."""

    async def act(gateway: Gateway, process: Any, says: Callable[[str], Any]) -> None:
        call = await gateway.place_call(Caller(voice=Voice.tone(300, 20)))
        await says("ready")
        begun = anyio.current_time()
        process.send_signal(signal.SIGINT)
        await process.wait()
        assert anyio.current_time() - begun < 3
        await call.wait_state("over")
        assert call.ended_by == "agent"

    code, output, errors = asyncio.run(play(SIMPLE + ending, act))
    assert code == status
    assert ("bye" in output) == (status == 0)
    found = re.findall(r"^\w+(?:\.\w+)*(?:Error|Interrupt|Group)\b", errors, re.MULTILINE)
    assert found[-1:] == ([] if status == 0 else ["KeyboardInterrupt"])
    # before it stands, as its context, only the cancellation asyncio.run made of it
    assert set(found[:-1]) <= {"asyncio.exceptions.CancelledError"}
    assert "never retrieved" not in errors
    assert "was never awaited" not in errors


def test_the_package_is_what_the_alias_promises() -> None:
    for name in ("TelcoflowClient", "TelcoflowClientConfig", "ActiveCall", "events", "exceptions"):
        assert hasattr(telcoflow_anyio, name)
