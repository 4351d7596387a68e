"""Answer whoever calls, greet them, record what they say, and tell how the call ended."""

from telcoflow_anyio.relay import Call, RelayClient, RelayEvent


def register(client: RelayClient) -> None:
    """Say what happens to incoming calls."""

    @client.on_call
    async def greet(call: Call) -> None:
        await call.answer()
        greeting = await call.play_tts("Hello! Please tell us your name after the tone.")
        await greeting.wait()

        def recorded(event: RelayEvent) -> None:
            print(f"recorded {event.params.get('duration')} s: {event.params.get('url')}")

        await call.record({"beep": True, "end_silence_timeout": 2.0, "max_length": 20.0}, on_completed=recorded)
        ended = await call.wait_for_ended()
        print(f"the call is over: {ended.params.get('end_reason')}")


def main() -> None:
    """Connect to the service that SIGNALWIRE_SPACE names and take calls until interrupted."""
    client = RelayClient(contexts=["default"])
    register(client)
    client.run()


if __name__ == "__main__":
    main()
