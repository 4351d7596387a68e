"""A call is handed from one process to another: ours to the vendor's, the vendor's to ours, ours to ours."""

import json
import sys
from pathlib import Path

import anyio
import pytest

from telcoflow_anyio.gateway import Caller, Gateway, GatewayCall, Voice

HERE = Path(__file__).parent
SECOND = 48000
AGENTS = ["official", "telcoflow_anyio", "telcoflow_trio"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Both agents run in processes of their own; here is only the gateway."""
    return "asyncio"


def program(agent: str, scenario: str, base_url: str) -> list[str]:
    if agent == "official":
        return [sys.executable, str(HERE / "official_agent.py"), base_url, scenario]
    return [sys.executable, str(HERE / "our_agent.py"), agent, scenario, base_url]


async def run(agent: str, scenario: str, base_url: str, text: str = "") -> str:
    done = await anyio.run_process(program(agent, scenario, base_url), input=text.encode(), check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert done.stderr == b"", done.stderr.decode()
    return done.stdout.decode()


async def handed_over(agent: str, gateway: Gateway) -> tuple[GatewayCall, str]:
    """Let an agent claim a call and write it down."""
    call = await gateway.place_call(Caller(number="+15551234", voice=Voice.ramp(20)))
    output = await run(agent, "handover", gateway.base_url)
    if agent != "official":
        return call, output
    lines = [json.loads(line) for line in output.splitlines()]
    return call, next(line["json"] for line in lines if line["event"] == "handover")


PAIRS = [(giver, taker) for giver in AGENTS for taker in AGENTS if (giver, taker) != ("official", "official")]


@pytest.mark.parametrize(("giver", "taker"), PAIRS)
async def test_a_call_is_handed_to_another_process(giver: str, taker: str) -> None:
    with anyio.fail_after(40):
        async with Gateway(speed=5.0) as gateway:
            call, text = await handed_over(giver, gateway)
            assert call.state == "pending"
            assert gateway.agents == 0
            passed = json.loads(text)
            assert list(passed) == ["channel", "id", "caller", "callee", "session_url", "session_token"]
            assert (passed["channel"], passed["id"], passed["session_token"]) == ("TELCO", call.call_id, call.token)
            assert (passed["caller"], passed["callee"]) == ("+15551234", "+15550002")

            await run(taker, "takeover", gateway.base_url, text)
            assert call.states == ["pending", "answered", "over"]
            assert call.ended_by == "agent"
            assert call.said_by_agent[:SECOND] == call.heard_by_agent[:SECOND]
            assert len(call.said_by_agent) >= SECOND
