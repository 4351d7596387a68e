import math
from collections import Counter
from typing import Any

import pytest

from benchmarks import soak
from benchmarks.soak_network import ALL, CONTROL
from benchmarks.soak_verdict import (
    MIB,
    CallStory,
    Fault,
    flat_memory,
    idle_again,
    loss_explained,
    none_logged,
    slope,
    sparkline,
)

CALM: list[Fault] = []
IDLE = {
    "tasks": 5,
    "whereabouts": ["main"],
    "fds": 7,
    "registries": {"Client._calls": 0},
    "errors": 0,
    "last_error": "",
    "reconnects": 0,
}


def fault(kind: str, scope: str, begun: float, ended: float) -> Fault:
    return Fault(kind=kind, scope=scope, begun=begun, ended=ended, breaks=kind == "reset", silences=kind == "stall")


def story(**details: Any) -> CallStory:
    known: dict[str, Any] = {"name": "c1", "placed": 100.0, "over": 110.0, "ended_by": "caller", "offered": 1}
    known |= {"answered": 1, "ends": 1, "ended": 110.0, "reason": "terminated", "told": 1}
    return CallStory(**(known | details))


# ---------------------------------------------------------------------- memory


def memory(*mib: float) -> list[tuple[float, float]]:
    return [(60.0 * minute, one * MIB) for minute, one in enumerate(mib)]


def test_a_slope_is_the_growth_per_second() -> None:
    assert slope([(0, 10), (1, 12), (2, 14)]) == 2
    assert slope([(3, 10)]) == 0


def test_memory_that_grows_only_in_the_first_third_is_flat() -> None:
    assert flat_memory("x", memory(*range(10), *[10] * 20)).kept


def test_memory_that_grows_steadily_is_not() -> None:
    verdict = flat_memory("x", memory(*(0.3 * minute for minute in range(30))))
    assert not verdict.kept
    assert verdict.figure == "+3.00 MiB per 10 min, +3.00 MiB from the second third to the last"


def test_memory_that_rises_once_by_less_than_two_mebibytes_is_flat_and_by_more_is_not() -> None:
    assert flat_memory("x", memory(*[50.0] * 20, *[51.9] * 10)).kept
    assert not flat_memory("x", memory(*[50.0] * 20, *[52.1] * 10)).kept


def test_too_few_samples_prove_nothing() -> None:
    assert not flat_memory("x", memory(1, 1, 1, 1, 1)).kept


# ---------------------------------------------------------------------- idle


def test_a_client_that_idles_as_before_has_kept_all() -> None:
    assert all(verdict.kept for verdict in [*idle_again("x", IDLE, IDLE), none_logged("x", IDLE)])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"tasks": 6}, "x: tasks are back at the idle number"),
        ({"fds": 8}, "x: file descriptors are back at the idle number"),
        ({"registries": {"Client._calls": 1}}, "x: registries are empty"),
        ({"errors": 1, "last_error": "the handler failed\nTraceback"}, "x: nothing is logged at ERROR"),
    ],
)
def test_whatever_is_left_is_missed(change: dict[str, Any], what: str) -> None:
    after = IDLE | change
    judged = [*idle_again("x", IDLE, after), none_logged("x", after)]
    assert [verdict.what for verdict in judged if not verdict.kept] == [what]


# ---------------------------------------------------------------------- calls


def test_a_loss_is_explained_by_a_reset_of_its_own_line_only() -> None:
    faults = [fault("reset", "c1", 100.0, 100.0), fault("reset", "c2", 109.0, 109.0)]
    assert loss_explained(faults, "c1", 101.0) == "reset"
    assert loss_explained(faults, "c1", 110.0) is None
    assert loss_explained(faults, "c1", 99.0) is None, "the fault came later"
    assert loss_explained(faults, CONTROL, 101.0) is None


