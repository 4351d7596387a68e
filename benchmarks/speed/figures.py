"""A little arithmetic over measurements."""

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least so many percent do not exceed; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the median; NaN of nothing."""
    return statistics.median(values) if values else math.nan


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much y grows with x, by least squares; NaN of fewer than two different x."""
    if len({x for x, _ in points}) < 2:
        return math.nan
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def crossing(points: Sequence[tuple[float, float]], bound: float) -> float:
    """Return the x at which y rises above a bound, between points on two logarithmic axes.

    If it never does, the last x; if it is above from the first on, 0. NaN of nothing.
    """
    before = None
    for x, y in points:
        if y > bound:
            if before is None:
                return 0.0
            x0, y0 = before
            part = (math.log(bound) - math.log(y0)) / (math.log(y) - math.log(y0))
            return math.exp(math.log(x0) + part * (math.log(x) - math.log(x0)))
        before = x, y
    return math.nan if before is None else before[0]
