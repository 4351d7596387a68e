"""What the tests of the media plane share: both ends of a call, and the wire's own words."""

import json
import random
from collections.abc import Callable
from typing import Any

from telcoflow_proto.chance import Entropy
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.media.table import CallState
from telcoflow_proto.websocket import Close

T0 = 100.0
"""When every call of these tests begins."""


def entropy() -> Entropy:
    """A source that gives the same bytes in every run."""
    return random.Random(7).randbytes


def frame(kind: str, **data: Any) -> str:
    """One text frame, as the wire has it."""
    return json.dumps({"type": kind, "data": data})


def response(command_id: str, *, success: bool = True, **data: Any) -> str:
    return frame("command_response", command_id=command_id, success=success, **data)


def call_event(event: str, **data: Any) -> str:
    return frame("call_event", event=event, **data)


def buffer_request(requested_bytes: Any, preferred: Any = 960, **data: Any) -> str:
    return frame("buffer_request", requested_bytes=requested_bytes, prefer_audio_frame_bytes=preferred, **data)


def command(name: str, command_id: str = "c1", timeout_ms: int = 10_000, **data: Any) -> str:
    return frame("command", command_id=command_id, command=name, timeout_ms=timeout_ms, **data)


def seen(end: MediaClient | MediaServer) -> list[Any]:
    """Take what an end has to report."""
    return list(end.events())


def said(end: MediaClient | MediaServer, now: float = T0) -> list[Any]:
    """Take what an end has to say: text decoded, audio and close as they are."""
    return [json.loads(one) if isinstance(one, str) else one for one in end.messages_to_send(now=now)]


def replies(end: MediaServer, now: float = T0) -> list[dict[str, Any]]:
    """Take the command responses a server has to say."""
    return [one["data"] for one in said(end, now) if isinstance(one, dict) and one["type"] == "command_response"]


def clear(end: MediaClient | MediaServer) -> None:
    """Forget what has been said and reported so far."""
    seen(end)
    end.messages_to_send()


class StillListening(MediaClient):
    """A client that does not close the connection at the end of its call, to see what it would hear then."""

    def close_connection(self, *, code: int = 1000, reason: str = "", now: float) -> None:
        pass


def new_client(kind: type[MediaClient] = MediaClient, **arguments: Any) -> MediaClient:
    """A client that is connected, its call still PENDING."""
    client = kind(entropy=entropy(), **arguments)
    client.start(now=T0)
    clear(client)
    return client


def new_server(**arguments: Any) -> MediaServer:
    """A server that is connected, its call still PENDING."""
    server = MediaServer(entropy=entropy(), **arguments)
    server.start(now=T0)
    clear(server)
    return server


def client_in(state: CallState, kind: type[MediaClient] = MediaClient, **arguments: Any) -> MediaClient:
    """A client whose call has come to ``state`` over the wire."""
    client = new_client(kind, **arguments)
    if state is CallState.ANSWERED:
        client.receive_message(response(client.answer(now=T0)), now=T0)
    elif state is CallState.CONNECTED:
        client.receive_message(response(client.connect(now=T0)), now=T0)
    elif state is CallState.DISCONNECTED:
        client.receive_message(call_event("call.terminated"), now=T0)
    assert client.state is state
    clear(client)
    return client


def server_in(state: CallState, **arguments: Any) -> MediaServer:
    """A server whose call has come to ``state`` over the wire."""
    server = new_server(**arguments)
    if state is CallState.ANSWERED:
        server.receive_message(command("call.answer", "past"), now=T0)
        server.succeed("past", now=T0)
    elif state is CallState.CONNECTED:
        server.receive_message(command("call.connect", "past", data={"ringTimeSeconds": 20}), now=T0)
        server.succeed("past", now=T0)
    elif state is CallState.DISCONNECTED:
        server.terminate(now=T0)
    assert server.state is state
    clear(server)
    return server


def carry(sender: MediaClient | MediaServer, receiver: MediaClient | MediaServer, now: float = T0) -> None:
    """Hand over everything ``sender`` has to say."""
    for message in sender.messages_to_send(now=now):
        if isinstance(message, Close):
            receiver.receive_close(code=message.code, reason=message.reason, now=now)
            sender.receive_close(code=message.code, now=now)
        else:
            receiver.receive_message(message, now=now)


COMMAND_VERBS: dict[str, Callable[[MediaClient], str]] = {
    "call.answer": lambda client: client.answer(now=T0),
    "call.connect": lambda client: client.connect(ring_time_seconds=20, now=T0),
    "agent.whisper": lambda client: client.whisper(now=T0),
    "agent.barge": lambda client: client.barge(now=T0),
    "agent.spy": lambda client: client.spy(now=T0),
    "agent.interrupt": lambda client: client.interrupt(now=T0),
    "call.close": lambda client: client.close(now=T0),
    "call.disconnect": lambda client: client.disconnect(now=T0),
}
"""How the client says each command."""
