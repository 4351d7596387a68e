"""Recording a call: when it begins, what ends it, and what is left of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.calls import Played, Recording
from telcoflow_anyio.gateway.relay.operations import Operation, refuse_unless
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

_BYTES_A_SECOND = 16_000
_BEEP_SECONDS = 0.5
_FORMATS = ("mp3", "wav", "mp4")


@final
class Record(Operation):
    """``calling.record``. Seconds of 0 are no bound; nothing is really recorded, but it is measured."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        self._audio = reading.inner(reading.inner(params, "record"), "audio")
        self._format = reading.text(self._audio, "format", "mp3")
        refuse_unless(self._format in _FORMATS, f"record.audio: format must be one of {', '.join(_FORMATS)}")
        self._recording_id = call.network.identifier()
        self._url = f"https://files.local/recordings/{self._recording_id}.{self._format}"
        self._paused = False
        self._recorded = self._since = 0.0
        self.commands |= {"pause": self._pause, "resume": self._resume}

    @property
    def more(self) -> JsonObject:
        """What the answer to the request holds beside the usual."""
        return {"url": self._url}

    def start(self) -> None:
        """Record, after a beep if one is wanted."""
        if reading.flag(self._audio, "beep", default=False):
            self.call.played.append(Played({"type": "beep", "params": {}}, _BEEP_SECONDS))
        self._since = self.call.network.clock.now()
        self._bound("initial_timeout", 0.0)
        self._bound("max_length", 0.0)
        self._tell_state("recording")

    def stop(self) -> None:
        """Record no more."""
        self._end("finished")

    def on_digit(self, digit: str) -> None:
        """A terminator ends it; any key shows that somebody is there."""
        self.alarms.disarm("initial_timeout")
        if digit in reading.text(self._audio, "terminators", "#"):
            self.stop()

    def on_speech_began(self, said: str) -> None:
        """Somebody is there."""
        self.alarms.disarm("initial_timeout")
        self.alarms.disarm("end_silence_timeout")

    def on_speech_ended(self, said: str) -> None:
        """From now on there is silence."""
        self._bound("end_silence_timeout", 0.0)

    def _bound(self, name: str, spent: float) -> None:
        seconds = reading.number(self._audio, name, 0.0)
        if seconds > 0:
            end = "no_input" if name == "initial_timeout" else "finished"
            self.alarms.arm(name, max(0.0, seconds - spent), lambda: self._end(end))

    def _pause(self, params: JsonObject) -> Callable[[], None]:
        refuse_unless(not self._paused, "it is paused", code="409")

        def pause() -> None:
            self._count()
            self._paused = True
            self.alarms.clear()
            self._tell_state("paused", pause_behavior=reading.text(params, "behavior", "skip"))

        return pause

    def _resume(self, _params: JsonObject) -> Callable[[], None]:
        refuse_unless(self._paused, "it is not paused", code="409")

        def resume() -> None:
            self._paused = False
            self._since = self.call.network.clock.now()
            self._bound("max_length", self._recorded)
            self._bound("end_silence_timeout", 0.0)
            self._tell_state("recording")

        return resume

    def _count(self) -> None:
        if not self._paused:
            self._recorded += self.call.network.clock.now() - self._since

    def _tell_state(self, state: str, **more: str) -> None:
        self.tell(state=state, recording_id=self._recording_id, record={"audio": self._audio}, **more)

    def _end(self, state: str) -> None:
        self._count()
        size = round(self._recorded * _BYTES_A_SECOND)
        recording = Recording(url=self._url, duration=round(self._recorded, 3), size=size)
        self.call.recordings.append(recording)
        self.finish(
            state=state,
            recording_id=self._recording_id,
            url=recording.url,
            duration=recording.duration,
            size=recording.size,
            record={"audio": self._audio},
        )
