"""What a client asks for by itself: sessions, messages, call flow, outgoing calls."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from typing import Generic, TypeVar, assert_never, final

from telcoflow_proto import rest
from telcoflow_proto.base_call import BaseCall
from telcoflow_proto.client import ClientMachine
from telcoflow_proto.control.events import RequestDone
from telcoflow_proto.control.messages import CallFlow, SessionInfo
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.exceptions import (
    WSSCallCommandError,
    WSSCallCommandTimeoutError,
    WSSCallRefusedError,
    WSSCallUnansweredError,
    WSSConnectionError,
    WSSError,
    session_error,
)
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.media.table import RING_TIMES
from telcoflow_proto.replies import Outcome
from telcoflow_proto.rest import RestRequest
from telcoflow_proto.session import Session
from telcoflow_proto.surface import TimeLimit
from telcoflow_proto.waiting import Bells, Tickets

CallT = TypeVar("CallT", bound=BaseCall)

_CALL_WITHIN = 10.0
_REFUSALS = ("CALLEE_BUSY", "CALL_REJECTED", "CALL_DECLINED")


@final
class Dial(Generic[CallT]):
    """One outgoing call under way."""

    def __init__(self) -> None:
        self.call: CallT | None = None
        self.error: Exception | None = None
        self.over = False
        self.abandoned = False


class ClientRequests(ABC, Generic[CallT]):
    """The half of ``BaseClient`` that asks the service for something."""

    _machine: ClientMachine
    _sessions: dict[str, Session[CallT]]
    _opening: dict[str, str]
    _dials: dict[str, Dial[CallT]]
    _bells: Bells
    _requests: Tickets[RequestDone]

    # ------------------------------------------------------------------ sessions and messages

    async def list_sessions(
        self, *, channel: str | None = None, remote_address: str | None = None
    ) -> list[SessionInfo]:
        """Ask the service for the open sessions, all or those of a channel or remote address.

        Raises WSSAuthenticationError, WSSConnectionError, or a SessionError of the service's code.
        """
        return rest.read_sessions(*await self._http(rest.list_sessions(channel=channel, remote_address=remote_address)))

    async def open_session(self, session_id: str) -> Session[CallT]:
        """Claim a session; everybody who opens the same one gets the same object.

        Raises SessionBusy when another worker has it, another SessionError for the service's other codes,
        WSSConnectionError without a control connection or an answer.
        """
        session = self._sessions.get(session_id)
        if session is not None:
            return session
        request_id = self._opening.get(session_id)
        if request_id is None:
            request_id = self._ask(lambda now: self._machine.open_session(session_id, now=now))
            self._opening[session_id] = request_id
        await self._answer(request_id)
        return self._session(session_id)

    async def create_session(self, channel: str, remote_address: str) -> Session[CallT]:
        """Start a session from our side and claim it.

        Raises SessionAlreadyExists if one was open with this address, otherwise as ``open_session``.
        """
        done = await self._answer(
            self._ask(lambda now: self._machine.create_session(channel=channel, remote_address=remote_address, now=now))
        )
        session_id = done.session_id or ""
        if done.created is False:
            raise session_error("SESSION_ALREADY_EXISTS", f"a session with this address is open: {session_id}")
        return await self.open_session(session_id)

    async def setup_call_flow(self, flow: CallFlow) -> None:
        """Say what the service shall send our way. Said again by itself after every reconnect."""
        await self._answer(self._ask(lambda now: self._machine.set_up_call_flow(flow, now=now)))

    def session_ready(self, session_id: str) -> None:
        """For ``Session``: ask for its events."""
        try:
            self._machine.ready(session_id, now=self._clock())
        except LocalProtocolError as error:
            raise WSSConnectionError(str(error)) from None
        self._settle()

    async def session_send(self, session_id: str, content: JsonObject) -> object:
        """For ``Session``: send a message."""
        done = await self._answer(self._ask(lambda now: self._machine.send_message(session_id, content, now=now)))
        return done.content

    async def session_close(self, session_id: str) -> str:
        """For ``Session``: ask the service to close it."""
        session = self._sessions.get(session_id)
        reason = rest.read_closed(*await self._http(rest.close_session(session_id)))
        if session is self._sessions.get(session_id):  # else it was told, and perhaps opened again, meanwhile
            self._sessions.pop(session_id, None)
            self._machine.forget_session(session_id)
        return reason

    def session_tell(self, call: Callable[[], object], event: str, about: CallT | None) -> None:
        """For ``Session``: run a handler."""
        self._run_handler(call, event, about)

    def _session(self, session_id: str) -> Session[CallT]:
        session = self._sessions.get(session_id)
        if session is None:
            raise session_error("SESSION_CLOSED", "the session was closed as soon as it was opened")
        return session

    def _ask(self, say: Callable[[float], str]) -> str:
        try:
            return say(self._clock())
        except LocalProtocolError as error:
            raise WSSConnectionError(str(error)) from None

    async def _answer(self, request_id: str) -> RequestDone:
        """Wait for the answer to a request and return it; raises for anything but success."""
        done = await self._requests.outcome(request_id, self._settle)
        match done.outcome:
            case Outcome.DONE:
                return done
            case Outcome.REFUSED:
                owner = done.error_content.get("boundSmWsId") if isinstance(done.error_content, dict) else None
                raise session_error(done.error_code, owner=owner if isinstance(owner, str) else None)
            case Outcome.TIMED_OUT:
                raise WSSConnectionError("the service did not answer in time")
            case Outcome.LOST | Outcome.CALL_OVER:
                raise WSSConnectionError("the control connection was lost before the answer")
            case _:
                assert_never(done.outcome)

    # ------------------------------------------------------------------ outgoing calls

    async def dial(self, remote_address: str, *, ring_time_seconds: int = 60) -> CallT:
        """Call somebody, and return the call once they have picked up: CONNECTED, with direction "MO".

        Raises WSSCallUnansweredError when nobody picks up in the ring time (1 to 120 seconds),
        WSSCallRefusedError when they are busy or decline, ValueError for another ring time, and what
        ``create_session`` raises. Cancelled, it hangs up, even if they pick up in that moment.
        """
        if isinstance(ring_time_seconds, bool) or ring_time_seconds not in RING_TIMES:
            raise ValueError(f"ring_time_seconds must be 1 to {RING_TIMES[-1]} seconds, got {ring_time_seconds!r}")
        if self._machine.control is None:
            raise WSSConnectionError(f"there is no control connection: the client is {self._machine.state.value}")
        dial: Dial[CallT] = Dial()
        self._start(lambda: self._carry_dial(dial, remote_address, ring_time_seconds))
        try:
            while not dial.over:
                await self._bells.wait(dial)
        except BaseException:
            # The dialling goes on in its own task, which finds nobody waiting and hangs up.
            dial.abandoned = True
            if dial.call is not None:
                self._start(lambda: self._hang_up(dial))
            raise
        if dial.error is not None:
            raise dial.error
        if dial.call is None:
            raise WSSConnectionError("the client was closed while it dialled")
        return dial.call

    async def _carry_dial(self, dial: Dial[CallT], remote_address: str, ring_time_seconds: int) -> None:
        session: Session[CallT] | None = None
        try:
            session = await self.create_session("TELCO", remote_address)
            self._dials[session.session_id] = dial
            await session.ready()
            call = await self._delivered(dial, session)
            if not dial.abandoned:
                await call.connect(ring_time_seconds)
        except WSSCallCommandError as error:
            dial.error = _dial_error(error)
        except WSSCallCommandTimeoutError:
            dial.error = WSSCallUnansweredError("call.connect", error_code="TIMEOUT", error_message=None)
        except Exception as error:  # noqa: BLE001 - it is raised to who dialled
            dial.error = error
        finally:
            dial.over = True
            if session is not None:
                self._dials.pop(session.session_id, None)
            self._bells.ring(dial)
        if dial.abandoned or dial.error is not None:
            await self._hang_up(dial)
            if dial.call is None and session is not None:
                with suppress(WSSError):  # left open, it would forbid to call this number again
                    await session.close()

    async def _delivered(self, dial: Dial[CallT], session: Session[CallT]) -> CallT:
        with self._time_limit(_CALL_WITHIN):
            while dial.call is None and not session.is_closed:
                await self._bells.wait(dial)
        if dial.call is None:
            raise WSSConnectionError("the service did not deliver the call")
        return dial.call

    async def _hang_up(self, dial: Dial[CallT]) -> None:
        if dial.call is not None:
            try:
                await dial.call.disconnect()
            except WSSError:
                await dial.call.force_disconnect()

    # ------------------------------------------------------------------ what the client supplies

    @abstractmethod
    def _settle(self) -> None:
        """Report what the machine has to report."""

    @abstractmethod
    def _clock(self) -> float:
        """Return monotonic seconds."""

    @abstractmethod
    def _run_handler(self, call: Callable[[], object], event: str, about: CallT | None) -> None:
        """Run a user's handler in a task of its own, soon."""

    @abstractmethod
    def _start(self, task: Callable[[], Coroutine[object, object, None]]) -> None:
        """Start a task that ends with the client."""

    @abstractmethod
    def _time_limit(self, seconds: float | None) -> AbstractContextManager[TimeLimit]:
        """Return a scope that stops its body after that many seconds; None for never."""

    @abstractmethod
    async def _http(self, request: RestRequest) -> tuple[int, bytes]:
        """Send a request to the service and return status and body; raises WSSConnectionError."""


def _dial_error(error: WSSCallCommandError) -> WSSCallCommandError:
    """Say what a refused connect means to who dialled."""
    for codes, kind in ((("CALL_UNANSWERED",), WSSCallUnansweredError), (_REFUSALS, WSSCallRefusedError)):
        if error.error_code in codes:
            return kind("call.connect", error_code=error.error_code, error_message=error.error_message)
    return error
