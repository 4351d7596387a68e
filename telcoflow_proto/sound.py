"""PCM in other clothes: WAV files read from bytes, and sources of audio turned into one kind of iterator."""

import wave
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import AsyncExitStack
from io import BytesIO

from telcoflow_proto.media.playout import SAMPLE_BYTES


def read_wav(data: bytes, sample_rate: int) -> bytes:
    """Return the PCM of a WAV file. Raises ValueError unless it is 16-bit mono at ``sample_rate`` Hz."""
    try:
        with wave.open(BytesIO(data), "rb") as file:
            layout = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError, RuntimeError):  # RuntimeError: chunks that reach beyond the file
        raise ValueError("this is not a WAV file we can read") from None
    if layout != (1, SAMPLE_BYTES, sample_rate):
        channels, width, rate = layout
        raise ValueError(
            f"the WAV file must be 16-bit mono at {sample_rate} Hz, but has {channels} channels, "
            f"{width * 8} bits and {rate} Hz"
        )
    return pcm


def chunked(pcm: bytes, size: int) -> Iterator[bytes]:
    """Cut PCM into pieces of at most ``size`` bytes, whole samples each."""
    step = max(SAMPLE_BYTES, size & ~1)
    for at in range(0, len(pcm), step):
        yield pcm[at : at + step]


async def one_piece(pcm: bytes) -> AsyncGenerator[bytes, None]:
    """Iterate over a single piece."""
    yield pcm


async def pieces_of(source: Iterable[bytes] | AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """Iterate over a source of either kind. An async generator is closed even if only half of it was wanted."""
    if isinstance(source, AsyncIterable):
        async with AsyncExitStack() as stack:
            if isinstance(source, AsyncGenerator):
                stack.push_async_callback(source.aclose)
            async for piece in source:
                yield piece
    else:
        for piece in source:
            yield piece
