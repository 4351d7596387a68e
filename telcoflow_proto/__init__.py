"""The pure protocol core of programmable phone calls: bytes and messages in, events out, frames out.

No I/O, no clock, no event loop. Pick a door: ``XConnection`` for who has a byte stream, ``X`` for who has
WebSocket messages; each in the client and the server role.
"""

from typing import TYPE_CHECKING

from telcoflow_proto.lazy import exports

if TYPE_CHECKING:
    from telcoflow_proto.attempt import Attempt
    from telcoflow_proto.backoff import Backoff
    from telcoflow_proto.chance import Entropy
    from telcoflow_proto.client import ClientMachine
    from telcoflow_proto.client_events import (
        CallIdentity,
        CallOffered,
        CallUnreachable,
        ClaimLost,
        ClientMachineEvent,
        ClientStatistics,
        SessionLost,
    )
    from telcoflow_proto.client_table import ClientState
    from telcoflow_proto.config import CONTROL_PATH, ClientConfig
    from telcoflow_proto.control.client import ControlClient
    from telcoflow_proto.control.connection import ControlClientConnection, ControlServerConnection
    from telcoflow_proto.control.events import (
        ClientControlEvent,
        RequestDone,
        RequestReceived,
        ServerControlEvent,
        SessionReadied,
        SetupCompleted,
        SetupRequested,
    )
    from telcoflow_proto.control.messages import (
        CallFlow,
        CallIn,
        Channel,
        CreateSession,
        InboundCalls,
        MessageIn,
        OpenSession,
        Requested,
        SendMessage,
        SessionClosed,
        SessionInfo,
        SessionNotice,
        Setup,
        SetUpCallFlow,
    )
    from telcoflow_proto.control.server import ControlServer
    from telcoflow_proto.control.table import ControlState, SessionState
    from telcoflow_proto.door import (
        ByteDoor,
        ConnectionLost,
        ConnectionOpened,
        DoorEvent,
        FrameDropped,
        Message,
        MessageDoor,
    )
    from telcoflow_proto.errors import (
        CallOver,
        HandshakeRefused,
        LimitExceeded,
        LocalProtocolError,
        PeerSilent,
        PlayoutFull,
        ProtocolError,
        RemoteProtocolError,
        TransportFailed,
    )
    from telcoflow_proto.handshake import UpgradeRequested
    from telcoflow_proto.life_events import ClientLost, ClientReady, TransportWanted
    from telcoflow_proto.limits import DEFAULT_LIMITS, Limits
    from telcoflow_proto.media.client import MediaClient
    from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
    from telcoflow_proto.media.events import (
        AudioArrived,
        CallChanged,
        CallEnded,
        CallErrorReported,
        CallFailedToMove,
        CallNoticed,
        ClientMediaEvent,
        CommandDone,
        CommandExpired,
        CommandReceived,
        EndReason,
        PlayoutFinished,
        ServerMediaEvent,
    )
    from telcoflow_proto.media.messages import Command
    from telcoflow_proto.media.protocol import MediaStatistics
    from telcoflow_proto.media.server import MediaServer
    from telcoflow_proto.media.table import CallState, CallWord
    from telcoflow_proto.origin import WsUrl, check_media_url, parse_ws_url
    from telcoflow_proto.replies import Outcome
    from telcoflow_proto.roles import Role
    from telcoflow_proto.secret import Secret
    from telcoflow_proto.version import WIRE_VERSION
    from telcoflow_proto.websocket import Close, Heartbeat, LinkLost, LinkOpened, WebSocketLink
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "telcoflow_proto.attempt": "Attempt",
            "telcoflow_proto.backoff": "Backoff",
            "telcoflow_proto.chance": "Entropy",
            "telcoflow_proto.client": "ClientMachine",
            "telcoflow_proto.client_events": (
                "CallIdentity CallOffered CallUnreachable ClaimLost ClientMachineEvent ClientStatistics SessionLost"
            ),
            "telcoflow_proto.life_events": "ClientLost ClientReady TransportWanted",
            "telcoflow_proto.client_table": "ClientState",
            "telcoflow_proto.config": "CONTROL_PATH ClientConfig",
            "telcoflow_proto.control.client": "ControlClient",
            "telcoflow_proto.control.connection": "ControlClientConnection ControlServerConnection",
            "telcoflow_proto.control.events": (
                "ClientControlEvent RequestDone RequestReceived ServerControlEvent SessionReadied SetupCompleted "
                "SetupRequested"
            ),
            "telcoflow_proto.control.messages": (
                "CallFlow CallIn Channel CreateSession InboundCalls MessageIn OpenSession Requested SendMessage "
                "SessionClosed SessionInfo SessionNotice Setup SetUpCallFlow"
            ),
            "telcoflow_proto.control.server": "ControlServer",
            "telcoflow_proto.control.table": "ControlState SessionState",
            "telcoflow_proto.door": (
                "ByteDoor ConnectionLost ConnectionOpened DoorEvent FrameDropped Message MessageDoor"
            ),
            "telcoflow_proto.errors": (
                "CallOver HandshakeRefused LimitExceeded LocalProtocolError PeerSilent PlayoutFull ProtocolError "
                "RemoteProtocolError TransportFailed"
            ),
            "telcoflow_proto.handshake": "UpgradeRequested",
            "telcoflow_proto.limits": "DEFAULT_LIMITS Limits",
            "telcoflow_proto.media.client": "MediaClient",
            "telcoflow_proto.media.connection": "MediaClientConnection MediaServerConnection",
            "telcoflow_proto.media.events": (
                "AudioArrived CallChanged CallEnded CallErrorReported CallFailedToMove CallNoticed "
                "ClientMediaEvent CommandDone CommandExpired CommandReceived EndReason PlayoutFinished "
                "ServerMediaEvent"
            ),
            "telcoflow_proto.media.messages": "Command",
            "telcoflow_proto.media.protocol": "MediaStatistics",
            "telcoflow_proto.media.server": "MediaServer",
            "telcoflow_proto.media.table": "CallState CallWord",
            "telcoflow_proto.origin": "WsUrl check_media_url parse_ws_url",
            "telcoflow_proto.replies": "Outcome",
            "telcoflow_proto.roles": "Role",
            "telcoflow_proto.secret": "Secret",
            "telcoflow_proto.version": "WIRE_VERSION",
            "telcoflow_proto.websocket": "Close Heartbeat LinkLost LinkOpened WebSocketLink",
        },
    )

