"""The small things users hold: numbers that can be more, results that are true, streams that end."""

from pathlib import Path

import pytest

from telcoflow_proto.surface import BufferSize, CommandResult, Interruption, PathLike, Played, path_text
from tests.core.loopless import Task


def test_a_result_is_true_and_tells_what_was_done() -> None:
    result = CommandResult(command="call.answer", took=0.5, result={"a": 1})
    assert bool(result)
    assert (result.command, result.took, result.result) == ("call.answer", 0.5, {"a": 1})
    assert CommandResult(command="call.close").took == 0


@pytest.mark.parametrize("size", [0, 960])
def test_a_buffer_size_is_a_number_that_may_be_awaited(size: int) -> None:
    async def ask() -> int:
        return await BufferSize(size)

    awaited = Task(ask()).outcome()
    assert awaited == BufferSize(size) == size
    assert type(awaited) is int


def test_an_interruption_is_the_number_of_bytes_and_tells_milliseconds() -> None:
    interruption = Interruption(960, milliseconds_dropped=40, milliseconds_heard=20)
    assert interruption == 960
    assert interruption + 1 == 961
    assert (interruption.milliseconds_dropped, interruption.milliseconds_heard) == (40, 20)
    assert not Interruption(0, milliseconds_dropped=0, milliseconds_heard=0)


def test_what_was_played_is_a_value() -> None:
    assert Played(bytes_queued=2, seconds_heard=1.0, complete=True) == Played(
        bytes_queued=2, seconds_heard=1.0, complete=True
    )


@pytest.mark.parametrize("path", ["a/b.wav", Path("a/b.wav")], ids=["text", "pathlib"])
def test_a_path_is_a_text_or_says_itself(path: str | Path) -> None:
    assert path_text(path) == str(Path("a/b.wav"))
    assert isinstance(path, str | PathLike)
    assert not isinstance(b"pcm", PathLike)
