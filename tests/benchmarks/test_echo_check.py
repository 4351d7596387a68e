"""The check of the load gateway must see what it is there for."""

import struct

import pytest

from benchmarks.speed.echo_check import PCM_BYTES, EchoCheck, Faults


@pytest.fixture
def check() -> EchoCheck:
    return EchoCheck(call=7)


def said(check: EchoCheck, count: int) -> list[bytes]:
    return [check.next_message(now=1000 * number) for number in range(count)]


def heard(check: EchoCheck, messages: list[bytes]) -> Faults:
    for message in messages:
        check.receive(message, 10_000, [])
    return check.finish()


def test_what_comes_back_once_and_in_order_is_without_fault(check: EchoCheck) -> None:
    assert heard(check, said(check, 5)).text() == ""
    assert check.came == 5


def test_a_frame_is_one_channel_byte_and_twenty_milliseconds_of_samples(check: EchoCheck) -> None:
    assert [len(message) for message in said(check, 2)] == [1 + PCM_BYTES] * 2


def test_every_frame_is_another_one(check: EchoCheck) -> None:
    assert len(set(said(check, 100))) == 100


def test_how_long_a_frame_was_away_is_noted(check: EchoCheck) -> None:
    latencies: list[int] = []
    for message in said(check, 2):
        check.receive(message, 5000, latencies)
    assert latencies == [5000, 4000]


def test_a_lost_frame_is_seen(check: EchoCheck) -> None:
    messages = said(check, 5)
    assert heard(check, messages[:2] + messages[3:]) == Faults(lost=1)
    assert check.outstanding == 0


def test_last_frames_that_never_come_back_are_seen(check: EchoCheck) -> None:
    assert heard(check, said(check, 5)[:3]) == Faults(unreturned=2)


def test_a_frame_that_comes_twice_is_seen(check: EchoCheck) -> None:
    messages = said(check, 3)
    assert heard(check, [messages[0], messages[1], messages[1], messages[2]]) == Faults(duplicated=1)


def test_frames_that_change_places_are_seen(check: EchoCheck) -> None:
    first, second, third = said(check, 3)
    assert heard(check, [second, first, third]) == Faults(reordered=1)


def test_one_wrong_sample_is_seen(check: EchoCheck) -> None:
    message = bytearray(said(check, 1)[0])
    message[-1] ^= 1
    assert heard(check, [bytes(message)]) == Faults(damaged=1, unreturned=1)


def test_the_audio_of_another_call_is_seen(check: EchoCheck) -> None:
    said(check, 1)
    assert heard(check, said(EchoCheck(call=8), 1)) == Faults(damaged=1, unreturned=1)


def test_audio_that_was_never_said_is_seen(check: EchoCheck) -> None:
    message = bytearray(said(check, 1)[0])
    struct.pack_into("<I", message, 5, 99)  # the number
    assert heard(check, [bytes(message)]) == Faults(damaged=1, unreturned=1)


@pytest.mark.parametrize("size", [2, 320, 958, 962, 1920, 5000])
def test_a_client_may_cut_the_audio_as_it_likes(check: EchoCheck, size: int) -> None:
    pcm = b"".join(message[1:] for message in said(check, 5))
    pieces = [b"\0" + pcm[at : at + size] for at in range(0, len(pcm), size)]
    assert heard(check, pieces).text() == ""
    assert check.came == 5


def test_a_lost_sample_is_seen_however_the_audio_is_cut(check: EchoCheck) -> None:
    pcm = b"".join(message[1:] for message in said(check, 3))
    assert heard(check, [b"\0" + pcm[:1000] + pcm[1002:]]).damaged


def test_faults_add_up_and_are_named() -> None:
    faults = Faults(lost=2)
    faults.add(Faults(lost=1, reordered=4))
    assert faults.text() == "3 lost, 4 reordered"
