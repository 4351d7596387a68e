"""The pure protocol core of programmable phone calls: bytes and messages in, events out, frames out.

No I/O, no clock, no event loop. Pick a door: ``XConnection`` for who has a byte stream, ``X`` for who has
WebSocket messages; each in the client and the server role.
"""

from telcoflow_proto.attempt import Attempt
from telcoflow_proto.backoff import Backoff
from telcoflow_proto.chance import Entropy
from telcoflow_proto.client import ClientMachine
from telcoflow_proto.client_events import (
    CallIdentity,
    CallOffered,
    CallUnreachable,
    ClaimLost,
    ClientLost,
    ClientMachineEvent,
    ClientReady,
    ClientStatistics,
    SessionLost,
    TransportWanted,
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
