"""A text message, as the user holds it: one that came in, or one that was sent and is on its way."""

from collections.abc import Callable, Sequence
from typing import final

from telcoflow_proto.exceptions import RelayError
from telcoflow_proto.jsontext import Json
from telcoflow_proto.relay.events import MessageReceiveEvent, MessageStateEvent, RelayEvent
from telcoflow_proto.relay.host import RelayHost

MessageHandler = Callable[[RelayEvent], object]


@final
class Message:
    """A text message. Handlers of ``on_message`` get one, ``send_message`` returns one.

    ``state`` of one we sent goes from queued over initiated and sent to delivered, undelivered or failed.
    """

    def __init__(
        self,
        *,
        message_id: str,
        context: str = "",
        direction: str = "",
        from_number: str = "",
        to_number: str = "",
        body: str = "",
        media: Sequence[Json] = (),
        segments: int = 0,
        state: str = "",
        reason: str = "",
        tags: Sequence[Json] = (),
        host: RelayHost | None = None,
        on_completed: MessageHandler | None = None,
    ) -> None:
        self.message_id = message_id
        self.context = context
        self.direction = direction
        self.from_number = from_number
        self.to_number = to_number
        self.body = body
        self.media = list(media)
        self.segments = segments
        self.state = state
        self.reason = reason
        self.tags = list(tags)
        self._host = host
        self._on_completed = on_completed
        self._handlers: list[MessageHandler] = []
        self._result: RelayEvent | None = None
        self._lost = ""

    def __repr__(self) -> str:
        return f"<Message {self.message_id} {self.direction} {self.state or 'unsent'}>"

    @classmethod
    def received(cls, event: MessageReceiveEvent, host: RelayHost) -> "Message":
        """For the client: make one of what came in."""
        return cls(
            message_id=event.message_id,
            context=event.context,
            direction=event.direction or "inbound",
            from_number=event.from_number,
            to_number=event.to_number,
            body=event.body,
            media=event.media,
            segments=event.segments,
            state=event.message_state or "received",
            tags=event.tags,
            host=host,
        )

    @property
    def is_done(self) -> bool:
        """True once nothing more will be told of it."""
        return self._result is not None or bool(self._lost)

    @property
    def result(self) -> RelayEvent | None:
        """The event with its final state; None before."""
        return self._result

    def on(self, handler: MessageHandler) -> None:
        """Call ``handler``, sync or async, with every event that tells of this message."""
        self._handlers.append(handler)

    async def wait(self, timeout: float | None = None) -> RelayEvent:
        """Wait for the final state and return its event.

        Raises TimeoutError after ``timeout`` seconds, which changes nothing, and RelayError for a message that
        came in, or whose client was closed first: nothing more will be told of it.
        """
        if self._host is None or self.direction == "inbound":
            raise RelayError(-1, "a message that came in has no further state to wait for")
        with self._host.time_limit(timeout):
            while not self.is_done:
                await self._host.bells.wait(self)
        if self._lost:
            raise RelayError(-1, f"the state of message {self.message_id} will never be known: {self._lost}")
        if self._result is None:
            raise TimeoutError(f"message {self.message_id} is still {self.state} after {timeout} s")
        return self._result

    def accepted(self, message_id: str) -> None:
        """For the client: the service has taken it, under this id."""
        self.message_id = message_id
        self.state = "queued"

    def told(self, event: RelayEvent, *, final_state: bool) -> None:
        """For the client: the service tells of it."""
        if self._host is None:
            return
        if isinstance(event, MessageStateEvent):
            self.state = event.message_state or self.state
            self.reason = event.reason or self.reason
        for handler in list(self._handlers):
            self._host.tell(handler, event, f"message {self.message_id}")
        if final_state:
            self._result = event
            self._host.bells.ring(self)
            if self._on_completed is not None:
                self._host.tell(self._on_completed, event, f"on_completed of message {self.message_id}")

    def abandon(self, reason: str) -> None:
        """For the client: nothing more will be told."""
        if self._result is None and self._host is not None:
            self._lost = reason
            self._host.bells.ring(self)
