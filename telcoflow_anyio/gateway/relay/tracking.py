"""What runs on a call beside the talk: taps, streams, transcriptions, AI, echo. No media really flows."""

from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.operations import Operation, refuse_unless
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

_ECHO_SECONDS = 60.0
_SHORTEST_ECHO, _LONGEST_ECHO = 5.0, 120.0
_KEY_SECONDS = 0.1
_PAUSES = {"w": 0.5, "W": 1.0}
_KEYS = frozenset("0123456789*#ABCDabcd") | _PAUSES.keys()


class Tracking(Operation):
    """What runs until somebody stops it. It begins with the first state of the table that is not an end."""

    def start(self) -> None:
        """Begin, and say so if the table has a word for it."""
        action = self.method.action
        if action is not None and action.states[0] not in action.terminal:
            self.tell(state=action.states[0], **self.details())

    def stop(self) -> None:
        """End it."""
        self.finish(state="finished", **self.details())

    def details(self) -> JsonObject:
        """Return what its events say beside the state."""
        return {}


@final
class Tap(Tracking):
    """``calling.tap``."""

    @property
    def more(self) -> JsonObject:
        """What the answer to the request holds beside the usual: where the media would come from."""
        params: JsonObject = {"addr": "127.0.0.1", "port": 9, "codec": "PCMU", "ptime": 20, "rate": 8000}
        return {"source_device": {"type": "rtp", "params": params}}

    def details(self) -> JsonObject:
        """Return what its events say beside the state."""
        return {"tap": reading.inner(self.params, "tap"), "device": reading.inner(self.params, "device")}


@final
class Stream(Tracking):
    """``calling.stream``."""

    def details(self) -> JsonObject:
        """Return what its events say beside the state."""
        return {"url": reading.text(self.params, "url"), "name": reading.text(self.params, "name")}


@final
class Transcribe(Tracking):
    """``calling.transcribe``: one at a time."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        taken = any(isinstance(other, Transcribe) for other in call.running)
        refuse_unless(not taken, "the call is being transcribed already", code="409")
        self._recording_id = call.network.identifier()
        self._began = call.network.clock.now()

    def details(self) -> JsonObject:
        """Return what its events say beside the state."""
        return {
            "recording_id": self._recording_id,
            "url": f"https://files.local/transcriptions/{self._recording_id}.txt",
            "duration": round(self.call.network.clock.now() - self._began, 3),
        }


@final
class Echo(Operation):
    """``calling.echo``, for a while."""

    def start(self) -> None:
        """Echo."""
        seconds = reading.number(self.params, "timeout", _ECHO_SECONDS)
        self.tell(state="echoing")
        self.alarms.arm("timeout", min(max(seconds, _SHORTEST_ECHO), _LONGEST_ECHO), self.stop)


@final
class SendDigits(Operation):
    """``calling.send_digits``: a tenth of a second for each key."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        self._digits = reading.text(params, "digits")
        fits = self._digits and _KEYS.issuperset(self._digits)
        refuse_unless(fits, "digits must be keys of a telephone, with w and W for pauses")

    def start(self) -> None:
        """Press them."""
        self.alarms.arm("sent", sum(_PAUSES.get(key, _KEY_SECONDS) for key in self._digits), self._sent)

    def stop(self) -> None:
        """The call ended before they were sent."""
        self.finish(state="error")

    def _sent(self) -> None:
        self.call.digits_sent += self._digits
        self.finish(state="finished")


@final
class Bedrock(Operation):
    """``calling.amazon_bedrock``: an AI without control id, of which no event tells."""

    def stop(self) -> None:
        """End it; nobody is told."""
        self.vanish()
