"""An adapter without an event loop: bells that plain coroutines wait for, a clock that is a number, files in memory."""

import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from typing import Any, Self, final

from telcoflow_proto.base_call import BaseCall
from telcoflow_proto.base_client import BaseClient
from telcoflow_proto.client_events import CallIdentity
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.life_events import TransportWanted
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.rest import RestRequest
from telcoflow_proto.surface import TimeLimit
from tests.core.support import counting

IDENTITY = CallIdentity(call_id="c1", session_id="s1", caller="+1", callee=None)


@final
class Clock:
    def __init__(self) -> None:
        self.now = 100.0


@final
class FakeBell:
    def __init__(self) -> None:
        self.rung = False

    def set(self) -> None:
        self.rung = True

    @types.coroutine
    def wait(self) -> Generator[None, None, None]:
        while not self.rung:
            yield


class TimeUp(Exception):
    """Thrown into a task whose time is up."""


@final
class FakeLimit(AbstractContextManager[TimeLimit]):
    def __init__(self) -> None:
        self.cancelled_caught = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        self.cancelled_caught = kind is TimeUp
        return self.cancelled_caught


@final
class Task:
    """A coroutine that is stepped by hand."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work = work
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.step()

    def step(self, error: BaseException | None = None) -> "Task":
        if self.done:
            return self
        try:
            if error is None:
                self._work.send(None)
            else:
                self._work.throw(error)
        except StopIteration as stop:
            self.done, self.result = True, stop.value
        except BaseException as fault:  # noqa: BLE001 - it is the outcome
            self.done, self.error = True, fault
        return self

    def outcome(self) -> Any:
        self.step()
        assert self.done
        if self.error is not None:
            raise self.error
        return self.result


@final
class FakeFile:
    """A file in memory. ``after`` is called after every step; ``room`` is how much the disk still holds."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.at = 0
        self.flushed = 0
        self.closed = False
        self.room = 1 << 20
        self.after: Callable[[], object] = lambda: None

    async def write(self, data: bytes, /) -> int:
        if self.at + len(data) > self.room:
            raise OSError(28, "No space left on device")
        self.data[self.at : self.at + len(data)] = data
        self.at += len(data)
        self.after()
        return len(data)

    async def seek(self, offset: int, /) -> int:
        self.at = offset
        self.after()
        return offset

    async def flush(self) -> None:
        self.flushed += 1
        self.after()

    async def aclose(self) -> None:
        self.closed = True
        if self.room == 0:
            raise OSError(5, "Input/output error")


class FakeCall(BaseCall):
    def __init__(
        self, identity: CallIdentity, media: MediaClientConnection, clock: Clock, client: "FakeClient | None" = None
    ) -> None:
        super().__init__(identity, media)
        self.clock = clock
        self.client = client
        self.tasks: list[Task] = []
        self.file = FakeFile()
        self.files: dict[str, bytes] = {}
        self.limits: list[float | None] = []
        self.ran: list[tuple[str, Callable[[], object]]] = []
        self.ends: list[object] = []
        self.notes: list[object] = []
        self.woken = 0

    @property
    def media(self) -> MediaClientConnection:
        return self._media

    @property
    def waiting(self) -> int:
        """How much is kept for people who wait."""
        return len(self._bells) + len(self._tickets)

    def _clock(self) -> float:
        return self.clock.now

    def _new_bell(self) -> FakeBell:
        return FakeBell()

    def _time_limit(self, seconds: float | None) -> FakeLimit:
        self.limits.append(seconds)
        return FakeLimit()

    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        self.tasks.append(Task(task()))

    async def _open_file(self, path: str) -> FakeFile:
        if path.startswith("missing"):
            raise FileNotFoundError(path)
        return self.file

    async def _read_file(self, path: str) -> bytes:
        return self.files[path]

    def _run_handler(self, call: Callable[[], object], event: str) -> None:
        self.ran.append((str(event), call))
        call()

    def _woken(self) -> None:
        self.woken += 1

    def _ended(self, end: object) -> None:
        self.ends.append(end)
        if self.client is not None:
            self.client.forget(self)

    def _note(self, event: object) -> None:
        self.notes.append(event)


