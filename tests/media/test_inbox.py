"""Received audio: oldest first, bounded, what is dropped is counted."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.media.inbox import Inbox


def read_all(inbox: Inbox) -> list[bytes]:
    return list(iter(inbox.next, None))


def test_audio_is_read_in_the_order_and_in_the_pieces_it_came() -> None:
    inbox = Inbox(capacity=100)
    assert inbox.put(b"aa")
    assert not inbox.put(b"bbbb"), "a reader was woken already"
    assert read_all(inbox) == [b"aa", b"bbbb"]
    assert inbox.next() is None
    assert inbox.put(b"cc"), "the reader has been here, so it is woken again"


def test_the_oldest_is_dropped_when_nobody_reads() -> None:
    inbox = Inbox(capacity=6)
    for piece in (b"aa", b"bb", b"cc", b"dd"):
        inbox.put(piece)
    assert read_all(inbox) == [b"bb", b"cc", b"dd"]
    assert (inbox.received, inbox.dropped) == (8, 2)


def test_a_flood_of_tiny_pieces_is_bounded_by_their_number() -> None:
    inbox = Inbox(capacity=1_000_000)
    for _ in range(4100):
        inbox.put(b"aa")
    assert (inbox.dropped, len(read_all(inbox))) == (8, 4096)


def test_a_piece_larger_than_everything_is_dropped_itself() -> None:
    inbox = Inbox(capacity=4)
    inbox.put(b"a" * 6)
    assert inbox.next() is None
    assert (inbox.received, inbox.dropped) == (6, 6)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=9)), max_size=40))
def test_it_is_a_bounded_queue(steps: list[bytes | None]) -> None:
    inbox, model = Inbox(capacity=16), deque[bytes]()
    for step in steps:
        if step is None:
            assert inbox.next() == (model.popleft() if model else None)
        else:
            inbox.put(step)
            model.append(step)
            while sum(map(len, model)) > 16:
                model.popleft()
    assert read_all(inbox) == list(model)
