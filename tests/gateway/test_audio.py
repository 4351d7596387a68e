"""Voices, mixing and WAV files."""

import struct
import wave
from pathlib import Path

import pytest

from telcoflow_anyio.gateway import Voice, frame_bytes, mix, read_wav, skip_silence, write_wav

RATE = 8000
FRAME = frame_bytes(RATE)


def pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def spoken(voice: Voice, frames: int, rate: int = RATE) -> bytes:
    speech = voice.speak(rate)
    return b"".join(speech.next_frame() or bytes(frame_bytes(rate)) for _ in range(frames))


@pytest.mark.parametrize(("rate", "size"), [(8000, 320), (16000, 640), (24000, 960)])
def test_a_frame_is_twenty_milliseconds(rate: int, size: int) -> None:
    assert frame_bytes(rate) == size


def test_a_ramp_counts_its_samples_and_starts_again_at_thirty_thousand() -> None:
    samples = struct.unpack("<32000h", spoken(Voice.ramp(4), 200))
    assert samples == tuple(index % 30000 for index in range(32000))


def test_a_tone_lasts_as_long_as_it_should_and_is_silent_then() -> None:
    speech = Voice.tone(440, 0.03).speak(RATE)
    first, second, third = (speech.next_frame() for _ in range(3))
    assert any(first)
    assert len(second) == FRAME
    assert not any(second[FRAME // 2 :])
    assert third == b""


def test_a_pause_comes_before_the_words() -> None:
    speech = Voice.pcm(pcm(1, 2, 3)).after(0.02).speak(RATE)
    assert speech.next_frame() == b""
    assert speech.next_frame() == pcm(1, 2, 3).ljust(FRAME, b"\0")
    assert speech.next_frame() == b""


def test_a_repeated_voice_has_no_gap_but_its_pause() -> None:
    once = pcm(*range(1, 51))
    assert spoken(Voice.pcm(once).repeated(), 3) == (once * 10)[: 3 * FRAME]
    paused = spoken(Voice.pcm(pcm(*[7] * 80)).after(0.01).repeated(), 4)
    assert paused == (bytes(160) + pcm(*[7] * 80)) * 4


def test_repeated_silence_is_silence() -> None:
    assert spoken(Voice.silence().repeated(), 2) == bytes(2 * FRAME)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="whole 16-bit samples"):
        Voice.pcm(b"abc")


def test_mixing_adds_up_and_saturates() -> None:
    assert mix(pcm(1, 32000, -32000), pcm(2, 32000, -32000)) == pcm(3, 32767, -32768)
    assert mix(pcm(1), pcm(2), pcm(3)) == pcm(6)


def test_only_what_sounds_is_mixed() -> None:
    frame = pcm(5, 6)
    assert mix(b"", frame, b"") is frame
    assert mix(b"", b"") == mix() == b""


def test_silent_frames_can_be_skipped() -> None:
    loud = pcm(*range(1, 161))
    assert skip_silence(bytes(FRAME) + loud + bytes(FRAME * 2) + loud[:100], RATE) == loud + loud[:100]


def test_a_wav_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", pcm(1, 2, 3), RATE)
    assert read_wav(tmp_path / "a.wav") == read_wav(tmp_path / "a.wav", RATE) == (pcm(1, 2, 3), RATE)
    assert spoken(Voice.wav(tmp_path / "a.wav"), 1) == pcm(1, 2, 3).ljust(FRAME, b"\0")


def test_a_wav_file_of_another_rate_is_refused_by_name(tmp_path: Path) -> None:
    write_wav(tmp_path / "slow.wav", pcm(1, 2, 3), RATE)
    with pytest.raises(ValueError, match=r"slow\.wav has 8000 samples a second, but the call has 24000"):
        Voice.wav(tmp_path / "slow.wav").speak(24000)


def test_a_wav_file_of_another_rate_is_converted_if_asked(tmp_path: Path) -> None:
    write_wav(tmp_path / "slow.wav", pcm(0, 300, 600, 900), RATE)
    up = Voice.wav(tmp_path / "slow.wav", resample=True).speak(24000).next_frame()
    assert up[:24] == pcm(0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 900, 900)
    write_wav(tmp_path / "fast.wav", pcm(0, 1, 2, 3, 4, 5), 24000)
    assert Voice.wav(tmp_path / "fast.wav", resample=True).speak(RATE).next_frame()[:4] == pcm(0, 3)


def test_a_wav_file_of_another_layout_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(1)
        file.setframerate(RATE)
        file.writeframes(b"1234")
    with pytest.raises(ValueError, match="must be 16-bit mono, but has 2 channels of 8 bits"):
        read_wav(tmp_path / "stereo.wav")


@pytest.mark.parametrize("content", [b"", b"this is not a WAV file"])
def test_what_is_no_wav_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "no.wav").write_bytes(content)
    with pytest.raises(ValueError, match=r"no\.wav is not a WAV file we can read"):
        read_wav(tmp_path / "no.wav")