__all__ = (
    "CONTROL_PATH",
    "DEFAULT_LIMITS",
    "WIRE_VERSION",
    "Attempt",
    "AudioArrived",
    "Backoff",
    "ByteDoor",
    "CallChanged",
    "CallEnded",
    "CallErrorReported",
    "CallFailedToMove",
    "CallFlow",
    "CallIdentity",
    "CallIn",
    "CallNoticed",
    "CallOffered",
    "CallOver",
    "CallState",
    "CallUnreachable",
    "CallWord",
    "Channel",
    "ClaimLost",
    "ClientConfig",
    "ClientControlEvent",
    "ClientLost",
    "ClientMachine",
    "ClientMachineEvent",
    "ClientMediaEvent",
    "ClientReady",
    "ClientState",
    "ClientStatistics",
    "Close",
    "Command",
    "CommandDone",
    "CommandExpired",
    "CommandReceived",
    "ConnectionLost",
    "ConnectionOpened",
    "ControlClient",
    "ControlClientConnection",
    "ControlServer",
    "ControlServerConnection",
    "ControlState",
    "CreateSession",
    "DoorEvent",
    "EndReason",
    "Entropy",
    "FrameDropped",
    "HandshakeRefused",
    "Heartbeat",
    "InboundCalls",
    "LimitExceeded",
    "Limits",
    "LinkLost",
    "LinkOpened",
    "LocalProtocolError",
    "MediaClient",
    "MediaClientConnection",
    "MediaServer",
    "MediaServerConnection",
    "MediaStatistics",
    "Message",
    "MessageDoor",
    "MessageIn",
    "OpenSession",
    "Outcome",
    "PeerSilent",
    "PlayoutFinished",
    "PlayoutFull",
    "ProtocolError",
    "RemoteProtocolError",
    "RequestDone",
    "RequestReceived",
    "Requested",
    "Role",
    "Secret",
    "SendMessage",
    "ServerControlEvent",
    "ServerMediaEvent",
    "SessionClosed",
    "SessionInfo",
    "SessionLost",
    "SessionNotice",
    "SessionReadied",
    "SessionState",
    "SetUpCallFlow",
    "Setup",
    "SetupCompleted",
    "SetupRequested",
    "TransportFailed",
    "TransportWanted",
    "UpgradeRequested",
    "WebSocketLink",
    "WsUrl",
    "check_media_url",
    "parse_ws_url",
)
