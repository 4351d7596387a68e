"""A call, driven by trio."""

import math
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, assert_never, final

import trio

from telcoflow_proto.base_call import BaseCall
from telcoflow_proto.client_events import CallIdentity
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.media.events import CallEnded, CallNoticed
from telcoflow_proto.recording import AsyncFile
from telcoflow_proto.surface import Bell, TimeLimit
from telcoflow_trio import _log
from telcoflow_trio._bell import TrioBell
from telcoflow_trio._dial import explain
from telcoflow_trio._driver import Alarm, Carrier

if TYPE_CHECKING:
    from telcoflow_trio.client import TelcoflowClient


@final
class ActiveCall(BaseCall):
    """A phone call of a client: commands, audio both ways, events. Handlers for INCOMING_CALL get one."""

    def __init__(self, identity: CallIdentity, media: MediaClientConnection, client: "TelcoflowClient") -> None:
        super().__init__(identity, media)
        self._client = client
        self._alarm = Alarm(media, self.settle)
        self._carrier = Carrier(media, self.report, self._alarm.wake)
        self._dialled = False
        self._time: Callable[[], float] | None = None
        self.handlers_running = 0
        self.log = _log.of_call(identity.call_id)

    @classmethod
    def from_json(cls, text: str, *, config: ClientConfig | None = None) -> "ActiveCall":
        """Take over a call another process has written with ``to_json``, without a client.

        ``config`` says where a token may go and at which rate the call talks; without it the environment and
        the defaults do. The call's tasks live in the event loop until the call is over; with a client, use
        ``client.adopt`` instead. Raises WSSCallError that says what is wrong with the text.
        """
        from telcoflow_trio.client import TelcoflowClient, TelcoflowClientConfig  # noqa: PLC0415 - they know each other

        return TelcoflowClient.detached(config or TelcoflowClientConfig.for_handover()).adopt(text)

    async def carry(self) -> None:
        """Open the media connection and run it to its end. The client calls this once."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._alarm.run)
            try:
                stream = await self._client.open_transport(self._media.url)
            except OSError as error:
                self._media.fail_transport(explain(error, self._media.url), now=self._clock())
                self.settle()
            else:
                await self._carrier.run(stream)
            nursery.cancel_scope.cancel()

    def _clock(self) -> float:
        return (self._time or self._find_time())()

    def _find_time(self) -> Callable[[], float]:
        self._time = trio.lowlevel.current_clock().current_time  # what ``trio.current_time`` asks, three steps on
        return self._time

    def _new_bell(self) -> Bell:
        return TrioBell()

    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        async def run() -> None:
            with trio.CancelScope(shield=True):  # it ends with the call, and who leaves the client waits for that
                await task()

        self._client.start(run)

    async def _open_file(self, path: str) -> AsyncFile:
        return await trio.open_file(path, "wb")

    async def _read_file(self, path: str) -> bytes:
        return await trio.Path(path).read_bytes()

    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        return trio.move_on_after(math.inf if seconds is None else seconds)

    def _run_handler(self, call: Callable[[], object], event: str) -> None:
        self._client.run_call_handler(call, event, self)

    def _woken(self) -> None:
        if not self._dialled and self._media.wants_transport:
            self._dialled = True
            if not self._client.start_shielded(self.carry):
                self._media.fail_transport("its client is not connected", now=self._clock())
                self.settle()
        self._carrier.wake()

    def _ended(self, end: CallEnded) -> None:
        self.log.info("the call is over: %s", end.reason)
        self._client.call_ended(self)

    def _note(self, event: ConnectionOpened | ConnectionLost | FrameDropped | CallNoticed) -> None:
        match event:
            case FrameDropped():
                self.log.warning("a frame was dropped: %s", event.error)
            case CallNoticed():
                self.log.info("call event %r", event.event)
            case ConnectionLost():
                self.log.debug("the media connection is closed (%s): %s", event.code, event.error)
            case ConnectionOpened():
                self.log.debug("the media connection is open")
            case _:
                assert_never(event)
