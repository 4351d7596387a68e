"""The loads that are put on a client over the Telcoflow wire."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable

import attrs

from benchmarks.speed.echo_check import PCM_BYTES, Faults
from benchmarks.speed.figures import percentile
from benchmarks.speed.gateway.measuring import Client, Window
from benchmarks.speed.gateway.pace import Pacer
from benchmarks.speed.gateway.service import Call, Service
from benchmarks.speed.meter import rss, wants_to_run
from benchmarks.speed.orders import Order, Outcome

AT_ONCE = 32
"""Calls that ring at once where ringing is not what is measured."""

_IN_FLIGHT = 48
"""Frames under way on a call that goes flat out: less than the credit that is always left."""

Load = Callable[[Service, Client, Order], Awaitable[Outcome]]


async def echo(service: Service, client: Client, order: Order) -> Outcome:
    """Say what is heard, in real time."""
    reached = await service.establish(order.count, at_once=AT_ONCE)
    if reached < order.count:
        return Outcome(failed=f"only {reached} of {order.count} calls were answered")
    _collect_no_more()
    pacer = Pacer(service.calls)
    await asyncio.sleep(order.warm_up)
    service.latencies.clear()
    pacer.lags.clear()
    said, echoed = pacer.said, service.echoed
    window = Window(client)
    await asyncio.sleep(order.seconds)
    window.close()
    said, echoed = pacer.said - said, service.echoed - echoed
    latencies, lags = service.latencies.copy(), pacer.lags.copy()
    memory = rss(client.pid)
    pacer.stop()
    drained = await _drain(service, client)
    figures = {
        "cpu_us": window.cpu / echoed * 1e6 if echoed else float("inf"),
        "cpu_share": window.cpu / window.seconds,
        "cpu_us_per_call_second": window.cpu / order.count / window.seconds * 1e6,
        "p50_ms": percentile(latencies, 50) / 1e6,
        "p99_ms": percentile(latencies, 99) / 1e6,
        "kept_up": echoed / said,
        "rss_kib": memory / 1024,
        "lag_p99_ms": percentile(lags, 99) * 1000,
        "gateway_share": window.own / window.seconds,
        "starved_share": window.waited / window.seconds,
    }
    return _checked(Outcome(figures=figures, limited=window.limited(lags)), service, drained=drained)


async def _drain(service: Service, client: Client) -> bool:
    """Wait until everything is back, or the client has nothing more to say; False when there was no end to it."""
    for _ in range(4):
        before, busy = service.echoed, False
        window = Window(client)
        for _ in range(50):
            await asyncio.sleep(0.02)
            busy = busy or wants_to_run(client.pid)
            if not any(call.check.outstanding for call in service.calls):
                await asyncio.sleep(0.02)  # for what comes twice
                return True
        window.close()
        if service.echoed == before and window.idle and not busy:
            return True
    return False


def _collect_no_more() -> None:
    """Keep the collector of this process out of the window."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _checked(outcome: Outcome, service: Service, *, drained: bool) -> Outcome:
    """Add what is wrong with the audio that came back, and whether all of it did."""
    left = sum(call.check.outstanding for call in service.calls)
    faults = Faults()
    for call in service.calls:
        faults.add(call.check.finish() if drained else call.check.faults)
    notes = [] if drained else [f"{left} frames were still on their way back when the time was up"]
    if service.lost_calls:
        notes.append(f"the client let {service.lost_calls} calls go")
    return attrs.evolve(outcome, faults=faults.text(), note="; ".join(notes))


async def flat(service: Service, client: Client, order: Order) -> Outcome:
    """Say a frame for each that comes back, on one call: as fast as the client goes."""
    if not await service.establish(1, at_once=1):
        return Outcome(failed="no call was answered")
    _collect_no_more()
    service.on_echo = Call.reply
    call = service.calls[0]
    for _ in range(_IN_FLIGHT):
        call.say()
    await asyncio.sleep(order.warm_up)
    echoed = service.echoed
    window = Window(client)
    await asyncio.sleep(order.seconds)
    window.close()
    echoed = service.echoed - echoed
    if not echoed:
        return Outcome(failed="nothing came back")
    service.on_echo = lambda _call, _last: None
    drained = await _drain(service, client)
    megabytes = echoed * PCM_BYTES / 1e6
    figures = {
        "frames_per_second": echoed / window.seconds,
        "megabytes_per_second": megabytes / window.seconds,
        "cpu_ms_per_megabyte": window.cpu / megabytes * 1e3,
        "cpu_share": window.cpu / window.seconds,
        "gateway_share": window.own / window.seconds,
        "starved_share": window.waited / window.seconds,
    }
    return _checked(Outcome(figures=figures, limited=window.limited()), service, drained=drained)


async def storm(service: Service, client: Client, order: Order) -> Outcome:
    """Announce calls, all at once."""
    begun = time.monotonic()
    window = Window(client)
    reached = await service.establish(order.count, at_once=order.count)
    window.close()
    if not reached:
        return Outcome(failed=f"none of {order.count} calls was answered")
    figures = {
        "calls_per_second": reached / (service.last_answer - begun),
        "cpu_us": window.cpu / reached * 1e6,
        "answered": reached,
        "gateway_share": window.own / window.seconds,
        "starved_share": window.waited / window.seconds,
    }
    note = "" if reached == order.count else f"{reached} of {order.count} were answered"
    return Outcome(figures=figures, note=note, limited=window.limited())


async def commands(service: Service, client: Client, order: Order) -> Outcome:
    """Answer the commands that calls give, one after the other on each, as fast as the client gives them."""
    reached = await service.establish(order.count, at_once=AT_ONCE)
    if reached < order.count:
        return Outcome(failed=f"only {reached} of {order.count} calls were answered")
    await asyncio.sleep(order.warm_up)
    done = service.commands
    window = Window(client)
    await asyncio.sleep(order.seconds)
    window.close()
    done = service.commands - done
    if not done:
        return Outcome(failed="no command was given")
    figures = {
        "cpu_us": window.cpu / done * 1e6,
        "commands_per_second": done / window.seconds,
        "gateway_share": window.own / window.seconds,
        "starved_share": window.waited / window.seconds,
    }
    return Outcome(figures=figures, limited=window.limited())
