"""Control text: every field against every type, what is unknown, and the vendor's exact text."""

import json
from typing import Any

import attrs
import pytest

from telcoflow_proto.control.codec import decode_control, decode_session, encode_control, encode_session
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    ControlMessage,
    CreateSession,
    InboundCalls,
    MessageIn,
    OpenSession,
    Requested,
    Response,
    SendMessage,
    SessionClosed,
    SessionInfo,
    SessionNotice,
    SessionReady,
    Setup,
    SetUpCallFlow,
    SetupDone,
)
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.roles import Role
from tests.control.agents import CALL, T0, new_client, new_server, seen

MISSING = object()

SAMPLES: dict[str, Any] = {
    "null": None,
    "true": True,
    "int": 7,
    "float": 3.5,
    "text": "text",
    "empty text": "",
    "list": [1],
    "dict": {"k": 1},
    "missing": MISSING,
}

GOOD: dict[tuple[Role, str], dict[str, Any]] = {
    (Role.CLIENT, "setup"): {"data": {"sampleRate": 24000, "audioMode": "mixed"}},
    (Role.CLIENT, "session.open"): {"sessionId": "s", "reqId": "r"},
    (Role.CLIENT, "session.create"): {"channel": "TELCO", "remoteAddress": "+1", "reqId": "r"},
    (Role.CLIENT, "session.ready"): {"sessionId": "s"},
    (Role.CLIENT, "wa.msg.out"): {
        "data": {"sessionId": "s", "clientMsgId": "m", "apiVersion": "v", "data": {}},
        "reqId": "r",
    },
    (Role.CLIENT, "call_flow.setup"): {
        "data": {"inboundCall": "ALL", "outboundCall": True, "inboundMessage": True, "outboundMessage": False},
        "reqId": "r",
    },
    (Role.SERVER, "setup.done"): {"smWsId": "w"},
    (Role.SERVER, "response"): {"reqId": "r", "ok": True, "content": {}, "errorCode": None, "errorContent": None},
    (Role.SERVER, "session.notify"): {
        "sessionId": "s",
        "channel": "TELCO",
        "activity": "RESUME",
        "remoteAddress": "+1",
        "localAddress": "+2",
        "createdAt": 1,
    },
    (Role.SERVER, "call.in"): {
        "sessionId": "s",
        "callId": "c",
        "orgUuid": "o",
        "from": "+1",
        "to": "+2",
        "url": "wss://m/c",
        "token": "t",
    },
    (Role.SERVER, "wa.msg.in"): {"sessionId": "s", "sender": "+1", "content": {}},
    (Role.SERVER, "session.closed"): {"sessionId": "s", "reason": "SDK_REQUEST"},
}

TEXT = {"text"}
MAYBE_TEXT = {"null", "text", "empty text", "missing"}
ANYTHING = set(SAMPLES)

ACCEPTED: dict[str, set[str]] = {
    "setup/sampleRate": {"int"},
    "setup/audioMode": TEXT,
    "session.open.sessionId": TEXT,
    "session.open.reqId": TEXT,
    "session.create.channel": TEXT,
    "session.create.remoteAddress": TEXT,
    "session.create.reqId": TEXT,
    "session.ready.sessionId": TEXT,
    "wa.msg.out/sessionId": TEXT,
    "wa.msg.out/clientMsgId": TEXT,
    "wa.msg.out/apiVersion": TEXT,
    "wa.msg.out/data": {"dict"},
    "wa.msg.out.reqId": TEXT,
    "call_flow.setup/inboundCall": set(),
    "call_flow.setup/outboundCall": {"true"},
    "call_flow.setup/inboundMessage": {"true"},
    "call_flow.setup/outboundMessage": {"true"},
    "call_flow.setup.reqId": TEXT,
    "setup.done.smWsId": MAYBE_TEXT,
    "response.reqId": TEXT,
    "response.ok": {"true"},
    "response.content": ANYTHING,
    "response.errorCode": MAYBE_TEXT,
    "response.errorContent": ANYTHING,
    "session.notify.sessionId": TEXT,
    "session.notify.channel": TEXT,
    "session.notify.activity": TEXT,
    "session.notify.remoteAddress": MAYBE_TEXT,
    "session.notify.localAddress": MAYBE_TEXT,
    "session.notify.createdAt": {"null", "int", "missing"},
    "call.in.sessionId": TEXT,
    "call.in.callId": TEXT,
    "call.in.orgUuid": MAYBE_TEXT,
    "call.in.from": MAYBE_TEXT,
    "call.in.to": MAYBE_TEXT,
    "call.in.url": TEXT,
    "call.in.token": TEXT,
    "wa.msg.in.sessionId": TEXT,
    "wa.msg.in.sender": MAYBE_TEXT,
    "wa.msg.in.content": {"dict"},
    "session.closed.sessionId": TEXT,
    "session.closed.reason": MAYBE_TEXT,
}
"""The verdicts: which samples a field takes (a slash: inside data). Everything else is a RemoteProtocolError."""


