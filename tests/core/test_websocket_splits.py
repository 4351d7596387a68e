"""The same bytes in any pieces give the same messages, the same answers and the same end."""

import itertools

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.link_table import LinkState
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import Close, LinkEvent, LinkLost, WebSocketLink
from tests.core.support import (
    KEY,
    Pair,
    close_frame,
    counting,
    frame,
    frames_in,
    header,
    heard,
    masked,
    open_link,
    pieces,
)

repeatable = settings(derandomize=True, deadline=None, max_examples=250)
LIMITS = attrs.evolve(DEFAULT_LIMITS, message_bytes=300, message_fragments=4, control_frames_per_second=5)
DATA, CONTROL = (0x81, 0x82, 0x01, 0x02, 0x00, 0x80), (0x89, 0x8A)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """Cut at any places; the pieces may be empty."""
    edges = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


texts = st.text(st.characters(codec="utf-8"), max_size=8).map(str.encode) | st.sampled_from(
    [b"x" * 125, b"x" * 126, b"x" * 150, "é".encode() * 100, b"x" * 300]
)
payloads = texts | st.binary(max_size=8) | st.sampled_from([b"x" * 301, "é".encode()[:1], "é".encode()[1:]])


@st.composite
def good_frames(draw: st.DrawFn, sender: Role) -> bytes:
    """Draw what keeps every rule but perhaps a bound: a message, whole or in fragments, or a control frame."""
    match draw(st.integers(0, 3)):
        case 0:
            return frame(sender, 0x81, draw(texts))
        case 1:
            return frame(sender, 0x82, draw(texts))
        case 2:
            return frame(sender, draw(st.sampled_from(CONTROL)), draw(texts)[:125])
        case _:
            parts = cut(draw(texts), draw(st.lists(st.integers(0, 300), min_size=1, max_size=4)))
            firsts = [draw(st.sampled_from([0x01, 0x02])), *[0x00] * (len(parts) - 2), 0x80]
            frames = [frame(sender, first, part) for first, part in zip(firsts, parts, strict=True)]
            between = draw(st.sampled_from([b"", frame(sender, 0x89, b"between")]))
            return between.join(frames)


@st.composite
def bad_frames(draw: st.DrawFn, sender: Role) -> bytes:
    """Draw one frame with any of its rules broken, or the close, or noise."""
    match draw(st.integers(0, 4)):
        case 0:
            return frame(sender, draw(st.integers(0, 255)), draw(payloads))
        case 1:
            return frame(sender.peer, draw(st.sampled_from(DATA + CONTROL)), draw(payloads))
        case 2:
            size = draw(st.sampled_from([2, 8]))
            length = draw(st.sampled_from([0, 5, 125, 126, 65535] + [65536, 2**62, 2**63] * (size == 8)))
            key = b"\0\0\0\0" if sender is Role.CLIENT else None
            return header(draw(st.sampled_from(DATA + CONTROL)), length, key=key, size=size)
        case 3:
            return close_frame(sender, draw(st.sampled_from([None, 1000, 1005, 4001, 5000])), draw(payloads)[:100])
        case _:
            return draw(st.binary(max_size=12))


@st.composite
def streams(draw: st.DrawFn, sender: Role) -> bytes:
    """Draw what a peer might send: mostly good, so that not every stream ends where it begins."""
    good = st.lists(good_frames(sender), max_size=5)
    return b"".join(draw(good) + draw(st.lists(bad_frames(sender), max_size=2)) + draw(good))


def plain(events: list[LinkEvent]) -> list[object]:
    """Make events comparable: errors by what they are and say."""
    return [
        (event.code, event.reason, type(event.error), str(event.error), getattr(event.error, "close_code", None))
        if isinstance(event, LinkLost)
        else event
        for event in events
    ]


def outcome(link: WebSocketLink, data: list[bytes]) -> tuple[list[object], list[tuple[int, bytes]], LinkState, object]:
    """Return all that can be seen of a link that was given these pieces."""
    for piece in data:
        link.receive_data(piece, now=1.0)
    return plain(heard(link)), list(frames_in(link.data_to_send())), link.state, link.next_deadline()


