"""``RelayClient.run()``, which has a loop of its own, against the gateway and against servers that misbehave."""

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from types import ModuleType
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from telcoflow_anyio.gateway import Gateway
from telcoflow_anyio.relay import RelayClient
from telcoflow_proto.exceptions import RelayAuthenticationError, RelayError

WITHIN = 30.0
PROJECT, TOKEN = "canary-project", "canary-token"
_ENVIRONMENT = ("PROJECT_ID", "API_TOKEN", "JWT_TOKEN", "SPACE", "RELAY_SCHEME", "RELAY_CA_FILE")


@pytest.fixture(params=["telcoflow_anyio", "telcoflow_trio"])
def adapter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in _ENVIRONMENT:
        monkeypatch.delenv(f"SIGNALWIRE_{name}", raising=False)
    return importlib.import_module(f"{request.param}.relay")


@pytest.fixture(autouse=True)
def real_deadline() -> Iterator[None]:
    """Stop a test that hangs."""

    def ring(signum: int, frame: object) -> None:
        raise TimeoutError(f"the test took more than {WITHIN:.0f} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, WITHIN)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def gateway(portal: BlockingPortal) -> Iterator[Gateway]:
    """A gateway with a loop in a thread of its own."""
    with portal.wrap_async_context_manager(Gateway(relay_projects={PROJECT: TOKEN})) as gateway:
        yield gateway


def client_of(adapter: ModuleType, host: str, **changes: Any) -> RelayClient:
    """A client of the adapter. Annotated as anyio's; the other has the same shape."""
    given = {"project": PROJECT, "token": TOKEN, "host": host, "scheme": "ws", "contexts": ["default"], **changes}
    client: RelayClient = adapter.RelayClient(**given)
    return client


class InThread(threading.Thread):
    """Something that blocks, outside the main thread."""

    def __init__(self, block: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._block = block
        self.start()

    def run(self) -> None:
        try:
            self._block()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def over(self) -> BaseException | None:
        self.join(WITHIN)
        assert not self.is_alive(), "it still runs"
        return self.error


def test_run_serves_calls_until_a_handler_closes_the_client(
    adapter: ModuleType, gateway: Gateway, portal: BlockingPortal
) -> None:
    client = client_of(adapter, gateway.relay_host)
    played: list[str] = []

    @client.on_call
    async def take(call: Any) -> None:
        await call.answer()
        event = await (await call.play_silence(0.05)).wait()
        played.append(event.params["state"])
        await call.hangup()
        await call.wait_for_ended()
        await client.disconnect()

    portal.start_task_soon(gateway.relay.place_call)
    client.run()
    assert played == ["finished"]
    assert client.state.value == "closed"
    with pytest.raises(RelayError, match="make a new one"):
        client.run()


def test_peer_r17_run_works_outside_the_main_thread(
    adapter: ModuleType, gateway: Gateway, portal: BlockingPortal
) -> None:
    client = client_of(adapter, gateway.relay_host)

    @client.on_call
    async def take(call: Any) -> None:
        await client.disconnect()

    running = InThread(client.run)
    portal.call(gateway.relay.wait_for_sessions, 1)
    portal.call(gateway.relay.place_call)
    assert running.over() is None


def test_run_waits_for_a_service_that_is_not_there_yet(adapter: ModuleType, portal: BlockingPortal) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    client = client_of(adapter, f"127.0.0.1:{port}", backoff=adapter.Backoff(first=0.05, ceiling=0.1))
    lost = threading.Event()
    client.on_connection(lambda state: lost.set() if state.state == "lost" else None)

    @client.on_connection
    async def leave(state: Any) -> None:
        if state.state == "connected":
            await client.disconnect()

    running = InThread(client.run)
    assert lost.wait(WITHIN)
    with portal.wrap_async_context_manager(Gateway(port=port, relay_projects={PROJECT: TOKEN})):
        assert running.over() is None


def test_run_gives_up_after_three_refusals(adapter: ModuleType, gateway: Gateway) -> None:
    attempts: list[Any] = []
    backoff = adapter.Backoff(first=0.01, ceiling=0.02)
    client = client_of(adapter, gateway.relay_host, token="canary-wrong", backoff=backoff)
    client.on_connection(attempts.append)
    with pytest.raises(RelayAuthenticationError, match="authentication failed") as caught:
        client.run()
    assert caught.value.code == -32002
    assert [one.state for one in attempts] == ["lost", "lost", "closed"]
    assert client.statistics().connections == 3


@contextlib.contextmanager
def answering(answer: Callable[[str], bytes]) -> Generator[tuple[int, list[bytes]]]:
    """A server that answers every connection's first bytes with bytes of its own, and keeps what it heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        heard.append(connection.recv(65536))
                        connection.sendall(answer(f"127.0.0.1:{port}"))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield port, heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(WITHIN)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_peer_r21_a_redirect_is_not_followed(adapter: ModuleType, status: str) -> None:
    with answering(lambda host: b"") as (elsewhere, heard_elsewhere):
        location = f"ws://127.0.0.1:{elsewhere}/"
        redirect = f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        with answering(lambda host: redirect) as (port, heard):
            client = client_of(adapter, f"127.0.0.1:{port}")
            with pytest.raises(RelayError, match=status[:3]):
                run_in(adapter, client.connect)
            assert len(heard) == 1
            assert TOKEN.encode() not in heard[0]
        assert heard_elsewhere == []


def run_in(adapter: ModuleType, function: Callable[[], Any]) -> None:
    """Run something on the loop the adapter is for."""
    backend = "trio" if adapter.__name__.startswith("telcoflow_trio") else "asyncio"

    async def bounded() -> None:
        with anyio.fail_after(WITHIN):
            await function()

    anyio.run(bounded, backend=backend)


def test_a_dial_function_of_ones_own_and_a_ca_bundle_that_cannot_be_read(
    adapter: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALWIRE_RELAY_CA_FILE", "/nowhere/ca.pem")
    client = client_of(adapter, "localhost:1", scheme="wss")
    with pytest.raises(RelayError, match="No such file"):
        run_in(adapter, client.connect)


SCRIPT = """
import signal, sys
from {module}.relay import RelayClient
client = RelayClient()
@client.on_connection
def tell(state):
    print(state.state, flush=True)
    if {inside} and state.state == "connected":
        signal.raise_signal(signal.SIGINT)
client.run()
print("left", flush=True)
"""


@pytest.mark.parametrize("inside", [False, True], ids=["from outside", "inside a task"])
def test_ctrl_c_ends_run_without_a_traceback(
    adapter: ModuleType, gateway: Gateway, portal: BlockingPortal, inside: bool
) -> None:
    environment = {
        **os.environ,
        "SIGNALWIRE_PROJECT_ID": PROJECT,
        "SIGNALWIRE_API_TOKEN": TOKEN,
        "SIGNALWIRE_SPACE": gateway.relay_host,
        "SIGNALWIRE_RELAY_SCHEME": "ws",
    }
    script = SCRIPT.format(module=adapter.__name__.partition(".")[0], inside=inside)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        if not inside:
            process.send_signal(signal.SIGINT)
        try:
            told, errors = process.communicate(timeout=WITHIN / 2)
        finally:
            process.kill()  # else leaving waits for ever for one that hangs
    assert told.splitlines()[-1] == "left"
    assert errors == ""
    assert process.returncode == 0
