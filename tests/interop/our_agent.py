"""A small agent on our adapters that hands a call over, or takes one over, in a process of its own.

python our_agent.py telcoflow_anyio handover BASE_URL    print the first call as JSON, and let go of it
python our_agent.py telcoflow_trio takeover BASE_URL     read a call from the standard input, answer,
                                                         send back one second of what is heard, close
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

SECOND = 48000


def main(module: str, scenario: str, base_url: str) -> None:
    """Play a scenario on the event loop that fits the adapter."""
    adapter: Any = importlib.import_module(module)
    loop: Any = importlib.import_module(module.removeprefix("telcoflow_"))

    async def hand_over() -> None:
        taken = loop.Event()
        config = adapter.TelcoflowClientConfig.sandbox(
            api_key="test-key", connector_uuid="test-connector", base_url=base_url
        )
        async with adapter.TelcoflowClient(config) as client:

            def write(call: Any) -> None:
                print(call.to_json(), flush=True)  # noqa: T201 - the output is the call
                taken.set()

            client.register_event_handler(adapter.events.INCOMING_CALL, write)
            await taken.wait()

    async def take_over() -> None:
        os.environ["TELCOFLOW_BASE_URL"] = base_url
        call = adapter.ActiveCall.from_json(sys.stdin.read())
        await call.answer()
        heard = 0
        async for chunk in call.audio_stream():
            chunk = chunk[: SECOND - heard]  # noqa: PLW2901 - the rest is not wanted
            heard += len(chunk)
            await call.send_audio(chunk)
            if heard == SECOND:
                break
        await call.close(drain=5)
        await call.wait_closed()

    loop.run(hand_over if scenario == "handover" else take_over)


if __name__ == "__main__":
    main(*sys.argv[1:])
