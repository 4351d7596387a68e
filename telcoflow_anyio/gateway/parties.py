"""The people on the line: what a caller and a callee are going to do, and what each of them heard."""

from typing import final

import attrs

from telcoflow_anyio.gateway.audio import Speech, Voice


@final
@attrs.frozen(kw_only=True)
class Caller:
    """Who calls. An empty ``number`` is a withheld one.

    ``hangs_up_after`` counts seconds of network time from when the call is placed; None: never by itself.
    """

    number: str = "+15550001"
    voice: Voice = attrs.field(factory=Voice.silence)
    hangs_up_after: float | None = None


@final
@attrs.frozen(kw_only=True)
class Callee:
    """Who is called, and what they do when it rings.

    They pick up after ``answers_after`` seconds of network time (None: never), unless they are ``busy``, and
    hang up ``hangs_up_after`` seconds after that (None: never by themselves).
    """

    number: str = "+15550002"
    voice: Voice = attrs.field(factory=Voice.silence)
    answers_after: float | None = 1.0
    busy: bool = False
    hangs_up_after: float | None = None


@final
class Party:
    """One end of a call: what it says while it is ``present``, and a recording of what it hears."""

    def __init__(self, voice: Voice) -> None:
        self.present = False
        self.heard = bytearray()
        self._voice = voice
        self._speech: Speech | None = None

    def prepare(self, sample_rate: int) -> None:
        """Get ready to speak at that rate in Hz. Raises ValueError or OSError if the voice does not have it."""
        self._speech = self._voice.speak(sample_rate)

    def next_frame(self) -> bytes:
        """Speak for 20 ms; ``b""`` is silence, and all that somebody says who is not there."""
        return self._speech.next_frame() if self._speech is not None and self.present else b""

    def listen(self, frame: bytes, silence: bytes) -> None:
        """Record one frame, silence included: all recordings of a call share one clock."""
        self.heard += frame or silence
