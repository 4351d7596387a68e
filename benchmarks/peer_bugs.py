"""The vendor's clients and ours under the same faults, side by side.

    python benchmarks/peer_bugs.py                      run everything, print two tables
    python benchmarks/peer_bugs.py --write              and write them to docs/reports/peer-bugs.md
    python benchmarks/peer_bugs.py --write R01 R02      run some rows anew, and leave the others in it as they are
    python benchmarks/peer_bugs.py T04 official         one fault on one client, in this process

Each fault runs in a process of its own against a service on a real port of this machine, and takes a few seconds
at most: what would take longer is given up and shown as "still waiting". The faults of RELAY take up to 45 seconds,
for that is how long the vendor's client needs to show what it does; they stand in ``peer_bugs_relay``.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import anyio

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import telcoflow as sdk  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: E402 - found only now

import telcoflow_anyio  # noqa: E402
from benchmarks import peer_bugs_relay as relay  # noqa: E402
from telcoflow_proto.config import CONTROL_PATH  # noqa: E402
from tests.reliability.chaos import ChaosProxy  # noqa: E402
from tests.world.net import Net  # noqa: E402
from tests.world.service import ACCEPT, Service, accept_then_close, http, ignore, succeed  # noqa: E402

PAGE = ROOT / "docs" / "reports" / "peer-bugs.md"
DAY = dt.date(2026, 11, 21)
PATIENCE = 4.0
"""Seconds before something that should have happened is called "still waiting"."""
KEY = "the-api-key"


class Agent(ABC):
    """What both clients can do, each in its own words."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.calls: list[Any] = []
        self.notices: list[Any] = []
        self.ended: list[object] = []
        self.on_call: Callable[[Any], Awaitable[None]] | None = None
        self.on_notice: Callable[[Any], Awaitable[None]] | None = None

    @abstractmethod
    async def connect(self, *, quick: bool = False) -> None: ...
    @abstractmethod
    async def leave(self) -> None: ...
    @abstractmethod
    async def open_session(self, session_id: str) -> Any: ...
    @abstractmethod
    def config(self) -> object: ...

    async def took(self, call: Any) -> None:
        self.calls.append(call)
        if self.on_call is not None:
            await self.on_call(call)


class Official(Agent):
    """``telcoflow`` 1.0.0, as its readme has it."""

    def config(self) -> Any:
        return sdk.SessionManagerConfig.create(
            KEY, "connector", base_url=f"ws://127.0.0.1:{self.port}", call_audio=sdk.CallAudioConfig(sample_rate=24000)
        )

    async def connect(self, *, quick: bool = False) -> None:
        self.manager = sdk.SessionManager(self.config())
        if not quick:
            self.manager.on_session_notification(self._claim)
        await self.manager.__aenter__()
        if quick:
            self.manager.on_session_notification(self._claim)

    async def _claim(self, notice: Any) -> None:
        self.notices.append(notice)
        if self.on_notice is not None:
            await self.on_notice(notice)
            return
        session = await self.manager.open_session(notice.session_id)
        session.on_incoming_call(self._took)
        await session.ready()

    async def _took(self, call: Any) -> None:
        call.on_terminated(lambda: self.ended.append("terminated"))
        await self.took(call)

    async def leave(self) -> None:
        await self.manager.__aexit__(None, None, None)

    async def open_session(self, session_id: str) -> Any:
        return await self.manager.open_session(session_id)


