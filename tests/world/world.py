"""Everything a scenario needs: a network, a service on it, and the adapter under test."""

import importlib
import importlib.util
import logging
import sys
from types import ModuleType, TracebackType
from typing import Any, Self, final

import anyio
import attrs
import pytest
from anyio.abc import TaskGroup
from trio.testing import MockClock

from telcoflow_anyio import Backoff, TelcoflowClient
from telcoflow_proto.config import ClientConfig
from tests.world.cable import CableDial
from tests.world.net import Net
from tests.world.service import PORT, Service
from tests.world.simloop import SimLoop

KEY = "canary-api-key"
CONNECTOR = "canary-connector"


@final
@attrs.frozen
class Case:
    """One adapter on one event loop, over byte streams or over a lane it has for sockets."""

    backend: str
    module: str
    lane: str = ""

    @property
    def id(self) -> str:
        return f"{self.module.removeprefix('telcoflow_')}-on-{self.backend}{self.lane and '-'}{self.lane}"

    def options(self) -> tuple[str, dict[str, Any]]:
        """Return the backend for anyio's pytest plugin, in virtual time."""
        if self.backend == "asyncio":
            return "asyncio", {"loop_factory": SimLoop}
        return "trio", {"clock": MockClock(autojump_threshold=0)}


CASES = [Case("asyncio", "telcoflow_anyio"), Case("trio", "telcoflow_anyio")]
if importlib.util.find_spec("telcoflow_trio") is not None:
    CASES.append(Case("trio", "telcoflow_trio"))

LANES = [
    attrs.evolve(case, lane="sockets")
    for case in CASES
    if case.module.endswith(case.backend) or case.backend == "asyncio"
]
"""The adapters that have a lane for sockets, on it."""
LANES.append(attrs.evolve(LANES[0], lane="protocol"))  # asyncio's, where its loop cannot wait for other selectors


@final
class World:
    """Use it as a context: what is inside may leave no task, stream or timer behind."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.adapter: ModuleType = importlib.import_module(case.module)
        self.net = Net()
        self.service = Service(self.net)
        self.group: TaskGroup
        self._patch = pytest.MonkeyPatch()
        self._tasks_before = self._timers_before = 0

    async def __aenter__(self) -> Self:
        self._tasks_before, self._timers_before = tasks(), len(timers())
        self._patch.setattr("telcoflow_anyio._lanes.can_poll", lambda _loop: self.case.lane != "protocol")
        self.group = await anyio.create_task_group().__aenter__()
        self.service.open(self.group)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._patch.undo()
        if exc is None:
            await anyio.sleep(0.001)
            left_open = self.net.client_streams
        self.group.cancel_scope.cancel()
        await self.group.__aexit__(None, None, None)
        if exc is None:
            await anyio.sleep(0.001)
            assert not left_open, "the client left a stream open"
            assert self.net.open_streams == 0, "the service left a stream open"
            assert tasks() == self._tasks_before, "a task was left behind"
            assert len(timers()) == self._timers_before, f"timers were left behind: {timers()}"

    def config(self, **changes: Any) -> ClientConfig:
        """A configuration for this world's service."""
        settings = {"api_key": KEY, "connector_uuid": CONNECTOR, "base_url": f"ws://localhost:{PORT}", **changes}
        config: ClientConfig = self.adapter.TelcoflowClientConfig.sandbox(**settings)
        return config

    def client(self, *, backoff: Backoff | None = None, **changes: Any) -> TelcoflowClient:
        """A client of the adapter under test. Annotated as anyio's; the others have the same shape."""
        client: TelcoflowClient = self.adapter.TelcoflowClient(self.config(**changes), dial=self.dial, backoff=backoff)
        return client

    @property
    def dial(self) -> Any:
        """How the adapter under test opens streams of this world, or sockets."""
        if self.case.lane:
            return CableDial(self.net, self.group)
        if self.case.module == "telcoflow_trio":
            from tests.world.triostream import TrioDial

            return TrioDial(self.net)
        return self.net.dial

    @property
    def log(self) -> logging.Logger:
        """The logger above all of the adapter's."""
        return logging.getLogger(self.case.module)


def tasks() -> int:
    """Count the tasks of the running loop."""
    if _on_trio():
        import trio

        return trio.lowlevel.current_statistics().tasks_living
    import asyncio

    return len(asyncio.all_tasks())


def timers() -> list[Any]:
    """Return the timers of a simulated asyncio loop; on trio a timer without a task cannot exist."""
    if _on_trio():
        return []
    import asyncio

    loop = asyncio.get_running_loop()
    return loop.timers() if isinstance(loop, SimLoop) else []


def _on_trio() -> bool:
    import sniffio

    return sniffio.current_async_library() == "trio" and "trio" in sys.modules
