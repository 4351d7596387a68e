"""Echo two calls at the same time in one ``selectors`` loop, control connection included, over plain ``ws``."""

import os
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import telcoflow_proto as tp

CALLS = 2  # more are left to others
Machine = tp.ClientMachine | tp.MediaClientConnection
Tell = Callable[[Machine, object], None]
now = time.monotonic


class Line:
    """One machine and its socket of the moment. Nothing here waits, but for the resolver."""

    def __init__(self, machine: Machine, selector: selectors.BaseSelector, tell: Tell) -> None:
        self.machine, self._selector, self._tell = machine, selector, tell
        self._sock: socket.socket | None = None
        self._unsent = b""

    def dial(self, url: tp.WsUrl) -> None:
        """Open the byte stream, and start at once: so the machine's first deadline covers dialling, too."""
        if url.secure:
            self.machine.fail_transport("this program speaks plain ws only", now=now())
            return
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(url.address, url.port, type=socket.SOCK_STREAM)[0]
            self._sock = socket.socket(family, kind, protocol)
            self._sock.settimeout(0)
            self._sock.connect_ex(address)  # how it went we hear from the first read or write
        except OSError as error:
            self.machine.fail_transport(str(error), now=now())
        else:
            self._selector.register(self._sock, selectors.EVENT_READ, self)
            self.machine.start(now=now())

    def work(self, ready: int) -> None:
        """Move bytes, keep time; ``ready`` is what the selector said of the socket."""
        try:
            if self._sock is not None and ready & selectors.EVENT_WRITE:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            if self._sock is not None and ready & selectors.EVENT_READ:
                data = self._sock.recv(65536)
                (self.machine.receive_data(data, now=now()) if data else self.machine.receive_eof(now=now()))
        except BlockingIOError:
            pass  # ready, but not any more
        except OSError as error:
            self.machine.fail_transport(str(error), now=now())
        self.machine.handle_timeout(now=now())  # after what came, and harmless if it is early

    def settle(self) -> None:
        """Hand on events, take what there is to write, close when it is time."""
        for event in self.machine.events():
            self._tell(self.machine, event)
        if self._sock is not None and not self.machine.closed:
            self._unsent = self._unsent or self.machine.data_to_send(now=now())  # more stays where it can be dropped
            writes = selectors.EVENT_WRITE if self._unsent else 0
            self._selector.modify(self._sock, selectors.EVENT_READ | writes, self)
        elif self._sock is not None:
            with suppress(OSError):
                self._sock.send(self._unsent + self.machine.data_to_send(now=now()))
            self._selector.unregister(self._sock)
            self._sock.close()
            self._sock, self._unsent = None, b""


def echo(media: tp.MediaClientConnection) -> None:
    """Say back what was heard."""
    while (chunk := media.next_audio()) is not None:  # AudioArrived comes once: read all there is, needed or not
        if media.state is tp.CallState.ANSWERED and len(chunk) <= media.room:
            media.send_audio(chunk, now=now())


def main() -> bool:
    """Echo two calls; True if there was something to echo in both."""
    config = tp.ClientConfig.sandbox(
        api_key=os.environ.get("TELCOFLOW_API_KEY", "test-key"),
        connector_uuid=os.environ.get("TELCOFLOW_CONNECTOR_UUID", "test-connector"),
        base_url=os.environ.get("TELCOFLOW_BASE_URL", "ws://127.0.0.1:8080"),
    )
    client, selector = tp.ClientMachine(config, entropy=os.urandom), selectors.DefaultSelector()
    calls: list[tp.MediaClientConnection] = []
    lines: list[Line] = []

    def on_event(machine: Machine, event: object) -> None:
        if isinstance(event, tp.TransportWanted):
            lines[0].dial(event.url)
        elif isinstance(event, tp.CallOffered) and len(calls) < CALLS:
            event.media.answer(now=now())  # leaves when the connection is open
            calls.append(event.media)
            lines.append(Line(event.media, selector, on_event))
            lines[-1].dial(event.media.url)
        elif isinstance(event, tp.AudioArrived) and isinstance(machine, tp.MediaClientConnection):
            echo(machine)

    lines.append(Line(client, selector, on_event))
    client.accept_calls(now=now())
    client.connect(now=now())
    lines[0].settle()
    while not client.finished or not all(media.closed for media in calls):
        deadline = min((at for line in lines if (at := line.machine.next_deadline()) is not None), default=None)
        ready = selector.select(None if deadline is None else max(0, deadline - now()))
        masks = {key.data: mask for key, mask in ready}
        for line in lines:
            line.work(masks.get(line, 0))
        if len(calls) == CALLS and all(media.closed for media in calls):
            client.close(now=now())
        for line in lines:  # the client first: it may have ended calls
            line.settle()
    return len(calls) == CALLS and all(media.statistics().bytes_sent for media in calls)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
