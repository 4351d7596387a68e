"""The version of the wire we speak, which is not the version of this package."""

WIRE_VERSION = "1.0.0"
"""Sent as ``x-sdk-version``; a service may refuse older ones with HTTP 426."""
AGENT = "telcoflow-proto/0.1.0"
"""How we name ourselves where a dialect asks for it."""
