"""What may go wrong, what must happen then, and which tests prove it: threats, faults, and the vendor's own bugs.

A test of this folder proves the row it is named after: ``test_D26_...``, ``test_T27_...``, ``test_peer_T04_...``.
Tests elsewhere are named in the row, as they stand below ``tests/``.
"""

import ast
import enum
import re
from pathlib import Path
from typing import final

import attrs

HERE = Path(__file__).parent
TESTS = HERE.parent
_OWN = re.compile(r"test_(?:peer_(?P<peer>[A-Za-z]+\d*)|(?P<id>[DT]\d+))_")


@final
class Level(enum.Enum):
    """Where a row is proved: on the core alone, on every adapter in virtual time, or on real sockets."""

    CORE = "core"
    ADAPTER = "adapters, virtual time"
    SOCKET = "real sockets"


CORE, ADAPTER, SOCKET = Level.CORE, Level.ADAPTER, Level.SOCKET


def _levels(given: Level | tuple[Level, ...]) -> tuple[Level, ...]:
    return given if isinstance(given, tuple) else (given,)


@final
@attrs.frozen
class Row:
    """One thing that may go wrong. ``seen`` is what ours does, ``theirs`` what the vendor's client 1.0.0 does."""

    id: str
    what: str
    required: str
    levels: tuple[Level, ...] = attrs.field(converter=_levels)
    seen: str
    elsewhere: tuple[str, ...] = ()
    figures: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    roles: bool = attrs.field(default=False, kw_only=True)
    """It applies to clients and servers alike, and must be tested on both."""
    theirs: str = attrs.field(default="", kw_only=True)
    impossible: str = attrs.field(default="", kw_only=True)
    """Why there is no test of it, or of a part of it, here."""

    @property
    def tests(self) -> tuple[str, ...]:
        """The tests that prove it, as pytest names them without parameters."""
        named = [f"tests/{where.replace('::', '.py::')}" for where in self.elsewhere]
        return (*own_tests().get(self.id, ()), *named)


_found: dict[str, list[str]] = {}


