"""The life of a call, as rows. Source: the vendor's call states page and the wire notes (§6 there).

Four states, as users see them. What is asked changes nothing; what the server answers does. Every command
may cross the end of the call, because either party can hang up while we speak.
"""

from typing import final

import attrs

from telcoflow_proto.machine import Row, Table
from telcoflow_proto.roles import Role
from telcoflow_proto.symbol import Symbol


@final
class CallState(Symbol):
    """Where a call stands: ringing, ours to talk on, a conference, over."""

    PENDING = "pending"
    ANSWERED = "answered"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


@final
class CallWord(Symbol):
    """What one end of a media connection says about the call. Commands carry their wire names."""

    ANSWER = "call.answer"
    CONNECT = "call.connect"
    WHISPER = "agent.whisper"
    BARGE = "agent.barge"
    SPY = "agent.spy"
    INTERRUPT = "agent.interrupt"
    CLOSE = "call.close"
    DISCONNECT = "call.disconnect"
    AUDIO = "audio"
    ANSWERED = "answer done"
    ANSWER_REFUSED = "answer refused"
    CONNECTED = "connect done"
    CONNECT_REFUSED = "connect refused"
    DONE = "command done"
    REFUSED = "command refused"
    LEFT = "close done"
    ENDED = "disconnect done"
    TERMINATED = "call.terminated"
    ERROR = "call.error"
    NOTICE = "other call event"
    CREDIT = "buffer_request"
    SESSION_CLOSED = "session.closed"
    LOST = "connection lost"


@final
@attrs.frozen(kw_only=True)
class CommandRule:
    """What belongs to one command: the words of its two answers, its deadline in seconds, what it means.

    ``within`` is None where the command brings its own (the ring time of a connect). ``once`` commands join
    one that is still waiting instead of being sent twice. ``mode`` is the audio mode in force once done.
    """

    done: CallWord
    refused: CallWord
    within: float | None = 10.0
    once: bool = False
    mode: str | None = None


COMMANDS: dict[CallWord, CommandRule] = {
    CallWord.ANSWER: CommandRule(done=CallWord.ANSWERED, refused=CallWord.ANSWER_REFUSED, once=True),
    CallWord.CONNECT: CommandRule(done=CallWord.CONNECTED, refused=CallWord.CONNECT_REFUSED, within=None, mode="barge"),
    CallWord.WHISPER: CommandRule(done=CallWord.DONE, refused=CallWord.REFUSED, mode="whisper"),
    CallWord.BARGE: CommandRule(done=CallWord.DONE, refused=CallWord.REFUSED, mode="barge"),
    CallWord.SPY: CommandRule(done=CallWord.DONE, refused=CallWord.REFUSED, mode="spy"),
    CallWord.INTERRUPT: CommandRule(done=CallWord.DONE, refused=CallWord.REFUSED),
    CallWord.CLOSE: CommandRule(done=CallWord.LEFT, refused=CallWord.REFUSED, once=True),
    CallWord.DISCONNECT: CommandRule(done=CallWord.ENDED, refused=CallWord.REFUSED, once=True),
}
"""The commands of the wire, §3 of the wire notes."""

GRACE = 5.0
"""Seconds the client waits beyond the deadline it gave, then it reports a time-out itself."""

RING_TIMES = range(1, 121)
"""Seconds a callee may be rung (wire notes §3)."""

_P, _A, _C, _D = CallState.PENDING, CallState.ANSWERED, CallState.CONNECTED, CallState.DISCONNECTED
_W = CallWord
_US, _THEM = Role.CLIENT, Role.SERVER
_LIVE = (_P, _A, _C)

