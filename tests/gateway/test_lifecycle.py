"""Starting and stopping: leaving the gateway ends everything, whatever its agents do."""

import json
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
import trustme

from telcoflow_anyio.gateway import Callee, Caller, Gateway
from telcoflow_anyio.gateway.sockets import break_connections
from telcoflow_proto.door import ConnectionLost
from tests.gateway.agent import agent, claim, media, serving


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"sample_rate": 44100}, "sample_rate must be one of"),
        ({"speed": 0}, "speed must be above 0"),
        ({"prefetch": 0.01}, "prefetch at least"),
        ({"certfile": "a.pem"}, "TLS needs certfile and keyfile"),
        ({"client_ca": "a.pem"}, "client_ca needs TLS"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Gateway(**options)


async def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, anyio.fail_after(5), pytest.raises(OSError, match="in use"):
        async with Gateway(port=taken.getsockname()[1]):
            pass


async def test_unusable_certificates_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("not a certificate")
    with anyio.fail_after(5), pytest.raises(ssl.SSLError):
        async with Gateway(certfile=tmp_path / "a.pem", keyfile=tmp_path / "a.pem"):
            pass


async def test_an_ipv6_gateway_has_brackets_in_its_url() -> None:
    async with serving(host="::1") as gateway:
        assert gateway.base_url.startswith("ws://[::1]:")
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(gateway.base_url.replace("ws", "http") + "/healthz")).text == "ok"


async def test_leaving_says_goodbye_to_agents() -> None:
    lines: list[str] = []
    codes: list[int] = []
    answered = anyio.Event()

    async def one_agent(gateway: Gateway) -> None:
        async with agent(gateway) as control:
            await gateway.place_call()
            async with media(await claim(control)) as line:
                await line.say("answer")
                answered.set()
                codes.append((await line.next(ConnectionLost)).code)
                codes.append((await control.next(ConnectionLost)).code)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, Gateway(tell=lines.append) as gateway:
            tasks.start_soon(one_agent, gateway)
            await answered.wait()
    assert codes == [1001, 1001]
    assert any(line.endswith("answered") for line in lines)


async def test_an_error_in_the_body_comes_out_as_it_is() -> None:
    with anyio.fail_after(5), pytest.raises(KeyError, match="mine"):
        async with Gateway():
            raise KeyError("mine")


async def test_an_error_in_a_callback_comes_out_of_the_gateway() -> None:
    def tell(line: str) -> None:
        if "answered" in line:
            raise KeyError("mine")

    def dial(number: str) -> Callee:
        raise KeyError(number)

    async def call_out(gateway: Gateway) -> None:
        async with agent(gateway) as control:
            await control.say("create_session", channel="TELCO", remote_address="mine")

    async def answer(gateway: Gateway) -> None:
        async with agent(gateway) as control:
            await gateway.place_call()
            async with media(await claim(control)) as line:
                await line.say("answer")

    async def run(misbehave: Callable[[Gateway], Coroutine[object, object, None]]) -> None:
        async with Gateway(tell=tell) as gateway:
            gateway.on_dial = dial
            tasks.start_soon(misbehave, gateway)
            await anyio.sleep_forever()

    for misbehave in (call_out, answer):
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                with pytest.raises(KeyError, match="mine"):
                    await run(misbehave)
                tasks.cancel_scope.cancel()


async def test_an_error_in_the_network_comes_out_of_the_gateway() -> None:
    def tell(line: str) -> None:
        if "over" in line:
            raise KeyError("mine")

    async def run() -> None:
        async with Gateway(tell=tell) as gateway:
            await gateway.place_call(Caller(hangs_up_after=0))
            await anyio.sleep_forever()

    with anyio.fail_after(5), pytest.raises(KeyError, match="mine"):
        await run()


async def test_a_cancelled_body_leaves_as_fast() -> None:
    with anyio.fail_after(5):
        with anyio.move_on_after(0.05) as scope:
            async with Gateway() as gateway:
                await gateway.wait_for_agents(1)
        assert scope.cancelled_caught


async def test_agents_that_hang_do_not_keep_the_gateway() -> None:
    """One agent that does nothing at all, and one that stopped reading long ago."""
    full = anyio.Event()

    async def deaf_agent(gateway: Gateway) -> None:
        async with agent(gateway) as control:
            call = await gateway.place_call()
            offer = await claim(control)
            async with await deaf_media(offer.url, offer.token):
                while not call.statistics().bytes_dropped:  # the ten seconds of the core are full too
                    await anyio.sleep(0.02)
                full.set()
                await anyio.sleep_forever()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            async with Gateway(speed=1000) as gateway:
                tasks.start_soon(deaf_agent, gateway)
                await full.wait()
                began = time.monotonic()
            assert time.monotonic() - began < 2
            tasks.cancel_scope.cancel()


async def deaf_media(url: str, token: str) -> anyio.abc.SocketStream:
    """Open a media connection, answer the call, and never read again."""
    host, port = url.split("/")[2].split(":")
    deaf = await anyio.connect_tcp(host, int(port))
    raw = deaf.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - no database here
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await deaf.send(
        f"GET /{url.split('/', 3)[3]} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    assert (await deaf.receive()).startswith(b"HTTP/1.1 101")
    answer = {"command_id": "1", "command": "call.answer", "timeout_ms": 9000}
    await deaf.send(text_frame(json.dumps({"type": "command", "data": answer})))
    return deaf


def text_frame(text: str) -> bytes:
    """One masked WebSocket text frame, of less than 126 bytes; the mask is zero."""
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text.encode()


async def test_only_connections_of_our_port_are_broken() -> None:
    async with serving() as gateway, serving() as other, agent(gateway) as first, agent(other) as second:
        port = int(gateway.base_url.rsplit(":", 1)[1])
        assert break_connections(port, peer=("127.0.0.1", 1)) == 0
        assert break_connections(port) == 1
        await first.next(ConnectionLost)
        await other.place_call()
        await claim(second)


async def test_everything_works_over_tls_with_client_certificates(tmp_path: Path) -> None:
    ca, stranger = trustme.CA(), trustme.CA()
    server = ca.issue_cert("localhost", "127.0.0.1")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.private_key_pem.write_to_path(tmp_path / "server.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")

    def context(issuer: trustme.CA) -> ssl.SSLContext:
        made = ssl.create_default_context()
        ca.configure_trust(made)
        issuer.issue_cert("agent@example.org").configure_cert(made)
        return made

    def tls(issuer: trustme.CA) -> dict[str, Any]:
        return {
            "tls": True,
            "ssl_context": context(issuer),
            "tls_hostname": "127.0.0.1",
            "tls_standard_compatible": False,
        }

    certificates = {
        "certfile": tmp_path / "server.pem",
        "keyfile": tmp_path / "server.key",
        "client_ca": tmp_path / "ca.pem",
    }
    async with serving(**certificates, require_api_key=False) as gateway:
        assert gateway.base_url.startswith("wss://")
        async with agent(gateway, tls=tls(ca), credentials=()) as control:
            await gateway.place_call(callee=None)
            offer = await claim(control)
            assert offer.url.startswith("wss://")
            async with media(offer, tls=tls(ca)) as line:
                await line.say("answer")
                await line.hears(960)
            async with httpx.AsyncClient(verify=context(ca), trust_env=False) as http:
                response = await http.get(gateway.base_url.replace("wss", "https") + "/public/v1/sessions")
                assert response.json() == {"items": []}
        async with agent(gateway, ready=False, tls=tls(stranger), credentials=()) as control:
            assert (await control.next(ConnectionLost)).error is not None
