"""The life of a client as a table, and the verdict on a lost connection."""

import pytest

from telcoflow_proto.client_table import CLIENT_TABLE, ClientState, ClientWord, describe, judge
from telcoflow_proto.door import ConnectionLost
from telcoflow_proto.errors import HandshakeRefused, LocalProtocolError, PeerSilent
from telcoflow_proto.machine import Machine
from telcoflow_proto.roles import Role


def lost(code: int = 1006, reason: str = "", error: Exception | None = None) -> ConnectionLost:
    return ConnectionLost(code=code, reason=reason, error=error)  # type: ignore[arg-type]


def refused(status: int, retry_after: float | None = None) -> ConnectionLost:
    return lost(error=HandshakeRefused(status=status, detail="no", retry_after=retry_after))


@pytest.mark.parametrize(
    ("loss", "credentials", "stop", "wait"),
    [
        (refused(401), True, True, 0),
        (refused(403), True, True, 0),
        (refused(426), False, True, 0),
        (refused(503), False, False, 0),
        (refused(503, 7), False, False, 7),
        (refused(503, 99999), False, False, 300),
        (lost(4401), True, True, 0),
        (lost(4403), True, True, 0),
        (lost(1012), False, False, 0),
        (lost(), False, False, 0),
    ],
)
def test_what_follows_from_a_loss(loss: ConnectionLost, credentials: bool, stop: bool, wait: float) -> None:
    verdict = judge(loss)
    assert (verdict.credentials_refused, verdict.stop, verdict.wait_at_least) == (credentials, stop, wait)


def test_a_loss_is_described_in_one_line() -> None:
    assert describe(lost(error=PeerSilent("hush"))) == "hush"
    assert describe(lost(1012, "restart")) == "the service closed the connection with code 1012 (restart)"
    assert describe(lost(1012)) == "the service closed the connection with code 1012"


@pytest.mark.parametrize("state", ClientState)
@pytest.mark.parametrize("word", ClientWord)
def test_every_cell_moves_as_its_row_says_or_not_at_all(state: ClientState, word: ClientWord) -> None:
    machine = Machine(CLIENT_TABLE, Role.CLIENT)
    machine.state = state
    ours = CLIENT_TABLE.find(state, Role.CLIENT, word)
    if ours is None:
        with pytest.raises(LocalProtocolError):
            machine.say(word)
        assert machine.state is state
    else:
        machine.say(word)
        assert machine.state is ours.next_state
    machine.state = state
    theirs = CLIENT_TABLE.find(state, Role.SERVER, word)
    machine.hear(word)
    assert machine.state is (state if theirs is None else theirs.next_state)


def test_every_state_can_be_closed() -> None:
    assert all(CLIENT_TABLE.find(state, Role.CLIENT, ClientWord.CLOSE) for state in ClientState)