def broken(role: Role, kind: str, field: str, sample: str) -> str:
    """A good frame in which one field holds a sample."""
    whole: dict[str, Any] = json.loads(json.dumps({"type": kind, **GOOD[role, kind]}))
    inside = whole["data"] if field.startswith("/") else whole
    inside[field[1:]] = SAMPLES[sample]
    if SAMPLES[sample] is MISSING:
        del inside[field[1:]]
    return json.dumps(whole)


def fields_of(good: dict[str, Any]) -> list[str]:
    inside = good.get("data", {})
    return [f".{name}" for name in good if name != "data"] + [f"/{name}" for name in inside]


CASES = [
    pytest.param(role, kind, field, sample, id=f"{kind}{field}={sample}")
    for (role, kind), good in GOOD.items()
    for field in fields_of(good)
    for sample in SAMPLES
]
EVERY_KIND = pytest.mark.parametrize(("role", "kind"), GOOD, ids=[kind for _, kind in GOOD])


@pytest.mark.parametrize(("role", "kind", "field", "sample"), CASES)
def test_a_field_takes_its_type_and_no_other(role: Role, kind: str, field: str, sample: str) -> None:
    text = broken(role, kind, field, sample)
    if sample in ACCEPTED[f"{kind}{field}"]:
        assert decode_control(text, sender=role, limits=DEFAULT_LIMITS) is not None
        return
    with pytest.raises(RemoteProtocolError, match=rf"^{kind}\b.*{field[1:]}") as fault:
        decode_control(text, sender=role, limits=DEFAULT_LIMITS)
    assert fault.value.close_code == 1007


@pytest.mark.parametrize(("role", "kind", "field", "sample"), CASES)
def test_a_frame_that_breaks_a_rule_is_dropped_and_counted_and_the_connection_goes_on(
    role: Role, kind: str, field: str, sample: str
) -> None:
    hearer = new_server() if role is Role.CLIENT else new_client()
    bad = sample not in ACCEPTED[f"{kind}{field}"] or kind == "setup"  # there was one, and one is enough
    hearer.receive_message(broken(role, kind, field, sample), now=T0)
    assert hearer.bad_frames == bad
    assert [type(event).__name__ for event in seen(hearer)].count("FrameDropped") == bad
    hearer.receive_message(json.dumps({"type": "hologram", "data": 1}), now=T0)
    assert hearer.bad_frames == bad
    assert not hearer.lost


@EVERY_KIND
def test_a_field_of_tomorrow_is_ignored(role: Role, kind: str) -> None:
    plain = {"type": kind, **GOOD[role, kind]}
    texts = [json.dumps({**plain, **more}) for more in ({}, {"later": {"version": 2}, "__proto__": []})]
    today, tomorrow = [decode_control(text, sender=role, limits=DEFAULT_LIMITS) for text in texts]
    assert today == tomorrow
    assert today is not None


@EVERY_KIND
def test_what_only_the_other_end_says_is_unknown(role: Role, kind: str) -> None:
    text = json.dumps({"type": kind, **GOOD[role, kind]})
    assert decode_control(text, sender=role.peer, limits=DEFAULT_LIMITS) is None


@pytest.mark.parametrize("kind", ["setup", "wa.msg.out", "call_flow.setup"])
@pytest.mark.parametrize("data", [None, True, 1, "x", []], ids=repr)
def test_data_must_be_an_object(kind: str, data: Any) -> None:
    text = json.dumps({"type": kind, "reqId": "r", "data": data})
    with pytest.raises(RemoteProtocolError, match="data"):
        decode_control(text, sender=Role.CLIENT, limits=DEFAULT_LIMITS)


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Evil: 1", "tökén", "a\tb", "\x7f", " "], ids=repr)
def test_a_token_that_could_forge_a_header_is_refused(token: str) -> None:
    text = json.dumps({"type": "call.in", **GOOD[Role.SERVER, "call.in"], "token": token})
    with pytest.raises(RemoteProtocolError, match="visible ASCII") as fault:
        decode_control(text, sender=Role.SERVER, limits=DEFAULT_LIMITS)
    assert token.strip() == "" or token not in str(fault.value)


@pytest.mark.parametrize("caller", [None, "", "x" * 4096], ids=["withheld", "empty", "4 KiB"])
def test_peer_bug_t12_a_call_with_any_caller_is_a_call(caller: str | None) -> None:
    text = json.dumps({"type": "call.in", **GOOD[Role.SERVER, "call.in"], "from": caller})
    message = decode_control(text, sender=Role.SERVER, limits=DEFAULT_LIMITS)
    assert isinstance(message, CallIn)
    assert message.caller == caller


@pytest.mark.parametrize("text", ["x" * 4097, "a\0b"], ids=["too long", "NUL"])
def test_an_identifier_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="sessionId"):
        decode_control(
            json.dumps({"type": "session.ready", "sessionId": text}), sender=Role.CLIENT, limits=DEFAULT_LIMITS
        )


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("SDK_REQUEST", "SDK_REQUEST"),
        ("FORCE_CLOSE", "FORCE_CLOSE"),
        ("CALL_TERMINATED", "CALL_TERMINATED"),
        ("SOLAR_FLARE", "FORCE_CLOSE"),
        (None, "FORCE_CLOSE"),
    ],
)
def test_an_unknown_reason_to_close_is_force(reason: str | None, meaning: str) -> None:
    text = json.dumps({"type": "session.closed", "sessionId": "s", "reason": reason})
    closed = decode_control(text, sender=Role.SERVER, limits=DEFAULT_LIMITS)
    assert closed == SessionClosed(session_id="s", reason=meaning)


def test_an_unknown_activity_is_kept() -> None:
    text = json.dumps({"type": "session.notify", **GOOD[Role.SERVER, "session.notify"], "activity": "HOLOGRAM"})
    notice = decode_control(text, sender=Role.SERVER, limits=DEFAULT_LIMITS)
    assert isinstance(notice, SessionNotice)
    assert notice.activity == "HOLOGRAM"


