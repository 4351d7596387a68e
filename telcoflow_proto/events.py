"""The names users register handlers under. Enum members, constants and raw strings are equal."""

import enum
from typing import final


@final
class ClientEvent(enum.StrEnum):
    """What a client tells."""

    INCOMING_CALL = "call.new"
    INCOMING_MESSAGE = "message.new"
    SESSION_NOTIFIED = "session.notified"
    SESSION_CLOSED = "session.closed"
    CONNECTION_LOST = "connection.lost"
    CONNECTION_RESTORED = "connection.restored"


@final
class CallEvent(enum.StrEnum):
    """What a call tells."""

    CALL_TERMINATED = "call.terminated"
    CALL_ANSWERED = "call.answered"
    CALL_CONNECTED = "call.connected"
    CALL_CONNECT_FAILED = "call.connect_failed"
    CALL_ANSWER_FAILED = "call.answer_failed"
    CALL_ERROR = "call.error"


@final
class SessionEvent(enum.StrEnum):
    """What a session tells."""

    INCOMING_CALL = "call.new"
    INCOMING_MESSAGE = "message.new"
    CLOSED = "session.closed"


INCOMING_CALL = "call.new"
INCOMING_MESSAGE = "message.new"
SESSION_NOTIFIED = "session.notified"
SESSION_CLOSED = "session.closed"
CONNECTION_LOST = "connection.lost"
CONNECTION_RESTORED = "connection.restored"
CALL_TERMINATED = "call.terminated"
CALL_ANSWERED = "call.answered"
CALL_CONNECTED = "call.connected"
CALL_CONNECT_FAILED = "call.connect_failed"
CALL_ANSWER_FAILED = "call.answer_failed"
CALL_ERROR = "call.error"
