"""One control connection of a client machine: its stream matters only while it is the one of the moment."""

from collections.abc import Callable

import pytest

from telcoflow_proto.attempt import Attempt
from telcoflow_proto.client import ClientMachine
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.life_events import ClientLost, TransportWanted
from tests.core.support import counting
from tests.core.switchboard import CONFIG, Switchboard

VERBS: dict[str, Callable[[Attempt], None]] = {
    "start": lambda attempt: attempt.start(now=1000),
    "receive_data": lambda attempt: attempt.receive_data(b"garbage", now=1000),
    "receive_eof": lambda attempt: attempt.receive_eof(now=1000),
    "fail_transport": lambda attempt: attempt.fail_transport("cut", now=1000),
}


def wanted(board: Switchboard) -> Attempt:
    (want,) = board.taken(TransportWanted)
    assert isinstance(want, TransportWanted)
    return want.attempt


def begun() -> tuple[Switchboard, Attempt]:
    board = Switchboard(ClientMachine(CONFIG, entropy=counting()))
    board.machine.connect(now=board.now)
    return board, wanted(board)


def carried(board: Switchboard, attempt: Attempt) -> None:
    """Open the stream of an attempt, and carry the set-up over by the attempt's own verbs."""
    board.end.start(now=board.now)
    attempt.start(now=board.now)
    board.end.receive_data(attempt.data_to_send(now=board.now), now=board.now)
    list(board.end.events())
    board.end.accept(now=board.now)
    attempt.receive_data(board.end.data_to_send(now=board.now), now=board.now)
    board.end.receive_data(attempt.data_to_send(), now=board.now)
    list(board.end.events())
    board.end.complete_setup(now=board.now)
    attempt.receive_data(board.end.data_to_send(now=board.now), now=board.now)


def test_it_carries_its_connection() -> None:
    board, attempt = begun()
    assert not attempt.closed
    carried(board, attempt)
    assert board.machine.state is ClientState.READY
    assert not attempt.closed
    attempt.receive_eof(now=board.now)
    assert attempt.closed
    assert board.machine.state is ClientState.WAITING


def test_a_stream_that_breaks_is_told() -> None:
    board, attempt = begun()
    attempt.fail_transport("no route", now=board.now)
    (lost,) = board.taken(ClientLost)
    assert "no route" in lost.reason
    assert attempt.closed


@pytest.mark.parametrize("verb", VERBS)
def test_a_superseded_attempt_disturbs_nobody(verb: str) -> None:
    board, old = begun()
    carried(board, old)
    old.fail_transport("cut", now=board.now)
    board.later(30)
    new = wanted(board)
    board.taken()
    VERBS[verb](old)
    assert board.taken() == []
    assert board.machine.state is ClientState.RECONNECTING
    assert old.closed
    assert not new.closed
    assert old.data_to_send(now=board.now) == b""
    assert new.data_to_send(now=board.now) == b"", "the new one has not been started by the old one"
    new.start(now=board.now)
    assert old.data_to_send(now=board.now) == b"", "and its bytes are its own"
    assert new.data_to_send(now=board.now).startswith(b"GET ")


def test_the_last_words_of_a_superseded_connection_can_still_be_written() -> None:
    board, attempt = begun()
    carried(board, attempt)
    board.end.close_connection(code=1012, now=board.now)
    attempt.receive_data(board.end.data_to_send(now=board.now), now=board.now)
    assert attempt.closed
    assert attempt.data_to_send(now=board.now)[:1] == b"\x88"
