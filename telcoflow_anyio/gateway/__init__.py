"""A local, Telcoflow-compatible phone service for development, tests and demos, on real sockets."""

from telcoflow_anyio.gateway.audio import Voice, frame_bytes, mix, read_wav, skip_silence, write_wav
from telcoflow_anyio.gateway.calls import CallStatistics, GatewayCall
from telcoflow_anyio.gateway.faults import Faults
from telcoflow_anyio.gateway.journal import LogEntry
from telcoflow_anyio.gateway.line import CommandTaken
from telcoflow_anyio.gateway.parties import Callee, Caller
from telcoflow_anyio.gateway.relay import (
    MessageFate,
    RelayCallee,
    RelayCaller,
    RelayFaults,
    RelayService,
    RelayServiceCall,
)
from telcoflow_anyio.gateway.service import SAMPLE_RATES, Gateway

__all__ = [
    "SAMPLE_RATES",
    "CallStatistics",
    "Callee",
    "Caller",
    "CommandTaken",
    "Faults",
    "Gateway",
    "GatewayCall",
    "LogEntry",
    "MessageFate",
    "RelayCallee",
    "RelayCaller",
    "RelayFaults",
    "RelayService",
    "RelayServiceCall",
    "Voice",
    "frame_bytes",
    "mix",
    "read_wav",
    "skip_silence",
    "write_wav",
]
