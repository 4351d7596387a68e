"""What a RELAY client asks of the service: the half of ``BaseRelayClient`` that waits for answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, assert_never

from telcoflow_proto.chance import Chance
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.exceptions import RelayConnectionError, RelayError, RelayTimeoutError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.call import Call
from telcoflow_proto.relay.client_events import DialOver
from telcoflow_proto.relay.dialling import DIAL_WITHIN
from telcoflow_proto.relay.host import RelayHost
from telcoflow_proto.relay.machine import RelayMachine
from telcoflow_proto.relay.message import Message, MessageHandler
from telcoflow_proto.relay.messages import Replied
from telcoflow_proto.relay.methods import DIAL, SEND_MESSAGE, ActionKind
from telcoflow_proto.relay.params import build_params, copy_json
from telcoflow_proto.relay.resolution import Rule
from telcoflow_proto.replies import Outcome
from telcoflow_proto.waiting import Bells, Tickets

AskedT = TypeVar("AskedT")


class RelayRequests(RelayHost, ABC):
    """The half of ``BaseRelayClient`` that asks the service for something."""

    _machine: RelayMachine
    _chance: Chance
    _bells: Bells
    _requests: Tickets[Replied]
    _calls: dict[str, Call]
    _dials: dict[str, Call | DialOver | None]
    _sending: dict[str, Message]

    # ------------------------------------------------------------------ requests

    async def execute(self, method: str, params: Mapping[str, object]) -> JsonObject:
        """Send any request by its full method name and return its result.

        Without a connection it waits for one, up to 10 seconds. Raises RelayError with the service's code unless it
        was carried out; RelayConnectionError and RelayTimeoutError where nobody knows. TypeError and ValueError
        for params that JSON cannot say.
        """
        copied = copy_json(f"{method}: params", params)
        if not isinstance(copied, dict):
            raise TypeError(f"{method}: params must be an object (dict), got {type(params).__name__}")
        return await self.command(method, copied)

    async def dial(
        self,
        devices: Sequence[Sequence[Mapping[str, object]]],
        *,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
    ) -> Call:
        """Call somebody and return the call once it is answered.

        ``devices`` are groups tried one after the other, the devices of a group ring at once; ``max_duration`` goes
        to the service as it is; ``dial_timeout`` in seconds, 120 if None. Raises RelayError when nobody answers or
        the service refuses. Given up or cancelled, what rings is hung up, and so is what answers later.
        """
        params = build_params(DIAL, {"devices": devices, "max_duration": max_duration or None}, {})
        chosen = tag or self._chance.identifier()
        within = DIAL_WITHIN if dial_timeout is None else dial_timeout
        self._ask(lambda now: self._machine.dial(params, tag=chosen, within=within, now=now))
        self._dials[chosen] = None
        try:
            self._settle()
            while (over := self._dials[chosen]) is None:
                await self._bells.wait(chosen)
        except BaseException:
            self._let_go(chosen)
            raise
        del self._dials[chosen]
        if isinstance(over, Call):
            return over
        raise RelayError(over.code, over.reason)

    def _let_go(self, tag: str) -> None:
        """Nobody waits for this dial any more, and somebody may have picked up in this moment."""
        over = self._dials.pop(tag)
        if over is None:
            self._machine.give_up_dial(tag, now=self._clock())
        elif isinstance(over, Call):
            self._machine.hang_up(over.call_id, now=self._clock())
        self._settle()

    async def send_message(
        self,
        *,
        to_number: str,
        from_number: str,
        context: str | None = None,
        body: str | None = None,
        media: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        region: str | None = None,
        on_completed: MessageHandler | None = None,
    ) -> Message:
        """Send a text message and return it once the service has taken it.

        ``media`` are URLs, 8 at most. ``context`` is where its states are told; the session's own if None. Raises
        ValueError for a message with neither body nor media, RelayError if the service refuses.
        """
        if not body and not media:
            raise ValueError("send_message() needs a body or media: there is nothing to send")
        params = build_params(
            SEND_MESSAGE,
            {
                "context": context or self._machine.protocol or "default",
                "to_number": to_number,
                "from_number": from_number,
                "body": body or None,
                "media": media or None,
                "tags": tags or None,
                "region": region or None,
            },
            {},
        )
        message = Message(
            message_id="",
            context=str(params["context"]),
            direction="outbound",
            from_number=from_number,
            to_number=to_number,
            body=body or "",
            media=list(media or ()),
            tags=list(tags or ()),
            host=self,
            on_completed=on_completed,
        )
        request_id = self._ask(lambda now: self._machine.request(SEND_MESSAGE.wire, params, now=now))
        self._sending[request_id] = message
        await self._answer(request_id)
        return message

    async def receive(self, contexts: Sequence[str]) -> None:
        """Listen to further contexts, after a reconnect too. Raises as ``execute`` does."""
        await self._ask_contexts(self._machine.receive, contexts)

    async def unreceive(self, contexts: Sequence[str]) -> None:
        """Listen to these contexts no more. Raises as ``execute`` does."""
        await self._ask_contexts(self._machine.unreceive, contexts)

    # ------------------------------------------------------------------ for calls and actions

    async def command(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request and return its result. Raises RelayError unless it was carried out."""
        return (await self._answer(self._ask(lambda now: self._machine.request(method, params, now=now)))).result

    async def start_action(
        self, *, call_id: str, method: str, params: JsonObject, control_id: str, kind: ActionKind, over: Rule | None
    ) -> JsonObject:
        """Send the request that starts an action. Raises RelayError unless it was carried out."""
        request_id = self._ask(
            lambda now: self._machine.start_action(
                call_id=call_id, method=method, params=params, control_id=control_id, kind=kind, over=over, now=now
            )
        )
        return (await self._answer(request_id)).result

    async def _ask_contexts(self, ask: Callable[..., str | None], contexts: Sequence[str]) -> None:
        texts: list[str] = []
        for context in contexts if not isinstance(contexts, str) else [None]:
            if not isinstance(context, str) or not context:
                raise TypeError("contexts must be a list of texts that are not empty")
            texts.append(context)
        try:
            request_id = ask(texts, now=self._clock())
        except LocalProtocolError as error:
            raise self._refused(error) from None
        if request_id is not None:
            await self._answer(request_id)

    def _ask(self, say: Callable[[float], AskedT]) -> AskedT:
        try:
            return say(self._clock())
        except LocalProtocolError as error:
            raise self._refused(error) from None

    def _refused(self, error: LocalProtocolError) -> RelayError:
        connected = self._machine.state not in {ClientState.IDLE, ClientState.CLOSING, ClientState.CLOSED}
        return (RelayError if connected else RelayConnectionError)(-1, str(error))

    async def _answer(self, request_id: str) -> Replied:
        """Wait for the answer to a request and return it; raises for anything but success."""
        replied = await self._requests.outcome(request_id, self._settle)
        match replied.outcome:
            case Outcome.DONE:
                return replied
            case Outcome.REFUSED:
                raise RelayError(replied.code, replied.message)
            case Outcome.TIMED_OUT:
                raise RelayTimeoutError(-1, f"Request timeout for {replied.method}")
            case Outcome.LOST | Outcome.CALL_OVER:
                raise RelayConnectionError(-1, f"Connection closed before the answer to {replied.method}")
            case _:
                assert_never(replied.outcome)

    # ------------------------------------------------------------------ what the client supplies

    @abstractmethod
    def _clock(self) -> float:
        """Return monotonic seconds."""

    @abstractmethod
    def _settle(self) -> None:
        """Report what the machine has to report."""
