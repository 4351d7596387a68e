"""Every bound in one place, each with its reason. Nothing in the core grows without one of these."""

from typing import final

import attrs


@final
@attrs.frozen(kw_only=True, cache_hash=True)  # looked up with every text that is decoded
class Limits:
    """Bounds on what a peer or a slow application can make us hold or do. Sizes are bytes, spans seconds."""

    handshake_bytes: int = 8 * 1024
    """Head of the upgrade request or response. Web servers use 8 KiB (nginx, Apache); ours needs under 1."""

    handshake_headers: int = 128
    """Header lines in that head. Python's own http.client stops at 100, websockets at 128."""

    refusal_body: int = 1024
    """How much of a refused upgrade's body is read; it is only ever shown to a person."""

    message_bytes: int = 1024 * 1024
    """One WebSocket message, all its fragments together. Audio frames are about 1 KiB; 1 MiB is 21 s of 24 kHz."""

    message_fragments: int = 128
    """Frames one message may be cut into; a flood of empty fragments costs time but no size."""

    control_frames_per_second: int = 50
    """Pings, pongs and closes; an honest peer sends one every few seconds."""

    json_bytes: int = 64 * 1024
    """One text message before it is decoded. The largest real frame is under 4 KiB."""

    json_depth: int = 32
    """Nested arrays and objects; CPython's own limit differs by version, so we need ours."""

    json_digits: int = 32
    """Characters of one number; a 64-bit integer has 20."""

    json_members: int = 1024
    """Members of one object; the widest real frame has nine."""

    text_chars: int = 4096
    """Characters of one text field (identifiers, numbers, URLs, tokens)."""

    bad_frames_per_minute: int = 10
    """Frames we may have to drop before a control peer is told off with 1008. Media never closes for them."""

    pending_requests: int = 256
    """Requests or commands waiting for their response; more means the application does not wait for any."""

    remembered_ids: int = 1024
    """Calls remembered to recognise a duplicate; at-least-once delivery repeats soon or never."""

    waiting_notices: int = 256
    """Session notices kept until a handler is registered; older ones are dropped first, they are announced again."""

    audio_in_seconds: float = 10.0
    """Received audio kept per channel for a slow reader; beyond that the oldest is dropped and counted."""

    audio_in_channels: int = 8
    """Isolated legs one call may have; each is a queue."""

    audio_out_bytes: int = 1024 * 1024
    """Outgoing audio queue; the vendor SDK's default."""

    credit_seconds: float = 2.0
    """Audio the server may have asked for and not received; beyond that nothing would be left to interrupt."""

    frame_bytes: int = 64 * 1024
    """The largest audio frame we cut, whatever size the server prefers."""

    calls: int = 1000
    """Calls of one RELAY client; further inbound ones are left to other workers. The vendor's client has the same."""

    actions_per_call: int = 256
    """Running actions of one RELAY call; nobody plays, records and detects more at once."""

    legs_per_dial: int = 256
    """Devices of one RELAY dial that ring; nobody calls more at once."""

    tracked_messages: int = 1000
    """Text messages sent over RELAY whose end is awaited; the oldest are let go first."""

    early_states: int = 256
    """Message states that came before the answer which names the message; others will never be asked for."""

    queued_requests: int = 500
    """RELAY requests waiting for a connection, live ones only. The vendor's client has the same."""

    transcript_bytes: int = 16 * 1024 * 1024
    """Bytes one transcript holds: about three minutes of a call, both ways at 24 kHz."""

    transcript_entries: int = 100_000
    """Things that happened in one transcript: 50 frames a second each way make half an hour."""


DEFAULT_LIMITS = Limits()

RELAY_LIMITS = Limits(
    message_bytes=10 * 1024 * 1024,
    json_bytes=10 * 1024 * 1024,
    json_depth=64,
    json_members=16 * 1024,
    pending_requests=1024,
)
"""Transcripts and AI logs come in one frame; 10 MiB is what the vendor's client and test server take."""