class FakeClient(BaseClient[FakeCall]):
    def __init__(self, config: ClientConfig) -> None:
        super().__init__(config, entropy=counting())
        self.clock = Clock()
        self.wanted: list[TransportWanted] = []
        self.ran: list[tuple[str, FakeCall | None]] = []
        self.notes: list[object] = []
        self.tasks: list[Task] = []
        self.requests: list[RestRequest] = []
        self.reply: tuple[int, bytes] | Exception = (200, b"{}")
        self.meanwhile: Callable[[], object] = lambda: None

    @property
    def machine(self) -> Any:
        return self._machine

    @property
    def kept(self) -> list[int]:
        """How much is remembered: sessions, openings, dials, waiters."""
        return [len(self._sessions), len(self._opening), len(self._dials), len(self._bells) + len(self._requests)]

    def settle(self) -> None:
        self._settle()

    def begin(self) -> Coroutine[Any, Any, None]:
        return self._begin()

    def end(self) -> Coroutine[Any, Any, None]:
        return self._end()

    def cut(self) -> None:
        self._cut()

    def forget(self, call: BaseCall) -> None:
        self._forget(call)

    def turn(self) -> None:
        """Give every background task a turn."""
        for task in list(self.tasks):
            task.step()

    def _clock(self) -> float:
        return self.clock.now

    def _new_bell(self) -> FakeBell:
        return FakeBell()

    def _new_call(self, identity: CallIdentity, media: MediaClientConnection) -> FakeCall:
        return FakeCall(identity, media, self.clock, self)

    def _open_transport(self, wanted: TransportWanted) -> None:
        self.wanted.append(wanted)

    def _run_handler(self, call: Callable[[], object], event: str, about: FakeCall | None) -> None:
        self.ran.append((str(event), about))
        call()

    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        self.tasks.append(Task(task()))

    def _time_limit(self, seconds: float | None) -> FakeLimit:
        return FakeLimit()

    async def _http(self, request: RestRequest) -> tuple[int, bytes]:
        self.requests.append(request)
        self.meanwhile()
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def _woken(self) -> None:
        pass

    def _note(self, event: object) -> None:
        self.notes.append(event)


@final
class Line:
    """A call and the service's end of its media connection, with the wire between them."""

    def __init__(self, call: FakeCall | None = None, **arguments: Any) -> None:
        if call is None:
            media = MediaClientConnection(
                url=parse_ws_url("ws://localhost/media"), token="t", entropy=counting(), **arguments
            )
            call = FakeCall(IDENTITY, media, Clock())
        self.call = call
        self.clock = call.clock
        self.service = MediaServerConnection(entropy=counting())
        self.commands: list[str] = []

    def open(self) -> None:
        now = self.clock.now
        self.call.media.start(now=now)
        self.service.start(now=now)
        self.carry()
        self.service.accept(now=now)
        self.carry()

    def carry(self) -> None:
        now = self.clock.now
        busy = True
        while busy:
            busy = False
            for one, other in ((self.call.media, self.service), (self.service, self.call.media)):
                data = one.data_to_send(now=now)
                if data:
                    busy = True
                    other.receive_data(data, now=now)
        for event in self.service.events():
            command = getattr(event, "command", None)
            if command is not None:
                self.commands.append(command.command_id)
        self.call.settle()

    def later(self, seconds: float) -> None:
        self.clock.now += seconds
        self.call.media.handle_timeout(now=self.clock.now)
        self.call.settle()
        for task in self.call.tasks:
            task.step()

    def grant(self, size: int) -> None:
        """Give credit, and carry over what leaves on it."""
        self.service.request_audio(size, now=self.clock.now)
        self.carry()

    def speak(self, pcm: bytes) -> None:
        """Let the caller be heard."""
        self.service.send_audio(pcm, now=self.clock.now)
        self.carry()

    def run(self, work: Coroutine[Any, Any, Any]) -> Task:
        """Start a command and carry it over."""
        task = Task(work)
        self.carry()
        return task

    def succeed(self) -> None:
        self.service.succeed(self.commands.pop(0), now=self.clock.now)
        self.carry()

    def refuse(self, code: str) -> None:
        self.service.refuse(self.commands.pop(0), error_code=code, now=self.clock.now)
        self.carry()

    def answered(self) -> "Line":
        self.open()
        task = self.run(self.call.answer())
        self.succeed()
        task.outcome()
        return self
