"""Many short calls of the core, no socket and no clock: both ends of everything, joined in memory.

``python -m benchmarks.joined COUNT`` prints one object of JSON: what is still held after the last call, by what memory
grew since the first tenth, and how many calls a second that was.
"""

import json
import sys
import time
from typing import final

from benchmarks.registries import fuller, sizes
from benchmarks.stages import rss
from telcoflow_proto.chance import Entropy
from telcoflow_proto.client import ClientMachine
from telcoflow_proto.client_events import CallOffered
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.connection import ControlServerConnection
from telcoflow_proto.control.events import RequestReceived, SessionReadied, SetupRequested
from telcoflow_proto.control.messages import CallIn, OpenSession, SessionInfo, SessionNotice
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.media.connection import MediaServerConnection
from telcoflow_proto.media.events import CommandReceived
from telcoflow_proto.testing import Pair, entropy

_URL = "ws://127.0.0.1:8080"
_BETWEEN = 1.0  # seconds of the core's time from one call to the next


@final
class Exchange:
    """A client machine and the service's end of its control connection. Every call is answered, and ended at once."""

    def __init__(self, chance: Entropy) -> None:
        self._chance = chance
        self.now = 0.0
        self.client = ClientMachine(
            ClientConfig.sandbox(api_key="k", connector_uuid="c", base_url=_URL), entropy=self._chance
        )
        self.service = ControlServerConnection(entropy=self._chance)
        self.answered = 0
        self.client.accept_calls(now=0.0)
        self.client.connect(now=0.0)
        self.service.start(now=0.0)
        self.client.start(now=0.0)
        self._carry()

    def one_call(self, session_id: str) -> None:
        """Let a call come, be answered and end."""
        self.now += _BETWEEN
        self.client.handle_timeout(now=self.now)
        self.service.handle_timeout(now=self.now)
        notice = SessionNotice(session_id=session_id, channel="TELCO", activity="NEW_INCOMING_CALL")
        self.service.notify(notice, now=self.now)
        self._carry()
        self.service.close_session(session_id, "CALL_TERMINATED", now=self.now)
        self._carry()

    def _carry(self) -> None:
        """Carry bytes both ways until nobody has any."""
        busy = True
        while busy:
            up = self.client.data_to_send(now=self.now)
            self.service.receive_data(up, now=self.now)
            for heard in self.service.events():
                self._serve(heard)
            down = self.service.data_to_send(now=self.now)
            self.client.receive_data(down, now=self.now)
            for event in self.client.events():
                if isinstance(event, CallOffered):
                    self._talk(event)
            busy = bool(up or down)

    def _serve(self, event: object) -> None:
        match event:
            case UpgradeRequested():
                self.service.accept(now=self.now)
            case SetupRequested():
                self.service.complete_setup(now=self.now)
            case RequestReceived():
                request = event.requested.request
                assert isinstance(request, OpenSession)
                session = SessionInfo(id=request.session_id, channel="TELCO")
                self.service.open_succeeded(event.requested.request_id, session, now=self.now)
            case SessionReadied():
                name = event.session_id
                call = CallIn(session_id=name, call_id=f"call-{name}", url=f"{_URL}/{name}", token="t")  # noqa: S106 - made up
                self.service.offer_call(call, now=self.now)
            case _:
                pass

    def _talk(self, offered: CallOffered) -> None:
        """Answer a call, and have the service end it."""
        far = MediaServerConnection(entropy=self._chance)
        pair = Pair(offered.media, far)
        pair.open(now=self.now)
        offered.media.answer(now=self.now)
        pair.carry(now=self.now)
        for event in pair.server_events:
            if isinstance(event, CommandReceived):
                far.succeed(event.command.command_id, now=self.now)
                self.answered += 1
        pair.carry(now=self.now)
        far.terminate(now=self.now)
        pair.carry(now=self.now)
        pair.lose(now=self.now)
        assert offered.media.over
        self.client.release(offered.identity.call_id)


def main(count: int) -> dict[str, object]:
    """Take that many calls and say what came of it."""
    settled, early = count // 10, 0
    exchange = Exchange(entropy())
    empty = {**sizes(exchange.client), **sizes(exchange.service)}
    began = time.monotonic()
    for number in range(count):
        if number == settled:
            early = rss("self")
        exchange.one_call(f"s{number}")
    assert exchange.answered == count
    return {
        "calls": count,
        "settled": settled,
        "growth": rss("self") - early,
        "rate": count / (time.monotonic() - began),
        "held": fuller(empty, {**sizes(exchange.client), **sizes(exchange.service)}),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
