"""The web application: who may come in, and which machine serves the connection then."""

import hmac
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, final

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from telcoflow_anyio.gateway.agents import Agent, describe
from telcoflow_anyio.gateway.exchange import Exchange
from telcoflow_anyio.gateway.faults import Faults
from telcoflow_anyio.gateway.journal import Journal
from telcoflow_anyio.gateway.link import Link
from telcoflow_anyio.gateway.relay.desk import Desk
from telcoflow_anyio.gateway.relay.service import RelayService
from telcoflow_proto.config import CONTROL_PATH
from telcoflow_proto.control.codec import encode_session
from telcoflow_proto.relay.server import RelayServerProtocol


@final
class WebApp:
    """The routes of the service. ``credentials`` maps API keys to connector ids; None trusts TLS to have checked."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        relay: RelayService,
        credentials: Mapping[str, str] | None,
        journal: Journal,
        faults: Faults,
        on_crash: Callable[[Exception], None],
    ) -> None:
        self.links: list[Link[Any]] = []
        self.closing = False
        self._exchange = exchange
        self._relay_service = relay
        self._credentials = credentials
        self._journal = journal
        self._faults = faults
        self._on_crash = on_crash
        self._connections = 0
        self.asgi = Starlette(
            routes=[
                WebSocketRoute(CONTROL_PATH, self._control),
                WebSocketRoute("/media/{call_id}", self._media),
                WebSocketRoute("/", self._relay),
                WebSocketRoute("/api/relay/ws", self._relay),
                Route("/public/v1/sessions", self._list_sessions, methods=["GET"]),
                Route("/public/v1/sessions/{session_id}/close", self._close_session, methods=["POST"]),
                Route("/healthz", self._health, methods=["GET"]),
            ]
        )

    # ------------------------------------------------------------------ WebSockets

    async def _control(self, websocket: WebSocket) -> None:
        if not self._may_enter(websocket):
            await _turn_away(websocket, 401, "unknown API key or connector")
            return
        if self.closing:
            await _turn_away(websocket, 503, "the gateway is closing")
            return
        self._connections += 1
        agent = Agent(f"control:{self._connections}", exchange=self._exchange, base_url=_base_url(websocket))
        agent.link = Link(
            websocket,
            agent.door,
            name=agent.name,
            journal=self._journal,
            faults=self._faults,
            on_event=agent.on_event,
        )
        await self._serve(agent.link)

    async def _media(self, websocket: WebSocket) -> None:
        call = self._exchange.calls.get(websocket.path_params["call_id"])
        authorization = websocket.headers.get("authorization", "")
        if call is None or not _same(authorization, f"Bearer {call.token}"):
            await _turn_away(websocket, 401, "unknown call or token")
            return
        if self.closing or not call.waiting:
            await _turn_away(websocket, 409, "this call has its media connection already, or is over")
            return
        line = call.open_line()
        line.link = Link(
            websocket,
            line.media,
            name=f"media:{call.call_id}",
            journal=self._journal,
            faults=self._faults,
            on_event=line.on_event,
        )
        await self._serve(line.link)

    async def _relay(self, websocket: WebSocket) -> None:
        if self.closing:
            await _turn_away(websocket, 503, "the gateway is closing")
            return
        self._connections += 1
        door = RelayServerProtocol(entropy=os.urandom)

        def settle() -> None:
            link.settle()  # which is made below, for it needs the desk

        desk = Desk(self._relay_service, door, settle)
        link = Link(
            websocket,
            door,
            name=f"relay:{self._connections}",
            journal=self._journal,
            faults=Faults(),  # the desk knows those of its service
            on_event=desk.on_event,
        )
        await self._serve(link)

    async def _serve(self, link: Link[Any]) -> None:
        self.links.append(link)
        try:
            await link.run()
        except Exception as error:  # noqa: BLE001 - the web server would only log it
            self._on_crash(error)
        finally:
            self.links.remove(link)

    # ------------------------------------------------------------------ REST

    async def _list_sessions(self, request: Request) -> Response:
        if not self._may_enter(request):
            return _error(401, "UNAUTHORIZED", "unknown API key or connector")
        sessions = [describe(call) for call in self._exchange.calls.values() if call.session_open]
        wanted = request.query_params
        items = [
            encode_session(session)
            for session in sessions
            if wanted.get("channel") in {None, session.channel}
            and wanted.get("remoteAddress") in {None, session.remote_address}
            and wanted.get("state") in {None, session.state}
        ]
        return JSONResponse({"items": items})

    async def _close_session(self, request: Request) -> Response:
        if not self._may_enter(request):
            return _error(401, "UNAUTHORIZED", "unknown API key or connector")
        call = self._exchange.find(request.path_params["session_id"])
        if call is None:
            return _error(404, "SESSION_NOT_FOUND", "there is no open session with this id")
        call.end(by="service", close_reason="SDK_REQUEST")
        return JSONResponse({"closedAt": int(time.time()), "reason": "SDK_REQUEST"})

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    def _may_enter(self, connection: HTTPConnection) -> bool:
        if self._credentials is None:
            return True
        key = connection.headers.get("x-api-key", "")
        connector = connection.headers.get("x-connector-uuid", "")
        # No short cut: the time this takes must not tell which half of which pair was right.
        return sum(_same(key, one) & _same(connector, other) for one, other in self._credentials.items()) > 0


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode())


def _base_url(websocket: WebSocket) -> str:
    """The gateway under the name the agent knows it by: media must not lead it to another host."""
    return f"{websocket.url.scheme}://{websocket.url.netloc}"


async def _turn_away(websocket: WebSocket, status: int, reason: str) -> None:
    await websocket.send_denial_response(PlainTextResponse(reason, status_code=status))


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status_code=status)
