"""The same faults on real sockets, where the kernel has its say. Real time, so as little of it as a fault allows."""

# mypy: disable-error-code="truthy-bool"

import importlib
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, final

import anyio
import pytest
import trio
import trustme
import websockets
from anyio.abc import SocketAttribute

from telcoflow_anyio import Backoff
from telcoflow_anyio.gateway import Gateway
from telcoflow_proto import websocket
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.config import CONTROL_PATH
from telcoflow_proto.exceptions import (
    BufferFullError,
    RelayConnectionError,
    WSSConnectionError,
    WSSError,
    WSSMediaError,
)
from telcoflow_proto.media.table import CallState
from telcoflow_proto.roles import Role
from tests.adapters import test_tls as tls
from tests.adapters.acts import outcome, taking, until
from tests.adapters.test_tls import ca, listening, service_with, serving, trusted
from tests.relay_adapters.acts import SHORT
from tests.reliability.chaos import ChaosProxy, abort
from tests.reliability.conftest import Figure
from tests.world.net import Net
from tests.world.service import Service, ServiceCall, http
from tests.world.world import CASES, Case, World

__all__ = ["ca", "trusted"]

ROOT = Path(__file__).parents[2]
ONE_CASE = pytest.mark.parametrize("case", CASES[:1], ids=lambda case: case.id)
"""For faults that take seconds: the adapters differ in their loops, and these faults are the kernel's."""
_SOON = Backoff(ceiling=0.6)
"""For clients that reconnect while the test waits in real time."""


@pytest.fixture
def anyio_backend(case: Case) -> tuple[str, dict[str, Any]]:
    return case.backend, {}


@asynccontextmanager
async def serving_plain() -> AsyncIterator[tuple[Service, int, list[Any]]]:
    """Serve without TLS on a real port; the streams it accepted are listed."""
    with anyio.fail_after(30):
        async with listening() as (plain, port), anyio.create_task_group() as group:
            service = Service(Net())
            service.open(group)
            streams: list[Any] = []

            async def serve(stream: Any) -> None:
                streams.append(stream)
                await service.serve(stream)

            group.start_soon(plain.serve, serve)
            yield service, port, streams
            group.cancel_scope.cancel()


def client_of(case: Case, port: int, *, backoff: Backoff | None = None, dial: Any = None, **settings: Any) -> Any:
    adapter = World(case).adapter
    known = {"api_key": "test-key", "connector_uuid": "test-connector", **settings}
    config = adapter.TelcoflowClientConfig.sandbox(base_url=f"ws://127.0.0.1:{port}", **known)
    return adapter.TelcoflowClient(config, backoff=backoff, dial=dial)


async def answered(service: Service, client: Any, port: int) -> tuple[Any, ServiceCall]:
    """A call that is answered, its media on the same port."""
    calls = taking(client)
    there = await service.announce_call(url=f"ws://127.0.0.1:{port}/media/{len(service.calls)}")
    await until(lambda: calls, within=5)
    await calls[0].answer()
    return calls[0], there


async def talks(call: Any, there: ServiceCall, word: bytes = b"\1\1") -> None:
    """Both hear each other."""
    heard = len(there.heard)
    there.say(word)
    assert await anext(aiter(call.audio_stream())) == word
    there.want(960)
    await call.send_audio(word * 480)
    await there.has_heard(heard + 960)


# ---------------------------------------------------------------------- resets, backlogs, buffers


async def test_D46_a_reset_of_either_connection_is_told_as_its_loss(case: Case) -> None:
    async with serving_plain() as (service, port, streams):
        with ChaosProxy(port) as proxy:
            async with client_of(case, proxy.port, backoff=_SOON) as client:
                call, there = await answered(service, client, proxy.port)
                await talks(call, there)
                control, media = proxy.pairs
                for end in media:
                    abort(end)
                assert await call.wait_ended() == "connection lost"
                assert isinstance(await outcome(call.answer), WSSError)
                lost: list[Any] = []
                client.register_event_handler("connection.lost", lost.append)
                for end in control:
                    abort(end)
                await until(lambda: lost, within=5)
                assert "reset" in lost[0].reason.lower() or "without a close" in lost[0].reason
                await service.connected(2)
                assert len(streams) == 3


