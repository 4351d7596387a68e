"""The public kit for tests: its two ends meet, its scripted peer says what it is told, its strategies mean it."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.control.codec import decode_control, encode_control
from telcoflow_proto.control.connection import ControlClientConnection, ControlServerConnection
from telcoflow_proto.control.events import SetupCompleted, SetupRequested
from telcoflow_proto.door import ConnectionLost, ConnectionOpened, FrameDropped
from telcoflow_proto.errors import PeerSilent, RemoteProtocolError
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.jsontext import decode_object
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.codec import decode_media
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.media.events import CallEnded, EndReason
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import (
    HangUp,
    Pair,
    Say,
    SayBytes,
    ScriptedPeer,
    Step,
    Wait,
    audio_messages,
    client_control_messages,
    commands,
    control_texts,
    entropy,
    hostile_texts,
    illegal_frames,
    json_values,
    legal_frames,
    media_texts,
    pcm,
    scripts,
    server_control_messages,
    server_media_messages,
    sessions,
    splits,
    streams,
    wire_frame,
)
from telcoflow_proto.websocket import Close, LinkLost
from tests.core.support import heard, open_link

repeatable = settings(derandomize=True, deadline=None, max_examples=80)


def control_client() -> ControlClientConnection:
    return ControlClientConnection(url=parse_ws_url("ws://localhost/control"), credentials=[], entropy=entropy())


def media_client() -> MediaClientConnection:
    return MediaClientConnection(url=parse_ws_url("ws://localhost/media"), token="t", entropy=entropy())


def event(name: str) -> str:
    return json.dumps({"type": "call_event", "data": {"event": name}})


def test_its_chance_is_the_same_every_time_and_other_for_every_seed() -> None:
    assert entropy()(200) == entropy()(200)
    assert len(entropy()(200)) == 200
    assert entropy(1)(16) != entropy(2)(16)
    draw = entropy()
    assert draw(16) != draw(16)


# ---------------------------------------------------------------------------------------------- two ends


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_a_pair_opens_and_talks(size: int) -> None:
    pair = Pair(control_client(), ControlServerConnection(entropy=entropy(1)), piece_bytes=size)
    pair.open(now=0.0)
    assert pair.client_events == [ConnectionOpened()]
    assert [type(one) for one in pair.server_events] == [UpgradeRequested, ConnectionOpened, SetupRequested]
    pair.server.complete_setup(now=0.0)
    pair.carry(now=0.0)
    assert pair.client_events[-1] == SetupCompleted(connection_id=None)


def test_a_pair_leaves_the_upgrade_to_who_wants_to_decide() -> None:
    pair = Pair(control_client(), ControlServerConnection(entropy=entropy(1)), accepting=False)
    pair.open(now=0.0)
    pair.server.reject(status=503, now=0.0)
    pair.carry(now=0.0)
    (lost,) = pair.client_events
    assert isinstance(lost, ConnectionLost)
    assert "503" in str(lost.error)


def test_a_pair_delivers_as_little_as_one_likes() -> None:
    pair = Pair(control_client(), ControlServerConnection(entropy=entropy(1)))
    pair.server.start(now=0.0)
    pair.client.start(now=0.0)
    pair.settle(now=0.0)
    whole = pair.under_way(Role.CLIENT)
    pair.deliver(Role.CLIENT, whole - 1, now=0.0)
    assert (pair.server_events, pair.under_way(Role.CLIENT)) == ([], 1)
    pair.deliver(Role.CLIENT, 1, now=0.0)
    assert isinstance(pair.server_events[0], UpgradeRequested)


def test_a_pair_keeps_time_for_both_ends() -> None:
    pair = Pair(control_client(), ControlServerConnection(entropy=entropy(1)))
    pair.open(now=0.0)
    pair.pass_time(until=5.0)
    assert not pair.client.lost
    pair.pass_time(until=60.0)
    assert isinstance(pair.client_events[-1], ConnectionLost)
    assert isinstance(pair.client_events[-1].error, PeerSilent)
    assert isinstance(pair.server_events[-1], ConnectionLost)
    pair.pass_time(until=1000.0)
    assert pair.under_way(Role.CLIENT) == pair.under_way(Role.SERVER) == 0


def test_a_lost_wire_is_told_to_both() -> None:
    pair = Pair(control_client(), ControlServerConnection(entropy=entropy(1)))
    pair.open(now=0.0)
    pair.lose(now=1.0)
    for events in (pair.client_events, pair.server_events):
        assert isinstance(events[-1], ConnectionLost)


# ---------------------------------------------------------------------------------------------- a scripted peer


def test_a_scripted_service_ends_a_call() -> None:
    peer = ScriptedPeer(media_client())
    peer.door.answer(now=0.0)
    peer.open(now=0.0)
    assert isinstance(peer.heard[0], str)
    assert json.loads(peer.heard[0])["data"]["command"] == "call.answer"
    peer.says(event("call.terminated"), now=1.0)
    assert any(isinstance(one, CallEnded) for one in peer.events)
    assert peer.heard[-1] == Close()
    peer.says(event("call.terminated"), now=2.0)
    assert peer.fault is None


def test_a_scripted_client_speaks_to_a_server() -> None:
    peer = ScriptedPeer(MediaServerConnection(entropy=entropy()))
    peer.open(now=0.0)
    peer.says(Close(code=4001, reason="bye"), now=0.0)
    assert peer.events[-1] == ConnectionLost(code=4001, reason="bye", error=None)


def test_a_script_is_played_to_its_end() -> None:
    peer = ScriptedPeer(media_client())
    peer.open(now=0.0)
    script: list[Step] = [
        Say("{"),
        Wait(1.0),
        SayBytes(wire_frame(Role.SERVER, 0x1, b"[]")),
        Wait(0.5),
        HangUp(),
        Say("late"),
    ]
    assert peer.plays(script, now=10.0) == 11.5
    kinds = [type(one) for one in peer.events]
    assert kinds == [ConnectionOpened, FrameDropped, FrameDropped, CallEnded, ConnectionLost]
    ended = peer.events[3]
    assert isinstance(ended, CallEnded)
    assert ended.reason is EndReason.CONNECTION_LOST


def test_a_scripted_peer_tells_when_the_door_breaks_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = ScriptedPeer(media_client())
    peer.open(now=0.0)
    said = iter([b"\x81\x01x"])
    monkeypatch.setattr(peer.door, "data_to_send", lambda *, now: next(said, b""))
    peer.says("{}", now=0.0)
    assert isinstance(peer.fault, RemoteProtocolError)
    assert not peer.heard


def test_a_silent_script_meets_the_doors_deadlines() -> None:
    peer = ScriptedPeer(media_client())
    peer.open(now=0.0)
    peer.waits(until=4.0)
    assert peer.events == [ConnectionOpened()]
    peer.waits(until=100.0)
    assert not any(isinstance(one, ConnectionLost) for one in peer.events), "its link answers pings"


# ---------------------------------------------------------------------------------------------- strategies


@repeatable
@given(client_control_messages() | server_control_messages())
def test_control_messages_survive_the_wire(message: Any) -> None:
    text = encode_control(message)
    heard_by = [decode_control(text, sender=role, limits=DEFAULT_LIMITS) for role in Role]
    assert message in heard_by


@repeatable
@given(sender=st.sampled_from(Role), data=st.data())
def test_media_and_control_texts_are_understood(sender: Role, data: st.DataObject) -> None:
    assert decode_media(data.draw(media_texts(sender)), sender=sender, limits=DEFAULT_LIMITS) is not None
    assert decode_control(data.draw(control_texts(sender)), sender=sender, limits=DEFAULT_LIMITS) is not None


@repeatable
@given(commands() | server_media_messages(), sessions(), json_values(), pcm(), audio_messages(channels=(0, 3)))
def test_values_are_what_they_say(message: Any, session: Any, value: Any, sound: bytes, audio: bytes) -> None:
    assert type(message).__module__ == "telcoflow_proto.media.messages"
    assert session.id
    assert decode_object(json.dumps({"v": value}), DEFAULT_LIMITS) == {"v": value}
    assert len(sound) % 2 == 0
    assert (audio[0] in (0, 3), len(audio) % 2) == (True, 1)


@repeatable
@given(hostile_texts())
def test_hostile_text_is_dropped_and_never_more(text: str) -> None:
    peer = ScriptedPeer(media_client())
    peer.open(now=0.0)
    peer.says(text, now=0.0)
    assert not peer.door.lost


@pytest.mark.parametrize("role", Role)
def test_legal_frames_are_heard_and_illegal_ones_end_the_link(role: Role) -> None:
    @repeatable
    @given(st.lists(legal_frames(role.peer), max_size=3), illegal_frames(role.peer))
    def check(legal: list[bytes], illegal: bytes) -> None:
        link = open_link(role)
        link.receive_data(b"".join(legal), now=0.0)
        assert not link.closed
        list(link.events())
        link.receive_data(illegal, now=0.0)
        (lost,) = heard(link)
        assert isinstance(lost, LinkLost)
        assert isinstance(lost.error, RemoteProtocolError)

    check()


@repeatable
@given(st.data())
def test_splits_lose_nothing(data: st.DataObject) -> None:
    stream = data.draw(streams(data.draw(st.sampled_from(Role))))
    pieces = data.draw(splits(stream, most=4))
    assert b"".join(pieces) == stream
    assert 1 <= len(pieces) <= 4


@pytest.mark.parametrize("role", Role)
def test_any_script_leaves_a_door_in_order(role: Role) -> None:
    @repeatable
    @given(scripts(role.peer, media_texts(role.peer)))
    def check(script: list[Step]) -> None:
        peer: ScriptedPeer[Any] = ScriptedPeer(
            media_client() if role is Role.CLIENT else MediaServerConnection(entropy=entropy())
        )
        peer.open(now=0.0)
        now = peer.plays([*script, HangUp()], now=0.0)
        assert [type(one) for one in peer.events].count(ConnectionLost) == 1
        assert isinstance(peer.events[-1], ConnectionLost)
        assert peer.door.next_deadline() is None
        assert peer.fault is None
        peer.waits(until=now + 1000)

    check()


def test_without_hypothesis_the_error_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['hypothesis'] = None; import telcoflow_proto.testing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "telcoflow_proto.testing needs Hypothesis: pip install 'telcoflow-proto[testing]'" in done.stderr
