"""The vendor's RELAY client and ours under the same faults: the half of ``peer_bugs`` that speaks RELAY.

Scenes that are short stand in ``tests.interop.relay.defects``, where every test run plays them; here they get the id of
their row. The others need a service that can be late, silent or gone: our gateway, behind a proxy, over TLS.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, final

import attrs
import signalwire.relay as vendor
import trustme
import websockets
from anyio.from_thread import BlockingPortal, start_blocking_portal

from telcoflow_anyio.gateway import Gateway
from telcoflow_anyio.gateway.relay import RelayCallee, RelayServiceCall
from telcoflow_anyio.relay import RelayClient
from tests.interop.relay.defects import DEFECTS
from tests.interop.relay.responder import Responder
from tests.reliability.chaos import ChaosProxy

TOKEN = "test-token"  # noqa: S105 - made up
CLIENTS: dict[str, Callable[..., Any]] = {"official": vendor.RelayClient, "ours": RelayClient}
SHORT_SCENES = {
    "R06": ("one event without params", "go_on_after_an_event_without_params"),
    "R07": ("a call is announced twice", "be_told_of_one_call_twice"),
    "R09": ("a call ends while a play runs, and somebody waits for that", "wait_for_what_runs_when_the_call_ends"),
    "R10": ("waiting for the end times out, twice", "wait_again_for_the_end_after_a_time_out"),
    "R11": ("a message handler sends a message", "answer_a_message_from_its_handler"),
    "R12": ("a client is refused, another one is made", "make_another_client_after_one_was_turned_away"),
    "R13": ("leaving with a request pending", "disconnect_while_a_request_is_pending"),
    "R17": ("`run()` in another thread", "run_in_a_thread"),
}
_IN_WORDS = {
    "R06: nothing": "no request is answered any more",
    "R06: dict": "the next request is answered",
    "R07: 1 calls": "handled once",
    "R07: 2 calls": "handled twice",
    "R09: nothing": "waits on",
    "R09: RelayEvent": "told",
    "R10: nothing": "waits again",
    "R11: nothing": "not sent",
    "R11: answered": "sent",
    "R12: NoneType": "the other one connects",
    "R17: ran": "runs",
}
"""What the short scenes find, for a reader who has not read them."""
_DEVICES = [[{"type": "phone", "params": {"to_number": "+15550002", "from_number": "+15550000"}}]]
_GIVES_UP_WITHIN = 36.0  # the vendor's client takes 32.8 s
_SILENCE_FOUND_WITHIN = 45.0  # and 40.2 s


@final
@attrs.frozen
class Stage:
    """Our gateway's RELAY service in a thread, a proxy before it, and a way to make a client of either kind."""

    portal: BlockingPortal
    gateway: Gateway
    proxy: ChaosProxy
    make: Callable[..., Any]

    def client(self, **changes: Any) -> Any:
        """Make a client that comes through the proxy."""
        host = f"localhost:{self.proxy.port}"
        return self.make(project="test-project", token=TOKEN, host=host, contexts=["office"], **changes)

    def call_in(self) -> RelayServiceCall:
        """Let somebody call."""
        return self.portal.call(partial(self.gateway.relay.place_call, context="office"))


@final
class Running:
    """A client in ``run()``, which blocks the thread it is called in: what it comes to, and when."""

    def __init__(self, client: Any) -> None:
        self.calls: list[Any] = []
        self.ended: str | None = None
        client.on_call(self._take)
        self._client = client

    async def _take(self, call: Any) -> None:
        self.calls.append(call)

    def run(self) -> None:
        """Run, and note how that ends."""
        begun = time.monotonic()
        try:
            self._client.run()
            how = "run() returns"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is how it ends
            how = f"run() raises {type(error).__name__}"
        self.ended = f"{how} after {time.monotonic() - begun:.1f} s"


Alone = Callable[[Stage], Awaitable[str]]
Directed = Callable[[Stage, Running], str]
ALONE: dict[str, tuple[str, Alone]] = {}
DIRECTED: dict[str, tuple[str, Directed]] = {}


def alone(name: str, what: str) -> Callable[[Alone], Alone]:
    """Register a scene that makes its own client, in a loop."""

    def register(play: Alone) -> Alone:
        ALONE[name] = what, play
        return play

    return register