async def test_D46_a_close_with_unread_data_is_told_as_a_loss(case: Case) -> None:
    async with serving_plain() as (service, port, _):
        with ChaosProxy(port) as proxy:
            async with client_of(case, proxy.port) as client:
                call, there = await answered(service, client, proxy.port)
                there.want(96_000)
                await anyio.sleep(0.1)
                proxy.partition()
                await call.send_audio(bytes(96_000))
                await anyio.sleep(0.1)
                near, _ = proxy.pairs[1]
                near.close()  # with data in its buffer nobody took: the kernel resets
                proxy.heal()
                assert await call.wait_ended() == "connection lost"
                assert client.state is ClientState.READY


async def relay_call(client: Any, gateway: Gateway) -> tuple[list[Exception], Any]:
    """A short RELAY call that goes on after a loss; what failed on the way."""
    failed: list[Exception] = []
    calls: list[Any] = []
    client.on_call(calls.append)
    there = await gateway.relay.place_call(context="office")
    await until(lambda: calls, within=5)
    for act in (calls[0].answer, lambda: calls[0].play(SHORT), calls[0].hangup):
        result = await outcome(act)
        if isinstance(result, Exception):
            failed.append(result)
            await until(lambda: client.state is ClientState.READY, within=5)
    if there.state != "ended":
        await calls[0].hangup()  # the first one was cut off before it was heard
    return failed, await calls[0].wait_for_ended(5)


async def test_D26_a_relay_reset_at_some_bytes_of_the_service_is_mended(case: Case) -> None:
    module = importlib.import_module(f"{case.module}.relay")
    at_once = Backoff(first=0.01, ceiling=0.02)
    broken = 0
    with anyio.fail_after(30):
        async with Gateway(speed=20) as gateway:
            with ChaosProxy(int(gateway.relay_host.rsplit(":", 1)[1])) as proxy:
                for cut in range(0, 3000, 300):
                    proxy.breaks_after = cut
                    host = f"127.0.0.1:{proxy.port}"
                    client = module.RelayClient(
                        "test-project", "test-token", host=host, scheme="ws", contexts=["office"], backoff=at_once
                    )
                    if isinstance(error := await outcome(client.connect), Exception):
                        assert isinstance(error, RelayConnectionError), cut  # who does not run is told, and tries again
                        broken += 1
                        continue
                    failed, ended = await relay_call(client, gateway)
                    assert all(isinstance(error, RelayConnectionError) for error in failed), (cut, failed)
                    assert ended.params["end_reason"] in {"hangup", "notFound"}
                    assert client.calls == []
                    broken += client.statistics().connections - 1
                    await client.disconnect()
    assert broken >= 5


