"""Which end of a connection we are. The state tables are the same for both."""

from typing import final

from telcoflow_proto.symbol import Symbol


@final
class Role(Symbol):
    """One end of a connection: the agent's program (client) or the Telcoflow service (server)."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def peer(self) -> "Role":
        """The other end."""
        return Role.SERVER if self is Role.CLIENT else Role.CLIENT
