"""Events are read, however little of them is there."""

from typing import Any

import attrs
import pytest

from telcoflow_proto.relay import events
from telcoflow_proto.relay.events import (
    EVENT_CLASS_MAP,
    CallingErrorEvent,
    CallReceiveEvent,
    PlayEvent,
    RecordEvent,
    RelayEvent,
    parse_event,
)

DEVICE: dict[str, Any] = {"type": "phone", "params": {"from_number": "+1555", "to_number": "+1666"}}
MESSAGE: dict[str, Any] = {
    "message_id": "m",
    "context": "office",
    "direction": "inbound",
    "from_number": "+1555",
    "to_number": "+1666",
    "body": "hello",
    "media": ["https://example.com/a.png"],
    "segments": 2,
    "message_state": "received",
    "tags": ["a"],
}

# What the service sends, and what is read where it is not the same under the same name.
FULL: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "calling.call.state": (
        "CallStateEvent",
        {"call_state": "ended", "end_reason": "hangup", "direction": "inbound", "device": DEVICE},
        {},
    ),
    "calling.call.receive": (
        "CallReceiveEvent",
        {
            "call_state": "created",
            "direction": "inbound",
            "device": DEVICE,
            "node_id": "n",
            "project_id": "p",
            "context": "office",
            "segment_id": "s",
            "tag": "t",
        },
        {},
    ),
    "calling.call.play": ("PlayEvent", {"control_id": "c", "state": "playing"}, {}),
    "calling.call.record": (
        "RecordEvent",
        {
            "control_id": "c",
            "state": "finished",
            "url": "https://example.com/r.mp3",
            "duration": 4.5,
            "size": 9,
            "record": {"audio": {"format": "mp3"}},
        },
        {},
    ),
    "calling.call.collect": (
        "CollectEvent",
        {"control_id": "c", "state": "finished", "result": {"type": "digit", "params": {"digits": "1"}}, "final": True},
        {},
    ),
    "calling.call.connect": ("ConnectEvent", {"connect_state": "connected", "peer": {"call_id": "o"}}, {}),
    "calling.call.detect": (
        "DetectEvent",
        {"control_id": "c", "detect": {"type": "machine", "params": {"event": "HUMAN"}}},
        {},
    ),
    "calling.call.fax": ("FaxEvent", {"control_id": "c", "fax": {"type": "page", "params": {"number": 1}}}, {}),
    "calling.call.tap": (
        "TapEvent",
        {"control_id": "c", "state": "tapping", "tap": {"type": "audio"}, "device": {"type": "rtp"}},
        {},
    ),
    "calling.call.stream": (
        "StreamEvent",
        {"control_id": "c", "state": "streaming", "url": "wss://example.com", "name": "mine"},
        {},
    ),
    "calling.call.send_digits": ("SendDigitsEvent", {"control_id": "c", "state": "finished"}, {}),
    "calling.call.dial": (
        "DialEvent",
        {"tag": "t", "dial_state": "failed", "call": {"call_id": "k"}, "reason": "busy", "source": "remote"},
        {},
    ),
    "calling.call.refer": (
        "ReferEvent",
        {
            "state": "success",
            "sip_refer_to": "sip:user@example.com",
            "sip_refer_response_code": "202",
            "sip_notify_response_code": "200",
        },
        {},
    ),
    "calling.call.denoise": ("DenoiseEvent", {"denoised": True}, {}),
    "calling.call.pay": ("PayEvent", {"control_id": "c", "state": "finished", "result": "success"}, {}),
    "calling.call.queue": (
        "QueueEvent",
        {"control_id": "c", "status": "enqueue", "id": "q", "name": "support", "position": 2, "size": 3},
        {"queue_id": "q", "queue_name": "support"},
    ),
    "calling.call.echo": ("EchoEvent", {"state": "echoing"}, {}),
    "calling.call.transcribe": (
        "TranscribeEvent",
        {"control_id": "c", "state": "finished", "url": "u", "recording_id": "r", "duration": 1.5, "size": 7},
        {},
    ),
    "calling.call.hold": ("HoldEvent", {"state": "hold"}, {}),
    "calling.conference": (
        "ConferenceEvent",
        {"conference_id": "f", "name": "weekly", "status": "participant-join"},
        {},
    ),
    "calling.error": ("CallingErrorEvent", {"code": "500", "message": "broken", "fatal": True}, {}),
    "messaging.receive": ("MessageReceiveEvent", MESSAGE, {}),
    "messaging.state": ("MessageStateEvent", {**MESSAGE, "reason": "unreachable"}, {}),
}
BASE = {"event_type", "params", "call_id", "timestamp"}
of_every_type = pytest.mark.parametrize("event_type", FULL)


