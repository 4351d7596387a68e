"""Sound as users handle it: played, drained, interrupted, heard leg by leg, recorded."""

# mypy: disable-error-code="truthy-bool"

import io
import struct
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, final

import anyio
import pytest

from telcoflow_anyio import ActiveCall
from telcoflow_proto.exceptions import BufferClosedError, WSSCallClosedError, WSSCallStateError
from telcoflow_proto.surface import Played
from tests.adapters.acts import Later, Phone, meanwhile, outcome, phone_in, taking, talk, until
from tests.world.world import World

SECOND = 48000
FRAME = 960


def ramp(size: int, start: int = 1) -> bytes:
    """Samples no two of which near each other are alike."""
    return struct.pack(f"<{size // 2}h", *((start + number) % 30011 + 1 for number in range(size // 2)))


@asynccontextmanager
async def pulled(phone: Phone, *, ahead: int = 20 * FRAME) -> AsyncIterator[None]:
    """Let the service pull speech at the pace at which it is played, some of it ahead."""
    async with meanwhile() as group:

        async def pull() -> None:
            phone.there.want(ahead)
            while not phone.there.over:
                await anyio.sleep(0.02)
                if not phone.there.over:
                    phone.there.want(FRAME)

        group.start_soon(pull)
        yield


# ---------------------------------------------------------------------- playing

SOUND = ramp(2 * SECOND)


async def in_pieces() -> AsyncGenerator[bytes]:
    for at in range(0, len(SOUND), 3000):
        await anyio.sleep(0.001)
        yield SOUND[at : at + 3000]


def at_once() -> Iterator[bytes]:
    yield SOUND


SOURCES: dict[str, Any] = {
    "bytes": lambda: SOUND,
    "bytearray": lambda: bytearray(SOUND),
    "memoryview": lambda: memoryview(SOUND),
    "list": lambda: [SOUND[:10], b"", SOUND[10:]],
    "generator": at_once,
    "async generator": in_pieces,
}


@pytest.mark.parametrize("buffer_size", [4096, 1024 * 1024])
@pytest.mark.parametrize("kind", SOURCES)
async def test_what_is_played_is_heard_to_the_last_sample(world: World, kind: str, buffer_size: int) -> None:
    async with phone_in(world, "answered", buffer_size=buffer_size) as phone, pulled(phone):
        begun = anyio.current_time()
        played = await phone.call.play_audio(SOURCES[kind]())
        assert played == Played(bytes_queued=len(SOUND), seconds_heard=2.0, complete=True)
        assert phone.there.heard == SOUND
        assert anyio.current_time() - begun == pytest.approx(2.06, abs=0.03)


async def test_a_source_is_read_only_as_fast_as_there_is_room(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=4096) as phone, meanwhile() as group:
        read = 0

        def speech() -> Iterator[bytes]:
            nonlocal read
            while True:
                read += 1
                yield bytes(FRAME)

        playing = Later(group, phone.call.play_audio, speech())
        await anyio.sleep(10)
        assert read <= 5
        phone.there.want(10 * FRAME)
        await anyio.sleep(10)
        assert read <= 15
        assert playing.took is None
        assert phone.call.get_send_audio_buffer_size() <= 4096


async def test_pieces_larger_than_the_buffer_are_cut(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=4098) as phone, pulled(phone):
        assert (await phone.call.play_audio([SOUND])).complete
        assert phone.there.heard == SOUND


async def test_one_after_the_other(world: World) -> None:
    async with phone_in(world, "answered") as phone, pulled(phone):
        first = await phone.call.play_audio(SOUND[:SECOND])
        second = await phone.call.play_audio(SOUND[SECOND:])
        assert first.seconds_heard == second.seconds_heard == 1.0
        assert phone.there.heard == SOUND


async def test_nothing_is_played_at_once(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        for nothing in (b"", [], [b"", b""]):
            assert await phone.call.play_audio(nothing) == Played(bytes_queued=0, seconds_heard=0.0, complete=True)


async def test_playing_that_is_interrupted_says_how_much_was_heard(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group, pulled(phone):
        async with aclosing(in_pieces()) as source:
            playing = Later(group, phone.call.play_audio, source)
            await anyio.sleep(0.5)
            await phone.call.interrupt()
            played = await playing.done()
        assert not played.complete
        assert played.seconds_heard == pytest.approx(0.5, abs=0.05)
        again = await phone.call.play_audio(SOUND[:SECOND])
        assert again == Played(bytes_queued=SECOND, seconds_heard=1.0, complete=True)


async def test_playing_that_waits_for_its_source_is_interrupted_too(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group, pulled(phone):
        more = anyio.Event()

        async def slow() -> AsyncGenerator[bytes]:
            yield SOUND[:SECOND]
            await more.wait()
            yield SOUND[SECOND:]

        async with aclosing(slow()) as source:
            playing = Later(group, phone.call.play_audio, source)
            await anyio.sleep(3)
            await phone.call.interrupt()
            more.set()
            assert await playing.done() == Played(bytes_queued=SECOND, seconds_heard=1.0, complete=False)


@pytest.mark.parametrize("buffer_size", [4096, 1024 * 1024])
async def test_playing_ends_with_the_call(world: World, buffer_size: int) -> None:
    async with (
        phone_in(world, "answered", buffer_size=buffer_size) as phone,
        meanwhile() as group,
        pulled(phone, ahead=FRAME),
    ):
        playing = Later(group, phone.call.play_audio, SOUND)
        await anyio.sleep(1)
        phone.there.hang_up()
        played = await playing.done()
        assert not played.complete
        assert played.seconds_heard == pytest.approx(1, abs=0.1)
        assert isinstance(await outcome(phone.call.play_audio, SOUND), BufferClosedError)


async def test_playing_that_is_cancelled_leaves_the_call_usable(world: World) -> None:
    async with phone_in(world, "answered", buffer_size=4096) as phone, pulled(phone):
        with anyio.move_on_after(1):
            await phone.call.play_audio(SOUND)
        await phone.call.interrupt()
        assert (await phone.call.play_audio(SOUND[:FRAME])).complete


async def test_what_cannot_be_played_is_refused(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        assert isinstance(await outcome(phone.call.play_audio, SOUND), WSSCallStateError)
        await phone.call.answer()
        for wrong, kind in ((b"\0", ValueError), ([b"\0"], ValueError), (["a"], TypeError), (None, TypeError)):
            assert isinstance(await outcome(phone.call.play_audio, wrong), kind)


async def test_a_source_that_fails_says_so_itself(world: World) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(FRAME)
        raise ZeroDivisionError

    async with phone_in(world, "answered") as phone, pulled(phone):
        assert isinstance(await outcome(phone.call.play_audio, broken()), ZeroDivisionError)
        assert (await phone.call.play_audio(SOUND[:FRAME])).complete


def wav(pcm: bytes, *, rate: int = 24000, channels: int = 1, width: int = 2) -> bytes:
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm)
    return whole.getvalue()


@pytest.fixture
def plain_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read and written in threads; in virtual time they are used directly."""

    async def read(call: object, path: str) -> bytes:
        return Path(path).read_bytes()

    async def open_(call: object, path: str) -> PlainFile:
        return PlainFile(path)

    monkeypatch.setattr(world.adapter.ActiveCall, "_read_file", read)
    monkeypatch.setattr(world.adapter.ActiveCall, "_open_file", open_)


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.usefixtures("plain_files")
async def test_a_wav_file_is_played(world: World, tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "hello.wav"
    path.write_bytes(wav(SOUND))
    async with phone_in(world, "answered") as phone, pulled(phone):
        played = await phone.call.play_audio(str(path) if as_text else path)
        assert played == Played(bytes_queued=len(SOUND), seconds_heard=2.0, complete=True)
        assert phone.there.heard == SOUND


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (wav(b"", rate=16000), "16000 Hz"),
        (wav(b"", channels=2), "2 channels"),
        (wav(b"", width=1), "8 bits"),
        (b"RIFF", "not a WAV file"),
        (b"", "not a WAV file"),
    ],
)
@pytest.mark.usefixtures("plain_files")
async def test_a_wav_file_that_does_not_fit_is_refused(world: World, tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "hello.wav"
    path.write_bytes(content)
    async with phone_in(world, "answered") as phone:
        error = await outcome(phone.call.play_audio, path)
        assert isinstance(error, ValueError)
        assert says in str(error)
        assert isinstance(await outcome(phone.call.play_audio, tmp_path / "none.wav"), FileNotFoundError)


# ---------------------------------------------------------------------- draining

GOODBYE = ramp(int(2.3 * SECOND) + 346)
"""2.3 s and a tail of 173 samples: no whole frame of any size."""


@pytest.mark.parametrize("frame", [320, 960, 1920])
@pytest.mark.parametrize("how", ["close", "disconnect"])
async def test_a_goodbye_with_an_odd_tail_is_heard_before_the_hang_up(world: World, how: str, frame: int) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:

        async def pull() -> None:
            while not phone.there.over:
                phone.there.want(frame, frame=frame)
                await anyio.sleep(frame / SECOND)

        group.start_soon(pull)
        begun = anyio.current_time()
        await phone.call.send_audio(GOODBYE)
        await getattr(phone.call, how)(drain=5)
        assert phone.there.heard == GOODBYE
        assert anyio.current_time() - begun == pytest.approx(len(GOODBYE) / SECOND, abs=0.1)
        assert phone.there.said[-1] == f"call.{how}"
        assert phone.there.commands[-1].at >= phone.there.frames[-1][0]


async def test_a_drain_that_takes_too_long_does_not_hold_up_the_hang_up(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        await phone.call.send_audio(GOODBYE)
        begun = anyio.current_time()
        assert await phone.call.disconnect(drain=1.5)
        assert anyio.current_time() - begun == pytest.approx(1.5, abs=0.01)
        assert phone.there.said[-1] == "call.disconnect"


async def test_a_call_that_ends_while_it_drains_is_closed_quietly(world: World) -> None:
    async with phone_in(world, "answered") as phone, meanwhile() as group:
        await phone.call.send_audio(GOODBYE)
        closing = Later(group, lambda: phone.call.close(drain=60))
        await anyio.sleep(1)
        phone.there.hang_up()
        assert await closing.done()
        assert phone.there.said == ["call.answer"]


# ---------------------------------------------------------------------- barge-in


async def test_an_interrupt_empties_the_queue_before_it_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[int] = []
    new_bell = vars(world.adapter.ActiveCall)["_new_bell"]

    def spy(call: ActiveCall) -> Any:
        queued.append(call.get_send_audio_buffer_size())
        return new_bell(call)

    monkeypatch.setattr(world.adapter.ActiveCall, "_new_bell", spy)
    async with phone_in(world, "answered") as phone:
        await phone.call.send_audio(bytes(SECOND))
        queued.clear()
        assert await phone.call.interrupt() == SECOND
        assert queued
        assert set(queued) == {0}


async def test_an_interrupt_tells_what_was_heard_and_what_never_will_be(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        await phone.call.send_audio(bytes(2 * SECOND))
        phone.there.want(SECOND)
        await anyio.sleep(0.4)
        interruption = await phone.call.interrupt()
        assert interruption == SECOND
        assert interruption.milliseconds_heard == pytest.approx(400, abs=5)
        assert interruption.milliseconds_dropped == pytest.approx(1600, abs=5)
        nothing = await phone.call.clear_send_audio_buffer()
        assert (nothing, nothing.milliseconds_dropped) == (0, 0)
        assert nothing.milliseconds_heard == pytest.approx(400, abs=5)


@pytest.mark.parametrize("slow", [False, True])
async def test_nothing_that_was_queued_leaves_after_an_interrupt(world: World, slow: bool) -> None:
    world.net.latency = 0.05
    if slow:
        world.net.byte_cap = 2000
    async with phone_in(world, "answered") as phone:
        before, after = b"\1" * SECOND, b"\2" * 4 * FRAME
        phone.there.want(20 * FRAME)
        await phone.call.send_audio(before)
        await anyio.sleep(0.3)
        heard = len(phone.there.heard)
        assert heard
        await phone.call.interrupt()
        assert phone.there.said[-1] == "agent.interrupt"
        cleared_at = phone.there.commands[-1].at
        assert sum(size for at, size in phone.there.frames if at > cleared_at) == 0
        assert b"\2" not in phone.there.heard
        phone.there.want(20 * FRAME)
        await phone.call.send_audio(after)
        await anyio.sleep(2)
        assert phone.there.heard.strip(b"\1") == after
        assert phone.there.faults == []


async def test_an_interrupt_reaches_the_service_with_an_empty_queue_too(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        phone.there.want(SECOND)
        await phone.call.send_audio(bytes(SECOND))
        await until(lambda: len(phone.there.heard) == SECOND)
        assert phone.call.get_send_audio_buffer_size() == 0
        interruption = await phone.call.interrupt()
        assert interruption == 0
        assert interruption.milliseconds_dropped > 900
        assert phone.there.said[-1] == "agent.interrupt"


# ---------------------------------------------------------------------- isolated legs


async def test_isolated_legs_are_heard_one_by_one(world: World) -> None:
    async with phone_in(world, "connected", audio_mode="isolated") as phone, meanwhile() as group:
        heard: dict[int, bytes] = {0: b"", 1: b"", 2: b""}

        async def listen(channel: int) -> None:
            async for chunk in phone.call.audio_stream(channel):
                heard[channel] += chunk

        for channel in heard:
            group.start_soon(listen, channel)
        for number in range(10):
            for channel in heard:
                phone.there.say(bytes([channel * 16 + number]) * FRAME, channel=channel)
            await anyio.sleep(0.02)
        for channel, sound in heard.items():
            assert sound == b"".join(bytes([channel * 16 + number]) * FRAME for number in range(10))


async def test_a_channel_nobody_reads_is_bounded(world: World) -> None:
    async with phone_in(world, "connected", audio_mode="isolated") as phone:
        for number in range(12):
            phone.there.say(bytes([number]) * SECOND, channel=2)
            await anyio.sleep(1)
        chunk = await anext(aiter(phone.call.audio_stream(2)))
        assert chunk[0] == 2
        assert phone.call.statistics().bytes_dropped_in == 2 * SECOND


@pytest.mark.parametrize(("mode", "channel"), [("mixed", 1), ("isolated", 9), ("isolated", 255)])
async def test_audio_on_an_unknown_channel_is_counted_and_harms_nothing(
    world: World, mode: str, channel: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with phone_in(world, "connected", audio_mode=mode) as phone:
        for _ in range(30):
            phone.there.say(b"\7\7", channel=channel)
        phone.there.say(b"\1\1")
        assert await anext(aiter(phone.call.audio_stream())) == b"\1\1"
        assert phone.call.statistics().bad_frames == 30
    assert "a frame was dropped" in caplog.text


# ---------------------------------------------------------------------- recording


@final
class PlainFile:
    """A file as a recording wants it, without threads."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("wb")  # noqa: SIM115 - the recording closes it
        self.room = 1 << 30
        self.closed = False

    async def write(self, data: bytes, /) -> int:
        await anyio.lowlevel.checkpoint()
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return self._file.write(data)

    async def seek(self, offset: int, /) -> int:
        await anyio.lowlevel.checkpoint()
        return self._file.seek(offset)

    async def flush(self) -> None:
        await anyio.lowlevel.checkpoint()
        self._file.flush()

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
            self._file.close()
            self.closed = True


def sides(path: Path) -> tuple[bytes, bytes]:
    """Read a stereo file: the agent's side, the caller's side."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 24000)
        both = file.readframes(file.getnframes())
        assert len(both) == 4 * file.getnframes()
    assert path.stat().st_size == len(both) + 44
    samples = struct.unpack(f"<{len(both) // 2}h", both)
    return struct.pack(f"<{len(samples) // 2}h", *samples[0::2]), struct.pack(f"<{len(samples) // 2}h", *samples[1::2])


@pytest.mark.usefixtures("plain_files")
async def test_a_recording_holds_both_voices_where_they_belong(world: World, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    theirs, ours = ramp(SECOND, 7), ramp(SECOND + 322, 20000)
    async with phone_in(world, "answered") as phone, pulled(phone):
        recording = await phone.call.record(path)
        for at in range(0, SECOND, FRAME):
            phone.there.say(theirs[at : at + FRAME])
            await anyio.sleep(0.02)
        await phone.call.play_audio(ours)
        await anyio.sleep(1)
        left, right = sides(path)
        assert abs(len(left) - 2 * SECOND) < SECOND
        assert right.startswith(theirs[: SECOND // 2])
        await phone.call.close()
        await until(lambda: recording.stopped)
        await anyio.sleep(0.1)
    left, right = sides(path)
    assert left.strip(b"\0") == ours.strip(b"\0")
    assert right.strip(b"\0") == theirs.strip(b"\0")
    assert left.index(ours[:FRAME]) == pytest.approx(SECOND, abs=0.05 * SECOND)
    assert right.index(theirs[:FRAME]) < 0.05 * SECOND
    assert len(left) == len(right)


@pytest.mark.usefixtures("plain_files")
async def test_a_recording_is_a_valid_file_at_any_moment(world: World, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    async with phone_in(world, "answered") as phone:
        await phone.call.record(str(path))
        sizes: list[int] = []
        for _ in range(60):
            await anyio.sleep(0.1)
            phone.there.say(bytes(4800))
            with wave.open(str(path), "rb") as file:
                sizes.append(file.getnframes())
        assert sizes == sorted(sizes)
        assert sizes[-1] == pytest.approx(6 * 24000, abs=0.8 * 24000)


@pytest.mark.usefixtures("plain_files")
async def test_a_recording_can_be_stopped_and_another_one_begun(world: World, tmp_path: Path) -> None:
    async with phone_in(world, "answered") as phone:
        first = await phone.call.record(tmp_path / "1.wav")
        phone.there.say(b"\1" * FRAME)
        await anyio.sleep(1)
        first.stopped = True
        await anyio.sleep(1)
        second = await phone.call.record(tmp_path / "2.wav")
        await anyio.sleep(0.5)
        phone.there.say(b"\2" * FRAME)
        await anyio.sleep(1)
        phone.there.hang_up()
        await phone.call.wait_ended()
        await until(lambda: second.stopped)
        await anyio.sleep(0.1)
        assert b"\2" not in sides(tmp_path / "1.wav")[1]
        assert sides(tmp_path / "1.wav")[1].strip(b"\0") == b"\1" * FRAME
        assert sides(tmp_path / "2.wav")[1].strip(b"\0") == b"\2" * FRAME
        assert isinstance(await outcome(phone.call.record, tmp_path / "3.wav"), WSSCallClosedError)
        assert not (tmp_path / "3.wav").exists()


@pytest.mark.usefixtures("plain_files")
async def test_what_is_interrupted_is_not_in_the_recording(world: World, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    async with phone_in(world, "answered") as phone, pulled(phone, ahead=2 * SECOND):
        recording = await phone.call.record(path)
        await anyio.sleep(0.1)
        await phone.call.send_audio(b"\1" * 2 * SECOND)
        await anyio.sleep(1)
        await phone.call.interrupt()
        await anyio.sleep(2)
        await phone.call.close()
        await until(lambda: recording.stopped)
        await anyio.sleep(0.1)
    assert len(sides(path)[0].strip(b"\0")) == pytest.approx(SECOND, abs=0.25 * SECOND)


@pytest.mark.usefixtures("plain_files")
async def test_a_recording_is_complete_though_the_client_is_left(world: World, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    async with world.client() as client:
        taking(client)
        phone = await talk(world, client)
        recording = await phone.call.record(path)
        for _ in range(50):
            phone.there.say(b"\1" * FRAME)
            await anyio.sleep(0.02)
    assert recording.stopped
    assert sides(path)[1].strip(b"\0") == b"\1" * SECOND


async def test_a_full_disk_ends_the_recording_and_nothing_else(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def small(call: object, path: str) -> PlainFile:
        file = PlainFile(path)
        file.room = 100_000
        return file

    monkeypatch.setattr(world.adapter.ActiveCall, "_open_file", small)
    async with phone_in(world, "answered") as phone:
        recording = await phone.call.record(tmp_path / "call.wav")
        for _ in range(200):
            phone.there.say(bytes(FRAME))
            await anyio.sleep(0.02)
        assert recording.stopped
        assert await phone.call.close()
    assert (tmp_path / "call.wav").exists()
