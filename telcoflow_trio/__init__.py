"""Programmable phone calls on trio, natively."""

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_events import ClientStatistics
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.events import CallEvent, ClientEvent
from telcoflow_proto.media.events import EndReason
from telcoflow_proto.media.protocol import MediaStatistics
from telcoflow_proto.media.table import CallState
from telcoflow_proto.surface import CommandResult
from telcoflow_trio import events, exceptions
from telcoflow_trio.call import ActiveCall
from telcoflow_trio.client import TelcoflowClient, TelcoflowClientConfig

__all__ = (
    "ActiveCall",
    "Backoff",
    "CallEvent",
    "CallState",
    "ClientEvent",
    "ClientState",
    "ClientStatistics",
    "CommandResult",
    "EndReason",
    "MediaStatistics",
    "TelcoflowClient",
    "TelcoflowClientConfig",
    "events",
    "exceptions",
)
