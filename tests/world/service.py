"""A Telcoflow service to make phone calls with, on a ``Net``: scripted, recording everything, made of prose.

>>> call = await service.announce_call(caller="+1555")
>>> await call.commanded("call.answer")
>>> call.say(pcm)
>>> call.hang_up()
"""

import itertools
from collections.abc import Callable
from typing import final

import anyio
import attrs
from anyio.abc import TaskGroup

from telcoflow_proto.config import CONTROL_PATH
from telcoflow_proto.control.codec import encode_session
from telcoflow_proto.control.events import RequestReceived, SessionReadied, SetupRequested
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    Channel,
    CreateSession,
    MessageIn,
    OpenSession,
    Requested,
    SendMessage,
    SessionInfo,
    SessionNotice,
    SetUpCallFlow,
)
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import Json, JsonObject, encode_object
from telcoflow_proto.media.events import AudioArrived, CallEnded, CommandReceived
from telcoflow_proto.media.messages import Command
from telcoflow_proto.media.table import CallWord
from telcoflow_proto.rest import RestRequest
from tests.world.ends import Carrier, ControlEnd, Heard, MediaEnd, counting
from tests.world.net import Net, NetStream, Wakeup

PORT = 8080
NEVER = float("inf")


@final
@attrs.frozen(kw_only=True)
class Reply:
    """How the service reacts to one command or request: see the functions below."""

    kind: str
    after: float = 0.0
    code: str = ""
    message: str | None = None
    content: Json = None


def succeed(*, after: float = 0.0) -> Reply:
    """Carry it out."""
    return Reply(kind="succeed", after=after)


def refuse(code: str, message: str | None = None, *, after: float = 0.0) -> Reply:
    """Say no."""
    return Reply(kind="refuse", code=code, message=message, after=after)


def taken(owner: str) -> Reply:
    """Say that another worker has the session."""
    return Reply(kind="refuse", code="SESSION_BUSY", content={"boundSmWsId": owner})


def existing(session_id: str) -> Reply:
    """Say that a session with this address was open already."""
    return Reply(kind="existing", content=session_id)


def ignore() -> Reply:
    """Say nothing, ever."""
    return Reply(kind="ignore")


def be_late() -> Reply:
    """Do not come to it: the deadline passes, and the service says TIMEOUT."""
    return Reply(kind="late")


def drop_media(*, after: float = 0.0) -> Reply:
    """Reset the media connection instead of answering."""
    return Reply(kind="drop", after=after)


@final
@attrs.frozen(kw_only=True)
class Upgrade:
    """How the service reacts to a WebSocket upgrade."""

    kind: str
    text: str = ""
    code: int = 0
    after: float = 0.0


ACCEPT = Upgrade(kind="accept")
SILENCE = Upgrade(kind="silence")
DROP = Upgrade(kind="drop")


