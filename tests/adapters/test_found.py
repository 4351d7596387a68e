"""Faults these scenarios found, each told once. A test here fails until its fault is mended."""

import anyio

from telcoflow_proto.client_table import ClientState
from telcoflow_proto.exceptions import BufferClosedError, WSSError
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, ring, taking, talk, until
from tests.adapters.test_control_faults import enter
from tests.world.service import PORT, accept_then_close, ignore
from tests.world.world import World


async def test_a_call_that_ends_while_its_media_is_dialled_harms_no_other_call(world: World) -> None:
    async with world.client() as client, meanwhile() as group:
        taking(client)
        other = await talk(world, client)
        phone = await ring(world, client)
        world.net.hang(PORT)
        answering = Later(group, phone.call.answer)
        await anyio.sleep(1)
        await phone.call.force_disconnect()
        assert isinstance(await answering.done(), WSSError)
        world.net.unhang(PORT)
        await anyio.sleep(5)
        assert other.call.state is CallState.ANSWERED
        assert world.net.client_streams == 2


async def test_a_session_that_closes_while_media_is_dialled_harms_no_other_call(world: World) -> None:
    async with world.client() as client, meanwhile() as group:
        taking(client)
        other = await talk(world, client)
        phone = await ring(world, client)
        world.net.hang(PORT)
        answering = Later(group, phone.call.answer)
        await anyio.sleep(1)
        world.service.close_session(phone.there)
        assert isinstance(await answering.done(), WSSError)
        world.net.unhang(PORT)
        await anyio.sleep(5)
        assert other.call.state is CallState.ANSWERED


async def test_connecting_again_after_disconnect_works_or_says_so(world: World) -> None:
    client = world.client()
    await client.connect()
    await client.disconnect()
    result = await outcome(client.connect)
    assert client.state is ClientState.READY or isinstance(result, WSSError)


async def test_connecting_twice_works_or_says_so_and_keeps_the_connection(world: World) -> None:
    client = world.client()
    await client.connect()
    result = await outcome(client.connect)
    assert result is None or isinstance(result, WSSError)
    assert client.state is ClientState.READY
    await client.disconnect()


async def test_a_tail_that_is_due_behind_a_blocked_write_does_not_spin(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        world.net.byte_cap = 1000
        assert phone.there.carrier is not None
        phone.there.carrier.stream.stop_reading()
        phone.there.want(9600)
        await anyio.sleep(0.01)
        await phone.call.send_audio(bytes(4 * 960))
        await anyio.sleep(0.01)
        await phone.call.send_audio(bytes(100))
        await anyio.sleep(1)  # never returns: the alarm rings for the tail, for ever, at this very moment
        phone.there.carrier.stream.read_again()
        assert len(await phone.there.has_heard(4 * 960 + 100)) == 4 * 960 + 100


async def test_a_lost_call_with_a_blocked_write_closes_its_stream(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        world.net.byte_cap = 1000
        phone.there.want(96000)
        await anyio.sleep(0.01)
        assert phone.there.carrier is not None
        phone.there.carrier.stream.connection.partition()
        await phone.call.send_audio(bytes(50 * 960))
        assert await phone.call.wait_ended() == "connection lost"
        await anyio.sleep(3)
        assert world.net.client_streams == 1


async def test_a_blocked_control_write_does_not_disturb_the_next_connection(world: World) -> None:
    async with world.client() as client:
        calls = taking(client)
        world.net.byte_cap = 64
        first = world.service.control
        first.carrier.stream.stop_reading()
        for _ in range(5):
            await world.service.announce_call()
        await anyio.sleep(1)
        await first.finish()
        await world.service.connected(2)
        first.carrier.stream.read_again()
        await anyio.sleep(1)
        for call in list(world.service.calls.values()):
            world.service.notify(call, activity="RESUME")
        await anyio.sleep(5)
        assert len(calls) == 5
        assert world.net.client_streams == 1


async def test_who_waits_for_room_is_told_of_the_end(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=4096) as phone, meanwhile() as group:
        await phone.call.send_audio(bytes(4096))
        waiter = Later(group, phone.call.wait_for_room, 1000)
        await anyio.sleep(1)
        phone.there.hang_up()
        assert isinstance(await waiter.done(), BufferClosedError)


async def test_drain_ends_though_more_is_said_in_the_moment_it_finishes(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        phone.there.want(90000)
        await anyio.sleep(0.01)

        async def speak() -> None:
            for _ in range(50):
                await phone.call.send_audio(bytes(960))
                await anyio.sleep(0.02)

        group.start_soon(speak)
        await anyio.sleep(0.1)
        with anyio.fail_after(20):
            assert await phone.call.drain()


async def test_interrupt_that_crosses_the_end_is_quiet(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        phone.there.will("agent.interrupt", ignore())
        await phone.call.send_audio(bytes(200))
        interrupting = Later(group, phone.call.interrupt)
        await anyio.sleep(1)
        phone.there.hang_up()
        assert await interrupting.done() == 200


async def test_too_much_garbage_is_no_refusal_of_our_credentials(world: World) -> None:
    async with world.client() as client:
        for _ in range(11):
            world.service.control.say_raw("garbage")
            await anyio.sleep(0)
        with anyio.fail_after(60):
            await world.service.connected(2)
        await until(lambda: client.state is ClientState.READY)


async def test_a_first_connection_lost_right_behind_its_set_up_does_not_hang_the_entry(world: World) -> None:
    world.service.upgrade = [accept_then_close(1011, after_setup=True)]
    with anyio.fail_after(60):
        await enter(world)


async def test_run_forever_returns_when_a_client_with_a_silent_peer_was_left(world: World) -> None:
    async with meanwhile() as group:
        async with world.client() as client:
            running = Later(group, client.run_forever)
            await anyio.sleep(1)
            world.net.partition()
        await anyio.sleep(1)
        world.net.heal()
        assert client.state is ClientState.CLOSED
        assert running.took is not None


async def test_leaving_in_a_cancelled_scope_still_closes_in_order(world: World) -> None:
    with anyio.move_on_after(5):
        async with world.client() as client:
            taking(client)
            phone = await talk(world, client)
            await client.run_forever()
    await phone.there.ended()
    assert phone.there.faults == []
    assert world.service.controls[0].faults == []
