"""What the benchmarks make of measurements; what is measured is not asserted."""

import json
import math
from pathlib import Path

import attrs
import pytest

from benchmarks.speed import main, report
from benchmarks.speed.figures import crossing, median, percentile, slope
from benchmarks.speed.gateway.measuring import Client, Window
from benchmarks.speed.meter import cpu_clock, cpu_seconds, machine, seconds_waited
from benchmarks.speed.orders import Order, Outcome
from benchmarks.speed.results import Results
from benchmarks.speed.running import measure, said
from benchmarks.speed.scenarios import LABELS, QUICK, SCENARIOS, Scale, plan
from benchmarks.speed.tables import all_tables, number, scenario_table
from benchmarks.speed.targets import TARGETS, held, target_table, verdicts

ECHO = SCENARIOS[0]


def results_of(figures: dict[tuple[str, str, str], list[dict[str, float]]]) -> Results:
    results = Results()
    for (scenario, point, client), rounds in figures.items():
        for one in rounds:
            results.add(scenario, point, client, Outcome(figures=one))
    return results


def echo(cpu: float = 50.0, *, p99: float = 1.0, kept_up: float = 1.0, rss: float = 0.0) -> dict[str, float]:
    per_call = cpu * 50 * kept_up
    return {"cpu_us": cpu, "p99_ms": p99, "kept_up": kept_up, "rss_kib": rss, "cpu_us_per_call_second": per_call}


# ---------------------------------------------------------------------------------------------- arithmetic


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, value: int) -> None:
    assert percentile(range(100, 0, -1), percent) == value


def test_nothing_has_no_percentile_median_slope_or_crossing() -> None:
    found = (percentile([], 99), median([]), slope([]), slope([(1, 2), (1, 3)]), crossing([], 1))
    assert all(math.isnan(value) for value in found)


def test_a_slope_is_that_of_the_straight_line() -> None:
    assert slope([(10, 130), (50, 170), (100, 220)]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("points", "x"),
    [
        ([(100, 1), (200, 5)], 200),
        ([(100, 2), (400, 200)], 200),
        ([(100, 50), (200, 60)], 0),
    ],
)
def test_where_a_bound_is_crossed_is_read_off_two_logarithmic_axes(points: list[tuple[float, float]], x: float) -> None:
    assert crossing(points, 20) == pytest.approx(x)


# ---------------------------------------------------------------------------------------------- results


def test_figures_are_medians_and_ratios_are_medians_of_each_rounds_ratio() -> None:
    results = results_of(
        {
            ("echo", "100", "asyncio"): [echo(10), echo(40), echo(30)],
            ("echo", "100", "telcoflow"): [echo(20), echo(40), echo(120)],
        }
    )
    assert results.figure("echo", "100", "asyncio", "cpu_us") == 30
    assert results.ratio("echo", "100", "asyncio", "cpu_us", peer="telcoflow") == 0.5


def test_a_round_that_failed_on_one_side_has_no_ratio() -> None:
    results = Results()
    for ours, theirs in ((10.0, None), (20.0, 40.0)):
        results.add("echo", "100", "asyncio", Outcome(figures=echo(ours)))
        results.add("echo", "100", "telcoflow", Outcome(figures=echo(theirs)) if theirs else Outcome(failed="no"))
    assert results.ratio("echo", "100", "asyncio", "cpu_us", peer="telcoflow") == 0.5
    assert math.isnan(results.ratio("echo", "100", "asyncio", "cpu_us", peer="nobody"))


def test_results_are_json_even_where_a_figure_is_infinite() -> None:
    results = results_of({("echo", "100", "asyncio"): [echo(math.inf)]})
    assert json.loads(json.dumps(results.to_json(), allow_nan=False))[0]["medians"]["cpu_us"] is None


def test_orders_and_outcomes_survive_being_written() -> None:
    order, outcome = Order(client="trio", load="echo", count=3, tls=True), Outcome(figures={"a": 1.5}, faults="1 lost")
    assert Order.from_json(order.to_json()) == order
    assert Outcome.from_json(outcome.to_json()) == outcome


# ---------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("value", "text"), [(0.4567, "0.457"), (99.96, "100"), (123.4, "123"), (12345.6, "12,346"), (math.nan, "–")]
)
def test_numbers_have_as_many_digits_as_they_deserve(value: float, text: str) -> None:
    assert number(value) == text


