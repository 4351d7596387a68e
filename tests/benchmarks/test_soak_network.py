import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from benchmarks.soak_network import CONTROL, Network

WITHIN = 5.0
UPGRADE = b"GET /media/c1 HTTP/1.1\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def served(play: Callable[[Network], Awaitable[None]]) -> None:
    """Have a scene played on a network before a service that sends back what it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async with asyncio.timeout(WITHIN), await asyncio.start_server(echo, "127.0.0.1", 0) as service:
        network = Network(service.sockets[0].getsockname()[1])
        await network.open()
        await play(network)
        network.close()


async def test_a_line_carries_has_the_name_of_its_call_and_is_forgotten_at_its_end() -> None:
    async def play(network: Network) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(UPGRADE)
        assert await reader.readexactly(len(UPGRADE)) == UPGRADE
        assert [line.name for line in network.calls()] == ["c1"]
        assert network.control() == []
        writer.close()
        while network.lines:
            await asyncio.sleep(0.001)

    await served(play)


async def test_every_other_line_is_the_control_line_and_segments_lose_nothing() -> None:
    async def play(network: Network) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(b"GET /v1/agent/session-manager HTTP/1.1\r\n")
        await reader.readexactly(40)
        (line,) = network.control()
        assert line.name == CONTROL
        line.segment = 1
        for end in line.ends:
            end.slow = True
        writer.write(bytes(range(200)))
        assert await reader.readexactly(200) == bytes(range(200))
        writer.close()

    await served(play)


@pytest.mark.parametrize("new", [False, True])
async def test_a_partition_holds_old_and_new_lines_until_it_is_healed(new: bool) -> None:
    async def play(network: Network) -> None:
        if new:
            network.part()
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        if not new:
            writer.write(UPGRADE)
            await reader.readexactly(len(UPGRADE))
            network.part()
        writer.write(b"late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        network.heal()
        assert await reader.readexactly(4) == b"late"
        writer.close()

    await served(play)


async def test_a_broken_line_is_reset_at_both_ends() -> None:
    async def play(network: Network) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(UPGRADE)
        await reader.readexactly(len(UPGRADE))
        network.calls()[0].break_off(broken=True)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        assert network.lines == set()
        writer.close()

    await served(play)


async def test_a_line_to_a_service_that_is_not_there_is_reset() -> None:
    async def play(network: Network) -> None:
        nowhere = Network(1)
        await nowhere.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", nowhere.port)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        nowhere.close()

    await served(play)
