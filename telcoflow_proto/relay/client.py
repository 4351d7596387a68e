"""The client role of one RELAY connection: authentication, requests with deadlines, events acknowledged, pings."""

import re
import zlib
from collections.abc import Sequence
from typing import assert_never, final

from telcoflow_proto.chance import Entropy
from telcoflow_proto.door import MessageDoor
from telcoflow_proto.errors import LocalProtocolError, PeerSilent, RemoteProtocolError
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import RELAY_LIMITS, Limits
from telcoflow_proto.machine import Machine
from telcoflow_proto.relay.jsonrpc import Failure, Request, Result, decode_frame, encode_frame
from telcoflow_proto.relay.messages import (
    Authenticated,
    AuthenticationRefused,
    ClientRelayEvent,
    Credentials,
    EventArrived,
    Replied,
    Resumption,
    ServerLeaves,
)
from telcoflow_proto.relay.table import RELAY_TABLE, RelayState, RelayWord
from telcoflow_proto.replies import Expected, Outcome, Replies
from telcoflow_proto.roles import Role
from telcoflow_proto.symbol import Symbol
from telcoflow_proto.timers import Timers, earliest
from telcoflow_proto.version import AGENT

CONNECT_WITHIN = 10.0
RESPONSE_WITHIN = 10.0
_PING_AFTER = 12.0
_PONG_WITHIN = 6.0
"""The vendor's client notices a dead service after 40 seconds; this makes it 18, and costs nothing while it talks."""
_LEAVE_WITHIN = 5.0
_PART_WITHIN = 5.0
"""Our close may be stuck behind bytes a dead peer does not take; nothing else would tell then."""

_SUCCESS = re.compile(r"2[0-9]{2}")
_NUMBER = re.compile(r"-?[0-9]{1,9}")


@final
class _Timer(Symbol):
    """What a connection waits for. The value says what it means if it does not come."""

    CONNECTED = "signalwire.connect was not answered in time"
    IDLE = "nothing was heard for a while"
    HEARD = "nothing was heard, not even the answer to a ping"
    CLOSED = "the service said it would close the connection"
    PARTED = "the connection could not be closed in time"


