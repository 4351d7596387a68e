"""The server role of one RELAY connection: who comes, what they ask, what they are told, and whether they listen."""

import enum
from typing import TYPE_CHECKING, assert_never, final

from telcoflow_proto.chance import Entropy
from telcoflow_proto.door import MessageDoor
from telcoflow_proto.errors import LocalProtocolError, PeerSilent, RemoteProtocolError
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import RELAY_LIMITS, Limits
from telcoflow_proto.machine import Machine
from telcoflow_proto.relay.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    Failure,
    Id,
    Request,
    Result,
    decode_frame,
    encode_frame,
)
from telcoflow_proto.relay.messages import (
    ConnectRequested,
    Credentials,
    EventAcknowledged,
    RequestReceived,
    Resumption,
    ServerRelayEvent,
)
from telcoflow_proto.relay.table import RELAY_TABLE, RelayState, RelayWord
from telcoflow_proto.roles import Role
from telcoflow_proto.secret import Secret
from telcoflow_proto.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECT_WITHIN = 10.0
_PING_EVERY = 10.0
_PONG_WITHIN = 10.0
_CLOSE_WITHIN = 1.0

NOT_ALLOWED = -32003


@final
class _Timer(enum.Enum):
    CONNECT = "the client did not say signalwire.connect in time"
    PING = "time to look for the client"
    PONG = "the client did not answer a ping in time"
    CLOSE = "the client was told to leave"


