"""An adapter without an event loop: bells that plain coroutines wait for, a clock that is a number."""

import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractContextManager
from typing import Any, Self, final

from telcoflow_proto.base_call import BaseCall
from telcoflow_proto.base_client import BaseClient
from telcoflow_proto.client import CallIdentity
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.origin import WsUrl, parse_ws_url
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


class FakeCall(BaseCall):
    def __init__(self, identity: CallIdentity, media: MediaClientConnection, clock: Clock) -> None:
        super().__init__(identity, media)
        self.clock = clock
        self.ran: list[tuple[str, Callable[[], object]]] = []
        self.ends: list[object] = []
        self.notes: list[object] = []
        self.woken = 0

    @property
    def media(self) -> MediaClientConnection:
        return self._media

    def _clock(self) -> float:
        return self.clock.now

    def _new_bell(self) -> FakeBell:
        return FakeBell()

    def _time_limit(self, seconds: float | None) -> FakeLimit:
        return FakeLimit()

    def _run_handler(self, call: Callable[[], object], event: str) -> None:
        self.ran.append((str(event), call))
        call()

    def _woken(self) -> None:
        self.woken += 1

    def _ended(self, end: object) -> None:
        self.ends.append(end)

    def _note(self, event: object) -> None:
        self.notes.append(event)


class FakeClient(BaseClient[FakeCall]):
    def __init__(self, config: ClientConfig) -> None:
        super().__init__(config, entropy=counting())
        self.clock = Clock()
        self.wanted: list[WsUrl] = []
        self.ran: list[tuple[str, FakeCall | None]] = []
        self.notes: list[object] = []

    @property
    def machine(self) -> Any:
        return self._machine

    def settle(self) -> None:
        self._settle()

    def begin(self) -> Coroutine[Any, Any, None]:
        return self._begin()

    def end(self) -> Coroutine[Any, Any, None]:
        return self._end()

    def forget(self, call: FakeCall) -> None:
        self._forget(call)

    def _clock(self) -> float:
        return self.clock.now

    def _new_bell(self) -> FakeBell:
        return FakeBell()

    def _new_call(self, identity: CallIdentity, media: MediaClientConnection) -> FakeCall:
        return FakeCall(identity, media, self.clock)

    def _open_transport(self, url: WsUrl) -> None:
        self.wanted.append(url)

    def _run_handler(self, call: Callable[[], object], event: str, about: FakeCall | None) -> None:
        self.ran.append((str(event), about))
        call()

    def _woken(self) -> None:
        pass

    def _note(self, event: object) -> None:
        self.notes.append(event)


@final
class Line:
    """A call and the service's end of its media connection, with the wire between them."""

    def __init__(self, **arguments: Any) -> None:
        self.clock = Clock()
        media = MediaClientConnection(
            url=parse_ws_url("ws://localhost/media"), token="t", entropy=counting(), **arguments
        )
        self.call = FakeCall(IDENTITY, media, self.clock)
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
