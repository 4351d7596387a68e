"""Start a client, put a load on it, print what was measured."""

import asyncio
import contextlib
import os
import ssl
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

import uvloop

from benchmarks.speed.gateway import loads
from benchmarks.speed.gateway.loads import Load
from benchmarks.speed.gateway.measuring import Client
from benchmarks.speed.gateway.relay import relay
from benchmarks.speed.gateway.service import Service
from benchmarks.speed.meter import cpu_clock
from benchmarks.speed.orders import Order, Outcome

LOADS: dict[str, Load] = {load.__name__: load for load in (loads.echo, loads.flat, loads.storm, loads.commands, relay)}
JOBS = {"flat": "echo", "storm": "echo"}
"""What the client is to do under a load, where it has another name."""
_TRUST = ("SSL_CERT_FILE", "SIGNALWIRE_RELAY_CA_FILE")
_ARRIVES_WITHIN = 20.0
_ENDS_WITHIN = 60.0


def _certificates(folder: Path) -> ssl.SSLContext:
    """Make a certificate for this machine; whom to trust for it is ``ca.pem``."""
    import trustme  # noqa: PLC0415 - costs more than all the rest, and few orders need it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


async def carry_out(order: Order) -> Outcome:
    """Carry out an order."""
    service = Service()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await service.open(_certificates(folder) if order.tls else None)
        trusted = dict.fromkeys(_TRUST, f"{folder / 'ca.pem'}") if order.tls else {}
        with (folder / "complaints").open("w+b") as complaints:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.speed.clients"),
                *(order.client, JOBS.get(order.load, order.load), service.url),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=complaints,
                env={**os.environ, **trusted},
            )
            try:
                if await _arrives(service, process):
                    client = Client(process.pid, cpu_clock(process.pid))
                    async with asyncio.timeout(_ENDS_WITHIN):
                        return await LOADS[order.load](service, client, order)
                problem = "the client did not come"
            except TimeoutError:
                problem = "no end in time"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines()
            return Outcome(failed=f"{problem}; the client says: {said[-1] if said else 'nothing'}")


async def _arrives(service: Service, process: Process) -> bool:
    """Wait until the client is ready; False when it has ended, or takes too long."""
    tasks = [asyncio.ensure_future(one) for one in (service.ready.wait(), process.wait())]
    await asyncio.wait(tasks, timeout=_ARRIVES_WITHIN, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    return service.ready.is_set()


if __name__ == "__main__":
    print(uvloop.run(carry_out(Order.from_json(sys.argv[1]))).to_json())
