"""Playing, recording, collecting and detecting, by the second."""

from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCaller, RelayServiceCall
from tests.gateway.relay.client import MEDIA, TTS, Hand, town


def item(kind: str, **params: Any) -> dict[str, Any]:
    return {"type": kind, "params": params}


def heard(call: RelayServiceCall) -> list[tuple[Any, float]]:
    return [(one.item["type"], round(one.seconds, 2)) for one in call.played]


# ---------------------------------------------------------------------------------------------- play


@pytest.mark.parametrize(
    ("media", "seconds"),
    [
        (item("tts", text="hi"), 0.4),
        (item("tts", text="one two three four five"), 2.0),
        (item("silence", duration=1.5), 1.5),
        (item("ringtone", name="us"), 4.0),
        (item("ringtone", name="us", duration=1), 1.0),
        (item("audio", url="https://example.com/any.mp3"), 3.0),
        (item("audio", url="https://example.com/long.mp3"), 30.0),
    ],
)
async def test_media_take_as_long_as_they_take(media: dict[str, Any], seconds: float) -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        one.service.audio_lengths["https://example.com/long.mp3"] = 30.0
        began = anyio.current_time()
        await hand.done("play", control_id="p", play=[media])
        await hand.told("call.play", state="finished")
        assert anyio.current_time() - began == pytest.approx(seconds, abs=0.01)
        assert heard(call) == [(media["type"], seconds)]


async def test_media_are_played_over_and_over() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("play", control_id="p", play=[*TTS, *MEDIA], loop=2)
        await hand.told("call.play", state="finished")
        assert heard(call) == [("tts", 2.0), ("silence", 2.0)] * 2
        await hand.done("play", control_id="q", play=MEDIA, loop=0)
        await anyio.sleep(100.5)
        assert len(call.played) == 4 + 51
        assert hand.story("call.play") == ["playing", "finished", "playing"]


async def test_a_pause_stops_the_clock() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        began = anyio.current_time()
        await hand.done("play", control_id="p", play=[*TTS, *MEDIA])
        assert await hand.refused("play.resume", control_id="p") == (409, "nothing is paused")
        await anyio.sleep(1)
        await hand.done("play.pause", control_id="p", behavior="silence")
        assert await hand.refused("play.pause", control_id="p") == (409, "nothing is playing")
        await anyio.sleep(50)
        assert heard(call) == [("tts", 1.0)]
        await hand.done("play.resume", control_id="p")
        await hand.told("call.play", state="finished")
        assert anyio.current_time() - began == pytest.approx(54, abs=0.01)
        assert hand.story("call.play") == ["playing", "paused", "playing", "finished"]
        assert heard(call) == [("tts", 2.0), ("silence", 2.0)]


async def test_what_is_stopped_was_not_heard_to_the_end() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("play", control_id="p", play=[*TTS, *MEDIA])
        await anyio.sleep(0.5)
        await hand.done("play.stop", control_id="p")
        assert heard(call) == [("tts", 0.5)]
        await hand.done("play", control_id="q", play=MEDIA)
        await anyio.sleep(1)
        await hand.done("play.pause", control_id="q")
        await anyio.sleep(1)
        await hand.done("play.stop", control_id="q")
        assert heard(call) == [("tts", 0.5), ("silence", 1.0)]


async def test_audio_that_cannot_be_fetched_is_an_error() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        one.service.broken_audio.add("https://example.com/gone.mp3")
        await hand.done("play", control_id="p", play=[*TTS, item("audio", url="https://example.com/gone.mp3"), *MEDIA])
        await hand.told("call.play", state="error")
        assert heard(call) == [("tts", 2.0)]
        gone = [item("audio", url="https://example.com/gone.mp3")]
        await hand.done("play_and_collect", control_id="q", play=gone, collect={"speech": {}})
        assert (await hand.told("call.collect"))["result"] == {"type": "error"}


