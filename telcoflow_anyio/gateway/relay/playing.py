"""Playing media to a call: how long each piece takes, and the clock that stops while it pauses."""

from collections.abc import Callable
from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.calls import Played
from telcoflow_anyio.gateway.relay.clock import Alarms
from telcoflow_anyio.gateway.relay.operations import Command, Operation, refuse_unless
from telcoflow_anyio.gateway.relay.parties import speech_seconds
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall
    from telcoflow_anyio.gateway.relay.network import Network

_AUDIO_SECONDS = 3.0
_RINGTONE_SECONDS = 4.0
_SHORTEST = 0.02  # seconds; an endless loop must not turn without time passing
_LOUDEST = 40.0  # dB, and as much below
_NEEDS = {"tts": "text", "audio": "url", "silence": "duration", "ringtone": "name"}


@final
class Playback:
    """Plays a list of media, over and over if the params say so, and notes in ``call.played`` what was heard.

    ``tell`` hears of each state: playing, paused, and finished or error, which are the end. ``volume`` is what was
    last set, in dB. The constructor raises Refusal for media that make no sense.
    """

    def __init__(self, call: "RelayServiceCall", params: JsonObject, tell: Callable[[str], None]) -> None:
        media = check_media(params.get("play"), "play")
        self._rounds = int(reading.number(params, "loop", 1))
        refuse_unless(self._rounds >= 0, "loop must not be negative")
        self.volume = 0.0
        self._set_volume(params)()
        self.playing = self.over = False
        self._call = call
        self._tell = tell
        self._lengths = [(item, media_seconds(call.network, item)) for item in media]
        self._alarms = Alarms(call.network.clock)
        self._next = 0
        self._left = self._since = 0.0
        self.commands: dict[str, Command] = {
            "pause": self._pause,
            "resume": self._resume,
            "volume": self._set_volume,
        }

    def start(self) -> None:
        """Play the first piece."""
        self.playing = True
        self._tell("playing")
        self._play_next()

    def stop(self) -> None:
        """Play no more."""
        self._end("finished")

    def _pause(self, _params: JsonObject) -> Callable[[], None]:
        refuse_unless(self.playing, "nothing is playing", code="409")

        def pause() -> None:
            self._halt()
            self._tell("paused")

        return pause

    def _resume(self, _params: JsonObject) -> Callable[[], None]:
        refuse_unless(not self.playing and not self.over, "nothing is paused", code="409")

        def resume() -> None:
            self.playing = True
            self._tell("playing")
            self._go_on()

        return resume

    def _set_volume(self, params: JsonObject) -> Callable[[], None]:
        volume = reading.number(params, "volume", self.volume)
        refuse_unless(abs(volume) <= _LOUDEST, f"volume must be within {_LOUDEST:.0f} dB of 0")

        def set_volume() -> None:
            self.volume = volume

        return set_volume

    def _play_next(self) -> None:
        if self._next == len(self._lengths):
            self._next = 0
            self._rounds -= 1
            if self._rounds == 0:  # 0 from the start never comes here again: that is for ever
                self._end("finished")
                return
        item, seconds = self._lengths[self._next]
        self._next += 1
        if seconds is None:
            self._end("error")
            return
        self._left = max(seconds, _SHORTEST)
        self._call.played.append(Played(item))
        self._go_on()

    def _go_on(self) -> None:
        self._since = self._call.network.clock.now()
        self._alarms.arm("end of piece", self._left, self._piece_over)

    def _piece_over(self) -> None:
        self._note_heard()
        self._play_next()

    def _note_heard(self) -> None:
        if self._left:
            heard = min(self._left, self._call.network.clock.now() - self._since)
            self._left -= heard
            self._call.played[-1].seconds += heard

    def _halt(self) -> None:
        self.playing = False
        self._alarms.clear()
        self._note_heard()

    def _end(self, state: str) -> None:
        if not self.over:
            if self.playing:
                self._halt()
            self.over = True
            self._tell(state)


class Play(Operation):
    """``calling.play``."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        self.playback = Playback(call, params, self._on_play)
        self.commands |= self.playback.commands

    def start(self) -> None:
        """Play."""
        self.playback.start()

    def stop(self) -> None:
        """Play no more."""
        self.playback.stop()

    def _on_play(self, state: str) -> None:
        if self.playback.over:
            self.finish(state=state)
        else:
            self.tell(state=state)


def media_seconds(network: "Network", item: JsonObject) -> float | None:
    """Return how long a piece of media takes, in seconds; None if it cannot be played."""
    params = reading.inner(item, "params")
    match item.get("type"):
        case "tts":
            return speech_seconds(reading.text(params, "text"))
        case "silence":
            return reading.number(params, "duration", 0.0)
        case "ringtone":
            return reading.number(params, "duration", _RINGTONE_SECONDS)
        case _:
            url = reading.text(params, "url")
            return None if url in network.broken_audio else network.audio_lengths.get(url, _AUDIO_SECONDS)


def check_media(value: Json, name: str) -> list[JsonObject]:
    """Return media as a list of objects. Raises Refusal that names what is wrong with them."""
    media = reading.objects(value)
    refuse_unless(media, f"{name} must be an array of media, with one at least")
    for item in media:
        kind = reading.text(item, "type")
        refuse_unless(kind in _NEEDS, f"{name}: type must be one of {', '.join(_NEEDS)}")
        params = reading.inner(item, "params")
        refuse_unless(params.get(_NEEDS[kind]), f"{name}: {kind} needs params.{_NEEDS[kind]}")
        if kind == "silence":
            refuse_unless(reading.number(params, "duration", 0.0) > 0, f"{name}: duration must be above 0")
    return media
