"""Shorter ways to say the commonest things to a call: they build the list or the object, and call the method."""

from collections.abc import Mapping

from telcoflow_proto.relay.action import CollectAction, DetectAction, OnCompleted, PlayAction
from telcoflow_proto.relay.verbs import CallVerbs, Object


class CallConveniences(CallVerbs):
    """The shorter ways, for every ``Call``: they take ``on_completed``, return and raise as the method they call."""

    async def play_tts(
        self,
        text: str,
        *,
        language: str | None = None,
        gender: str | None = None,
        voice: str | None = None,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> PlayAction:
        """Say a text: ``play`` with one item. ``language`` like ``"en-US"``; ``volume`` in dB, -40.0 to 40.0."""
        media = [_item("tts", text=text, language=language, gender=gender, voice=voice)]
        return await self.play(media, volume=volume, on_completed=on_completed)

    async def play_audio(
        self, url: str, *, volume: float | None = None, on_completed: OnCompleted | None = None
    ) -> PlayAction:
        """Play an audio file: ``play`` with one item. ``volume`` in dB, -40.0 to 40.0."""
        return await self.play([_item("audio", url=url)], volume=volume, on_completed=on_completed)

    async def play_silence(self, duration: float, *, on_completed: OnCompleted | None = None) -> PlayAction:
        """Play nothing for ``duration`` seconds: ``play`` with one item."""
        return await self.play([_item("silence", duration=duration)], on_completed=on_completed)

    async def play_ringtone(
        self,
        name: str,
        *,
        duration: float | None = None,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> PlayAction:
        """Play the ringtone of a country (``"us"``) for ``duration`` seconds: ``play`` with one item.

        ``volume`` in dB, -40.0 to 40.0.
        """
        return await self.play(
            [_item("ringtone", name=name, duration=duration)], volume=volume, on_completed=on_completed
        )

    async def prompt_tts(
        self,
        text: str,
        collect: Object,
        *,
        language: str | None = None,
        gender: str | None = None,
        voice: str | None = None,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> CollectAction:
        """Say a text and collect the answer: ``play_and_collect`` with one item. ``volume`` in dB."""
        media = [_item("tts", text=text, language=language, gender=gender, voice=voice)]
        return await self.play_and_collect(media, collect, volume=volume, on_completed=on_completed)

    async def prompt_audio(
        self,
        url: str,
        collect: Object,
        *,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> CollectAction:
        """Play an audio file and collect the answer: ``play_and_collect`` with one item. ``volume`` in dB."""
        return await self.play_and_collect([_item("audio", url=url)], collect, volume=volume, on_completed=on_completed)

    async def detect_digit(
        self,
        *,
        digits: str | None = None,
        timeout: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> DetectAction:
        """Listen for digits, all of them unless told: ``detect`` with ``digit``. ``timeout`` in seconds."""
        return await self.detect(_item("digit", digits=digits), timeout=timeout, on_completed=on_completed)

    async def detect_answering_machine(
        self,
        *,
        initial_timeout: float | None = None,
        end_silence_timeout: float | None = None,
        machine_voice_threshold: float | None = None,
        machine_words_threshold: int | None = None,
        detect_interruptions: bool | None = None,
        detect_message_end: bool | None = None,
        timeout: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> DetectAction:
        """Find out whether a person or a machine answered: ``detect`` with ``machine``. Time-outs in seconds."""
        machine = _item(
            "machine",
            initial_timeout=initial_timeout,
            end_silence_timeout=end_silence_timeout,
            machine_voice_threshold=machine_voice_threshold,
            machine_words_threshold=machine_words_threshold,
            detect_interruptions=detect_interruptions,
            detect_message_end=detect_message_end,
        )
        return await self.detect(machine, timeout=timeout, on_completed=on_completed)

    async def detect_fax(
        self, *, tone: str | None = None, timeout: float | None = None, on_completed: OnCompleted | None = None
    ) -> DetectAction:
        """Listen for a fax tone, ``"CED"`` or ``"CNG"``: ``detect`` with ``fax``. ``timeout`` in seconds."""
        return await self.detect(_item("fax", tone=tone), timeout=timeout, on_completed=on_completed)


def _item(kind: str, **params: object) -> Mapping[str, object]:
    """Write one ``{type, params}``, without what was not given."""
    return {"type": kind, "params": {name: value for name, value in params.items() if value is not None}}