class Ours(Agent):
    """``telcoflow_anyio``, as its readme has it."""

    def config(self) -> Any:
        return telcoflow_anyio.TelcoflowClientConfig.sandbox(
            api_key=KEY, connector_uuid="connector", base_url=f"ws://127.0.0.1:{self.port}"
        )

    async def connect(self, *, quick: bool = False) -> None:
        self.client = telcoflow_anyio.TelcoflowClient(self.config())
        if not quick:
            self._register()
        await self.client.connect()
        if quick:
            self._register()

    def _register(self) -> None:
        self.client.register_event_handler("session.notified", self._notified)
        if self.on_notice is None:
            self.client.register_event_handler("call.new", self._took)

    async def _notified(self, notice: Any) -> None:
        self.notices.append(notice)
        if self.on_notice is not None:
            await self.on_notice(notice)

    async def _took(self, call: Any) -> None:
        call.register_event_handler("call.terminated", self.ended.append)
        await self.took(call)

    async def leave(self) -> None:
        await self.client.disconnect()

    async def open_session(self, session_id: str) -> Any:
        return await self.client.open_session(session_id)


class Scene:
    """A service on a real port, a proxy in front of it that can break connections, and one client."""

    def __init__(self, service: Service, proxy: ChaosProxy, agent: Agent) -> None:
        self.service = service
        self.proxy = proxy
        self.agent = agent

    async def announce(self, **arguments: Any) -> Any:
        number = len(self.service.calls) + 1
        known = {"url": f"ws://127.0.0.1:{self.proxy.port}/media/{number}", **arguments}
        return await self.service.announce_call(**known)

    async def call(self) -> tuple[Any, Any]:
        """Return an answered call, and the service's side of it."""
        before = len(self.agent.calls)
        there = await self.announce()
        await until(lambda: len(self.agent.calls) > before)
        await self.agent.calls[-1].answer()
        return self.agent.calls[-1], there


async def until(condition: Callable[[], object], within: float = PATIENCE) -> bool:
    """Wait until something is true; False if that took too long."""
    with anyio.move_on_after(within):
        while not condition():
            await anyio.sleep(0.005)
        return True
    return False


async def how(action: Awaitable[Any], within: float = PATIENCE) -> str:
    """Say what came of it and when."""
    begun = time.monotonic()
    task = asyncio.ensure_future(action)
    done, _ = await asyncio.wait([task], timeout=within)
    took = time.monotonic() - begun
    if not done:
        task.cancel()
        return f"still waiting after {took:.0f} s"
    error = task.exception()
    if error is None:
        return f"returned after {took:.2f} s"
    return f"{type(error).__name__} after {took:.2f} s"


Play = Callable[[Scene], Awaitable[str]]
FAULTS: dict[str, tuple[str, Play]] = {}


def fault(name: str, what: str) -> Callable[[Play], Play]:
    """Register a scenario under the id of its row."""

    def register(play: Play) -> Play:
        FAULTS[name] = what, play
        return play

    return register


# ------------------------------------------------------------------------------------- control


@fault("T00", "120 calls, one after the other")
async def t00(scene: Scene) -> str:
    """Offer calls; how many are heard?"""
    await scene.agent.connect()
    for _ in range(120):
        before = len(scene.agent.calls)
        there = await scene.announce()
        await until(lambda before=before: len(scene.agent.calls) > before, within=0.1)  # type: ignore[misc]
        scene.service.close_session(there, "CALL_TERMINATED")
        await anyio.sleep(0.005)
    return f"{len(scene.agent.calls)} of 120 heard"


@fault("T09", "300 notices at once, handlers of 10 ms")
async def t09(scene: Scene) -> str:
    """How many are heard?"""

    async def slow(_notice: Any) -> None:
        await anyio.sleep(0.01)

    scene.agent.on_notice = slow
    await scene.agent.connect()
    for number in range(300):
        scene.service.control.say_raw(
            f'{{"type":"session.notify","sessionId":"s{number}","channel":"WA","activity":"RESUME",'
            f'"remoteAddress":"+1","localAddress":"+2","createdAt":1}}'
        )
    await until(lambda: len(scene.agent.notices) == 300)
    return f"{len(scene.agent.notices)} of 300 heard"


@fault("T04", "a service that accepts and closes, for 4 s")
async def t04(scene: Scene) -> str:
    """How many connections does one client make?"""
    scene.service.upgrade = [ACCEPT, accept_then_close(1011)]
    await scene.agent.connect()
    scene.proxy.reset()
    await anyio.sleep(PATIENCE)
    return f"{len(scene.service.attempts) - 1} connections"


