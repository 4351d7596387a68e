"""The life of a WebSocket link (RFC 6455), as rows."""

from typing import final

from telcoflow_proto.machine import Row, Table
from telcoflow_proto.roles import Role
from telcoflow_proto.symbol import Symbol


@final
class LinkState(Symbol):
    """Life of a WebSocket link."""

    IDLE = "idle"
    OPENING = "opening"
    OPEN = "open"
    CLIENT_CLOSING = "closed by the client"
    SERVER_CLOSING = "closed by the server"
    CLOSED = "closed"


@final
class LinkWord(Symbol):
    """What one end of a link says to the other."""

    REQUEST = "upgrade request"
    ACCEPT = "upgrade accepted"
    REJECT = "upgrade refused"
    MESSAGE = "message"
    PING = "ping"
    PONG = "pong"
    CLOSE = "close"
    END = "end of stream"


_S, _W, _C, _V = LinkState, LinkWord, Role.CLIENT, Role.SERVER
_HALF_CLOSED = {_C: _S.CLIENT_CLOSING, _V: _S.SERVER_CLOSING}
_LIVE = (
    (_W.MESSAGE, "text or binary data (RFC 6455 §5.6)"),
    (_W.PING, "are you there? (§5.5.2)"),
    (_W.PONG, "here I am, asked or not (§5.5.3)"),
)

LINK_TABLE = Table(
    "WebSocket link",
    start=_S.IDLE,
    unspoken=[_W.END],
    rows=[
        Row(_S.IDLE, _C, _W.REQUEST, _S.OPENING, "the client asks for the upgrade (RFC 6455 §4.1)"),
        Row(_S.OPENING, _V, _W.ACCEPT, _S.OPEN, "101: messages may flow both ways (§4.2.2)"),
        Row(_S.OPENING, _V, _W.REJECT, _S.CLOSED, "any other status ends the attempt, redirects too"),
        *(Row(_S.OPEN, who, word, _S.OPEN, reason) for who in Role for word, reason in _LIVE),
        *(Row(_S.OPEN, who, _W.CLOSE, _HALF_CLOSED[who], "nothing more from this end (§5.5.1)") for who in Role),
        *(
            Row(
                _HALF_CLOSED[who],
                who.peer,
                word,
                _HALF_CLOSED[who],
                "sent before the close arrived",
                crossing=True,
            )
            for who in Role
            for word, _ in _LIVE
        ),
        *(Row(_HALF_CLOSED[who], who.peer, _W.CLOSE, _S.CLOSED, "both ends have closed (§7.1.4)") for who in Role),
        *(Row(state, who, _W.END, _S.CLOSED, "the byte stream is over") for state in _S for who in Role),
    ],
)
