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
    "signalwire": "signalwire-sdk 3.7.5",
    "websockets": "websockets, bare",
    "picows": "picows, bare (C)",
}
"""The clients, and what they are called where people read it."""
OURS = ("asyncio", "anyio-trio", "trio")
_CALLING = (*OURS, "telcoflow", "websockets", "picows")


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
    seconds: float = 1.2
    warm_up: float = 0.4


QUICK = Scale(calls=(10, 100), rounds=1, seconds=0.5, warm_up=0.3)


@final
@attrs.frozen
class Column:
    """A figure that the table shows: its name, what is written above it, what is written behind it."""

    name: str
    head: str
    unit: str = ""


@final
@attrs.frozen(kw_only=True)
class Scenario:
    """One question, asked of several clients under a few loads."""

    name: str
    title: str
    columns: tuple[Column, ...]
    """What is shown of every point; what the first one is of the peer's is shown, too."""
    peer: str
    clients: tuple[str, ...] = _CALLING
    load: str = ""
    """What the load gateway does; nothing if it has no part in this."""
    module: str = ""
    """What measures without a load gateway."""
    counts: tuple[int, ...] | None = (1,)
    """Under which loads; None is as many calls as the scale has it."""
    of: str = ""
    """What the loads are a number of."""
    tls: bool = False

    def jobs(self, scale: Scale) -> Iterator[Job]:
        """Return the measurements of one round: what is to be compared stands together."""
        for count in scale.calls if self.counts is None else self.counts:
            for client in self.clients:
                yield Job(
                    scenario=self.name,
                    point=str(count),
                    client=client,
                    arguments=self._arguments(client, count, scale),
                )

    def _arguments(self, client: str, count: int, scale: Scale) -> tuple[str, ...]:
        if self.module:
            return (self.module, client)
        order = Order(
            client=client, load=self.load, count=count, tls=self.tls, warm_up=scale.warm_up, seconds=scale.seconds
        )
        return ("benchmarks.speed.gateway", order.to_json())


_ECHO = Scenario(
    name="echo",
    title="Real-time echo, plain: µs of CPU per frame, p99 of the added latency",
    load="echo",
    columns=(Column("cpu_us", ""), Column("p99_ms", "", "ms")),
    counts=None,
    of="calls",
    peer="telcoflow",
)
_CORE = tuple(
    Column(f"{way} {size} B{kind}", f"{way} {size} B{kind}")
    for way in ("receive", "send")
    for size, kind in ((321, ""), (961, ""), (9601, ""), (212, " text"))
)
SCENARIOS = (
    _ECHO,
    attrs.evolve(_ECHO, name="tls", title=_ECHO.title.replace("plain", "TLS"), counts=(100,), tls=True),
    Scenario(
        name="flat",
        title="One call flat out, 48 frames under way",
        load="flat",
        columns=(
            Column("frames_per_second", "frames per second"),
            Column("megabytes_per_second", "MB/s each way"),
            Column("cpu_ms_per_megabyte", "ms of CPU per MB"),
        ),
        peer="telcoflow",
    ),
    Scenario(
        name="storm",
        title="Calls announced all at once, until answered",
        load="storm",
        columns=(Column("calls_per_second", "calls per second"), Column("cpu_us", "µs of CPU per call")),
        counts=(300,),
        of="calls",
        peer="telcoflow",
    ),
    Scenario(
        name="commands",
        title="Commands on live calls, one after the other on each",
        load="commands",
        columns=(Column("cpu_us", "µs of CPU per command"), Column("commands_per_second", "commands per second")),
        counts=(1, 20),
        of="calls",
        peer="telcoflow",
    ),
    Scenario(
        name="relay",
        title="RELAY: µs of CPU",
        load="relay",
        columns=(Column("request_us", "request"), Column("play_us", "play start"), Column("event_us", "event")),
        clients=(*OURS, "signalwire"),
        counts=(2000,),
        tls=True,
        peer="signalwire",
    ),
    Scenario(
        name="imports",
        title="Import of the first name a program needs",
        module="benchmarks.speed.imports",
        columns=(Column("cpu_ms", "ms of CPU"), Column("modules", "modules")),
        clients=("telcoflow_proto", "telcoflow_anyio", "telcoflow_trio", "telcoflow"),
        peer="telcoflow",
    ),
    Scenario(
        name="relay-imports",
        title="Import of the first name a program needs, RELAY",
        module="benchmarks.speed.imports",
        columns=(Column("cpu_ms", "ms of CPU"), Column("modules", "modules")),
        clients=("telcoflow_proto.relay", "telcoflow_anyio.relay", "telcoflow_trio.relay", "signalwire.relay"),
        peer="signalwire.relay",
    ),
    Scenario(
        name="core",
        title="The core alone: ns of CPU per message",
        module="benchmarks.speed.core_alone",
        columns=_CORE,
        clients=("link", "media", "wsproto"),
        peer="wsproto",
    ),
)


def plan(chosen: Sequence[Scenario], scale: Scale, clients: Sequence[str]) -> list[tuple[int, Job]]:
    """Return every measurement with its round, clients taking turns so that noise hits all alike."""
    return [
        (number, job)
        for number in range(1, scale.rounds + 1)
        for scenario in chosen
        for job in scenario.jobs(scale)
        if job.client in clients or job.client not in LABELS
    ]
