"""Echo one call through the message door, on top of the ``websockets`` library: its WebSocket, our protocol."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

import telcoflow_proto as tp
from telcoflow_proto.version import WIRE_VERSION

now = time.monotonic  # what asyncio's own loops count in


class Connect(connect):
    """Follows no redirect: credentials go where they were meant to go, and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception | str:  # noqa: D102 - see above
        return exc


class Carrier:
    """Carries the messages of one door and rings its deadlines. No rule of the protocol is here."""

    def __init__(self, door: tp.ControlClient | tp.MediaClient, tell: Callable[[object], None]) -> None:
        self._door, self._tell = door, tell
        self._changed = asyncio.Event()

    def settle(self) -> None:
        """Hand on events, and let the writer look again: after everything that touches the door."""
        for event in self._door.events():
            self._tell(event)
        self._changed.set()

    async def run(self, url: tp.WsUrl, headers: list[tuple[str, str]]) -> None:
        """Run one connection from its start to its end."""
        sent = [*headers, ("x-sdk-version", WIRE_VERSION)]
        try:
            async with Connect(
                str(url), additional_headers=sent, compression=None, proxy=None, ping_interval=5, ping_timeout=5
            ) as websocket:
                if not self._door.lost:  # it may have ended while we dialled
                    self._door.start(now=now())
                self.settle()
                writer = asyncio.create_task(self._write(websocket))
                with suppress(ConnectionClosed):
                    while not self._door.lost:
                        self._door.receive_message(await websocket.recv(), now=now())
                        self.settle()
                writer.cancel()
            self._door.receive_close(code=websocket.close_code or 1006, now=now())
        except (OSError, InvalidHandshake) as fault:
            self._door.receive_close(error=tp.TransportFailed(str(fault)), now=now())
        self.settle()

    async def _write(self, websocket: ClientConnection) -> None:
        """Write, and keep time in between: a peer that blocks a write for long is ended by the heartbeat."""
        with suppress(ConnectionClosed):
            while True:
                self._changed.clear()
                for message in self._door.messages_to_send(now=now()):
                    if isinstance(message, tp.Close):
                        await websocket.close(message.code, message.reason)
                        return
                    await websocket.send(message)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._door.next_deadline()):
                        await self._changed.wait()
                self._door.handle_timeout(now=now())
                self.settle()


async def main() -> bool:
    """Echo one call; True if there was something to echo. What a ``ClientMachine`` decides is decided here."""
    config = tp.ClientConfig.sandbox(
        api_key=os.environ.get("TELCOFLOW_API_KEY", "test-key"),
        connector_uuid=os.environ.get("TELCOFLOW_CONNECTOR_UUID", "test-connector"),
        base_url=os.environ.get("TELCOFLOW_BASE_URL", "ws://127.0.0.1:8080"),
    )
    control, media = tp.ControlClient(entropy=os.urandom), tp.MediaClient(entropy=os.urandom)
    ours: list[str] = []

    def on_control_event(event: object) -> None:
        match event:
            case tp.SessionNotice(channel="TELCO", activity="NEW_INCOMING_CALL" | "RESUME") if not ours:
                ours.append(event.session_id)
                control.open_session(event.session_id, now=now())
            case tp.RequestDone(outcome=tp.Outcome.DONE):
                control.ready(ours[0], now=now())
            case tp.RequestDone():
                ours.clear()  # somebody else was first: wait for the next call
            case tp.CallIn():
                url = tp.check_media_url(event.url, control=config.control_url, allowed_hosts=config.media_hosts)
                media.answer(now=now())  # leaves when the connection is open
                token = [("Authorization", f"Bearer {event.token}")]
                group.create_task(media_carrier.run(url, token))
            case tp.SessionClosed() if event.session_id in ours:
                media.session_closed(event.reason, now=now())
                media_carrier.settle()

    def on_media_event(event: object) -> None:
        if isinstance(event, tp.AudioArrived):
            while (chunk := media.next_audio()) is not None:  # the event comes once: read all there is
                if media.state is tp.CallState.ANSWERED and len(chunk) <= media.room:
                    media.send_audio(chunk, now=now())
        elif isinstance(event, tp.ConnectionLost):  # always the last event of a call
            control.close_connection(now=now())
            control_carrier.settle()

    control_carrier, media_carrier = Carrier(control, on_control_event), Carrier(media, on_media_event)
    async with asyncio.TaskGroup() as group:
        group.create_task(control_carrier.run(config.control_url, list(config.credentials)))
    return media.statistics().bytes_sent > 0


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
