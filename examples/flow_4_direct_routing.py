"""Flow 4, direct routing: ring the callee at once; the agent never picks up itself."""

import os

import anyio

from telcoflow_anyio import ActiveCall, TelcoflowClient, TelcoflowClientConfig, events


def register(client: TelcoflowClient) -> None:
    """Say what happens to incoming calls."""

    @client.on(events.INCOMING_CALL)
    async def route(call: ActiveCall) -> None:
        await call.connect()


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
