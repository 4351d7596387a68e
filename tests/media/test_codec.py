"""Media text: every field against every type, what is unknown, and the vendor's exact text."""

import json
from typing import Any

import pytest

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.codec import decode_media, encode_media
from telcoflow_proto.media.messages import BufferRequest, CallNotice, Command, CommandResponse, MediaMessage
from telcoflow_proto.media.table import COMMANDS, CallWord
from telcoflow_proto.roles import Role
from tests.media.calls import new_client, new_server, seen

MISSING = object()


def shown(sample: object) -> str:
    """Name a sample; the name must be the same in every process."""
    return "missing" if sample is MISSING else repr(sample)


SAMPLES: dict[str, Any] = {
    "null": None,
    "true": True,
    "int": 7,
    "float": 3.5,
    "text": "text",
    "empty text": "",
    "list": [1],
    "dict": {"ringTimeSeconds": 7},
    "missing": MISSING,
}

GOOD: dict[tuple[Role, str], dict[str, Any]] = {
    (Role.CLIENT, "command"): {
        "command_id": "c",
        "command": "call.connect",
        "timeout_ms": 20000,
        "data": {"ringTimeSeconds": 20},
    },
    (Role.SERVER, "command_response"): {
        "command_id": "c",
        "success": False,
        "result": None,
        "error_code": "E",
        "error_message": "m",
    },
    (Role.SERVER, "call_event"): {"event": "call.error", "error_code": "E", "error_message": "m"},
    (Role.SERVER, "buffer_request"): {"requested_bytes": 960, "prefer_audio_frame_bytes": 640, "channelId": 0},
}

ACCEPTED: dict[tuple[str, str], set[str]] = {
    ("command", "command_id"): {"text"},
    ("command", "command"): set(),
    ("command", "timeout_ms"): {"int"},
    ("command", "data"): {"dict"},
    ("command_response", "command_id"): {"text"},
    ("command_response", "success"): {"true"},
    ("command_response", "result"): set(SAMPLES),
    ("command_response", "error_code"): {"null", "text", "empty text", "missing"},
    ("command_response", "error_message"): {"null", "text", "empty text", "missing"},
    ("call_event", "event"): {"text"},
    ("call_event", "error_code"): set(SAMPLES),
    ("call_event", "error_message"): set(SAMPLES),
    ("buffer_request", "requested_bytes"): {"int"},
    ("buffer_request", "prefer_audio_frame_bytes"): {"null", "int", "missing"},
    ("buffer_request", "channelId"): {"null", "int", "missing"},
}
"""The verdicts: which samples a field takes. Everything else is one RemoteProtocolError."""

CASES = [
    pytest.param(role, kind, field, sample, id=f"{kind}.{field}={sample}")
    for (role, kind), data in GOOD.items()
    for field in data
    for sample in SAMPLES
]


def text_of(kind: str, data: object) -> str:
    return json.dumps({"type": kind, "data": data})


@pytest.mark.parametrize(("role", "kind", "field", "sample"), CASES)
def test_a_field_takes_its_type_and_no_other(role: Role, kind: str, field: str, sample: str) -> None:
    data = {**GOOD[role, kind], field: SAMPLES[sample]}
    if data[field] is MISSING:
        del data[field]
    text = text_of(kind, data)
    if sample in ACCEPTED[kind, field]:
        assert decode_media(text, sender=role, limits=DEFAULT_LIMITS) is not None
        return
    with pytest.raises(RemoteProtocolError, match=rf"^{kind}\b.*{field}") as fault:
        decode_media(text, sender=role, limits=DEFAULT_LIMITS)
    assert fault.value.close_code == 1007


@pytest.mark.parametrize(("role", "kind", "field", "sample"), CASES)
def test_a_frame_that_breaks_a_rule_is_dropped_and_counted_and_the_connection_goes_on(
    role: Role, kind: str, field: str, sample: str
) -> None:
    data = {**GOOD[role, kind], field: SAMPLES[sample]}
    if data[field] is MISSING:
        del data[field]
    hearer = new_server() if role is Role.CLIENT else new_client()
    hearer.receive_message(text_of(kind, data), now=100.0)
    bad = sample not in ACCEPTED[kind, field]
    assert hearer.bad_frames == bad
    assert [type(event).__name__ for event in seen(hearer)].count("FrameDropped") == bad
    hearer.receive_message(text_of(kind, {**GOOD[role, kind], "later": {"version": 2}}), now=100.0)
    assert hearer.bad_frames == bad, "the next good frame is heard, with a field of tomorrow in it"


