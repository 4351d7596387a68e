"""The streams of ``net`` as trio streams, for an adapter that knows no anyio."""

from typing import final

import anyio
import trio

from telcoflow_proto.origin import WsUrl
from tests.world.net import Net, NetStream


@final
class TrioStream(trio.abc.HalfCloseableStream):
    """One end of a connection, with trio's verbs and trio's exceptions."""

    def __init__(self, stream: NetStream) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send(bytes(data))
        except anyio.BrokenResourceError as error:
            raise trio.BrokenResourceError from error.__cause__
        except anyio.ClosedResourceError:
            raise trio.ClosedResourceError from None

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            return await self._stream.receive(max_bytes or 65536)
        except anyio.EndOfStream:
            return b""
        except anyio.BrokenResourceError as error:
            raise trio.BrokenResourceError from error.__cause__
        except anyio.ClosedResourceError:
            raise trio.ClosedResourceError from None

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


@final
class TrioDial:
    """``dial=`` for a trio adapter."""

    def __init__(self, net: Net) -> None:
        self._net = net

    async def __call__(self, url: WsUrl) -> TrioStream:
        return TrioStream(await self._net.dial(url))
