"""What the service tells about calls and messages, as typed events.

An event never fails to parse: the service may add, leave out or change what only describes something, and a
final event must not be lost over that. A member that is missing or of another type takes its default; ``params``
keeps the raw inner object. (What events are routed by is checked before, and strictly.)
"""

from collections.abc import Mapping
from typing import Any, Self, final

import attrs

from telcoflow_proto.jsontext import Json, JsonObject

# Compared by identity: True is no number here.
_KINDS: dict[object, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    bool | None: (bool,),
    JsonObject: (dict,),
    list[Json]: (list,),
}


def _wire(name: str) -> dict[str, str]:
    return {"wire": name}


@attrs.frozen(kw_only=True)
class RelayEvent:
    """Something happened. ``params`` is the raw inner object, ``timestamp`` epoch seconds (0.0 if none was sent).

    Numbers, texts and digits stay out of the ``repr``, which ends up in logs.

    An ``event_type`` of ``""`` marks an end that no event told of; its ``params`` then say the ``reason``.
    """

    event_type: str
    params: dict[str, Any] = attrs.field(factory=dict, repr=False)  # read deep down, as the vendor's page does
    call_id: str = ""
    timestamp: float = 0.0

    @classmethod
    def from_payload(cls, payload: Mapping[str, Json]) -> Self:
        """Make one from ``{"event_type": ..., "params": {...}}``, however little of it is there."""
        inner, event_type = payload.get("params"), payload.get("event_type")
        params = inner if isinstance(inner, dict) else {}
        seen = cls._seen(params)
        values: dict[str, Any] = {}  # each checked against the type of its attribute
        for name, wire, kinds in _readings(cls):
            value = seen.get(wire)
            if type(value) in kinds:
                values[name] = value
        outer = payload.get("timestamp")
        if "timestamp" not in values and type(outer) in _KINDS[float]:
            values["timestamp"] = outer  # the vendor's client looks inside, its wire notes put it outside
        return cls(event_type=event_type if isinstance(event_type, str) else "", params=params, **values)

    @staticmethod
    def _seen(params: JsonObject) -> JsonObject:
        """Return the members where the attributes look for them; event types with peculiar ones override this."""
        return params


_READINGS: dict[type[RelayEvent], list[tuple[str, str, tuple[type, ...]]]] = {}


def _readings(event: type[RelayEvent]) -> list[tuple[str, str, tuple[type, ...]]]:
    """List what an event class reads: attribute, name on the wire, types. Worked out once for each class."""
    known = _READINGS.get(event)
    if known is None:
        known = _READINGS[event] = [
            (field.name, field.metadata.get("wire", field.name), _KINDS[field.type])
            for field in attrs.fields(event)
            if field.name not in {"event_type", "params"}
        ]
    return known


@final
@attrs.frozen(kw_only=True)
class CallStateEvent(RelayEvent):
    """A call moved to ``call_state``: created, ringing, answered, ending, ended. Ended ones have an ``end_reason``."""

    call_state: str = ""
    end_reason: str = ""
    direction: str = ""
    device: JsonObject = attrs.field(factory=dict, repr=False)


@final
@attrs.frozen(kw_only=True)
class CallReceiveEvent(RelayEvent):
    """Somebody calls, in one of our contexts."""

    call_state: str = ""
    direction: str = ""
    device: JsonObject = attrs.field(factory=dict, repr=False)
    node_id: str = ""
    project_id: str = ""
    context: str = ""
    segment_id: str = ""
    tag: str = ""

    @staticmethod
    def _seen(params: JsonObject) -> JsonObject:
        return {**params, "context": params.get("context") or params.get("protocol")}


@final
@attrs.frozen(kw_only=True)
class PlayEvent(RelayEvent):
    """A play is playing, paused, finished, or in error."""

    control_id: str = ""
    state: str = ""


@final
@attrs.frozen(kw_only=True)
class RecordEvent(RelayEvent):
    """A recording is recording, paused, finished or found no input. ``duration`` in seconds, ``size`` in bytes."""

    control_id: str = ""
    state: str = ""
    url: str = ""
    duration: float = 0.0
    size: int = 0
    record: JsonObject = attrs.field(factory=dict, repr=False)

    @staticmethod
    def _seen(params: JsonObject) -> JsonObject:
        nested = params.get("record")
        if not isinstance(nested, dict):
            return params
        inner = {name: nested[name] for name in ("url", "duration", "size") if nested.get(name) is not None}
        return {**params, **inner}


@final
@attrs.frozen(kw_only=True)
class CollectEvent(RelayEvent):
    """Input was collected. ``result`` is ``{type, params}``; ``final`` is False for what may still change."""

    control_id: str = ""
    state: str = ""
    result: JsonObject = attrs.field(factory=dict, repr=False)
    final: bool | None = None


@final
@attrs.frozen(kw_only=True)
class ConnectEvent(RelayEvent):
    """A bridge is connecting, connected, disconnected or failed; ``peer`` is the other leg."""

    connect_state: str = ""
    peer: JsonObject = attrs.field(factory=dict, repr=False)


@final
@attrs.frozen(kw_only=True)
class DetectEvent(RelayEvent):
    """Something was detected: ``detect`` is ``{type, params: {event}}``."""

    control_id: str = ""
    detect: JsonObject = attrs.field(factory=dict, repr=False)


@final
@attrs.frozen(kw_only=True)
class FaxEvent(RelayEvent):
    """A fax moved on: ``fax`` is ``{type: page | finished, params}``."""

    control_id: str = ""
    fax: JsonObject = attrs.field(factory=dict, repr=False)