def directed(name: str, what: str) -> Callable[[Directed], Directed]:
    """Register a scene whose client runs in the main thread, while the scene is played in another."""

    def register(play: Directed) -> Directed:
        DIRECTED[name] = what, play
        return play

    return register


async def how(action: Awaitable[Any], within: float) -> str:
    """Say what came of it and when."""
    begun = time.monotonic()
    try:
        await asyncio.wait_for(action, within)
        said = "returned"
    except TimeoutError:
        return f"still waiting after {within:.0f} s"
    except BaseException as error:  # noqa: BLE001 - a cancellation nobody asked for is a finding
        said = type(error).__name__
    return f"{said} after {time.monotonic() - begun:.1f} s"


def waits_for(condition: Callable[[], object], within: float) -> bool:
    """Wait in a thread until something is true; False if that took too long."""
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


# ------------------------------------------------------------------------------------- scenes in a loop


@alone("R01", "`async with`, and the connection drops: the next request, and the connections made for it")
async def r01(stage: Stage) -> str:
    async with stage.client() as client:
        stage.proxy.reset()
        await asyncio.sleep(0.2)
        said = await how(client.receive(["sales"]), 12)
        return f"{said}; {len(stage.proxy.pairs)} new connections"


@alone("R02", "one request is answered after 11 s; another one is made behind it")
async def r02(stage: Stage) -> str:
    async with stage.client() as client:
        stage.gateway.relay.faults.delay_of["signalwire.receive"] = 11
        slow = await how(client.receive(["sales"]), 12)
        other = await how(client.unreceive(["sales"]), 12)
        return f"the late one: {slow}; the other: {other}"


@alone("R14", "a dial times out after 0.5 s, somebody picks up after 1.5 s")
async def r14(stage: Stage) -> str:
    stage.gateway.relay.on_dial = lambda _device: RelayCallee(answers_after=1.5)
    async with stage.client() as client:
        said = await how(client.dial(_DEVICES, dial_timeout=0.5), 6)
        await asyncio.sleep(3)
        legs = [call.state for call in stage.gateway.relay.calls.values()]
        return f"{said}; then the leg is {' and '.join(legs) or 'hung up'}"


@alone("R16", "500 requests time out while the service is away, then one more")
async def r16(stage: Stage) -> str:
    async with stage.client() as client:
        stage.proxy.partition()
        stage.proxy.reset()
        await asyncio.sleep(0.2)
        waiting = [asyncio.ensure_future(client.receive([f"c{number}"])) for number in range(500)]
        await asyncio.wait(waiting, timeout=12)
        timed_out = sum(one.done() for one in waiting)
        return f"{timed_out} timed out; the next: {await how(client.receive(['sales']), 2)}"


@alone("R21", "302 to another origin")
async def r21(stage: Stage) -> str:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(os.environ["CHAIN"], os.environ["KEY"])
    heard: list[str] = []

    async def elsewhere(connection: Any) -> None:
        heard.append(str(await connection.recv()))

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        to = f"wss://localhost:{other.sockets[0].getsockname()[1]}/"
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    async with websockets.serve(elsewhere, "localhost", 0, ssl=tls) as other:
        server = await asyncio.start_server(redirect, "localhost", 0, ssl=tls)
        host = f"localhost:{server.sockets[0].getsockname()[1]}"
        await how(stage.make(project="test-project", token=TOKEN, host=host).connect(), 4)
        server.close()
        return "sent the token there" if any(TOKEN in one for one in heard) else "did not go there"


# ------------------------------------------------------------------------------------- scenes beside run()


@directed("R03", "the service accepts and never answers the authentication, for 36 s")
def r03(stage: Stage, running: Running) -> str:
    stage.gateway.relay.faults.ignore = {"signalwire.connect"}
    waits_for(lambda: running.ended, _GIVES_UP_WITHIN)
    return running.ended or f"still trying: {len(stage.proxy.pairs)} connections made"


