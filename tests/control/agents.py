"""What the tests of the control plane share: both ends of a connection, and the wire's own words."""

import json
import random
from typing import Any

from telcoflow_proto.chance import Entropy
from telcoflow_proto.control.client import ControlClient
from telcoflow_proto.control.messages import CallIn, SessionInfo
from telcoflow_proto.control.server import ControlServer
from telcoflow_proto.websocket import Close

T0 = 100.0
"""When every connection of these tests opens."""

CALL = CallIn(
    session_id="s1",
    call_id="c1",
    url="wss://media.example/v1/media/c1",
    token="t",
    organization="o",
    caller="+1",
    callee="+2",
)
INFO = SessionInfo(id="s1", channel="TELCO")


def entropy() -> Entropy:
    """A source that gives the same bytes in every run."""
    return random.Random(7).randbytes


def frame(kind: str, **fields: Any) -> str:
    """One text frame, as the wire has it."""
    return json.dumps({"type": kind, **fields})


def response(request_id: str, *, ok: bool = True, **fields: Any) -> str:
    return frame("response", reqId=request_id, ok=ok, **fields)


def opened(request_id: str, session_id: str = "s1") -> str:
    return response(request_id, content={"session": {"id": session_id, "channel": "TELCO"}})


def call_in(session_id: str = "s1", **fields: Any) -> str:
    good = {"callId": "c1", "orgUuid": "o", "from": "+1", "to": "+2", "url": "wss://m.example/c1", "token": "t"}
    return frame("call.in", sessionId=session_id, **{**good, **fields})


def seen(end: ControlClient | ControlServer) -> list[Any]:
    """Take what an end has to report."""
    return list(end.events())


def said(end: ControlClient | ControlServer) -> list[Any]:
    """Take what an end has to say: text decoded, a close as it is."""
    return [json.loads(one) if isinstance(one, str) else one for one in end.messages_to_send()]


def clear(end: ControlClient | ControlServer) -> None:
    """Forget what has been said and reported so far."""
    seen(end)
    end.messages_to_send()


def new_client(**arguments: Any) -> ControlClient:
    """A client that is set up."""
    client = ControlClient(entropy=entropy(), **arguments)
    client.start(now=T0)
    client.receive_message(frame("setup.done", smWsId="w1"), now=T0)
    clear(client)
    return client


def new_server(**arguments: Any) -> ControlServer:
    """A server whose client is set up."""
    server = ControlServer(entropy=entropy(), **arguments)
    server.start(now=T0)
    server.receive_message(frame("setup", data={"sampleRate": 24000, "audioMode": "mixed"}), now=T0)
    server.complete_setup(now=T0)
    clear(server)
    return server


def client_holding(session_id: str = "s1", *, ready: bool = True) -> ControlClient:
    """A client that has claimed a session."""
    client = new_client()
    client.receive_message(opened(client.open_session(session_id, now=T0), session_id), now=T0)
    if ready:
        client.ready(session_id, now=T0)
    clear(client)
    return client


def server_holding(session_id: str = "s1", *, ready: bool = True) -> ControlServer:
    """A server whose client has claimed a session."""
    server = new_server()
    server.receive_message(frame("session.open", sessionId=session_id, reqId="past"), now=T0)
    server.open_succeeded("past", SessionInfo(id=session_id, channel="TELCO"), now=T0)
    if ready:
        server.receive_message(frame("session.ready", sessionId=session_id), now=T0)
    clear(server)
    return server


def carry(sender: ControlClient | ControlServer, receiver: ControlClient | ControlServer, now: float = T0) -> None:
    """Hand over everything ``sender`` has to say."""
    for message in sender.messages_to_send(now=now):
        if isinstance(message, Close):
            receiver.receive_close(code=message.code, reason=message.reason, now=now)
            sender.receive_close(code=message.code, now=now)
        else:
            receiver.receive_message(message, now=now)
