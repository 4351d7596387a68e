"""A one-shot event for one who waits: the least that trio has."""

from collections.abc import Awaitable
from typing import final

from trio.lowlevel import Abort, Task, checkpoint, current_task, reschedule, wait_task_rescheduled


@final
class TrioBell:
    """What ``trio.Event`` is, for one task, and without a step in between."""

    __slots__ = ("_rung", "_task")

    def __init__(self) -> None:
        self._rung = False
        self._task: Task | None = None

    def set(self) -> None:
        """Wake who waits."""
        self._rung = True
        task, self._task = self._task, None
        if task is not None:
            reschedule(task)

    def wait(self) -> Awaitable[object]:
        """Return what is to be awaited, at once."""
        if self._rung:
            return checkpoint()  # noqa: ASYNC105 - who called awaits it
        self._task = current_task()
        return wait_task_rescheduled(self._give_up)  # noqa: ASYNC105 - as above

    def _give_up(self, _raise_cancel: object) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
