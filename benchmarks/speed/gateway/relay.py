"""The load on a RELAY client: requests, actions that are started, events that are dispatched."""

import asyncio

from benchmarks.speed.clients.relay import PER_CALL
from benchmarks.speed.gateway.desk import Desk
from benchmarks.speed.gateway.measuring import Client, Window
from benchmarks.speed.gateway.service import Service
from benchmarks.speed.orders import Order, Outcome

_CALLS, _WARM_UP_CALLS = 10, 2
_IN_FLIGHT = 50


async def relay(service: Service, client: Client, order: Order) -> Outcome:
    """Measure all three, one after the other."""
    desk = service.desk
    figures: dict[str, float] = {}
    windows: list[Window] = []
    try:
        for kind, method, name in (
            ("requests", "calling.send_digits", "request_us"),
            ("plays", "calling.play", "play_us"),
        ):
            window = await _burst(desk, client, kind, method)
            figures[name] = window.cpu / (_CALLS * PER_CALL) * 1e6
            windows.append(window)
        window = await _events(desk, client, order.count)
    except TimeoutError:
        return Outcome(failed="the client did not do all it should")
    figures["event_us"] = window.cpu / order.count * 1e6
    windows.append(window)
    if desk.seen != {"events-1": order.count}:
        return Outcome(failed=f"the client has seen {desk.seen} of {order.count} events")
    return Outcome(figures=figures, limited=max(windows, key=lambda one: one.waited / one.seconds).limited())


async def _burst(desk: Desk, client: Client, kind: str, method: str) -> Window:
    """Let the client do something many times on each of some calls."""
    for number in range(_WARM_UP_CALLS):
        desk.announce(f"{kind}-warm-{number}")
    done = desk.counts[method]
    await desk.until(method, done + _WARM_UP_CALLS * PER_CALL)
    await asyncio.sleep(0.05)
    window = Window(client)
    for number in range(_CALLS):
        desk.announce(f"{kind}-{number}")
    await desk.until(method, desk.counts[method] + _CALLS * PER_CALL)
    await asyncio.sleep(0.02)  # for what the client makes of the last answer
    window.close()
    return window


async def _events(desk: Desk, client: Client, count: int) -> Window:
    """Push events of an action somebody listens to, so many at a time, each to be acknowledged."""
    call = "events-1"
    desk.announce(call)
    await desk.until("bench.ready", 1)
    playing = {"call_id": call, "node_id": "node", "control_id": desk.actions[call], "state": "playing"}
    await asyncio.sleep(0.05)
    acknowledged = desk.counts["acknowledged"]
    window = Window(client)
    for pushed in range(0, count, _IN_FLIGHT):
        for _ in range(_IN_FLIGHT):
            desk.push("calling.call.play", playing)
        await desk.until("acknowledged", acknowledged + pushed + _IN_FLIGHT)
    await asyncio.sleep(0.02)
    window.close()
    desk.push("calling.call.state", {"call_id": call, "node_id": "node", "call_state": "ended", "end_reason": "hangup"})
    await desk.until("bench.seen", 1)
    return window
