"""Where a client is measured: a service on loopback that is played by hand, and the client's process beside it."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, final

import attrs

from fuzz.live.stage import ClientAway, Stage, done
from fuzz.live.wire import Log, Wire

ROOT = Path(__file__).parents[1]
_LINE_BYTES = 1024 * 1024
_DEAF_AFTER = 30.0  # seconds; on a busy machine a process may have to wait for the processor for seconds


def rss(pid: int | str) -> int:
    """Return the bytes of memory a process has in RAM, as the operating system counts them."""
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise ClientAway("the process is gone")


@final
class Agent:
    """A client in a process of its own, as ``benchmarks.agents`` has it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()  # JSON values
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._lines.put_nowait(json.loads(line))

    def rss(self) -> int:
        """Return the bytes of memory it has in RAM."""
        return rss(self._process.pid)

    def tell(self) -> None:
        """Give it the line it waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def hears(self, event: str, *, within: float) -> dict[str, Any] | None:
        """Wait for the next report of an event, past all others; None if it does not come in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while True:
                    line = await self._lines.get()
                    if line["event"] == event:
                        return line
        return None

    async def end(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading


@final
@attrs.define(eq=False)
class Strand:
    """One connection of a cable."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    dead: bool = False

    @property
    def over(self) -> bool:
        """True once both ends are closed."""
        return all(writer.is_closing() for writer in self.writers)


@final
class Cable:
    """Carries connections to a port, until one of them goes dead: open at both ends, and nothing comes through."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.strands: list[Strand] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Begin to listen on a port of its own."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Cut everything."""
        assert self._server is not None
        self._server.close()
        for strand in self.strands:
            for writer in strand.writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:  # the stage is being taken down
            writer.transport.abort()
            return
        strand = Strand((writer, far_writer))
        self.strands.append(strand)
        await asyncio.gather(_carry(strand, reader, far_writer), _carry(strand, far_reader, writer))


async def _carry(strand: Strand, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if not strand.dead:
                writer.write(data)
                await writer.drain()
    if not strand.dead:
        writer.close()


@final
@attrs.frozen
class Scene:
    """A stage, the cable that leads to it, and one client."""

    stage: Stage
    cable: Cable
    agent: Agent

    async def call_is_answered(self, control: Wire, session_id: str = "s1") -> Wire:
        """Take a call to where the client has answered it."""
        media, command = await self.stage.call_rings(control, session_id, within=_DEAF_AFTER)
        await media.says(done(command))
        if await self.agent.hears("answered", within=_DEAF_AFTER) is None:
            raise ClientAway("the client does not say that it has answered")
        return media

    def forget(self) -> None:
        """Let go of the connections that are over."""
        self.stage.medias[:] = [wire for wire in self.stage.medias if not wire.over]
        self.cable.strands[:] = [strand for strand in self.cable.strands if not strand.over]


@asynccontextmanager
async def scene(kind: str, job: str) -> AsyncIterator[Scene]:
    """Open a stage, and start a client that comes to it."""
    stage = await Stage(Log()).open()
    cable = Cable(stage.port)
    await cable.open()
    stage.port = cable.port  # where the audio of calls is said to be
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.agents", kind, job, f"ws://127.0.0.1:{cable.port}"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=ROOT,
        limit=_LINE_BYTES,
    )
    agent = Agent(process)
    try:
        yield Scene(stage, cable, agent)
    finally:
        await agent.end()
        cable.close()
        await stage.close()
