"""The life of a WebSocket link, as rows."""

import pytest

from telcoflow_proto.errors import LocalProtocolError
from telcoflow_proto.link_table import LINK_TABLE, LinkState, LinkWord
from telcoflow_proto.machine import Machine
from telcoflow_proto.roles import Role

S, W = LinkState, LinkWord


def link(role: Role, *words: tuple[Role, LinkWord]) -> Machine[LinkState, LinkWord]:
    machine = Machine(LINK_TABLE, role)
    for who, word in words:
        if who is role:
            machine.say(word)
        else:
            assert machine.hear(word) is not None
    return machine


OPENED = ((Role.CLIENT, W.REQUEST), (Role.SERVER, W.ACCEPT))


@pytest.mark.parametrize("role", Role)
def test_both_ends_walk_the_same_table(role: Role) -> None:
    assert link(role).state is S.IDLE
    assert link(role, *OPENED[:1]).state is S.OPENING
    assert link(role, *OPENED).state is S.OPEN
    assert link(role, OPENED[0], (Role.SERVER, W.REJECT)).state is S.CLOSED
    assert link(role, *OPENED, (Role.CLIENT, W.CLOSE)).state is S.CLIENT_CLOSING
    assert link(role, *OPENED, (Role.SERVER, W.CLOSE)).state is S.SERVER_CLOSING
    assert link(role, *OPENED, (Role.SERVER, W.CLOSE), (Role.CLIENT, W.CLOSE)).state is S.CLOSED


@pytest.mark.parametrize("word", [W.MESSAGE, W.PING, W.PONG])
@pytest.mark.parametrize("role", Role)
def test_who_has_closed_says_nothing_more_and_may_still_hear(role: Role, word: LinkWord) -> None:
    machine = link(role, *OPENED, (role, W.CLOSE))
    with pytest.raises(LocalProtocolError):
        machine.say(word)
    row = machine.hear(word)
    assert row is not None
    assert row.crossing


@pytest.mark.parametrize("word", [W.MESSAGE, W.PING, W.PONG])
@pytest.mark.parametrize("role", Role)
def test_nothing_is_said_behind_the_peers_close_but_a_close(role: Role, word: LinkWord) -> None:
    machine = link(role, *OPENED, (role.peer, W.CLOSE))
    with pytest.raises(LocalProtocolError):
        machine.say(word)
    machine.say(W.CLOSE)
    assert machine.state is S.CLOSED


@pytest.mark.parametrize("role", Role)
def test_a_stream_may_end_at_any_time(role: Role) -> None:
    for words in ((), OPENED[:1], OPENED, (*OPENED, (role, W.CLOSE))):
        machine = link(role, *words)
        assert machine.hear(W.END) is not None
        assert machine.state is S.CLOSED


def test_only_a_client_asks_and_only_a_server_accepts() -> None:
    with pytest.raises(LocalProtocolError):
        link(Role.SERVER).say(W.REQUEST)
    assert link(Role.CLIENT).hear(W.REQUEST) is None
    with pytest.raises(LocalProtocolError):
        link(Role.CLIENT, OPENED[0]).say(W.ACCEPT)