def payload(event_type: str, params: Any) -> dict[str, Any]:
    return {"event_type": event_type, "params": params}


def own(event: RelayEvent) -> dict[str, Any]:
    """Return the attributes an event has beyond those every event has."""
    return {name: value for name, value in attrs.asdict(event, recurse=False).items() if name not in BASE}


def defaults(event_type: str) -> dict[str, Any]:
    return own(EVENT_CLASS_MAP[event_type](event_type=event_type))


def test_there_are_twenty_three_types() -> None:
    assert list(EVENT_CLASS_MAP) == list(FULL)
    assert len(FULL) == 23
    assert [kind.__name__ for kind in EVENT_CLASS_MAP.values()] == [name for name, _, _ in FULL.values()]


@of_every_type
def test_everything_an_event_says_is_read(event_type: str) -> None:
    name, said, elsewhere = FULL[event_type]
    params = {"call_id": "k", "timestamp": 12.5, **said}
    event = parse_event(payload(event_type, params))
    assert type(event) is getattr(events, name)
    assert (event.event_type, event.call_id, event.timestamp) == (event_type, "k", 12.5)
    assert event.params is params
    assert set(own(event)) == set(defaults(event_type))
    for attribute, value in own(event).items():
        assert value == (elsewhere[attribute] if attribute in elsewhere else said[attribute])
        assert value != defaults(event_type)[attribute], "the sample tells it from the default"


@of_every_type
@pytest.mark.parametrize("params", [{}, None, "missing", [], 1])
def test_an_event_that_says_nothing_has_defaults(event_type: str, params: Any) -> None:
    said = {"event_type": event_type} if params == "missing" else payload(event_type, params)
    event = parse_event(said)
    assert type(event) is EVENT_CLASS_MAP[event_type]
    assert (event.params, event.call_id, event.timestamp) == ({}, "", 0.0)
    assert own(event) == defaults(event_type)


@of_every_type
@pytest.mark.parametrize("odd", [None, b"no json", ("no", "json")], ids=repr)
def test_a_member_of_the_wrong_type_takes_its_default_and_stays_in_params(event_type: str, odd: Any) -> None:
    params = dict.fromkeys(["call_id", "timestamp", *FULL[event_type][1]], odd)
    event = parse_event(payload(event_type, params))
    assert own(event) == defaults(event_type)
    assert (event.call_id, event.timestamp) == ("", 0.0)
    assert event.params == params


@of_every_type
def test_one_wrong_member_does_not_spoil_the_others(event_type: str) -> None:
    said = FULL[event_type][1]
    whole = own(parse_event(payload(event_type, said)))
    for name, value in said.items():
        odd = 1 if isinstance(value, bool | str) else "odd"
        found = own(parse_event(payload(event_type, {**said, name: odd})))
        assert sum(found[attribute] != whole[attribute] for attribute in whole) == 1


def test_true_is_no_number_and_a_number_no_truth() -> None:
    queue = parse_event(payload("calling.call.queue", {"position": True, "size": 1.0}))
    assert own(queue) == defaults("calling.call.queue")
    denoise = parse_event(payload("calling.call.denoise", {"denoised": 1}))
    assert own(denoise) == {"denoised": False}
    assert parse_event(payload("calling.call.play", {"timestamp": True})).timestamp == 0.0


def test_a_whole_number_of_seconds_is_a_duration_too() -> None:
    assert own(parse_event(payload("calling.call.record", {"duration": 4})))["duration"] == 4


def test_the_inner_timestamp_counts_before_the_outer_one() -> None:
    inner = payload("calling.call.play", {"timestamp": 1.5})
    assert parse_event({**inner, "timestamp": 2.5}).timestamp == 1.5
    assert parse_event({**payload("calling.call.play", {}), "timestamp": 2.5}).timestamp == 2.5
    assert parse_event({**payload("calling.call.play", {"timestamp": "now"}), "timestamp": 2}).timestamp == 2
    assert parse_event({**payload("calling.call.play", {}), "timestamp": "now"}).timestamp == 0.0
    assert parse_event({**payload("calling.call.play", {}), "timestamp": True}).timestamp == 0.0


@pytest.mark.parametrize("event_type", ["calling.user_event", "calling.ai.start", "", "calling.call"])
def test_an_unknown_type_makes_a_plain_event(event_type: str) -> None:
    event = parse_event(payload(event_type, {"call_id": "k", "anything": 1}))
    assert type(event) is RelayEvent
    assert event == RelayEvent(event_type=event_type, params={"call_id": "k", "anything": 1}, call_id="k")


