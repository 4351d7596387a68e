"""Echo one call on plain blocking sockets: one thread per connection, one lock for all machines."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable

import telcoflow_proto as tp

Machine = tp.ClientMachine | tp.MediaClientConnection
LOCK = threading.RLock()  # machines are not thread-safe, and the client machine touches the calls it has offered
LOOK_AROUND = 0.2  # seconds; nobody can wake a thread that reads, so it looks for itself what others have said
now = time.monotonic


def dial(url: tp.WsUrl) -> socket.socket:
    """Open the byte stream. Raises OSError."""
    sock = socket.create_connection((url.address, url.port), timeout=10)
    return ssl.create_default_context().wrap_socket(sock, server_hostname=url.address) if url.secure else sock


def pause(machine: Machine) -> float:
    """Return how many seconds may pass before we look at the machine again."""
    deadline = machine.next_deadline()
    return LOOK_AROUND if deadline is None else min(LOOK_AROUND, max(0.001, deadline - now()))


def exchange(sock: socket.socket, data: bytes, patience: float) -> bytes | None:
    """Write, then read: ``b""`` at the end of the stream, None if nothing came in time. Raises OSError."""
    sock.settimeout(10)  # a peer that reads nothing for so long is as good as gone
    sock.sendall(data)
    sock.settimeout(patience)
    try:
        return sock.recv(65536)
    except TimeoutError:
        return None


def carry(machine: Machine, url: tp.WsUrl, on_event: Callable[[object], None]) -> None:
    """Run one connection from its start to its end, in the thread that calls this."""
    try:
        with dial(url) as sock:
            with LOCK:
                if not machine.closed:  # somebody may have closed it while we dialled
                    machine.start(now=now())
            while True:
                with LOCK:
                    for event in machine.events():
                        on_event(event)
                    data, closed, wait = machine.data_to_send(now=now()), machine.closed, pause(machine)
                received = exchange(sock, data, wait)
                if closed:  # and what was left to write is written
                    return
                with LOCK:
                    if received:
                        machine.receive_data(received, now=now())
                    elif received is not None:
                        machine.receive_eof(now=now())
                    machine.handle_timeout(now=now())  # after what came, and harmless if it is early
    except OSError as error:
        with LOCK:
            machine.fail_transport(str(error), now=now())
            for event in machine.events():
                on_event(event)


def talk(media: tp.MediaClientConnection, client: tp.ClientMachine) -> None:
    """Say back what is heard in one call, in its own thread."""

    def on_event(event: object) -> None:
        if isinstance(event, tp.AudioArrived):
            while (chunk := media.next_audio()) is not None:  # the event comes once: read all there is
                if media.state is tp.CallState.ANSWERED and len(chunk) <= media.room:
                    media.send_audio(chunk, now=now())

    carry(media, media.url, on_event)
    with LOCK:
        client.close(now=now())


def main() -> bool:
    """Echo one call; True if there was something to echo."""
    config = tp.ClientConfig.sandbox(
        api_key=os.environ.get("TELCOFLOW_API_KEY", "test-key"),
        connector_uuid=os.environ.get("TELCOFLOW_CONNECTOR_UUID", "test-connector"),
        base_url=os.environ.get("TELCOFLOW_BASE_URL", "ws://127.0.0.1:8080"),
    )
    client = tp.ClientMachine(config, entropy=os.urandom)
    wanted: list[tp.WsUrl] = []
    calls: list[tuple[tp.MediaClientConnection, threading.Thread]] = []

    def on_event(event: object) -> None:
        if isinstance(event, tp.TransportWanted):
            wanted.append(event.url)
        elif isinstance(event, tp.CallOffered):
            client.refuse_calls()  # one is enough
            event.media.answer(now=now())  # leaves when the connection is open
            calls.append((event.media, threading.Thread(target=talk, args=[event.media, client])))
            calls[-1][1].start()

    client.accept_calls(now=now())
    client.connect(now=now())
    while not client.finished:
        with LOCK:
            client.handle_timeout(now=now())
            for event in client.events():
                on_event(event)
        if wanted:
            carry(client, wanted.pop(), on_event)
        else:
            time.sleep(pause(client))  # until the next attempt to connect
    for _, thread in calls:  # a call goes on without the control connection
        thread.join()
    return any(media.statistics().bytes_sent for media, _ in calls)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
