"""One agent's control connection: what it asks of the exchange, and what the exchange tells it."""

import os
import time
from typing import TYPE_CHECKING, assert_never, final

import anyio

from telcoflow_anyio.gateway.calls import GatewayCall
from telcoflow_anyio.gateway.exchange import Exchange
from telcoflow_proto.control.events import RequestReceived, ServerControlEvent, SessionReadied, SetupRequested
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    Channel,
    CreateSession,
    InboundCalls,
    OpenSession,
    Requested,
    SendMessage,
    SessionInfo,
    SessionNotice,
    Setup,
    SetUpCallFlow,
)
from telcoflow_proto.control.server import ControlServer
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, DoorEvent, FrameDropped
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import Json

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.link import Link

_NAMES = {
    OpenSession: "session.open",
    CreateSession: "session.create",
    SendMessage: "wa.msg.out",
    SetUpCallFlow: "call_flow.setup",
}


def describe(call: GatewayCall) -> SessionInfo:
    """Return the session of a call as the service describes it."""
    remote, local = (call.callee, call.caller) if call.outbound else (call.caller, call.callee)
    return SessionInfo(
        id=call.session_id,
        channel=Channel.TELCO,
        initiator="SDK" if call.outbound else "CONNECTOR",
        state="OPEN",
        remote_address=remote.number,
        local_address=local.number,
        opened_at=call.placed_at,
    )


@final
class Agent:
    """The service's end of one control connection. ``base_url`` is the gateway's address as the agent sees it."""

    def __init__(self, name: str, *, exchange: Exchange, base_url: str) -> None:
        self.name = name
        self.door = ControlServer(entropy=os.urandom)
        self.link: Link[ServerControlEvent] | None = None
        self.setup = Setup(sample_rate=0, audio_mode="")
        self.available = False
        self._flow = CallFlow()
        self._exchange = exchange
        self._base_url = base_url

    # ------------------------------------------------------------------ what the exchange tells

    def announce(self, call: GatewayCall, activity: str) -> None:
        """Tell that a call waits, unless the agent's call flow says it wants none."""
        if self._flow.inbound_call is InboundCalls.NONE:
            return
        session = describe(call)
        notice = SessionNotice(
            session_id=session.id,
            channel=session.channel,
            activity=activity,
            remote_address=session.remote_address,
            local_address=session.local_address,
            created_at=int(time.time()),
        )
        self.door.notify(notice, now=anyio.current_time())
        self.settle()

    def close_session(self, call: GatewayCall) -> None:
        """Tell that a session is over, unless the agent is gone."""
        if not self.door.lost:
            self.door.close_session(call.session_id, call.close_reason or "", now=anyio.current_time())
            self.settle()

    def settle(self) -> None:
        """Send what was said."""
        if self.link is not None:
            self.link.settle()

    # ------------------------------------------------------------------ what the agent says

    def on_event(self, event: ServerControlEvent | DoorEvent) -> None:
        """Answer what the agent asks."""
        now = anyio.current_time()
        match event:
            case SetupRequested():
                self._set_up(event.setup, now)
            case RequestReceived():
                refusal = self._exchange.faults.refuse.get(_NAMES[type(event.requested.request)])
                if refusal is not None:
                    self._refuse(event.requested, refusal, None, now)
                else:
                    self._answer(event.requested, now)
            case SessionReadied():
                self._offer(event.session_id, now)
            case ConnectionLost():
                self.available = False
                self._exchange.left(self)
            case ConnectionOpened():
                self._exchange.agents.append(self)
            case FrameDropped() | UpgradeRequested():
                pass
            case _:
                assert_never(event)

    def _set_up(self, setup: Setup, now: float) -> None:
        if setup.sample_rate not in self._exchange.rates:
            offered = ", ".join(map(str, self._exchange.rates))
            reason = f"sample rate {setup.sample_rate} is not offered here, only {offered}"
            self.door.close_connection(code=1008, reason=reason, now=now)
            return
        self.setup = setup
        self.door.complete_setup(connection_id=self.name, now=now)
        self._exchange.arrived(self)

    def _answer(self, requested: Requested, now: float) -> None:
        request, request_id = requested.request, requested.request_id
        match request:
            case OpenSession():
                opened = self._exchange.open(self, request.session_id)
                if isinstance(opened, GatewayCall):
                    self.door.open_succeeded(request_id, describe(opened), now=now)
                else:
                    self._refuse(requested, *opened, now)
            case CreateSession():
                call, created = self._exchange.create(self, request)
                if isinstance(call, GatewayCall):
                    self.door.create_succeeded(request_id, call.session_id, created=created is True, now=now)
                else:
                    self._refuse(requested, call, created, now)
            case SetUpCallFlow():
                self._flow = request.flow
                self.door.respond(request_id, now=now)
            case SendMessage():
                self._refuse(requested, "INVALID_CHANNEL", None, now)
            case _:
                assert_never(request)

    def _refuse(self, requested: Requested, error_code: str, content: Json, now: float) -> None:
        self.door.refuse(requested.request_id, error_code=error_code, error_content=content, now=now)

    def _offer(self, session_id: str, now: float) -> None:
        call = self._exchange.find(session_id)
        if call is None:
            return  # it ended in this moment; session.closed is on its way
        offer = CallIn(
            session_id=session_id,
            call_id=call.call_id,
            url=f"{self._base_url}/media/{call.call_id}",
            token=call.token,
            organization="local",
            caller=call.caller.number or None,
            callee=call.callee.number or None,
        )
        self.door.offer_call(offer, now=now)
