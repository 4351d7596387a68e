"""What the README shows works when it is pasted into a file and run."""

import re
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue

import anyio
import pytest

from telcoflow_anyio.gateway import Gateway
from telcoflow_proto.control.messages import Setup

ROOT = Path(__file__).parents[2]


def blocks_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


BLOCKS = blocks_of("README.md")


def lines_of(process: "subprocess.Popen[str]") -> "Queue[str]":
    """Collect what a program prints, so that a test can wait for a line with a deadline."""
    lines: Queue[str] = Queue()

    def collect() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)

    threading.Thread(target=collect, daemon=True).start()
    return lines


def until(lines: "Queue[str]", wanted: str) -> str:
    while True:
        line = lines.get(timeout=30)
        if wanted in line:
            return line


def test_the_first_block_talks_to_the_gateway_from_the_shell(tmp_path: Path) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-u", "-m", "telcoflow_anyio", "gateway", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    agent: subprocess.Popen[str] | None = None
    try:
        served = lines_of(gateway)
        found = re.search(r"ws://127\.0\.0\.1:\d+", until(served, "serving on"))
        assert found is not None
        program = tmp_path / "agent.py"
        program.write_text(BLOCKS[0].replace("ws://127.0.0.1:8080", found.group()), encoding="utf-8")
        agent = subprocess.Popen([sys.executable, "-u", str(program)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert until(lines_of(agent), "calls") == "+15550001 calls\n"
        until(served, "answered")
    finally:
        for process in (agent, gateway):
            if process is not None:
                process.terminate()
                process.wait(timeout=10)
                assert process.stdout is not None
                process.stdout.close()


@pytest.mark.parametrize("block", BLOCKS[1:3], ids=["testing", "relay"])
def test_the_blocks_with_a_gateway_run_as_they_stand(block: str, tmp_path: Path) -> None:
    program = tmp_path / "check.py"
    program.write_text(block, encoding="utf-8")

    subprocess.run([sys.executable, str(program)], check=True, timeout=30, cwd=ROOT)


@pytest.mark.parametrize("block", blocks_of("docs/guide.md"), ids=["drain", "dial", "play", "hand over"])
def test_every_block_of_the_guide_runs_as_it_stands(block: str, tmp_path: Path) -> None:
    program = tmp_path / "guide.py"
    program.write_text(block, encoding="utf-8")

    subprocess.run([sys.executable, str(program)], check=True, timeout=30, cwd=tmp_path)


@pytest.mark.parametrize("block", blocks_of("docs/relay.md"), ids=["take calls", "dial", "reconnect", "messages"])
def test_every_block_of_the_relay_page_runs_as_it_stands(block: str, tmp_path: Path) -> None:
    program = tmp_path / "relay.py"
    program.write_text(block, encoding="utf-8")

    subprocess.run([sys.executable, str(program)], check=True, timeout=30, cwd=tmp_path)


async def test_the_embedding_block_answers_a_call(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(compile(BLOCKS[3], "README.md", "exec"), names)  # noqa: S102 - our own text
    answer = names["answer"]
    assert callable(answer)

    with anyio.fail_after(20):
        async with Gateway() as gateway:
            call = await gateway.place_call()
            call.tune(Setup(sample_rate=24000, audio_mode="mixed"))  # as if an agent had claimed it
            url = f"{gateway.base_url}/media/{call.call_id}"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, answer, url, call.token)
                await call.wait_state("answered")
                await call.caller_hangs_up()

    assert "CallWord.ANSWER Outcome.DONE" in capsys.readouterr().out
