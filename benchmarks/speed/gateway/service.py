"""The service's side of the wire: a control connection, and one media connection per call."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from typing import Any, final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.speed.echo_check import MESSAGE_BYTES, PCM_BYTES, EchoCheck
from benchmarks.speed.gateway.desk import SETTLE, Desk

TOP_UP = 50 * PCM_BYTES
"""Credit is asked for by the second, long before it is used up: it never holds an echo back."""
_CREDIT = json.dumps(
    {
        "type": "buffer_request",
        "data": {"requested_bytes": TOP_UP, "prefer_audio_frame_bytes": PCM_BYTES, "channelId": 0},
    }
)
_FRAME_HEAD = b"\x82\x7e" + MESSAGE_BYTES.to_bytes(2)  # a whole binary message, not masked
_NUMBERS = {"channel": "TELCO", "remoteAddress": "+15550001", "localAddress": "+15550002"}

OnEcho = Callable[["Call", bool], None]
"""Takes a call on which a frame came back, and whether it was the last of those that came together."""


@final
class Call(WSListener):
    """A call's media connection."""

    def __init__(self, number: int, service: "Service") -> None:
        self._service = service
        self._credit = 0
        self.check = EchoCheck(number)
        self.transport: WSTransport | None = None
        self.answered = False
        self._owed = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._service.lost_calls += 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if frame.msg_type is WSMsgType.BINARY:
            now = time.monotonic_ns()
            service = self._service
            service.echoed += 1
            self.check.receive(payload, now, service.latencies)
            self._credit -= PCM_BYTES
            if self._credit < TOP_UP:
                self.grant()
            service.on_echo(self, frame.last_in_buffer)
        elif frame.msg_type is WSMsgType.TEXT:
            self._command(transport, json.loads(payload))

    def say(self) -> None:
        """Say the next frame."""
        assert self.transport is not None
        self.transport.send(WSMsgType.BINARY, self.check.next_message(time.monotonic_ns()))

    def reply(self, last: bool) -> None:  # noqa: FBT001 - as the server has it
        """Owe a frame for each that came back, and say all of them in one write."""
        self._owed += 1
        if last:
            assert self.transport is not None
            now = time.monotonic_ns()
            frames = [_FRAME_HEAD + self.check.next_message(now) for _ in range(self._owed)]
            self._owed = 0
            self.transport.underlying_transport.write(b"".join(frames))

    def grant(self) -> None:
        """Ask for a second of audio."""
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, _CREDIT)
        self._credit += TOP_UP

    def _command(self, transport: WSTransport, message: dict[str, Any]) -> None:  # JSON values
        answer = {"command_id": message["data"]["command_id"], "success": True}
        transport.send(WSMsgType.TEXT, json.dumps({"type": "command_response", "data": answer}))
        self._service.commands += 1
        if not self.answered:
            self.answered = True
            self.grant()
            self.grant()
            self._service.call_answered(self)


@final
class Control(WSListener):
    """The control connection."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        kind = message["type"]
        if kind == "setup":
            self.says({"type": "setup.done", "smWsId": "ws-1"})
            asyncio.get_running_loop().call_later(SETTLE, self._service.ready.set)
        elif kind == "session.open":
            session = {"id": message["sessionId"], "initiator": "CONNECTOR", "state": "OPEN", "openedAt": 1}
            content = {"session": {**session, "closedAt": None, **_NUMBERS}}
            answer = {"type": "response", "reqId": message["reqId"], "ok": True, "content": content}
            self.says({**answer, "errorCode": None, "errorContent": None})
        elif kind == "session.ready":
            self.says(self._service.call_in(message["sessionId"]))

    def says(self, message: dict[str, Any]) -> None:
        """Say something of the control plane."""
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, json.dumps(message))


@final
class Service:
    """Everything that was said and heard in one run."""

    def __init__(self) -> None:
        self._secure = False
        self._control = Control(self)
        self._announced = 0
        self._progress = asyncio.Event()
        self.port = 0
        self.ready = asyncio.Event()
        self.desk = Desk(self.ready)
        self.calls: list[Call] = []
        self.last_answer = 0.0
        self.lost_calls = 0
        self.echoed = 0
        self.commands = 0
        self.latencies: list[int] = []
        self.on_echo: OnEcho = lambda _call, _last: None

    async def open(self, tls: ssl.SSLContext | None) -> None:
        """Begin to listen."""
        self._secure = tls is not None
        server = await ws_create_server(
            self._admit, "127.0.0.1", 0, ssl=tls, backlog=4096, websocket_handshake_timeout=60
        )
        self.port = server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"wss://localhost:{self.port}" if self._secure else f"ws://127.0.0.1:{self.port}"

    def _admit(self, request: WSUpgradeRequest) -> WSListener:
        path = request.path.decode()
        if path.startswith("/v1/agent/session-manager"):
            return self._control
        if path.startswith("/media/"):
            return Call(int(path.rpartition("/")[2]), self)
        return self.desk  # RELAY has no path

    def call_in(self, session_id: str) -> dict[str, Any]:  # JSON values
        """Return the offer of a call."""
        number = session_id.removeprefix("session-")
        where = {"url": f"{self.url}/media/{number}", "token": "media-token"}
        who = {"callId": f"call-{number}", "orgUuid": "00000000-0000-0000-0000-000000000001"}
        return {"type": "call.in", "sessionId": session_id, **who, "from": "+15550001", "to": "+15550002", **where}

    def call_answered(self, call: Call) -> None:
        """Note that the client has answered a call."""
        self.calls.append(call)
        self.last_answer = time.monotonic()
        self._progress.set()

    async def establish(self, count: int, *, at_once: int, patience: float = 4.0) -> int:
        """Announce calls, so many at once, until ``count`` are answered, or no more are; return how many."""
        while len(self.calls) < count:
            while self._announced < min(count, len(self.calls) + at_once):
                notice = {"type": "session.notify", "sessionId": f"session-{self._announced}"}
                self._control.says({**notice, "activity": "NEW_INCOMING_CALL", "createdAt": 1, **_NUMBERS})
                self._announced += 1
            self._progress.clear()
            try:
                async with asyncio.timeout(patience):
                    await self._progress.wait()
            except TimeoutError:
                break
        return len(self.calls)