class RelayClientProtocol(MessageDoor[ClientRelayEvent]):
    """The agent's end of one RELAY connection, for who has WebSocket messages.

    ``signalwire.connect`` leaves by itself when the connection opens; requests are allowed from ``Authenticated``
    on. They return a request id; the matching ``Replied`` tells how it went.
    """

    def __init__(
        self,
        *,
        credentials: Credentials,
        contexts: Sequence[str] = (),
        resumption: Resumption | None = None,
        entropy: Entropy,
        limits: Limits = RELAY_LIMITS,
    ) -> None:
        super().__init__(Role.CLIENT, entropy=entropy, limits=limits)
        self._connect_params = _connect_params(credentials, resumption or Resumption(), contexts)
        self._asked_for = resumption.protocol if resumption is not None else ""
        self._connect_id = ""
        self._ping_id: str | None = None
        self._machine = Machine(RELAY_TABLE, Role.CLIENT)
        self._heard_at: float | None = None
        self._replies: Replies[str] = Replies(limits.pending_requests)
        self._timers: Timers[_Timer] = Timers()
        self.unexpected = 0

    @property
    def state(self) -> RelayState:
        """Where the connection stands."""
        return self._machine.state

    # ------------------------------------------------------------------ saying

    def request(
        self,
        method: str,
        params: JsonObject,
        *,
        request_id: str | None = None,
        within: float = RESPONSE_WITHIN,
        now: float,
    ) -> str:
        """Ask for something by its full method name; ``within`` seconds for the answer. Returns the request id.

        Raises LocalProtocolError before ``Authenticated``, after ``ServerLeaves``, when too many wait, and for an
        id that waits already.
        """
        self._now = now
        self._machine.check(RelayWord.REQUEST)
        id_ = request_id or self._chance.identifier()
        if self._replies.knows(id_):
            raise LocalProtocolError(f"request id {id_!r} is in use; give each request its own")
        text = encode_frame(Request(id=id_, method=method, params=params))
        self._replies.expect(id_, method, now=now, within=within)
        self._machine.say(RelayWord.REQUEST)
        self._say(text)
        return id_

    def close_connection(self, *, code: int = 1000, reason: str = "", now: float) -> None:
        """Say nothing more and close the connection; it is lost 5 seconds later, whatever the peer does.

        Repeated calls are harmless. Raises LocalProtocolError for a ``code`` that nobody may send.
        """
        super().close_connection(code=code, reason=reason, now=now)
        if not self.lost and not self._timers.armed(_Timer.PARTED):
            self._timers.clear()
            self._timers.arm(_Timer.PARTED, now + _PART_WITHIN)

    # ------------------------------------------------------------------ hearing

    def receive_message(self, message: str | bytes, *, now: float) -> None:
        """Take one whole message from the peer. Never raises for what the peer did."""
        self._heard(now)
        super().receive_message(message, now=now)

    def _heard(self, now: float) -> None:
        """There is a sign of life; one is enough for all that comes at once."""
        if now != self._heard_at and self._machine.state is RelayState.READY and not self._closing:
            self._heard_at = now
            self._timers.disarm(_Timer.HEARD)
            self._timers.arm(_Timer.IDLE, now + _PING_AFTER)

    def _on_open(self, now: float) -> None:
        self._connect_id = self._chance.identifier()
        self._machine.say(RelayWord.CONNECT)
        self._timers.arm(_Timer.CONNECTED, now + CONNECT_WITHIN)
        self._say(encode_frame(Request(id=self._connect_id, method="signalwire.connect", params=self._connect_params)))

    def _on_text(self, text: str, now: float) -> None:
        frame = decode_frame(text, self._limits)
        match frame:
            case Request(method="signalwire.event"):
                self._on_event(frame, text, now)
            case Request():
                self._on_request(frame, now)
            case Result() | Failure() if frame.id == self._connect_id:
                self._on_connected(frame, now)
            case Result() | Failure():
                self._on_response(frame)
            case _:
                assert_never(frame)

    def _on_binary(self, data: bytes, now: float) -> None:
        raise RemoteProtocolError("a binary message on a RELAY connection", close_code=1003)

    def _on_connected(self, frame: Result | Failure, now: float) -> None:
        row = self._machine.hear(RelayWord.REFUSE if isinstance(frame, Failure) else RelayWord.ACCEPT)
        if row is None:
            self.unexpected += 1
            return
        if row.crossing:
            return
        self._timers.disarm(_Timer.CONNECTED)
        if isinstance(frame, Failure):
            self.happened.append(AuthenticationRefused(code=frame.code, message=frame.message))
            self.close_connection(now=now)
            return
        self._timers.arm(_Timer.IDLE, now + _PING_AFTER)
        result = frame.result if isinstance(frame.result, dict) else {}
        protocol = _text(result.get("protocol"))
        restored = bool(self._asked_for) and protocol in {"", self._asked_for}
        self.happened.append(
            Authenticated(
                protocol=protocol or self._asked_for, identity=_text(result.get("identity")), restored=restored
            )
        )

    def _on_response(self, frame: Result | Failure) -> None:
        expected = self._replies.take(frame.id) if isinstance(frame.id, str) else None
        if expected is not None:
            self._machine.hear(RelayWord.RESPONSE)
            self.happened.append(read_reply(expected, frame))
        elif frame.id != self._ping_id:
            self.unexpected += 1  # late, repeated, or never asked for

    def _on_event(self, frame: Request, text: str, now: float) -> None:
        if self._machine.hear(RelayWord.EVENT) is None:
            self.unexpected += 1
            return
        self._acknowledge(frame, {})
        event_type, params = frame.params.get("event_type"), frame.params.get("params")
        if not isinstance(event_type, str) or not event_type:
            raise RemoteProtocolError("an event has no event_type", close_code=1007)
        if not isinstance(params, dict):
            raise RemoteProtocolError(f"the params of a {event_type[:64]!r} event must be an object", close_code=1007)
        self.happened.append(
            EventArrived(
                event_type=event_type,
                params=params,
                payload=frame.params,
                fingerprint=None if frame.id is None else (frame.id, zlib.crc32(text.encode())),
            )
        )

    def _on_request(self, frame: Request, now: float) -> None:
        if frame.method == "signalwire.ping" and self._machine.hear(RelayWord.PING) is not None:
            echoed: JsonObject = {key: frame.params[key] for key in ("timestamp", "payload") if key in frame.params}
            self._acknowledge(frame, echoed)
        elif frame.method == "signalwire.disconnect":
            self._on_disconnect(frame, now)
        else:
            self.unexpected += 1

    def _on_disconnect(self, frame: Request, now: float) -> None:
        row = self._machine.hear(RelayWord.DISCONNECT)
        if row is None:
            self.unexpected += 1
        elif not row.crossing:
            self._answer(frame, {})
            self._timers.clear()
            self._timers.arm(_Timer.CLOSED, now + _LEAVE_WITHIN)
            self.happened.append(ServerLeaves(restart=frame.params.get("restart") is True))

    def _acknowledge(self, frame: Request, result: Json) -> None:
        """Answer, unless the service is leaving: it has our last frame, and repeats what it got no answer to."""
        if self.state is not RelayState.LEAVING:
            self._answer(frame, result)

    def _answer(self, frame: Request, result: Json) -> None:
        if frame.id is not None:
            self._say(encode_frame(Result(id=frame.id, result=result)))

    # ------------------------------------------------------------------ the end, and time

    def _on_lost(self, now: float) -> None:
        self._machine.say(RelayWord.LOST)
        self._timers.clear()
        self._settle(self._replies.drain(), Outcome.LOST)

    def _settle(self, ended: list[Expected[str]], outcome: Outcome) -> None:
        for expected in ended:
            self.happened.append(Replied(request_id=expected.id, method=expected.asked, outcome=outcome))

    def _deadline(self) -> float | None:
        return earliest(self._timers.next_deadline(), self._replies.next_deadline())

    def _on_timeout(self, now: float) -> None:
        self._settle(self._replies.overdue(now), Outcome.TIMED_OUT)
        for timer in self._timers.pop_due(now):
            match timer:
                case _Timer.IDLE:
                    self._ping(now)
                case _Timer.CLOSED:
                    self.close_connection(now=now)
                case _Timer.CONNECTED | _Timer.HEARD | _Timer.PARTED:
                    self.receive_close(error=PeerSilent(timer.value), now=now)
                case _:
                    assert_never(timer)

    def _ping(self, now: float) -> None:
        self._machine.say(RelayWord.PING)
        self._ping_id = self._chance.identifier()
        self._timers.arm(_Timer.HEARD, now + _PONG_WITHIN)
        self._say(encode_frame(Request(id=self._ping_id, method="signalwire.ping", params={})))


