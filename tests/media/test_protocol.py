"""What both roles of a call share: audio in, counters, and faults that never close a call."""

import attrs
import pytest

from telcoflow_proto.door import FrameDropped
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.events import AudioArrived
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.media.table import CallState
from telcoflow_proto.roles import Role
from tests.media.calls import T0, client_in, new_client, new_server, seen, server_in


def end_in(role: Role, state: CallState) -> MediaClient | MediaServer:
    return client_in(state) if role is Role.CLIENT else server_in(state)


def heard(end: MediaClient | MediaServer, channel: int = 0) -> list[bytes]:
    return list(iter(lambda: end.next_audio(channel), None))


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_audio_arrives_once_until_it_was_read(role: Role) -> None:
    end = end_in(role, CallState.ANSWERED)
    end.receive_message(b"\0\1\0", now=T0)
    end.receive_message(b"\0\2\0\3\0", now=T0)
    assert seen(end) == [AudioArrived(channel=0)]
    assert heard(end) == [b"\1\0", b"\2\0\3\0"]
    end.receive_message(b"\0\4\0", now=T0)
    assert seen(end) == [AudioArrived(channel=0)]


@pytest.mark.parametrize("data", [b"", b"\0", b"\7"], ids=["empty", "channel 0 and no audio", "channel 7 and no audio"])
def test_a_frame_without_audio_carries_nothing(data: bytes) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(data, now=T0)
    assert seen(client) == []
    assert (client.bad_frames, client.unexpected, client.statistics().frames_received) == (0, 0, 0)


@pytest.mark.parametrize("data", [b"\0\1", b"\0\1\2\3"], ids=["one byte", "three bytes"])
def test_half_a_sample_is_dropped_and_counted(data: bytes) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(data, now=T0)
    (dropped,) = seen(client)
    assert isinstance(dropped, FrameDropped)
    assert "half a sample" in str(dropped.error)
    assert heard(client) == []


@pytest.mark.parametrize("channel", range(9))
def test_a_call_with_isolated_legs_keeps_each_apart(channel: int) -> None:
    client = client_in(CallState.CONNECTED, isolated=True)
    client.receive_message(bytes([channel, 1, 0]), now=T0)
    assert seen(client) == [AudioArrived(channel=channel)]
    assert [heard(client, other) for other in range(9) if other != channel] == [[]] * 8
    assert heard(client, channel) == [b"\1\0"]
    assert client.statistics().bytes_received == 2


@pytest.mark.parametrize(("isolated", "channel"), [(False, 1), (False, 255), (True, 9), (True, 255)])
def test_a_channel_the_call_does_not_have_is_dropped_and_refused(isolated: bool, channel: int) -> None:
    client = client_in(CallState.CONNECTED, isolated=isolated)
    client.receive_message(bytes([channel, 1, 0]), now=T0)
    assert client.bad_frames == 1
    with pytest.raises(ValueError, match=f"channel {channel} does not exist: this call has 0 to"):
        client.next_audio(channel)


def test_a_server_has_one_channel_whatever_the_client_has() -> None:
    server = server_in(CallState.CONNECTED)
    server.receive_message(b"\1\1\0", now=T0)
    assert server.bad_frames == 1


def test_early_audio_waits_for_the_reader() -> None:
    client = new_client()
    client.receive_message(b"\0\1\0", now=T0)
    assert heard(client) == [b"\1\0"]


def test_audio_that_arrived_can_be_read_after_the_end_and_no_more_arrives() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(b"\0\1\0", now=T0)
    client.receive_close(now=T0)
    client.receive_message(b"\0\2\0", now=T0)
    assert heard(client) == [b"\1\0"]


def test_audio_of_a_client_that_did_not_hear_of_the_end_yet_is_no_fault() -> None:
    server = server_in(CallState.DISCONNECTED)
    server.receive_message(b"\0\1\0", now=T0)
    assert heard(server) == []
    assert (server.bad_frames, server.unexpected) == (0, 0)


def test_audio_before_the_answer_is_unexpected_at_the_server() -> None:
    server = new_server()
    for count in (1, 2):
        server.receive_message(b"\0\1\0", now=T0)
        assert heard(server) == []
        assert server.unexpected == count


def test_a_slow_reader_loses_the_oldest_ten_seconds_are_kept() -> None:
    client = client_in(CallState.ANSWERED, sample_rate=8000)
    second = bytes(16_000)
    for _ in range(25):
        client.receive_message(b"\0" + second, now=T0)
    statistics = client.statistics()
    assert (statistics.bytes_received, statistics.bytes_dropped_in) == (25 * 16_000, 15 * 16_000)
    assert len(heard(client)) == 10


def test_the_longest_message_is_shorter_than_what_is_kept() -> None:
    client = client_in(CallState.ANSWERED, limits=attrs.evolve(DEFAULT_LIMITS, audio_in_seconds=0.001))
    client.receive_message(b"\0" + bytes(960), now=T0)
    assert heard(client) == []
    assert client.statistics().bytes_dropped_in == 960


BAD_TEXTS = [
    "",
    "null",
    "[]",
    '"x"',
    "1",
    "{",
    "{} {}",
    "\ufeff{}",
    '{"type": 1}',
    '{"type": "call_event"}',
    '{"type": "call_event", "data": [' + "[" * 40 + "]" * 41 + "}",
    '{"type": "buffer_request", "data": {"requested_bytes": ' + "9" * 5000 + "}}",
    '{"type": "buffer_request", "data": {"requested_bytes": 1e999}}',
    '{"type": "buffer_request", "data": {"requested_bytes": 960, "channelId": Infinity}}',
    '{"type": "command_response", "data": {"command_id": ["c"], "success": true}}',
    '{"type": "command_response", "data": {"command_id": "c", "success": "false"}}',
    '{"type": "call_event", "type": "call_event", "data": {"event": "x"}}',
]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: text[:40] or "empty")
def test_peer_bug_m04_one_bad_frame_is_dropped_and_the_call_lives(text: str) -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message(text, now=T0)
    assert [type(event) for event in seen(client)] == [FrameDropped]
    client.receive_message(b"\0\1\0", now=T0)
    assert heard(client) == [b"\1\0"]
    assert not client.lost


@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_call_is_never_closed_for_bad_frames(role: Role) -> None:
    end = end_in(role, CallState.ANSWERED)
    for _ in range(1000):
        end.receive_message("not JSON", now=T0)
    assert end.bad_frames == 1000
    assert end.messages_to_send(now=T0) == []
    assert end.state is CallState.ANSWERED


def test_an_unknown_type_is_ignored_and_counted() -> None:
    client = client_in(CallState.ANSWERED)
    client.receive_message('{"type": "hologram", "data": 1}', now=T0)
    assert (client.unexpected, client.bad_frames, seen(client)) == (1, 0, [])
