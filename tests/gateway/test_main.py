"""The gateway from the shell."""

import os
import re
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from telcoflow_anyio.gateway import main
from telcoflow_anyio.gateway.sockets import listen
from telcoflow_anyio.relay import Call, RelayClient
from telcoflow_proto.control.connection import ControlClientConnection
from telcoflow_proto.control.events import SetupCompleted
from telcoflow_proto.origin import parse_ws_url
from tests.gateway.agent import Wire, claim, connected, media


class Lines:
    """What the gateway printed, one line at a time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = anyio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line that holds a pattern."""
        while True:
            for line in self.lines:
                if found := re.search(pattern, line):
                    return found
            await self._changed.wait()


@asynccontextmanager
async def shell(monkeypatch: pytest.MonkeyPatch, *argv: str) -> AsyncGenerator[Lines]:
    """Run the command in this process until the test is over."""
    printed = Lines()
    monkeypatch.setattr(main, "say", printed.say)
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(main.serve, main.parse(["--port", "0", *argv]))
            yield printed
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def shell_agent(printed: Lines, key: str = "test-key") -> AsyncGenerator[Wire]:
    base_url = (await printed.until(r"serving on (\S+),"))[1]
    door = ControlClientConnection(
        url=parse_ws_url(f"{base_url}/v1/agent/session-manager"),
        credentials=[("x-api-key", key), ("x-connector-uuid", "test-connector")],
        entropy=os.urandom,
        sample_rate=8000,
    )
    async with connected(door) as control:
        yield control


async def test_it_calls_the_agent_that_connects_and_saves_what_was_heard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with shell(monkeypatch, "--api-key", "secret", "--save", str(tmp_path)) as printed:
        async with shell_agent(printed, "secret") as control:
            async with media(await claim(control), sample_rate=8000) as line:
                await line.say("answer")
                await line.hears(16000)
                await line.say("close")
            folder = Path((await printed.until("saved in (.*)"))[1])
        await printed.until("control:1 is gone")
    assert folder.parent == tmp_path
    assert {path.name for path in folder.iterdir()} == {f"heard-by-{who}.wav" for who in ("caller", "callee", "agent")}
    story = [re.sub(r"call \S+:", "call:", line) for line in printed.lines]
    assert "control:1 is ready: 8000 Hz, mixed" in story
    assert "call: +15550001 calls +15550002" in story
    assert "call: answered" in story
    assert any(re.fullmatch(r"call: over after \d+\.\d s, ended by: agent", line) for line in story)


async def test_it_calls_the_relay_client_that_listens_to_a_context(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = anyio.Event()
    async with shell(monkeypatch) as printed:
        found = await printed.until(r"serving RELAY on (\S+), project 'test-project', token 'test-token'")
        client = RelayClient("test-project", "test-token", host=found[1], scheme="ws", contexts=["office"])
        dialler = RelayClient("test-project", "test-token", host=found[1], scheme="ws")

        @client.on_call
        async def on_call(call: Call) -> None:
            assert call.context == "office"
            await call.answer()
            await call.hangup()
            taken.set()

        async with dialler, client:
            await taken.wait()
            await printed.until(r"RELAY call \S+: over, hangup")


async def test_it_calls_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shell(monkeypatch, "--call-every", "0.05") as printed, shell_agent(printed) as control:
        first, second = await claim(control), await claim(control)
        assert first.call_id != second.call_id


async def test_a_call_nobody_claimed_is_not_saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ("--call-every", "60", "--save", str(tmp_path), "--caller-wav", str(main.SOUNDS / "greeting.wav"))
    async with shell(monkeypatch, *options) as printed, shell_agent(printed) as control:
        await control.next(SetupCompleted)
        await printed.until(r"call \S+: \S+ calls")
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_said_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main.run(["--port", str(port)]) == 1
    assert re.match(rf"cannot serve on 127\.0\.0\.1 port {port}: .*in use", capsys.readouterr().err)


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.run(["--help"])
    text = capsys.readouterr().out
    for option in ("port", "api-key", "connector-uuid", "call-every", "caller-wav", "callee-answers-after", "save"):
        assert f"--{option}" in text


def test_a_free_port_is_found_on_either_protocol() -> None:
    for host in ("127.0.0.1", "::1"):
        descriptor, port = listen(host, 0)
        os.close(descriptor)
        assert port > 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_ctrl_c_stops_it_in_order(anyio_backend: str) -> None:
    program = "import sys; from telcoflow_anyio.gateway import main; sys.exit(main.run(sys.argv[1:]))"
    with anyio.fail_after(20):
        async with await anyio.open_process([sys.executable, "-c", program, "--port", "0"]) as process:
            assert process.stdout is not None
            text = b""
            while b"Ctrl-C" not in text:
                text += await process.stdout.receive()
            process.send_signal(signal.SIGINT)
            async for piece in process.stdout:
                text += piece
            assert await process.wait() == 0
    assert text.decode().rstrip().endswith("stopped")
    assert re.search(r"^\d\d:\d\d:\d\d  serving on ws://127\.0\.0\.1:\d+, API key 'test-key'", text.decode())