async def test_D46_a_full_backlog_is_a_connection_that_cannot_be_opened(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{case.module}._dial.CONNECT_WITHIN", 0.3)
    with listener(backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        await anyio.sleep(0.05)
        error = await outcome(client_of(case, port).connect)
        assert isinstance(error, WSSConnectionError)
        assert "no answer within" in str(error)
        for one in waiting:
            one.close()


async def test_D46_a_listener_that_never_accepts_is_given_up(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(websocket._OPENING_WITHIN, Role.CLIENT, 0.3)  # noqa: SLF001 - ten seconds are for real life
    with listener(backlog=8) as silent:
        error = await outcome(client_of(case, silent.getsockname()[1]).connect)
        assert isinstance(error, WSSConnectionError)
        assert "upgrade" in str(error)


@contextmanager
def listener(*, backlog: int) -> Iterator[socket.socket]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen(backlog)
        yield one


async def test_D48_the_smallest_buffers_fill_our_queue_only(case: Case) -> None:
    def shrink(raw: Any) -> None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)

    async def anyio_dial(url: Any) -> Any:
        stream = await anyio.connect_tcp(url.address, url.port)
        shrink(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 - not Django's
        return stream

    async def trio_dial(url: Any) -> Any:
        stream = await trio.open_tcp_stream(url.address, url.port)
        shrink(stream.socket)
        return stream

    dial = trio_dial if case.module == "telcoflow_trio" else anyio_dial
    async with serving_plain() as (service, port, _):
        with ChaosProxy(port, receive_buffer=2048) as proxy:
            async with client_of(case, proxy.port, dial=dial, buffer_size=480_000) as client:
                call, there = await answered(service, client, proxy.port)
                there.want(96_000)
                await anyio.sleep(0.1)
                proxy.partition()
                result: Any = None
                for _ in range(100):
                    result = await outcome(call.send_audio, bytes(9600))
                    await anyio.sleep(0.001)
                assert isinstance(result, BufferFullError)
                statistics = call.statistics()
                assert statistics.bytes_queued <= 480_000
                assert statistics.bytes_sent <= 96_000, "no more than was asked for"
                proxy.heal()
                assert len(await there.has_heard(statistics.bytes_sent)) >= statistics.bytes_sent
                begun = anyio.current_time()
            assert anyio.current_time() - begun <= 3


# ---------------------------------------------------------------------- a proxy that misbehaves


async def test_D28_segments_of_one_byte_and_stalls_lose_nothing(case: Case) -> None:
    async with serving_plain() as (service, port, _):
        with ChaosProxy(port, segment=1) as proxy:
            async with client_of(case, proxy.port) as client:
                call, there = await answered(service, client, proxy.port)
                for number in range(1, 4):
                    proxy.partition()
                    await anyio.sleep(0.1)
                    proxy.heal()
                    await talks(call, there, bytes([number, number]))
                assert there.faults == []
                assert await call.close()


@ONE_CASE
async def test_D28_a_partition_of_three_seconds_is_survived(case: Case) -> None:
    async with serving_plain() as (service, port, _):
        with ChaosProxy(port) as proxy:
            async with client_of(case, proxy.port) as client:
                call, there = await answered(service, client, proxy.port)
                proxy.partition()
                there.say(b"\5\5")
                await anyio.sleep(3)
                proxy.heal()
                assert await anext(aiter(call.audio_stream())) == b"\5\5"
                await talks(call, there)
                assert len(service.attempts) == 1


# ---------------------------------------------------------------------- a gateway in a process of its own


@final
class Process:
    """``python -m telcoflow_anyio gateway`` on a port that stays the same."""

    def __init__(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "telcoflow_anyio", "gateway", "--port", str(port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"serving on \S+:(\d+)", line):
                self.port = int(found[1])
                break
        self.listening_since = time.monotonic()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def gateway_process() -> Iterator[list[Process]]:
    """One gateway; the test may add more to the list. All are ended."""
    started = [Process()]
    try:
        yield started
    finally:
        for one in started:
            one.end()


@ONE_CASE
async def test_D45_a_gateway_that_was_stopped_for_three_seconds_is_alive_and_one_that_stays_stopped_is_lost(
    case: Case, figure: Figure
) -> None:
    with gateway_process() as (gateway,), anyio.fail_after(40):
        async with client_of(case, gateway.port) as client:
            calls = taking(client)
            await until(lambda: calls, within=10)
            await calls[0].answer()
            gateway.send(signal.SIGSTOP)
            await anyio.sleep(3)
            gateway.send(signal.SIGCONT)
            assert len(await anext(aiter(calls[0].audio_stream()))) > 0
            assert calls[0].state is CallState.ANSWERED
            gateway.send(signal.SIGSTOP)
            begun = anyio.current_time()
            assert await calls[0].wait_ended() == "connection lost"
            took = anyio.current_time() - begun
            assert took <= 10.5
            figure("D45: until a stopped gateway is told on media, s", took)


@ONE_CASE
async def test_D50_a_gateway_killed_in_the_middle_of_audio_is_found_again(case: Case, figure: Figure) -> None:
    with gateway_process() as started, anyio.fail_after(40):
        port = started[0].port
        async with client_of(case, port, backoff=Backoff(ceiling=1.5)) as client:
            calls = taking(client)
            await until(lambda: calls, within=10)
            await calls[0].answer()
            assert await anext(aiter(calls[0].audio_stream()))
            restored: list[float] = []
            client.register_event_handler("connection.restored", lambda: restored.append(time.monotonic()))
            started[0].send(signal.SIGKILL)
            assert await calls[0].wait_ended() == "connection lost"
            started.append(await anyio.to_thread.run_sync(Process, port))
            await until(lambda: restored, within=10)
            took = restored[0] - started[1].listening_since
            assert took <= 2.0
            figure("D50: until the client is back after a restart, s", max(took, 0.0))
            await until(lambda: len(calls) == 2, within=10)
            assert await calls[1].answer()


EXHAUST = """
import importlib, os, resource, sys
module, loop, port = sys.argv[1:]
adapter = importlib.import_module(module)
runner = importlib.import_module("anyio" if loop == "asyncio" else "trio")

async def main():
    config = adapter.TelcoflowClientConfig.sandbox(api_key="k", connector_uuid="c", base_url="ws://127.0.0.1:" + port)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    try:
        await adapter.TelcoflowClient(config).connect()
    except adapter.exceptions.WSSConnectionError as error:
        print("refused:", error)
    for one in taken:
        os.close(one)
    async with adapter.TelcoflowClient(config) as client:
        print("connected:", client.state.value)

runner.run(main)
"""


async def test_D51_without_file_descriptors_it_cannot_connect_says_so_and_can_when_there_are_some(case: Case) -> None:
    async with serving_plain() as (_, port, _streams):
        loop = "trio" if case.module == "telcoflow_trio" else "asyncio"
        command = [sys.executable, "-c", EXHAUST, case.module, loop, str(port)]
        done = await anyio.run_process(command, cwd=ROOT, check=False)
        said = done.stdout.decode()
        assert "refused: " in said, done.stderr.decode()
        assert "Too many open files" in said
        assert "connected: ready" in said


# ---------------------------------------------------------------------- redirects and proxies


@asynccontextmanager
async def counting_listener() -> AsyncIterator[tuple[int, list[Any]]]:
    """A listener that counts who comes."""
    seen: list[Any] = []

    async def count(stream: Any) -> None:
        seen.append(stream)
        await stream.aclose()

    async with listening() as (plain, port), anyio.create_task_group() as group:
        group.start_soon(plain.serve, count)
        yield port, seen
        group.cancel_scope.cancel()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_D53_a_redirect_of_control_or_media_leads_nowhere(case: Case, status: int) -> None:
    async with serving_plain() as (service, port, _), counting_listener() as (second, seen):
        redirect = http(status, Location=f"ws://127.0.0.1:{second}{CONTROL_PATH}")
        async with client_of(case, port) as client:
            calls = taking(client)
            await service.announce_call(url=f"ws://127.0.0.1:{port}/media/1", upgrade=redirect)
            await until(lambda: calls, within=5)
            error = await outcome(calls[0].answer)
            assert isinstance(error, WSSMediaError)
            assert str(status) in str(error)
        service.upgrade = [redirect]
        assert isinstance(await outcome(client_of(case, port).connect), WSSConnectionError)
        assert seen == []


async def test_D53_a_redirect_of_http_leads_nowhere(case: Case) -> None:
    async with counting_listener() as (second, seen):

        async def redirect(stream: Any) -> None:
            async with stream:
                await stream.receive()
                location = f"http://127.0.0.1:{second}/public/v1/sessions"
                await stream.send(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

        async with listening() as (plain, port), anyio.create_task_group() as group:
            group.start_soon(plain.serve, redirect)
            with anyio.fail_after(10):
                assert isinstance(await outcome(client_of(case, port).list_sessions), WSSError)
            group.cancel_scope.cancel()
        assert seen == []


async def test_D54_proxies_of_the_environment_are_ignored(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Gateway() as gateway, counting_listener() as (second, seen):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{second}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        port = int(gateway.base_url.rsplit(":", 1)[1])
        with anyio.fail_after(15):
            async with client_of(case, port) as client:
                assert await client.list_sessions() == []
                assert client.state is ClientState.READY
        assert seen == []


# ---------------------------------------------------------------------- TLS


async def test_D34_an_answer_cancelled_during_the_tls_handshake_can_be_tried_again(
    case: Case, ca: trustme.CA, trusted: str
) -> None:
    async with service_with(serving(ca.issue_cert("localhost"))) as (service, port):
        with ChaosProxy(port) as proxy:
            adapter, config = tls.settings(case, proxy.port, ca_path=trusted)
            async with adapter.TelcoflowClient(config) as client:
                calls = taking(client)
                there = await service.announce_call(url=f"wss://localhost:{proxy.port}/media/1")
                await until(lambda: calls, within=5)
                proxy.partition()
                with anyio.move_on_after(0.2) as scope:
                    await calls[0].answer()
                assert scope.cancelled_caught
                proxy.heal()
                assert await calls[0].answer()
                assert there.said == ["call.answer"]


async def test_D49_certificates_that_were_rotated_are_used_by_the_next_connection(
    case: Case, ca: trustme.CA, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    context = serving(ca.issue_cert("localhost"))
    async with service_with(context) as (service, port):
        with ChaosProxy(port) as proxy:
            adapter, config = tls.settings(case, proxy.port, ca_path=str(path))
            async with adapter.TelcoflowClient(config, backoff=_SOON) as client:
                renewed = trustme.CA()
                renewed.issue_cert("localhost").configure_cert(context)
                renewed.cert_pem.write_to_path(path)
                proxy.reset()
                await service.connected(2)
                await until(lambda: client.state is ClientState.READY, within=5)


async def test_peer_N11_the_client_certificate_and_the_private_ca_are_used_for_media_too(
    case: Case, ca: trustme.CA, trusted: str, tmp_path: Path
) -> None:
    await tls.test_a_client_certificate_opens_control_and_media(case, ca, trusted, tmp_path)


async def test_D30_a_tls_handshake_that_fails_is_told_and_not_repeated(case: Case, ca: trustme.CA) -> None:
    async with service_with(serving(ca.issue_cert("localhost"))) as (service, port):
        error = await tls.enter(*tls.settings(case, port))
        assert isinstance(error, WSSConnectionError)
        await anyio.sleep(1.2)
        assert service.attempts == []


# ---------------------------------------------------------------------- strangers, and others' code


UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
STRANGERS = {
    "a drip": b"G",
    "half a head": b"GET /v1/agent/session-manager HTTP/1.1\r\nHost:",
    "no HTTP": b"\x82\x05hello",
    "another path": UPGRADE % b"/elsewhere",
    "no credentials": UPGRADE % b"/v1/agent/session-manager",
    "another token": UPGRADE % b"/media/1",
}


@contextmanager
def strangers(port: int, words: bytes, *, count: int = 50) -> Iterator[None]:
    """Connect that often, say something that is no good, and stay."""
    idle = [socket.socket() for _ in range(count)]
    for one in idle:
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        select.select([], [one], [], 5)
        one.send(words)
    try:
        yield
    finally:
        for one in idle:
            one.close()


async def honest_client_is_served(case: Case, gateway: Gateway, port: int) -> None:
    with anyio.fail_after(15):
        assert isinstance(await outcome(client_of(case, port, api_key="guessed").connect), WSSError)
        async with client_of(case, port) as client:
            calls = taking(client)
            await gateway.place_call()
            await until(lambda: calls, within=5)
            assert await calls[0].answer()


@pytest.mark.parametrize("kind", STRANGERS)
async def test_D55_strangers_do_not_keep_an_honest_client_out(case: Case, kind: str) -> None:
    async with Gateway() as gateway:
        port = int(gateway.base_url.rsplit(":", 1)[1])
        with strangers(port, STRANGERS[kind]):
            await honest_client_is_served(case, gateway, port)


async def test_D55_a_frame_behind_an_upgrade_that_is_turned_away_harms_nobody_else(case: Case) -> None:
    async with Gateway() as gateway:
        port = int(gateway.base_url.rsplit(":", 1)[1])
        with strangers(port, STRANGERS["another path"] + b"\x82\x05hello"):
            await honest_client_is_served(case, gateway, port)


@ONE_CASE
async def test_D56_a_server_of_the_websockets_library_and_our_client_understand_each_other(case: Case) -> None:
    heard: list[str | bytes] = []

    async def serve(connection: Any) -> None:
        heard.append(await connection.recv())
        await connection.send('{"type":"setup.done","smWsId":"w1"}')
        await connection.wait_closed()

    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with anyio.fail_after(10):
            async with client_of(case, port) as client:
                assert client.state is ClientState.READY
    assert '"setup"' in str(heard[0])


# ---------------------------------------------------------------------- a cable between two namespaces

CABLE = """
import os, subprocess, sys, time, anyio
sys.path.insert(0, os.getcwd())
from telcoflow_anyio import TelcoflowClient, TelcoflowClientConfig
from telcoflow_proto.client_table import ClientState

def run(*command):
    subprocess.run(command, check=True, capture_output=True)

GATEWAY = '''
import anyio, sys
from telcoflow_anyio.gateway import Caller, Gateway, Voice
async def main():
    sys.stdin.readline()
    async with Gateway(host="10.9.0.2", port=8080) as gateway:
        print("up", flush=True)
        while True:
            await gateway.wait_for_agents(1)
            await gateway.place_call(Caller(voice=Voice.tone(440, 60)))
            await anyio.sleep(60)
anyio.run(main)
'''
inner = subprocess.Popen(["unshare", "-n", sys.executable, "-c", GATEWAY], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
try:
    time.sleep(0.5)
    run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    run("ip", "link", "set", "v1", "netns", str(inner.pid))
    run("ip", "addr", "add", "10.9.0.1/24", "dev", "v0")
    run("ip", "link", "set", "v0", "up")
    enter = ["nsenter", "-t", str(inner.pid), "-n"]
    run(*enter, "ip", "addr", "add", "10.9.0.2/24", "dev", "v1")
    run(*enter, "ip", "link", "set", "v1", "up")
    inner.stdin.write("go\\n"); inner.stdin.flush()
    assert inner.stdout.readline() == "up\\n"

    async def main():
        config = TelcoflowClientConfig.sandbox(api_key="test-key", connector_uuid="test-connector",
                                               base_url="ws://10.9.0.2:8080", allow_plaintext=True)
        calls = []
        async with TelcoflowClient(config) as client:
            client.register_event_handler("call.new", calls.append)
            with anyio.fail_after(10):
                while not calls:
                    await anyio.sleep(0.01)
            call = calls[0]
            await call.answer()
            stream = aiter(call.audio_stream())
            assert await anext(stream)
            run(*enter, "ip", "link", "set", "v1", "down")
            await anyio.sleep(2)
            run(*enter, "ip", "link", "set", "v1", "up")
            with anyio.fail_after(5):
                for _ in range(120):
                    await anext(stream)
            print("survived 2 s, the call is", call.state.value, flush=True)
            run(*enter, "ip", "link", "set", "v1", "down")
            begun = anyio.current_time()
            reason = await call.wait_ended()
            print("lost after %.1f s: %s" % (anyio.current_time() - begun, reason), flush=True)

    anyio.run(main)
finally:
    inner.kill()
    inner.communicate()
"""


@ONE_CASE
async def test_D47_a_cable_that_is_pulled_is_noticed_and_one_that_is_put_back_is_survived(
    case: Case, figure: Figure
) -> None:
    try:
        possible = subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"], check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare or ip on this machine")
    if possible.returncode:
        pytest.skip(f"no network namespaces for this user: {possible.stderr.decode().strip()}")
    with anyio.fail_after(40):
        done = await anyio.run_process(["unshare", "-rn", sys.executable, "-c", CABLE], cwd=ROOT, check=False)
    said = done.stdout.decode()
    assert "survived 2 s, the call is answered" in said, done.stderr.decode()[-1500:]
    found = re.search(r"lost after ([\d.]+) s: connection lost", said)
    assert found is not None, said
    assert float(found[1]) <= 10.5
    figure("D47: until a pulled cable is told on media, s", float(found[1]))


# ---------------------------------------------------------------------- a bad wire between two namespaces

WIRE = """
import fcntl, os, random, socket, struct, subprocess, sys, threading, time, anyio
sys.path.insert(0, os.getcwd())
from telcoflow_anyio import TelcoflowClient, TelcoflowClientConfig

COMMON = '''
import fcntl, os, struct, subprocess
def tunnel(address):
    number = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(number, 0x400454CA, struct.pack("16sH", b"wire", 0x1001))  # TUNSETIFF: IFF_TUN, IFF_NO_PI
    for command in (["addr", "add", address, "dev", "wire"], ["link", "set", "wire", "up"]):
        subprocess.run(["ip", *command], check=True)
    return number
'''
GATEWAY = COMMON + '''
import anyio, socket, sys, threading
sys.path.insert(0, os.getcwd())
from telcoflow_anyio.gateway import Caller, Gateway, Voice
end, packets = tunnel("10.9.0.2/24"), socket.socket(fileno=int(sys.argv[1]))
def up():
    while True:
        packets.send(os.read(end, 2048))
def down():
    while packet := packets.recv(2048):
        os.write(end, packet)
for pump in (up, down):
    threading.Thread(target=pump, daemon=True).start()
async def main():
    async with Gateway(host="10.9.0.2", port=8080) as gateway:
        print("up", flush=True)
        await gateway.wait_for_agents(1)
        await gateway.place_call(Caller(voice=Voice.ramp(60)))
        await anyio.sleep_forever()
anyio.run(main)
'''
exec(COMMON)
end = tunnel("10.9.0.1/24")
packets, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
inner = subprocess.Popen(["unshare", "-n", sys.executable, "-c", GATEWAY, str(theirs.fileno())],
                         pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, text=True)
chance, bad, dropped = random.Random(47), {"lost": 0.0, "bits": 0.0}, 0

def carry(take, give):
    global dropped
    free_at = 0.0
    while True:
        packet = take()
        now = time.monotonic()
        if chance.random() < bad["lost"]:
            dropped += 1
            continue
        if bad["bits"]:
            free_at = max(free_at, now) + 8 * len(packet) / bad["bits"]
            time.sleep(max(0.0, free_at - now))
        give(packet)

def from_client():
    return os.read(end, 2048)

def to_client(packet):
    os.write(end, packet)

for pump in ((from_client, packets.send), (lambda: packets.recv(2048), to_client)):
    threading.Thread(target=carry, args=pump, daemon=True).start()
try:
    assert inner.stdout.readline() == "up\\n"

    async def main():
        config = TelcoflowClientConfig.sandbox(api_key="test-key", connector_uuid="test-connector",
                                               base_url="ws://10.9.0.2:8080", allow_plaintext=True)
        calls = []
        async with TelcoflowClient(config) as client:
            client.register_event_handler("call.new", calls.append)
            with anyio.fail_after(10):
                while not calls:
                    await anyio.sleep(0.01)
            call = calls[0]
            await call.answer()
            heard = bytearray()

            async def listen():
                async for chunk in call.audio_stream():
                    heard.extend(chunk)

            async with anyio.create_task_group() as group:
                group.start_soon(listen)
                for name, how in (("loss", {"lost": 0.2, "bits": 0.0}), ("narrow", {"lost": 0.0, "bits": 64000.0})):
                    bad.update(how)
                    before, drops = len(heard), dropped
                    await anyio.sleep(4)
                    print(name, call.state.value, len(heard) - before, dropped - drops, flush=True)
                bad.update(lost=0.0, bits=0.0)
                before = len(heard)
                with anyio.fail_after(10):
                    while len(heard) < before + 48000:
                        await anyio.sleep(0.01)
                group.cancel_scope.cancel()
            print("healed", call.state.value, flush=True)

    anyio.run(main)
finally:
    inner.kill()
    inner.communicate()
"""


@ONE_CASE
async def test_D47_a_wire_that_loses_a_fifth_or_is_too_narrow_delays_the_audio_and_ends_no_call(case: Case) -> None:
    try:
        possible = subprocess.run(
            ["unshare", "-rn", "ip", "tuntap", "add", "wire", "mode", "tun"], check=False, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare or ip on this machine")
    if possible.returncode:
        pytest.skip(f"no tunnels in a network namespace for this user: {possible.stderr.decode().strip()}")
    with anyio.fail_after(60):
        done = await anyio.run_process(["unshare", "-rn", sys.executable, "-c", WIRE], cwd=ROOT, check=False)
    said = done.stdout.decode()
    told = said + done.stderr.decode()[-1500:]
    assert re.search(r"loss answered [1-9]\d* [1-9]", said), told  # audio came through, and packets were lost
    assert re.search(r"narrow answered [1-9]\d* 0", said), told
    assert "healed answered" in said, told
