"""RELAY clients on real sockets, through the gateway."""

import json
import os
import re
import time
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from telcoflow_anyio.gateway import Gateway, RelayCaller
from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.relay.connection import RelayClientConnection
from telcoflow_proto.relay.messages import Authenticated, Credentials, EventArrived, Replied, ServerLeaves
from telcoflow_proto.secret import Secret
from tests.gateway.agent import Wire, connected, serving
from tests.gateway.relay.client import GOOD
from tests.gateway.test_main import shell


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


def door(gateway: Gateway, path: str = "/", credentials: Credentials = GOOD) -> RelayClientConnection:
    return RelayClientConnection(
        url=parse_ws_url(f"ws://{gateway.relay_host}{path}"),
        credentials=credentials,
        contexts=["default"],
        entropy=os.urandom,
    )


async def told(wire: Wire, event_type: str, **members: Any) -> Any:
    def found() -> list[Any]:
        return [
            event.params
            for event in wire.of(EventArrived)
            if event.event_type == event_type and members.items() <= {k: event.params.get(k) for k in members}.items()
        ]

    await wire.until(lambda: bool(found()))
    return found()[-1]


async def ask(wire: Wire, method: str, **params: Any) -> Replied:
    id_ = wire.door.request(method, params, now=anyio.current_time())
    wire.settle()
    await wire.until(lambda: any(reply.request_id == id_ for reply in wire.of(Replied)))
    return next(reply for reply in wire.of(Replied) if reply.request_id == id_)


@pytest.mark.parametrize("path", ["/", "/api/relay/ws"])
async def test_a_call_over_real_sockets(path: str) -> None:
    async with serving() as gateway, connected(door(gateway, path)) as wire:
        await gateway.relay.wait_for_sessions(1)
        call = await gateway.relay.place_call(RelayCaller(presses=((5.0, "1"),)))
        received = await told(wire, "calling.call.receive")
        address = {"node_id": received["node_id"], "call_id": received["call_id"]}
        assert (await ask(wire, "calling.answer", **address)).result["code"] == "200"
        speech = [{"type": "tts", "params": {"text": "press one"}}]
        collect = {"digits": {"max": 1}, "initial_timeout": 30}
        await ask(wire, "calling.play_and_collect", **address, control_id="c", play=speech, collect=collect)
        collected = await told(wire, "calling.call.collect")
        assert collected["result"]["params"]["digits"] == "1"
        await ask(wire, "calling.end", **address, reason="hangup")
        assert call.state == "ended"
        assert any(entry.connection == "relay:1" for entry in gateway.log)


async def test_credentials_are_the_gateways() -> None:
    options: dict[str, Any] = {"relay_projects": {"p": "t"}, "relay_jwts": ("j",)}
    good = (Credentials(project=Secret("p"), token=Secret("t")), Credentials(jwt_token=Secret("j")))
    async with serving(**options) as gateway:
        for credentials in good:
            async with connected(door(gateway, credentials=credentials)) as wire:
                await wire.next(Authenticated)
        async with connected(door(gateway)) as wire:
            await wire.next(ConnectionLost)
            assert not wire.of(Authenticated)


async def test_a_gateway_that_closes_says_goodbye() -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            async with Gateway() as gateway:
                wire = Wire(door(gateway))
                wire.door.start(now=anyio.current_time())
                tasks.start_soon(wire.pump, await anyio.connect_tcp(wire.door.url.address, wire.door.url.port))
                await wire.next(Authenticated)
            assert (await wire.next(ServerLeaves)).restart is False
            assert (await wire.next(ConnectionLost)).code == 1001
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("code", [None, 1012])
async def test_connections_can_be_dropped(code: int | None) -> None:
    async with serving() as gateway, connected(door(gateway)) as wire:
        await wire.next(Authenticated)
        await gateway.relay.drop(code)
        assert (await wire.next(ConnectionLost)).code == (code or 1006)


async def dial_without_a_plan() -> None:
    def plan(device: object) -> Any:
        raise LookupError("nobody planned this")

    async with serving() as gateway, connected(door(gateway)) as wire:
        await wire.next(Authenticated)
        gateway.relay.on_dial = plan
        await ask(wire, "calling.dial", tag="t", devices=[[{"type": "phone", "params": {}}]])
        await anyio.sleep_forever()


async def test_what_a_plan_raises_comes_out_of_the_gateway() -> None:
    with pytest.raises(LookupError, match="nobody planned this"):
        await dial_without_a_plan()


async def test_nobody_comes_in_while_the_gateway_closes() -> None:
    async with serving() as gateway:
        gateway._web.closing = True  # noqa: SLF001 - the moment is too short to be hit from outside
        async with connected(door(gateway)) as wire:
            lost = await wire.next(ConnectionLost)
            assert "503" in str(lost.error)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_another_websocket_library_comes_in_too(anyio_backend: str) -> None:
    async with serving() as gateway, connect(f"ws://{gateway.relay_host}", proxy=None) as socket:
        params = {
            "version": {"major": 2, "minor": 0, "revision": 0},
            "authentication": {"project": "test-project", "token": "test-token"},
        }
        request = {"jsonrpc": "2.0", "id": "1", "method": "signalwire.connect", "params": params}
        await socket.send(json.dumps(request))
        assert json.loads(await socket.recv())["result"]["protocol"].startswith("signalwire_")
        event = json.loads(await socket.recv())
        assert event["params"]["event_type"] == "signalwire.authorization.state"
        assert abs(event["params"]["timestamp"] - time.time()) < 60
        await gateway.relay.drop(4000)
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_the_shell_says_where_relay_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shell(monkeypatch) as printed:
        found = await printed.until(r"serving RELAY on (\S+), project 'test-project', token 'test-token'")
        assert re.fullmatch(r"127\.0\.0\.1:\d+", found[1])
