"""What one run of a client is: which client, under which load. It goes to the load gateway as JSON."""

import json
from typing import Self, final

import attrs


@final
@attrs.frozen(kw_only=True)
class Order:
    """One client under one load. ``count`` is calls, commands or requests, as the load has it."""

    client: str
    load: str
    count: int
    tls: bool = False
    warm_up: float = 0.5
    seconds: float = 2.0

    def to_json(self) -> str:
        """Write it as text."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` has written."""
        return cls(**json.loads(text))


@final
@attrs.frozen(kw_only=True)
class Outcome:
    """What came of an order: figures by name, or why there are none."""

    figures: dict[str, float] = attrs.field(factory=dict)
    faults: str = ""
    """What is wrong with the audio that came back; empty when every sample did, once and in order."""
    note: str = ""
    """What a reader should know beside the figures."""
    failed: str = ""
    """Why there are no figures."""
    limited: str = ""
    """Why the load gateway may have been the limit."""

    def to_json(self) -> str:
        """Write it as text."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` has written."""
        return cls(**json.loads(text))
