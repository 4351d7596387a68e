"""Connecting and leaving: in any state, from any task, with nothing left behind and within two seconds."""

# mypy: disable-error-code="truthy-bool"

import importlib
from typing import Any

import anyio
import pytest

from telcoflow_anyio import ActiveCall
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.exceptions import WSSAuthenticationError, WSSConnectionError
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, ring, taking, talk, until
from tests.world.service import ACCEPT, DROP, NEVER, PORT, SILENCE, http, ignore, setup_after
from tests.world.world import World


@pytest.mark.parametrize(
    "state",
    [
        "idle",
        "ringing",
        "talking",
        "commanding",
        "waiting to reconnect",
        "silent peer",
        "silent everything",
        "reconnecting",
        "dialling media",
        "handler",
        "handler that lingers",
    ],
)
async def test_leaving_takes_two_seconds_at_most_in_every_state(world: World, state: str) -> None:
    async with meanwhile() as group:
        async with world.client() as client:
            calls = taking(client)
            if state not in {"idle", "handler", "handler that lingers"}:
                phone = await ring(world, client)
            match state:
                case "talking":
                    await phone.call.answer()
                    phone.there.want(100000)
                    await phone.call.send_audio(bytes(50000))
                case "commanding":
                    phone.there.will("call.answer", ignore())
                    Later(group, phone.call.answer)
                    await anyio.sleep(1)
                case "waiting to reconnect":
                    world.service.upgrade = [DROP]
                    world.service.control.reset()
                    await anyio.sleep(60)
                case "silent peer":
                    await phone.call.answer()
                    world.net.partition()
                case "silent everything":
                    await phone.call.answer()
                    world.net.partition()
                    await anyio.sleep(120)
                case "reconnecting":
                    world.service.upgrade = [SILENCE]
                    world.service.control.reset()
                    await until(lambda: client.state is ClientState.RECONNECTING)
                case "dialling media":
                    world.net.hang(PORT)
                    Later(group, phone.call.answer)
                    await anyio.sleep(1)
                case "handler" | "handler that lingers":

                    @client.on("call.new")
                    async def take(call: ActiveCall) -> None:
                        try:
                            await anyio.sleep(1000)
                        finally:
                            if state != "handler":
                                with anyio.CancelScope(shield=True):
                                    await anyio.sleep(0.1)

                    await world.service.announce_call()
                    await until(lambda: calls)
            begun = anyio.current_time()
        assert anyio.current_time() - begun <= 2.0
        world.net.heal()
        await anyio.sleep(0.01)
        assert client.calls == []


async def test_disconnecting_from_a_dead_peer_takes_two_seconds_at_most_without_a_context(world: World) -> None:
    client = world.client()
    taking(client)
    await client.connect()
    await talk(world, client)
    world.net.partition()
    begun = anyio.current_time()
    await client.disconnect()
    assert anyio.current_time() - begun < 2.0
    world.net.heal()
    await anyio.sleep(0.01)


@pytest.mark.parametrize("hang", [SILENCE, setup_after(NEVER), None])
async def test_entering_can_be_cancelled(world: World, hang: Any) -> None:
    if hang is None:
        world.net.hang(PORT)
    else:
        world.service.upgrade = [hang]
    begun = anyio.current_time()
    with anyio.move_on_after(1) as scope:
        async with world.client():
            pass
    assert scope.cancelled_caught
    assert anyio.current_time() - begun <= 3.0