@directed("R04", "the service drops three times during the authentication, then answers")
def r04(stage: Stage, running: Running) -> str:
    relay = stage.gateway.relay
    relay.faults.ignore = {"signalwire.connect"}
    begun = time.monotonic()
    for _ in range(3):
        waits_for(lambda: relay.desks or running.ended, _GIVES_UP_WITHIN)
        time.sleep(0.3)
        stage.proxy.reset()
        waits_for(lambda: not relay.desks, 2)
    relay.faults.ignore = set()
    waits_for(lambda: running.ended or any(desk.session is not None for desk in relay.desks), _GIVES_UP_WITHIN)
    return running.ended or f"connected after {time.monotonic() - begun:.1f} s"


@directed("R08", "the end of three calls is lost in an outage, three may be live; then a fourth")
def r08(stage: Stage, running: Running) -> str:
    relay = stage.gateway.relay
    waits_for(lambda: any(desk.session is not None for desk in relay.desks), 10)
    placed = [stage.call_in() for _ in range(3)]
    waits_for(lambda: len(running.calls) == 3, 5)
    relay.faults.lose_events = {"calling.call.state"}
    for call in placed:
        stage.portal.call(call.hang_up)
    stage.proxy.reset()
    waits_for(lambda: not relay.desks, 5)
    waits_for(lambda: any(desk.session is not None for desk in relay.desks), 10)
    relay.faults.lose_events = set()
    time.sleep(2)
    stage.call_in()
    return "taken" if waits_for(lambda: len(running.calls) == 4, 4) else "dropped"


@directed("R18", "the service falls silent: until the next connection is made")
def r18(stage: Stage, _: Running) -> str:
    waits_for(lambda: any(desk.session is not None for desk in stage.gateway.relay.desks), 10)
    time.sleep(0.5)
    stage.proxy.partition()
    begun = time.monotonic()
    found = waits_for(lambda: len(stage.proxy.pairs) > 1, _SILENCE_FOUND_WITHIN)
    took = time.monotonic() - begun
    return f"{took:.1f} s" if found else f"not within {took:.0f} s"


# ------------------------------------------------------------------------------------- playing


SCENES: dict[str, str] = {name: what for name, (what, _) in sorted((SHORT_SCENES | ALONE | DIRECTED).items())}


@contextmanager
def certificate() -> Iterator[ssl.SSLContext]:
    """Make a certificate that clients of this process trust; the vendor's client speaks TLS only."""
    with tempfile.TemporaryDirectory() as folder:
        ca = trustme.CA()
        issued = ca.issue_cert("localhost", "127.0.0.1")
        paths = {name: str(Path(folder) / name) for name in ("SIGNALWIRE_RELAY_CA_FILE", "CHAIN", "KEY")}
        ca.cert_pem.write_to_path(paths["SIGNALWIRE_RELAY_CA_FILE"])
        for blob in issued.cert_chain_pems:
            blob.write_to_path(paths["CHAIN"], append=True)
        issued.private_key_pem.write_to_path(paths["KEY"])
        os.environ.update(paths)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(paths["CHAIN"], paths["KEY"])
        yield tls


def play(name: str, kind: str) -> None:
    """Play one scene on one client, say what came of it, and end this process."""
    make = CLIENTS[kind]
    with ExitStack() as stack:
        tls = stack.enter_context(certificate())
        if name in SHORT_SCENES:
            service = stack.enter_context(Responder(tls).running())
            found = DEFECTS[SHORT_SCENES[name][1]](partial(make, token=TOKEN, host=service.host))
            _tell(_IN_WORDS.get(f"{name}: {found}", found))
        portal = stack.enter_context(start_blocking_portal())
        gateway = Gateway(certfile=os.environ["CHAIN"], keyfile=os.environ["KEY"])
        stack.enter_context(portal.wrap_async_context_manager(gateway))
        proxy = stack.enter_context(ChaosProxy(int(gateway.relay_host.rsplit(":", 1)[1])))
        stage = Stage(portal, gateway, proxy, make)
        if name in ALONE:
            asyncio.run(_play_alone(ALONE[name][1], stage))
        running = Running(stage.client(max_active_calls=3))
        threading.Thread(target=lambda: _tell(DIRECTED[name][1](stage, running)), daemon=True).start()
        running.run()
        threading.Event().wait()  # the director ends the process


async def _play_alone(scene: Alone, stage: Stage) -> None:
    _tell(await scene(stage))


def _tell(said: str) -> None:
    print(said, flush=True)
    os._exit(0)  # a client that hangs must not hold up the next one