@pytest.mark.parametrize(("role", "kind"), GOOD, ids=[kind for _, kind in GOOD])
@pytest.mark.parametrize("data", [None, True, 1, 1.5, "x", [], MISSING], ids=shown)
def test_data_must_be_an_object(role: Role, kind: str, data: object) -> None:
    whole = {"type": kind, "data": data}
    if data is MISSING:
        del whole["data"]
    with pytest.raises(RemoteProtocolError, match="data"):
        decode_media(json.dumps(whole), sender=role, limits=DEFAULT_LIMITS)


@pytest.mark.parametrize("kind", [None, True, 1, 1.5, "", [], {}], ids=repr)
def test_a_type_must_be_a_text(kind: object) -> None:
    with pytest.raises(RemoteProtocolError, match="type"):
        decode_media(json.dumps({"type": kind, "data": {}}), sender=Role.SERVER, limits=DEFAULT_LIMITS)


@pytest.mark.parametrize("ring_time", [None, True, 1.5, "20", [], {}, MISSING], ids=shown)
def test_a_ring_time_must_be_an_integer(ring_time: object) -> None:
    data = {} if ring_time is MISSING else {"ringTimeSeconds": ring_time}
    with pytest.raises(RemoteProtocolError, match="ringTimeSeconds"):
        decode_media(
            text_of("command", {**GOOD[Role.CLIENT, "command"], "data": data}),
            sender=Role.CLIENT,
            limits=DEFAULT_LIMITS,
        )


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_an_unknown_type_is_no_fault(role: Role) -> None:
    assert decode_media('{"type": "hologram"}', sender=role, limits=DEFAULT_LIMITS) is None


@pytest.mark.parametrize(("role", "kind"), GOOD, ids=[kind for _, kind in GOOD])
def test_what_only_the_other_end_says_is_unknown(role: Role, kind: str) -> None:
    assert decode_media(text_of(kind, GOOD[role, kind]), sender=role.peer, limits=DEFAULT_LIMITS) is None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ('{"type":"buffer_request","data":{"requested_bytes":7}}', BufferRequest(requested_bytes=7)),
        (
            '{"type":"buffer_request","data":{"requested_bytes":-1,"prefer_audio_frame_bytes":0,"channelId":null}}',
            BufferRequest(requested_bytes=-1),
        ),
        (
            '{"type":"buffer_request","data":{"requested_bytes":7,"prefer_audio_frame_bytes":-5,"channelId":3}}',
            BufferRequest(requested_bytes=7, channel=3),
        ),
        (
            '{"type":"call_event","data":{"event":"call.error","error_code":"E","extra":[1]}}',
            CallNotice(event="call.error", details={"error_code": "E", "extra": [1]}),
        ),
    ],
    ids=["frame size absent", "frame size 0", "frame size negative", "event with extra fields"],
)
def test_what_the_server_means(text: str, meaning: MediaMessage) -> None:
    assert decode_media(text, sender=Role.SERVER, limits=DEFAULT_LIMITS) == meaning


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            Command(command_id="a-b", command=CallWord.ANSWER, timeout_ms=10000),
            '{"type": "command", "data": {"command_id": "a-b", "command": "call.answer", "timeout_ms": 10000}}',
        ),
        (
            Command(command_id="a-b", command=CallWord.CONNECT, timeout_ms=20000, ring_time_seconds=20),
            (
                '{"type": "command", "data": {"command_id": "a-b", "command": "call.connect", "timeout_ms": 20000, '
                '"data": {"ringTimeSeconds": 20}}}'
            ),
        ),
        (
            CommandResponse(command_id="a-b", success=True),
            '{"type": "command_response", "data": {"command_id": "a-b", "success": true}}',
        ),
        (
            CommandResponse(command_id="a-b", success=False, result=0, error_code="E", error_message="m"),
            (
                '{"type": "command_response", "data": {"command_id": "a-b", "success": false, "result": 0, '
                '"error_code": "E", "error_message": "m"}}'
            ),
        ),
        (
            CallNotice(event="call.error", details={"error_code": "E"}),
            '{"type": "call_event", "data": {"event": "call.error", "error_code": "E"}}',
        ),
        (
            BufferRequest(requested_bytes=1920),
            (
                '{"type": "buffer_request", "data": {"requested_bytes": 1920, "prefer_audio_frame_bytes": 960, '
                '"channelId": 0}}'
            ),
        ),
    ],
    ids=["answer", "connect", "done", "refused", "error", "credit"],
)
def test_the_exact_text_of_a_frame(message: MediaMessage, text: str) -> None:
    assert encode_media(message) == text


@pytest.mark.parametrize("word", COMMANDS, ids=lambda word: word.value)
def test_a_command_comes_back_as_it_was_said(word: CallWord) -> None:
    ring_time = 20 if word is CallWord.CONNECT else None
    said = Command(command_id="c", command=word, timeout_ms=20000, ring_time_seconds=ring_time)
    assert decode_media(encode_media(said), sender=Role.CLIENT, limits=DEFAULT_LIMITS) == said
