import math

import pytest

from benchmarks import bounds
from benchmarks.joined import Exchange
from benchmarks.registries import fuller, sizes
from benchmarks.rows import Figure
from telcoflow_proto.testing import entropy

ROWS = {row.name: row for row in bounds.ROWS}


def test_the_core_holds_nothing_of_calls_that_are_over() -> None:
    exchange = Exchange(entropy())
    empty = sizes(exchange.client)
    for number in range(20):
        exchange.one_call(f"s{number}")
    assert exchange.answered == 20
    assert fuller(empty, sizes(exchange.client)) == []


def test_what_is_held_is_seen() -> None:
    exchange = Exchange(entropy())
    empty = sizes(exchange.client)
    exchange.client.open_session("s1", now=exchange.now)
    assert "Replies.pending" in fuller(empty, sizes(exchange.client))


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("leaving", 2.0, True),
        ("leaving", 2.001, False),
        ("leaving", math.inf, False),
        ("many_calls", 120, True),
        ("many_calls", 119, False),
    ],
)
def test_a_bound_is_kept_or_missed(name: str, value: float, kept: bool) -> None:
    assert ROWS[name].kept(Figure(value)) is kept


def test_the_table_says_who_missed_what() -> None:
    figures = {("leaving", "asyncio"): Figure(2.003), ("leaving", "trio"): Figure(1.5, "twice")}
    text = bounds.table([ROWS["leaving"]], figures)
    row = "| leaving with a dead peer takes | 2.003 s | 1.5 s (twice) | - | ≤ 2 s | **missed** (asyncio) |"
    assert text.splitlines()[-1] == row


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(SystemExit):
        bounds.main(["no-such-row"])
