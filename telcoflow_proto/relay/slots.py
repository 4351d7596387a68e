"""How many clients of one process may be connected at once, where the environment sets a limit."""

from collections.abc import Mapping
from typing import final

from telcoflow_proto.exceptions import RelayLimitError

LIMIT_VARIABLE = "RELAY_MAX_CONNECTIONS"


@final
class Slots:
    """The clients that are connected, or about to be. A process has one of these for each adapter."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, client: object, environment: Mapping[str, str]) -> None:
        """Count a client, once. Raises RelayLimitError if the environment allows no further one."""
        if id(client) in self._taken:
            return
        variable = environment.get(LIMIT_VARIABLE, "").strip()
        if variable.isdecimal() and len(self._taken) >= max(1, int(variable)):
            raise RelayLimitError(
                -1,
                f"connection limit reached: {len(self._taken)} RELAY clients are connected, and {LIMIT_VARIABLE} "
                "allows no more in this process; disconnect one of them, or raise the limit",
            )
        self._taken.add(id(client))

    def free(self, client: object) -> None:
        """Count a client no more; harmless for one that is not counted."""
        self._taken.discard(id(client))
