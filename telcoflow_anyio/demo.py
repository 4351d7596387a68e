"""``make demo``: one real call on this machine, start to end, and a check that every sample came back.

A gateway is started on loopback, an agent connects to it over real sockets, and a caller who speaks is put
through to it. The agent greets, then says back what it hears, until the caller hangs up.
"""

import argparse
import sys
from importlib.resources import files
from pathlib import Path

import anyio

from telcoflow_anyio import events
from telcoflow_anyio.call import ActiveCall
from telcoflow_anyio.client import TelcoflowClient, TelcoflowClientConfig
from telcoflow_anyio.gateway import Caller, CallStatistics, Gateway, GatewayCall, Voice
from telcoflow_anyio.gateway.audio import read_wav, skip_silence
from telcoflow_proto.media.protocol import MediaStatistics

_RATE = 24000
_HANGS_UP_AFTER = 9.0
_SECOND = _RATE * 2


def run(argv: list[str]) -> int:
    """Run the demo. Returns 0, or 1 if the audio that came back is not the audio that was sent."""
    parser = argparse.ArgumentParser(prog="python -m telcoflow_anyio demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="where the recordings go (default: demo)")
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio", help="event loop to run on")
    options = parser.parse_args(argv)
    return anyio.run(_demo, options.out, backend=options.backend)


async def _demo(out: Path) -> int:
    sounds = files("telcoflow_anyio.gateway") / "sounds"
    greeting, _ = read_wav(str(sounds / "greeting.wav"), _RATE)
    speech = Voice.wav(str(sounds / "caller.wav"))
    snapshots: list[MediaStatistics] = []
    heard_the_end = anyio.Event()
    async with Gateway() as gateway:
        _say(f"gateway   listening on {gateway.base_url}")
        config = TelcoflowClientConfig.sandbox(
            api_key="test-key", connector_uuid="test-connector", sample_rate=_RATE, base_url=gateway.base_url
        )
        async with TelcoflowClient(config) as client:

            @client.on(events.INCOMING_CALL)
            async def greet_and_echo(call: ActiveCall) -> None:
                _say(f"agent     {call.caller_number} calls {call.callee_number}: {call.state.name}")
                taken = await call.answer()
                _say(f"agent     picked up after {taken.took * 1000:.1f} ms: {call.state.name}")
                await call.send_audio(greeting)
                _say(f"agent     greets for {len(greeting) / _SECOND:.1f} s, then says back what it hears")
                async for chunk in call.audio_stream():
                    await call.send_audio(chunk)
                _say(f"agent     the call is over ({call.end_reason}): {call.state.name}")
                snapshots.append(call.statistics())
                heard_the_end.set()

            call = await gateway.place_call(caller=Caller(voice=speech, hangs_up_after=_HANGS_UP_AFTER))
            _say("network   the caller dials, and speaks as soon as somebody picks up")
            await call.wait_state("answered")
            await call.wait_state("over")
            _say(f"network   the {call.ended_by} hung up after {call.seconds:.1f} s")
            with anyio.move_on_after(2):
                await heard_the_end.wait()
    call.save(out)
    faults = _check(call, greeting)
    report = _report(call, call.statistics(), snapshots, faults)
    await anyio.Path(out / "report.md").write_text(report, encoding="utf-8")
    _say("")
    _say(report)
    _say(f"Listen to {out / 'heard-by-caller.wav'} and {out / 'heard-by-agent.wav'}.")
    return 1 if faults else 0


def _check(call: GatewayCall, greeting: bytes) -> list[str]:
    """Compare what the agent heard, what it said and what the caller heard, sample by sample."""
    faults: list[str] = []
    said, heard = call.said_by_agent, call.heard_by_agent
    echo = said[len(greeting) :]
    if said[: len(greeting)] != greeting:
        faults.append("the greeting arrived changed")
    if len(echo) < 4 * _SECOND or heard[: len(echo)] != echo:
        faults.append("the echo is not what the agent was sent")
    played = call.heard_by_caller.lstrip(b"\0")
    if len(played) < 6 * _SECOND or not said.lstrip(b"\0").startswith(played.rstrip(b"\0")):
        faults.append("the caller did not hear what the agent said")
    if len(skip_silence(heard, call.sample_rate)) < 3 * _SECOND:
        faults.append("the agent did not hear the caller speak")
    return faults


def _report(call: GatewayCall, network: CallStatistics, snapshots: list[MediaStatistics], faults: list[str]) -> str:
    verdict = "FAILED: " + "; ".join(faults) if faults else "every sample that came back is the one that was sent"
    lines = [
        "# Report of the demo call",
        "",
        f"- states: {' → '.join(call.states)}, ended by the {call.ended_by}",
        f"- to the agent: {network.frames_to_agent} frames, {network.bytes_to_agent} bytes",
        f"- from the agent: {network.frames_from_agent} frames, {network.bytes_from_agent} bytes",
        *(f"- command {one.command}: answered by the gateway in {one.took * 1000:.2f} ms" for one in network.commands),
        *(
            f"- seen by the agent: {one.frames_received} frames in, {one.frames_sent} frames out, last command "
            f"{(one.last_command_seconds or 0) * 1000:.1f} ms, dropped {one.bytes_dropped_in} bytes in and "
            f"{one.bytes_dropped_out} out (what was still queued when the caller hung up), {one.bad_frames} bad frames"
            for one in snapshots
        ),
        f"- dropped by the gateway: {network.bytes_dropped} bytes",
        f"- verdict: {verdict}",
    ]
    return "\n".join(lines) + "\n"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
