"""The gateway itself: one web server, one exchange, one phone network, and what a test may do to them."""

import asyncio
import importlib
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, final
from uuid import uuid4

import anyio
import anyio.lowlevel
from hypercorn.config import Config

from telcoflow_anyio.gateway.app import WebApp
from telcoflow_anyio.gateway.audio import TICK
from telcoflow_anyio.gateway.calls import GatewayCall
from telcoflow_anyio.gateway.exchange import Exchange
from telcoflow_anyio.gateway.faults import Faults
from telcoflow_anyio.gateway.journal import Journal, LogEntry
from telcoflow_anyio.gateway.parties import Callee, Caller
from telcoflow_anyio.gateway.relay.service import JWTS, RelayService
from telcoflow_anyio.gateway.sockets import break_connections, listen

SAMPLE_RATES = (8000, 16000, 24000)
"""What an agent may ask for, in samples a second."""

_CREDENTIALS = {"test-key": "test-connector"}
_GOING_AWAY = 1001  # RFC 6455 §7.4.1
_GOODBYE = 0.5  # seconds agents get to answer our close
_PATIENCE = 0.05  # seconds between two attempts to end connections that do not end by themselves
_TOO_LONG = 1.0  # seconds after which the web server is cancelled, whatever it waits for

_logger = logging.getLogger("telcoflow_anyio.gateway")