def test_a_table_shows_the_figure_its_ratio_and_what_goes_with_it() -> None:
    results = results_of(
        {
            ("echo", "100", "asyncio"): [echo(25, p99=0.4)],
            ("echo", "800", "asyncio"): [echo(20, p99=900, kept_up=0.5)],
            ("echo", "100", "telcoflow"): [echo(50, p99=1.25)],
        }
    )
    results.add("echo", "800", "telcoflow", Outcome(failed="only 36 of 800 calls were answered"))
    assert scenario_table(results, ECHO).splitlines() == [
        "| client | 100 calls | 800 calls |",
        "| --- | --- | --- |",
        "| telcoflow_anyio (asyncio) | 25 (×0.5), 0.4 ms | saturated: 20, 900 ms |",
        "| telcoflow 1.0.0 | 50, 1.25 ms | not possible: only 36 of 800 calls were answered |",
    ]


def test_a_table_marks_lost_samples_and_a_gateway_that_was_the_limit() -> None:
    results = Results()
    results.add("echo", "100", "asyncio", Outcome(figures=echo(), faults="3 lost", limited="late"))
    assert "50, 1 ms † ‡" in scenario_table(results, ECHO)
    assert "telcoflow_anyio (asyncio), echo 100: 3 lost" in all_tables(results)
    assert results.faulty() == [(("echo", "100", "asyncio"), "3 lost")]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_has_a_table(scenario: object) -> None:
    assert isinstance(scenario, type(ECHO))
    figures = {column.name: 1.0 for column in scenario.columns}
    results = results_of({(scenario.name, "100", client): [figures] for client in scenario.clients})
    assert len(scenario_table(results, scenario).splitlines()) == 2 + len(scenario.clients)


# ---------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(("cpu", "verdict"), [(25.0, "met"), (25.1, "missed")])
def test_a_ratio_meets_its_limit_or_misses_it(cpu: float, verdict: str) -> None:
    results = results_of(
        {
            ("echo", "100", "asyncio"): [echo(cpu)],
            ("echo", "100", "telcoflow"): [echo(50)],
        }
    )
    row = next(line for line in target_table(results).splitlines() if "CPU per frame, 100 calls " in line)
    assert verdict in row
    assert "not measured" in row  # on trio


def test_calls_are_held_up_to_where_the_latency_crosses_and_no_further_than_the_client_keeps_up() -> None:
    results = results_of(
        {
            ("echo", "100", "asyncio"): [echo(p99=2)],
            ("echo", "400", "asyncio"): [echo(p99=200)],
            ("echo", "100", "trio"): [echo(p99=2)],
            ("echo", "400", "trio"): [echo(p99=2, kept_up=0.9)],
        }
    )
    assert held(results, "asyncio") == pytest.approx(200)
    assert 100 < held(results, "trio") < 400


def test_memory_per_call_is_the_slope_where_nobody_is_saturated() -> None:
    target = next(target for target in TARGETS if target.title == "memory per call")
    results = results_of(
        {
            ("echo", str(count), "asyncio"): [echo(rss=30_000 + 50.0 * count + (1e6 if count > 200 else 0))]
            for count in (10, 100, 200, 800)
        }
    )
    assert target.measure(results, "asyncio") == pytest.approx(50.0)


def test_growth_is_missed_by_a_client_that_is_saturated() -> None:
    target = next(target for target in TARGETS if target.title.startswith("growth"))
    results = results_of(
        {
            ("echo", "200", "asyncio"): [echo(20)],
            ("echo", "800", "asyncio"): [echo(20, kept_up=0.5)],
            ("echo", "200", "trio"): [echo(20)],
            ("echo", "800", "trio"): [echo(21)],
        }
    )
    assert target.met("asyncio", target.measure(results, "asyncio")) is False
    assert target.met("trio", target.measure(results, "trio")) is True


def test_a_client_that_does_not_keep_up_misses_whatever_its_ratio() -> None:
    results = results_of(
        {
            ("echo", "100", "asyncio"): [echo(5, kept_up=0.5)],
            ("echo", "100", "telcoflow"): [echo(50)],
        }
    )
    assert "saturated (≤ 0.5): **missed**" in target_table(results)


