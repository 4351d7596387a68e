"""The loads that are put on a client over the Telcoflow wire."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

from benchmarks.speed.echo_check import Faults
from benchmarks.speed.figures import percentile
from benchmarks.speed.gateway.measuring import Client, Window
from benchmarks.speed.gateway.pace import Pacer
from benchmarks.speed.gateway.service import Service
from benchmarks.speed.meter import rss
from benchmarks.speed.orders import Order, Outcome

AT_ONCE = 32
"""Calls that ring at once where ringing is not what is measured."""

Load = Callable[[Service, Client, Order], Awaitable[Outcome]]


async def echo(service: Service, client: Client, order: Order) -> Outcome:
    """Say what is heard, in real time."""
    reached = await service.establish(order.count, at_once=AT_ONCE)
    if reached < order.count:
        return Outcome(failed=f"only {reached} of {order.count} calls were answered")
    gc.collect()
    gc.freeze()
    gc.disable()
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
    return Outcome(figures=figures, faults=_faults(service) if drained else "", limited=window.limited(lags))


async def _drain(service: Service, client: Client) -> bool:
    """Wait until everything is back, or the client has nothing more to say; False when there was no end to it."""
    for _ in range(8):
        before = service.echoed
        window = Window(client)
        for _ in range(25):
            await asyncio.sleep(0.02)
            if not any(call.check.outstanding for call in service.calls):
                await asyncio.sleep(0.02)  # for what comes twice
                return True
        window.close()
        if service.echoed == before and window.idle:
            return True
    return False


def _faults(service: Service) -> str:
    faults = Faults()
    for call in service.calls:
        faults.add(call.check.finish())
    return faults.text()
