"""Bad weather on purpose: what a test may do to a RELAY service."""

from typing import final

import attrs


@final
@attrs.define(eq=False, kw_only=True)
class RelayFaults:
    """Adjustable at any time; what is already under way stays as it was. Methods are named as on the wire."""

    delay: float = 0.0
    """Real seconds every answer and event spends on the way; they never overtake each other. Pings are not late."""
    delay_of: dict[str, float] = attrs.field(factory=dict)
    """Real seconds the answer to a method is late; the method itself is carried out, and its events come, in time."""
    refuse: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    """Methods to answer with a result that says no, each with its code and message. ``signalwire.connect`` has none."""
    fail: dict[str, tuple[int, str]] = attrs.field(factory=dict)
    """Methods to answer with a JSON-RPC error, each with its code and message."""
    ignore: set[str] = attrs.field(factory=set)
    """Methods that get lost on their way to us. ``signalwire.connect`` makes a silent service, and a service that
    ignores ``signalwire.ping`` sends none either."""
    lose_events: set[str] = attrs.field(factory=set)
    """Types of events that are never sent, not even again."""
    duplicate_events: bool = False
    """Every event is sent twice, with the same id."""
    events_first: bool = False
    """The first events that follow from a request overtake its answer."""
