"""What is measured, of which clients: the plan of a run."""

import sys
from collections.abc import Iterator, Sequence
from typing import final

import attrs

from benchmarks.speed.orders import Order

LABELS = {
    "asyncio": "telcoflow_anyio (asyncio)",
    "anyio-trio": "telcoflow_anyio (trio)",
    "trio": "telcoflow_trio",
    "telcoflow": "telcoflow 1.0.0",
    "signalwire": "signalwire-sdk",
    "websockets": "websockets, bare",
    "picows": "picows, bare (C)",
}
OURS = ("asyncio", "anyio-trio", "trio")
CALLING = (*OURS, "telcoflow", "websockets", "picows")


@final
@attrs.frozen(kw_only=True)
class Job:
    """One measurement: a process that prints an ``Outcome``."""

    scenario: str
    point: str
    client: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", *self.arguments]


@final
@attrs.frozen(kw_only=True)
class Scale:
    """How much of everything."""

    calls: tuple[int, ...] = (10, 50, 100, 200, 400, 800)
    rounds: int = 3
    seconds: float = 1.5
    warm_up: float = 0.5


QUICK = Scale(calls=(10, 100), rounds=3, seconds=0.5, warm_up=0.3)


@final
@attrs.frozen(kw_only=True)
class Scenario:
    """One question, asked of several clients under a few loads."""

    name: str
    title: str
    load: str
    figure: str
    """Which figure the table shows and compares."""
    unit: str
    """What the table's first cell says of it."""
    of: str = ""
    """What a point is a number of."""
    beside: str = ""
    """A figure that is shown beside it."""
    beside_unit: str = ""
    clients: tuple[str, ...] = CALLING
    counts: tuple[int, ...] | None = None
    """Under which loads; None is as many calls as the scale has it."""
    tls: bool = False

    def jobs(self, scale: Scale) -> Iterator[list[Job]]:
        """Return the measurements of one round: what stands together is to be compared."""
        for count in self.counts or scale.calls:
            yield [self._job(client, count, scale) for client in self.clients]

    def _job(self, client: str, count: int, scale: Scale) -> Job:
        order = Order(
            client=client, load=self.load, count=count, tls=self.tls, warm_up=scale.warm_up, seconds=scale.seconds
        )
        arguments = ("benchmarks.speed.gateway", order.to_json())
        return Job(scenario=self.name, point=str(count), client=client, arguments=arguments)


_ECHO = Scenario(
    name="echo",
    title="Real-time echo, plain",
    load="echo",
    figure="cpu_us",
    unit="µs of CPU per frame, p99 added latency",
    of=" calls",
    beside="p99_ms",
    beside_unit="ms",
)

SCENARIOS = (
    _ECHO,
    attrs.evolve(_ECHO, name="tls", title="Real-time echo, TLS", counts=(100,), tls=True),
)


def plan(chosen: Sequence[Scenario], scale: Scale, clients: Sequence[str]) -> list[tuple[int, Job]]:
    """Return every measurement with its round, clients taking turns so that noise hits all alike."""
    return [
        (number, job)
        for number in range(1, scale.rounds + 1)
        for scenario in chosen
        for jobs in scenario.jobs(scale)
        for job in jobs
        if job.client in clients
    ]
