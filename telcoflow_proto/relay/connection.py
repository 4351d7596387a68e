"""The RELAY dialect for who has a byte stream: the protocol behind a WebSocket link, and no rule more."""

from collections.abc import Sequence
from typing import final

from telcoflow_proto.chance import Entropy
from telcoflow_proto.door import ByteDoor
from telcoflow_proto.limits import RELAY_LIMITS, Limits
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.relay.client import RelayClientProtocol
from telcoflow_proto.relay.messages import ClientRelayEvent, Credentials, Resumption, ServerRelayEvent
from telcoflow_proto.relay.server import RelayServerProtocol
from telcoflow_proto.roles import Role
from telcoflow_proto.websocket import WebSocketLink


@final
class RelayClientConnection(ByteDoor[ClientRelayEvent], RelayClientProtocol):
    """The agent's end of a RELAY connection over any byte stream.

    Connect a stream to ``url.address`` and ``url.port`` (TLS if ``url.secure``), then drive it as ``ByteDoor``
    says. The dialect has pings of its own, so WebSocket pings are only answered.
    """

    def __init__(
        self,
        *,
        url: WsUrl,
        credentials: Credentials,
        contexts: Sequence[str] = (),
        resumption: Resumption | None = None,
        entropy: Entropy,
        limits: Limits = RELAY_LIMITS,
    ) -> None:
        super().__init__(
            credentials=credentials, contexts=contexts, resumption=resumption, entropy=entropy, limits=limits
        )
        self.url = url
        self._link = WebSocketLink(Role.CLIENT, entropy=entropy, host=url.host_header, target=url.target, limits=limits)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, in pieces of any size. Never raises for what the peer did."""
        self._heard(now)  # part of a long message is a sign of life, too
        super().receive_data(data, now=now)


@final
class RelayServerConnection(ByteDoor[ServerRelayEvent], RelayServerProtocol):
    """The service's end over any byte stream. ``UpgradeRequested`` wants ``accept`` or ``reject``."""

    def __init__(self, *, entropy: Entropy, limits: Limits = RELAY_LIMITS) -> None:
        super().__init__(entropy=entropy, limits=limits)
        self._link = WebSocketLink(Role.SERVER, entropy=entropy, limits=limits)
