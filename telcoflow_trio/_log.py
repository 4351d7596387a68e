"""The loggers of this package. Payloads, numbers and credentials are never logged."""

import logging
from collections.abc import MutableMapping
from typing import Any  # the signature of logging.LoggerAdapter.process

client = logging.getLogger("telcoflow_trio")
control = logging.getLogger("telcoflow_trio.control")
media = logging.getLogger("telcoflow_trio.media")
relay = logging.getLogger("telcoflow_trio.relay")

client.addHandler(logging.NullHandler())


def of_call(call_id: str) -> logging.LoggerAdapter[logging.Logger]:
    """Return the media logger with the call's id in every record, as ``call_id`` and in the text."""
    return _CallLogger(media, {"call_id": call_id})


class _CallLogger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: str, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        call_id = (self.extra or {}).get("call_id", "?")
        return f"[{call_id}] {msg}", {**kwargs, "extra": self.extra}
