"""The audio of a call as its user sees it: queued, played, interrupted, heard; without any event loop."""

import io
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from telcoflow_proto.exceptions import BufferClosedError, WSSCallCommandError, WSSCallStateError
from telcoflow_proto.surface import Interruption, Played
from tests.core.loopless import Line, Task, TimeUp

SECOND = 16_000
"""Bytes of a second at 8 kHz."""


def talking(**arguments: Any) -> Line:
    return Line(sample_rate=8000, **arguments).answered()


def heard_out(line: Line, task: Task, *, within: float = 10.0) -> Played:
    """Grant credit and let time pass until the playing is over."""
    for _ in range(round(within / 0.1)):
        if task.step().done:
            break
        line.grant(1600)
        line.later(0.1)
    played: Played = task.outcome()
    return played


def wav(pcm: bytes, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(pcm)
    return file.getvalue()


def gone(line: Line) -> None:
    """End the call from the other end."""
    line.service.terminate(now=line.clock.now)
    line.carry()


# ------------------------------------------------------------------ waiting for room


def test_who_waits_for_room_when_the_call_ends_is_told() -> None:
    line = talking(buffer_size=4096)
    Task(line.call.send_audio(bytes(4096))).outcome()
    task = Task(line.call.wait_for_room(2))
    gone(line)
    with pytest.raises(BufferClosedError):
        task.outcome()
    with pytest.raises(BufferClosedError):
        Task(line.call.wait_for_room(2)).outcome()


def test_a_drain_that_the_end_of_the_call_cuts_off_is_not_done() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(960))).outcome()
    task = Task(line.call.drain())
    gone(line)
    assert task.outcome() is False


def test_cancelled_waiters_leave_nothing_behind() -> None:
    line = talking(buffer_size=4096)
    Task(line.call.send_audio(bytes(4096))).outcome()
    stream = line.call.audio_stream()

    async def listen() -> bytes:
        return await anext(stream)

    works = [
        line.call.wait_for_room(4096),
        line.call.drain(),
        listen(),
        line.call.wait_ended(),
        line.call.wait_closed(),
        line.call.interrupt(),
        line.call.connect(),
        line.call.play_audio(bytes(8000)),
    ]
    tasks = [Task(work) for work in works]
    assert line.call.waiting > 0
    for task in tasks:
        task.step(TimeUp() if not task.done else None)
    assert line.call.waiting == 0
    line.carry()
    line.succeed()
    line.succeed()
    assert line.call.waiting == 0, "answers that nobody waits for are not kept"


# ------------------------------------------------------------------ interrupting


def interrupted(line: Line) -> Interruption:
    task = line.run(line.call.interrupt())
    line.succeed()
    outcome: Interruption = task.outcome()
    return outcome


def test_an_interruption_tells_what_was_dropped_and_what_was_heard() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(2 * SECOND))).outcome()
    line.grant(SECOND)
    line.later(0.25)
    interruption = interrupted(line)
    assert interruption == SECOND, "what had not left"
    assert interruption.milliseconds_heard == 250
    assert interruption.milliseconds_dropped == 1750


def test_the_figures_go_on_after_an_interruption() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(SECOND))).outcome()
    line.grant(SECOND)
    line.later(0.5)
    assert interrupted(line).milliseconds_heard == 500
    line.later(0.5)
    second = interrupted(line)
    assert second == 0
    assert (second.milliseconds_dropped, second.milliseconds_heard) == (0, 500), "silence is not heard"
    Task(line.call.send_audio(bytes(SECOND // 2))).outcome()
    line.grant(SECOND)
    line.later(0.1)
    line.carry()
    line.later(1.0)
    third = interrupted(line)
    assert (third.milliseconds_dropped, third.milliseconds_heard) == (0, 1000)


def test_an_interruption_of_a_call_that_is_over_drops_nothing() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(SECOND))).outcome()
    line.grant(SECOND)
    line.later(0.5)
    gone(line)
    interruption = Task(line.call.interrupt()).outcome()
    assert interruption == 0
    assert (interruption.milliseconds_dropped, interruption.milliseconds_heard) == (0, 500)


def test_the_end_of_the_call_is_interruption_enough() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(960))).outcome()
    task = line.run(line.call.clear_send_audio_buffer())
    gone(line)
    assert task.outcome() == 960