@final
@attrs.frozen(kw_only=True)
class TapEvent(RelayEvent):
    """A media tap is tapping, or finished."""

    control_id: str = ""
    state: str = ""
    tap: JsonObject = attrs.field(factory=dict, repr=False)
    device: JsonObject = attrs.field(factory=dict, repr=False)


@final
@attrs.frozen(kw_only=True)
class StreamEvent(RelayEvent):
    """A media stream is streaming, or finished."""

    control_id: str = ""
    state: str = ""
    url: str = ""
    name: str = ""


@final
@attrs.frozen(kw_only=True)
class SendDigitsEvent(RelayEvent):
    """DTMF digits were sent, or could not be."""

    control_id: str = ""
    state: str = ""


@final
@attrs.frozen(kw_only=True)
class DialEvent(RelayEvent):
    """An outgoing dial is dialing, answered or failed; ``call`` is the leg that won."""

    tag: str = ""
    dial_state: str = ""
    call: JsonObject = attrs.field(factory=dict, repr=False)
    reason: str = ""
    source: str = ""


@final
@attrs.frozen(kw_only=True)
class ReferEvent(RelayEvent):
    """A SIP REFER moved on. The response codes are texts."""

    state: str = ""
    sip_refer_to: str = attrs.field(default="", repr=False)
    sip_refer_response_code: str = ""
    sip_notify_response_code: str = ""


@final
@attrs.frozen(kw_only=True)
class DenoiseEvent(RelayEvent):
    """Noise reduction was switched."""

    denoised: bool = False


@final
@attrs.frozen(kw_only=True)
class PayEvent(RelayEvent):
    """A payment moved on, or has its ``result``."""

    control_id: str = ""
    state: str = ""
    result: str = ""


@final
@attrs.frozen(kw_only=True)
class QueueEvent(RelayEvent):
    """A call entered, moved in or left a queue."""

    control_id: str = ""
    status: str = ""
    queue_id: str = attrs.field(default="", metadata=_wire("id"))
    queue_name: str = attrs.field(default="", metadata=_wire("name"))
    position: int = 0
    size: int = 0


@final
@attrs.frozen(kw_only=True)
class EchoEvent(RelayEvent):
    """An echo is echoing, or finished."""

    state: str = ""


@final
@attrs.frozen(kw_only=True)
class TranscribeEvent(RelayEvent):
    """A transcription is transcribing, or finished. ``duration`` in seconds, ``size`` in bytes."""

    control_id: str = ""
    state: str = ""
    url: str = ""
    recording_id: str = ""
    duration: float = 0.0
    size: int = 0


@final
@attrs.frozen(kw_only=True)
class HoldEvent(RelayEvent):
    """A call was put on hold, or taken off it."""

    state: str = ""


@final
@attrs.frozen(kw_only=True)
class ConferenceEvent(RelayEvent):
    """Something happened in a conference."""

    conference_id: str = ""
    name: str = ""
    status: str = ""


@final
@attrs.frozen(kw_only=True)
class CallingErrorEvent(RelayEvent):
    """The service met an error on a call. The vendor's sources disagree on its members: both forms are read."""

    code: str = ""
    message: str = ""
    fatal: bool = False

    @staticmethod
    def _seen(params: JsonObject) -> JsonObject:
        code = params.get("code")
        return {
            **params,
            "code": str(code) if type(code) is int else code,
            "message": params.get("message") or params.get("error"),
        }


@attrs.frozen(kw_only=True)
class _MessageEvent(RelayEvent):
    """Something about a text message. ``segments`` is how many parts it is sent in."""

    message_id: str = ""
    context: str = ""
    direction: str = ""
    from_number: str = attrs.field(default="", repr=False)
    to_number: str = attrs.field(default="", repr=False)
    body: str = attrs.field(default="", repr=False)
    media: list[Json] = attrs.field(factory=list, repr=False)
    segments: int = 0
    message_state: str = ""
    tags: list[Json] = attrs.field(factory=list)


@final
@attrs.frozen(kw_only=True)
class MessageReceiveEvent(_MessageEvent):
    """A message came in, in one of our contexts."""


@final
@attrs.frozen(kw_only=True)
class MessageStateEvent(_MessageEvent):
    """A message we sent moved to ``message_state``; failed ones have a ``reason``."""

    reason: str = ""


EVENT_CLASS_MAP: dict[str, type[RelayEvent]] = {
    "calling.call.state": CallStateEvent,
    "calling.call.receive": CallReceiveEvent,
    "calling.call.play": PlayEvent,
    "calling.call.record": RecordEvent,
    "calling.call.collect": CollectEvent,
    "calling.call.connect": ConnectEvent,
    "calling.call.detect": DetectEvent,
    "calling.call.fax": FaxEvent,
    "calling.call.tap": TapEvent,
    "calling.call.stream": StreamEvent,
    "calling.call.send_digits": SendDigitsEvent,
    "calling.call.dial": DialEvent,
    "calling.call.refer": ReferEvent,
    "calling.call.denoise": DenoiseEvent,
    "calling.call.pay": PayEvent,
    "calling.call.queue": QueueEvent,
    "calling.call.echo": EchoEvent,
    "calling.call.transcribe": TranscribeEvent,
    "calling.call.hold": HoldEvent,
    "calling.conference": ConferenceEvent,
    "calling.error": CallingErrorEvent,
    "messaging.receive": MessageReceiveEvent,
    "messaging.state": MessageStateEvent,
}


def parse_event(payload: Mapping[str, Json]) -> RelayEvent:
    """Make the typed event of ``{"event_type": ..., "params": {...}}``; a plain RelayEvent for an unknown type."""
    event_type = payload.get("event_type")
    known = EVENT_CLASS_MAP.get(event_type, RelayEvent) if isinstance(event_type, str) else RelayEvent
    return known.from_payload(payload)
