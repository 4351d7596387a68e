"""Call somebody: talk if a person answers, leave a message if a machine does, and keep a recording of it."""

import sys

import anyio

from telcoflow_anyio.relay import Call, RelayClient


async def is_machine(call: Call) -> bool:
    """Listen who has answered. In doubt it is a person: nobody likes to be talked to as a machine."""
    detection = await call.detect_answering_machine(initial_timeout=3.0, timeout=10.0)
    event = await detection.wait()
    return bool(event.params.get("detect", {}).get("params", {}).get("event") == "MACHINE")


async def deliver(client: RelayClient, number: str) -> str:
    """Call ``number``; return who was there, and where the recording is."""
    phone = {"type": "phone", "params": {"to_number": number, "from_number": "+15550000"}}
    call = await client.dial([[phone]], dial_timeout=30)
    machine = await is_machine(call)
    recording = await call.record({"direction": "both"})
    text = "Please call us back about your order." if machine else "Hello, we are calling about your order."
    message = await call.play_tts(text)
    await message.wait()
    await recording.stop()
    event = await recording.wait()
    await call.hangup()
    return f"{'a machine' if machine else 'a person'}, recorded: {event.params.get('url')}"


async def main(number: str) -> None:
    """Connect to the service that SIGNALWIRE_SPACE names, and call."""
    async with RelayClient(contexts=["default"]) as client:
        print(await deliver(client, number))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "+15550002")