async def test_the_volume_is_kept() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("play", control_id="p", play=MEDIA, volume=-3.0)
        playback: Any = call.actions[-1]
        assert playback.playback.volume == -3.0
        assert (await hand.done("play.volume", control_id="p", volume=40))["message"] == "Volume set"
        assert playback.playback.volume == 40
        assert await hand.refused("play.volume", control_id="p", volume=41) == (400, "volume must be within 40 dB of 0")


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"play": []}, "play must be an array of media, with one at least"),
        ({"play": [item("video", url="x")]}, "play: type must be one of tts, audio, silence, ringtone"),
        ({"play": [item("tts")]}, "play: tts needs params.text"),
        ({"play": [item("audio")]}, "play: audio needs params.url"),
        ({"play": [item("ringtone")]}, "play: ringtone needs params.name"),
        ({"play": [item("silence")]}, "play: silence needs params.duration"),
        ({"play": [item("silence", duration=-1)]}, "play: duration must be above 0"),
        ({"play": MEDIA, "loop": -1}, "loop must not be negative"),
        ({"play": MEDIA, "volume": -41.0}, "volume must be within 40 dB of 0"),
    ],
)
async def test_media_that_make_no_sense_are_refused(params: dict[str, Any], why: str) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        assert await hand.refused("play", control_id="p", **params) == (400, why)


# ---------------------------------------------------------------------------------------------- record


async def record(hand: Hand, **audio: Any) -> dict[str, Any]:
    return await hand.done("record", control_id="r", record={"audio": audio})


async def test_a_recording_is_as_long_as_it_was_not_paused() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        answer = await record(hand, format="wav", beep=True, terminators="")
        assert heard(call) == [("beep", 0.5)]
        await anyio.sleep(2)
        await hand.done("record.pause", control_id="r", behavior="silence")
        assert (await hand.told("call.record", state="paused"))["pause_behavior"] == "silence"
        assert await hand.refused("record.pause", control_id="r") == (409, "it is paused")
        await anyio.sleep(10)
        await hand.done("record.resume", control_id="r")
        assert await hand.refused("record.resume", control_id="r") == (409, "it is not paused")
        await anyio.sleep(3)
        call.press("#")
        await hand.done("record.stop", control_id="r")
        told = await hand.told("call.record", state="finished")
        assert told["duration"] == pytest.approx(5, abs=0.01)
        assert told["size"] == pytest.approx(80_000, abs=200)
        assert told["url"] == answer["url"]
        assert str(told["url"]).endswith(".wav")
        assert told["record"] == {"audio": {"format": "wav", "beep": True, "terminators": ""}}
        assert [(one.url, one.size) for one in call.recordings] == [(told["url"], told["size"])]
        assert hand.story("call.record") == ["recording", "paused", "recording", "finished"]


async def test_a_paused_recording_can_be_stopped() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await record(hand)
        await anyio.sleep(1)
        await hand.done("record.pause", control_id="r")
        await anyio.sleep(1)
        await hand.done("record.stop", control_id="r")
        assert call.recordings[0].duration == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("audio", "seconds", "end"),
    [
        ({"max_length": 7}, 7, "finished"),
        ({"initial_timeout": 3}, 3, "no_input"),
        ({"initial_timeout": 3, "max_length": 2}, 2, "finished"),
    ],
)
async def test_a_recording_ends_by_itself(audio: dict[str, Any], seconds: float, end: str) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        await record(hand, **audio)
        await hand.told("call.record", state=end)
        assert anyio.current_time() - began == pytest.approx(seconds, abs=0.01)


async def test_a_recording_ends_with_silence() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        began = anyio.current_time()
        await record(hand, initial_timeout=2, end_silence_timeout=3)
        call.speak("one two three four five")  # 0 to 2
        await anyio.sleep(4)
        call.speak("six seven eight nine ten")  # 4 to 6
        await hand.told("call.record", state="finished")
        assert anyio.current_time() - began == pytest.approx(9, abs=0.01)


async def test_a_key_ends_a_recording_if_it_is_a_terminator() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await record(hand, initial_timeout=2)
        call.press("12")
        await anyio.sleep(5)
        assert hand.story("call.record") == ["recording"]
        call.press("#")
        assert hand.story("call.record") == ["recording", "finished"]


async def test_a_recording_that_goes_on_after_a_pause_ends_in_time() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        await record(hand, max_length=5)
        await anyio.sleep(2)
        await hand.done("record.pause", control_id="r")
        await anyio.sleep(10)
        await hand.done("record.resume", control_id="r")
        await hand.told("call.record", state="finished")
        assert anyio.current_time() - began == pytest.approx(15, abs=0.01)


async def test_a_format_nobody_knows_is_refused() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        code, message = await hand.refused("record", control_id="r", record={"audio": {"format": "ogg"}})
        assert (code, message) == (400, "record.audio: format must be one of mp3, wav, mp4")


# ---------------------------------------------------------------------------------------------- collect


