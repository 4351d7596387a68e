"""Flow 1, answer and talk: the agent says back what it hears, then closes."""

import os

import anyio

from telcoflow_anyio import ActiveCall, TelcoflowClient, TelcoflowClientConfig, events


def respond(chunk: bytes) -> bytes:
    """Stand in for a voice model: what was heard is what is said."""
    return chunk


def register(client: TelcoflowClient) -> None:
    """Say what happens to incoming calls."""

    @client.on(events.INCOMING_CALL)
    async def handle_call(call: ActiveCall) -> None:
        await call.answer()
        async for chunk in call.audio_stream():
            await call.send_audio(respond(chunk))
        await call.close()


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
