"""Which end of a connection we are. The state tables are the same for both."""

import enum
from typing import final


@final
class Role(enum.Enum):
    """One end of a connection: the agent's program (client) or the Telcoflow service (server)."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def peer(self) -> "Role":
        """The other end."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT
