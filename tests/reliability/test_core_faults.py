"""Bad input and long lives, on the core alone: no sockets, no loop, time is a number."""

import random
import sys
import time
import tracemalloc
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from telcoflow_proto.client import ClientMachine
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.control.connection import ControlClientConnection, ControlServerConnection
from telcoflow_proto.control.events import SetupRequested
from telcoflow_proto.control.messages import SessionNotice
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import decode_object
from telcoflow_proto.life_events import ClientLost, TransportWanted
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.media.table import CallState
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.replies import Outcome
from telcoflow_proto.roles import Role
from tests.control import agents
from tests.core.support import counting, frame, heard, open_link
from tests.media.calls import T0, buffer_request, call_event, client_in, command, response, said, seen
from tests.reliability.conftest import Figure
from tests.reliability.short_calls import make_calls

SECOND = 48000
URL = parse_ws_url("ws://localhost/x")
CREDENTIALS = [("x-api-key", "k"), ("x-connector-uuid", "c")]

# ---------------------------------------------------------------------- D1: any pieces, the same outcome

Ends = tuple[Any, Any]


def control_ends() -> Ends:
    client = ControlClientConnection(
        url=URL, credentials=CREDENTIALS, entropy=counting(), sample_rate=24000, audio_mode="mixed"
    )
    return client, ControlServerConnection(entropy=counting())


def media_ends() -> Ends:
    return MediaClientConnection(url=URL, token="t", entropy=counting()), MediaServerConnection(entropy=counting())


ANSWER_ID = "the id of the answer, the same in every run"


def texts_for(make: Callable[[], Ends], role: Role) -> list[str]:
    """What an end hears after the upgrade that depends on nothing it does in answer."""
    if make is control_ends:
        return _CONTROL_TEXTS[role]
    return [text.replace(ANSWER_ID, _answer_id()) for text in _MEDIA_TEXTS[role]]


_CONTROL_TEXTS = {
    Role.CLIENT: [
        agents.frame("setup.done", smWsId="w1"),
        agents.frame("session.notify", sessionId="s1", channel="TELCO", activity="RESUME", remoteAddress="ü+1"),
        agents.frame("of tomorrow", x=[1, {"y": None}]),
        agents.response("nobody asked"),
        agents.call_in(),
        agents.frame("session.closed", sessionId="s1", reason="CALL_TERMINATED"),
    ],
    Role.SERVER: [
        agents.frame("setup", data={"sampleRate": 24000, "audioMode": "mixed"}),
        agents.frame("of tomorrow", x=1),
        agents.frame("session.ready", sessionId="s1"),
    ],
}
_MEDIA_TEXTS = {
    Role.CLIENT: [
        response(ANSWER_ID),
        buffer_request(960),
        call_event("call.error", error_code="E", error_message="ü"),
        response("nobody asked"),
        call_event("call.terminated"),
    ],
    Role.SERVER: [
        command("call.answer", "c1"),
        command("call.connect", "c2", data={"ringTimeSeconds": 20}),
        command("call.answer", "c1"),
    ],
}


def media_that_answers() -> Ends:
    client, server = media_ends()
    client.answer(now=T0)
    return client, server


def _answer_id() -> str:
    found: str = media_ends()[0].answer(now=T0)
    return found


def conversation(make: Callable[[], Ends], role: Role, fault: bytes) -> bytes:
    """Every byte one end hears: the upgrade, text, audio and a fragmented message, then perhaps a fault, and more."""
    client, server = make()
    client.start(now=T0)
    server.start(now=T0)
    upgrade: bytes = client.data_to_send(now=T0)
    if role is Role.CLIENT:
        server.receive_data(upgrade, now=T0)
        server.accept(now=T0)
        upgrade = server.data_to_send(now=T0)
    peer = role.peer
    frames = [frame(peer, 0x81, text.encode()) for text in texts_for(make, role)]
    fragments = [frame(peer, 0x02, b"\0\1\1"), frame(peer, 0x00, b"\2\2"), frame(peer, 0x80, b"\3\3")]
    frames[1:1] = [*fragments, frame(peer, 0x82, b"\0\5\5")]
    middle = len(frames) - 1
    return upgrade + b"".join(frames[:middle]) + fault + b"".join(frames[middle:])


