"""``python -m telcoflow_anyio gateway``: a phone service on the desk, with a caller who keeps calling."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

import anyio
import anyio.abc
import attrs

from telcoflow_anyio.gateway.audio import Voice
from telcoflow_anyio.gateway.calls import GatewayCall
from telcoflow_anyio.gateway.parties import Callee, Caller
from telcoflow_anyio.gateway.relay import RelayCaller
from telcoflow_anyio.gateway.relay.sessions import Session
from telcoflow_anyio.gateway.service import Gateway

SOUNDS = Path(__file__).parent / "sounds"

_CALLS_AFTER = 1.0  # seconds from an agent's arrival to the call


@final
@attrs.frozen(kw_only=True)
class Options:
    """What the command line asks for."""

    host: str
    port: int
    api_key: str
    connector_uuid: str
    caller_wav: Path
    callee_answers_after: float
    call_every: float | None
    save: Path | None


def parse(argv: Sequence[str]) -> Options:
    """Read the command line. Raises SystemExit, as argparse does, for one that makes no sense or asks for help."""
    parser = argparse.ArgumentParser(
        prog="python -m telcoflow_anyio gateway",
        description="A local Telcoflow-compatible phone service. It calls every agent that connects.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument("--api-key", default="test-key", help="the key agents must show (default: %(default)s)")
    parser.add_argument("--connector-uuid", default="test-connector", help="and its connector (default: %(default)s)")
    parser.add_argument("--caller-wav", type=Path, default=SOUNDS / "caller.wav", help="what the caller says")
    parser.add_argument("--callee-answers-after", type=float, default=2.0, metavar="SECONDS", help="default: 2")
    parser.add_argument(
        "--call-every", type=float, metavar="SECONDS", help="call that often, not once per agent that connects"
    )
    parser.add_argument("--save", type=Path, metavar="DIR", help="save what was heard in each call, as WAV files")
    return Options(**vars(parser.parse_args(argv)))


def say(line: str) -> None:
    """Print one event, with the time of day."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


@final
class Desk:
    """Places the calls that were asked for and saves what was heard in them."""

    def __init__(self, gateway: Gateway, options: Options, tasks: anyio.abc.TaskGroup) -> None:
        self._gateway = gateway
        self._options = options
        self._tasks = tasks

    def agent_arrived(self) -> None:
        """Call the agent that has just connected."""
        self._tasks.start_soon(self._call, _CALLS_AFTER)

    def relay_client_arrived(self, session: Session) -> None:
        """Call the RELAY client that has just connected, in the first of its contexts; without one it only dials."""
        context = next(iter(session.contexts), None)
        if context is not None:
            self._tasks.start_soon(self._call_relay, context)

    async def _call_relay(self, context: str) -> None:
        await anyio.sleep(_CALLS_AFTER)
        caller = RelayCaller(presses=((4.0, "1"),), says=((6.0, "hello, is anybody there"),), hangs_up_after=30.0)
        await self._gateway.relay.place_call(caller, context=context)

    async def call_every(self, seconds: float) -> None:
        """Call as often as asked, while there is somebody to hear it."""
        due = anyio.current_time()
        while True:
            await self._gateway.wait_for_agents(1)
            await self._call(0)
            due = max(due + seconds, anyio.current_time())
            await anyio.sleep_until(due)

    async def _call(self, delay: float) -> None:
        await anyio.sleep(delay)
        caller = Caller(voice=Voice.wav(self._options.caller_wav, resample=True).after(0.5))
        callee = Callee(
            voice=Voice.wav(SOUNDS / "callee.wav", resample=True).after(0.3),
            answers_after=self._options.callee_answers_after,
        )
        call = await self._gateway.place_call(caller, callee)
        if self._options.save is not None:
            self._tasks.start_soon(self._save, call, self._options.save)

    async def _save(self, call: GatewayCall, folder: Path) -> None:
        await call.wait_state("over")
        if call.sample_rate:
            call.save(folder / call.call_id)
            say(f"call {call.call_id}: saved in {folder / call.call_id}")


async def serve(options: Options) -> None:
    """Serve until cancelled. Raises OSError if the port is taken."""
    gateway = Gateway(
        host=options.host, port=options.port, credentials={options.api_key: options.connector_uuid}, tell=say
    )
    async with gateway, anyio.create_task_group() as tasks:
        say(f"serving on {gateway.base_url}, API key {options.api_key!r}, connector {options.connector_uuid!r}")
        for project, token in gateway.relay.projects.items():
            say(f"serving RELAY on {gateway.relay_host}, project {project!r}, token {token!r}")
        say("stop with Ctrl-C")
        desk = Desk(gateway, options, tasks)
        if options.call_every is None:
            gateway.on_agent = desk.agent_arrived
            gateway.relay.on_session = desk.relay_client_arrived
        else:
            tasks.start_soon(desk.call_every, options.call_every)
        await anyio.sleep_forever()


def run(argv: Sequence[str]) -> int:
    """Run the command; return its exit status: 0 after Ctrl-C, 1 if it could not serve."""
    options = parse(argv)
    try:
        anyio.run(serve, options)
    except KeyboardInterrupt:
        say("stopped")
    except OSError as error:
        sys.stderr.write(f"cannot serve on {options.host} port {options.port}: {error.strerror or error}\n")
        return 1
    return 0
