"""The service's side of RELAY: a desk that says yes to everything, and counts what it is asked."""

import asyncio
import json
import uuid
from collections import Counter
from typing import Any, final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

SETTLE = 0.3
"""Seconds after the set-up: clients there are that are deaf until they have returned from connecting."""
_WITHIN = 20.0
_PHONE = {"type": "phone", "params": {"from_number": "+15551230001", "to_number": "+15551230000"}}


@final
class Desk(WSListener):
    """A connection of a RELAY client, which is told yes to everything."""

    def __init__(self, ready: asyncio.Event) -> None:
        self._ready = ready
        self._transport: WSTransport | None = None
        self._reached = asyncio.Event()
        self._wanted = ("", 0)
        self.counts: Counter[str] = Counter()
        self.actions: dict[str, str] = {}
        """The action that was started last on each call."""
        self.seen: dict[str, int] = {}
        """How many events each call says to have seen."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        method = message.get("method", "acknowledged")
        if method != "acknowledged":
            transport.send(WSMsgType.TEXT, self._answer(message))
        self.counts[method] += 1
        if self.counts[self._wanted[0]] >= self._wanted[1]:
            self._reached.set()

    def _answer(self, request: dict[str, Any]) -> str:  # JSON values
        method, params = request["method"], request["params"]
        result: dict[str, object] = {"code": "200", "message": "OK"}
        if method == "signalwire.connect":
            result = {"protocol": "signalwire_bench", "identity": "somebody@somewhere"}
            asyncio.get_running_loop().call_later(SETTLE, self._ready.set)
        elif method == "calling.play":
            self.actions[params["call_id"]] = params["control_id"]
        elif method == "bench.seen":
            self.seen[params["call"]] = params["seen"]
        return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def push(self, event_type: str, params: dict[str, Any]) -> None:  # JSON values
        """Tell the client what happens."""
        assert self._transport is not None
        envelope = {"event_type": event_type, "event_channel": "bench", "timestamp": 1.0, "project_id": "p"}
        event = {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": "signalwire.event"}
        text = json.dumps({**event, "params": {**envelope, "space_id": "s", "params": params}})
        self._transport.send(WSMsgType.TEXT, text)

    def announce(self, call_id: str) -> None:
        """Let a call come in."""
        call = {"call_id": call_id, "node_id": "node", "segment_id": "segment", "tag": "", "context": "default"}
        self.push("calling.call.receive", {**call, "call_state": "created", "direction": "inbound", "device": _PHONE})

    async def until(self, method: str, count: int) -> None:
        """Wait until a method was called so many times in all. Raises TimeoutError."""
        self._wanted = (method, count)
        self._reached.clear()
        if self.counts[method] < count:
            async with asyncio.timeout(_WITHIN):
                await self._reached.wait()
