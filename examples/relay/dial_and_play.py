"""Call somebody, play them a message, and hang up."""

import sys

import anyio

from telcoflow_anyio.relay import RelayClient, RelayError


async def remind(client: RelayClient, number: str, text: str) -> bool:
    """Call ``number`` and say ``text``. Return whether it was heard to the end."""
    phone = {"type": "phone", "params": {"to_number": number, "from_number": "+15550000", "timeout": 20}}
    try:
        call = await client.dial([[phone]], dial_timeout=30)
    except RelayError as error:
        print(f"nobody was reached: {error.message}")
        return False
    message = await call.play_tts(text)
    event = await message.wait()
    await call.hangup()
    return bool(event.params.get("state") == "finished")


async def main(number: str) -> None:
    """Connect to the service that SIGNALWIRE_SPACE names, and call."""
    async with RelayClient(contexts=["default"]) as client:
        heard = await remind(client, number, "Your appointment is tomorrow at nine.")
        print("they heard it" if heard else "they did not hear it")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else "+15550002")
