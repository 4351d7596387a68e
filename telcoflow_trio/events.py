"""The names of events, for ``client.on`` and ``call.on``."""

from telcoflow_proto.events import (
    CALL_ANSWER_FAILED,
    CALL_ANSWERED,
    CALL_CONNECT_FAILED,
    CALL_CONNECTED,
    CALL_ERROR,
    CALL_TERMINATED,
    CONNECTION_LOST,
    CONNECTION_RESTORED,
    INCOMING_CALL,
    INCOMING_MESSAGE,
    SESSION_CLOSED,
    SESSION_NOTIFIED,
    CallEvent,
    ClientEvent,
)

__all__ = (
    "CALL_ANSWERED",
    "CALL_ANSWER_FAILED",
    "CALL_CONNECTED",
    "CALL_CONNECT_FAILED",
    "CALL_ERROR",
    "CALL_TERMINATED",
    "CONNECTION_LOST",
    "CONNECTION_RESTORED",
    "INCOMING_CALL",
    "INCOMING_MESSAGE",
    "SESSION_CLOSED",
    "SESSION_NOTIFIED",
    "CallEvent",
    "ClientEvent",
)