async def collect(hand: Hand, **params: Any) -> None:
    await hand.done("collect", control_id="c", **params)


async def test_keys_are_collected_up_to_their_number() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await collect(hand, digits={"max": 3})
        call.press("12345")
        told = await hand.told("call.collect")
        assert told["result"] == {"type": "digit", "params": {"digits": "123", "terminator": ""}}
        assert "state" not in told
        assert told["final"] is True


async def test_keys_are_collected_up_to_a_terminator() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await collect(hand, digits={"max": 9, "terminators": "*#"})
        call.press("12*3")
        told = await hand.told("call.collect")
        assert told["result"] == {"type": "digit", "params": {"digits": "12", "terminator": "*"}}


@pytest.mark.parametrize(("least", "result"), [(1, "digit=1"), (2, "no_match")])
async def test_keys_are_collected_until_no_more_come(least: int, result: str) -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        began = anyio.current_time()
        await collect(hand, digits={"max": 9, "min": least, "digit_timeout": 2}, speech={})
        await anyio.sleep(3)
        call.press("1")
        call.speak("too late")
        await hand.told("call.collect")
        assert hand.story("call.collect") == [result]
        assert anyio.current_time() - began == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize(("given", "seconds"), [({}, 4), ({"initial_timeout": 9}, 9)])
async def test_nobody_says_anything(given: dict[str, Any], seconds: float) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        await collect(hand, digits={"max": 1}, **given)
        assert (await hand.told("call.collect"))["result"] == {"type": "no_input"}
        assert anyio.current_time() - began == pytest.approx(seconds, abs=0.01)


async def test_the_wait_for_input_can_begin_later() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        began = anyio.current_time()
        await collect(hand, digits={"max": 2}, start_input_timers=False)
        await anyio.sleep(100)
        await hand.done("collect.start_input_timers", control_id="c")
        await hand.told("call.collect")
        assert anyio.current_time() - began == pytest.approx(104, abs=0.01)
        await hand.done("collect", control_id="d", digits={"max": 2, "digit_timeout": 50})
        call.press("1")
        await hand.done("collect.start_input_timers", control_id="d")  # somebody is there: nothing to wait for
        await anyio.sleep(20)
        assert hand.story("call.collect") == ["no_input"]


async def test_speech_is_collected_until_silence() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        began = anyio.current_time()
        await collect(hand, speech={"end_silence_timeout": 2}, partial_results=True, send_start_of_input=True)
        await anyio.sleep(1)
        call.speak("one two three four five")  # 1 to 3
        await anyio.sleep(3)
        call.speak("six")  # 4 to 4.4
        await hand.told("call.collect", final=True)
        assert anyio.current_time() - began == pytest.approx(6.4, abs=0.01)
        assert hand.story("call.collect") == [
            "start_of_input",
            "speech=one",
            "speech=one two three four five six",
            "speech=one two three four five six",
        ]
        finals = [event.params["final"] for event in hand.client.of("calling.call.collect")]
        assert finals == [False, False, False, True]


@pytest.mark.parametrize(("said", "result"), [("a b c d e f g h i j", "no_match"), ("a b c", "speech=a b c")])
async def test_speech_may_be_too_long(said: str, result: str) -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await collect(hand, speech={"speech_timeout": 2, "end_silence_timeout": 9})
        call.speak(said)
        await hand.told("call.collect")
        assert hand.story("call.collect") == [result]


async def test_who_collects_keys_does_not_listen_and_the_other_way_round() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await collect(hand, digits={"max": 1})
        call.speak("one")
        await hand.told("call.collect")
        await hand.done("collect", control_id="d", speech={})
        call.press("1")
        await hand.told("call.collect", control_id="d")
        assert hand.story("call.collect") == ["no_input", "no_input"]


async def test_speech_that_began_before_the_collect_is_not_its() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        call.speak("before")
        await collect(hand, speech={})
        await hand.told("call.collect")
        assert hand.story("call.collect") == ["no_input"]


async def test_keys_press_speech_aside() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await collect(hand, digits={"max": 2}, speech={}, partial_results=True)
        call.speak("one two three")
        call.press("1")
        await anyio.sleep(3)
        call.press("2")
        await hand.told("call.collect", final=True)
        assert hand.story("call.collect") == ["speech=one", "digit=1", "digit=12"]


