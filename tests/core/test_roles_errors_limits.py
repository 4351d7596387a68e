"""The words everything else is made of: roles, errors and bounds."""

import inspect
import re

import attrs
import pytest

from telcoflow_proto import errors, limits
from telcoflow_proto.errors import (
    CallOver,
    HandshakeRefused,
    LimitExceeded,
    LocalProtocolError,
    PeerSilent,
    PlayoutFull,
    ProtocolError,
    RemoteProtocolError,
    TransportFailed,
)
from telcoflow_proto.limits import DEFAULT_LIMITS, RELAY_LIMITS, Limits
from telcoflow_proto.roles import Role

LOCAL = (LocalProtocolError, PlayoutFull, CallOver)
REMOTE = (RemoteProtocolError, LimitExceeded, HandshakeRefused)


@pytest.mark.parametrize("role", Role)
def test_the_peer_of_the_peer_is_us(role: Role) -> None:
    assert role.peer is not role
    assert role.peer.peer is role


def test_every_error_of_the_core_is_a_protocol_error() -> None:
    found = {cls for _, cls in inspect.getmembers(errors, inspect.isclass)}
    assert found == {ProtocolError, *LOCAL, *REMOTE, PeerSilent, TransportFailed}
    assert all(issubclass(cls, ProtocolError) for cls in found)


def test_the_class_of_an_error_tells_whose_fault_it_is() -> None:
    assert all(issubclass(cls, LocalProtocolError) for cls in LOCAL)
    assert all(issubclass(cls, RemoteProtocolError) for cls in REMOTE)
    assert not any(issubclass(cls, RemoteProtocolError | LocalProtocolError) for cls in (PeerSilent, TransportFailed))


def test_the_excerpt_is_cut_and_never_part_of_the_message() -> None:
    error = RemoteProtocolError("bad", close_code=1007, excerpt=b"s3cret" * 100)
    assert (str(error), error.close_code, len(error.excerpt)) == ("bad", 1007, 64)
    assert "s3cret" not in repr(error)


def test_a_protocol_error_closes_with_1002_unless_it_says_otherwise() -> None:
    assert RemoteProtocolError("bad").close_code == 1002


@pytest.mark.parametrize(
    ("detail", "message"),
    [
        ("", "the WebSocket upgrade was refused with HTTP 503"),
        ("busy", "the WebSocket upgrade was refused with HTTP 503: busy"),
    ],
)
def test_a_refused_upgrade_tells_status_detail_and_wait(detail: str, message: str) -> None:
    error = HandshakeRefused(status=503, detail=detail, retry_after=7.0)
    assert str(error) == message
    assert (error.status, error.detail, error.retry_after) == (503, detail, 7.0)


def test_every_bound_is_positive_and_gives_its_reason() -> None:
    source = inspect.getsource(limits)
    for field in attrs.fields(Limits):
        assert getattr(DEFAULT_LIMITS, field.name) > 0
        assert re.search(rf'    {field.name}: (int|float) = .*\n    """\w', source), field.name


def test_the_bounds_are_the_ones_we_promise() -> None:
    assert attrs.asdict(DEFAULT_LIMITS) == {
        "handshake_bytes": 8_192,
        "handshake_headers": 128,
        "refusal_body": 1_024,
        "message_bytes": 1_048_576,
        "message_fragments": 128,
        "control_frames_per_second": 50,
        "json_bytes": 65_536,
        "json_depth": 32,
        "json_digits": 32,
        "json_members": 1_024,
        "text_chars": 4_096,
        "bad_frames_per_minute": 10,
        "pending_requests": 256,
        "remembered_ids": 1_024,
        "waiting_notices": 256,
        "audio_in_seconds": 10.0,
        "audio_in_channels": 8,
        "audio_out_bytes": 1_048_576,
        "credit_seconds": 2.0,
        "frame_bytes": 65_536,
        "calls": 1_000,
        "actions_per_call": 256,
        "legs_per_dial": 256,
        "tracked_messages": 1_000,
        "early_states": 256,
        "queued_requests": 500,
        "transcript_bytes": 16_777_216,
        "transcript_entries": 100_000,
    }


def test_relay_has_larger_frames_and_the_same_bounds_otherwise() -> None:
    larger = {"message_bytes": 10_485_760, "json_bytes": 10_485_760, "json_depth": 64, "json_members": 16_384}
    assert attrs.asdict(RELAY_LIMITS) == attrs.asdict(DEFAULT_LIMITS) | larger | {"pending_requests": 1_024}


def test_bounds_are_changed_by_making_others() -> None:
    smaller = attrs.evolve(DEFAULT_LIMITS, json_depth=2)
    assert (smaller.json_depth, DEFAULT_LIMITS.json_depth) == (2, 32)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        smaller.json_depth = 3  # type: ignore[misc]