def test_a_verdict_is_marked_where_the_peer_was_kept_from_running() -> None:
    results = results_of({("echo", "100", "asyncio"): [echo(5)]})
    results.add("echo", "100", "telcoflow", Outcome(figures=echo(50), limited="others"))
    assert "0.1 × (≤ 0.5): met †" in target_table(results)
    assert verdicts(results)[0]["doubtful"] is True


def test_what_was_not_measured_has_no_verdict() -> None:
    assert verdicts(Results()) == []


# ---------------------------------------------------------------------------------------------- the run


def test_clients_take_turns_within_each_round() -> None:
    jobs = plan([ECHO], Scale(calls=(10, 100), rounds=2), ("asyncio", "telcoflow"))
    assert [(turn, job.point, job.client) for turn, job in jobs] == [
        (turn, point, client) for turn in (1, 2) for point in ("10", "100") for client in ("asyncio", "telcoflow")
    ]


def test_everything_is_measured_at_least_three_times() -> None:
    jobs = plan(SCENARIOS, Scale(), tuple(LABELS))
    assert {turn for turn, _ in jobs} >= {1, 2, 3}
    assert len(plan(SCENARIOS, QUICK, tuple(LABELS))) < len(jobs) / 3


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SystemExit):
        main.main(["--only", "no-such-scenario"])


def test_cpu_is_counted_over_the_window_alone() -> None:
    import os

    own = Client(os.getpid(), cpu_clock(os.getpid()))
    before = cpu_seconds(own.clock)
    window = Window(own)
    while cpu_seconds(own.clock) < before + 0.02:
        pass
    window.close()
    assert window.cpu > 0.01
    assert seconds_waited(own.pid) >= 0
    assert window.limited([0.5]).startswith("the gateway was 500 ms late")


def test_the_status_tells_of_lost_samples_of_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(client: str) -> Results:
        results = Results()
        results.add("echo", "100", client, Outcome(figures=echo(), faults="1 lost"))
        return results

    for client, status in (("telcoflow", 0), ("trio", 1)):
        monkeypatch.setattr(main, "carry_out", lambda _plan, client=client: measured(client))
        assert main.main([]) == status


def test_the_report_has_the_machine_the_verdicts_the_figures_and_the_pictures(tmp_path: Path) -> None:
    results = results_of(
        {
            ("echo", str(count), client): [echo(p99=count / 10, kept_up=1.0 if count < 800 else 0.5)]
            for count in (10, 100, 800)
            for client in ("asyncio", "telcoflow")
        }
    )
    report.write(results, machine(), command="python -m benchmarks", rounds=3, folder=tmp_path)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    for wanted in ("CPython", "## Targets", "## Figures", "changes.md", "telcoflow 1.0.0"):
        assert wanted in page
    pictures = {path.name for path in tmp_path.glob("*.png")}
    assert len(pictures) == 3
    assert all(f"({name})" in page for name in pictures)


def test_two_calls_echo_for_a_moment() -> None:
    scale = Scale(calls=(2,), rounds=1, seconds=0.3, warm_up=0.1)
    [(_, job)] = plan([ECHO], scale, ("asyncio",))
    outcome = measure(job)
    assert not outcome.failed
    assert not outcome.faults
    assert outcome.figures["cpu_us"] > 0
    assert "cpu_us" in said(outcome)


def test_a_client_that_fails_is_quoted() -> None:
    order = Order(client="no-such-client", load="echo", count=1)
    [(_, job)] = plan([ECHO], Scale(calls=(2,), rounds=1), ("asyncio",))
    outcome = measure(attrs.evolve(job, arguments=("benchmarks.speed.gateway", order.to_json())))
    assert outcome.failed.startswith("the client did not come; the client says: ModuleNotFoundError")


def test_a_client_that_cannot_be_measured_is_a_reason_and_no_figure() -> None:
    [(_, job)] = plan([ECHO], Scale(calls=(2,), rounds=1), ("asyncio",))
    broken = attrs.evolve(job, arguments=("benchmarks.speed.no_such_module",))
    outcome = measure(broken)
    assert outcome.figures == {}
    assert said(outcome) == outcome.failed != ""