def test_what_is_dropped_here_is_dropped_whatever_the_service_says() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(960))).outcome()
    task = line.run(line.call.interrupt())
    line.refuse("NO")
    with pytest.raises(WSSCallCommandError):
        task.outcome()
    assert line.call.get_send_audio_buffer_size() == 0


def test_before_the_answer_there_is_nothing_to_interrupt() -> None:
    with pytest.raises(WSSCallStateError):
        Task(Line().call.interrupt()).outcome()


# ------------------------------------------------------------------ playing


def one_second() -> Iterator[bytes]:
    for _ in range(10):
        yield bytes(SECOND // 10)


async def one_second_async() -> AsyncIterator[bytes]:
    for piece in one_second():
        yield piece


SOURCES: dict[str, Any] = {
    "bytes": bytes(SECOND),
    "bytearray": bytearray(SECOND),
    "memoryview": memoryview(bytes(SECOND)),
    "list": [bytes(SECOND // 2), bytearray(SECOND // 2)],
    "path": "hello.wav",
    "pathlib": Path("hello.wav"),
}


@pytest.mark.parametrize("source", [*SOURCES, "iterable", "async iterable"])
def test_every_source_is_played_to_its_end(source: str) -> None:
    line = talking(buffer_size=4096)
    line.call.files["hello.wav"] = wav(bytes(SECOND))
    made: dict[str, Any] = {"iterable": one_second, "async iterable": one_second_async}
    task = Task(line.call.play_audio(made[source]() if source in made else SOURCES[source]))
    assert not task.done
    assert heard_out(line, task) == Played(bytes_queued=SECOND, seconds_heard=1.0, complete=True)
    assert line.call.statistics().bytes_sent == SECOND
    assert line.call.waiting == 0


def test_the_source_is_read_only_as_fast_as_there_is_room() -> None:
    line = talking(buffer_size=4096)
    read: list[int] = []

    def source() -> Iterator[bytes]:
        for number in range(20):
            read.append(number)
            yield bytes(1600)

    task = Task(line.call.play_audio(source()))
    assert len(read) == 3, "two fit, the third waits"
    line.grant(1600)
    task.step()
    assert len(read) == 4
    assert line.call.get_send_audio_buffer_size() <= 4096
    assert heard_out(line, task).seconds_heard == 2.0


def test_a_short_tail_is_heard_too() -> None:
    line = talking()
    task = Task(line.call.play_audio(bytes(962)))
    line.grant(9600)
    line.later(0.2)
    assert task.outcome() == Played(bytes_queued=962, seconds_heard=962 / SECOND, complete=True)


@pytest.mark.parametrize("source", [b"", [], [b""]])
def test_nothing_is_played_at_once(source: Any) -> None:
    line = talking()
    assert Task(line.call.play_audio(source)).outcome() == Played(bytes_queued=0, seconds_heard=0.0, complete=True)


def closing(log: list[str]) -> AsyncIterator[bytes]:
    async def source() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1600)
        finally:
            log.append("closed")

    return source()


def test_an_interruption_ends_the_playing_and_tells_how_much_was_heard() -> None:
    line = talking(buffer_size=4096)
    log: list[str] = []
    task = Task(line.call.play_audio(closing(log)))
    for _ in range(5):
        line.grant(1600)
        line.later(0.1)
        task.step()
    interruption = interrupted(line)
    assert interruption > 0
    played = task.outcome()
    assert not played.complete
    assert played.seconds_heard == pytest.approx(interruption.milliseconds_heard / 1000, abs=0.001)
    assert played.seconds_heard == 0.5
    assert played.bytes_queued > SECOND // 2
    assert log == ["closed"], "the source is not left open"
    assert line.call.get_send_audio_buffer_size() == 0, "nothing was queued behind the interruption"


def test_an_interruption_while_the_last_words_are_heard_counts_too() -> None:
    line = talking()
    task = Task(line.call.play_audio(bytes(SECOND)))
    line.grant(SECOND)
    line.later(0.25)
    task.step()
    interrupted(line)
    line.later(0)
    played = task.outcome()
    assert (played.complete, played.seconds_heard) == (False, 0.25)


def test_one_long_piece_is_interrupted_in_the_middle() -> None:
    line = talking(buffer_size=4096)
    task = Task(line.call.play_audio(bytes(SECOND)))
    interrupted(line)
    assert task.outcome() == Played(bytes_queued=4096, seconds_heard=0.0, complete=False)


def test_playing_after_an_interruption_tells_all_that_was_heard() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(SECOND))).outcome()
    line.grant(SECOND)
    line.later(0.5)
    interrupted(line)
    task = Task(line.call.play_audio(bytes(SECOND)))
    assert heard_out(line, task) == Played(bytes_queued=SECOND, seconds_heard=1.0, complete=True)