@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize("role", Role)
def test_any_pieces_of_a_stream_have_the_same_outcome(role: Role, closing: bool) -> None:
    def made() -> WebSocketLink:
        link = open_link(role, limits=LIMITS)
        if closing:
            link.send(Close(), now=1.0)
        return link

    @repeatable
    @given(streams(role.peer), st.lists(st.integers(0, 10**6), max_size=6))
    def check(stream: bytes, places: list[int]) -> None:
        whole = outcome(made(), [stream])
        assert outcome(made(), pieces(stream, 1)) == whole
        assert outcome(made(), cut(stream, places)) == whole

    check()


@pytest.mark.parametrize("role", Role)
def test_the_direct_lane_gives_what_wsproto_gives(role: Role) -> None:
    direct = WebSocketLink._take_whole  # noqa: SLF001 - the lane is the thing under test
    taken: list[bool] = []

    def counted(link: WebSocketLink, data: bytes, at: int) -> int:
        after = direct(link, data, at)
        taken.append(after > at)
        return after

    @repeatable
    @given(streams(role.peer))
    def check(stream: bytes) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(WebSocketLink, "_take_whole", lambda _link, _data, at: at)
            by_wsproto = outcome(open_link(role, limits=LIMITS), [stream])
            patch.setattr(WebSocketLink, "_take_whole", counted)
            assert outcome(open_link(role, limits=LIMITS), [stream]) == by_wsproto

    check()
    assert taken.count(True) > 100, "the lane was hardly used"
    assert taken.count(False) > 100


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("first", [0x81, 0x82])
@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
def test_both_lanes_agree_at_every_size_of_the_length_field(role: Role, first: int, length: int) -> None:
    stream = frame(role.peer, first, b"x" * length) * 2
    whole = outcome(open_link(role), [stream])
    assert outcome(open_link(role), pieces(stream, 1)) == whole
    assert len(whole[0]) == 2


@pytest.mark.parametrize(
    "places", [(), *((place,) for place in range(30)), *((n, n + 1) for n in range(30)), range(60)]
)
@pytest.mark.parametrize("role", Role)
def test_every_cut_of_a_short_conversation(role: Role, places: tuple[int, ...]) -> None:
    peer = role.peer
    stream = (
        frame(peer, 0x81, b"one")
        + frame(peer, 0x02, b"t")
        + frame(peer, 0x89, b"p")
        + frame(peer, 0x80, b"wo")
        + close_frame(peer, 1001, b"bye")
    )
    events, frames, state, deadline = outcome(open_link(role), cut(stream, list(places)))
    assert events[:2] == ["one", b"two"]
    assert events[2:] == [(1001, "bye", type(None), "None", None)]
    assert (frames, state, deadline) == ([(0x88, b"\x03\xe9bye")], LinkState.CLOSED, None)


@pytest.mark.parametrize("role", Role)
def test_the_upgrade_and_what_is_glued_to_it_may_be_cut_anywhere(role: Role) -> None:
    def other_side() -> bytes:
        """Record what the peer says first: its half of the upgrade."""
        pair = Pair.make()
        pair.client.start(now=0.0)
        request = pair.client.data_to_send()
        if role is Role.SERVER:
            return request
        pair.server.receive_data(request, now=0.0)
        pair.server.accept(now=0.0)
        return pair.server.data_to_send()

    def play(data: list[bytes]) -> tuple[list[object], bytes, LinkState]:
        link = WebSocketLink(role, entropy=counting(), host="example.com", limits=LIMITS)
        link.start(now=0.0)
        events: list[LinkEvent] = []
        for piece in data:
            link.receive_data(piece, now=0.0)
            events += link.events()
            if events and isinstance(events[-1], UpgradeRequested):
                link.accept(now=0.0)
        return plain(events + heard(link)), link.data_to_send(), link.state

    upgrade = other_side()

    @settings(repeatable, max_examples=60)
    @given(streams(role.peer), st.lists(st.integers(0, 400), max_size=6))
    def check(stream: bytes, places: list[int]) -> None:
        whole = play([upgrade + stream])
        assert play(pieces(upgrade + stream, 1)) == whole
        assert play(cut(upgrade + stream, places)) == whole

    check()


def test_masking_is_undone_with_any_key() -> None:
    for key in (KEY, b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\x01\0\0"):
        for length in (0, 1, 3, 4, 5, 200):
            payload = bytes(range(length))
            data = header(0x82, length, key=key) + masked(payload, key)
            for stream in ([data], pieces(data, 1)):
                assert outcome(open_link(Role.SERVER), stream)[0] == [payload]
