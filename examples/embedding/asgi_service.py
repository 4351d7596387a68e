"""Be the service, inside an ASGI app, through the message door: one agent, one call, in which it hears itself."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from secrets import token_bytes, token_urlsafe

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

import telcoflow_proto as tp
from telcoflow_proto.config import CONTROL_PATH

now = time.monotonic  # what asyncio's own loops count in


class Carrier:
    """Carries the messages of one door and rings its deadlines. No rule of the protocol is here."""

    def __init__(self, door: tp.ControlServer | tp.MediaServer, tell: Callable[[object], None]) -> None:
        self._door, self._tell, self._changed = door, tell, asyncio.Event()

    def settle(self) -> None:
        """Hand on events, and let the writer look again: after everything that touches the door."""
        for event in self._door.events():
            self._tell(event)
        self._changed.set()

    async def run(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Accept one connection and run it to its end."""
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        self._door.start(now=now())
        writer = asyncio.create_task(self._write(send))
        while not self._door.lost:
            got = await receive()
            if got["type"] == "websocket.receive":
                self._door.receive_message(got["text"] if got["text"] is not None else got["bytes"] or b"", now=now())
            elif got["type"] == "websocket.disconnect":
                self._door.receive_close(code=got["code"], now=now())
            self.settle()
        await writer

    async def _write(self, send: ASGISendCallable) -> None:
        while not self._door.lost:
            self._changed.clear()
            for said in self._door.messages_to_send(now=now()):
                if isinstance(said, tp.Close):
                    await send({"type": "websocket.close", "code": said.code, "reason": said.reason})
                else:
                    text, data = (said, None) if isinstance(said, str) else (None, said)
                    await send({"type": "websocket.send", "bytes": data, "text": text})
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._door.next_deadline()):
                    await self._changed.wait()
            self._door.handle_timeout(now=now())
            self.settle()


class Service:
    """The ASGI app: one agent, whoever it is, and one call for it, open to who has the call's token."""

    def __init__(self) -> None:
        self.over, self.echoed, self._media_url = asyncio.Event(), 0, ""
        self._control, self._media = tp.ControlServer(entropy=token_bytes), tp.MediaServer(entropy=token_bytes)
        self._session, self._token = tp.SessionInfo(id="session-1", channel="TELCO"), token_urlsafe()
        agent, call = Carrier(self._control, self._on_control), Carrier(self._media, self._on_call)
        self._free = {CONTROL_PATH: agent, f"/media/Bearer {self._token}": call}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one connection."""
        if scope["type"] != "websocket":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self._media_url = f"{scope['scheme']}://{headers['host']}/media/"  # on the host the agent knows us by
        carrier = self._free.pop(scope["path"] + headers.get("authorization", ""), None)
        await (carrier.run(receive, send) if carrier else send({"type": "websocket.close", "code": 1008, "reason": ""}))

    def _on_control(self, event: object) -> None:
        match event:
            case tp.SetupRequested():
                notice = tp.SessionNotice(session_id=self._session.id, channel="TELCO", activity="NEW_INCOMING_CALL")
                self._control.complete_setup(now=now())
                self._control.notify(notice, now=now())
            case tp.RequestReceived(requested=asked) if asked.request == tp.OpenSession(session_id=self._session.id):
                self._control.open_succeeded(asked.request_id, self._session, now=now())
            case tp.RequestReceived(requested=asked):
                self._control.refuse(asked.request_id, error_code="INVALID_REQUEST", now=now())
            case tp.SessionReadied():
                call = tp.CallIn(session_id=event.session_id, call_id="1", url=self._media_url, token=self._token)
                self._control.offer_call(call, now=now())

    def _on_call(self, event: object) -> None:
        match event:
            case tp.CommandReceived():
                self._media.succeed(event.command.command_id, now=now())
                if event.command.command is tp.CallWord.ANSWER:
                    self._media.request_audio(48000, now=now())  # from now on, a second ahead
            case tp.AudioArrived():
                while not self._media.over and (chunk := self._media.next_audio()) is not None:
                    self._media.send_audio(chunk, now=now())
                    self._media.request_audio(len(chunk), now=now())
                    self.echoed += len(chunk)
            case tp.ConnectionLost():  # always the last event of a call
                self.over.set()


async def main() -> bool:
    """Serve at the address in argv until a call is over; True if there was something to echo."""
    service, config = Service(), Config()
    config.bind, config.graceful_timeout = sys.argv[1:] or ["127.0.0.1:8080"], 0.5
    await serve(service, config, shutdown_trigger=service.over.wait)
    return service.echoed > 0


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
