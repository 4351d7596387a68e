"""How long to wait before the next attempt to connect."""

from typing import final

import attrs


@final
@attrs.frozen(kw_only=True)
class Backoff:
    """Full jitter: an evenly drawn part of a ceiling that doubles with each attempt.

    A fixed delay with a little jitter lets a thousand clients that lost the same server come back in the
    same half second. All values are seconds.
    """

    first: float = 0.5
    ceiling: float = 30.0
    healthy_after: float = 30.0
    """A connection that served this long starts the count afresh; accept-then-close does not."""

    def delay(self, attempt: int, *, fraction: float) -> float:
        """Return the wait before ``attempt`` (1 is the first retry), for a random ``fraction`` in 0..1.

        Never below ``first``: a retry that starts at once is how one client becomes a storm.
        """
        highest = max(self.first, min(self.ceiling, self.first * 2.0 ** min(attempt, 16)))
        return self.first + fraction * (highest - self.first)