@fault("T01", "the connection breaks with a request under way")
async def t01(scene: Scene) -> str:
    """When is the request told?"""
    scene.service.will("session.open", ignore())
    await scene.agent.connect()
    opening = asyncio.ensure_future(scene.agent.open_session("s1"))
    await anyio.sleep(0.3)
    scene.proxy.reset()
    return await how(opening)


@fault("P06", "4401 behind the first set-up")
async def p06(scene: Scene) -> str:
    """What is raised, and how many connections are made?"""
    scene.service.upgrade = [accept_then_close(4401, after_setup=True)]
    said = await how(scene.agent.connect())
    await anyio.sleep(2)
    return f"{said}; {len(scene.service.attempts)} connections in 2 s"


@fault("T06", "the key is revoked, for 4 s")
async def t06(scene: Scene) -> str:
    """Does it stop?"""
    scene.service.upgrade = [ACCEPT, http(401, body="revoked")]
    await scene.agent.connect()
    scene.proxy.reset()
    await anyio.sleep(PATIENCE)
    return f"{len(scene.service.attempts) - 1} attempts"


@fault("T07", "401 with 900 kB of text and a line break in it")
async def t07(scene: Scene) -> str:
    """What does the error say?"""
    scene.service.upgrade = [http(401, body="bad key\nERROR forged " + "x" * 900_000)]
    try:
        await scene.agent.connect()
    except Exception as error:  # noqa: BLE001 - it is what was asked for
        lines = "with a line break" if "\n" in str(error) else "one line"
        return f"{type(error).__name__}, {len(str(error)):,} characters, {lines}"
    return "connected"


@fault("T08", "a call announced right behind the set-up, the handler registered after connecting")
async def t08(scene: Scene) -> str:
    """Is it delivered?"""
    connecting = asyncio.ensure_future(scene.agent.connect(quick=True))
    there = asyncio.ensure_future(scene.announce())
    await connecting
    await there
    await until(lambda: scene.agent.calls, within=2)
    return f"{len(scene.agent.calls)} of 1 delivered"


@fault("T10", "two notices at once, each handler takes 2 s")
async def t10(scene: Scene) -> str:
    """How long does the second one wait?"""
    begun: list[float] = []

    async def slow(_: Any) -> None:
        begun.append(time.monotonic())
        await anyio.sleep(2)

    scene.agent.on_notice = slow
    await scene.agent.connect()
    await scene.announce()
    await scene.announce()
    if not await until(lambda: len(begun) == 2):
        return "the second never starts"
    return f"the second starts {begun[1] - begun[0]:.1f} s later"


@fault("T11", "a notice handler waits for the end of its session")
async def t11(scene: Scene) -> str:
    """Does it hear of the end?"""
    done: list[object] = []

    async def wait(notice: Any) -> None:
        session = await scene.agent.open_session(notice.session_id)
        await session.ready()
        done.append(await session.wait_closed())

    scene.agent.on_notice = wait
    await scene.agent.connect()
    there = await scene.announce()
    await until(lambda: scene.service.readied, within=1)
    scene.service.close_session(there, "CALL_TERMINATED")
    return "hears of it" if await until(lambda: done, within=2) else "deadlock"


@fault("T12", "a withheld number")
async def t12(scene: Scene) -> str:
    """Is the call delivered?"""
    scene.service.offers_calls = False
    await scene.agent.connect()
    there = await scene.announce()
    await until(lambda: scene.service.readied, within=1)
    scene.service.control.say_raw(
        f'{{"type":"call.in","sessionId":"{there.offer.session_id}","callId":"c1","orgUuid":"o","from":null,'
        f'"to":"+2","url":"{there.offer.url}","token":"t"}}'
    )
    return "delivered" if await until(lambda: scene.agent.calls, within=2) else "dropped"


