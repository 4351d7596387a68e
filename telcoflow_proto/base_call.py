"""A call as its user sees it, written once for every adapter.

Everything but waiting is the media connection's business; waiting needs an event loop, so an adapter
supplies six primitives at the end of the class: a clock, a bell, a time limit, a way to run a handler,
a way to start the media transport, and a log.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import assert_never

from telcoflow_proto.call_audio import END, PLAYED, ROOM, CallAudio
from telcoflow_proto.client_events import CallIdentity
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, DoorEvent, FrameDropped
from telcoflow_proto.errors import CallOver, LocalProtocolError
from telcoflow_proto.events import CallEvent
from telcoflow_proto.exceptions import (
    WSSCallClosedError,
    WSSCallCommandError,
    WSSCallCommandTimeoutError,
    WSSCallStateError,
    WSSMediaError,
)
from telcoflow_proto.handlers import H, Handler, Handlers
from telcoflow_proto.handover import write_handover
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.media.events import (
    AudioArrived,
    CallChanged,
    CallEnded,
    CallErrorReported,
    CallFailedToMove,
    CallNews,
    CallNoticed,
    CommandDone,
    EndReason,
    PlayoutFinished,
)
from telcoflow_proto.media.protocol import MediaStatistics
from telcoflow_proto.media.table import CallState, CallWord
from telcoflow_proto.replies import Outcome
from telcoflow_proto.surface import (
    Bell,
    CommandResult,
    Say,
)
from telcoflow_proto.waiting import Bells, Tickets

_TOLD = {
    CallState.ANSWERED: CallEvent.CALL_ANSWERED,
    CallState.CONNECTED: CallEvent.CALL_CONNECTED,
}
_TOLD_FAILED = {
    CallWord.ANSWER: CallEvent.CALL_ANSWER_FAILED,
    CallWord.CONNECT: CallEvent.CALL_CONNECT_FAILED,
}


class BaseCall(CallAudio):
    """A phone call. Methods may be called from any task of the loop and be cancelled at any point."""

    def __init__(self, identity: CallIdentity, media: MediaClientConnection) -> None:
        self._identity = identity
        self._media = media
        self._handlers = Handlers(CallEvent)
        self._bells = Bells(self._new_bell)
        self._tickets: Tickets[CommandDone] = Tickets(self._bells)
        self._end_detail: str | None = None
        self._playouts_finished = 0

    def __repr__(self) -> str:
        return f"<call {self.call_id} {self.state.value}>"

    # ------------------------------------------------------------------ what it is

    @property
    def call_id(self) -> str:
        """The service's id of the call."""
        return self._identity.call_id

    @property
    def caller_number(self) -> str | None:
        """Who calls; None for a withheld number."""
        return self._identity.caller

    @property
    def callee_number(self) -> str | None:
        """Who was called."""
        return self._identity.callee

    @property
    def direction(self) -> str:
        """Which way the call went: "MT" for one that came in, "MO" for a dialled one."""
        return self._identity.direction

    @property
    def state(self) -> CallState:
        """PENDING, ANSWERED, CONNECTED or DISCONNECTED."""
        return self._media.state

    @property
    def audio_mode(self) -> str | None:
        """Who hears the agent once CONNECTED: "barge" (both), "whisper" (the callee), "spy" (nobody)."""
        return self._media.audio_mode

    @property
    def end_reason(self) -> EndReason | None:
        """Why the call ended; None while it goes on."""
        return self._media.end_reason

    def statistics(self) -> MediaStatistics:
        """Return a frozen snapshot: states, bytes and frames each way, buffer, credit, drops."""
        return self._media.statistics()

    def to_json(self) -> str:
        """Write the call as text for another process to take over with ``from_json``, ours or the vendor's.

        Only before anything was said on it: raises WSSCallStateError later. The text holds the call's token;
        who takes the call over is the one to answer it.
        """
        if self.state is not CallState.PENDING or self._media.started or self._media.wants_transport:
            raise WSSCallStateError(f"a call can be handed over only before it is used; it is {self.state.value}")
        return write_handover(self._identity, self._media)

    # ------------------------------------------------------------------ handlers

    def on(self, event: str) -> Callable[[H], H]:
        """Register the decorated handler for an event of this call. Raises ValueError for an unknown one."""

        def register(handler: H) -> H:
            self.register_event_handler(event, handler)
            return handler

        return register

    def register_event_handler(self, event: str, handler: Handler) -> None:
        """Register a handler, sync or async, that takes nothing or one argument."""
        self._handlers.add(event, handler)

    # ------------------------------------------------------------------ commands

    async def answer(self) -> CommandResult:
        """Pick up. From ANSWERED on, audio flows both ways.

        This and all commands raise WSSCallStateError when the state forbids it, WSSCallClosedError when the
        call is over, WSSCallCommandError when the service refuses, WSSCallCommandTimeoutError when it is
        silent, and WSSMediaError within 100 ms when the media connection is lost.
        """
        return await self._perform(self._media.answer)

    async def connect(self, ring_time_seconds: int = 60) -> CommandResult:
        """Ring the callee for 1 to 120 seconds and bring them into the call.

        Raises ValueError for another ring time. An unanswered ring raises WSSCallCommandError with
        ``error_code`` "CALL_UNANSWERED"; the call is then as it was.
        """

        def say(*, now: float) -> str:
            return self._media.connect(ring_time_seconds=ring_time_seconds, now=now)

        return await self._perform(say)

    async def whisper(self) -> CommandResult:
        """Let only the callee hear the agent."""
        return await self._perform(self._media.whisper)

    async def barge(self) -> CommandResult:
        """Let caller and callee hear the agent, as after ``connect``."""
        return await self._perform(self._media.barge)

    async def spy(self) -> CommandResult:
        """Let nobody hear the agent, who still hears both."""
        return await self._perform(self._media.spy)

    async def close(self, *, drain: float = 0.0) -> CommandResult:
        """Leave: ends an ANSWERED call, leaves the parties of a CONNECTED one, lets go of a PENDING one.

        ``drain`` seconds at most are spent to play out queued audio first. A call that is over is fine.
        """
        return await self._leave(self._media.close, CallWord.CLOSE, drain)

    async def disconnect(self, *, drain: float = 0.0) -> CommandResult:
        """End the call for everybody; declines a PENDING one. ``drain`` and the rest as for ``close``."""
        return await self._leave(self._media.disconnect, CallWord.DISCONNECT, drain)

    async def force_disconnect(self) -> None:
        """End the call here and now, whatever the service does."""
        self._media.force_disconnect(now=self._clock())
        self.settle()

    async def wait_ended(self) -> EndReason:
        """Wait until the call is over and return why."""
        while (reason := self._media.end_reason) is None:
            await self._bells.wait(END)
        return reason

    def cut(self) -> None:
        """For the client that was left: nobody drives the media connection any more."""
        self._media.fail_transport("the client was left", now=self._clock())
        self.settle()

    async def wait_closed(self) -> None:
        """Wait until the media connection is closed too, at most 2 seconds after the call ended."""
        while not self._media.lost:
            await self._bells.wait(END)

    # ------------------------------------------------------------------ inside

    async def _perform_interrupt(self) -> None:
        await self._perform(self._media.interrupt)

    async def _leave(self, say: Say, word: CallWord, drain: float) -> CommandResult:
        if drain > 0:
            await self.drain(drain)
        if self._media.over:
            return CommandResult(command=word.value)
        return await self._perform(say)

    async def _perform(self, say: Say) -> CommandResult:
        """Say a command and wait for its outcome. A waiter that is cancelled leaves nothing behind."""
        try:
            ticket_id = say(now=self._clock())
        except CallOver as error:
            raise WSSCallClosedError(str(error)) from None
        except LocalProtocolError as error:
            raise WSSCallStateError(str(error)) from None
        return self._result(await self._tickets.outcome(ticket_id, self.settle))

    def _result(self, done: CommandDone) -> CommandResult:
        name = done.command.value
        match done.outcome:
            case Outcome.DONE:
                return CommandResult(command=name, took=done.took, result=done.result)
            case Outcome.REFUSED:
                raise WSSCallCommandError(name, error_code=done.error_code, error_message=done.error_message)
            case Outcome.TIMED_OUT:
                raise WSSCallCommandTimeoutError(f"{name} was not answered in {done.took:.1f} s")
            case Outcome.LOST:
                detail = f": {self._end_detail}" if self._end_detail else ""
                raise WSSMediaError(f"{name} has no answer: the media connection is lost{detail}")
            case Outcome.CALL_OVER:
                raise WSSCallClosedError(f"{name} came too late: the call is over ({self.end_reason})")
            case _:
                assert_never(done.outcome)

    def settle(self) -> None:
        """Report what has happened, and look what is to be done; call after everything that touches the media."""
        self.report()
        self._woken()

    def report(self) -> None:
        """Report what the media connection has to report."""
        happened = self._media.happened
        while happened:
            event = happened.popleft()
            if isinstance(event, AudioArrived):
                self._bells.ring(event.channel)
            else:
                self._on_event(event)
        if ROOM in self._bells.keys:
            self._bells.ring(ROOM)

    def _on_event(self, event: CallNews | DoorEvent) -> None:
        match event:
            case CommandDone():
                self._tickets.resolve(event.command_id, event)
            case PlayoutFinished():
                self._playouts_finished += 1
                self._bells.ring(PLAYED)
            case ConnectionOpened() | ConnectionLost() | FrameDropped() | CallNoticed():
                self._note(event)
                if isinstance(event, ConnectionLost):
                    self._end_detail = str(event.error) if event.error else None
                    self._bells.ring_all()
            case CallChanged():
                self._tell(_TOLD[event.state], event.state)
            case CallFailedToMove():
                self._tell(_TOLD_FAILED[event.command], _error_data(event.error_code, event.error_message))
            case CallErrorReported():
                self._tell(CallEvent.CALL_ERROR, _error_data(event.error_code, event.error_message))
            case CallEnded():
                self._tell(CallEvent.CALL_TERMINATED, event.reason)
                self._bells.ring_all()
                self._ended(event)
            case UpgradeRequested():
                pass  # a server's affair
            case _:
                assert_never(event)

    def _tell(self, event: CallEvent, argument: object) -> None:
        for call in self._handlers.calls(event, argument):
            self._run_handler(call, event)

    # ------------------------------------------------------------------ what an adapter supplies

    @abstractmethod
    def _new_bell(self) -> Bell:
        """Return a fresh one-shot event."""

    @abstractmethod
    def _run_handler(self, call: Callable[[], object], event: str) -> None:
        """Run a user's handler in a task of its own, soon."""

    @abstractmethod
    def _ended(self, end: CallEnded) -> None:
        """The call is over; said once."""

    @abstractmethod
    def _note(self, event: ConnectionOpened | ConnectionLost | FrameDropped | CallNoticed) -> None:
        """Write something worth knowing to the log."""


def _error_data(code: str | None, message: str | None) -> dict[str, str | None]:
    return {"error_code": code, "error_message": message}