def own_tests() -> dict[str, list[str]]:
    """Return the tests of this folder by the row they are named after."""
    if not _found:
        for path in sorted(HERE.glob("test_*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (match := _OWN.match(node.name)):
                    row = f"peer {match['peer']}" if match["peer"] else match["id"]
                    _found.setdefault(row, []).append(f"tests/reliability/{path.name}::{node.name}")
    return _found


# ------------------------------------------------------------------------------------- threats

_BAD_FRAME = "core/test_websocket::test_a_bad_frame_ends_the_link_with_its_code_and_without_an_event"
_FLOOD = "core/test_websocket::test_a_flood_of_300_000_frames_costs_next_to_nothing"
_TOO_LONG = "core/test_websocket::test_a_message_declared_too_long_is_refused_at_its_header"
_BOUNDED = "core/test_websocket::test_a_message_is_bounded_with_all_its_fragments"
_FRAGMENTS = "core/test_websocket::test_a_message_has_at_most_128_fragments"
_CONTROL_FIELDS = "control/test_codec::test_a_field_takes_its_type_and_no_other"
_MEDIA_FIELDS = "media/test_codec::test_a_field_takes_its_type_and_no_other"
_CANCEL = "adapters/test_cancelling::test_a_call_survives_a_cancellation_at_every_checkpoint"
_ELSEWHERE = "adapters/test_media_faults::test_a_media_url_to_elsewhere_is_refused_before_a_byte_is_sent"
_LEAVING = "adapters/test_leaving::test_leaving_takes_two_seconds_at_most_in_every_state"
_ONCE = "adapters/test_life::test_call_terminated_comes_exactly_once_however_it_ends"
_GARBAGE = "adapters/test_media_faults::test_garbage_of_every_kind_does_not_end_the_call"
_LIVE_CALLS = "adapters/test_control_faults::test_live_calls_go_on_without_a_control_connection"
_FIRST = "adapters/test_control_faults::test_a_first_attempt_that_is_refused_is_told_at_once_and_not_repeated"
_DROPPED = "adapters/test_media_faults::test_a_dropped_connection_ends_the_call_and_fails_what_waits"

THREATS = (
    Row(
        "T1",
        "a small compressed frame that becomes 64 MiB",
        "nothing is ever inflated: compression is neither offered nor accepted, a compressed frame is a 1002",
        CORE,
        "refused at the first byte of the frame",
        (_BAD_FRAME, "core/test_handshake::test_a_wrong_or_unasked_header_in_the_answer_is_refused"),
        roles=True,
    ),
    Row(
        "T2",
        "an endless message: 2^62 bytes declared, or fragments for ever",
        "1009 at the header, before any payload; all fragments count together, 128 at most",
        CORE,
        "refused at the header",
        (_TOO_LONG, _FRAGMENTS, _BOUNDED),
        roles=True,
    ),
    Row(
        "T3",
        "a flood of pings or of empty frames",
        "50 control frames a second, then 1008; only the newest pong is kept",
        CORE,
        "300,000 frames cost next to nothing",
        (
            _FLOOD,
            "core/test_websocket::test_50_control_frames_in_a_second_are_fine_every_second",
            "core/test_websocket::test_pings_are_answered_with_the_newest_pong_only",
        ),
        roles=True,
    ),
    Row(
        "T4",
        "JSON made to hurt: deep, wide, long numbers, duplicate keys, lone surrogates, NaN",
        "refused before it is decoded: depth 32, 64 KiB, 32 digits, 1,024 members",
        CORE,
        "one error, in less than 5 ms",
        (
            "core/test_jsontext::test_any_text_gives_an_object_or_a_remote_protocol_error",
            "core/test_jsontext::test_nesting_ends_at_32",
            "core/test_jsontext::test_an_object_has_at_most_1024_members",
            "core/test_jsontext::test_a_key_that_comes_twice_is_refused",
            "core/test_jsontext::test_numbers_python_would_let_pass_are_refused",
        ),
    ),
    Row(
        "T5",
        'values of the wrong type: true for 1, "false", a list for an id',
        "no boolean is a number; the frame is dropped and counted, nothing else is raised",
        CORE,
        "every field of every message with every type",
        (
            _CONTROL_FIELDS,
            _MEDIA_FIELDS,
            "core/test_fields::test_every_reader_takes_its_type_and_nothing_else",
            "control/test_server::test_a_set_up_with_values_nobody_has_is_dropped_and_another_may_follow",
            "media/test_client::test_only_whole_positive_numbers_are_credit_up_to_two_seconds",
        ),
        roles=True,
    ),
    Row(
        "T6",
        "a media URL that leads elsewhere: another host, a metadata address, plain ws, user info, an odd port",
        "same host as the control connection or one that was allowed, wss where control is wss; refused before a byte",
        (CORE, ADAPTER),
        "refused, the call is told as unreachable",
        (
            _ELSEWHERE,
            "core/test_origin::test_a_media_url_we_never_go_to",
            "core/test_origin::test_unusual_urls_are_refused_and_not_quoted",
        ),
    ),
    Row(
        "T7",
        "a redirect or a proxy that would get the token",
        "no redirect is followed, no proxy of the environment is used",
        (ADAPTER, SOCKET),
        "the second listener sees no connection",
        (
            "reliability/test_real_sockets::test_D53_a_redirect_of_control_or_media_leads_nowhere",
            "reliability/test_real_sockets::test_D54_proxies_of_the_environment_are_ignored",
            _FIRST,
            "core/test_handshake::test_any_other_status_is_a_refusal_and_no_redirect_is_followed",
        ),
    ),
    Row(
        "T8",
        "CR, LF, NUL or non-ASCII in ids, tokens, keys and URLs",
        "refused by our own code before use, and not quoted",
        CORE,
        "refused",
        (
            "core/test_handshake::test_a_header_that_would_inject_another_is_refused_and_not_quoted",
            "core/test_handshake::test_a_host_or_target_that_would_inject_a_header_is_refused",
            "control/test_codec::test_a_token_that_could_forge_a_header_is_refused",
            "core/test_rest::test_a_hostile_id_stays_one_part_of_the_path",
        ),
    ),
    Row(
        "T9",
        "TLS off, or less of it",
        "verified with host name, TLS 1.2 at least, one policy for control and media, plain ws on loopback only",
        SOCKET,
        "every flaw is refused before a request is sent",
        (
            "adapters/test_tls::test_a_certificate_with_a_flaw_is_refused",
            "adapters/test_tls::test_an_outdated_tls_is_refused",
            "adapters/test_tls::test_media_is_held_to_the_same_policy",
            "core/test_config::test_plaintext_elsewhere_wants_a_word",
        ),
    ),
    Row(
        "T10",
        "secrets in logs, reprs, tracebacks, pickles",
        "masked everywhere, with every logger of the process at DEBUG",
        (CORE, ADAPTER, SOCKET),
        "no canary anywhere",
        (
            "reliability/test_secrets_on_real_sockets::test_D52_nothing_on_a_real_socket_shows_a_secret",
            "reliability/test_secrets::test_D52_no_fault_of_a_call_shows_a_secret",
            "core/test_secret::test_a_secret_shows_nowhere_but_where_it_is_revealed",
            "control/test_messages::test_the_token_and_the_url_of_a_call_never_show_in_a_repr",
        ),
    ),
    Row(
        "T11",
        "text of a peer that forges log lines or fills the disk",
        "printable ASCII, 256 characters",
        CORE,
        "escaped and cut",
        (
            "core/test_handshake::test_text_of_a_peer_is_made_fit_to_print",
            "core/test_rest::test_what_the_service_says_cannot_forge_a_line_of_a_log",
        ),
    ),
    Row(
        "T12",
        "an application that does not listen",
        "ten seconds of audio a channel, the oldest goes first and is counted; commands go on",
        (CORE, ADAPTER),
        "bounded and counted",
        (
            "adapters/test_audio::test_an_application_that_does_not_listen_loses_the_oldest_and_nothing_else",
            "media/test_inbox::test_a_flood_of_tiny_pieces_is_bounded_by_their_number",
        ),
    ),
    Row(
        "T13",
        "a peer that does not read",
        "our queue fills, not our memory; closing waits two seconds at most",
        (ADAPTER, SOCKET),
        "bounded; left in time",
        (
            "reliability/test_real_sockets::test_D48_the_smallest_buffers_fill_our_queue_only",
            "adapters/test_audio::test_a_service_that_does_not_read_fills_our_queue_not_our_memory",
            "adapters/test_found::test_a_lost_call_with_a_blocked_write_closes_its_stream",
            _LEAVING,
        ),
    ),
    Row(
        "T14",
        "abuse of credit: negative, true, huge, a flood, old",
        "a whole number, two seconds of audio at most; frames are whole samples of the preferred size or less; "
        "what an interrupt dropped never leaves",
        CORE,
        "credit is one capped number; an interrupt drops speech and keeps credit (decision 3)",
        (
            "media/test_client::test_only_whole_positive_numbers_are_credit_up_to_two_seconds",
            "media/test_playout::test_it_does_what_the_naive_model_does",
            "media/test_playout::test_a_flood_of_credit_is_one_number",
        ),
    ),
    Row(
        "T15",
        "a connection that is half open",
        "noticed within 10 s on media, 20 s on control",
        (CORE, ADAPTER),
        "noticed and told",
        (
            "media/test_connection::test_a_dead_peer_is_noticed_within_ten_seconds",
            "control/test_connection::test_a_dead_peer_is_noticed_within_twenty_seconds",
            "adapters/test_media_faults::test_a_silent_partition_is_noticed_within_ten_seconds",
            "adapters/test_control_faults::test_a_silent_partition_is_noticed_within_twenty_seconds",
        ),
    ),
    Row(
        "T16",
        "a connection lost while something waits on it",
        "everything that waits ends once, within 100 ms, and says that its outcome is unknown",
        ADAPTER,
        "told at once",
        (_DROPPED, "adapters/test_sessions::test_an_opening_whose_connection_is_lost_says_so"),
        figures=("D26: until what waits on media is told, s", "peer T01: until a lost request is told, s"),
    ),
    Row(
        "T17",
        "a storm of reconnects: accept then close, a revoked key, a service that says wait",
        "waits that grow and differ, counted until 30 s of service; refused credentials stop; Retry-After is obeyed",
        (CORE, ADAPTER),
        "at most 12 attempts a minute",
        (
            "adapters/test_control_faults::test_accept_then_close_is_no_storm",
            "adapters/test_control_faults::test_a_key_revoked_while_away_stops_the_reconnecting",
            "adapters/test_control_faults::test_retry_after_is_obeyed",
            "core/test_client::test_a_connection_that_served_for_a_while_starts_the_count_afresh",
        ),
        figures=("peer T04: attempts in 60 s",),
    ),
    Row(
        "T18",
        "events said twice, or after the end",
        "one call per id; what comes after the end is ignored and counted",
        (CORE, ADAPTER),
        "happens once",
        (
            "adapters/test_life::test_everything_said_twice_happens_once",
            "core/test_client::test_the_same_call_id_again_is_no_new_call_while_it_is_remembered",
            "media/test_client::test_a_call_ends_once_and_nothing_of_it_comes_after",
        ),
    ),
    Row(
        "T19",
        "a command whose outcome is unknown",
        "hanging up may be repeated; answer and connect are never said again by us; the error says what is unknown",
        (CORE, ADAPTER),
        "no command is resent",
        (
            "adapters/test_life::test_close_in_finally_after_the_end_is_quiet",
            "adapters/test_life::test_silence_is_a_timeout_after_exactly_the_deadline_and_five_seconds",
            "media/test_client::test_a_command_is_lost_with_the_connection",
        ),
    ),
    Row(
        "T20",
        "cancellation at any await",
        "nothing received is lost, no frame is cut, no task and no stuck state is left",
        ADAPTER,
        "usable or cleanly over, at every checkpoint",
        (
            _CANCEL,
            "adapters/test_cancelling::test_entering_can_be_cancelled_at_every_checkpoint",
            "adapters/test_cancelling::test_leaving_can_be_cancelled_at_every_checkpoint",
            "adapters/test_dialling::test_a_dial_cancelled_at_any_checkpoint_leaves_nobody_on_the_line",
        ),
    ),
    Row(
        "T21",
        "a handler that raises, blocks, or calls back",
        "other calls do not notice; commands from inside handlers work; the error is logged and its call closed",
        ADAPTER,
        "handlers are tasks of their own",
        (
            "adapters/test_life::test_a_handler_that_raises_is_logged_and_closes_only_its_call",
            "adapters/test_life::test_a_command_from_inside_an_event_handler_completes",
            "adapters/test_life::test_a_leaked_native_cancellation_leaves_other_calls_alone",
        ),
    ),
    Row(
        "T22",
        "both sides hang up at once, in the middle of anything",
        "one end, told once",
        (CORE, ADAPTER),
        "one end",
        (
            _ONCE,
            "media/test_client::test_whatever_ends_the_call_settles_what_waits",
            "properties/test_two_ends::TestCall",
        ),
    ),
    Row(
        "T23",
        "texts a caller chooses: number, name",
        "opaque; may be missing; bounded; never part of a URL, a path or an unescaped log line",
        (CORE, ADAPTER),
        "delivered as they are",
        (
            "control/test_codec::test_peer_bug_t12_a_call_with_any_caller_is_a_call",
            "adapters/test_life::test_a_withheld_number_is_none",
            "core/test_rest::test_a_query_holds_what_was_asked_and_nothing_else",
        ),
    ),
    Row(
        "T24",
        "audio on 256 channels",
        "a call has one channel, or eight with isolated legs; any other is dropped and counted",
        (CORE, ADAPTER),
        "counted",
        (
            "media/test_protocol::test_a_channel_the_call_does_not_have_is_dropped_and_refused",
            "adapters/test_playing::test_audio_on_an_unknown_channel_is_counted_and_harms_nothing",
        ),
    ),
    Row(
        "T25",
        "strangers at our server role: slow or endless handshakes, no credentials, bad masks",
        "a handshake has 5 s, 8 KiB and 128 lines; tokens are compared in constant time; an unmasked frame is a 1002",
        (CORE, SOCKET),
        "turned away",
        (
            "core/test_websocket::test_an_upgrade_that_takes_too_long_ends_the_link",
            "core/test_handshake::test_a_head_of_8_kib_passes_and_one_byte_more_does_not",
            "core/test_handshake::test_a_request_for_something_else_is_refused",
            "gateway/test_control::test_who_does_not_know_the_key_is_turned_away",
            "gateway/test_control::test_media_needs_the_token_of_the_call_and_comes_once",
            _BAD_FRAME,
        ),
        impossible="How many sockets one address may hold is for whoever owns the listener: the core has none, and the "
        "gateway is a tool for one developer's machine.",
    ),
    Row(
        "T26",
        "a hand-over text that was tampered with",
        "checked like any peer's input; its token shows in no error",
        (CORE, ADAPTER),
        "refused in words",
        (
            "core/test_handover::test_a_field_that_was_tampered_with_is_named_and_the_token_is_not",
            "adapters/test_handover::test_a_text_that_was_tampered_with_is_refused_and_says_why",
        ),
    ),
    Row(
        "T27",
        "dependencies that move",
        "a floor for each, above known holes (h11 0.16, wsproto 1.3.2); the core needs no event loop",
        CORE,
        "floors are declared",
        (
            "reliability/test_peer_control::test_peer_floor_what_is_needed_has_a_floor_and_no_event_bus_is_needed",
            "core/test_purity::test_the_core_imports_where_no_event_loop_library_is_installed",
        ),
        impossible="Every run takes the newest versions, `make test-lowest` the lowest; an audit against a database of "
        "known holes needs one.",
    ),
    Row(
        "T28",
        "clocks that jump, machines that sleep",
        "only monotonic time; after a gap the peer is asked before it is given up",
        (CORE, ADAPTER),
        "asked first",
        (
            "core/test_websocket::test_after_a_long_sleep_the_peer_is_asked_before_it_is_given_up",
            "core/test_timers::test_a_clock_that_goes_backwards_rings_nothing",
            "reliability/test_adapter_faults::test_D44_after_a_long_sleep_the_service_is_asked_before_it_is_given_up",
        ),
        roles=True,
        figures=("D44: after a sleep, until a dead service is told, s",),
    ),
)

# ------------------------------------------------------------------------------------- faults and bad input

FAULTS = (
    Row(
        "D01",
        "every conversation cut at every byte, byte by byte, and at 1,000 random sets of places",
        "the same events, and the same fault at the same place",
        CORE,
        "the same",
        (
            "core/test_websocket_splits::test_every_cut_of_a_short_conversation",
            "core/test_websocket_splits::test_any_pieces_of_a_stream_have_the_same_outcome",
        ),
        roles=True,
        figures=("D1: longest conversation cut at every byte, bytes",),
    ),
    Row(
        "D02",
        "the first frame in the same piece as the upgrade",
        "delivered",
        CORE,
        "delivered",
        (
            "core/test_websocket::test_a_first_frame_glued_to_the_answer_is_delivered_wherever_the_head_is_cut",
            "core/test_websocket::test_a_first_frame_glued_to_the_request_is_delivered_once_accepted",
        ),
    ),
    Row(
        "D03",
        "an upgrade cut anywhere, 8 KiB and a byte, 129 header lines, a wrong accept, something unasked",
        "one handshake error without secrets",
        CORE,
        "refused",
        (
            "core/test_handshake::test_an_answer_cut_anywhere_is_waited_for",
            "core/test_handshake::test_a_head_of_8_kib_passes_and_one_byte_more_does_not",
            "core/test_handshake::test_a_head_has_at_most_128_header_lines",
            "core/test_handshake::test_a_wrong_or_unasked_header_in_the_answer_is_refused",
            "core/test_handshake::test_a_header_that_would_inject_another_is_refused_and_not_quoted",
        ),
    ),
    Row(
        "D04",
        "any status but 101, with a body of 1 MiB",
        "a class for it, the body cut, no redirect",
        (CORE, ADAPTER),
        "refused",
        (
            "core/test_handshake::test_any_other_status_is_a_refusal_and_no_redirect_is_followed",
            "core/test_handshake::test_the_body_of_a_refusal_is_cut",
            "core/test_handshake::test_only_plain_seconds_are_believed_as_a_wait",
            _FIRST,
        ),
    ),
    Row(
        "D05",
        "frames against RFC 6455: reserved bits and opcodes, fragmented or long control frames, lengths, masks",
        "1002, and no event from those bytes",
        CORE,
        "1002",
        (_BAD_FRAME,),
        roles=True,
    ),
    Row(
        "D06",
        "a continuation of nothing; a message inside a message; control frames between fragments",
        "1002; 1002; fine",
        CORE,
        "1002; 1002; fine",
        (_BAD_FRAME, "core/test_websocket::test_fragments_make_one_message_with_control_frames_between"),
        roles=True,
    ),
    Row(
        "D07",
        "bad UTF-8, whole and across fragments; close frames with bad codes, one byte, a bad reason",
        "1007; 1002; 1007",
        CORE,
        "as required",
        (
            _BAD_FRAME,
            "core/test_websocket::test_what_is_said_of_bad_text_tells_neither_the_byte_nor_where_a_piece_began",
        ),
        roles=True,
    ),
    Row(
        "D08",
        "messages around the limit, in one frame and in fragments",
        "accepted up to it, 1009 from one byte more",
        CORE,
        "as required; there is no compression to do the same with",
        (_BOUNDED, "core/test_websocket::test_a_message_of_exactly_1_mib_passes"),
        roles=True,
    ),
    Row(
        "D09",
        "2^62 declared; 10,000 fragments; 300,000 pings; 300,000 empty continuations",
        "ended early, in less than a second and a MiB",
        CORE,
        "ended early",
        (_TOO_LONG, _FRAGMENTS, _FLOOD),
        roles=True,
    ),
    Row(
        "D10",
        "a bomb of 64 MiB of zeros, in a compressed frame nobody negotiated",
        "1002 at once",
        CORE,
        "1002 at its first byte",
        (_BAD_FRAME,),
        roles=True,
        impossible="Nested or truncated deflate cannot be tried: nothing here inflates.",
    ),
    Row(
        "D11",
        "texts that are no object: empty, null, a list, a number, a BOM, UTF-16, two objects",
        "dropped and counted; on control more than ten a minute close with 1008, on media never (decision 7)",
        (CORE, ADAPTER),
        "dropped and counted",
        (
            "core/test_jsontext::test_text_that_is_not_json_is_refused",
            "core/test_jsontext::test_other_top_level_values_are_refused",
            "control/test_client::test_ten_bad_frames_a_minute_are_borne_for_ever",
            "control/test_client::test_the_eleventh_bad_frame_of_a_minute_closes_the_connection",
            "media/test_protocol::test_a_call_is_never_closed_for_bad_frames",
            _GARBAGE,
        ),
    ),
    Row(
        "D12",
        "depth 33 and 65,000, 4,301 and 64,000 digits, 1e999, NaN, Infinity",
        "refused in less than 5 ms, no RecursionError",
        CORE,
        "refused",
        (
            "core/test_jsontext::test_any_depth_is_refused_without_recursion",
            "core/test_jsontext::test_numbers_beyond_pythons_own_limit_are_refused_alike",
            "core/test_jsontext::test_numbers_python_would_let_pass_are_refused",
        ),
        figures=("D12: slowest refusal of hostile text, ms",),
    ),
    Row(
        "D13",
        "a key twice, lone surrogates, NUL, a key of 1 MiB, 10,000 keys, names like __proto__",
        "refused or ignored; never the last of two",
        CORE,
        "refused or ignored",
        (
            "core/test_jsontext::test_a_key_that_comes_twice_is_refused",
            "core/test_jsontext::test_lone_surrogates_are_refused_wherever_they_are",
            "core/test_jsontext::test_an_object_has_at_most_1024_members",
            "core/test_jsontext::test_a_message_is_measured_in_bytes",
        ),
    ),
    Row(
        "D14",
        "every known field with null, a boolean, an integer, a float, a text, a list, an object, missing, and more",
        "a verdict for each; unknown fields are ignored",
        CORE,
        "a table of them",
        (
            _CONTROL_FIELDS,
            _MEDIA_FIELDS,
            "control/test_codec::test_a_frame_that_breaks_a_rule_is_dropped_and_counted_and_the_connection_goes_on",
            "media/test_codec::test_a_frame_that_breaks_a_rule_is_dropped_and_counted_and_the_connection_goes_on",
            "control/test_codec::test_a_field_of_tomorrow_is_ignored",
            "control/test_server::test_a_set_up_with_values_nobody_has_is_dropped_and_another_may_follow",
            "media/test_client::test_an_error_with_a_strange_code_is_an_error_without_one",
        ),
        roles=True,
    ),
    Row(
        "D15",
        "an unknown type, an unknown value of an enumeration, an unknown channel, a newer version",
        "ignored and counted",
        CORE,
        "ignored and counted",
        (
            "control/test_client::test_an_unknown_type_is_ignored_and_counted",
            "control/test_server::test_a_type_no_client_says_is_ignored_and_counted",
            "control/test_codec::test_an_unknown_activity_is_kept",
            "control/test_codec::test_an_unknown_reason_to_close_is_force",
            "media/test_client::test_an_event_of_tomorrow_is_passed_on",
            "media/test_client::test_credit_for_another_channel_is_ignored",
        ),
    ),
    Row(
        "D16",
        "a response to a request that is unknown, done, cancelled, or another connection's",
        "ignored and counted",
        (CORE, ADAPTER),
        "ignored",
        (
            "control/test_client::test_a_response_to_nothing_is_ignored_and_counted",
            "control/test_client::test_a_request_nobody_answers_times_out_and_a_late_response_is_ignored",
            "core/test_base_call::test_an_answer_nobody_waits_for_any_more_is_fine",
        ),
    ),
    Row(
        "D17",
        "a response twice; an error after a success; a response before the request was written",
        "the first one counts",
        CORE,
        "the first one counts",
        (
            "control/test_client::test_a_request_is_done_once",
            "media/test_client::test_a_command_is_done_once",
            "media/test_client::test_a_command_is_refused_once_and_the_call_is_as_it_was",
        ),
    ),
    Row(
        "D18",
        "call.in twice; a caller that is null, empty or 4 KiB; no token; URLs of hostile shapes",
        "one call; delivered; dropped; refused before a connection",
        (CORE, ADAPTER),
        "as required",
        (
            "control/test_client::test_peer_bug_t13_a_call_delivered_twice_is_one_call",
            "control/test_codec::test_peer_bug_t12_a_call_with_any_caller_is_a_call",
            "core/test_origin::test_a_media_url_we_never_go_to",
            _ELSEWHERE,
        ),
    ),
    Row(
        "D19",
        'credit of true, "7", 3.9, -1, 0, 1, odd, the most, one more, 2^63, and a flood of 200,000',
        "whole numbers only, two seconds at most, one number whatever comes",
        CORE,
        "as required",
        (
            "media/test_client::test_peer_bug_m09_a_flood_of_requests_is_one_number",
            "media/test_playout::test_credit_is_capped_at_two_seconds",
        ),
    ),
    Row(
        "D20",
        "a preferred frame of 0, 1, odd, more than the queue, more than the credit",
        "made to fit; speech gets on",
        CORE,
        "made to fit",
        ("media/test_client::test_whatever_frame_the_server_prefers_speech_leaves_in_whole_samples",),
    ),
    Row(
        "D21",
        "speech written in pieces of any size, then the end of it",
        "every byte leaves, in whole samples; an odd number of bytes is refused",
        CORE,
        "every byte leaves",
        (
            "media/test_playout::test_every_byte_written_in_pieces_is_sent",
            "media/test_playout::test_half_a_sample_is_refused",
        ),
    ),
    Row(
        "D22",
        "a clear with speech queued, in flight, with credit open, twice, while empty",
        "nothing old leaves after it, and it always reaches the service",
        (CORE, ADAPTER),
        "nothing old leaves",
        ("adapters/test_playing::test_nothing_that_was_queued_leaves_after_an_interrupt",),
    ),
    Row(
        "D23",
        "binary frames of 0, 1, 2 and odd bytes, of 64 KiB and more, on another channel, in every state",
        "heard, ignored or counted, each by a rule",
        CORE,
        "by a rule",
        (
            "media/test_protocol::test_a_frame_without_audio_carries_nothing",
            "media/test_protocol::test_half_a_sample_is_dropped_and_counted",
            "media/test_protocol::test_audio_before_the_answer_is_unexpected_at_the_server",
        ),
    ),
    Row(
        "D24",
        "the end told with the socket left open; the socket closed without a word; both, in any order",
        "one end, the stream ends, the socket is closed within 2 s",
        (CORE, ADAPTER),
        "one end",
        (_ONCE, "adapters/test_media_faults::test_a_service_that_never_closes_its_end_is_left_within_two_seconds"),
    ),
    Row(
        "D25",
        "two honest ends in any order of anything",
        "each request ends once, one end per call, credit is kept to, whole samples, bounded, nothing after the end",
        CORE,
        "held, in hundreds of random conversations",
        ("properties/test_two_ends::TestCall", "properties/test_two_ends::TestControl"),
    ),
    Row(
        "D26",
        "a reset at every byte of a whole call, on media, on control and on RELAY",
        "what waits ends within 100 ms; one loss is told; control and RELAY come back; the call can be ended",
        (CORE, ADAPTER, SOCKET),
        "media and control: every byte on asyncio, every seventh on the two adapters on trio; RELAY: every byte of the "
        "service on the core, every 97th of both ends on the adapters, every 300th on real sockets",
        ("adapters/test_media_faults::test_a_reset_at_any_byte_leaves_one_end_and_nothing_pending",),
        figures=(
            "D26: bytes of a media connection, each once the last",
            "D26: bytes of a control connection, each once the last",
            "D26: until what waits on media is told, s",
            "D26: bytes of a RELAY service, each once the last",
            "D26: until what waits on RELAY is told, s",
        ),
    ),
    Row(
        "D27",
        "an end without a close, half an end, a close and then silence, a close with data behind it",
        "told for what it was, left within 2 s",
        ADAPTER,
        "left in time",
        (_DROPPED,),
        figures=("D27: until a half-ended connection is left, s",),
    ),
    Row(
        "D28",
        "up to 2 s of latency, jitter, segments of one byte, stalls",
        "no false death below 4 s of round trip; speech arrives whole",
        (ADAPTER, SOCKET),
        "no call is lost",
        ("adapters/test_media_faults::test_a_call_survives_a_slow_and_choppy_network",),
    ),
    Row(
        "D29",
        "a silent partition, healed after 3, 9 and 60 s",
        "alive; either; lost within 10 s and told. Never half alive, nothing comes twice",
        ADAPTER,
        "as required",
        (
            "adapters/test_media_faults::test_a_short_partition_is_survived",
            "adapters/test_control_faults::test_a_partition_of_everything_heals",
        ),
        figures=("D29: until a silent partition is told, s",),
    ),
    Row(
        "D30",
        "a service that closes, never sets up, sets up late, refuses, says wait; no such name; TLS that fails",
        "the exact number and spacing of attempts",
        (ADAPTER, SOCKET),
        "as required",
        (
            _FIRST,
            "adapters/test_control_faults::test_a_handshake_that_hangs_is_given_up_after_ten_seconds",
            "adapters/test_control_faults::test_a_late_set_up_is_in_time",
            "adapters/test_control_faults::test_retry_after_is_obeyed",
            "adapters/test_control_faults::test_close_codes_that_refuse_credentials",
            "adapters/test_tls::test_a_connection_that_ends_during_the_tls_handshake_is_told",
        ),
    ),
    Row(
        "D31",
        "1,000 clients lose one service at once",
        "no 100 ms in which more than 5 % come back",
        CORE,
        "held, wherever the 100 ms begin; the price is a first wait of 0.5 to 5 s, as no wait below 2 s can do it "
        "(decision 11)",
        ("core/test_backoff::test_a_thousand_clients_spread_evenly",),
        figures=(
            "D31: largest share of 1,000 clients in 100 ms after 0 s without a service, %",
            "D31: largest share of 1,000 clients in 100 ms after 1 s without a service, %",
            "D31: largest share of 1,000 clients in 100 ms after 3 s without a service, %",
            "D31: largest share of 1,000 clients in 100 ms after 10 s without a service, %",
            "D31: largest share of 1,000 clients in 100 ms after 60 s without a service, %",
        ),
    ),
    Row(
        "D32",
        "cancellation at every checkpoint of connect, request, send, receive, clear, close",
        "usable or cleanly over; no half frame with bytes behind it",
        ADAPTER,
        "usable or over",
        (
            _CANCEL,
            "adapters/test_cancelling::test_entering_can_be_cancelled_at_every_checkpoint",
            "adapters/test_cancelling::test_leaving_can_be_cancelled_at_every_checkpoint",
            "adapters/test_cancelling::test_connect_and_disconnect_can_be_cancelled_at_every_checkpoint",
        ),
    ),
    Row(
        "D33",
        "hearing cancelled 10,000 times while audio flows",
        "nothing is lost, nothing comes twice",
        ADAPTER,
        "nothing lost",
        figures=("D33: receives cancelled without loss",),
    ),
    Row(
        "D34",
        "an answer cancelled during the TLS handshake, and during the upgrade",
        "it can be tried again",
        (ADAPTER, SOCKET),
        "it can",
    ),
    Row(
        "D35",
        "handlers that raise, sleep a minute, block the loop, are objects, partials or plain functions",
        "other calls keep their time; errors are told",
        ADAPTER,
        "handlers are tasks of their own",
        (
            "adapters/test_life::test_handlers_are_called_by_what_they_take",
            "adapters/test_life::test_a_handler_that_raises_is_logged_and_closes_only_its_call",
            "adapters/test_life::test_a_handler_that_outlives_its_call_is_warned_about_once",
        ),
    ),
    Row(
        "D36",
        "a command from inside every event handler",
        "completes",
        ADAPTER,
        "completes",
        (
            "adapters/test_life::test_a_command_from_inside_an_event_handler_completes",
            "adapters/test_life::test_commands_from_inside_the_handlers_of_failures_and_errors",
        ),
    ),
    Row(
        "D37",
        "readers that never read, read slowly, start late, are two, or read again after the end",
        "bounded, counted, and they end",
        ADAPTER,
        "bounded and counted",
        (
            "adapters/test_audio::test_an_application_that_does_not_listen_loses_the_oldest_and_nothing_else",
            "adapters/test_audio::test_a_listener_waits_before_the_answer_and_ends_with_the_call",
        ),
    ),
    Row(
        "D38",
        "a program ten times faster than speech; a service that does not read; 40 s of speech at once",
        "back-pressure; paced; cancellable",
        ADAPTER,
        "paced by the service's credit",
        (
            "adapters/test_playing::test_a_source_is_read_only_as_fast_as_there_is_room",
            "adapters/test_playing::test_playing_that_is_cancelled_leaves_the_call_usable",
            "adapters/test_audio::test_a_service_that_does_not_read_fills_our_queue_not_our_memory",
        ),
    ),
    Row(
        "D39",
        "both sides hang up in one tick, in every order, while answering, clearing, reconnecting",
        "one end, and hanging up again is fine",
        ADAPTER,
        "one end",
        (_ONCE, "adapters/test_found::test_interrupt_that_crosses_the_end_is_quiet"),
    ),
    Row(
        "D40",
        "control lost during three calls; afterwards the service knows two of them",
        "two go on, one ends",
        ADAPTER,
        "two go on, one ends",
        (_LIVE_CALLS,),
    ),
    Row(
        "D41",
        "a request while there is no connection",
        "one documented outcome: refused at once, never queued",
        ADAPTER,
        "refused at once",
        ("adapters/test_sessions::test_everything_said_without_a_connection_is_refused_at_once",),
    ),
    Row(
        "D42",
        "leaving while idle, talking, connecting, waiting; twice; from another task; with an exception",
        "tasks, streams and timers are back where they were",
        ADAPTER,
        "nothing is left, in two seconds",
        (
            _LEAVING,
            "adapters/test_leaving::test_the_exception_of_the_body_comes_out_as_it_is",
            "adapters/test_leaving::test_connect_and_disconnect_without_a_context_from_different_tasks",
            "adapters/test_leaving::test_a_hundred_short_calls_leave_no_trace",
        ),
    ),
    Row(
        "D43",
        "2,000 short calls (100,000 in benchmarks/short_calls.py)",
        "every registry is empty, memory does not grow",
        CORE,
        "nothing is left",
        ("adapters/test_leaving::test_a_hundred_short_calls_leave_no_trace",),
        figures=("D43: objects left of 2,000 calls",),
    ),
    Row(
        "D44",
        "the wall clock set back a day; ten minutes asleep",
        "timers do not notice; the service is asked before it is given up",
        (CORE, ADAPTER),
        "asked first",
        (
            "core/test_websocket::test_after_a_long_sleep_the_peer_is_asked_before_it_is_given_up",
            "core/test_websocket::test_timers_are_harmless_early_repeated_and_on_a_clock_that_goes_backwards",
        ),
        figures=("D44: after a sleep, until a dead service is told, s",),
    ),
    Row(
        "D45",
        "the gateway's process stopped (SIGSTOP) and continued after 3 s; and not continued",
        "alive; lost within 10 s",
        SOCKET,
        "alive; lost in time",
        figures=("D45: until a stopped gateway is told on media, s",),
    ),
    Row(
        "D46",
        "a reset (SO_LINGER), a close with unread data, a full backlog, a listener that never accepts",
        "told as a lost connection, or as one that cannot be opened",
        SOCKET,
        "told",
    ),
    Row(
        "D47",
        "between two network namespaces, a cable pulled and put back; a wire that loses 20 % of the packets, or "
        "carries 64 kbit/s",
        "as on the virtual network",
        SOCKET,
        "as on the virtual network",
        figures=("D47: until a pulled cable is told on media, s",),
    ),
    Row(
        "D48",
        "the smallest socket buffers and a peer that does not read",
        "memory is bounded; the program is told that there is no room",
        SOCKET,
        "bounded",
    ),
    Row(
        "D49",
        "certificates: self-signed, wrong host, expired; TLS 1.1; a client certificate; one that is rotated",
        "refused, refused, refused; refused; works; works",
        SOCKET,
        "as required",
        (
            "adapters/test_tls::test_a_service_nobody_vouches_for_is_refused",
            "adapters/test_tls::test_a_certificate_with_a_flaw_is_refused",
            "adapters/test_tls::test_an_outdated_tls_is_refused",
            "adapters/test_tls::test_a_client_certificate_opens_control_and_media",
        ),
    ),
    Row(
        "D50",
        "the gateway killed in the middle of audio, and started again on the same port",
        "back within 2 s of its listening",
        SOCKET,
        "back in time, where no wait is longer than `Backoff(ceiling=1.5)` allows; waits that spread a crowd (D31) are "
        "longer (decision 11)",
        figures=("D50: until the client is back after a restart, s",),
    ),
    Row(
        "D51",
        "no file descriptors left",
        "told as a connection that cannot be opened; works again when there are some",
        SOCKET,
        "told, and it recovers",
        impossible="A server that cannot accept any more is the web server's affair: the gateway runs on hypercorn.",
    ),
    Row(
        "D52",
        "canaries for every secret, every logger at DEBUG, all of the above",
        "in no log, repr, exception, traceback or pickle",
        (ADAPTER, SOCKET),
        "nowhere",
        ("adapters/test_media_faults::test_no_secret_is_logged_whatever_goes_wrong",),
    ),
    Row(
        "D53",
        "a redirect to a second listener: control, media, HTTP",
        "the second listener sees no connection",
        SOCKET,
        "none",
    ),
    Row(
        "D54",
        "proxies in the environment",
        "ignored",
        SOCKET,
        "ignored",
    ),
    Row(
        "D55",
        "strangers at the server role: idle handshakes, dripping headers, no mask, a wrong path, a wrong token",
        "deadlines and bounds hold; an honest client is served meanwhile",
        (CORE, SOCKET),
        "turned away; the honest one is served",
        (
            "core/test_websocket::test_an_upgrade_that_takes_too_long_ends_the_link",
            "gateway/test_control::test_who_does_not_know_the_key_is_turned_away",
            _BAD_FRAME,
        ),
        impossible="A cap on idle handshakes needs an owner of the listener; see T25.",
    ),
    Row(
        "D56",
        "other implementations at the other end",
        "they understand each other",
        (CORE, SOCKET),
        "wsproto, websockets, and the vendor's client",
        (
            "core/test_websocket_peers::test_wsproto_reads_what_we_say",
            "core/test_websocket_peers::test_we_read_what_wsproto_says",
            "interop/test_official_client::test_it_echoes_every_sample",
            "interop/test_wire_parity::test_both_clients_put_the_same_frames_on_the_wire",
        ),
        impossible="The `ws` package needs Node.js, which these tests do not ask for.",
    ),
    Row(
        "D57",
        "the Autobahn test suite, in both roles",
        "every case passes or has a written reason",
        SOCKET,
        "not run here",
        impossible="Autobahn's runner needs Python 2.7, which no test here asks for; its subjects are in D05 to D10.",
    ),
    Row(
        "D58",
        "everything the vendor's client gets wrong",
        "a test named after each finding",
        (CORE, ADAPTER, SOCKET),
        "the tables below",
    ),
)

# ------------------------------------------------------------------------------------- the vendor's client, control


def _peer(
    name: str,
    what: str,
    theirs: str,
    required: str,
    levels: Level | tuple[Level, ...] = ADAPTER,
    *,
    seen: str = "as required",
    figures: tuple[str, ...] = (),
    elsewhere: tuple[str, ...] = (),
    impossible: str = "",
) -> Row:
    return Row(
        f"peer {name}",
        what,
        required,
        levels,
        seen,
        elsewhere,
        theirs=theirs,
        figures=figures,
        impossible=impossible,
    )


PEER_CONTROL = (
    _peer(
        "T00",
        "120 calls one after the other",
        "deaf for ever after 33",
        "120 of 120",
        figures=("peer T00: calls taken of 120",),
    ),
    _peer(
        "T09",
        "300 notices at once",
        "hears 100, logs the rest as errors",
        "300",
        figures=("peer T09: notices heard of 300",),
    ),
    _peer(
        "floor",
        "installed with the oldest event bus it says it works with",
        "AttributeError at every shutdown",
        "what is declared works",
        CORE,
        seen="floors are declared, and there is no event bus",
        impossible="A run with the oldest versions is `make test-lowest`: it needs a package index.",
    ),
    _peer(
        "T04",
        "a service that accepts and closes",
        "41 connections in the first 4 s, then ever more of them",
        "one attempt at a time, 12 in 60 s",
        figures=("peer T04: attempts in 60 s",),
    ),
    _peer(
        "P06",
        "4401 behind the first set-up",
        "the code is told to nobody; it connects again and again",
        "raises at once with the code, no second attempt",
        figures=("peer P06: until it is told, s",),
    ),
    _peer(
        "T01",
        "the connection breaks with a request under way",
        "waits 30 s",
        "told within 100 ms",
        figures=("peer T01: until a lost request is told, s",),
    ),
    _peer(
        "T02", "a set-up that is never confirmed", "the socket stays, the failed client reconnects", "nothing is left"
    ),
    _peer(
        "T03",
        "a connection that hung comes alive beside the good one",
        "the good one is flagged dead, a third is opened",
        "the stale one can touch nothing",
    ),
    _peer(
        "T05",
        "the first wait of 1,000 clients",
        "all within 0.1 s; counted from new at every accepted socket",
        "spread; counted on until the service served for a while",
        (CORE, ADAPTER),
        figures=("peer T05: spread of the first wait, s",),
    ),
    _peer("T06", "a key is revoked", "tries for ever, tells nobody", "stops and tells"),
    _peer(
        "T07",
        "401 with 900 kB of text and a line break in it",
        "no authentication error; 900,021 characters, line break included",
        "an authentication error of one printable line",
        figures=("peer T07: characters of the error",),
    ),
    _peer("T08", "a call announced right behind the set-up", "lost", "waits for its handler"),
    _peer(
        "T10",
        "two calls, the first handler sleeps 5 s",
        "the second caller waits 5 s",
        "independent",
        figures=("peer T10: wait of the second caller, s",),
    ),
    _peer("T11", "a notice handler waits for the end of its session", "deadlock", "works"),
    _peer("T12", "a withheld number", "the call is dropped", "delivered, None"),
    _peer("T13", "a call delivered twice", "two handlers, two sockets", "once"),
    _peer("M17", "control lost during a call", "the session is closed, the socket orphaned", "the call goes on"),
    _peer("T14", "ready on a session that was lost", "a silent no-op", "says so"),
    _peer("T15", "101 sessions opened and closed", "101 entries stay", "none"),
    _peer("N13", "a session opened twice at once", "two frames, two objects", "one object"),
    _peer("T16", "responses of the wrong shape", "five kinds of bare exceptions", "one of our errors"),
    _peer("N08", "HTTP replies that make no sense", "bare exceptions", "one of our errors"),
    _peer("P03", "a handler that is an object", "never runs", "runs"),
    _peer("N03", "302 to another host", "the API key is sent there", "no redirect is followed"),
    _peer(
        "N06", "CR LF in a key or a token", "on the wire, with the oldest library it allows", "refused", (CORE, ADAPTER)
    ),
    _peer(
        "N07", "a session id of ../../../admin", "another path is called, with the key", "one part of the path", CORE
    ),
    _peer("N05", "repr and logs", "key and tokens in both", "in neither"),
    _peer(
        "N12",
        "a peer that ignores the close",
        "10 s",
        "2 s",
        figures=("peer N12: until the client is left, s",),
    ),
    _peer("N15", "a frame over 1 MiB", "every call is closed", "1009, and the calls go on"),
)

# ------------------------------------------------------------------------------------- the vendor's client, media

PEER_MEDIA = (
    _peer(
        "M01",
        "media breaks right behind a command",
        "15.1 s, then TIMEOUT",
        "told within 100 ms",
        figures=("peer M01: until a lost command is told, s",),
    ),
    _peer("M02", "media of a live call breaks", "LIVE for ever, no event", "over, told once"),
    _peer("M19", "then it is closed", "raises, cannot be closed", "closes"),
    _peer("M03", "an answer cancelled while connecting, and tried again", "fails for ever", "works"),
    _peer("M04", "one bad text frame", "no audio any more", "dropped, the call lives"),
    _peer("M05", "disconnect from inside an error handler", "15 s, both time out", "works"),
    _peer("M06", "the end is told, the socket left open", "the stream hangs", "ends; a typed error"),
    _peer("M07", "the audio is read again after its end", "hangs for ever", "ends at once"),
    _peer(
        "N01",
        "244 MB of audio nobody reads",
        "249 MiB of memory",
        "8 MiB at most, counted",
        CORE,
        figures=("peer N01: kept of 244 MB nobody reads, MiB",),
    ),
    _peer(
        "M09",
        "200,000 requests for audio",
        "199,999 are queued",
        "one number",
        CORE,
        elsewhere=("media/test_client::test_peer_bug_m09_a_flood_of_requests_is_one_number",),
    ),
    _peer("M10", "961 bytes; frames of 640 preferred", "half samples, 19,200 at once", "refused; 640", CORE),
    _peer(
        "N02",
        "the last words of a sentence, shorter than a frame",
        "never sent",
        "sent after a frame's time",
        figures=("peer N02: until the tail leaves, s",),
    ),
    _peer("M12", "a preferred frame larger than the buffer", "nothing is ever sent", "made to fit", (CORE, ADAPTER)),
    _peer(
        "M13",
        "an interrupt with 96,000 bytes of credit open",
        "100,800 bytes leave after it",
        "nothing old leaves; two seconds at most may",
        CORE,
        seen="credit is the service's promise and stays (decision 3)",
        figures=("peer M13: speech that may leave at once after an interrupt, s",),
    ),
    _peer(
        "M14",
        "2,000 requests in silence, then 30 s of speech",
        "30 s in 54 ms",
        "two seconds",
        CORE,
        figures=("peer M14: of 30 s of speech left at once, s",),
    ),
    _peer("M15", "500 commands cancelled", "500 futures are kept", "none", CORE),
    _peer("M16", "leaving during a call", "a socket and three tasks stay", "nothing"),
    _peer("M18", "closing a call nobody answered", "10 s, nothing is sent", "declined"),
    _peer("M20", "session.closed during a call", "LIVE, no event", "the call ends"),
    _peer("M21", "an event told while the call is picked up", "lost, with one of its two names", "heard"),
    _peer("M22", "listening before the answer", "an empty stream", "waits for it"),
    _peer("M25", "more than fits, and half a sample", "no way to wait; accepted", "waits; refused"),
    _peer("M23", "who waits for room when the call ends", "never wakes", "told"),
    _peer("M26", 'credit of true, "7", 3.9', "1, 7 and 3 bytes", "dropped", CORE),
    _peer("M27", 'success: "false"', "a success", "dropped", CORE),
    _peer("N04", "a media URL of another host", "the token is sent there", "refused"),
    _peer("P04", "plain ws under wss", "the token in clear", "refused", CORE),
    _peer("N09", "a bomb of 64 MiB", "the call dies unseen", "told"),
    _peer(
        "N10",
        "a silent service",
        "40 s, LIVE",
        "10 s",
        figures=("peer N10: until a silent media connection is lost, s",),
    ),
    _peer(
        "N11",
        "a client certificate or a private CA",
        "not used for media",
        "one policy for both",
        SOCKET,
    ),
    _peer("N14", "compression of raw PCM", "offered", "not offered"),
)

PEER_RELAY = (
    _peer(
        "R01",
        "the connection drops",
        "nothing reconnects but `run()`; each request waits 10 s",
        "fails at once; every client reconnects",
        elsewhere=(
            "relay_adapters/test_peer_defects::test_peer_r01_a_drop_fails_what_is_under_way_at_once_and_every_client_reconnects",
        ),
    ),
    _peer(
        "R02",
        "one request is answered after 11 s",
        "the connection is closed for everybody",
        "that request times out alone",
        elsewhere=(
            "relay_adapters/test_peer_defects::test_peer_r02_an_answer_after_eleven_seconds_harms_that_request_only",
        ),
    ),
    _peer(
        "R03",
        "the service accepts and never answers",
        "after 32.8 s it gives up as if credentials were bad",
        "tried again; no socket is left",
        elsewhere=(
            "relay_adapters/test_peer_defects::test_peer_r03_a_service_that_starts_slowly_costs_neither_the_client_nor_a_socket",
        ),
    ),
    _peer(
        "R04",
        "the service drops during authentication, three times",
        "gives up",
        "tried again",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r04_drops_during_the_authentication_are_no_refusals",),
    ),
    _peer(
        "R05",
        "an old connection ends behind a new one",
        "the new one is not pinged, its requests time out",
        "the old one is nobody's concern",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r05_an_old_connection_cannot_harm_the_new_one",),
    ),
    _peer(
        "R06",
        "one wrong event",
        "the connection ends, its socket stays open",
        "dropped and counted",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r06_wrong_events_are_dropped_and_counted",),
    ),
    _peer(
        "R07",
        "a call is announced twice",
        "handled twice",
        "handled once",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r07_a_call_that_is_announced_twice_is_handled_once",),
    ),
    _peer(
        "R08",
        "the end of calls is lost in an outage",
        "they fill the table for ever",
        "asked for, and forgotten",
        elsewhere=(
            "relay_adapters/test_peer_defects::test_peer_r08_calls_whose_end_was_lost_in_an_outage_take_no_place",
        ),
    ),
    _peer(
        "R09",
        "a call ends, or the connection, while something runs",
        "whoever waits, waits for ever",
        "told, with a reason",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r09_whoever_waits_is_told_however_it_ends",),
    ),
    _peer(
        "R10",
        "waiting for the end times out",
        "the next wait raises CancelledError",
        "may be repeated",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r10_a_time_out_spoils_no_later_wait",),
    ),
    _peer(
        "R11",
        "a message handler sends a message",
        "10 s, then the connection is closed",
        "sent",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r11_a_message_handler_may_send_a_message",),
    ),
    _peer(
        "R12",
        "a client is refused, another one is made",
        "no place until the garbage is collected",
        "its place is free",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r12_a_refused_client_frees_its_place",),
    ),
    _peer(
        "R13",
        "leaving with a request pending",
        "CancelledError",
        "an error of the tree",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r13_leaving_raises_what_can_be_caught",),
    ),
    _peer(
        "R14",
        "a dial times out, then somebody picks up",
        "nobody owns the call",
        "hung up",
        elsewhere=(
            "relay_adapters/test_peer_defects::test_peer_r14_who_picks_up_after_the_dial_timed_out_is_not_left_alone",
        ),
    ),
    _peer(
        "R15",
        "attempts to reconnect",
        "1, 2, 4 s, all clients at once",
        "jittered",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r15_the_waits_between_attempts_are_jittered",),
    ),
    _peer(
        "R16",
        "500 requests time out while offline, one more",
        "the queue is full",
        "only live ones count",
        elsewhere=("relay_adapters/test_peer_defects::test_peer_r16_only_live_requests_count_against_the_queue",),
    ),
    _peer(
        "R17",
        "`run()` in another thread",
        "RuntimeError",
        "runs",
        SOCKET,
        elsewhere=("e2e/test_relay_run::test_peer_r17_run_works_outside_the_main_thread",),
    ),
    _peer(
        "R18",
        "the service falls silent",
        "noticed after 40.2 s",
        "within 20 s",
        elsewhere=(
            "relay_adapters/test_peer_defects::test_peer_r18_a_silent_peer_is_found_in_less_than_twenty_seconds",
        ),
    ),
    _peer(
        "R20",
        "a request while offline, and the first attempt fails",
        "rejected",
        "lives until its own deadline",
        elsewhere=(
            "relay_adapters/test_peer_defects::test_peer_r20_a_request_made_offline_survives_attempts_that_fail",
        ),
    ),
    _peer(
        "R21",
        "a redirect to another origin",
        "followed, and given the token",
        "not followed",
        SOCKET,
        elsewhere=("e2e/test_relay_run::test_peer_r21_a_redirect_is_not_followed",),
    ),
)

SECTIONS: dict[str, tuple[Row, ...]] = {
    "Threats": THREATS,
    "Faults and bad input": FAULTS,
    "What the vendor's client 1.0.0 gets wrong: control": PEER_CONTROL,
    "What the vendor's client 1.0.0 gets wrong: media": PEER_MEDIA,
    "What the vendor's RELAY client gets wrong": PEER_RELAY,
}

ROWS = tuple(row for rows in SECTIONS.values() for row in rows)