GOLDEN: list[tuple[Role, ControlMessage, str]] = [
    (
        Role.CLIENT,
        Setup(sample_rate=16000, audio_mode="isolated"),
        '{"type": "setup", "data": {"sampleRate": 16000, "audioMode": "isolated"}}',
    ),
    (
        Role.CLIENT,
        Requested(request_id="r1", request=OpenSession(session_id="s1")),
        '{"type": "session.open", "sessionId": "s1", "reqId": "r1"}',
    ),
    (
        Role.CLIENT,
        Requested(request_id="r1", request=CreateSession(channel="WA", remote_address="+1")),
        '{"type": "session.create", "channel": "WA", "remoteAddress": "+1", "reqId": "r1"}',
    ),
    (
        Role.CLIENT,
        SessionReady(session_id="s1"),
        '{"type": "session.ready", "sessionId": "s1"}',
    ),
    (
        Role.CLIENT,
        Requested(
            request_id="r1",
            request=SendMessage(session_id="s1", client_message_id="m1", api_version="v19.0", content={"text": "ä"}),
        ),
        (
            '{"type": "wa.msg.out", "data": {"sessionId": "s1", "clientMsgId": "m1", "apiVersion": "v19.0", '
            '"data": {"text": "\\u00e4"}}, "reqId": "r1"}'
        ),
    ),
    (
        Role.CLIENT,
        Requested(
            request_id="r1", request=SetUpCallFlow(flow=CallFlow(inbound_call=InboundCalls.NONE, outbound_call=False))
        ),
        (
            '{"type": "call_flow.setup", "data": {"inboundCall": "NO", "outboundCall": false, '
            '"inboundMessage": true, "outboundMessage": true}, "reqId": "r1"}'
        ),
    ),
    (Role.SERVER, SetupDone(connection_id="w1"), '{"type": "setup.done", "smWsId": "w1"}'),
    (Role.SERVER, SetupDone(), '{"type": "setup.done"}'),
    (Role.SERVER, Response(request_id="r1", ok=True), '{"type": "response", "reqId": "r1", "ok": true}'),
    (
        Role.SERVER,
        Response(request_id="r1", ok=False, error_code="SESSION_BUSY", error_content={"boundSmWsId": "w2"}),
        (
            '{"type": "response", "reqId": "r1", "ok": false, "errorCode": "SESSION_BUSY", '
            '"errorContent": {"boundSmWsId": "w2"}}'
        ),
    ),
    (
        Role.SERVER,
        SessionNotice(session_id="s1", channel="TELCO", activity="RESUME", remote_address="+1", created_at=7),
        (
            '{"type": "session.notify", "sessionId": "s1", "channel": "TELCO", "remoteAddress": "+1", '
            '"activity": "RESUME", "createdAt": 7}'
        ),
    ),
    (
        Role.SERVER,
        attrs.evolve(CALL, caller=None),
        (
            '{"type": "call.in", "sessionId": "s1", "callId": "c1", "orgUuid": "o", "to": "+2", '
            '"url": "wss://media.example/v1/media/c1", "token": "t"}'
        ),
    ),
    (
        Role.SERVER,
        MessageIn(session_id="s1", sender="+1", content={"text": "hi"}),
        '{"type": "wa.msg.in", "sessionId": "s1", "sender": "+1", "content": {"text": "hi"}}',
    ),
    (
        Role.SERVER,
        SessionClosed(session_id="s1", reason="SDK_REQUEST"),
        '{"type": "session.closed", "sessionId": "s1", "reason": "SDK_REQUEST"}',
    ),
]


@pytest.mark.parametrize(("role", "message", "text"), GOLDEN, ids=[json.loads(text)["type"] for *_, text in GOLDEN])
def test_the_exact_text_of_a_frame_and_back(role: Role, message: ControlMessage, text: str) -> None:
    assert encode_control(message) == text
    assert decode_control(text, sender=role, limits=DEFAULT_LIMITS) == message


def test_a_session_comes_back_as_it_was_written() -> None:
    whole = SessionInfo(
        id="s1",
        channel="WA",
        initiator="SDK",
        state="OPEN",
        remote_address="+1",
        local_address="+2",
        opened_at=1,
        closed_at=2,
    )
    for session in (whole, SessionInfo(id="s1", channel="WA")):
        assert decode_session(encode_session(session), DEFAULT_LIMITS) == session


@pytest.mark.parametrize(
    "content",
    [None, [], "s", {}, {"id": "s"}, {"channel": "WA"}, {"id": "s", "channel": "WA", "openedAt": True}],
    ids=repr,
)
def test_what_is_no_session_is_refused(content: Any) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^session(\.session)?: field"):
        decode_session(content, DEFAULT_LIMITS)
