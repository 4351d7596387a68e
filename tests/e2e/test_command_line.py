"""``python -m telcoflow_anyio``: what it says, what it runs, and how it ends."""

import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from telcoflow_anyio import __main__ as command_line
from telcoflow_anyio import demo

ROOT = Path(__file__).parents[2]
SECOND = 48000


def run(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "telcoflow_anyio", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=40,
        cwd=cwd,
    )


@pytest.mark.parametrize("arguments", [[], ["dance"], ["--version"]])
def test_a_command_that_does_not_exist_shows_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: python -m telcoflow_anyio COMMAND")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_no_mistake(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([flag]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    for command in ("demo", "gateway"):
        assert f"  {command} " in output.out


@pytest.mark.parametrize("command", ["demo", "gateway"])
def test_each_command_explains_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command_line.main([command, "--help"])
    assert f"usage: python -m telcoflow_anyio {command}" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["hypercorn", "starlette"])
def test_an_extra_that_is_not_installed_is_named_with_the_way_to_get_it(missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from telcoflow_anyio.__main__ import main\n"
        "sys.exit(main(['demo']) + main(['gateway', '--port', '0']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=40, cwd=ROOT
    )
    assert done.returncode == 4
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(missing) for line in lines)
    assert all(line.endswith("is not installed: pip install 'telcoflow-proto[gateway]'") for line in lines)


def test_the_usage_comes_from_the_shell_too() -> None:
    done = run()
    assert done.returncode == 2
    assert "usage:" in done.stderr


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_demo_places_a_call_and_leaves_recordings_and_a_report(tmp_path: Path, backend: str) -> None:
    done = run("demo", "--out", str(tmp_path / "out"), "--backend", backend, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for line in ("PENDING", "picked up after", "ANSWERED", "the caller hung up", "DISCONNECTED"):
        assert line in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"heard-by-agent.wav", "heard-by-callee.wav", "heard-by-caller.wav", "report.md"}
    lengths = set()
    for name in sorted(names - {"report.md"}):
        with wave.open(str(tmp_path / "out" / name), "rb") as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24000)
            lengths.add(file.getnframes())
    assert len(lengths) == 1
    assert lengths.pop() > 8 * 24000
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "verdict: every sample that came back is the one that was sent" in report
    assert "pending → answered → over, ended by the caller" in report
    assert report in done.stdout


# ---------------------------------------------------------------------- the demo's own judgement

check: Callable[[Any, bytes], list[str]] = vars(demo)["_check"]
GREETING = b"\1\2" * SECOND
ECHO = b"\3\4" * 2 * SECOND + bytes(2 * SECOND) + b"\5\6" * 2 * SECOND


def a_call(**changes: bytes) -> Any:
    """What the gateway knows of a call on which everything went well, apart from the changes."""
    sound = {
        "said_by_agent": GREETING + ECHO,
        "heard_by_agent": ECHO,
        "heard_by_caller": bytes(960) + (GREETING + ECHO)[: 7 * SECOND],
    }
    return SimpleNamespace(sample_rate=24000, **{**sound, **changes})


def test_a_call_without_a_fault_passes() -> None:
    assert check(a_call(), GREETING) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"said_by_agent": b"\0\0" + (GREETING + ECHO)[2:]}, "the greeting arrived changed"),
        ({"heard_by_agent": b"\7" + ECHO[1:]}, "the echo is not what the agent was sent"),
        ({"said_by_agent": GREETING + ECHO[:SECOND]}, "the echo is not what the agent was sent"),
        ({"heard_by_caller": GREETING}, "the caller did not hear what the agent said"),
        ({"heard_by_caller": GREETING + b"\7" * 6 * SECOND}, "the caller did not hear what the agent said"),
        ({"heard_by_agent": bytes(len(ECHO))}, "the agent did not hear the caller speak"),
    ],
)
def test_each_fault_is_noticed(changes: dict[str, bytes], fault: str) -> None:
    assert fault in check(a_call(**changes), GREETING)


def test_a_demo_that_failed_says_so_and_returns_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_HANGS_UP_AFTER", 0.5)
    assert demo.run(["--out", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "verdict: FAILED: " in output
    assert "verdict: FAILED" in (tmp_path / "report.md").read_text(encoding="utf-8")