def test_a_loss_is_explained_by_silence_that_lasted_long_enough() -> None:
    assert loss_explained([fault("stall", ALL, 100.0, 103.0)], "c1", 104.0) is None
    assert loss_explained([fault("stall", ALL, 100.0, 103.0), fault("stall", "c1", 103.5, 105.5)], "c1", 106.0)
    assert loss_explained([fault("stall", "c1", 100.0, math.inf)], "c1", 110.0) == "stall"
    assert loss_explained([fault("stall", "c1", 100.0, math.inf)], "c1", 103.0) is None
    assert loss_explained([fault("stall", ALL, 100.0, 110.0)], "c1", 123.0) is None, "that was long ago"


def test_what_happens_every_day_is_in_order() -> None:
    assert story().outcome(CALM, []) == ("answered, terminated", None)
    assert story(answered=0, declined=True, reason="disconnected").outcome(CALM, []) == ("declined, disconnected", None)
    assert story(answered=0).outcome(CALM, []) == ("given up before the answer, terminated", None)
    lost = story(reason="connection lost").outcome([fault("reset", "c1", 109.9, 109.9)], [])
    assert lost == ("answered, connection lost by reset", None)
    unheard = story(offered=0, ends=0)
    assert unheard.outcome(CALM, [(90.0, 101.0)]) == ("given up while the client was away", None)
    assert unheard.outcome([fault("stall", ALL, 99.0, 101.0)], [])[1] is None


@pytest.mark.parametrize(
    ("details", "wrong"),
    [
        ({"over": None}, "the gateway still has it"),
        ({"offered": 0}, "the client could hear"),
        ({"offered": 0, "ended_by": "agent"}, "the client could hear"),
        ({"offered": 2}, "offered 2"),
        ({"ends": 0}, "ended 0"),
        ({"told": 0}, "told 0 times"),
        ({"told": 2}, "told 2 times"),
        ({"reason": ""}, "reason ''"),
        ({"reason": "connection lost"}, "no fault explains the loss"),
        ({"answered": 0, "ended_by": "agent", "failed": "E"}, "yet it was not answered: 'E'"),
    ],
)
def test_a_call_that_is_not_accounted_for_is_wrong(details: dict[str, Any], wrong: str) -> None:
    _, found = story(**details).outcome(CALM, [])
    assert found is not None
    assert wrong in found


def half(kind: str) -> soak.Half:
    one = soak.Half(kind, "seed")
    one.idle = one.idle_again = dict(IDLE, rss=50 * MIB, held=0, live=0)
    one.samples = [dict(one.idle, at=5.0 * number) for number in range(9)]
    one.gateway_samples = one.samples
    one.placed = 2
    one.outcomes = Counter({"answered, terminated": 2})
    one.faults = [fault("reset", "c1", 1.0, 1.0)]
    return one


def test_the_whole_is_kept_when_every_part_is() -> None:
    halves = [half("asyncio"), half("trio")]
    judged = soak.verdicts(halves)
    assert [verdict.what for verdict in judged if not verdict.kept] == []
    text = soak.page(halves, judged, minutes=1, seed="1", command="make soak")
    assert "**All of it held.**" in text
    assert "| reset | 1 | 1 |" in text


def test_a_call_that_is_missing_is_missed() -> None:
    halves = [half("asyncio"), half("trio")]
    halves[1].placed = 3
    judged = soak.verdicts(halves)
    missed = [verdict for verdict in judged if not verdict.kept]
    assert [verdict.what for verdict in missed] == ["trio: every call is accounted for"]
    text = soak.page(halves, judged, minutes=1, seed="1", command="make soak")
    assert "**Not all of it held.**" in text
    assert "| 3 placed, 2 accounted for | **missed** |" in text


def test_no_calls_at_all_are_missed() -> None:
    empty = half("asyncio")
    empty.placed, empty.outcomes = 0, Counter()
    assert not soak.verdicts([empty])[-1].kept


def test_bars_show_what_grows() -> None:
    assert sparkline([(number, number) for number in range(8)], width=8) == "▁▂▃▄▅▆▇█"
    assert sparkline([(0, 5), (1, 5)]) == "▁▁"
    assert sparkline([]) == ""
