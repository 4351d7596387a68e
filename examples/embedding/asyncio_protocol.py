"""Echo one call on plain asyncio: an ``asyncio.Protocol`` per connection, ``loop.call_at`` for deadlines."""

import asyncio
import os
from collections.abc import Callable

import telcoflow_proto as tp

Machine = tp.ClientMachine | tp.MediaClientConnection


class Wire(asyncio.Protocol):
    """Opens one connection, moves its bytes, rings its machine's deadlines. No rule of the protocol is here."""

    def __init__(self, machine: Machine, url: tp.WsUrl, on_event: Callable[[object], None]) -> None:
        self._machine, self._on_event = machine, on_event
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.BaseTransport | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._dialling = self._loop.create_task(self._dial(url))

    async def _dial(self, url: tp.WsUrl) -> None:
        try:
            async with asyncio.timeout(10):  # the core's own deadlines begin with ``start``
                await self._loop.create_connection(lambda: self, url.address, url.port, ssl=url.secure or None)
        except OSError as error:
            self._machine.fail_transport(str(error) or "no answer in time", now=self._loop.time())
            self.settle()

    def settle(self) -> None:
        """Read events, write, close, set the alarm: after everything that touches the machine."""
        for event in self._machine.events():
            self._on_event(event)
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.write(self._machine.data_to_send(now=self._loop.time()))
            if self._machine.closed:
                self._transport.close()
                self._transport = None  # what this connection still tells is not for the machine
        if self._alarm is not None:
            self._alarm.cancel()
        deadline = self._machine.next_deadline()
        self._alarm = None if deadline is None else self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._machine.handle_timeout(now=self._loop.time())
        self.settle()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the machine was closed while we dialled."""
        self._transport = transport
        if not self._machine.closed:
            self._machine.start(now=self._loop.time())
        self.settle()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._transport is not None:
            self._machine.receive_data(data, now=self._loop.time())
            self.settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, or broken."""
        if self._transport is not None:
            self._machine.receive_eof(now=self._loop.time())
            self.settle()


async def main() -> bool:
    """Echo one call; True if there was something to echo."""
    loop, finished = asyncio.get_running_loop(), asyncio.Event()
    config = tp.ClientConfig.sandbox(
        api_key=os.environ.get("TELCOFLOW_API_KEY", "test-key"),
        connector_uuid=os.environ.get("TELCOFLOW_CONNECTOR_UUID", "test-connector"),
        base_url=os.environ.get("TELCOFLOW_BASE_URL", "ws://127.0.0.1:8080"),
    )
    client = tp.ClientMachine(config, entropy=os.urandom)
    wires: dict[str, Wire] = {}
    echoed: list[int] = []

    def on_client_event(event: object) -> None:
        match event:
            case tp.TransportWanted():  # again after every loss that is worth another attempt
                wires["control"] = Wire(client, event.url, on_client_event)
            case tp.CallOffered(media=media):
                client.refuse_calls()  # one is enough
                media.answer(now=loop.time())  # leaves when the connection is open
                wires["call"] = Wire(media, media.url, lambda happened: on_call_event(media, happened))
            case tp.SessionClosed() if "call" in wires:
                wires["call"].settle()  # the client machine may have ended the call
            case tp.ClientLost(retry_in=None) if event.wanted or "call" not in wires:
                finished.set()  # otherwise the call goes on without

    def on_call_event(media: tp.MediaClientConnection, event: object) -> None:
        match event:
            case tp.AudioArrived():
                while (chunk := media.next_audio()) is not None:  # the event comes once: read all there is
                    if media.state is tp.CallState.ANSWERED and len(chunk) <= media.room:
                        media.send_audio(chunk, now=loop.time())
            case tp.ConnectionLost():  # always the last event of a call
                echoed.append(media.statistics().bytes_sent)
                client.close(now=loop.time())
                wires["control"].settle()
                if client.finished:  # between two connections there is none to lose
                    finished.set()

    client.accept_calls(now=loop.time())
    client.connect(now=loop.time())
    on_client_event(next(client.events()))
    await finished.wait()
    return any(echoed)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
