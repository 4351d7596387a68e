"""The control plane for who has a byte stream: the protocol behind a WebSocket link, and no rule more."""

from typing import final

from telcoflow_proto.chance import Entropy
from telcoflow_proto.control.client import ControlClient
from telcoflow_proto.control.events import ClientControlEvent, ServerControlEvent
from telcoflow_proto.control.server import ControlServer
from telcoflow_proto.door import ByteDoor
from telcoflow_proto.handshake import Headers
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.roles import Role
from telcoflow_proto.version import WIRE_VERSION
from telcoflow_proto.websocket import Heartbeat, WebSocketLink

CONTROL_HEARTBEAT = Heartbeat(every=15.0, within=5.0)
"""The vendor's client pings every 30 seconds and waits 10; a dead control connection means missed calls."""


@final
class ControlClientConnection(ByteDoor[ClientControlEvent], ControlClient):
    """The agent's end of a control connection over any byte stream.

    ``url`` is the base URL with ``config.CONTROL_PATH``; ``credentials`` are the header lines that prove who we are
    (none with a client certificate). Connect a stream to ``url.address`` and ``url.port`` (TLS if
    ``url.secure``), then drive it as ``ByteDoor`` says.
    """

    def __init__(
        self,
        *,
        url: WsUrl,
        credentials: Headers,
        entropy: Entropy,
        sample_rate: int = 24000,
        audio_mode: str = "mixed",
        heartbeat: Heartbeat = CONTROL_HEARTBEAT,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(entropy=entropy, sample_rate=sample_rate, audio_mode=audio_mode, limits=limits)
        self.url = url
        self._link = WebSocketLink(
            Role.CLIENT,
            entropy=entropy,
            host=url.host_header,
            target=url.target,
            headers=[*credentials, ("x-sdk-version", WIRE_VERSION)],
            heartbeat=heartbeat,
            limits=limits,
        )


@final
class ControlServerConnection(ByteDoor[ServerControlEvent], ControlServer):
    """The service's end over any byte stream. ``UpgradeRequested`` wants ``accept`` or ``reject``."""

    def __init__(
        self,
        *,
        entropy: Entropy,
        heartbeat: Heartbeat = CONTROL_HEARTBEAT,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(entropy=entropy, limits=limits)
        self._link = WebSocketLink(Role.SERVER, entropy=entropy, heartbeat=heartbeat, limits=limits)
