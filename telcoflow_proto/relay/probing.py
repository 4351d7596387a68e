"""After an outage: which calls still exist, asked a few at a time, and asked again where nobody would tell."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import final

from telcoflow_proto.relay.client_events import CallRecord
from telcoflow_proto.relay.registry import CallRegistry

_AGAIN_AFTER = 60.0
_AT_ONCE = 16


@final
class Probes:
    """Looks for the calls of a registry. ``ask`` sends the question and returns its request id, None if it cannot.

    Calls that are *adrift* belong to a session the service has forgotten: no event will tell of their end, so they
    are looked for again every minute.
    """

    def __init__(self, registry: CallRegistry, ask: Callable[[CallRecord], str | None]) -> None:
        self._registry = registry
        self._ask = ask
        self._waiting: deque[str] = deque()
        self._asked: dict[str, str] = {}
        self._adrift: set[str] = set()
        self._again_at: float | None = None

    def set_adrift(self) -> None:
        """Every call there is belongs to a session that was lost."""
        self._adrift = set(self._registry.call_ids)

    def look_for(self, call_ids: Iterable[str], *, now: float) -> None:
        """Ask whether these calls still exist."""
        known = {*self._waiting, *self._asked.values()}
        self._waiting.extend(call_id for call_id in call_ids if call_id not in known)
        self._next(now)

    def answered(self, request_id: str, *, gone: bool, now: float) -> None:
        """A request has ended; harmless if it was none of these."""
        call_id = self._asked.pop(request_id, None)
        if call_id is None:
            return
        if gone:
            self._registry.gone(call_id)
        self._next(now)

    def stop(self) -> None:
        """The connection is gone; the next one begins anew."""
        self._waiting.clear()
        self._asked.clear()
        self._again_at = None

    def next_deadline(self) -> float | None:
        """Return when calls that are adrift are looked for again, in monotonic seconds, or None."""
        return self._again_at

    def handle_timeout(self, now: float) -> None:
        """Look again for what is adrift."""
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            self.look_for(sorted(self._adrift), now=now)

    def _next(self, now: float) -> None:
        while self._waiting and len(self._asked) < _AT_ONCE:
            record = self._registry.get(self._waiting.popleft())
            request_id = None if record is None else self._ask(record)
            if record is not None and request_id is not None:
                self._asked[request_id] = record.call_id
        self._adrift &= set(self._registry.call_ids)
        if self._adrift and self._again_at is None:
            self._again_at = now + _AGAIN_AFTER
