"""A session as its user sees it: a claim on a conversation, over a phone call or in messages."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, final

from telcoflow_proto.control.messages import MessageIn, SessionInfo
from telcoflow_proto.events import SessionEvent
from telcoflow_proto.exceptions import SessionClosed
from telcoflow_proto.handlers import H, Handlers
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.surface import Bell
from telcoflow_proto.waiting import Bells

CallT = TypeVar("CallT")
_CallT_contra = TypeVar("_CallT_contra", contravariant=True)

_CLOSED = "closed"


class SessionHost(Protocol[_CallT_contra]):
    """What a session needs of its client."""

    def session_ready(self, session_id: str) -> None:
        """Ask the service for the session's events."""
        ...

    async def session_send(self, session_id: str, content: JsonObject) -> object:
        """Send a message and wait for the service's answer."""
        ...

    async def session_close(self, session_id: str) -> str:
        """Ask the service to close the session; returns the reason."""
        ...

    def session_tell(self, call: Callable[[], object], event: str, about: _CallT_contra | None) -> None:
        """Run a handler, soon; if it breaks, the call it is about must not stay in silence."""
        ...


@final
class Session(Generic[CallT]):
    """One session of ours. Register handlers, then ``await ready()``: only then its events come."""

    def __init__(self, info: SessionInfo, host: SessionHost[CallT], new_bell: Callable[[], Bell]) -> None:
        self._info = info
        self._host = host
        self._bells = Bells(new_bell)
        self._handlers = Handlers(SessionEvent)
        self._reason: str | None = None

    def __repr__(self) -> str:
        return f"<session {self.session_id} {'open' if self._reason is None else 'closed'}>"

    @property
    def session_id(self) -> str:
        """The service's id of the session."""
        return self._info.id

    @property
    def channel(self) -> str:
        """What it carries: "TELCO" calls, "WA" messages."""
        return self._info.channel

    @property
    def remote_address(self) -> str | None:
        """Who is at the other end."""
        return self._info.remote_address

    @property
    def info(self) -> SessionInfo:
        """The session as the service described it when it was opened."""
        return self._info

    @property
    def is_closed(self) -> bool:
        """True once the session is over; it never comes back."""
        return self._reason is not None

    @property
    def close_reason(self) -> str | None:
        """Why it is over: "SDK_REQUEST", "FORCE_CLOSE", "CALL_TERMINATED"; None while it is open."""
        return self._reason

    # ------------------------------------------------------------------ handlers

    def on_incoming_call(self, handler: H) -> H:
        """Register, as a decorator or by a plain call, what takes the call of this session."""
        self._handlers.add(SessionEvent.INCOMING_CALL, handler)
        return handler

    def on_incoming_message(self, handler: H) -> H:
        """Register what takes a message of this session (a ``MessageIn``)."""
        self._handlers.add(SessionEvent.INCOMING_MESSAGE, handler)
        return handler

    def on_closed(self, handler: H) -> H:
        """Register what hears, once, that the session is over, and the reason."""
        self._handlers.add(SessionEvent.CLOSED, handler)
        return handler

    # ------------------------------------------------------------------ doing

    async def ready(self) -> None:
        """Ask for this session's events; call it after every handler is registered.

        Raises SessionClosed if it is over, WSSConnectionError while there is no control connection.
        """
        self._check_open()
        self._host.session_ready(self.session_id)

    async def send_message(self, content: JsonObject) -> object:
        """Send a message (the provider's own object) and return what the service answers.

        Raises a SessionError of the service's code, SessionClosed if it is over, WSSConnectionError without a
        control connection or when the answer does not come in 30 seconds.
        """
        self._check_open()
        return await self._host.session_send(self.session_id, content)

    async def close(self) -> None:
        """Close the session; one that is closed already is fine.

        Raises WSSConnectionError, WSSAuthenticationError or a SessionError when the service does not do it.
        """
        if self._reason is None:
            self.closed(await self._host.session_close(self.session_id))

    async def wait_closed(self) -> str:
        """Wait until the session is over and return the reason."""
        while self._reason is None:
            await self._bells.wait(_CLOSED)
        return self._reason

    # ------------------------------------------------------------------ told by the client

    def call_came(self, call: CallT) -> bool:
        """Give the session's call to its handlers; False if it has none."""
        self._tell(SessionEvent.INCOMING_CALL, call, call)
        return self._handlers.knows(SessionEvent.INCOMING_CALL)

    def message_came(self, message: MessageIn) -> bool:
        """Give a message to the session's handlers; False if it has none."""
        self._tell(SessionEvent.INCOMING_MESSAGE, message)
        return self._handlers.knows(SessionEvent.INCOMING_MESSAGE)

    def closed(self, reason: str) -> None:
        """The session is over. Told again, it changes nothing."""
        if self._reason is None:
            self._reason = reason
            self._bells.ring(_CLOSED)
            self._tell(SessionEvent.CLOSED, reason)

    def _tell(self, event: SessionEvent, argument: object, about: CallT | None = None) -> None:
        for invoke in self._handlers.calls(event, argument):
            self._host.session_tell(invoke, event, about)

    def _check_open(self) -> None:
        if self._reason is not None:
            raise SessionClosed("SESSION_CLOSED", f"the session is over ({self._reason})")
