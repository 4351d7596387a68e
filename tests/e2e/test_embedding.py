"""The programs in ``examples/embedding``: each, as a program of its own, takes a real call without an adapter.

They are asked as one asks a program: by their exit code, by what the gateway saw, by what the caller heard.
"""

import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from telcoflow_anyio import ActiveCall, TelcoflowClient, TelcoflowClientConfig, events
from telcoflow_anyio.gateway import Caller, Gateway, Voice
from telcoflow_anyio.gateway.audio import skip_silence

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "embedding"
AGENTS = {
    "asyncio_protocol": 1,
    "blocking_threads": 1,
    "over_websockets": 1,
    "selectors_loop": 2,
    "twisted_agent": 1,
}
"""Every program that takes calls, and how many."""
RATE = 24000
VOICES = (Voice.tone(200, 0.6), Voice.tone(300, 0.6))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The loop under test is the program's; ours only plays the other side."""
    return "asyncio"


def spoken(voice: Voice) -> bytes:
    speech = voice.speak(RATE)
    frames: list[bytes] = []
    while frame := speech.next_frame():
        frames.append(frame)
    return b"".join(frames)


class Program:
    """A program of ours that runs beside the test. What it says on stderr explains a failure."""

    def __init__(self, *command: str, base_url: str = "", pass_fds: Sequence[int] = ()) -> None:
        self._command, self._base_url, self._pass_fds = command, base_url, pass_fds
        self.code: int | None = None
        self.said = ""

    async def run(self) -> None:
        ended = await anyio.run_process(
            [sys.executable, "-X", "dev", "-W", "error", *self._command],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TELCOFLOW_BASE_URL": self._base_url},
            pass_fds=self._pass_fds,
            check=False,
        )
        self.code, self.said = ended.returncode, ended.stderr.decode()


@pytest.mark.parametrize("name", AGENTS)
async def test_a_program_without_an_adapter_answers_and_the_caller_hears_itself_back(name: str) -> None:
    voices = VOICES[: AGENTS[name]]
    with anyio.fail_after(60):
        async with Gateway() as gateway:
            program = Program(str(EXAMPLES / f"{name}.py"), base_url=gateway.base_url)
            async with anyio.create_task_group() as group:
                group.start_soon(program.run)
                await gateway.wait_for_agents(1)
                calls = [await gateway.place_call(caller=Caller(voice=it, hangs_up_after=2.5)) for it in voices]
                for call in calls:
                    await call.wait_state("over")

    assert (program.code, program.said) == (0, "")
    for call, voice in zip(calls, voices, strict=True):
        assert call.states == ["pending", "answered", "over"]
        assert call.ended_by == "caller"
        assert skip_silence(call.heard_by_caller, RATE) == spoken(voice)
        assert call.heard_by_agent.startswith(call.said_by_agent)  # all of it, in order, silence too


@pytest.mark.parametrize("name", AGENTS)
async def test_a_program_that_finds_no_service_says_so_with_its_exit_code(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()[1]
    program = Program(str(EXAMPLES / f"{name}.py"), base_url=f"ws://127.0.0.1:{nobody}")

    with anyio.fail_after(30):
        await program.run()

    assert (program.code, program.said) == (1, "")


@pytest.mark.parametrize("name", AGENTS)
async def test_a_call_that_is_cut_off_ends_the_program_too(name: str) -> None:
    with anyio.fail_after(60):
        async with Gateway() as gateway:
            program = Program(str(EXAMPLES / f"{name}.py"), base_url=gateway.base_url)
            async with anyio.create_task_group() as group:
                group.start_soon(program.run)
                await gateway.wait_for_agents(1)
                calls = [await gateway.place_call() for _ in range(AGENTS[name])]
                for call in calls:
                    await call.wait_state("answered")
                    await call.drop_media()

    assert program.said == ""
    assert [call.states for call in calls] == [["pending", "answered", "over"]] * len(calls)


@pytest.mark.parametrize("name", sorted(set(AGENTS) - {"over_websockets"}))
async def test_a_program_with_a_client_machine_comes_back_after_its_control_connection_broke(name: str) -> None:
    with anyio.fail_after(60):
        async with Gateway() as gateway:
            program = Program(str(EXAMPLES / f"{name}.py"), base_url=gateway.base_url)
            async with anyio.create_task_group() as group:
                group.start_soon(program.run)
                await gateway.wait_for_agents(1)
                await gateway.drop_control()
                await gateway.wait_for_agents(1)
                for call in [await gateway.place_call() for _ in range(AGENTS[name])]:
                    await call.wait_state("answered")
                    await call.caller_hangs_up()

    assert program.said == ""


async def test_our_client_hears_itself_back_from_a_service_made_of_the_message_door() -> None:
    said, heard = spoken(VOICES[0]), bytearray()
    over = anyio.Event()
    with anyio.fail_after(60), socket.create_server(("127.0.0.1", 0)) as listener:
        program = Program(str(EXAMPLES / "asgi_service.py"), f"fd://{listener.fileno()}", pass_fds=[listener.fileno()])
        config = TelcoflowClientConfig.sandbox(
            api_key="any-key", connector_uuid="any-connector", base_url=f"ws://127.0.0.1:{listener.getsockname()[1]}"
        )
        async with anyio.create_task_group() as group:
            group.start_soon(program.run)
            async with TelcoflowClient(config) as client:

                @client.on(events.INCOMING_CALL)
                async def talk(call: ActiveCall) -> None:
                    await call.answer()
                    await call.send_audio(said)
                    async for chunk in call.audio_stream():
                        heard.extend(chunk)
                        if len(heard) >= len(said):
                            break
                    await call.disconnect()
                    over.set()

                await over.wait()

    assert program.code == 0, program.said
    assert bytes(heard) == said


def test_every_program_is_tested_short_and_free_of_adapters() -> None:
    programs = {path.stem: path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py")}

    assert set(programs) == {*AGENTS, "asgi_service"}
    for name, text in programs.items():
        assert len(text.splitlines()) <= 120, name
        assert not re.search(r"^\s*(import|from) (anyio|trio|telcoflow_anyio|telcoflow_trio)\b", text, re.MULTILINE), (
            name
        )
