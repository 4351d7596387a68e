"""What a media connection reports. The door's own events come on top: opened, lost, frame dropped."""

import enum
from typing import final

import attrs

from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.media.messages import Command
from telcoflow_proto.media.table import CallState, CallWord
from telcoflow_proto.replies import Outcome


@final
class EndReason(enum.StrEnum):
    """Why a call is over, as seen from here."""

    CLOSED = "closed"
    DISCONNECTED = "disconnected"
    TERMINATED = "terminated"
    SESSION_CLOSED = "session closed"
    CONNECTION_LOST = "connection lost"
    FORCED = "forced"


@final
@attrs.frozen(kw_only=True)
class CommandDone:
    """A command we said has ended, in one way out of ``Outcome``; ``took`` seconds after it was said."""

    command_id: str
    command: CallWord
    outcome: Outcome
    took: float
    result: Json = None
    error_code: str | None = None
    error_message: str | None = None


@final
@attrs.frozen(kw_only=True)
class CallChanged:
    """The call entered another state: answered, connected or over."""

    previous: CallState
    state: CallState


@final
@attrs.frozen(kw_only=True)
class CallFailedToMove:
    """The server refused an answer or a connect (``command``); the call is as it was."""

    command: CallWord
    error_code: str | None
    error_message: str | None


@final
@attrs.frozen(kw_only=True)
class CallEnded:
    """The call is over. Exactly once per call; nothing about the call comes after it."""

    reason: EndReason
    detail: str | None = None


@final
@attrs.frozen(kw_only=True)
class CallErrorReported:
    """The server reports a fault of the call (``TTS_SESSION_ERROR``, ...); the call goes on."""

    error_code: str | None
    error_message: str | None


@final
@attrs.frozen(kw_only=True)
class CallNoticed:
    """The server told something this version has no word for; passed on as it came."""

    event: str
    details: JsonObject


@final
@attrs.frozen(kw_only=True)
class AudioArrived:
    """Audio waits on a channel that had none: read it with ``next_audio`` until None. Not repeated until then."""

    channel: int


@final
@attrs.frozen
class PlayoutFinished:
    """All speech has left and, by our estimate, been heard. Comes once per ``drain_audio``."""


@final
@attrs.frozen(kw_only=True)
class CommandReceived:
    """Server: the client asks for something; answer with ``succeed`` or ``refuse``."""

    command: Command


@final
@attrs.frozen(kw_only=True)
class CommandExpired:
    """Server: nobody answered this command in time; the client has been told ``TIMEOUT``."""

    command: Command


CallNews = CommandDone | CallChanged | CallFailedToMove | CallEnded | CallErrorReported | CallNoticed | PlayoutFinished
ClientMediaEvent = CallNews | AudioArrived
ServerMediaEvent = CommandReceived | CommandExpired | AudioArrived | CallEnded
