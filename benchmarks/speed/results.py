"""What was measured: outcomes by scenario, point and client, and their medians."""

import math
from collections import defaultdict
from typing import final

import attrs

from benchmarks.speed.figures import median
from benchmarks.speed.orders import Outcome

KEPT_UP = 0.98
"""A client that says back less than this of what it hears is saturated."""

Key = tuple[str, str, str]


@final
class Results:
    """The outcomes of all rounds."""

    def __init__(self) -> None:
        self._outcomes: dict[Key, list[Outcome]] = defaultdict(list)

    def add(self, scenario: str, point: str, client: str, outcome: Outcome) -> None:
        """Take the outcome of one round."""
        self._outcomes[scenario, point, client].append(outcome)

    def outcomes(self, scenario: str, point: str, client: str) -> list[Outcome]:
        """Return the outcomes of all rounds."""
        return self._outcomes.get((scenario, point, client), [])

    def figure(self, scenario: str, point: str, client: str, name: str) -> float:
        """Return the median of a figure over the rounds that have it; NaN if none has."""
        values = [one.figures[name] for one in self.outcomes(scenario, point, client) if name in one.figures]
        return median(values)

    def ratio(self, scenario: str, point: str, client: str, name: str, *, peer: str) -> float:
        """Return a figure as a multiple of the peer's: the median of what it is in each round; NaN if none has both."""
        pairs = zip(self.outcomes(scenario, point, client), self.outcomes(scenario, point, peer), strict=False)
        ratios = [
            ours.figures[name] / theirs.figures[name]
            for ours, theirs in pairs
            if math.isfinite(ours.figures.get(name, math.nan)) and 0 < theirs.figures.get(name, 0) < math.inf
        ]
        return median(ratios)

    def points(self, scenario: str) -> list[str]:
        """Return the points of a scenario, in the order they were measured."""
        return list(dict.fromkeys(point for name, point, _ in self._outcomes if name == scenario))

    def clients(self, scenario: str) -> list[str]:
        """Return the clients of a scenario, in the order they were measured."""
        return list(dict.fromkeys(client for name, _, client in self._outcomes if name == scenario))

    def scenarios(self) -> list[str]:
        """Return the scenarios, in the order they were measured."""
        return list(dict.fromkeys(name for name, _, _ in self._outcomes))

    def doubtful(self, scenario: str, point: str, client: str) -> bool:
        """Tell whether something else than the client may have been the limit in most rounds."""
        outcomes = self.outcomes(scenario, point, client)
        return sum(bool(one.limited) for one in outcomes) * 2 > len(outcomes)

    def saturated(self, scenario: str, point: str, client: str) -> bool:
        """Tell whether a client did not say back what it heard within the window."""
        return self.figure(scenario, point, client, "kept_up") < KEPT_UP

    def faulty(self) -> list[tuple[Key, str]]:
        """Return who lost or mixed up samples, and how many."""
        return [(key, one.faults) for key, outcomes in self._outcomes.items() for one in outcomes if one.faults]

    def to_json(self) -> list[dict[str, object]]:
        """Return everything as JSON values."""
        return [
            {
                "scenario": scenario,
                "point": point,
                "client": client,
                "medians": {
                    name: _finite(self.figure(scenario, point, client, name))
                    for name in dict.fromkeys(name for one in outcomes for name in one.figures)
                },
                "rounds": [attrs.asdict(_without_infinities(one)) for one in outcomes],
            }
            for (scenario, point, client), outcomes in self._outcomes.items()
        ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _without_infinities(outcome: Outcome) -> Outcome:
    return attrs.evolve(outcome, figures={k: v for k, v in outcome.figures.items() if math.isfinite(v)})