def outcome_of(make: Callable[[], Ends], role: Role, pieces: list[bytes]) -> list[str]:
    """What one end reports when it hears a stream in these pieces, and then the end of it."""
    end = make()[0 if role is Role.CLIENT else 1]
    end.start(now=T0)
    events: list[str] = []

    def take() -> None:
        while batch := list(end.events()):
            for event in batch:
                events.append(repr(event))
                if isinstance(event, UpgradeRequested):
                    end.accept(now=T0)

    for piece in pieces:
        end.receive_data(piece, now=T0)
        take()
    end.receive_eof(now=T0)
    take()
    while isinstance(end, MediaClientConnection | MediaServerConnection) and (pcm := end.next_audio()) is not None:
        events.append(repr(pcm))
    return [one for one in events if not one.startswith("AudioArrived")]  # said once for all that was not read yet


FAULTS: dict[str, tuple[int, bytes] | None] = {
    "no fault": None,
    "a reserved bit": (0xC1, b"x"),
    "bad UTF-8": (0x81, b"\xff\xfe"),
    "a continuation of nothing": (0x80, b"x"),
    "bad JSON": (0x81, b"{"),
    "a fragmented ping": (0x09, b"x"),
    "an unknown opcode": (0x83, b"x"),
    "a close": (0x88, b"\x03\xe8bye"),
}


def cut_at(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *places, len(stream)]
    return [stream[begin:end] for begin, end in pairwise(edges)]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("make", [control_ends, media_that_answers])
@pytest.mark.parametrize("role", Role)
def test_D01_any_pieces_of_a_conversation_have_the_same_outcome(
    make: Callable[[], Ends], role: Role, fault: str, figure: Figure
) -> None:
    bad = FAULTS[fault]
    stream = conversation(make, role, b"" if bad is None else frame(role.peer, *bad))
    wanted = outcome_of(make, role, [stream])
    assert len(wanted) > 3
    assert outcome_of(make, role, [stream[at : at + 1] for at in range(len(stream))]) == wanted
    for at in range(1, len(stream)):
        assert outcome_of(make, role, [stream[:at], stream[at:]]) == wanted, at
    chance = random.Random(f"{make.__name__} {role} {fault}")
    for _ in range(1000 if fault == "no fault" else 100):
        places = sorted(chance.sample(range(1, len(stream)), chance.randint(1, 20)))
        assert outcome_of(make, role, cut_at(stream, places)) == wanted, places
    figure("D1: longest conversation cut at every byte, bytes", len(stream))


# ---------------------------------------------------------------------- D10 to D13: bombs


@pytest.mark.parametrize("role", Role)
def test_D10_a_bomb_is_a_fault_at_its_first_byte_for_compression_was_never_offered(role: Role) -> None:
    link = open_link(role)
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(bytes(64 * 1024 * 1024)) + compressor.flush()
    tracemalloc.start()
    try:
        link.receive_data(frame(role.peer, 0xC2, bomb), now=0.0)
        (lost,) = heard(link)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(lost.error, RemoteProtocolError)  # type: ignore[union-attr]
    assert lost.error.close_code == 1002  # type: ignore[union-attr]
    assert peak < 1024 * 1024


