"""TLS on real sockets: control and media under one policy, and no way around it."""

# mypy: disable-error-code="truthy-bool"

import datetime as dt
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio.streams.tls import TLSListener

from telcoflow_proto.exceptions import WSSConnectionError, WSSMediaError
from tests.adapters.acts import outcome, taking, until
from tests.world.net import Net
from tests.world.service import Service
from tests.world.world import Case, World


@pytest.fixture
def anyio_backend(case: Case) -> tuple[str, dict[str, Any]]:
    return case.backend, {}


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path) -> str:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Any, int]]:
    """Listen on a real port."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as plain:
        yield plain, plain.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's


@asynccontextmanager
async def service_with(context: ssl.SSLContext | None) -> AsyncIterator[tuple[Service, int]]:
    """Serve on a real port, over TLS or not."""
    with anyio.fail_after(15):
        async with listening() as (plain, port), anyio.create_task_group() as group:
            service = Service(Net())
            service.open(group)

            async def serve(stream: Any) -> None:
                await service.serve(stream)

            listener = plain if context is None else TLSListener(plain, context, standard_compatible=False)
            group.start_soon(listener.serve, serve)
            yield service, port
            group.cancel_scope.cancel()


def settings(case: Case, port: int, *, secure: bool = True, **more: Any) -> Any:
    world = World(case)
    kind = world.adapter.TelcoflowClientConfig
    base_url = f"{'wss' if secure else 'ws'}://localhost:{port}"
    if "cert_path" in more:
        return world.adapter, kind.production(base_url=base_url, **more)
    return world.adapter, kind.sandbox(api_key="k", connector_uuid="c", base_url=base_url, **more)


async def enter(adapter: Any, config: Any) -> Any:
    async def run() -> None:
        async with adapter.TelcoflowClient(config):
            pass

    return await outcome(run)


async def test_a_trusted_service_carries_control_and_media(case: Case, ca: trustme.CA, trusted: str) -> None:
    async with service_with(serving(ca.issue_cert("localhost"))) as (service, port):
        adapter, config = settings(case, port, ca_path=trusted)
        async with adapter.TelcoflowClient(config) as client:
            calls = taking(client)
            there = await service.announce_call(url=f"wss://localhost:{port}/media/1")
            await until(lambda: calls, within=5)
            await calls[0].answer()
            there.say(b"\1\1")
            assert await anext(aiter(calls[0].audio_stream())) == b"\1\1"
            there.want(960)
            await calls[0].send_audio(bytes(960))
            assert await there.has_heard(960) == bytes(960)
            await calls[0].close()


async def test_a_service_nobody_vouches_for_is_refused(case: Case, ca: trustme.CA) -> None:
    async with service_with(serving(ca.issue_cert("localhost"))) as (service, port):
        error = await enter(*settings(case, port))
        assert isinstance(error, WSSConnectionError)
        assert "certificate verify failed" in str(error).lower()
        assert service.attempts == []


@pytest.mark.parametrize("flaw", ["other name", "expired"])
async def test_a_certificate_with_a_flaw_is_refused(case: Case, ca: trustme.CA, trusted: str, flaw: str) -> None:
    past = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    certificate = (
        ca.issue_cert("elsewhere.example")
        if flaw == "other name"
        else ca.issue_cert("localhost", not_before=past, not_after=past + dt.timedelta(days=1))
    )
    async with service_with(serving(certificate)) as (service, port):
        error = await enter(*settings(case, port, ca_path=trusted))
        assert isinstance(error, WSSConnectionError)
        assert "certificate" in str(error).lower()
        assert service.attempts == []


async def test_an_outdated_tls_is_refused(case: Case, ca: trustme.CA, trusted: str) -> None:
    context = serving(ca.issue_cert("localhost"))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    async with service_with(context) as (service, port):
        assert isinstance(await enter(*settings(case, port, ca_path=trusted)), WSSConnectionError)
        assert service.attempts == []


async def test_a_client_certificate_opens_control_and_media(
    case: Case, ca: trustme.CA, trusted: str, tmp_path: Path
) -> None:
    context = serving(ca.issue_cert("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    agent = ca.issue_cert("agent.example")
    agent.private_key_pem.write_to_path(tmp_path / "key.pem")
    agent.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    paths: dict[str, Any] = {"cert_path": str(tmp_path / "cert.pem"), "key_path": str(tmp_path / "key.pem")}
    async with service_with(context) as (service, port):
        without = await enter(*settings(case, port, ca_path=trusted))
        assert isinstance(without, WSSConnectionError)
        assert service.attempts == []
        adapter, config = settings(case, port, ca_path=trusted, **paths)
        async with adapter.TelcoflowClient(config) as client:
            calls = taking(client)
            assert "x-api-key" not in service.control.headers
            await service.announce_call(url=f"wss://localhost:{port}/media/1")
            await until(lambda: calls, within=5)
            assert await calls[0].answer()
            await calls[0].close()


async def test_media_is_held_to_the_same_policy(case: Case, ca: trustme.CA, trusted: str) -> None:
    context = serving(ca.issue_cert("localhost"))
    async with service_with(context) as (service, port):
        adapter, config = settings(case, port, ca_path=trusted)
        async with adapter.TelcoflowClient(config) as client:
            calls = taking(client)
            await service.announce_call(url=f"ws://localhost:{port}/media/1")
            there = await service.announce_call(url=f"wss://localhost:{port}/media/2")
            await until(lambda: calls, within=5)
            trustme.CA().issue_cert("localhost").configure_cert(context)
            assert isinstance(await outcome(calls[0].answer), WSSMediaError)
            assert len(calls) == 1
            assert there.media_attempts == 0


async def test_a_broken_certificate_file_is_told_like_any_failed_connection(
    case: Case, ca: trustme.CA, tmp_path: Path
) -> None:
    (tmp_path / "broken.pem").write_text("nothing")
    async with service_with(serving(ca.issue_cert("localhost"))) as (service, port):
        error = await enter(*settings(case, port, ca_path=str(tmp_path / "broken.pem")))
        assert isinstance(error, WSSConnectionError)
        assert service.attempts == []


async def test_plain_sockets_work_and_a_closed_port_is_told(case: Case) -> None:
    adapter, _ = settings(case, 1)
    with anyio.fail_after(15):
        async with listening() as (plain, port), anyio.create_task_group() as group:
            service = Service(Net())
            service.open(group)
            group.start_soon(plain.serve, service.serve)
            kind = adapter.TelcoflowClientConfig
            config = kind.sandbox(api_key="k", connector_uuid="c", base_url=f"ws://127.0.0.1:{port}")
            assert await enter(adapter, config) is None
            group.cancel_scope.cancel()
        error = await enter(adapter, config)
        assert isinstance(error, WSSConnectionError)
        assert f"127.0.0.1:{port}" in str(error)


async def test_a_tls_handshake_nobody_answers_is_given_up_and_its_socket_closed(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{case.module}._dial.CONNECT_WITHIN", 0.1)
    gone = anyio.Event()

    async def listen(stream: Any) -> None:
        async with stream:
            async for _ in stream:
                pass
        gone.set()

    with anyio.fail_after(15):
        async with listening() as (plain, port), anyio.create_task_group() as group:
            group.start_soon(plain.serve, listen)
            error = await enter(*settings(case, port))
            assert isinstance(error, WSSConnectionError)
            assert "no answer within" in str(error)
            await gone.wait()
            group.cancel_scope.cancel()


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_a_connection_that_ends_during_the_tls_handshake_is_told(case: Case, how: str) -> None:
    async def hang_up(stream: Any) -> None:
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - not Django's
        if how == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            await stream.receive()
        await stream.aclose()

    with anyio.fail_after(15):
        async with listening() as (plain, port), anyio.create_task_group() as group:
            group.start_soon(plain.serve, hang_up)
            assert isinstance(await enter(*settings(case, port)), WSSConnectionError)
            group.cancel_scope.cancel()
