"""How long to wait before the next attempt."""

import pytest

from telcoflow_proto.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 5.0), (2, 7.5), (3, 11.25), (4, 16.875), (5, 25.3125), (6, 30.0), (10**9, 30.0)]
)
def test_the_longest_wait_grows_by_half_up_to_the_ceiling(attempt: int, longest: float) -> None:
    assert Backoff().delay(attempt, fraction=1.0) == longest


@pytest.mark.parametrize("attempt", [0, 1, 2, 5, 50])
def test_no_wait_is_shorter_than_the_first(attempt: int) -> None:
    assert Backoff().delay(attempt, fraction=0.0) == 0.5


def test_a_thousand_clients_spread_evenly() -> None:
    waits = [Backoff().delay(6, fraction=client / 1000) for client in range(1000)]
    buckets = [0] * 300
    for wait in waits:
        buckets[int(wait * 10)] += 1
    assert max(buckets) <= 5


def test_all_spans_can_be_set() -> None:
    backoff = Backoff(first=1.0, ceiling=3.0, healthy_after=5.0)
    assert backoff.delay(1, fraction=0.5) == 2.0
    assert backoff.delay(9, fraction=1.0) == 3.0
    assert backoff.healthy_after == 5.0