HOSTILE = {
    "nesting": "[" * 65_000,
    "nested objects": '{"a":' * 13_000,
    "4,301 digits": '{"a":' + "9" * 4301 + "}",
    "64,000 digits": '{"a":' + "9" * 64_000 + "}",
    "overflow": '{"a":1e999}',
    "NaN": '{"a":NaN}',
    "infinity": '{"a":-Infinity}',
    "10,000 members": "{" + ",".join(f'"{number}":1' for number in range(7000)) + "}",
    "a key of 60,000": '{"' + "k" * 60_000 + '":1,"' + "k" * 4_000,
    "an open string": '{"a":"' + "x" * 65_000,
    "escapes": '{"a":"' + "\\u0041" * 10_000,
    "backslashes": '{"a":"' + "\\" * 65_000,
    "commas": "{" + "," * 65_000,
    "a duplicate": '{"a":1,"a":2}',
    "half a pair": '{"a":"\\ud800"}',
    "1 MiB": '{"a":"' + "x" * (1 << 20) + '"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_D12_hostile_text_is_refused_in_five_milliseconds(name: str, figure: Figure) -> None:
    took: list[float] = []
    for _ in range(7):
        begun = time.process_time()
        with pytest.raises(RemoteProtocolError):
            decode_object(HOSTILE[name], DEFAULT_LIMITS)
        took.append(time.process_time() - begun)
    measured = sys.gettrace() is None  # coverage slows what it watches
    assert min(took) < (0.005 if measured else 0.05), "the best of seven: a machine may be busy, an algorithm may not"
    figure("D12: slowest refusal of hostile text, ms", min(took) * 1000)


@pytest.mark.parametrize("name", ["__proto__", "constructor", "__class__", "__init__", "\u0000", "", "k" * 4000])
def test_D13_a_field_of_any_name_is_nobodys_business(name: str) -> None:
    client = agents.new_client()
    client.receive_message(
        agents.frame("session.notify", sessionId="s1", channel="TELCO", activity="RESUME", **{name: {"x": 1}}), now=T0
    )
    (notice,) = agents.seen(client)
    assert (notice.session_id, client.bad_frames) == ("s1", 0)


def test_D13_no_known_field_is_the_last_of_two() -> None:
    client = agents.new_client()
    for second in ('"s2"', "7", "null"):
        client.receive_message(
            f'{{"type":"session.notify","sessionId":"s1","sessionId":{second},"channel":"TELCO"}}', now=T0
        )
    assert client.bad_frames == 3
    assert not [one for one in agents.seen(client) if isinstance(one, SessionNotice)]


# ---------------------------------------------------------------------- D17 to D23: what a service may say


def test_D17_a_response_that_comes_before_its_request_was_written_counts_once() -> None:
    client = agents.new_client()
    request_id = client.open_session("s1", now=T0)
    client.receive_message(agents.opened(request_id), now=T0)
    client.receive_message(agents.response(request_id, ok=False, errorCode="SESSION_BUSY"), now=T0)
    (done,) = agents.seen(client)
    assert done.outcome is Outcome.DONE
    assert len(agents.said(client)) == 1, "the request leaves all the same"


@pytest.mark.parametrize("seconds", [8000, 16000, 24000])
@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        (True, 0),
        (False, 0),
        ("7", 0),
        (3.9, 0),
        (-1, 0),
        (0, 0),
        (None, 0),
        (2.0, 0),
        ([1], 0),
        ({}, 0),
        ("", 0),
        (1, 1),
        (961, 961),
        ("most", "most"),
        ("most + 1", "most"),
        (2**31, "most"),
        (2**63, "most"),
        (10**30, "most"),
    ],
)
def test_D19_credit_is_a_whole_number_and_two_seconds_at_most(requested: Any, granted: Any, seconds: int) -> None:
    most = 2 * 2 * seconds
    names = {"most": most, "most + 1": most + 1}
    client = client_in(CallState.ANSWERED, sample_rate=seconds, buffer_size=8 * seconds)
    client.receive_message(
        buffer_request(names.get(requested, requested) if isinstance(requested, str) else requested), now=T0
    )
    wanted = names.get(granted, granted)
    assert client.statistics().credit == wanted
    client.send_audio(bytes(8 * seconds), now=T0)
    client.drain_audio(now=T0)
    assert sum(len(one) - 1 for one in client.messages_to_send(now=T0) if isinstance(one, bytes)) == wanted & ~1


@pytest.mark.parametrize("preferred", [0, 1, 2, 3, 319, 320, 65_535, 10**9])
@pytest.mark.parametrize("credit", [2, 3, 320, 96_000])
def test_D20_whatever_frame_is_preferred_speech_gets_on_in_whole_samples(preferred: int, credit: int) -> None:
    client = client_in(CallState.ANSWERED)
    client.send_audio(bytes(96_000), now=T0)
    client.receive_message(buffer_request(credit, preferred), now=T0)
    sizes = [len(one) - 1 for one in client.messages_to_send(now=T0) if isinstance(one, bytes)]
    assert sizes
    assert all(size % 2 == 0 for size in sizes)
    assert 0 < sum(sizes) <= credit


