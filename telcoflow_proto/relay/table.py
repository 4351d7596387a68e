"""The lives of this dialect: a connection, a call, an action, a dial, and the client over all its connections."""

from typing import final

from telcoflow_proto.client_table import LIFE_ROWS, ClientState, ClientWord
from telcoflow_proto.machine import Row, Table
from telcoflow_proto.roles import Role
from telcoflow_proto.symbol import Symbol

_US, _THEM = Role.CLIENT, Role.SERVER


@final
class RelayState(Symbol):
    """Where a connection stands."""

    NEW = "new"
    AUTHENTICATING = "authenticating"
    READY = "ready"
    REFUSED = "refused"
    LEAVING = "leaving"
    LOST = "lost"


@final
class RelayWord(Symbol):
    """What is said on a connection. Answers to pings and events are no words of their own."""

    CONNECT = "signalwire.connect"
    ACCEPT = "connect result"
    REFUSE = "connect error"
    REQUEST = "request"
    RESPONSE = "response"
    EVENT = "signalwire.event"
    PING = "signalwire.ping"
    DISCONNECT = "signalwire.disconnect"
    LOST = "connection lost"


_S, _W = RelayState, RelayWord

RELAY_TABLE = Table(
    "RELAY connection",
    start=_S.NEW,
    rows=[
        Row(_S.NEW, _US, _W.CONNECT, _S.AUTHENTICATING, "always the first request"),
        Row(_S.AUTHENTICATING, _THEM, _W.ACCEPT, _S.READY, "credentials are good"),
        Row(_S.AUTHENTICATING, _THEM, _W.REFUSE, _S.REFUSED, "they are not, or the service cannot now"),
        *(Row(state, _THEM, _W.PING, state, "the service looks for us") for state in (_S.AUTHENTICATING, _S.READY)),
        Row(_S.READY, _US, _W.PING, _S.READY, "we look for the service"),
        Row(_S.READY, _US, _W.REQUEST, _S.READY, "any number at once"),
        Row(_S.READY, _THEM, _W.RESPONSE, _S.READY, "in any order"),
        Row(_S.READY, _THEM, _W.EVENT, _S.READY, "each is acknowledged"),
        *(
            Row(state, _THEM, _W.DISCONNECT, _S.LEAVING, "the service closes soon; our reply is our last frame")
            for state in (_S.AUTHENTICATING, _S.READY)
        ),
        *(
            Row(_S.LEAVING, sender, word, _S.LEAVING, "was on its way", crossing=True)
            for sender, word in (
                (_US, _W.REQUEST),
                (_US, _W.PING),
                (_THEM, _W.ACCEPT),
                (_THEM, _W.REFUSE),
                (_THEM, _W.RESPONSE),
                (_THEM, _W.EVENT),
                (_THEM, _W.PING),
                (_THEM, _W.DISCONNECT),
            )
        ),
        *(Row(state, side, _W.LOST, _S.LOST, "over") for state in _S for side in Role if state is not _S.LOST),
    ],
    unspoken=[_W.LOST],
)


@final
class RelayCallState(Symbol):
    """Where a call stands, in the words of the wire."""

    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDING = "ending"
    ENDED = "ended"


@final
class RelayCallWord(Symbol):
    """What moves a call: its state events, and two ends no event tells of."""

    CREATED = "created"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDING = "ending"
    ENDED = "ended"
    GONE = "not found"
    GIVEN_UP = "given up"


_C, _V = RelayCallState, RelayCallWord
_ORDER = (_C.CREATED, _C.RINGING, _C.ANSWERED, _C.ENDING, _C.ENDED)

RELAY_CALL_TABLE = Table(
    "RELAY call",
    start=_C.CREATED,
    rows=[
        *(
            Row(old, _THEM, _V(new.value), new, "told again" if old is new else "goes on; states may be skipped")
            for place, old in enumerate(_ORDER[:-1])
            for new in _ORDER[place:]
        ),
        *(Row(state, _THEM, _V.GONE, _C.ENDED, "the service does not know it any more") for state in _ORDER[:-1]),
        *(Row(state, _US, _V.GIVEN_UP, _C.ENDED, "we left, or lost its session") for state in _ORDER[:-1]),
    ],
    unspoken=[_V.GIVEN_UP],
)
"""A call never goes back: a state event that was overtaken moves nothing."""


@final
class ActionState(Symbol):
    """Where an action stands."""

    STARTING = "starting"
    RUNNING = "running"
    OVER = "over"
    REFUSED = "refused"


@final
class ActionWord(Symbol):
    """What moves an action."""

    ACCEPTED = "accepted"
    ENDED = "ended by an event"
    REFUSED = "refused"
    GONE = "call not found"
    CALL_OVER = "call over"


_A, _M = ActionState, ActionWord

ACTION_TABLE = Table(
    "action",
    start=_A.STARTING,
    rows=[
        Row(_A.STARTING, _THEM, _M.ACCEPTED, _A.RUNNING, "the request was answered"),
        Row(_A.STARTING, _THEM, _M.REFUSED, _A.REFUSED, "it never started"),
        *(
            Row(state, _THEM, word, _A.OVER, why)
            for state in (_A.STARTING, _A.RUNNING)
            for word, why in (
                (_M.ENDED, "events may overtake the answer"),
                (_M.GONE, "404 or 410"),
                (_M.CALL_OVER, "nothing outlives its call"),
            )
        ),
        *(
            Row(_A.OVER, _THEM, word, _A.OVER, "was overtaken by the end", crossing=True)
            for word in (_M.ACCEPTED, _M.REFUSED, _M.GONE)
        ),
    ],
)


@final
class DialState(Symbol):
    """Where a dial stands."""

    DIALING = "dialing"
    ANSWERED = "answered"
    FAILED = "failed"
    ABANDONED = "abandoned"


@final
class DialWord(Symbol):
    """What moves a dial."""

    ANSWERED = "answered"
    FAILED = "failed"
    GIVE_UP = "give up"


_D, _L = DialState, DialWord

DIAL_TABLE = Table(
    "dial",
    start=_D.DIALING,
    rows=[
        Row(_D.DIALING, _THEM, _L.ANSWERED, _D.ANSWERED, "a leg has won"),
        Row(_D.DIALING, _THEM, _L.FAILED, _D.FAILED, "no leg will"),
        Row(_D.DIALING, _US, _L.GIVE_UP, _D.ABANDONED, "its time is up, or nobody waits: legs are hung up"),
        Row(_D.ABANDONED, _THEM, _L.ANSWERED, _D.ABANDONED, "too late: hung up at once", crossing=True),
        Row(_D.ABANDONED, _THEM, _L.FAILED, _D.FAILED, "nothing is left to hang up"),
    ],
)

_K, _E = ClientState, ClientWord

RELAY_CLIENT_TABLE = Table(
    "RELAY client",
    start=_K.IDLE,
    rows=[
        *LIFE_ROWS,
        Row(_K.CONNECTING, _THEM, _E.LOST, _K.WAITING, "a service that starts slowly is no reason to give up"),
        *(
            Row(state, _THEM, _E.REFUSED, _K.CLOSED, "credentials that never worked, refused three times")
            for state in (_K.CONNECTING, _K.RECONNECTING)
        ),
    ],
)