class RelayServerProtocol(MessageDoor[ServerRelayEvent]):
    """The service's end of one RELAY connection, for who has WebSocket messages.

    ``ConnectRequested`` wants ``authenticate`` or ``refuse_connect``; every ``RequestReceived`` wants ``respond``
    or ``fail``. Pings are sent and answered, and a client that does not answer is dropped.
    """

    def __init__(self, *, entropy: Entropy, limits: Limits = RELAY_LIMITS) -> None:
        super().__init__(Role.SERVER, entropy=entropy, limits=limits)
        self._machine = Machine(RELAY_TABLE, Role.SERVER)
        self._connect_id: Id | None = None
        self._requests: dict[Id, str] = {}
        self._pushed: dict[str, None] = {}
        self._ping_id: str | None = None
        self._timers: Timers[_Timer] = Timers()
        self.unexpected = 0
        self.hears: Callable[[str], bool] = _everything
        """Asked about every method a client asks for; what it does not hear never happened. Without ears for
        ``signalwire.ping`` no ping is sent either. For stand-ins that let things get lost."""

    @property
    def state(self) -> RelayState:
        """Where the connection stands."""
        return self._machine.state

    # ------------------------------------------------------------------ saying

    def authenticate(self, *, protocol: str, identity: str = "", restored: bool = False, now: float) -> None:
        """Let the client in. ``protocol`` is what it says to come back; ``restored`` if it has come back."""
        self._now = now
        result: JsonObject = {"protocol": protocol, "identity": identity, "session_restored": restored}
        text = encode_frame(Result(id=self._connecting(), result=result))
        self._machine.say(RelayWord.ACCEPT)
        self._timers.arm(_Timer.PING, now + _PING_EVERY)
        self._say(text)

    def refuse_connect(self, *, code: int, message: str, data: Json = None, now: float) -> None:
        """Turn the client away and close the connection."""
        self._now = now
        text = encode_frame(Failure(id=self._connecting(), code=code, message=message, data=data))
        self._machine.say(RelayWord.REFUSE)
        self._say(text)
        self.close_connection(now=now)

    def respond(self, request_id: Id, result: JsonObject, *, now: float) -> None:
        """Answer a request. A ``code`` in the result that is not 2xx says that it was not carried out."""
        self._answer(Result(id=request_id, result=result), now)

    def fail(self, request_id: Id, *, code: int, message: str, data: Json = None, now: float) -> None:
        """Answer a request that cannot even be looked at with a JSON-RPC error."""
        self._answer(Failure(id=request_id, code=code, message=message, data=data), now)

    def push(
        self,
        event_type: str,
        params: JsonObject,
        *,
        envelope: JsonObject | None = None,
        event_id: str | None = None,
        now: float,
    ) -> str:
        """Tell the client of something; ``envelope`` goes beside type and params. Returns the event's id.

        An event that was not acknowledged is told again with the ``event_id`` it had.
        """
        self._now = now
        self._machine.check(RelayWord.EVENT)
        event_id = event_id or self._chance.identifier()
        told: JsonObject = {"event_type": event_type, **(envelope or {}), "params": params}
        text = encode_frame(Request(id=event_id, method="signalwire.event", params=told))
        self._machine.say(RelayWord.EVENT)
        self._pushed[event_id] = None
        while len(self._pushed) > self._limits.remembered_ids:
            del self._pushed[next(iter(self._pushed))]
        self._say(text)
        return event_id

    def push_raw(self, text: str, *, now: float) -> None:
        """Say any text, however wrong it is. For stand-ins that show how clients take it."""
        self._now = now
        self._machine.say(RelayWord.EVENT)
        self._say(text)

    def ask_to_leave(self, *, restart: bool, now: float) -> None:
        """Say that the connection is about to close; with ``restart`` the client must begin a new session."""
        self._now = now
        self._machine.say(RelayWord.DISCONNECT)
        self._timers.clear()
        self._timers.arm(_Timer.CLOSE, now + _CLOSE_WITHIN)
        params: JsonObject = {"restart": restart}
        request = Request(id=self._chance.identifier(), method="signalwire.disconnect", params=params)
        self._say(encode_frame(request))

    def _connecting(self) -> Id:
        if self._connect_id is None:
            raise LocalProtocolError("the client has not said signalwire.connect yet")
        return self._connect_id

    def _answer(self, answer: Result | Failure, now: float) -> None:
        self._now = now
        self._machine.check(RelayWord.RESPONSE)
        if answer.id not in self._requests:
            raise LocalProtocolError(f"no request waits for an answer under {answer.id!r}")
        text = encode_frame(answer)
        del self._requests[answer.id]
        self._machine.say(RelayWord.RESPONSE)
        self._say(text)

    # ------------------------------------------------------------------ hearing

    def _on_open(self, now: float) -> None:
        self._timers.arm(_Timer.CONNECT, now + _CONNECT_WITHIN)

    def _on_text(self, text: str, now: float) -> None:
        frame = decode_frame(text, self._limits)
        if isinstance(frame, Request):
            self._on_request(frame)
        elif frame.id == self._ping_id and self._timers.armed(_Timer.PONG):
            self._timers.disarm(_Timer.PONG)
            self._timers.arm(_Timer.PING, now + _PING_EVERY)
        elif isinstance(frame, Result) and isinstance(frame.id, str) and frame.id in self._pushed:
            del self._pushed[frame.id]
            self.happened.append(EventAcknowledged(event_id=frame.id, result=frame.result))
        elif self.state is not RelayState.LEAVING:  # else it is the answer to our farewell
            self.unexpected += 1

    def _on_request(self, frame: Request) -> None:
        if frame.id is None:
            raise RemoteProtocolError(f"a {frame.method[:64]!r} request has no id", close_code=1007)
        if not self.hears(frame.method):
            return
        if frame.method == "signalwire.connect":
            self._on_connect(frame, frame.id)
            return
        row = self._machine.hear(RelayWord.PING if frame.method == "signalwire.ping" else RelayWord.REQUEST)
        if row is None:
            self._reject(frame.id, NOT_ALLOWED, "say signalwire.connect first")
        elif row.crossing:
            pass  # said before our goodbye arrived; nobody may answer it any more
        elif frame.id in self._requests or len(self._requests) >= self._limits.pending_requests:
            self._reject(frame.id, INVALID_REQUEST, "this id is in use, or too many requests wait")
        elif frame.method == "signalwire.ping":
            self._say(encode_frame(Result(id=frame.id, result=frame.params)))
        else:
            self._requests[frame.id] = frame.method
            self.happened.append(RequestReceived(request_id=frame.id, method=frame.method, params=frame.params))

    def _on_connect(self, frame: Request, id_: Id) -> None:
        if self._machine.hear(RelayWord.CONNECT) is None:
            self._reject(id_, INVALID_REQUEST, "connected already")
            return
        self._timers.disarm(_Timer.CONNECT)  # from now on it is we who may be slow
        self._connect_id = id_
        try:
            self.happened.append(_read_connect(frame.params))
        except RemoteProtocolError as fault:
            self.refuse_connect(code=INVALID_PARAMS, message=str(fault), now=self._now)

    def _reject(self, id_: Id, code: int, message: str) -> None:
        self._say(encode_frame(Failure(id=id_, code=code, message=message)))

    def _on_binary(self, data: bytes, now: float) -> None:
        raise RemoteProtocolError("a binary message on a RELAY connection", close_code=1003)

    # ------------------------------------------------------------------ the end, and time

    def _on_lost(self, now: float) -> None:
        self._machine.say(RelayWord.LOST)
        self._timers.clear()
        self._requests.clear()

    def _deadline(self) -> float | None:
        return self._timers.next_deadline()

    def _on_timeout(self, now: float) -> None:
        for timer in self._timers.pop_due(now):
            match timer:
                case _Timer.PING if not self.hears("signalwire.ping"):
                    self._timers.arm(_Timer.PING, now + _PING_EVERY)
                case _Timer.PING:
                    self._machine.say(RelayWord.PING)
                    self._ping_id = self._chance.identifier()
                    self._timers.arm(_Timer.PONG, now + _PONG_WITHIN)
                    params: JsonObject = {"timestamp": now, "payload": "ping"}
                    self._say(encode_frame(Request(id=self._ping_id, method="signalwire.ping", params=params)))
                case _Timer.CLOSE:
                    self.close_connection(now=now)
                case _Timer.CONNECT | _Timer.PONG:
                    self.receive_close(error=PeerSilent(timer.value), now=now)
                case _:
                    assert_never(timer)


def _everything(_method: str) -> bool:
    return True


def _read_connect(params: JsonObject) -> ConnectRequested:
    """Read what a client says first. Raises RemoteProtocolError that names what is wrong, never a credential."""
    authentication = params.get("authentication")
    if not isinstance(authentication, dict):
        raise RemoteProtocolError("authentication must be an object")
    contexts = params.get("contexts", [])
    if not isinstance(contexts, list):
        raise RemoteProtocolError("contexts must be an array")
    texts = [context for context in contexts if isinstance(context, str)]
    if len(texts) < len(contexts):
        raise RemoteProtocolError("every context must be a text")
    protocol, agent = params.get("protocol", ""), params.get("agent", "")
    if not isinstance(protocol, str) or not isinstance(agent, str):
        raise RemoteProtocolError("protocol and agent must be texts")
    return ConnectRequested(
        agent=agent,
        credentials=Credentials(
            project=_secret(authentication, "project"),
            token=_secret(authentication, "token"),
            jwt_token=_secret(authentication, "jwt_token"),
        ),
        resumption=Resumption(protocol=protocol, authorization_state=_secret(params, "authorization_state")),
        contexts=tuple(texts),
    )


def _secret(members: JsonObject, name: str) -> Secret | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise RemoteProtocolError(f"{name} must be a text")
    return Secret(value) if value else None
