"""A small agent on the official Telcoflow SDK, for interoperation tests.

It uses only the public names of ``telcoflow==1.0.0`` and runs against any server that
speaks the wire::

    python official_agent.py ws://127.0.0.1:8080 echo

It takes one call, plays one scenario and prints one JSON object per line, each with an
``event`` key.  Exit status: 0 the scenario ran to its end, 1 something failed, 2 wrong
arguments, 3 the hard time limit struck.

echo             answer, send back what is heard until five seconds were, close
connect_whisper  answer, connect, whisper, send 1 s of tone, interrupt, close
script           answer, hear 0.5 s, send the ramp, connect (20 s), whisper, barge, spy,
                 interrupt, close: the fixed call for comparing wires
handover         print the call as JSON and let go of it, its media never opened
disconnect       answer, disconnect
takeover         no connection: read a call as JSON from the standard input, answer, send back
                 one second of what is heard, close

The ramp is 0.4 s long: the samples 0, 1, 2, ... 9599 as 16-bit little-endian.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import struct
import sys
import threading
from collections.abc import Awaitable, Callable

import telcoflow as sdk  # type: ignore[import-not-found,import-untyped,unused-ignore]

SAMPLE_RATE = 24_000
BYTES_PER_SECOND = SAMPLE_RATE * 2
RAMP = struct.pack("<9600h", *range(9600))
TONE = struct.pack("<24000h", *(round(8192 * math.sin(math.tau * i * 440 / 24000)) for i in range(24000)))
SCENARIO_LIMIT = 18.0  # seconds; leaving the SDK can take ten more
HARD_LIMIT = 29.5  # seconds; then the process ends, whatever it is doing


def report(event: str, **details: object) -> None:
    """Print one line for the test that started this program."""
    print(json.dumps({"event": event, **details}), flush=True)  # noqa: T201 - the output is the report


class Agent:
    """One call and what the scenarios do with it."""

    def __init__(self, call: sdk.Call) -> None:
        self.call = call
        self.over = asyncio.Event()
        self.heard = 0
        call.on_terminated(self.terminated)
        call.on_call_event(sdk.CallEvent.CALL_ERROR)(lambda data: report("call_error", data=data))

    def terminated(self) -> None:
        report("terminated")
        self.over.set()

    async def do(self, *commands: str, **arguments: int) -> None:
        """Run commands one by one and report each; a refusal ends the scenario."""
        for name in commands:
            result: sdk.CommandResult = await getattr(self.call, name)(**arguments)
            code, text = result.error_code, result.error_message
            report("command", command=name, success=bool(result), error_code=code, error_message=text)
            if not result:
                raise RuntimeError(f"{name} failed: {code}")
            if name == "answer":
                report("answered")

    async def drain(self) -> None:
        """Wait until the server has asked for all queued audio, three seconds at most."""
        for _ in range(300):
            if self.over.is_set() or not await self.call.get_send_audio_buffer_size():
                return
            await asyncio.sleep(0.01)

    async def read(self, wanted: int, *, echo: bool) -> None:
        """Take in ``wanted`` bytes of caller audio, sending them back if asked."""
        async for chunk in self.call.audio_stream():
            self.heard += len(chunk)
            if echo:
                await self.call.send_audio(chunk)
            if self.heard >= wanted:
                break

    async def listen(self, wanted: int, *, echo: bool = False) -> None:
        """Read, but no longer than the call lasts: the SDK's stream ends with its socket only."""
        tasks = [asyncio.create_task(each) for each in (self.read(wanted, echo=echo), self.over.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if not task.cancel():
                task.result()

    async def interrupt(self) -> None:
        """Drop what is queued and have the server drop what it holds."""
        report("interrupted", discarded=await self.call.clear_send_audio_buffer())

    async def echo(self) -> None:
        await self.do("answer")
        await self.listen(5 * BYTES_PER_SECOND, echo=True)
        await self.drain()
        report("echoed", bytes=self.heard)
        await self.do("close")

    async def connect_whisper(self) -> None:
        await self.do("answer", "connect", "whisper")
        await self.call.send_audio(TONE)
        await asyncio.sleep(0.3)
        await self.interrupt()
        await self.do("close")

    async def script(self) -> None:
        await self.do("answer")
        await self.listen(BYTES_PER_SECOND // 2)
        report("heard", bytes=self.heard)
        await self.call.send_audio(RAMP)
        await self.drain()
        await self.do("connect", ring_time_seconds=20)
        await self.do("whisper", "barge", "spy")
        await self.interrupt()
        await self.do("close")

    async def handover(self) -> None:
        report("handover", json=self.call.to_json())
        await self.do("close")

    async def disconnect(self) -> None:
        await self.do("answer", "disconnect")

    async def takeover(self) -> None:
        await self.do("answer")
        await self.listen(BYTES_PER_SECOND, echo=True)
        await self.drain()
        report("echoed", bytes=self.heard)
        await self.do("close")


Scenario = Callable[[Agent], Awaitable[None]]
ACTIONS = (Agent.echo, Agent.connect_whisper, Agent.script, Agent.handover, Agent.disconnect, Agent.takeover)
SCENARIOS: dict[str, Scenario] = {action.__name__: action for action in ACTIONS}


async def take_one_call(base_url: str, play: Scenario) -> None:
    """Connect, claim the first session offered and play the scenario on its call."""
    calls: asyncio.Queue[sdk.Call | Exception] = asyncio.Queue()
    audio, create = sdk.CallAudioConfig(sample_rate=SAMPLE_RATE), sdk.SessionManagerConfig.create
    manager = sdk.SessionManager(create("test-key", "test-connector", base_url=base_url, call_audio=audio))
    claimed: set[str] = set()
    connected = asyncio.Event()

    async def claim(offer: sdk.SessionNotification) -> None:
        report("notified", session_id=offer.session_id, activity=str(offer.activity))
        await connected.wait()  # an offer can come before the SDK calls itself connected
        if claimed:
            return
        claimed.add(offer.session_id)
        try:
            session = await manager.open_session(offer.session_id)
            session.on_closed(lambda reason: report("session_closed", reason=str(reason)))
            session.on_incoming_call(calls.put)
            await session.ready()
        except Exception as error:  # noqa: BLE001 - the SDK would only log it
            await calls.put(error)

    manager.on_session_notification(claim)
    async with asyncio.timeout(SCENARIO_LIMIT), manager:
        report("connected", connection_id=manager.id)
        connected.set()
        call = await calls.get()
        if isinstance(call, Exception):
            raise call
        report("incoming_call", id=call.id, caller=call.caller_number, callee=call.callee_number)
        await play(Agent(call))
        await asyncio.sleep(0.5)  # the server's last events
    report("done")


async def take_over(text: str) -> None:
    """Take over the call another process has written."""
    call = sdk.Call.from_json(text, sdk.CallAudioConfig(sample_rate=SAMPLE_RATE))
    report("incoming_call", id=call.id, caller=call.caller_number, callee=call.callee_number)
    async with asyncio.timeout(SCENARIO_LIMIT):
        await Agent(call).takeover()
        await asyncio.sleep(0.5)  # the server's last events
    report("done")


def out_of_time() -> None:
    """End the process although the scenario hangs."""
    report("error", type="HardLimit", message=f"still running after {HARD_LIMIT} s")
    os._exit(3)


def main(arguments: list[str]) -> int:
    """Run the program; return its exit status."""
    if len(arguments) != 2 or arguments[1] not in SCENARIOS:
        sys.stderr.write(f"usage: official_agent.py BASE_URL {'|'.join(SCENARIOS)}\n")
        return 2
    watchdog = threading.Timer(HARD_LIMIT, out_of_time)
    watchdog.start()
    try:
        if arguments[1] == "takeover":
            asyncio.run(take_over(sys.stdin.read()))
        else:
            asyncio.run(take_one_call(arguments[0], SCENARIOS[arguments[1]]))
    except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
        report("error", type=type(error).__name__, message=str(error))
        return 1
    finally:
        watchdog.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
