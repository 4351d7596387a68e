"""The media plane for who has a byte stream: the protocol behind a WebSocket link, and no rule more."""

from typing import final

from telcoflow_proto.chance import Entropy
from telcoflow_proto.door import ByteDoor
from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.events import ClientMediaEvent, ServerMediaEvent
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.origin import WsUrl
from telcoflow_proto.roles import Role
from telcoflow_proto.secret import Secret
from telcoflow_proto.version import WIRE_VERSION
from telcoflow_proto.websocket import Heartbeat, WebSocketLink

MEDIA_HEARTBEAT = Heartbeat(every=5.0, within=5.0)
"""A call with a dead connection is silence in somebody's ear: it is noticed within 10 seconds."""


@final
class MediaClientConnection(ByteDoor[ClientMediaEvent], MediaClient):
    """The agent's end of one call over any byte stream.

    ``url`` and ``token`` come from ``call.in``; check the URL with ``check_media_url`` first. Connect a stream
    to ``url.address`` and ``url.port`` (TLS if ``url.secure``), then drive it as ``ByteDoor`` says.
    """

    def __init__(
        self,
        *,
        url: WsUrl,
        token: str,
        entropy: Entropy,
        sample_rate: int = 24000,
        isolated: bool = False,
        buffer_size: int = DEFAULT_LIMITS.audio_out_bytes,
        heartbeat: Heartbeat = MEDIA_HEARTBEAT,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(
            entropy=entropy,
            sample_rate=sample_rate,
            isolated=isolated,
            buffer_size=buffer_size,
            limits=limits,
        )
        self.url = url
        self.token = Secret(token)
        self._link = WebSocketLink(
            Role.CLIENT,
            entropy=entropy,
            host=url.host_header,
            target=url.target,
            headers=[("Authorization", f"Bearer {token}"), ("x-sdk-version", WIRE_VERSION)],
            heartbeat=heartbeat,
            limits=limits,
        )


@final
class MediaServerConnection(ByteDoor[ServerMediaEvent], MediaServer):
    """The service's end of one call over any byte stream. ``UpgradeRequested`` wants ``accept`` or ``reject``."""

    def __init__(
        self,
        *,
        entropy: Entropy,
        sample_rate: int = 24000,
        heartbeat: Heartbeat = MEDIA_HEARTBEAT,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(entropy=entropy, sample_rate=sample_rate, limits=limits)
        self._link = WebSocketLink(Role.SERVER, entropy=entropy, heartbeat=heartbeat, limits=limits)
