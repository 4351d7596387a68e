"""PCM in other clothes: WAV files that fit and those that do not, pieces of whole samples."""

import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.sound import chunked, one_piece, pieces_of, read_wav
from tests.core.loopless import Task


def wav(pcm: bytes, *, channels: int = 1, width: int = 2, rate: int = 24000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(pcm)
    return file.getvalue()


def test_a_wav_file_gives_its_samples() -> None:
    assert read_wav(wav(b"\1\0\2\0"), 24000) == b"\1\0\2\0"
    assert read_wav(wav(b""), 24000) == b""


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"channels": 2}, "has 2 channels, 16 bits and 24000 Hz"),
        ({"width": 1}, "has 1 channels, 8 bits and 24000 Hz"),
        ({"rate": 8000}, "has 1 channels, 16 bits and 8000 Hz"),
    ],
)
def test_another_layout_is_refused_and_both_are_named(layout: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read_wav(wav(bytes(8), **layout), 24000)
    assert "must be 16-bit mono at 24000 Hz" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"ID3 this is no sound", wav(bytes(8))[:20], wav(bytes(8))[:36]])
def test_what_is_no_wav_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a WAV file"):
        read_wav(data, 24000)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.integers(0, 43), st.binary(max_size=6), st.integers(0, 60))
def test_whatever_a_file_holds_it_is_read_or_refused(at: int, noise: bytes, cut: int) -> None:
    good = wav(bytes(16))
    data = (good[:at] + noise + good[at + len(noise) :])[:cut]
    with suppress(ValueError):
        read_wav(data, 24000)


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (4, [b"abcd", b"efgh", b"ij"]),
        (5, [b"abcd", b"efgh", b"ij"]),
        (1, [b"ab", b"cd", b"ef", b"gh", b"ij"]),
        (0, [b"ab", b"cd", b"ef", b"gh", b"ij"]),
        (100, [b"abcdefghij"]),
    ],
)
def test_pieces_are_whole_samples(size: int, pieces: list[bytes]) -> None:
    assert list(chunked(b"abcdefghij", size)) == pieces
    assert list(chunked(b"", size)) == []


def test_sources_of_either_kind_become_one() -> None:
    async def speech() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    async def collected(source: AsyncIterator[bytes]) -> list[bytes]:
        return [piece async for piece in source]

    class Pieces:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return speech()

    assert Task(collected(one_piece(b"abcd"))).outcome() == [b"abcd"]
    assert Task(collected(pieces_of(Pieces()))).outcome() == [b"ab", b"cd"]
    assert Task(collected(pieces_of([b"ab", b"cd"]))).outcome() == [b"ab", b"cd"]
    assert Task(collected(pieces_of(speech()))).outcome() == [b"ab", b"cd"]


def test_a_generator_of_which_only_half_was_wanted_is_closed() -> None:
    log: list[str] = []

    async def speech() -> AsyncGenerator[bytes, None]:
        try:
            yield b"ab"
            yield b"cd"
        finally:
            log.append("closed")

    async def half() -> None:
        async with aclosing(pieces_of(speech())) as pieces:
            assert await anext(pieces) == b"ab"
            assert log == []

    Task(half()).outcome()
    assert log == ["closed"]
