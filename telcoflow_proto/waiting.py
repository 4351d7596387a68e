"""Waiting without an event loop: bells by key, and the outcomes people wait for under an id."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, final

from telcoflow_proto.surface import Bell

Done = TypeVar("Done")


@final
class _Rope:
    """A bell and how many hang on it."""

    __slots__ = ("bell", "waiters")

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.waiters = 0


@final
class Bells:
    """One-shot events by key. A bell exists only while somebody waits for it."""

    def __init__(self, new_bell: Callable[[], Bell]) -> None:
        self._new_bell = new_bell
        self._ropes: dict[Hashable, _Rope] = {}

    def __len__(self) -> int:
        return len(self._ropes)

    async def wait(self, key: Hashable) -> None:
        """Wait until this key is rung."""
        rope = self._ropes.get(key)
        if rope is None:
            rope = self._ropes[key] = _Rope(self._new_bell())
        rope.waiters += 1
        try:
            await rope.bell.wait()
        finally:
            rope.waiters -= 1
            if not rope.waiters and self._ropes.get(key) is rope:
                del self._ropes[key]  # cancelled: nobody is left to be woken

    def ring(self, key: Hashable) -> None:
        """Wake everybody who waits for this key."""
        rope = self._ropes.pop(key, None)
        if rope is not None:
            rope.bell.set()

    def ring_all(self) -> None:
        """Wake everybody: the world has changed, look again."""
        ropes, self._ropes = self._ropes, {}
        for rope in ropes.values():
            rope.bell.set()


@final
class _Ticket(Generic[Done]):
    __slots__ = ("done", "waiters")

    def __init__(self) -> None:
        self.done: Done | None = None
        self.waiters = 0


@final
class Tickets(Generic[Done]):
    """Outcomes by id. Nothing is kept for a waiter that was cancelled, or for an id nobody waits for."""

    def __init__(self, bells: Bells) -> None:
        self._bells = bells
        self._tickets: dict[str, _Ticket[Done]] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    async def outcome(self, id_: str, after: Callable[[], None]) -> Done:
        """Wait for the outcome of ``id_``. ``after`` is called once the waiting can be served."""
        ticket = self._tickets.setdefault(id_, _Ticket())
        ticket.waiters += 1
        try:
            after()
            while ticket.done is None:
                await self._bells.wait(id_)
        finally:
            ticket.waiters -= 1
            if not ticket.waiters:
                self._tickets.pop(id_, None)
        return ticket.done

    def resolve(self, id_: str, done: Done) -> bool:
        """Hand an outcome to those who wait for it; False if nobody does."""
        ticket = self._tickets.get(id_)
        if ticket is None:
            return False
        ticket.done = done
        self._bells.ring(id_)
        return True
