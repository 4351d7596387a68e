"""Collecting keys and speech: what belongs together, what ends it, and what comes out."""

from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.operations import Operation, refuse_unless
from telcoflow_anyio.gateway.relay.playing import Playback
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

_INITIAL = 4.0  # seconds until somebody must have begun
_BETWEEN_KEYS = 5.0
_END_SILENCE = 1.0
_LONGEST_SPEECH = 60.0
_CONFIDENCE = 0.9


class Collect(Operation):
    """``calling.collect``. Keys decide over speech: what is said after the first key is not listened to."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject, *, wanted: str = "") -> None:
        super().__init__(call, method, params)
        self._wanted = reading.inner(params, wanted) if wanted else params
        where = f"{wanted}." if wanted else ""
        refuse_unless("digits" in self._wanted or "speech" in self._wanted, f"{where}digits or speech is required")
        self._digits = reading.inner(self._wanted, "digits")
        self._most = int(reading.number(self._digits, "max", 0))
        refuse_unless("digits" not in self._wanted or self._most > 0, f"{where}digits: max is required")
        self._speech = reading.inner(self._wanted, "speech")
        self._pressed = ""
        self._said: list[str] = []
        self._speaking = self._begun = False
        self.commands["start_input_timers"] = lambda _params: self.wait_for_input

    def start(self) -> None:
        """Wait for input."""
        if reading.flag(self._wanted, "start_input_timers", default=True):
            self.wait_for_input()

    def stop(self) -> None:
        """Collect no more."""
        if reading.flag(self._wanted, "continuous", default=False):
            self.finish(state="finished", result={"type": "finished"}, final=True)
        else:
            self.finish(result={"type": "finished"}, final=True)

    def wait_for_input(self) -> None:
        """Give the party their time to begin."""
        if not self._begun:
            seconds = reading.number(self._wanted, "initial_timeout", _INITIAL)
            self.alarms.arm("initial_timeout", seconds, lambda: self._give_up("no_input"))

    def on_input(self) -> None:
        """The party has begun."""

    # ------------------------------------------------------------------ keys

    def on_digit(self, digit: str) -> None:
        """Take a key."""
        if "digits" not in self._wanted:
            return
        self._begin()
        for name in ("end_silence_timeout", "speech_timeout"):
            self.alarms.disarm(name)
        if digit in reading.text(self._digits, "terminators"):
            self._keys_done(digit)
            return
        self._pressed += digit
        if len(self._pressed) >= self._most:
            self._keys_done("")
            return
        self._tell_partial({"type": "digit", "params": {"digits": self._pressed, "terminator": ""}})
        seconds = reading.number(self._digits, "digit_timeout", _BETWEEN_KEYS)
        self.alarms.arm("digit_timeout", seconds, lambda: self._keys_done(""))

    def _keys_done(self, terminator: str) -> None:
        if len(self._pressed) < reading.number(self._digits, "min", 0):
            self._give_up("no_match")
        else:
            self._succeed({"type": "digit", "params": {"digits": self._pressed, "terminator": terminator}})

    # ------------------------------------------------------------------ speech

    def on_speech_began(self, said: str) -> None:
        """Listen, unless keys were pressed."""
        if "speech" not in self._wanted or self._pressed:
            return
        self._begin()
        self._speaking = True
        self.alarms.disarm("end_silence_timeout")
        self._tell_partial(_spoken([*self._said, *said.split()[:1]]))
        if not self._said:
            seconds = reading.number(self._speech, "speech_timeout", _LONGEST_SPEECH)
            self.alarms.arm("speech_timeout", seconds, self._speech_done)

    def on_speech_ended(self, said: str) -> None:
        """Take what was said, and see whether more comes."""
        if not self._speaking or self._pressed:
            return
        self._said.append(said)
        seconds = reading.number(self._speech, "end_silence_timeout", _END_SILENCE)
        self.alarms.arm("end_silence_timeout", seconds, self._speech_done)

    def _speech_done(self) -> None:
        if self._said:
            self._succeed(_spoken(self._said))
        else:
            self._give_up("no_match")

    # ------------------------------------------------------------------ what comes out

    def _begin(self) -> None:
        self.alarms.disarm("initial_timeout")
        if not self._begun:
            self._begun = True
            self.on_input()
            if reading.flag(self._wanted, "send_start_of_input", default=False):
                self.tell(result={"type": "start_of_input"}, final=False)

    def _tell_partial(self, result: JsonObject) -> None:
        if reading.flag(self._wanted, "partial_results", default=False):
            self.tell(result=result, final=False)

    def _succeed(self, result: JsonObject) -> None:
        if reading.flag(self._wanted, "continuous", default=False):
            self.alarms.clear()
            self._pressed, self._said = "", []
            self._speaking = self._begun = False
            self.tell(state="collecting", result=result, final=True)
        else:
            self.finish(result=result, final=True)

    def _give_up(self, why: str) -> None:
        self.finish(result={"type": why}, final=True)


@final
class PlayAndCollect(Collect):
    """``calling.play_and_collect``: the first input stops the media, and their end starts the wait for one."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params, wanted="collect")
        self.playback = Playback(call, params, self._on_play)
        self.commands |= self.playback.commands

    def start(self) -> None:
        """Play."""
        self.playback.start()

    def finish(self, **members: Json) -> None:
        """End it; what plays is told to be over first."""
        self.playback.stop()
        super().finish(**members)

    def on_input(self) -> None:
        """Play no more: the party has begun."""
        self.playback.stop()

    def _on_play(self, state: str) -> None:
        self.call.tell("calling.call.play", {"control_id": self.control_id, "state": state})
        if state == "error":
            self.finish(result={"type": "error"}, final=True)
        elif self.playback.over:
            self.wait_for_input()


def _spoken(words: list[str]) -> JsonObject:
    return {"type": "speech", "params": {"text": " ".join(words), "confidence": _CONFIDENCE}}