@pytest.mark.parametrize("event_type", [None, 1, ["calling.call.play"], {}])
def test_a_type_that_is_no_text_is_none(event_type: Any) -> None:
    assert parse_event({"event_type": event_type, "params": {"state": "playing"}}).event_type == ""
    assert type(parse_event({})) is RelayEvent


def test_a_class_can_be_asked_without_knowing_the_type() -> None:
    event = PlayEvent.from_payload({"params": {"state": "paused"}})
    assert (event.event_type, event.state) == ("", "paused")


def test_a_recording_s_inner_facts_win_and_nothing_else_of_it() -> None:
    inner = {"url": "inner", "duration": 2.0, "size": 2, "state": "inner", "control_id": "inner", "record": {"x": 1}}
    said = {"url": "outer", "duration": 1.0, "size": 1, "state": "finished", "control_id": "c", "record": inner}
    event = RecordEvent.from_payload(payload("calling.call.record", said))
    assert (event.url, event.duration, event.size) == ("inner", 2.0, 2)
    assert (event.state, event.control_id, event.record) == ("finished", "c", inner)


@pytest.mark.parametrize("record", [{}, {"url": None, "audio": {}}, None, "inner"])
def test_a_recording_without_inner_facts_has_the_outer_ones(record: Any) -> None:
    event = RecordEvent.from_payload(payload("calling.call.record", {"url": "outer", "size": 1, "record": record}))
    assert (event.url, event.size, event.duration) == ("outer", 1, 0.0)


@pytest.mark.parametrize(
    ("params", "context"),
    [
        ({"context": "office", "protocol": "signalwire_x"}, "office"),
        ({"context": "", "protocol": "signalwire_x"}, "signalwire_x"),
        ({"protocol": "signalwire_x"}, "signalwire_x"),
        ({"context": None}, ""),
    ],
)
def test_a_call_without_a_context_has_the_protocol_for_one(params: dict[str, Any], context: str) -> None:
    assert CallReceiveEvent.from_payload(payload("calling.call.receive", params)).context == context


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"code": 500, "message": "broken"}, "500", "broken"),
        ({"error": "broken"}, "", "broken"),
        ({"message": "", "error": "broken"}, "", "broken"),
        ({"error": {"code": 1}}, "", ""),
        ({"code": True}, "", ""),
        ({"code": 1.5}, "", ""),
    ],
)
def test_an_error_is_read_in_both_forms(params: dict[str, Any], code: str, message: str) -> None:
    event = CallingErrorEvent.from_payload(payload("calling.error", params))
    assert (event.code, event.message) == (code, message)


def test_an_event_cannot_change() -> None:
    event = parse_event(payload("calling.call.play", {}))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.call_id = "other"  # type: ignore[misc]


def test_two_classes_of_one_name_are_read_each_in_its_own_way() -> None:
    ours: Any = attrs.make_class(
        "PlayEvent", {"mood": attrs.field(default="", type=str)}, bases=(RelayEvent,), frozen=True, kw_only=True
    )
    said = payload("calling.call.play", {"state": "playing", "mood": "merry"})
    assert PlayEvent.from_payload(said).state == "playing"
    assert ours.from_payload(said).mood == "merry"


_EMPTY: dict[str, object] = {"str": "", "int": 0, "float": 0.0, "bool": False, "dict": {}, "list": []}


@pytest.mark.parametrize("kind", dict.fromkeys([*EVENT_CLASS_MAP.values(), RelayEvent]), ids=lambda kind: kind.__name__)
def test_what_an_event_does_not_say_is_empty_and_of_its_kind(kind: type[RelayEvent]) -> None:
    for field in attrs.fields(kind):
        default: object = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # typed as a function, but a class
            default = default.factory()  # type: ignore[attr-defined]
        named = getattr(field.type, "__name__", str(field.type))
        if default is not attrs.NOTHING and named in _EMPTY:
            assert (field.name, default) == (field.name, _EMPTY[named])


@pytest.mark.parametrize("kind", EVENT_CLASS_MAP.values(), ids=lambda kind: kind.__name__)
def test_no_object_of_an_event_is_shown(kind: type[RelayEvent]) -> None:
    objects = [field for field in attrs.fields(kind) if getattr(field.type, "__name__", "") == "dict"]
    assert "params" in [field.name for field in objects]
    assert [field.name for field in objects if field.repr] == [], "there may be numbers in it"