@fault("T13", "a call delivered twice")
async def t13(scene: Scene) -> str:
    """How often is it handled?"""
    await scene.agent.connect()
    await scene.announce()
    scene.service.repeat = 2  # from now on: the session was announced once, its call comes twice
    await anyio.sleep(1)
    return "handled once" if len(scene.agent.calls) == 1 else f"handled {len(scene.agent.calls)} times"


@fault("T16", 'a response with "ok": "false"')
async def t16(scene: Scene) -> str:
    """Does it count as a success?"""
    scene.service.will("session.open", ignore())
    await scene.agent.connect()
    opening = asyncio.ensure_future(scene.agent.open_session("s1"))
    await anyio.sleep(0.3)
    request = scene.service.control.heard[-1].json["reqId"]
    session = '{"session":{"id":"s1","channel":"WA","initiator":"SDK","state":"OPEN"}}'
    scene.service.control.say_raw(f'{{"type":"response","reqId":"{request}","ok":"false","content":{session}}}')
    said = await how(opening, within=1)
    return "a success" if said.startswith("returned") else f"no success ({said})"


@fault("N13", "a session opened twice at once")
async def n13(scene: Scene) -> str:
    """One object or two?"""
    scene.service.will("session.open", succeed(after=0.2))
    await scene.agent.connect()
    opening = [scene.agent.open_session("s1") for _ in range(2)]
    first, second = await asyncio.gather(*opening, return_exceptions=True)
    frames = sum('"session.open"' in str(one.message) for one in scene.service.control.heard)
    return f"{'one object' if first is second else 'two objects'}, {frames} requests"


@fault("N12", "the service ignores the close")
async def n12(scene: Scene) -> str:
    """How long does leaving take?"""
    await scene.agent.connect()
    scene.proxy.partition()
    return await how(scene.agent.leave())


# ------------------------------------------------------------------------------------- secrets


class Catcher:
    """Another host: notes what it is sent."""

    def __init__(self) -> None:
        self.heard = b""
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._catch, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _catch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += await reader.read(65536)
        writer.close()

    def got(self, secret: str) -> str:
        """Say whether it was sent a secret."""
        if secret.encode() in self.heard:
            return "sent it the secret"
        return "connected to it" if self.heard else "did not go there"


@fault("N03", "302 to another listener")
async def n03(scene: Scene) -> str:
    """Is the API key sent there?"""
    async with Catcher() as other:
        scene.service.upgrade = [http(302, Location=f"ws://127.0.0.1:{other.port}{CONTROL_PATH}")]
        await how(scene.agent.connect(), within=2)
        return other.got(KEY)


@fault("N04", "a media URL of another listener")
async def n04(scene: Scene) -> str:
    """Is the token of the call sent there?"""
    async with Catcher() as other:
        await scene.agent.connect()
        there = await scene.announce(url=f"ws://127.0.0.1:{other.port}/media/1")
        if await until(lambda: scene.agent.calls, within=1):
            await how(scene.agent.calls[0].answer(), within=1)
        return other.got(there.offer.token)


@fault("N05", "the configuration printed, and every logger at DEBUG")
async def n05(scene: Scene) -> str:
    """Where does the key show?"""
    lines: list[str] = []

    class Catch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logging.getLogger().addHandler(Catch())
    logging.getLogger().setLevel(logging.DEBUG)
    await scene.agent.connect()
    places = [("repr", repr(scene.agent.config())), ("logs", "\n".join(lines))]
    found = [name for name, text in places if KEY in text]
    return f"key in {' and '.join(found)}" if found else "nowhere"


@fault("N14", "the handshake")
async def n14(scene: Scene) -> str:
    """Is compression offered?"""
    await scene.agent.connect()
    return "compression offered" if "sec-websocket-extensions" in scene.service.control.headers else "no compression"


# ------------------------------------------------------------------------------------- media


