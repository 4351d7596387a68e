"""Echo one call on Twisted: a ``Protocol`` per connection, ``callLater`` for deadlines, over plain ``ws``."""

import os
import time
from collections.abc import Callable

from twisted.internet.abstract import FileDescriptor
from twisted.internet.base import DelayedCall, ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import react
from twisted.python.failure import Failure

import telcoflow_proto as tp

Machine = tp.ClientMachine | tp.MediaClientConnection
now = time.monotonic  # the reactor's own clock is the wall's, and may be set


class Wire(Protocol):
    """Moves the bytes of one connection and rings its machine's deadlines. No rule of the protocol is here."""

    def __init__(self, reactor: ReactorBase, machine: Machine, url: tp.WsUrl, tell: Callable[[object], None]) -> None:
        self._machine, self._reactor, self._tell = machine, reactor, tell
        self._alarm: DelayedCall | None = None
        self._stream: FileDescriptor | None = None
        if url.secure:
            raise SystemExit("this program speaks plain ws only; wss takes wrapClientTLS")
        endpoint = HostnameEndpoint(reactor, url.address, url.port, timeout=10)
        factory = Factory.forProtocol(lambda: self)
        endpoint.connect(factory).addErrback(self._not_dialled)  # type: ignore[arg-type] # mypy sees no zope.interface

    def _not_dialled(self, failure: Failure) -> None:
        self._machine.fail_transport(failure.getErrorMessage(), now=now())
        self.settle()

    def settle(self) -> None:
        """Read events, write, close, set the alarm: after everything that touches the machine."""
        for event in self._machine.events():
            self._tell(event)
        if self._stream is not None:
            self._stream.write(self._machine.data_to_send(now=now()))
            if self._machine.closed:
                self._stream.loseConnection()  # type: ignore[no-untyped-call] # Twisted's typing is not complete
                self._stream = None  # what this connection still tells is not for the machine
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        deadline = self._machine.next_deadline()
        self._alarm = None if deadline is None else self._reactor.callLater(max(0, deadline - now()), self._ring)

    def _ring(self) -> None:
        self._machine.handle_timeout(now=now())
        self.settle()

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """Begin, unless the machine was closed while we dialled."""
        if isinstance(self.transport, FileDescriptor):
            self._stream = self.transport
        if not self._machine.closed:
            self._machine.start(now=now())
        self.settle()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Bytes came."""
        if self._stream is not None:
            self._machine.receive_data(data, now=now())
            self.settle()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - Twisted's name
        """The connection has ended, or broken."""
        if self._stream is not None:
            self._machine.receive_eof(now=now())
            self.settle()


async def main(reactor: ReactorBase) -> None:
    """Echo one call. Raises SystemExit if there was nothing to echo."""
    config = tp.ClientConfig.sandbox(
        api_key=os.environ.get("TELCOFLOW_API_KEY", "test-key"),
        connector_uuid=os.environ.get("TELCOFLOW_CONNECTOR_UUID", "test-connector"),
        base_url=os.environ.get("TELCOFLOW_BASE_URL", "ws://127.0.0.1:8080"),
    )
    client, finished = tp.ClientMachine(config, entropy=os.urandom), Deferred[int]()
    wires: dict[str, Wire] = {}

    def on_client_event(event: object) -> None:
        match event:
            case tp.TransportWanted():  # again after every loss that is worth another attempt
                wires["control"] = Wire(reactor, client, event.url, on_client_event)
            case tp.CallOffered(media=media):
                client.refuse_calls()  # one is enough
                media.answer(now=now())  # leaves when the connection is open
                wires["call"] = Wire(reactor, media, media.url, lambda happened: on_call_event(media, happened))
            case tp.SessionClosed() if "call" in wires:
                wires["call"].settle()  # the client machine may have ended the call
            case tp.ClientLost(retry_in=None) if "call" not in wires:
                finished.callback(0)  # otherwise the call goes on without

    def on_call_event(media: tp.MediaClientConnection, event: object) -> None:
        if isinstance(event, tp.AudioArrived):
            while (chunk := media.next_audio()) is not None:  # the event comes once: read all there is
                if media.state is tp.CallState.ANSWERED and len(chunk) <= media.room:
                    media.send_audio(chunk, now=now())
        elif isinstance(event, tp.ConnectionLost):  # always the last event of a call
            client.close(now=now())
            wires["control"].settle()
            finished.callback(media.statistics().bytes_sent)

    client.accept_calls(now=now())
    client.connect(now=now())
    on_client_event(next(client.events()))
    raise SystemExit(0 if await finished else 1)


if __name__ == "__main__":
    react(main)