CALL_TABLE = Table(
    "call",
    start=_P,
    unspoken=[_W.LOST, _W.SESSION_CLOSED],
    rows=[
        Row(_P, _US, _W.ANSWER, _P, "asks to pick up; the answer decides"),
        Row(_P, _US, _W.CONNECT, _P, "asks to ring the callee without picking up first"),
        Row(_A, _US, _W.CONNECT, _A, "asks to bring the callee into the call"),
        *(Row(_C, _US, mode, _C, "changes who hears the agent") for mode in (_W.BARGE, _W.WHISPER, _W.SPY)),
        *(Row(s, _US, _W.INTERRUPT, s, "asks to drop our audio not yet played") for s in (_A, _C)),
        *(Row(s, _US, _W.AUDIO, s, "speech, against credit") for s in (_A, _C)),
        Row(_P, _US, _W.CLOSE, _P, "lets go of the call"),
        Row(_A, _US, _W.CLOSE, _A, "asks to end the call: agent and caller"),
        Row(_C, _US, _W.CLOSE, _C, "asks to leave caller and callee to themselves"),
        Row(_P, _US, _W.DISCONNECT, _P, "declines the call"),
        *(Row(s, _US, _W.DISCONNECT, s, "asks to end the call for everybody") for s in (_A, _C)),
        *(Row(s, _US, _W.ANSWER, s, "a retry after the first answer worked", crossing=True) for s in (_A, _C)),
        Row(_C, _US, _W.CONNECT, _C, "a retry after the first connect worked", crossing=True),
        *(Row(_D, _US, word, _D, "said before the end was heard", crossing=True) for word in (*COMMANDS, _W.AUDIO)),
        Row(_P, _THEM, _W.ANSWERED, _A, "the agent is talking with the caller"),
        *(Row(s, _THEM, _W.ANSWERED, s, "said again, or after a connect overtook it") for s in (_A, _C)),
        *(Row(s, _THEM, _W.CONNECTED, _C, "caller, callee and agent are in one conference") for s in (_P, _A)),
        Row(_C, _THEM, _W.CONNECTED, _C, "said again: response and event, or a retry"),
        *(Row(s, _THEM, _W.ANSWER_REFUSED, s, "a refusal leaves the call as it was") for s in _LIVE),
        *(Row(s, _THEM, _W.CONNECT_REFUSED, s, "nobody picked up; the call is as it was") for s in _LIVE),
        *(Row(s, _THEM, _W.DONE, s, "a mode change or an interrupt was carried out") for s in (_A, _C)),
        *(Row(s, _THEM, _W.REFUSED, s, "a refusal leaves the call as it was") for s in _LIVE),
        *(Row(s, _THEM, _W.LEFT, _D, "the agent is out of the call") for s in _LIVE),
        *(Row(s, _THEM, _W.ENDED, _D, "the call is over for everybody") for s in _LIVE),
        *(Row(s, _THEM, _W.TERMINATED, _D, "a party hung up, or the service ended the call") for s in _LIVE),
        *(Row(s, _THEM, _W.SESSION_CLOSED, _D, "told on the control connection") for s in _LIVE),
        *(Row(s, _THEM, _W.ERROR, s, "something failed; the call goes on") for s in _LIVE),
        *(Row(s, _THEM, _W.NOTICE, s, "passed on, never fatal") for s in _LIVE),
        *(Row(s, _THEM, _W.CREDIT, s, "the service wants audio") for s in _LIVE),
        Row(_P, _THEM, _W.AUDIO, _P, "early audio, before the answer is heard"),
        *(Row(s, _THEM, _W.AUDIO, s, "what the agent hears") for s in (_A, _C)),
        *(
            Row(_D, _THEM, word, _D, "reply to a command that crossed the end")
            for word in (_W.DONE, _W.REFUSED, _W.ANSWER_REFUSED, _W.CONNECT_REFUSED, _W.LEFT, _W.ENDED)
        ),
        Row(_D, _THEM, _W.TERMINATED, _D, "said behind the reply to close or disconnect"),
        *(
            Row(_D, _THEM, word, _D, "said before the end was heard", crossing=True)
            for word in (
                _W.ANSWERED,
                _W.CONNECTED,
                _W.SESSION_CLOSED,
                _W.ERROR,
                _W.NOTICE,
                _W.CREDIT,
                _W.AUDIO,
            )
        ),
        *(Row(s, who, _W.LOST, _D, "no media connection, no call") for s in _LIVE for who in Role),
        *(Row(_D, who, _W.LOST, _D, "the connection ends after the call") for who in Role),
    ],
)