@fault("M01", "media breaks right behind the answer command")
async def m01(scene: Scene) -> str:
    """When is it told?"""
    await scene.agent.connect()
    there = await scene.announce()
    there.will("call.answer", ignore())
    await until(lambda: scene.agent.calls)
    answering = asyncio.ensure_future(scene.agent.calls[0].answer())
    await there.commanded("call.answer")
    scene.proxy.pairs[-1][0].shutdown(2)
    return await how(answering)


@fault("M02", "media of a live call breaks")
async def m02(scene: Scene) -> str:
    """What is told within 2 s?"""
    await scene.agent.connect()
    call, _ = await scene.call()
    scene.proxy.pairs[-1][0].shutdown(2)
    await anyio.sleep(2)
    return f"state {getattr(call.state, 'name', call.state)}, told {len(scene.agent.ended)} times"


@fault("M04", "one text frame of 5,000 brackets, then audio")
async def m04(scene: Scene) -> str:
    """Is the audio heard?"""
    await scene.agent.connect()
    call, there = await scene.call()
    there.say_raw("[" * 5000)
    await anyio.sleep(0.2)
    with contextlib.suppress(Exception):
        there.say(b"\1\1" * 480)
    said = await how(anext(aiter(call.audio_stream())), within=2)
    return "heard" if said.startswith("returned") else f"not heard ({said})"


@fault("M06", "the end is told, the socket left open")
async def m06(scene: Scene) -> str:
    """Does the audio end?"""
    await scene.agent.connect()
    call, there = await scene.call()

    async def listen() -> None:
        async for _ in call.audio_stream():
            pass

    listening = asyncio.ensure_future(listen())
    await anyio.sleep(0.2)
    there.say_raw('{"type":"call_event","data":{"event":"call.terminated"}}')
    return await how(listening, within=2)


@fault("M07", "the audio is read again after its end")
async def m07(scene: Scene) -> str:
    """Does it end again?"""
    await scene.agent.connect()
    call, there = await scene.call()

    async def listen() -> None:
        async for _ in call.audio_stream():
            pass

    there.hang_up()
    await how(listen(), within=2)
    return await how(listen(), within=2)


@fault("M14", "2,000 requests for audio in silence, then 20 s of speech")
async def m14(scene: Scene) -> str:
    """How much leaves within half a second?"""
    await scene.agent.connect()
    call, there = await scene.call()
    for _ in range(2000):
        there.say_raw('{"type":"buffer_request","data":{"requested_bytes":960,"prefer_audio_frame_bytes":960}}')
    await anyio.sleep(1)
    await call.send_audio(bytes(20 * 48000))
    await anyio.sleep(0.5)
    return f"{len(there.heard) / 48000:.1f} s leave at once"


@fault("N02", "a sentence whose end is shorter than a frame")
async def n02(scene: Scene) -> str:
    """How much of it is heard?"""
    await scene.agent.connect()
    call, there = await scene.call()
    there.want(64_000)
    for _ in range(11):
        await call.send_audio(bytes(640))
        await anyio.sleep(0.013)
    await anyio.sleep(1)
    return f"{len(there.heard)} of 7040 bytes"


@fault("M26", "credit of true, with speech waiting")
async def m26(scene: Scene) -> str:
    """What leaves?"""
    await scene.agent.connect()
    call, there = await scene.call()
    await call.send_audio(bytes(960))
    there.say_raw('{"type":"buffer_request","data":{"requested_bytes":true,"prefer_audio_frame_bytes":1}}')
    await anyio.sleep(0.5)
    sizes = [len(one.message) - 1 for one in there.carrier.end.heard if isinstance(one.message, bytes)]
    return f"frames of {sizes} bytes" if sizes else "nothing"


@fault("M16", "leaving during a call")
async def m16(scene: Scene) -> str:
    """Is the media connection closed?"""
    await scene.agent.connect()
    _, there = await scene.call()
    said = await how(scene.agent.leave(), within=6)
    closed = await until(lambda: there.over, within=1)
    return f"media {'closed' if closed else 'stays open'}; {said}"