def http(status: int, *, body: str = "", **headers: str) -> Upgrade:
    """Answer with an HTTP status instead of 101; header names have underscores for dashes."""
    lines = [f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Upgrade(kind="http", text="\r\n".join([*lines, "", body]))


def accept_then_close(code: int = 1011, *, after_setup: bool = False) -> Upgrade:
    """Accept, then close with a code: at once, or right behind the set-up."""
    return Upgrade(kind="close after setup" if after_setup else "close", code=code)


def setup_after(seconds: float) -> Upgrade:
    """Accept, and confirm the set-up that much later; ``NEVER`` for never."""
    return Upgrade(kind="accept", after=seconds)


@final
@attrs.frozen(kw_only=True)
class HeardCommand:
    """A command of the client, and when it came."""

    at: float
    command: Command


@final
class ServiceCall:
    """A call as the service sees it."""

    def __init__(self, service: "Service", offer: CallIn) -> None:
        self.service = service
        self.offer = offer
        self.upgrade = ACCEPT
        self.commands: list[HeardCommand] = []
        self.heard = b""
        self.frames: list[tuple[float, int]] = []
        self.faults: list[str] = []
        self.media_attempts = 0
        self.carrier: Carrier[MediaEnd] | None = None
        self.over = False
        self.ended_at: float | None = None
        self._replies: dict[str, list[Reply]] = {}
        self._consumed: dict[str, int] = {}
        self._changed = Wakeup()

    # ------------------------------------------------------------------ what the client did

    @property
    def said(self) -> list[str]:
        """The names of all commands, in order."""
        return [one.command.command.value for one in self.commands]

    async def commanded(self, name: str) -> HeardCommand:
        """Wait for the next command of this name that was not waited for before."""
        wanted = self._consumed.get(name, 0)
        while True:
            found = [one for one in self.commands if one.command.command.value == name]
            if len(found) > wanted:
                self._consumed[name] = wanted + 1
                return found[wanted]
            await self._changed.wait()

    async def media_opened(self) -> Carrier[MediaEnd]:
        """Wait until the client has opened the media connection."""
        while self.carrier is None or not self.carrier.end.started or self.carrier.end.heard is None:
            await self._changed.wait()
        return self.carrier

    async def has_heard(self, size: int) -> bytes:
        """Wait until that many bytes of speech have come."""
        while len(self.heard) < size:
            await self._changed.wait()
        return self.heard

    async def ended(self) -> None:
        """Wait until the media connection is over."""
        while not self.over:
            await self._changed.wait()

    # ------------------------------------------------------------------ what the service does

    def will(self, name: str, *replies: Reply) -> None:
        """React so to the next commands of this name; the last reaction stays."""
        self._replies[name] = list(replies)

    def say(self, pcm: bytes, *, channel: int = 0) -> None:
        """Let the agent hear something."""
        self._live.end.send_audio(pcm, channel=channel, now=anyio.current_time())
        self._live.touch()

    def want(self, size: int, *, frame: int = 960) -> None:
        """Ask for speech: grant credit."""
        self._live.end.request_audio(size, frame_bytes=frame, now=anyio.current_time())
        self._live.touch()

    def hang_up(self) -> None:
        """Tell that the call is over."""
        self._live.end.terminate(now=anyio.current_time())
        self._live.touch()

    def report_error(self, code: str, message: str) -> None:
        self._live.end.report_error(code, message, now=anyio.current_time())
        self._live.touch()

    def tell(self, event: str, **details: str) -> None:
        """Tell any event of the call."""
        found: JsonObject = {**details}
        self._live.end.notify(event, found, now=anyio.current_time())
        self._live.touch()

    def say_raw(self, message: str | bytes) -> None:
        """Send a message as it is, right or wrong."""
        self._live.end.say_raw(message)
        self._live.touch()

    def reset(self, *, after_bytes: int = 0) -> None:
        """Break the media connection (RST)."""
        self._live.stream.connection.reset(after_bytes=after_bytes)

    async def finish(self) -> None:
        """End the media stream without a word (FIN)."""
        await self._live.stream.send_eof()

    def close(self, code: int = 1000) -> None:
        """Close the media WebSocket with a code."""
        self._live.end.close_connection(code=code, now=anyio.current_time())
        self._live.touch()

    @property
    def _live(self) -> Carrier[MediaEnd]:
        assert self.carrier is not None, "there is no media connection"
        return self.carrier

    # ------------------------------------------------------------------ inside

    def reply_to(self, name: str) -> Reply:
        replies = self._replies.get(name)
        if not replies:
            return succeed()
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def on_event(self, event: object) -> None:
        now = anyio.current_time()
        match event:
            case CommandReceived():
                self.commands.append(HeardCommand(at=now, command=event.command))
                self.service.start_reply(self, event.command)
            case AudioArrived():
                self._listen(now)
            case FrameDropped():
                self.faults.append(str(event.error))
            case CallEnded():
                self.ended_at = now
            case ConnectionLost():
                self.over = True
                if event.error is not None:
                    self.faults.append(str(event.error))
        self._changed.ring()

    def _listen(self, now: float) -> None:
        while (pcm := self._live.end.next_audio()) is not None:
            self.heard += pcm
            self.frames.append((now, len(pcm)))

    async def react(self, command: Command) -> None:
        reply = self.reply_to(command.command.value)
        if reply.after:
            await anyio.sleep(reply.after)
        carrier = self._live
        now = anyio.current_time()
        if reply.kind == "drop":
            self.reset()
        elif reply.kind == "ignore":
            carrier.end.forget(command.command_id)
        elif carrier.end.over or carrier.end.lost:
            return
        elif reply.kind == "succeed":
            carrier.end.succeed(command.command_id, now=now)
        elif reply.kind == "refuse":
            carrier.end.refuse(command.command_id, error_code=reply.code, error_message=reply.message, now=now)
        carrier.touch()


@final
class ServiceControl:
    """One control connection as the service sees it."""

    def __init__(self, service: "Service", carrier: Carrier[ControlEnd], upgrade: Upgrade) -> None:
        self.service = service
        self.carrier = carrier
        self.upgrade = upgrade
        self.faults: list[str] = []
        self.ready = False
        self.over = False

    @property
    def heard(self) -> list[Heard]:
        heard: list[Heard] = self.carrier.end.heard
        return heard

    @property
    def headers(self) -> dict[str, str]:
        headers: dict[str, str] = self.carrier.end.headers
        return headers

    def say_raw(self, message: str | bytes) -> None:
        """Send a message as it is, right or wrong."""
        self.carrier.end.say_raw(message)
        self.carrier.touch()

    def reset(self, *, after_bytes: int = 0) -> None:
        """Break the connection (RST)."""
        self.carrier.stream.connection.reset(after_bytes=after_bytes)

    async def finish(self) -> None:
        """End the stream without a word (FIN)."""
        await self.carrier.stream.send_eof()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the WebSocket with a code."""
        self.carrier.end.close_connection(code=code, reason=reason, now=anyio.current_time())
        self.carrier.touch()

    def partition(self) -> None:
        self.carrier.stream.connection.partition()


@final
class Service:
    """The whole service: credentials, control connections, sessions, calls."""

    def __init__(self, net: Net, *, sample_rate: int = 24000) -> None:
        self.net = net
        self.sample_rate = sample_rate
        self.upgrade: list[Upgrade] = [ACCEPT]
        self.attempts: list[float] = []
        self.controls: list[ServiceControl] = []
        self.calls: dict[str, ServiceCall] = {}
        self.claims = "give"
        self.repeat = 1
        self.offers_calls = True
        self.readied: list[str] = []
        self.requests: list[tuple[float, object]] = []
        self.sessions: dict[str, SessionInfo] = {}
        self.dialled: list[ServiceCall] = []
        self.on_dial: Callable[[ServiceCall], None] = lambda call: None
        self.offer_after = 0.0
        self.rest_requests: list[RestRequest] = []
        self.rest_reply: tuple[int, bytes] | None = None
        self.tells_closes = True
        self._replies: dict[str, list[Reply]] = {}
        self._entropy = counting()
        self._numbers = itertools.count(1)
        self._changed = Wakeup()
        self._group: TaskGroup | None = None

    # ------------------------------------------------------------------ life

    def open(self, group: TaskGroup) -> None:
        """Listen, with tasks in this group."""
        self._group = group
        self.net.listen(PORT, self._accept)

    async def _accept(self, stream: NetStream) -> None:
        assert self._group is not None
        self._group.start_soon(self.serve, stream)

    def start_reply(self, call: ServiceCall, command: Command) -> None:
        assert self._group is not None
        self._group.start_soon(call.react, command)

    # ------------------------------------------------------------------ prose

    @property
    def control(self) -> ServiceControl:
        """The control connection that serves."""
        live = [one for one in self.controls if one.ready and not one.over]
        assert live, "there is no control connection"
        return live[-1]

    async def connected(self, count: int = 1) -> ServiceControl:
        """Wait until ``count`` control connections were set up, in all."""
        while sum(one.ready for one in self.controls) < count:
            await self._changed.wait()
        return self.controls[-1]

    async def announce_call(
        self,
        *,
        caller: str | None = "+15550001",
        callee: str | None = "+15550002",
        url: str | None = None,
        activity: str = "NEW_INCOMING_CALL",
        upgrade: Upgrade = ACCEPT,
    ) -> ServiceCall:
        """A caller calls: every connected client is told."""
        number = next(self._numbers)
        call_id, session_id = f"call-{number}", f"session-{number}"
        offer = CallIn(
            session_id=session_id,
            call_id=call_id,
            url=url or f"ws://localhost:{PORT}/media/{call_id}",
            token=f"token-of-{call_id}",
            organization="org",
            caller=caller,
            callee=callee,
        )
        call = self.calls[session_id] = ServiceCall(self, offer)
        call.upgrade = upgrade
        await self.connected()
        self.notify(call, activity=activity)
        return call

    def notify(self, call: ServiceCall, *, activity: str = "NEW_INCOMING_CALL") -> None:
        """Tell every connected client that a call waits."""
        notice = SessionNotice(session_id=call.offer.session_id, channel="TELCO", activity=activity)
        for control in self.controls:
            if control.ready and not control.over:
                for _ in range(self.repeat):
                    control.carrier.end.notify(notice, now=anyio.current_time())
                control.carrier.touch()

    def will(self, name: str, *replies: Reply) -> None:
        """React so to the next requests of this name ("session.open", ...); the last reaction stays."""
        self._replies[name] = list(replies)

    def has_messages(self, session_id: str, *, remote_address: str = "+1999") -> SessionInfo:
        """Let there be a WA session, and tell every connected client."""
        info = self.sessions[session_id] = SessionInfo(
            id=session_id, channel=Channel.WA, state="OPEN", remote_address=remote_address
        )
        notice = SessionNotice(session_id=session_id, channel=Channel.WA, activity="NEW_INCOMING_MESSAGE")
        self.control.carrier.end.notify(notice, now=anyio.current_time())
        self.control.carrier.touch()
        return info

    def asked(self, kind: type[object]) -> list[object]:
        """The requests of one kind, in order."""
        return [request for _, request in self.requests if isinstance(request, kind)]

    @property
    def messages(self) -> list[tuple[str, JsonObject]]:
        """The messages that were sent: session and content."""
        return [(one.session_id, one.content) for _, one in self.requests if isinstance(one, SendMessage)]

    @property
    def flows(self) -> list[CallFlow]:
        """The call flows that were set up."""
        return [one.flow for _, one in self.requests if isinstance(one, SetUpCallFlow)]

    async def answered_call(self, **arguments: str | None) -> ServiceCall:
        """Announce a call and wait until it is answered."""
        call = await self.announce_call(**arguments)  # type: ignore[arg-type]
        await call.commanded("call.answer")
        await anyio.sleep(0.001 + 4 * (self.net.latency + self.net.jitter))
        return call

    def close_session(self, call: ServiceCall | str, reason: str = "FORCE_CLOSE") -> None:
        """Tell on the control connection that a session, or that of a call, is over."""
        session_id = call if isinstance(call, str) else call.offer.session_id
        self.sessions.pop(session_id, None)
        control = self.control.carrier
        for _ in range(self.repeat):
            control.end.close_session(session_id, reason, now=anyio.current_time())
        control.touch()

    async def rest(self, request: RestRequest, config: object, tls: object) -> tuple[int, bytes]:
        """Answer a REST request, in place of an adapter's ``_http.send``."""
        self.rest_requests.append(request)
        await anyio.sleep(self.net.latency)
        if self.rest_reply is not None:
            return self.rest_reply
        if request.method == "GET":
            items: list[Json] = [encode_session(one) for one in self.sessions.values()]
            return 200, encode_object({"items": items}).encode()
        session_id = request.target.split("/")[-2]
        if not self.tells_closes or session_id not in self.sessions:
            for control in self.controls:
                control.carrier.end.forget(session_id)
        if session_id not in self.sessions:
            return 404, encode_object({"code": "SESSION_NOT_FOUND", "message": "no such session"}).encode()
        if self.tells_closes:
            self.close_session(session_id, "SDK_REQUEST")
        self.sessions.pop(session_id, None)
        return 200, encode_object({"closedAt": 1, "reason": "SDK_REQUEST"}).encode()

    def push_message(self, session_id: str, content: JsonObject) -> None:
        """Push a message of a WA session."""
        message = MessageIn(session_id=session_id, sender="them", content=content)
        self.control.carrier.end.push_message(message, now=anyio.current_time())
        self.control.carrier.touch()

    # ------------------------------------------------------------------ inside

    async def serve(self, stream: NetStream) -> None:
        """Serve one connection to its end. Streams of real sockets do as well, but cannot be reset."""
        try:
            await self._serve_upgrade(stream)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async def _serve_upgrade(self, stream: NetStream) -> None:
        head = b""
        while b"\r\n" not in head:
            head += await stream.receive()
        target = head.split(b" ")[1].decode()
        call: ServiceCall | None = None
        if target == CONTROL_PATH:
            self.attempts.append(anyio.current_time())
            upgrade = self.upgrade.pop(0) if len(self.upgrade) > 1 else self.upgrade[0]
        else:
            call = next(one for one in self.calls.values() if one.offer.url.endswith(target))
            call.media_attempts += 1
            upgrade = call.upgrade
        if upgrade.kind == "http":
            while b"\r\n\r\n" not in head:
                head += await stream.receive()
            await stream.send(upgrade.text.encode())
        elif upgrade.kind == "silence":
            while True:
                await stream.receive()
        elif upgrade.kind == "drop":
            stream.connection.reset()
        elif call is None:
            await self._serve_control(stream, head, upgrade)
        else:
            await self._serve_media(stream, head, call)

    async def _serve_control(self, stream: NetStream, head: bytes, upgrade: Upgrade) -> None:
        def on_event(event: object) -> None:
            self._on_control_event(control, event)

        carrier = Carrier(ControlEnd(entropy=self._entropy), stream, on_event)
        control = ServiceControl(self, carrier, upgrade)
        self.controls.append(control)
        await carrier.run(head)
        control.over = True
        self._changed.ring()

    async def _serve_media(self, stream: NetStream, head: bytes, call: ServiceCall) -> None:
        carrier: Carrier[MediaEnd]

        def on_event(event: object) -> None:
            if isinstance(event, UpgradeRequested):
                carrier.end.headers = dict(event.headers)
                carrier.end.accept(now=anyio.current_time())
                carrier.touch()
            else:
                call.on_event(event)

        end = MediaEnd(entropy=self._entropy, sample_rate=self.sample_rate)
        carrier = call.carrier = Carrier(end, stream, on_event)
        await carrier.run(head)

    def _on_control_event(self, control: ServiceControl, event: object) -> None:
        now = anyio.current_time()
        end, upgrade = control.carrier.end, control.upgrade
        match event:
            case UpgradeRequested():
                end.headers = dict(event.headers)
                end.accept(now=now)
                if upgrade.kind == "close":
                    end.close_connection(code=upgrade.code, reason="go away", now=now)
            case SetupRequested():
                self._on_setup(control, upgrade, now)
            case RequestReceived():
                self.requests.append((now, event.requested.request))
                self._on_request(end, event, now)
            case SessionReadied():
                self.readied.append(event.session_id)
                self._offer(end, event.session_id, now)
            case FrameDropped():
                control.faults.append(str(event.error))
            case ConnectionLost():
                control.over = True
                if event.error is not None:
                    control.faults.append(str(event.error))
            case ConnectionOpened() | _:
                pass
        if not isinstance(event, ConnectionLost):
            control.carrier.touch()
        self._changed.ring()

    def _on_setup(self, control: ServiceControl, upgrade: Upgrade, now: float) -> None:
        assert self._group is not None
        end = control.carrier.end

        def confirm() -> None:
            if not end.lost:
                end.complete_setup(connection_id=f"sm-{len(self.controls)}", now=anyio.current_time())
                control.ready = True
                if upgrade.kind == "close after setup":
                    end.close_connection(code=upgrade.code, reason="go away", now=anyio.current_time())
                control.carrier.touch()
                self._changed.ring()

        if upgrade.after:
            self._group.start_soon(_later, upgrade.after, confirm)
        else:
            confirm()

    def _on_request(self, end: ControlEnd, event: RequestReceived, now: float) -> None:
        assert self._group is not None
        reply = self._reply_to(event.requested)
        if reply.kind == "ignore":
            return
        if reply.after:

            def answer() -> None:
                if not end.lost:
                    self._answer(end, event.requested, reply, anyio.current_time())
                    next(one for one in self.controls if one.carrier.end is end).carrier.touch()

            self._group.start_soon(_later, reply.after, answer)
        else:
            self._answer(end, event.requested, reply, now)

    def _reply_to(self, requested: Requested) -> Reply:
        request = requested.request
        if self.claims == "ignore":
            return ignore()
        if self.claims == "busy" and isinstance(request, OpenSession):
            return Reply(kind="refuse", code="SESSION_BUSY")
        replies = self._replies.get(_NAMES[type(request)])
        if not replies:
            return succeed()
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def _answer(self, end: ControlEnd, requested: Requested, reply: Reply, now: float) -> None:
        request_id, request = requested.request_id, requested.request
        if reply.kind == "refuse":
            end.refuse(request_id, error_code=reply.code, error_content=reply.content, now=now)
        elif isinstance(request, OpenSession):
            unknown = SessionInfo(id=request.session_id, channel=Channel.TELCO)
            end.open_succeeded(request_id, self.sessions.get(request.session_id, unknown), now=now)
        elif isinstance(request, CreateSession):
            if reply.kind == "existing":
                end.create_succeeded(request_id, str(reply.content), created=False, now=now)
            else:
                end.create_succeeded(request_id, self._create(request), created=True, now=now)
        else:
            end.respond(request_id, content=reply.content, now=now)

    def _create(self, request: CreateSession) -> str:
        number = next(self._numbers)
        call_id, session_id = f"call-{number}", f"session-{number}"
        self.sessions[session_id] = SessionInfo(
            id=session_id, channel=request.channel, state="OPEN", remote_address=request.remote_address
        )
        if request.channel == Channel.TELCO:
            offer = CallIn(
                session_id=session_id,
                call_id=call_id,
                url=f"ws://localhost:{PORT}/media/{call_id}",
                token=f"token-of-{call_id}",
                caller="+15550000",
                callee=request.remote_address,
            )
            call = self.calls[session_id] = ServiceCall(self, offer)
            self.dialled.append(call)
            self.on_dial(call)
        return session_id

    def _offer(self, end: ControlEnd, session_id: str, now: float) -> None:
        call = self.calls.get(session_id)
        if call is None or not self.offers_calls:
            return
        offer = call.offer

        def say() -> None:
            if not end.lost:
                for _ in range(self.repeat):
                    end.offer_call(offer, now=anyio.current_time())
                next(one for one in self.controls if one.carrier.end is end).carrier.touch()

        if self.offer_after:
            assert self._group is not None
            self._group.start_soon(_later, self.offer_after, say)
        else:
            for _ in range(self.repeat):
                end.offer_call(offer, now=now)


async def _later(seconds: float, function: Callable[[], None]) -> None:
    await anyio.sleep(seconds)
    function()


_NAMES = {
    OpenSession: "session.open",
    CreateSession: "session.create",
    SendMessage: "wa.msg.out",
    SetUpCallFlow: "call_flow.setup",
}

COMMANDS = (
    CallWord.ANSWER,
    CallWord.CONNECT,
    CallWord.WHISPER,
    CallWord.BARGE,
    CallWord.SPY,
    CallWord.INTERRUPT,
    CallWord.CLOSE,
    CallWord.DISCONNECT,
)
