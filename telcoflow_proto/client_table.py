"""The life of a client across its control connections, and what a lost connection means for it."""

from typing import final

import attrs

from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.errors import HandshakeRefused, ProtocolError
from telcoflow_proto.machine import Row, Table
from telcoflow_proto.roles import Role
from telcoflow_proto.symbol import Symbol


@final
class ClientState(Symbol):
    """Where a client stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    READY = "ready"
    WAITING = "waiting to reconnect"
    RECONNECTING = "reconnecting"
    CLOSING = "closing"
    CLOSED = "closed"


@final
class ClientWord(Symbol):
    """What moves a client: its own decisions (client) and what the network does (server)."""

    CONNECT = "connect"
    READY = "set-up done"
    LOST = "connection lost"
    REFUSED = "refused for good"
    CLOSE = "close"


_S, _W, _US, _THEM = ClientState, ClientWord, Role.CLIENT, Role.SERVER

LIFE_ROWS = (
    Row(_S.IDLE, _US, _W.CONNECT, _S.CONNECTING, "the first attempt"),
    Row(_S.CONNECTING, _THEM, _W.READY, _S.READY, "the set-up is done"),
    Row(_S.READY, _THEM, _W.LOST, _S.WAITING, "tries again, later and later; live calls go on"),
    Row(_S.WAITING, _US, _W.CONNECT, _S.RECONNECTING, "the wait is over"),
    Row(_S.RECONNECTING, _THEM, _W.READY, _S.READY, "the set-up is done again"),
    Row(_S.RECONNECTING, _THEM, _W.LOST, _S.WAITING, "waits longer"),
    *(Row(state, _US, _W.CLOSE, _S.CLOSING, "asked to end") for state in (_S.CONNECTING, _S.READY, _S.RECONNECTING)),
    *(Row(state, _US, _W.CLOSE, _S.CLOSED, "nothing is open") for state in (_S.IDLE, _S.WAITING)),
    *(Row(_S.CLOSING, _THEM, word, _S.CLOSED, "the connection is gone") for word in (_W.LOST, _W.REFUSED)),
    Row(_S.CLOSING, _THEM, _W.READY, _S.CLOSING, "the set-up was under way", crossing=True),
    *(Row(state, _US, _W.CLOSE, state, "asked again") for state in (_S.CLOSING, _S.CLOSED)),
)
"""What is the same in every dialect. What a first attempt and a refusal mean is each dialect's own."""

CLIENT_TABLE = Table(
    "client",
    start=_S.IDLE,
    rows=[
        *LIFE_ROWS,
        Row(_S.CONNECTING, _THEM, _W.LOST, _S.CLOSED, "a first attempt that fails is told at once"),
        *(
            Row(state, _THEM, _W.REFUSED, _S.CLOSED, "more attempts would be a storm, not a cure")
            for state in (_S.CONNECTING, _S.READY, _S.RECONNECTING)
        ),
    ],
)


@final
@attrs.frozen(kw_only=True)
class LossVerdict:
    """What follows from one loss: whether credentials were refused, whether to stop, how long to wait at least."""

    credentials_refused: bool = False
    stop: bool = False
    wait_at_least: float = 0.0


_REFUSED = LossVerdict(credentials_refused=True, stop=True)
_BY_STATUS = {401: _REFUSED, 403: _REFUSED, 426: LossVerdict(stop=True)}
_BY_CLOSE_CODE = {1008: _REFUSED, 4401: _REFUSED, 4403: _REFUSED}
_LONGEST_WISH = 300.0
"""Seconds; a Retry-After beyond this is taken for a mistake."""


def judge(lost: ConnectionLost) -> LossVerdict:
    """Decide what a lost control connection means: by the HTTP status, or the close code the service chose.

    A code that only echoes our own close, after a fault of the service, is no verdict of the service.
    """
    if isinstance(lost.error, HandshakeRefused):
        known = _BY_STATUS.get(lost.error.status)
        return known or LossVerdict(wait_at_least=min(lost.error.retry_after or 0.0, _LONGEST_WISH))
    return LossVerdict() if lost.error is not None else _BY_CLOSE_CODE.get(lost.code, LossVerdict())


def describe(lost: ConnectionLost) -> str:
    """Say in one line why a connection ended, fit for a log and an exception."""
    error: ProtocolError | None = lost.error
    if error is not None:
        return str(error)
    reason = f" ({lost.reason})" if lost.reason else ""
    return f"the service closed the connection with code {lost.code}{reason}"