async def test_a_continuous_collect_goes_on() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await collect(hand, digits={"max": 2}, continuous=True)
        call.press("1234")
        await anyio.sleep(100)
        call.press("56")
        await hand.done("collect.stop", control_id="c")
        told = [event.params for event in hand.client.of("calling.call.collect")]
        assert [one.get("state") for one in told] == ["collecting", "collecting", "collecting", "finished"]
        found = [one["result"] for one in told[:3]]
        assert [one["params"]["digits"] for one in found] == ["12", "34", "56"]  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("method", "params", "why"),
    [
        ("collect", {}, "digits or speech is required"),
        ("collect", {"digits": {"max": 0}}, "digits: max is required"),
        ("play_and_collect", {"play": MEDIA, "collect": {}}, "collect.digits or speech is required"),
        ("play_and_collect", {"play": MEDIA, "collect": {"digits": {}}}, "collect: digits.max is required"),
        (
            "play_and_collect",
            {"play": [], "collect": {"speech": {}}},
            "play must be an array of media, with one at least",
        ),
    ],
)
async def test_a_collect_of_nothing_is_refused(method: str, params: dict[str, Any], why: str) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        assert await hand.refused(method, control_id="c", **params) == (400, why)


async def test_the_first_key_stops_the_prompt() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("play_and_collect", control_id="c", play=[*TTS, *MEDIA], collect={"digits": {"max": 2}})
        await anyio.sleep(1)
        await hand.done("play_and_collect.pause", control_id="c")
        await hand.done("play_and_collect.resume", control_id="c")
        await hand.done("play_and_collect.volume", control_id="c", volume=2)
        call.press("1")
        assert heard(call) == [("tts", 1.0)]
        call.press("2")
        assert hand.client.order[-3:] == [
            "=calling.play_and_collect.volume",
            "calling.call.play:finished",
            "calling.call.collect:digit=12",
        ]


async def test_the_wait_begins_when_the_prompt_is_over() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        collecting = {"digits": {"max": 2}, "initial_timeout": 3}
        await hand.done("play_and_collect", control_id="c", play=[*TTS, *MEDIA], collect=collecting)
        await hand.told("call.collect")
        assert anyio.current_time() - began == pytest.approx(7, abs=0.01)
        assert hand.story("call.play") == ["playing", "finished"]


async def test_the_wait_can_begin_during_the_prompt() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        await hand.done("play_and_collect", control_id="c", play=MEDIA * 9, collect={"digits": {"max": 2}})
        await hand.done("collect.start_input_timers", control_id="c")
        await hand.told("call.collect")
        assert anyio.current_time() - began == pytest.approx(4, abs=0.01)
        assert hand.client.order[-2:] == ["calling.call.play:finished", "calling.call.collect:no_input"]


# ---------------------------------------------------------------------------------------------- detect


@pytest.mark.parametrize(
    ("caller", "detect", "story"),
    [
        (RelayCaller(machine=True), item("machine"), ["machine=MACHINE", "machine=READY", "machine=finished"]),
        (RelayCaller(), item("machine"), ["machine=HUMAN", "machine=finished"]),
        (RelayCaller(fax_pages=1), item("fax"), ["fax=CED", "fax=finished"]),
        (RelayCaller(fax_pages=1), item("fax", tone="CNG"), ["fax=CNG", "fax=finished"]),
        (RelayCaller(), item("fax"), ["fax=finished"]),
        (RelayCaller(presses=((1, "12"),)), item("digit"), ["digit=1", "digit=finished"]),
        (RelayCaller(presses=((1, "12"),)), item("digit", digits="2"), ["digit=2", "digit=finished"]),
        (RelayCaller(), item("digit"), ["digit=finished"]),
    ],
)
async def test_what_answers_is_told(caller: RelayCaller, detect: dict[str, Any], story: list[str]) -> None:
    async with town() as one:
        call, hand = await one.answered(one.client(), caller)
        await hand.done("detect", control_id="d", detect=detect, timeout=10)
        await anyio.sleep(11)
        assert hand.story("call.detect") == story
        assert not call.running


async def test_a_detection_ends_in_time() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        await hand.done("detect", control_id="d", detect=item("digit"))
        await hand.told("call.detect")
        assert anyio.current_time() - began == pytest.approx(30, abs=0.01)


async def test_only_what_can_be_detected_is() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        bad = await hand.refused("detect", control_id="d", detect=item("cat"))
        assert bad == (400, "detect.type must be one of machine, fax, digit")