@fault("M20", "session.closed on control during a call")
async def m20(scene: Scene) -> str:
    """Does the call end?"""
    await scene.agent.connect()
    call, there = await scene.call()
    scene.service.close_session(there)
    await anyio.sleep(1)
    return f"state {getattr(call.state, 'name', call.state)}, told {len(scene.agent.ended)} times"


@fault("M27", 'a command response with "success": "false"')
async def m27(scene: Scene) -> str:
    """Does it count as a success?"""
    await scene.agent.connect()
    there = await scene.announce()
    there.will("call.answer", ignore())
    await until(lambda: scene.agent.calls)
    answering = asyncio.ensure_future(scene.agent.calls[0].answer())
    command = (await there.commanded("call.answer")).command.command_id
    there.say_raw(f'{{"type":"command_response","data":{{"command_id":"{command}","success":"false"}}}}')
    await asyncio.wait([answering], timeout=1)
    if not answering.done():
        return "no success (still waiting for a real response)"
    return "a success" if answering.exception() is None and answering.result() else "no success"


# ------------------------------------------------------------------------------------- running

AGENTS: dict[str, type[Agent]] = {"official": Official, "ours": Ours}


async def play(name: str, kind: str) -> None:
    """Play one fault on one client, in this process."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as plain, anyio.create_task_group() as group:
        port = plain.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
        service = Service(Net())
        service.open(group)

        async def serve(stream: Any) -> None:
            with contextlib.suppress(Exception):
                await service.serve(stream)

        group.start_soon(plain.serve, serve)
        with ChaosProxy(port) as proxy:
            said = await FAULTS[name][1](Scene(service, proxy, AGENTS[kind](proxy.port)))
            print(said, flush=True)
            os._exit(0)  # a client that hangs must not hold up the next one


def run(name: str, kind: str) -> str:
    """Play one fault on one client, in a process of its own."""
    command = [sys.executable, str(Path(__file__)), name, kind]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=70, check=False)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        return "hangs"
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else f"fails: {done.stderr.strip().splitlines()[-1]}"


HEAD = f"""\
# The vendor's clients and ours under the same faults

Seen on {DAY.isoformat()} with `python benchmarks/peer_bugs.py --write`, the vendor's clients unmodified and ours from
`telcoflow_anyio` on asyncio, each fault in a process of its own, real sockets on one machine. The ids are those of
[reliability.md](../reliability.md), which shows what is seen here beside what is required.
"""
SECTIONS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Control and media", "telcoflow 1.0.0", {name: what for name, (what, _) in FAULTS.items()}),
    ("RELAY", "signalwire-sdk 3.7.5", relay.SCENES),
)


def page(rows: dict[str, str]) -> str:
    """Write the report around its rows."""
    lines = [HEAD]
    for title, vendor, names in SECTIONS:
        lines += [f"## {title}", "", f"| id | fault | {vendor} | ours |", "| --- | --- | --- | --- |"]
        lines += [*(rows[name] for name in names if name in rows), ""]
    return "\n".join(lines)


def known() -> dict[str, str]:
    """Return the rows of the report as it stands."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    return {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}


def main(arguments: list[str]) -> int:
    """Run one fault, some or all of them."""
    if len(arguments) == 2 and arguments[1] in AGENTS:
        name, kind = arguments
        if name in relay.SCENES:
            relay.play(name, kind)
        asyncio.run(play(name, kind))
        return 0
    write = arguments[:1] == ["--write"]
    every = {name: what for _, _, names in SECTIONS for name, what in names.items()}
    wanted = arguments[write:] or list(every)
    rows = known() if len(wanted) < len(every) else {}
    for name in wanted:
        rows[name] = f"| {name} | {every[name]} | {run(name, 'official')} | {run(name, 'ours')} |"
        print(rows[name], flush=True)
        if write:
            PAGE.write_text(page(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
