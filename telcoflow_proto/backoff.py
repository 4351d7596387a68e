"""How long to wait before the next attempt to connect."""

from typing import final

import attrs


@final
@attrs.frozen(kw_only=True)
class Backoff:
    """Full jitter: an evenly drawn part of a ceiling that grows by half with each attempt. All values are seconds.

    The ceiling begins at ten times the shortest wait. With less, a thousand clients that lost one service for a moment
    come back as a crowd: so that no 100 ms see more than 5 % of them, whenever the service is back, it takes waits
    drawn from four and a half seconds. Who has few clients and wants them back sooner sets a lower ``ceiling``.
    """

    first: float = 0.5
    ceiling: float = 30.0
    healthy_after: float = 30.0
    """A connection that served this long starts the count afresh; accept-then-close does not."""

    def delay(self, attempt: int, *, fraction: float) -> float:
        """Return the wait before ``attempt`` (1 is the first retry), for a random ``fraction`` in 0..1.

        Never below ``first``: a retry that starts at once is how one client becomes a storm.
        """
        highest = max(self.first, min(self.ceiling, 10 * self.first * 1.5 ** min(attempt - 1, 16)))
        return self.first + fraction * (highest - self.first)
