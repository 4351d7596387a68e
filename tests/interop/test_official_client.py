"""The vendor's own client, unmodified, takes calls from the gateway: what it reports and what everybody heard."""

import json
import math
import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway import Callee, Caller, Gateway, GatewayCall, Voice, skip_silence
from telcoflow_proto.control.messages import CallIn
from telcoflow_proto.replies import Outcome
from tests.gateway.agent import media

PROGRAM = str(Path(__file__).with_name("official_agent.py"))
RATE = 24000
SECOND = RATE * 2
FRAME = 960
TONE = struct.pack(f"<{RATE}h", *(round(8192 * math.sin(math.tau * i * 440 / RATE)) for i in range(RATE)))
RAMP = struct.pack("<9600h", *range(9600))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The vendor's client runs in a process of its own; what ours runs on is tested elsewhere."""
    return "asyncio"


class Report:
    """The lines the program printed, and how it ended."""

    def __init__(self, lines: list[dict[str, Any]], status: int) -> None:
        self.lines = lines
        self.status = status

    @property
    def commands(self) -> list[str]:
        """The commands that succeeded, in order."""
        return [line["command"] for line in self.lines if line["event"] == "command" and line["success"]]

    def get(self, event: str) -> dict[str, Any]:
        """The one line of a kind."""
        (line,) = (line for line in self.lines if line["event"] == event)
        return line


@asynccontextmanager
async def official_agent(
    scenario: str, caller: Caller, callee: Callee
) -> AsyncGenerator[tuple[Gateway, GatewayCall, Report]]:
    """Let the vendor's client play a scenario on a call, in a network five times as fast as life."""
    with anyio.fail_after(40):
        async with Gateway(speed=5.0) as gateway, anyio.create_task_group() as tasks:
            placed: list[GatewayCall] = []

            async def place() -> None:
                await gateway.wait_for_agents(1)
                placed.append(await gateway.place_call(caller, callee))

            tasks.start_soon(place)
            process = await anyio.run_process([sys.executable, PROGRAM, gateway.base_url, scenario], check=False)
            lines = [json.loads(line) for line in process.stdout.splitlines()]
            assert process.stderr == b"", process.stderr.decode()
            yield gateway, placed[0], Report(lines, process.returncode)


def frames_of(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]


async def test_it_echoes_every_sample() -> None:
    async with official_agent("echo", Caller(number="+15551234", voice=Voice.ramp(20)), Callee()) as (_, call, report):
        assert report.status == 0
        assert report.get("incoming_call")["caller"] == "+15551234"
        assert report.get("echoed")["bytes"] == 5 * SECOND
        assert report.commands == ["answer", "close"]
        assert report.get("session_closed")["reason"] == "SDK_REQUEST"
        assert call.states == ["pending", "answered", "over"]
        assert call.heard_by_agent[: 5 * SECOND] == call.said_by_agent[: 5 * SECOND]
        assert len(call.said_by_agent) == 5 * SECOND
        played = skip_silence(call.heard_by_caller, RATE)
        assert call.said_by_agent.startswith(played)
        assert len(played) >= 4 * SECOND


async def test_it_connects_the_callee_and_whispers_to_them() -> None:
    parties = Caller(voice=Voice.silence()), Callee(voice=Voice.silence(), answers_after=0.5)
    async with official_agent("connect_whisper", *parties) as (_, call, report):
        assert report.status == 0
        assert report.commands == ["answer", "connect", "whisper", "close"]
        assert call.states == ["pending", "answered", "connected", "direct"]
        assert call.said_by_agent == TONE[: len(call.said_by_agent)]
        whispered = skip_silence(call.heard_by_callee, RATE)
        assert len(whispered) >= FRAME
        assert TONE.startswith(whispered)
        assert not call.heard_by_caller.strip(b"\0")
        assert [one.command for one in call.statistics().commands] == [
            *("call.answer", "call.connect", "agent.whisper", "agent.interrupt", "call.close")
        ]


async def test_it_plays_the_fixed_script() -> None:
    parties = Caller(voice=Voice.tone(300, 60)), Callee(answers_after=1)
    async with official_agent("script", *parties) as (_, call, report):
        assert report.status == 0
        assert report.get("heard")["bytes"] == SECOND // 2
        assert report.commands == ["answer", "connect", "whisper", "barge", "spy", "close"]
        assert call.said_by_agent == RAMP
        assert frames_of(RAMP)[0] in frames_of(call.heard_by_caller)


async def test_it_hands_a_call_over_and_another_process_takes_it() -> None:
    async with official_agent("handover", Caller(voice=Voice.ramp(20)), Callee()) as (gateway, call, report):
        assert report.status == 0
        assert gateway.agents == 0
        passed = json.loads(report.get("handover")["json"])
        assert passed["id"] == call.call_id
        offer = CallIn(session_id="", call_id=passed["id"], url=passed["session_url"], token=passed["session_token"])
        async with media(offer) as line:
            assert (await line.say("answer")).outcome is Outcome.DONE
            assert (await line.hears(SECOND))[:FRAME] == RAMP[:FRAME]


async def test_it_disconnects() -> None:
    async with official_agent("disconnect", Caller(), Callee()) as (_, call, report):
        assert report.status == 0
        assert report.commands == ["answer", "disconnect"]
        assert report.get("terminated")
        assert (call.states, call.ended_by) == (["pending", "answered", "over"], "agent")
