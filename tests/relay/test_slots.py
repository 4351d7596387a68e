"""How many clients a process may connect at once."""

import pytest

from telcoflow_proto.exceptions import RelayLimitError
from telcoflow_proto.relay.slots import Slots

ONE = {"RELAY_MAX_CONNECTIONS": "1"}


@pytest.mark.parametrize("environment", [{}, {"RELAY_MAX_CONNECTIONS": ""}, {"RELAY_MAX_CONNECTIONS": "many"}])
def test_without_a_number_there_is_no_limit(environment: dict[str, str]) -> None:
    slots = Slots()
    clients = [object() for _ in range(100)]
    for client in clients:
        slots.take(client, environment)


@pytest.mark.parametrize(("value", "most"), [("1", 1), (" 2 ", 2), ("0", 1), ("3", 3)])
def test_the_environment_sets_a_limit_of_one_at_least(value: str, most: int) -> None:
    slots = Slots()
    clients = [object() for _ in range(most)]
    for client in clients:
        slots.take(client, {"RELAY_MAX_CONNECTIONS": value})
    with pytest.raises(RelayLimitError, match=rf"connection limit reached: {most} RELAY clients") as refused:
        slots.take(object(), {"RELAY_MAX_CONNECTIONS": value})
    assert isinstance(refused.value, RuntimeError)
    assert refused.value.code == -1
    assert "RELAY_MAX_CONNECTIONS" in str(refused.value)


def test_peer_bug_r12_a_slot_that_was_freed_can_be_taken() -> None:
    slots, first, second = Slots(), object(), object()
    slots.take(first, ONE)
    slots.free(first)
    slots.free(first)
    slots.take(second, ONE)
    slots.free(first)
    with pytest.raises(RelayLimitError):
        slots.take(first, ONE)


def test_who_was_refused_takes_no_slot() -> None:
    slots, first, second = Slots(), object(), object()
    slots.take(first, ONE)
    with pytest.raises(RelayLimitError):
        slots.take(second, ONE)
    slots.free(first)
    slots.take(second, ONE)


def test_who_is_counted_is_counted_once() -> None:
    slots, client = Slots(), object()
    slots.take(client, ONE)
    slots.take(client, ONE)
    slots.free(client)
    slots.take(object(), ONE)
