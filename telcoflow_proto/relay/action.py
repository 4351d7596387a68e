"""Running operations of a call, as the user holds them: wait for one, look at it, stop it."""

from collections.abc import Callable
from typing import Protocol, final

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.client_events import ActionEnd
from telcoflow_proto.relay.events import RelayEvent
from telcoflow_proto.relay.host import RelayHost
from telcoflow_proto.relay.methods import ActionKind

OnCompleted = Callable[[RelayEvent], object]
"""Called once with the event that ended an action; sync or async. What it raises is logged."""


class ActionCall(Protocol):
    """What an action needs of its call."""

    @property
    def host(self) -> RelayHost:
        """The client the call belongs to."""
        ...

    async def tell_action(self, kind: ActionKind, command: str, control_id: str, given: JsonObject) -> JsonObject:
        """Send one of the subcommands of the table for an action and return its result."""
        ...


class Action:
    """Something a call is doing. Made by the call's methods, which return once the service has accepted it.

    Every action ends exactly once: with the event that ends it, or with one of type ``""`` whose ``params`` tell
    the ``reason``, when its call or the connection ended first.
    """

    def __init__(
        self, call: ActionCall, control_id: str, kind: ActionKind, on_completed: OnCompleted | None = None
    ) -> None:
        self.call = call
        self.control_id = control_id
        self._kind = kind
        self._on_completed = on_completed
        self._result: RelayEvent | None = None
        self._error: Exception | None = None
        self._end: ActionEnd | None = None

    def __repr__(self) -> str:
        state = "running" if self._end is None else self._end.value
        return f"<{type(self).__name__} {self.control_id} {state}>"

    @property
    def is_done(self) -> bool:
        """True once the action is over, in whatever way."""
        return self._end is not None

    @property
    def completed(self) -> bool:
        """True once the action is over, unless it never started."""
        return self._result is not None

    @property
    def result(self) -> RelayEvent | None:
        """The event that ended it; None while it runs, and if it never started."""
        return self._result

    @property
    def end(self) -> ActionEnd | None:
        """Why it is over; None while it runs."""
        return self._end

    async def wait(self, timeout: float | None = None) -> RelayEvent:
        """Wait until the action is over and return the event that ended it.

        Raises TimeoutError after ``timeout`` seconds, which changes nothing: the action goes on and may be waited
        for again. Raises the error of the start if it never started.
        """
        with self.call.host.time_limit(timeout):
            while self._end is None:
                await self.call.host.bells.wait(self)
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise TimeoutError(f"the {self._kind.name} is still running after {timeout} s")
        return self._result

    def finish(self, event: RelayEvent, end: ActionEnd) -> None:
        """For the call: the action is over. Only the first end counts."""
        if self._end is not None:
            return
        self._result, self._end = event, end
        self.call.host.bells.ring(self)
        if self._on_completed is not None:
            self.call.host.tell(self._on_completed, event, f"on_completed of {self._kind.name} {self.control_id}")

    def fail(self, error: Exception) -> None:
        """For the call: the action never started."""
        if self._end is None:
            self._error, self._end = error, ActionEnd.REFUSED
            self.call.host.bells.ring(self)

    async def _say(self, command: str, **given: str | float | None) -> JsonObject:
        return await self.call.tell_action(self._kind, command, self.control_id, dict(given))


class StoppableAction(Action):
    """An action that can be stopped."""

    async def stop(self) -> JsonObject:
        """Ask the service to stop it and return the service's answer; the action is over when its event comes.

        Returns ``{}`` for a call that is gone. Raises RelayError if the service refuses, or does not answer.
        """
        return await self._say("stop")


class PausableAction(StoppableAction):
    """An action that can be stopped and paused."""

    async def pause(self, behavior: str | None = None) -> JsonObject:
        """Pause it. ``behavior`` is for recordings: ``"skip"`` what is said meanwhile, or record ``"silence"``.

        Returns and raises as ``stop`` does.
        """
        return await self._say("pause", behavior=behavior or None)

    async def resume(self) -> JsonObject:
        """Go on after a pause. Returns and raises as ``stop`` does."""
        return await self._say("resume")


class VolumeAction(PausableAction):
    """An action that can be stopped and paused, and has a volume."""

    async def volume(self, volume: float) -> JsonObject:
        """Set the volume in dB, -40.0 to 40.0. Returns and raises as ``stop`` does."""
        return await self._say("volume", volume=volume)


@final
class PlayAction(VolumeAction):
    """Media being played."""


@final
class RecordAction(PausableAction):
    """A recording being made. Its last event has ``url``, ``duration`` (seconds) and ``size`` (bytes)."""


@final
class CollectAction(VolumeAction):
    """Media being played while digits or speech are collected. Over when the collecting is, not the playing."""

    async def start_input_timers(self) -> JsonObject:
        """Begin to count the time-outs of the input now. Returns and raises as ``stop`` does."""
        return await self._say("start_input_timers")


@final
class StandaloneCollectAction(StoppableAction):
    """Digits or speech being collected."""

    async def start_input_timers(self) -> JsonObject:
        """Begin to count the time-outs of the input now. Returns and raises as ``stop`` does."""
        return await self._say("start_input_timers")


@final
class DetectAction(StoppableAction):
    """A machine, fax or digits being listened for."""


@final
class FaxAction(StoppableAction):
    """A fax being sent or received."""


@final
class TapAction(StoppableAction):
    """Media being copied to an RTP or WebSocket endpoint."""


@final
class StreamAction(StoppableAction):
    """Media being streamed to a WebSocket endpoint."""


@final
class PayAction(StoppableAction):
    """A payment being taken."""


@final
class TranscribeAction(StoppableAction):
    """A transcription being made."""


@final
class AIAction(StoppableAction):
    """An AI agent on the call."""