async def test_the_exception_of_the_body_comes_out_as_it_is(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        async with world.client():
            raise ZeroDivisionError


async def test_leaving_while_cancelled_ends_the_call(world: World) -> None:
    with anyio.move_on_after(5) as scope:
        async with world.client() as client:
            taking(client)
            phone = await talk(world, client)
            await client.run_forever()
    assert scope.cancelled_caught
    await phone.there.ended()


async def test_run_forever_in_another_task_ends_with_the_client(world: World) -> None:
    async with meanwhile() as group:
        async with world.client() as client:
            running = Later(group, client.run_forever)
            await anyio.sleep(1)
            assert running.took is None
        assert await running.done() is None


async def test_run_forever_can_be_cancelled_and_the_client_goes_on(world: World) -> None:
    async with world.client() as client:
        with anyio.move_on_after(1):
            await client.run_forever()
        taking(client)
        phone = await talk(world, client)
        assert await phone.call.close()
        assert client.state is ClientState.READY
        assert "ready" in repr(client)


async def test_connect_and_disconnect_without_a_context_from_different_tasks(world: World) -> None:
    client = world.client()
    async with meanwhile() as group:
        assert await Later(group, client.connect).done() is None
        running = Later(group, client.run_forever)
        taking(client)
        phone = await talk(world, client)
        assert await phone.call.close()
        assert await Later(group, client.disconnect).done() is None
        assert await running.done() is None
        assert await Later(group, client.disconnect).done() is None


async def test_disconnect_from_inside_a_handler(world: World) -> None:
    client = world.client()
    await client.connect()

    @client.on("call.new")
    async def leave(call: ActiveCall) -> None:
        await call.answer()
        await client.disconnect()

    await world.service.announce_call()
    await client.run_forever()
    await anyio.sleep(3)
    assert client.state is ClientState.CLOSED
    await client.disconnect()


async def test_disconnect_inside_a_context(world: World) -> None:
    async with world.client() as client:
        await client.disconnect()
        await client.run_forever()
        await client.disconnect()


async def test_disconnect_before_connect(world: World) -> None:
    client = world.client()
    await client.disconnect()
    assert client.state is ClientState.CLOSED


async def test_a_client_that_was_closed_cannot_be_entered(world: World) -> None:
    client = world.client()
    await client.disconnect()

    async def enter() -> None:
        async with client:
            pass

    error = await outcome(enter)
    assert isinstance(error, WSSConnectionError)
    assert "is closed" in str(error)
    await client.__aexit__(None, None, None)  # what was never entered is left in no time
    assert world.net.dials == []


async def test_a_connect_that_is_refused_raises_and_leaves_nothing(world: World) -> None:
    world.service.upgrade = [http(401)]
    client = world.client()
    assert isinstance(await outcome(client.connect), WSSAuthenticationError)
    await client.disconnect()


async def test_a_connect_that_is_cancelled_leaves_nothing(world: World) -> None:
    world.service.upgrade = [SILENCE]
    client = world.client()
    with anyio.move_on_after(1) as scope:
        await client.connect()
    assert scope.cancelled_caught
    await client.disconnect()


async def test_a_fresh_client_can_be_made_after_another_one(world: World) -> None:
    for _ in range(3):
        async with world.client() as client:
            taking(client)
            phone = await talk(world, client)
            await phone.call.close()
    assert len(world.service.attempts) == 3


async def test_two_clients_do_not_mind_each_other(world: World) -> None:
    async with world.client() as one, world.client() as other:
        taking(one)
        phone = await talk(world, one)
        await other.disconnect()
        assert await phone.call.close()


async def test_an_hour_with_three_calls(world: World) -> None:
    world.net.latency = 0.02
    async with world.client() as client, meanwhile() as group:
        taking(client)
        phones = [await talk(world, client) for _ in range(3)]
        for phone in phones:
            phone.there.want(96000)

            async def echo(call: ActiveCall = phone.call) -> None:
                async for chunk in call.audio_stream():
                    await call.send_audio(chunk)

            group.start_soon(echo)
        for tick in range(500):
            for phone in phones:
                phone.there.want(960)
                phone.there.say(bytes([tick % 256]) * 960)
            await anyio.sleep(0.02)
        await anyio.sleep(3600)
        for phone in phones:
            assert len(phone.there.heard) == 500 * 960
            assert phone.there.faults == []
            assert await phone.call.close()
        assert client.statistics().connections == 1
        await anyio.sleep(10)
        assert world.net.client_streams == 1


async def test_a_hundred_short_calls_leave_no_trace(world: World) -> None:
    world.service.upgrade = [ACCEPT]
    async with world.client() as client:
        taking(client)
        for _ in range(100):
            phone = await talk(world, client)
            await phone.call.close()
            await phone.call.wait_closed()
        await anyio.sleep(10)
        assert client.calls == []
        assert world.net.client_streams == 1
        assert client.statistics().calls_live == 0


async def test_a_call_on_an_early_state_is_seen_in_snapshots(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        assert phone.client.calls == [phone.call]
        assert phone.client.statistics().calls_live == 1
        assert phone.client.get_call("nobody") is None


async def test_the_environment_names_the_service(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELCOFLOW_BASE_URL", f"ws://localhost:{PORT}")
    config = world.adapter.TelcoflowClientConfig.sandbox(api_key="k", connector_uuid="c")
    async with world.adapter.TelcoflowClient(config, dial=world.dial):
        assert [str(url) for _, url in world.net.dials] == [f"ws://localhost:{PORT}/v1/agent/session-manager"]


async def test_of_many_addresses_the_first_failure_is_told(world: World) -> None:
    explain = importlib.import_module(f"{world.case.module}._dial").explain
    error = OSError("all failed")
    error.__cause__ = ExceptionGroup("each", [ConnectionRefusedError("refused"), OSError("unreachable")])
    assert explain(error, world.config().base) == "cannot connect to localhost:8080: refused"
    assert "no answer within 10 s" in explain(TimeoutError(), world.config().base)


async def test_a_call_outlives_its_client_as_a_dead_thing(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        pass
    assert await phone.call.close()
    assert await phone.call.wait_ended() == "forced"
    await phone.client.disconnect()
