"""Two lives on the control plane: that of the connection, and that of each session on it."""

from typing import final

from telcoflow_proto.machine import Row, Table
from telcoflow_proto.roles import Role
from telcoflow_proto.symbol import Symbol


@final
class ControlState(Symbol):
    """Life of a control connection."""

    NEW = "new"
    SETTING_UP = "setting up"
    READY = "ready"
    OVER = "over"


@final
class ControlWord(Symbol):
    """What one end of a control connection says."""

    SETUP = "setup"
    SETUP_DONE = "setup.done"
    REQUEST = "request"
    RESPONSE = "response"
    SESSION_READY = "session.ready"
    NOTIFY = "session.notify"
    CALL_IN = "call.in"
    MESSAGE_IN = "wa.msg.in"
    SESSION_CLOSED = "session.closed"
    LOST = "connection lost"


@final
class SessionState(Symbol):
    """Life of a session on one control connection."""

    UNCLAIMED = "unclaimed"
    CLAIMING = "claiming"
    CLAIMED = "claimed"
    READY = "ready"
    IN_CALL = "in call"
    CLOSED = "closed"


@final
class SessionWord(Symbol):
    """What one end says about a session."""

    OPEN = "session.open"
    OPENED = "session.open done"
    REFUSED = "session.open refused"
    READY = "session.ready"
    NOTIFY = "session.notify"
    CALL_IN = "call.in"
    MESSAGE_IN = "wa.msg.in"
    MESSAGE_OUT = "wa.msg.out"
    CLOSED = "session.closed"


_US, _THEM = Role.CLIENT, Role.SERVER
_N, _U, _R, _O = ControlState.NEW, ControlState.SETTING_UP, ControlState.READY, ControlState.OVER
_W = ControlWord
_PUSHED = (_W.NOTIFY, _W.CALL_IN, _W.MESSAGE_IN, _W.SESSION_CLOSED)

CONTROL_TABLE = Table(
    "control connection",
    start=_N,
    unspoken=[_W.LOST],
    rows=[
        Row(_N, _US, _W.SETUP, _U, "the first frame: sample rate and audio mode"),
        Row(_U, _THEM, _W.SETUP_DONE, _R, "the set-up is accepted"),
        Row(_R, _THEM, _W.SETUP_DONE, _R, "delivered again", crossing=True),
        Row(_R, _US, _W.REQUEST, _R, "asks; the response decides"),
        Row(_R, _US, _W.SESSION_READY, _R, "push this session's events from now on"),
        *(Row(_R, _THEM, word, _R, "pushed, at least once") for word in (_W.RESPONSE, *_PUSHED)),
        *(Row(_U, _THEM, word, _U, "pushed before the set-up was confirmed", crossing=True) for word in _PUSHED),
        *(Row(state, who, _W.LOST, _O, "a new connection starts anew") for state in ControlState for who in Role),
    ],
)

_FREE, _ASKED, _OURS = SessionState.UNCLAIMED, SessionState.CLAIMING, SessionState.CLAIMED
_LIVE, _CALL, _GONE = SessionState.READY, SessionState.IN_CALL, SessionState.CLOSED
_X = SessionWord
_HELD = (_OURS, _LIVE, _CALL)

SESSION_TABLE = Table(
    "session",
    start=_FREE,
    rows=[
        Row(_FREE, _US, _X.OPEN, _ASKED, "claims it: the first to ask gets it"),
        Row(_ASKED, _THEM, _X.OPENED, _OURS, "the claim won"),
        Row(_ASKED, _THEM, _X.REFUSED, _GONE, "another worker was first, or it is over"),
        Row(_OURS, _US, _X.READY, _LIVE, "its events may come"),
        *(Row(state, _US, _X.READY, state, "said again") for state in (_LIVE, _CALL)),
        Row(_LIVE, _THEM, _X.CALL_IN, _CALL, "the call of a TELCO session"),
        Row(_CALL, _THEM, _X.CALL_IN, _CALL, "delivered again"),
        *(Row(state, _THEM, _X.MESSAGE_IN, state, "a message of a WA session") for state in (_LIVE, _CALL)),
        *(Row(state, _US, _X.MESSAGE_OUT, state, "a message from us") for state in (_LIVE, _CALL)),
        *(Row(state, _THEM, _X.NOTIFY, state, "announced, perhaps again") for state in SessionState),
        *(Row(state, _THEM, _X.CLOSED, _GONE, "over, whoever ended it") for state in (_FREE, *_HELD, _GONE)),
        Row(_ASKED, _THEM, _X.CLOSED, _ASKED, "sent before the claim was heard; the response decides", crossing=True),
        *(
            Row(_GONE, _US, word, _GONE, "said before the close was heard", crossing=True)
            for word in (_X.READY, _X.MESSAGE_OUT)
        ),
        Row(_GONE, _US, _X.OPEN, _ASKED, "asks for it once more: refused if it is really over"),
        *(
            Row(_GONE, _THEM, word, _GONE, "sent before the close", crossing=True)
            for word in (_X.CALL_IN, _X.MESSAGE_IN, _X.OPENED)
        ),
    ],
)
