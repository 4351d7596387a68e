"""Many short calls one after the other through one client, without a loop: what is left of them?"""

import gc

import attrs

from tests.core.loopless import FakeClient, Line
from tests.core.switchboard import Switchboard
from tests.core.test_base_client import connected


@attrs.frozen(kw_only=True)
class Left:
    """What a client still knows after its calls, and how many objects there are more."""

    registries: dict[str, int]
    grown_objects: int


def one_call(client: FakeClient, board: Switchboard, number: int) -> None:
    """Announced, claimed, answered, ended by the other side, forgotten."""
    board.notify(f"s{number}")
    (call,) = client.calls
    line = Line(call).answered()
    line.service.terminate(now=line.clock.now)
    line.carry()
    board.end.close_session(f"s{number}", "CALL_TERMINATED", now=board.now)
    board.carry()
    for record in (client.ran, client.notes, client.wanted, client.tasks, board.asked, board.readied, board.reported):
        record.clear()


def make_calls(count: int) -> Left:
    """Make that many calls and count what stays. Objects are counted once the bounded memory of ids is full."""
    client, board, taken = connected()
    before = 0
    settled = 1100  # about as many ids are remembered to know a duplicate, and no more
    for number in range(count):
        if number == settled:
            gc.collect()
            before = len(gc.get_objects())
        one_call(client, board, number)
        taken.clear()
    gc.collect()
    grown = len(gc.get_objects()) - before
    machine = client.machine
    registries = {name: len(getattr(machine, f"_{name}")) for name in ("calls", "claims", "held", "waiting", "created")}
    registries |= {"client calls": len(client.calls), "kept for who waits": sum(client.kept)}
    registries |= {"sessions of the connection": len(machine.control._sessions)}  # noqa: SLF001 - nothing public counts them
    return Left(registries=registries, grown_objects=grown)