@final
class Gateway:
    """A phone service for agents, on a real port, with a phone network behind it that does as it is told.

    ``async with Gateway() as gateway``; leaving it ends every task and closes every socket, within two seconds
    even if agents hang.

    - ``port`` 0 takes any free port, see ``base_url``.
    - ``credentials`` maps API keys to connector ids. With ``require_api_key=False`` nobody is asked for them: for
      agents that show a client certificate instead, see ``client_ca``.
    - ``certfile`` and ``keyfile`` (PEM) turn on TLS; with ``client_ca`` agents must show a certificate of that CA.
    - ``sample_rate`` is the only one agents may ask for, in Hz; None allows all of ``SAMPLE_RATES``.
    - ``prefetch`` is how many seconds of an agent's speech the service keeps ahead of its playing.
    - ``speed`` makes the phone network's clock run that much faster than the real one. All ``seconds`` of callers
      and callees are its; protocol deadlines stay real.
    - ``number`` is the number outgoing calls come from; ``on_dial`` plans who picks up there.
    - ``relay_projects`` maps the projects of RELAY clients to their tokens; ``relay_jwts`` are good without one.
    - ``tell`` is given one line of text for everything a person may want to read.

    What a callback raises cancels the body and comes out of the ``async with``.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        credentials: Mapping[str, str] | None = None,
        require_api_key: bool = True,
        certfile: str | Path | None = None,
        keyfile: str | Path | None = None,
        client_ca: str | Path | None = None,
        sample_rate: int | None = None,
        prefetch: float = 0.8,
        speed: float = 1.0,
        number: str = "+15550000",
        relay_projects: Mapping[str, str] | None = None,
        relay_jwts: Collection[str] = JWTS,
        tell: Callable[[str], None] = _logger.info,
    ) -> None:
        if sample_rate not in {None, *SAMPLE_RATES}:
            raise ValueError(f"sample_rate must be one of {SAMPLE_RATES}, got {sample_rate}")
        if speed <= 0 or prefetch < TICK:
            raise ValueError(f"speed must be above 0 and prefetch at least {TICK} s, got {speed} and {prefetch}")
        if (certfile is None) != (keyfile is None) or (client_ca is not None and certfile is None):
            raise ValueError("TLS needs certfile and keyfile, and client_ca needs TLS")
        self.faults = Faults()
        self.on_dial: Callable[[str], Callee] = lambda number: Callee(number=number)
        self.on_agent: Callable[[], None] = lambda: None
        self._host, self._port = host, port
        self._secure = certfile is not None
        self._config = _web_config(certfile, keyfile, client_ca)
        self._credentials = (_CREDENTIALS if credentials is None else dict(credentials)) if require_api_key else None
        self._rates = SAMPLE_RATES if sample_rate is None else (sample_rate,)
        self._prefetch, self._speed, self._number = prefetch, speed, number
        self._relay_projects, self._relay_jwts = relay_projects, relay_jwts
        self._tell = tell
        self._journal = Journal()
        self._crash: Exception | None = None

    async def __aenter__(self) -> Self:
        """Start serving. Raises OSError if the port is taken, ssl.SSLError or OSError for unusable certificates."""
        self._config.create_ssl_context()
        descriptor, self._port = listen(self._host, self._port)
        self._config.bind = [f"fd://{descriptor}"]
        self._stop, self._served = anyio.Event(), anyio.Event()
        self._serving = anyio.CancelScope(shield=True)  # Hypercorn breaks when cancelled while it has connections
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._exchange = Exchange(
            tasks=self._tasks,
            dial=self._dial,
            tell=self._tell,
            on_agent=self._agent_arrived,
            faults=self.faults,
            rates=self._rates,
        )
        self._relay = RelayService(
            self._tasks, projects=self._relay_projects, jwts=self._relay_jwts, speed=self._speed, tell=self._tell
        )
        self._web = WebApp(
            exchange=self._exchange,
            relay=self._relay,
            credentials=self._credentials,
            journal=self._journal,
            faults=self.faults,
            on_crash=self._crashed,
        )
        self._tasks.start_soon(self._serve)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._close()
        self._tasks.cancel_scope.cancel()
        # An error of the body goes on as it is; the task group would wrap it into an exception group.
        cancelled = isinstance(exc, anyio.get_cancelled_exc_class())
        try:
            await self._tasks.__aexit__(*((exc_type, exc, tb) if cancelled else (None, None, None)))
        except ExceptionGroup as group:
            self._crashed(group)
        if self._crash is not None:
            raise self._crash

    # ------------------------------------------------------------------ for the user

    @property
    def base_url(self) -> str:
        """Where agents connect to: ``ws://127.0.0.1:40123``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'wss' if self._secure else 'ws'}://{host}:{self._port}"

    @property
    def relay(self) -> RelayService:
        """The RELAY service on the same port: its calls, messages and bad weather."""
        return self._relay

    @property
    def relay_host(self) -> str:
        """Where RELAY clients connect to, host and port: ``127.0.0.1:40123``."""
        return self.base_url.partition("://")[2]

    @property
    def calls(self) -> list[GatewayCall]:
        """The calls that are not over, in the order they were placed."""
        return list(self._exchange.calls.values())

    @property
    def log(self) -> list[LogEntry]:
        """What went over the wire, oldest first."""
        return self._journal.entries()

    @property
    def agents(self) -> int:
        """How many agents are connected and hear of calls."""
        return len(self._exchange.available)

    async def wait_for_agents(self, count: int) -> None:
        """Wait until at least that many agents are connected and hear of calls."""
        while self.agents < count:
            await self._exchange.changed.wait()

    async def place_call(self, caller: Caller | None = None, callee: Callee | None = None) -> GatewayCall:
        """Let somebody call. Every connected agent hears of it; the first to claim it gets it."""
        call = self._new_call(caller or Caller(), callee or Callee(), outbound=False)
        self._tell(f"call {call.call_id}: {call.caller.number or 'a withheld number'} calls {call.callee.number}")
        self._exchange.place(call)
        await anyio.lowlevel.checkpoint()
        return call

    async def drop_control(self, code: int | None = None) -> None:
        """End every control connection with a close code; None breaks them without a word."""
        for agent in list(self._exchange.agents):
            if agent.link is not None:
                await agent.link.drop(code)

    # ------------------------------------------------------------------ the network

    def _agent_arrived(self) -> None:
        self.on_agent()  # looked up late: it may have been set after we started serving

    def _dial(self, number: str) -> GatewayCall:
        call = self._new_call(Caller(number=self._number), self.on_dial(number), outbound=True)
        self._tell(f"call {call.call_id}: an agent calls {call.callee.number}")
        return call

    def _new_call(self, caller: Caller, callee: Callee, *, outbound: bool) -> GatewayCall:
        call = GatewayCall(
            call_id=str(uuid4()),
            session_id=str(uuid4()),
            token=secrets.token_urlsafe(24),
            caller=caller,
            callee=callee,
            outbound=outbound,
            prefetch=self._prefetch,
            faults=self.faults,
            on_change=self._call_changed,
            on_session_over=self._exchange.session_over,
        )
        self._tasks.start_soon(self._play, call)
        return call

    async def _play(self, call: GatewayCall) -> None:
        """Tick one call's network; deadlines are absolute, so that it never drifts."""
        due = anyio.current_time()
        while call.state != "over":
            call.tick()
            due += TICK / self._speed
            await anyio.sleep_until(due)

    def _call_changed(self, call: GatewayCall) -> None:
        end = f" after {call.seconds:.1f} s, ended by: {call.ended_by}" if call.state == "over" else ""
        self._tell(f"call {call.call_id}: {call.state}{end}")
        if call.state == "over":
            self._exchange.calls.pop(call.call_id, None)

    # ------------------------------------------------------------------ the web server

    async def _serve(self) -> None:
        on_asyncio = anyio.get_cancelled_exc_class() is asyncio.CancelledError
        backend = importlib.import_module("hypercorn.asyncio" if on_asyncio else "telcoflow_anyio.gateway.on_trio")
        serve: Callable[..., Awaitable[None]] = backend.serve
        try:
            with self._serving:
                await serve(self._web.asgi, self._config, shutdown_trigger=self._stop.wait)
        finally:
            self._served.set()

    def _crashed(self, error: Exception) -> None:
        """A callback of the user raised, or we have a bug: leave the body at once, and let it out there."""
        while inner := getattr(error, "exceptions", ()):  # the first of an exception group
            error = inner[0]
        self._crash = self._crash or error
        self._tasks.cancel_scope.cancel()

    async def _close(self) -> None:
        self._web.closing = True
        self._relay.ask_to_leave()
        links = list(self._web.links)
        for link in links:
            link.close(_GOING_AWAY)
        with anyio.move_on_after(_GOODBYE):
            for link in links:
                await link.ended.wait()
        self._stop.set()
        with anyio.move_on_after(_TOO_LONG):
            while not self._served.is_set():
                with anyio.move_on_after(_PATIENCE):
                    await self._served.wait()
                break_connections(self._port)
        self._serving.cancel()


def _web_config(certfile: str | Path | None, keyfile: str | Path | None, client_ca: str | Path | None) -> Config:
    config = Config()
    config.errorlog = _logger
    config.graceful_timeout = _GOODBYE
    config.certfile = None if certfile is None else str(certfile)
    config.keyfile = None if keyfile is None else str(keyfile)
    config.alpn_protocols = ["http/1.1"]  # WebSockets over HTTP/2 would need RFC 8441 in every client
    if client_ca is not None:
        config.ca_certs = str(client_ca)
        config.verify_mode = ssl.CERT_REQUIRED
    return config