def read_reply(expected: Expected[str], frame: Result | Failure) -> Replied:
    """Pair an answer with what was asked. A ``code`` that is not 2xx is a refusal; no code at all is none."""
    if isinstance(frame, Failure):
        return _refused(expected, code=frame.code, message=frame.message)
    if not isinstance(frame.result, dict):
        return _done(expected, {"raw": frame.result})
    code = frame.result.get("code")
    if code is None or _SUCCESS.fullmatch(str(code)):
        return _done(expected, frame.result)
    message = frame.result.get("message")
    return _refused(
        expected,
        code=int(str(code)) if _NUMBER.fullmatch(str(code)) else -1,
        message=message if isinstance(message, str) and message else "Unknown error",
        result=frame.result,
    )


def _done(expected: Expected[str], result: JsonObject) -> Replied:
    return Replied(request_id=expected.id, method=expected.asked, outcome=Outcome.DONE, result=result)


def _refused(expected: Expected[str], *, code: int, message: str, result: JsonObject | None = None) -> Replied:
    return Replied(
        request_id=expected.id,
        method=expected.asked,
        outcome=Outcome.REFUSED,
        result=result or {},
        code=code,
        message=message,
    )


def _connect_params(credentials: Credentials, resumption: Resumption, contexts: Sequence[str]) -> JsonObject:
    params: JsonObject = {
        "version": {"major": 2, "minor": 0, "revision": 0},
        "agent": AGENT,
        "event_acks": True,
        "authentication": _authentication(credentials),
    }
    if contexts:
        params["contexts"] = list(contexts)
    if resumption.protocol:
        params["protocol"] = resumption.protocol
        if resumption.authorization_state is not None:  # the service wants the protocol beside it
            params["authorization_state"] = resumption.authorization_state.reveal()
    return params


def _authentication(credentials: Credentials) -> JsonObject:
    """A JWT says everything; the service is not told a project beside it."""
    if credentials.jwt_token is not None:
        return {"jwt_token": credentials.jwt_token.reveal()}
    return {
        "project": "" if credentials.project is None else credentials.project.reveal(),
        "token": "" if credentials.token is None else credentials.token.reveal(),
    }


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
