"""A menu: ask which department, connect the caller to it, or take no for an answer."""

from telcoflow_anyio.relay import Call, RelayClient

DEPARTMENTS = {"1": "+15550101", "2": "+15550102"}
MENU = [{"type": "tts", "params": {"text": "Press 1 for sales, 2 for support."}}]


def register(client: RelayClient) -> None:
    """Say what happens to incoming calls."""

    @client.on_call
    async def menu(call: Call) -> None:
        await call.answer()
        number = await choose(call)
        if number is None:
            goodbye = await call.play_tts("We did not hear from you. Goodbye.")
            await goodbye.wait()
            await call.hangup()
            return
        caller = call.device.get("params")
        from_number = caller.get("from_number") if isinstance(caller, dict) else None
        phone = {"type": "phone", "params": {"to_number": number, "from_number": from_number, "timeout": 20}}
        await call.connect([[phone]], ringback=[{"type": "ringtone", "params": {"name": "us"}}])
        ended = await call.wait_for_ended()
        print(f"connected to {number}, over: {ended.params.get('end_reason')}")


async def choose(call: Call) -> str | None:
    """Ask up to three times; return the number of a department, None if nobody wants one."""
    for _ in range(3):
        action = await call.play_and_collect(MENU, {"initial_timeout": 5.0, "digits": {"max": 1}})
        event = await action.wait()
        digits = event.params.get("result", {}).get("params", {}).get("digits", "")
        if digits in DEPARTMENTS:
            return DEPARTMENTS[digits]
    return None


def main() -> None:
    """Connect to the service that SIGNALWIRE_SPACE names and take calls until interrupted."""
    client = RelayClient(contexts=["default"])
    register(client)
    client.run()


if __name__ == "__main__":
    main()
