"""What was asked and is not answered yet."""

import pytest

from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.replies import Expected, Outcome, Replies


def ids(expected: list[Expected[str]]) -> list[str]:
    return [one.id for one in expected]


@pytest.fixture
def replies() -> Replies[str]:
    """Two questions, the later one due first."""
    waiting: Replies[str] = Replies(3)
    waiting.expect("a", "answer", now=10.0, within=5.0)
    waiting.expect("b", "connect", now=11.0, within=2.0)
    return waiting


def test_a_reply_is_taken_once(replies: Replies[str]) -> None:
    assert replies.take("a") == Expected(id="a", asked="answer", said_at=10.0, due_at=15.0)
    assert replies.take("a") is None
    assert replies.take("never asked") is None
    assert len(replies) == 1


def test_it_knows_what_waits(replies: Replies[str]) -> None:
    assert replies.knows("a")
    assert not replies.knows("c")
    assert ids(replies.waiting()) == ["a", "b"]
    assert len(replies) == 2, "looking takes nothing out"


def test_too_many_questions_are_refused_and_change_nothing(replies: Replies[str]) -> None:
    replies.expect("c", "whisper", now=12.0, within=60.0)
    with pytest.raises(LocalProtocolError, match="3 replies are awaited already"):
        replies.expect("d", "barge", now=12.0, within=1.0)
    assert ids(replies.waiting()) == ["a", "b", "c"]
    assert replies.next_deadline() == 13.0


@pytest.mark.parametrize(("now", "late"), [(12.9, []), (13.0, ["b"]), (14.9, ["b"]), (15.0, ["a", "b"])])
def test_what_is_overdue_comes_out_in_the_order_it_was_asked(
    replies: Replies[str], now: float, late: list[str]
) -> None:
    assert ids(replies.overdue(now)) == late
    assert replies.overdue(now) == []
    assert len(replies) == 2 - len(late)


def test_the_next_deadline_is_the_earliest(replies: Replies[str]) -> None:
    assert replies.next_deadline() == 13.0
    replies.take("b")
    assert replies.next_deadline() == 15.0
    replies.take("a")
    assert replies.next_deadline() is None


def test_draining_takes_everything(replies: Replies[str]) -> None:
    assert ids(replies.drain()) == ["a", "b"]
    assert replies.drain() == []
    assert replies.next_deadline() is None


def test_every_outcome_says_how_it_ended() -> None:
    assert len({outcome.value for outcome in Outcome}) == len(Outcome) == 5
