"""Programmable phone calls on asyncio and trio, through anyio."""

from typing import TYPE_CHECKING

from telcoflow_proto.lazy import exports

if TYPE_CHECKING:
    from telcoflow_anyio import events, exceptions
    from telcoflow_anyio.call import ActiveCall
    from telcoflow_anyio.client import AgenTaoClient, AgenTaoClientConfig, TelcoflowClient, TelcoflowClientConfig
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
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "telcoflow_anyio.events": "",
            "telcoflow_anyio.exceptions": "",
            "telcoflow_anyio.call": "ActiveCall",
            "telcoflow_anyio.client": "AgenTaoClient AgenTaoClientConfig TelcoflowClient TelcoflowClientConfig",
            "telcoflow_proto.backoff": "Backoff",
            "telcoflow_proto.client_events": "ClientStatistics",
            "telcoflow_proto.client_table": "ClientState",
            "telcoflow_proto.control.messages": "CallFlow InboundCalls MessageIn SessionInfo SessionNotice",
            "telcoflow_proto.events": "CallEvent ClientEvent",
            "telcoflow_proto.media.events": "EndReason",
            "telcoflow_proto.media.protocol": "MediaStatistics",
            "telcoflow_proto.media.table": "CallState",
            "telcoflow_proto.session": "Session",
            "telcoflow_proto.surface": "CommandResult",
        },
    )

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
