"""Waiting without an event loop: bells by key, and the outcomes people wait for under an id."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, final

from telcoflow_proto.surface import Bell

Done = TypeVar("Done")


@final
class Bells:
    """One-shot events by key, one for everybody who waits: they exist only as long."""

    def __init__(self, new_bell: Callable[[], Bell]) -> None:
        self._new_bell = new_bell
        self._waiting: dict[Hashable, list[Bell]] = {}
        self.keys = self._waiting.keys()
        """What somebody waits for, at any time."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def wait(self, key: Hashable) -> None:
        """Wait until this key is rung."""
        bell = self.hang(key)
        try:
            await bell.wait()
        except BaseException:
            self.take_down(key, bell)
            raise

    def hang(self, key: Hashable) -> Bell:
        """Return a bell that is set when this key is rung; who waits for it no more must take it down."""
        bell = self._new_bell()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = [bell]
        else:
            waiting.append(bell)
        return bell

    def take_down(self, key: Hashable, bell: Bell) -> None:
        """Nobody waits for this bell any more; it may have been set already."""
        waiting = self._waiting.get(key, [])
        if bell in waiting:
            waiting.remove(bell)
            if not waiting:
                del self._waiting[key]

    def ring(self, key: Hashable) -> None:
        """Wake everybody who waits for this key."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            for bell in waiting:
                bell.set()

    def ring_all(self) -> None:
        """Wake everybody: the world has changed, look again."""
        for key in list(self._waiting):
            self.ring(key)


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
