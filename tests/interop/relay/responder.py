"""A RELAY service that says yes to everything and writes down what it is sent, on a real TLS socket."""

import itertools
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import attrs
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from telcoflow_proto.door import Message
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.relay.jsonrpc import Request, encode_frame
from telcoflow_proto.relay.messages import ConnectRequested, RequestReceived
from telcoflow_proto.relay.server import RelayServerProtocol
from telcoflow_proto.websocket import Close

PROTOCOL = "signalwire_parity"
PHONE: JsonObject = {"type": "phone", "params": {"from_number": "+15551230001", "to_number": "+15551230000"}}


@attrs.define
class Visit:
    """One connection of a client: what it asked for, what it sent, and how it left."""

    path: str
    headers: list[tuple[str, str]]
    frames: list[str] = attrs.field(factory=list)
    close_code: int | None = None


class Responder:
    """Answers ``{"code": "200", "message": "OK"}`` to everything, with the events that must follow.

    It knows a few more methods: ``parity.push`` (send these texts, then answer), ``parity.leave`` (answer, ask to
    leave, close), ``parity.silence`` (no answer at all) and ``parity.empty`` (the next answer is an empty object).
    A message is delivered at once, unless its body is "later".
    The project ``leaving`` is announced a call on each connection, the project ``unknown`` is turned away.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.visits: list[Visit] = []
        self._calls = itertools.count(1)
        self._server: Server = serve(self._visit, "127.0.0.1", 0, ssl=tls, ping_interval=None, compression=None)
        self.host = f"localhost:{self._server.socket.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator["Responder"]:
        """Serve in a thread until left."""
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()

    def _visit(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        visit = Visit(request.path, list(request.headers.raw_items()))
        self.visits.append(visit)
        client = _Client(connection, visit, self._calls)
        try:
            client.serve()
        except ConnectionClosed as closed:
            visit.close_code = None if closed.rcvd is None else closed.rcvd.code


class _Client:
    """One connection, served: the rules of the dialect are the core's."""

    def __init__(self, connection: ServerConnection, visit: Visit, calls: Iterator[int]) -> None:
        self._connection = connection
        self._visit = visit
        self._calls = calls
        self._door = RelayServerProtocol(entropy=os.urandom)
        self._names = itertools.count(1)
        self._leaving = self._empty = False

    def serve(self) -> None:
        """Serve until the client is gone: ConnectionClosed is how this ends."""
        self._door.start(now=time.monotonic())
        while True:
            for event in self._door.events():
                self._answer(event)
            for message in self._door.messages_to_send(now=time.monotonic()):
                self._send(message)
            if self._leaving and "farewell" in self._visit.frames[-1]:
                self._connection.close()  # the client has taken our farewell
            text = self._connection.recv(decode=True)
            self._visit.frames.append(text)
            self._door.receive_message(text, now=time.monotonic())

    def _send(self, message: Message) -> None:
        with suppress(ConnectionClosed):  # what it has said before it left is still to be read
            if isinstance(message, Close):
                self._connection.close(message.code)
            else:
                self._connection.send(message)

    def _answer(self, event: Any) -> None:
        now = time.monotonic()
        if isinstance(event, ConnectRequested):
            project = "" if event.credentials.project is None else event.credentials.project.reveal()
            if project == "unknown":
                self._door.refuse_connect(code=-32002, message="who are you?", now=now)
                return
            self._door.authenticate(protocol=PROTOCOL, identity="somebody@somewhere", now=now)
            self._push("signalwire.authorization.state", {"authorization_state": "opaque"})
            if project == "leaving":
                self._push("calling.call.receive", inbound(f"call-{next(self._calls)}"))
        elif isinstance(event, RequestReceived):
            self._fulfil(event)

    def _fulfil(self, event: RequestReceived) -> None:
        now, params = time.monotonic(), event.params
        if event.method == "parity.silence":
            return
        if event.method == "parity.push" and isinstance(params["texts"], list):
            for text in params["texts"]:
                self._door.push_raw(str(text), now=now)
        more: JsonObject = {"message_id": f"message-{next(self._names)}"} if event.method == "messaging.send" else {}
        result: JsonObject = {} if self._empty else {"code": "200", "message": "OK", **more}
        self._door.respond(event.request_id, result, now=now)
        self._empty = event.method == "parity.empty"
        if event.method == "parity.leave":
            self._leaving = True
            # By hand, for what the core says is followed by a close of its own.
            farewell = Request(id="farewell", method="signalwire.disconnect", params={"restart": params["restart"]})
            self._door.push_raw(encode_frame(farewell), now=now)
        elif event.method == "messaging.send" and params.get("body") != "later":
            self._push("messaging.state", {**more, "message_state": "delivered"})
        elif event.method == "calling.dial":
            self._answer_dial(params["tag"])

    def _answer_dial(self, tag: Json) -> None:
        leg = {"call_id": f"leg-{next(self._names)}", "node_id": "node", "tag": tag}
        self._push("calling.call.state", {**leg, "call_state": "created", "direction": "outbound", "device": PHONE})
        self._push("calling.call.dial", {"tag": tag, "dial_state": "answered", "call": {**leg, "device": PHONE}})

    def _push(self, event_type: str, params: JsonObject) -> None:
        name = f"event-{next(self._names)}"
        self._door.push(event_type, params, event_id=name, now=time.monotonic())


def inbound(call_id: str) -> JsonObject:
    """Return the params of an event that announces a call."""
    return {
        "call_id": call_id,
        "node_id": "node-of-" + call_id,
        "segment_id": "segment",
        "tag": "",
        "call_state": "created",
        "direction": "inbound",
        "context": "default",
        "device": PHONE,
    }
