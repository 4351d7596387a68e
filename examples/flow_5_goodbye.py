"""Flow 5, end the call for everyone: say goodbye to the last sample, then hang up."""

import math
import os
import struct

import anyio

from telcoflow_anyio import ActiveCall, TelcoflowClient, TelcoflowClientConfig, events


def tone(hz: float, seconds: float) -> bytes:
    """Stand in for a speech synthesiser: a sine wave, 16-bit mono PCM at 24 kHz."""
    count = int(seconds * 24000)
    return struct.pack(f"<{count}h", *(int(8000 * math.sin(math.tau * hz * n / 24000)) for n in range(count)))


GOODBYE = tone(330, 1.0)


def register(client: TelcoflowClient) -> None:
    """Say what happens to incoming calls."""

    @client.on(events.INCOMING_CALL)
    async def say_goodbye(call: ActiveCall) -> None:
        await call.answer()
        await call.send_audio(GOODBYE)
        await call.disconnect(drain=10)


async def main() -> None:
    """Connect to the gateway (or whatever TELCOFLOW_BASE_URL names) and take calls until interrupted."""
    config = TelcoflowClientConfig.sandbox(
        api_key=os.environ.get("TELCOFLOW_API_KEY", "test-key"),
        connector_uuid=os.environ.get("TELCOFLOW_CONNECTOR_UUID", "test-connector"),
        base_url=os.environ.get("TELCOFLOW_BASE_URL", "ws://127.0.0.1:8080"),
    )
    async with TelcoflowClient(config) as client:
        register(client)
        await client.run_forever()


if __name__ == "__main__":
    anyio.run(main)