@pytest.mark.parametrize("piece", [1 << 1, 320, 640, 2000])
@pytest.mark.parametrize("total", [960, 2880, 3200])
def test_D21_what_is_written_in_any_pieces_leaves_whole_and_all_of_it(piece: int, total: int) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(buffer_request(96_000), now=T0)
    speech, out = bytes(range(200)) * (total // 200 + 1), b""
    speech = speech[:total]
    for at in range(0, total, piece):
        client.send_audio(speech[at : at + piece], now=T0)
        out += b"".join(one[1:] for one in client.messages_to_send(now=T0) if isinstance(one, bytes))
    client.drain_audio(now=T0)
    frames = [one[1:] for one in client.messages_to_send(now=T0) if isinstance(one, bytes)]
    assert all(len(one) % 2 == 0 for one in frames)
    assert out + b"".join(frames) == speech


OLD, NEW = b"\1\1", b"\7\7"


@pytest.mark.parametrize("when", ["queued", "in flight", "with credit open", "while empty", "twice", "with a tail"])
def test_D22_nothing_old_leaves_after_a_clear_and_the_service_always_hears_of_it(when: str) -> None:
    client = client_in(CallState.ANSWERED)
    if when in {"in flight", "with credit open", "with a tail"}:
        client.receive_message(buffer_request(96_000), now=T0)
    if when != "while empty":
        client.send_audio(OLD * 2000 if when != "with a tail" else OLD * 100, now=T0)
    if when == "in flight":
        assert client.messages_to_send(now=T0)
        client.send_audio(OLD * 2000, now=T0)
    client.interrupt(now=T0)
    if when == "twice":
        client.interrupt(now=T0)
    clears = 2 if when == "twice" else 1
    client.receive_message(buffer_request(96_000), now=T0)
    client.send_audio(NEW * 480, now=T0)
    out = said(client, T0 + 1)
    assert [one["data"]["command"] for one in out if isinstance(one, dict)] == ["agent.interrupt"] * clears
    audio = b"".join(one[1:] for one in out if isinstance(one, bytes))
    assert audio == NEW * 480


@pytest.mark.parametrize("state", CallState)
@pytest.mark.parametrize(
    ("blob", "verdict"),
    [
        (b"", "nothing"),
        (b"\0", "nothing"),
        (b"\0\1", "bad"),
        (b"\0\1\1", "heard"),
        (b"\0\1\1\1", "bad"),
        (b"\0" + bytes(65_536), "heard"),
        (b"\0" + bytes(65_537), "bad"),
        (b"\1\1\1", "bad"),
        (b"\xff\1\1", "bad"),
    ],
)
def test_D23_a_binary_frame_is_heard_ignored_or_counted_in_every_state(
    state: CallState, blob: bytes, verdict: str
) -> None:
    client = client_in(state)
    client.receive_message(blob, now=T0)
    over = state is CallState.DISCONNECTED
    assert client.bad_frames == (0 if over or verdict != "bad" else 1)
    assert client.next_audio() == (blob[1:] if verdict == "heard" and not over else None)


def test_D24_a_terminal_event_is_told_once_in_any_order() -> None:
    ends: list[Callable[[Any], None]] = [
        lambda client: client.receive_message(call_event("call.terminated"), now=T0),
        lambda client: client.receive_close(code=1000, now=T0),
        lambda client: client.session_closed("FORCE_CLOSE", now=T0),
        lambda client: client.force_disconnect(now=T0),
    ]
    for first in ends:
        for second in ends:
            for third in ends:
                client = client_in(CallState.ANSWERED)
                for end in (first, second, third):
                    end(client)
                assert Counter(type(one).__name__ for one in seen(client))["CallEnded"] == 1


# ---------------------------------------------------------------------- D31: a thousand clients lose one service


def config() -> ClientConfig:
    return ClientConfig.sandbox(api_key="k", connector_uuid="c", base_url="ws://localhost:8080")


@pytest.mark.parametrize("outage", [0, 1, 3, 10, 60])
def test_D31_a_thousand_clients_that_lost_one_service_come_back_spread_evenly(outage: int, figure: Figure) -> None:
    come_back: list[float] = []
    for seed in range(1000):
        machine = ClientMachine(config(), entropy=random.Random(seed).randbytes)
        machine.connect(now=0.0)
        (wanted,) = (one for one in machine.events() if isinstance(one, TransportWanted))
        open_up(machine, now=0.0)
        now = 0.0
        while True:
            wanted.attempt.fail_transport("gone", now=now)
            (lost,) = (one for one in machine.events() if isinstance(one, ClientLost))
            assert lost.retry_in is not None
            assert lost.retry_in >= 0.5
            now += lost.retry_in
            machine.handle_timeout(now=now)
            (wanted,) = (one for one in machine.events() if isinstance(one, TransportWanted))
            if now >= outage:
                break
        come_back.append(now)
    come_back.sort()
    within = (bisect_left(come_back, first + 0.1) - place for place, first in enumerate(come_back))  # any 100 ms
    fullest = max(within) / len(come_back)
    assert fullest <= 0.05
    figure(f"D31: largest share of 1,000 clients in 100 ms after {outage} s without a service, %", fullest * 100)


def open_up(machine: ClientMachine, now: float) -> None:
    """Let the machine be set up by a service."""
    server = ControlServerConnection(entropy=counting())
    server.start(now=now)
    machine.start(now=now)
    for _ in range(6):
        server.receive_data(machine.data_to_send(now=now), now=now)
        for event in list(server.events()):
            if isinstance(event, UpgradeRequested):
                server.accept(now=now)
            if isinstance(event, SetupRequested):
                server.complete_setup(now=now)
        machine.receive_data(server.data_to_send(now=now), now=now)


# ---------------------------------------------------------------------- D43: many short calls


def test_D43_two_thousand_short_calls_leave_nothing(figure: Figure) -> None:
    left = make_calls(2000)
    assert not any(left.registries.values()), left.registries
    assert left.grown_objects < 100
    figure("D43: objects left of 2,000 calls", left.grown_objects)