def test_what_was_said_before_is_not_counted() -> None:
    line = talking()
    Task(line.call.send_audio(bytes(SECOND))).outcome()
    line.grant(SECOND)
    task = Task(line.call.play_audio(bytes(SECOND // 2)))
    line.grant(SECOND)
    line.later(1.25)
    gone(line)
    assert task.outcome() == Played(bytes_queued=SECOND // 2, seconds_heard=0.25, complete=False)


def test_the_end_of_the_call_ends_the_playing() -> None:
    line = talking(buffer_size=4096)
    log: list[str] = []
    task = Task(line.call.play_audio(closing(log)))
    line.grant(3200)
    line.later(0.1)
    gone(line)
    played = task.outcome()
    assert not played.complete
    assert played.seconds_heard == pytest.approx(0.1, abs=0.001)
    assert log == ["closed"]


def test_a_playing_that_is_cancelled_closes_its_source() -> None:
    line = talking(buffer_size=4096)
    log: list[str] = []
    task = Task(line.call.play_audio(closing(log)))
    task.step(TimeUp())
    assert isinstance(task.error, TimeUp)
    assert log == ["closed"]


def test_before_the_answer_nothing_can_be_played() -> None:
    log: list[str] = []
    with pytest.raises(WSSCallStateError):
        Task(Line().call.play_audio(closing(log))).outcome()
    assert log == ["closed"]


def test_after_the_end_nothing_can_be_played() -> None:
    line = talking()
    gone(line)
    with pytest.raises(BufferClosedError):
        Task(line.call.play_audio(bytes(2))).outcome()


@pytest.mark.parametrize(
    ("source", "error"),
    [(5, TypeError), (["text"], TypeError), (b"\0", ValueError), ([b"\0\0", b"\0"], ValueError), ("no.wav", KeyError)],
)
def test_what_is_no_sound_is_refused(source: Any, error: type[Exception]) -> None:
    line = talking()
    with pytest.raises(error):
        Task(line.call.play_audio(source)).outcome()


def test_a_file_of_another_rate_is_refused_before_anything_is_said() -> None:
    line = talking()
    line.call.files["fast.wav"] = wav(bytes(8), rate=24000)
    with pytest.raises(ValueError, match="must be 16-bit mono at 8000 Hz"):
        Task(line.call.play_audio("fast.wav")).outcome()
    assert line.call.get_send_audio_buffer_size() == 0


# ------------------------------------------------------------------ hearing


def test_a_stream_begun_before_the_answer_waits_for_audio() -> None:
    line = Line()
    stream = line.call.audio_stream()

    async def listen() -> bytes:
        return await anext(stream)

    task = Task(listen())
    line.answered()
    assert not task.step().done
    line.speak(b"\1\1")
    assert task.outcome() == b"\1\1"


def test_a_channel_the_call_does_not_have_is_refused() -> None:
    line = talking()

    async def listen() -> bytes:
        return await anext(line.call.audio_stream(channel=3))

    with pytest.raises(ValueError, match="channel 3"):
        Task(listen()).outcome()
