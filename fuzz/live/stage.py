"""A service that plays scripts on one client: control and media connections by hand, and a place it must not go to."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Self, final

import attrs

from fuzz.live.wire import Log, Wire, entropy
from telcoflow_proto.config import CONTROL_PATH
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import WebSocketLink

ANSWER_WITHIN = 3.0
_PARTING_WITHIN = 2.0


@final
@attrs.frozen
class Attempt:
    """Somebody asked for a WebSocket: when, for what, and with which header lines."""

    at: float
    target: str
    headers: dict[str, str]


@final
class ClientAway(Exception):
    """The client did not come, or did not do what every script begins with."""


@final
class Stage:
    """Two listeners on loopback and whoever comes to them. ``refuse`` decides what happens to control connections."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.attempts: list[Attempt] = []
        self.elsewhere: list[str] = []
        self.controls: list[Wire] = []
        self.medias: list[Wire] = []
        self.refuse: Callable[[], bytes | None] = lambda: None
        self._run = uuid.uuid4().hex[:6]  # a client that stays for the next script must not think it the same call
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.port = self.other_port = 0

    async def open(self, port: int = 0) -> Self:
        """Begin to listen."""
        for serve, on in ((self._serve, port), (self._serve_elsewhere, 0)):
            self._servers.append(await asyncio.start_server(serve, "127.0.0.1", on))
        self.port, self.other_port = (server.sockets[0].getsockname()[1] for server in self._servers)
        return self

    async def close(self) -> None:
        """Let everybody go."""
        for server in self._servers:
            server.close()
        for wire in (*self.controls, *self.medias):
            wire.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_PARTING_WITHIN)

    # ------------------------------------------------------------------ who comes

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = WebSocketLink(Role.SERVER, entropy=entropy)
        link.start(now=0.0)
        wire = Wire(link, reader, writer, name="?", log=self.log)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        def decide(wire: Wire, event: object) -> None:
            if isinstance(event, UpgradeRequested):
                self._admit(wire, event, writer)

        await wire.run(decide)

    def _admit(self, wire: Wire, request: UpgradeRequested, writer: asyncio.StreamWriter) -> None:
        attempt = Attempt(asyncio.get_running_loop().time(), request.target, dict(request.headers))
        self.attempts.append(attempt)
        control = request.target.startswith(CONTROL_PATH)
        wires = self.controls if control else self.medias
        wire.name = f"{'control' if control else 'media'} {len(wires) + 1}"
        self.log.add(f"{wire.name}: < GET {request.target.partition('?')[0]}")
        answer = self.refuse() if control else None
        if answer is not None:
            self.log.add(f"{wire.name}: > {answer.partition(bytes((13,)))[0].decode()}")
            writer.write(answer)
            wire.link.drop()
        else:
            wire.link.accept(now=0.0)
            wires.append(wire)
        self._changed.set()
        self._changed = asyncio.Event()

    async def _serve_elsewhere(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(4096)
        names = [line.partition(b":")[0].decode("latin-1").lower() for line in head.split(b"\r\n")[1:]]
        secret = [name for name in names if name in ("authorization", "x-api-key", "x-connector-uuid")]
        self.elsewhere.append(f"a connection that brings {', '.join(secret) or 'no credentials'}")
        self.log.add(f"elsewhere: < {self.elsewhere[-1]}")
        writer.close()

    async def until(self, wanted: Callable[[], bool], *, within: float) -> bool:
        """Wait until something is true of who came; False when it did not happen in time."""
        try:
            async with asyncio.timeout(within):
                while not wanted():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def control_attempts(self) -> list[Attempt]:
        """Return every attempt at a control connection so far."""
        return [attempt for attempt in self.attempts if attempt.target.startswith(CONTROL_PATH)]

    # ------------------------------------------------------------------ how scripts begin

    async def client_arrives(self, *, within: float = 30.0) -> Wire:
        """Wait for the client's next control connection and its set-up; do not confirm it."""
        before = len(self.controls)
        if not await self.until(lambda: len(self.controls) > before, within=within):
            raise ClientAway("no control connection came")
        control = self.controls[-1]
        if await control.hears(5.0, type="setup") is None:
            raise ClientAway("a control connection came, but no setup on it")
        return control

    async def client_is_ready(self) -> Wire:
        """Wait for the client, and confirm its set-up."""
        control = await self.client_arrives()
        await control.says({"type": "setup.done", "smWsId": "ws-1"})
        await asyncio.sleep(0.2)  # clients there are that are deaf until they have returned from connecting
        return control

    async def session_is_ready(self, control: Wire, session_id: str, *, within: float = ANSWER_WITHIN) -> bool:
        """Announce a session and let the client have it; False if it does not claim it."""
        number = {"channel": "TELCO", "remoteAddress": "+15550001", "localAddress": "+15550002"}
        notice = {"type": "session.notify", "sessionId": session_id, "activity": "NEW_INCOMING_CALL", "createdAt": 1}
        await control.says({**notice, **number})
        request = await control.hears(within, type="session.open", sessionId=session_id)
        if request is None:
            return False
        session = {"id": session_id, "initiator": "CONNECTOR", "state": "OPEN", "openedAt": 1, "closedAt": None}
        content = {"session": {**session, **number}}
        await control.says(response(request, content=content))
        return await control.hears(within, type="session.ready", sessionId=session_id) is not None

    def call_in(self, session_id: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
        """Return the offer of a call, as it should be but for ``changes``."""
        call = {
            "type": "call.in",
            "sessionId": session_id,
            "callId": f"call-{self._run}-{session_id}",
            "orgUuid": str(uuid.UUID(int=1)),
            "from": "+15550001",
            "to": "+15550002",
            "url": f"ws://127.0.0.1:{self.port}/media/{session_id}",
            "token": "media-token",
        }
        return {**call, **changes}

    async def media_comes(self, *, within: float = ANSWER_WITHIN) -> Wire | None:
        """Wait for the next media connection nobody has looked at."""
        before = len(self.medias)
        came = await self.until(lambda: len(self.medias) > before, within=within)
        return self.medias[-1] if came else None

    async def call_rings(
        self, control: Wire, session_id: str = "s1", *, within: float = ANSWER_WITHIN
    ) -> tuple[Wire, dict[str, Any]]:
        """Take a call to where the client wants to answer; return its media connection and the command."""
        if not await self.session_is_ready(control, session_id, within=within):
            raise ClientAway(f"the client did not claim a session in {within:.0f} s")
        await control.says(self.call_in(session_id))
        media = await self.media_comes(within=within)
        command = None if media is None else await media.hears(within, type="command")
        if media is None or (command is None and not media.over):
            raise ClientAway(f"the client did not answer a call in {within:.0f} s")
        if command is None:
            raise ClientAway(f"the connection of a call ended before it was answered: {media.heard[-1:]}")
        return media, command

    async def call_is_answered(self, control: Wire, session_id: str = "s1") -> Wire:
        """Take a call to where both can talk; the client must say back what it hears."""
        media, command = await self.call_rings(control, session_id)
        await media.says(done(command))
        if not await echoes(media):
            raise ClientAway("the client does not say back what it hears")
        return media


def response(request: dict[str, Any], **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """Answer a request of the control plane."""
    answer = {"type": "response", "reqId": request["reqId"], "ok": True, "content": None}
    return {**answer, "errorCode": None, "errorContent": None, **members}


def done(command: dict[str, Any], **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """Answer a command of the media plane."""
    return {
        "type": "command_response",
        "data": {"command_id": command["data"]["command_id"], "success": True, **members},
    }


def credit(requested: Any, preferred: Any = 960) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """Ask for audio."""
    data = {"requested_bytes": requested, "prefer_audio_frame_bytes": preferred, "channelId": 0}
    return {"type": "buffer_request", "data": data}


def sound(size: int) -> bytes:
    """Return a message of the call's channel with that many bytes of PCM."""
    return b"\0" + bytes(index % 251 for index in range(size))


async def echoes(media: Wire, *, within: float = ANSWER_WITHIN) -> bool:
    """Say one frame and ask for one; True if any audio comes back."""
    media.audio()
    await media.says(sound(960))
    await media.says(credit(960))
    came = await media.until(lambda wire: any(isinstance(one, bytes) for one in wire.heard) or wire.over, within=within)
    return came and bool(media.audio())
