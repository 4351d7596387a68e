"""A local, RELAY-compatible phone service for development and tests; without sockets, the gateway brings those."""

from telcoflow_anyio.gateway.relay.calls import Played, Recording, RelayServiceCall
from telcoflow_anyio.gateway.relay.desk import Desk
from telcoflow_anyio.gateway.relay.faults import RelayFaults
from telcoflow_anyio.gateway.relay.parties import MessageFate, RelayCallee, RelayCaller
from telcoflow_anyio.gateway.relay.service import RelayService

__all__ = [
    "Desk",
    "MessageFate",
    "Played",
    "Recording",
    "RelayCallee",
    "RelayCaller",
    "RelayFaults",
    "RelayService",
    "RelayServiceCall",
]
