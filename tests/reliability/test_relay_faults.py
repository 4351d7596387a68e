"""A reset at every byte of a RELAY connection: every byte of the service on the core, a sample on every adapter."""

# mypy: disable-error-code="truthy-bool"

import random
from collections.abc import Awaitable, Callable
from typing import Any, final

import anyio
import pytest

from telcoflow_anyio.relay import RelayClient
from telcoflow_proto.exceptions import RelayConnectionError
from telcoflow_proto.life_events import ClientLost, ClientReady
from telcoflow_proto.relay.action import Action
from tests.adapters.acts import outcome, until
from tests.core.loopless import Task
from tests.relay.office import FakeClient, config, played
from tests.relay_adapters.acts import SHORT, patient
from tests.reliability.conftest import Figure
from tests.world.relay import RelayWorld
from tests.world.world import Case

# ---------------------------------------------------------------------- every byte, on the core


@final
class Wire:
    """What the service says on the first connection, until so many bytes of it were heard: then a reset."""

    def __init__(self, made: FakeClient, *, breaks_after: int | None = None) -> None:
        self.heard = 0
        self._breaks_after = breaks_after
        self._machine = made.office.machine
        self._receive = self._machine.receive_data
        vars(self._machine)["receive_data"] = self._hear

    def _hear(self, data: bytes, *, now: float) -> None:
        most = len(data) if self._breaks_after is None else self._breaks_after - self.heard
        self.heard += len(data)
        if data[:most]:
            self._receive(data[:most], now=now)
        if len(data) >= most and self._breaks_after is not None:
            del vars(self._machine)["receive_data"]  # the connections after this one are good
            self._machine.fail_transport("Connection reset by peer", now=now)


def a_call(made: FakeClient) -> list[BaseException]:
    """Connect, take a call, answer, play, hang up, hear of the end; after a loss, go on. Returns what failed.

    Nothing may wait when the wire is quiet: an answer has come, or an error has.
    """
    office = made.office
    failed: list[BaseException] = []
    begun = made.begin()
    office.open()

    def go_on() -> None:
        if not office.online:
            office.reconnect()

    def ask(what: Callable[[], Any]) -> Any:
        asked = Task(what())
        office.carry()
        asked.step()
        assert asked.done
        go_on()
        if asked.error is not None:
            failed.append(asked.error)
        return asked.result

    go_on()
    begun.outcome()
    office.ring()
    go_on()
    if not made.calls:
        office.ring()  # the service tells again what nobody acknowledged
    (call,) = made.calls
    ask(call.answer)
    action = ask(lambda: call.play(SHORT))
    waiting = Task(action.wait()) if isinstance(action, Action) else None
    if isinstance(action, Action):
        office.tell("calling.call.play", played("finished", control_id=action.control_id))
        go_on()
    ask(call.hangup)
    ended = Task(call.wait_for_ended())
    for _ in range(2):  # as above, told again
        office.state("c1", "ended", end_reason="hangup")
        go_on()
    ended.outcome()
    if waiting is not None:
        waiting.outcome()
    return failed


def test_D26_a_relay_reset_at_every_byte_of_the_service_fails_what_waits_and_is_mended(figure: Figure) -> None:
    whole = FakeClient(config())
    wire = Wire(whole)
    assert a_call(whole) == []
    figure("D26: bytes of a RELAY service, each once the last", wire.heard)
    never_failed = True
    for cut in range(wire.heard):
        made = FakeClient(config(), patient=True)
        Wire(made, breaks_after=cut)
        failed = a_call(made)
        assert all(type(error) is RelayConnectionError for error in failed), (cut, failed)
        assert len(failed) <= 1, cut
        never_failed &= not failed
        assert [type(note) for note in made.notes].count(ClientLost) == 1, cut
        assert isinstance(made.notes[-1], ClientReady), cut
        assert made.calls == [], cut
        assert made.waiting == 0, cut
    assert not never_failed, "no cut lay between a request and its answer"


# ---------------------------------------------------------------------- some bytes of both, on every adapter


@pytest.fixture
def relay(case: Case, monkeypatch: pytest.MonkeyPatch) -> RelayWorld:
    monkeypatch.setattr("os.urandom", random.Random(20).randbytes)  # the same waits and masks in every run
    return RelayWorld(case)


@final
class Script:
    """The same short call on an adapter; what failed on the way, and how long it took."""

    def __init__(self, world: RelayWorld, client: RelayClient) -> None:
        self.failed: list[Any] = []
        self.slowest = 0.0
        self._world = world
        self._client = client

    async def run(self) -> None:
        phone = await self._world.call_in(self._client)
        await self._ask(phone.call.answer)
        action = await self._ask(lambda: phone.call.play(SHORT))
        if action is not None:
            await action.wait(60)
        await self._ask(phone.call.hangup)
        await until(lambda: self._client.state.value == "ready")
        if phone.there.state != "ended":
            await phone.call.hangup()  # the first one was cut off before it was heard
        await phone.call.wait_for_ended(60)

    async def _ask(self, what: Callable[[], Awaitable[Any]]) -> Any:
        before = anyio.current_time()
        result = await outcome(what)
        if not isinstance(result, Exception):
            return result
        self.failed.append(result)
        self.slowest = max(self.slowest, anyio.current_time() - before)
        await until(lambda: self._client.state.value == "ready")
        return None


FAREWELL = 200
"""Bytes at the end of a connection that say goodbye, and a few of what came before."""


async def bytes_of_a_call(world: RelayWorld) -> int:
    """Return how many bytes pass on a connection with one call, both ways together."""
    async with world.client() as client:
        await Script(world, client).run()
        await anyio.sleep(1)
        return world.net.connections[-1].passed


async def test_D26_a_relay_reset_at_any_byte_is_told_once_fails_what_waits_and_is_mended(
    relay: RelayWorld, figure: Figure
) -> None:
    async with relay as world:
        most = await bytes_of_a_call(world)
        for cut in range(0, most - FAREWELL, 97):
            number = len(world.net.connections)
            world.net.resets[number] = cut
            client = patient(world.client())
            told: list[str] = []
            client.on_connection(lambda happened, told=told: told.append(happened.state))
            await client.connect()
            script = Script(world, client)
            await script.run()
            assert world.net.connections[number].broken, cut
            assert told in (["lost", "connected"], ["connected", "lost", "connected"]), (cut, told)
            assert all(type(error) is RelayConnectionError for error in script.failed), (cut, script.failed)
            assert len(script.failed) <= 1, cut
            assert script.slowest <= 0.1, cut
            figure("D26: until what waits on RELAY is told, s", script.slowest)
            assert client.calls == [], cut
            await client.disconnect()
            assert world.net.client_streams == 0, cut


async def test_D26_a_relay_reset_before_the_first_connection_is_good_is_told_at_once_to_who_does_not_run(
    relay: RelayWorld,
) -> None:
    async with relay as world:
        world.net.resets[0] = 10
        client = world.client()
        before = anyio.current_time()
        assert isinstance(await outcome(client.connect), RelayConnectionError)
        assert anyio.current_time() - before <= 0.1
        await anyio.sleep(60)
        assert len(world.net.connections) == 1
