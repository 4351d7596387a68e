"""A client machine and a service for it, on one wire, in plain numbers of seconds."""

from typing import Any, Protocol

from telcoflow_proto.client import ClientMachine
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.connection import ControlServerConnection
from telcoflow_proto.control.events import RequestReceived, SessionReadied, SetupRequested
from telcoflow_proto.control.messages import (
    CallIn,
    CreateSession,
    OpenSession,
    Request,
    SessionInfo,
    SessionNotice,
)
from telcoflow_proto.handshake import UpgradeRequested
from tests.core.support import counting

CONFIG = ClientConfig.sandbox(api_key="k", connector_uuid="c", base_url="ws://localhost:8080")


def session_of(request: Request) -> str:
    assert isinstance(request, OpenSession)
    return request.session_id


class Settle(Protocol):
    def __call__(self) -> None: ...


class Switchboard:
    """The service: answers what it is told to answer."""

    def __init__(self, machine: ClientMachine, settle: Settle | None = None, *, now: float = 100.0) -> None:
        self.machine = machine
        self.now = now
        self.sets_up = True
        self.claims: str | None = "give"
        self.creates: str | None = "new"
        self.answers: str | None = "yes"
        self.channel = "TELCO"
        self.given_id: str | None = None
        self.url = "ws://localhost:8080/media"
        self.calls = 1
        self.end = ControlServerConnection(entropy=counting())
        self.reported: list[Any] = []
        self.asked: list[Request] = []
        self.readied: list[str] = []
        self._settle = settle or self._collect

    def _collect(self) -> None:
        self.reported += self.machine.events()

    def taken(self, *kinds: type) -> list[Any]:
        """Take what the machine reported, of these kinds."""
        self._settle()
        found = [one for one in self.reported if isinstance(one, kinds)] if kinds else list(self.reported)
        self.reported.clear()
        return found

    def connect(self) -> None:
        """Open the stream the machine wants, and carry the set-up over."""
        self.end = ControlServerConnection(entropy=counting())
        self.end.start(now=self.now)
        self.machine.start(now=self.now)
        self.carry()

    def carry(self) -> None:
        busy = True
        while busy:
            up = self.machine.data_to_send(now=self.now)
            if up:
                self.end.receive_data(up, now=self.now)
            for event in list(self.end.events()):
                self._on(event)
            down = self.end.data_to_send(now=self.now)
            if down:
                self.machine.receive_data(down, now=self.now)
            self._settle()
            busy = bool(up or down)

    def _on(self, event: object) -> None:
        now = self.now
        match event:
            case UpgradeRequested():
                self.end.accept(now=now)
            case SetupRequested() if self.sets_up:
                self.end.complete_setup(now=now)
            case RequestReceived():
                self.asked.append(event.requested.request)
                self._answer(event.requested.request_id, event.requested.request)
            case SessionReadied():
                self.readied.append(event.session_id)
                for _ in range(self.calls):
                    self.end.offer_call(self.offer(event.session_id), now=now)

    def _answer(self, request_id: str, request: Request) -> None:
        """Answer as told: "give", "new", "exists" and "yes" succeed, None is silence, the rest is an error code."""
        now = self.now
        match request:
            case OpenSession():
                how = self.claims
            case CreateSession():
                how = self.creates
            case _:
                how = self.answers
        if how == "give":
            self.end.open_succeeded(request_id, SessionInfo(id=session_of(request), channel=self.channel), now=now)
        elif how in ("new", "exists"):
            self.end.create_succeeded(request_id, self.given_id or "out", created=how == "new", now=now)
        elif how == "yes":
            self.end.respond(request_id, content={"done": True}, now=now)
        elif how is not None:
            self.end.refuse(request_id, error_code=how, error_content={"boundSmWsId": "sm-7"}, now=now)

    def offer(self, session_id: str, call_id: str | None = None) -> CallIn:
        return CallIn(session_id=session_id, call_id=call_id or f"call-of-{session_id}", url=self.url, token="t")

    def notify(self, session_id: str, *, channel: str = "TELCO", activity: str = "NEW_INCOMING_CALL") -> None:
        self.end.notify(SessionNotice(session_id=session_id, channel=channel, activity=activity), now=self.now)
        self.carry()

    def close(self, code: int) -> None:
        self.end.close_connection(code=code, now=self.now)
        self.carry()

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.machine.handle_timeout(now=self.now)
        self._settle()
