"""Programmable phone calls on trio, natively."""

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_events import ClientStatistics
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.control.messages import CallFlow, InboundCalls, MessageIn, SessionInfo, SessionNotice
from telcoflow_proto.events import CallEvent, ClientEvent
from telcoflow_proto.media.events import EndReason
from telcoflow_proto.media.protocol import MediaStatistics
from telcoflow_proto.media.table import CallState
from telcoflow_proto.session import Session
from telcoflow_proto.surface import CommandResult
from telcoflow_trio import events, exceptions
from telcoflow_trio.call import ActiveCall
from telcoflow_trio.client import TelcoflowClient, TelcoflowClientConfig

# The vendor's later names for the same two.
AgenTaoClient = TelcoflowClient
AgenTaoClientConfig = TelcoflowClientConfig

__all__ = (
    "ActiveCall",
    "AgenTaoClient",
    "AgenTaoClientConfig",
    "Backoff",
    "CallEvent",
    "CallFlow",
    "CallState",
    "ClientEvent",
    "ClientState",
    "ClientStatistics",
    "CommandResult",
    "EndReason",
    "InboundCalls",
    "MediaStatistics",
    "MessageIn",
    "Session",
    "SessionInfo",
    "SessionNotice",
    "TelcoflowClient",
    "TelcoflowClientConfig",
    "events",
    "exceptions",
)
