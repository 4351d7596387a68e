"""What passed over a connection can be written down, read again, and played again exactly."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.errors import LimitExceeded, RemoteProtocolError
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.media.events import CallChanged, CommandReceived
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.transcript import (
    Entry,
    Happening,
    Recorder,
    Transcript,
    read_transcript,
    replay,
    write_transcript,
)
from tests.core.support import counting

FIRST = "telcoflow-transcript 1\n"


def new_client() -> MediaClientConnection:
    return MediaClientConnection(url=parse_ws_url("ws://localhost/media"), token="t", entropy=counting())


def speak(client: MediaClientConnection, event: object, now: float) -> None:
    """The application: it talks once the call is answered."""
    if isinstance(event, CallChanged):
        client.send_audio(b"\1\0" * 480, now=now)


def recorded_call() -> Transcript:
    """A call: answered, spoken on, ended by the other side, and a timer that rang meanwhile."""
    client, server = new_client(), MediaServerConnection(entropy=counting())
    recorder = Recorder(client)
    server.start(now=100.0)
    recorder.start(now=100.0)
    client.answer(now=100.0)
    for step in range(6):
        now = 100.0 + step / 50
        server.receive_data(recorder.data_to_send(now=now), now=now)
        for event in server.events():
            if isinstance(event, UpgradeRequested):
                server.accept(now=now)
            elif isinstance(event, CommandReceived):
                server.succeed(event.command.command_id, now=now)
                server.request_audio(9600, now=now)
        if step == 4:
            server.terminate(now=now)
        recorder.receive_data(server.data_to_send(now=now), now=now)
        for happened in recorder.events():
            speak(client, happened, now)
    recorder.handle_timeout(now=103.0)
    recorder.receive_eof(now=103.5)
    assert recorder.data_to_send() == b""
    return recorder.transcript


def play_again(transcript: Transcript) -> Transcript:
    client = new_client()

    def react(event: object, now: float) -> None:
        speak(client, event, now)

    client.answer(now=100.0)
    return replay(transcript, client, react=react)


def test_a_call_is_played_again_byte_for_byte() -> None:
    transcript = recorded_call()
    assert {entry.what for entry in transcript.entries} == set(Happening)
    assert sum(len(entry.data) for entry in transcript.entries if entry.what is Happening.SAID) > 1000
    assert play_again(transcript) == transcript


def test_without_its_application_it_is_another_call() -> None:
    transcript = recorded_call()
    assert replay(transcript, new_client()) != transcript


def test_it_survives_being_written_and_read() -> None:
    transcript = recorded_call()
    text = write_transcript(transcript)
    assert text.startswith(f"{FIRST}100.0 start\n100.0 > 474554")
    assert read_transcript(text) == transcript
    assert play_again(read_transcript(text)) == transcript


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6, allow_subnormal=False), st.sampled_from(list(Happening)[1:4]), st.binary(min_size=1)
        ),
        max_size=8,
    )
)
def test_whatever_was_recorded_can_be_read(rows: list[tuple[float, Happening, bytes]]) -> None:
    entries = [
        Entry(at, what, data if what is not Happening.RANG else b"")
        for (at, what, data) in sorted(rows, key=lambda row: row[0])
    ]
    transcript = Transcript(tuple(entries))
    assert read_transcript(write_transcript(transcript)) == transcript


def test_a_transcript_that_is_full_is_a_beginning() -> None:
    limits = attrs.evolve(DEFAULT_LIMITS, transcript_bytes=4, transcript_entries=3)
    by_size = Recorder(new_client(), limits=limits)
    by_size.receive_data(b"abc", now=1.0)
    by_size.receive_data(b"de", now=1.0)
    by_size.receive_data(b"f", now=1.0)
    assert by_size.transcript == Transcript((Entry(1.0, Happening.HEARD, b"abc"),), dropped=2)
    by_count = Recorder(new_client(), limits=limits)
    for _ in range(5):
        by_count.handle_timeout(now=1.0)
    assert (len(by_count.transcript.entries), by_count.transcript.dropped) == (3, 2)


def test_the_end_that_is_recorded_is_the_end_of_the_door() -> None:
    client = new_client()
    recorder = Recorder(client)
    recorder.start(now=1.0)
    assert not client.lost
    recorder.receive_eof(now=2.0)
    assert client.lost


def test_bytes_do_not_show_in_a_repr() -> None:
    assert "canary" not in repr(Transcript((Entry(1.0, Happening.SAID, b"canary"),)))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1.0",
        "1.0 start ",
        "1.0  start",
        "1.0 said 00",
        "1.0 <",
        "1.0 < 0",
        "1.0 < 0G",
        "1.0 < 00 ",
        "1.0 start 00",
        "1.0 timeout 00",
        "x start",
        "1.0.0 start",
        "1e999 start",
        "nan start",
        "-inf eof",
        "٣ start",
        "1.0 start\r",
    ],
)
def test_a_line_that_was_tampered_with_is_named_and_not_quoted(line: str) -> None:
    with pytest.raises(RemoteProtocolError, match="line 3 of a transcript makes no sense there") as caught:
        read_transcript(f"{FIRST}0.0 timeout\n{line}\n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "lines",
    ["2.0 start\n1.0 timeout", "1.0 start\n1.0 start", "1.0 timeout\n1.0 start", "1.0 eof\n1.0 < 00"],
    ids=["time runs back", "two starts", "a late start", "heard after the end"],
)
def test_what_cannot_have_happened_is_refused(lines: str) -> None:
    with pytest.raises(RemoteProtocolError, match="line 3"):
        read_transcript(FIRST + lines)


@pytest.mark.parametrize("text", ["", "\n", "telcoflow-transcript 2\n", "1.0 start"])
def test_another_format_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="begins with"):
        read_transcript(text)


@pytest.mark.parametrize(
    "text",
    ["1.0 timeout\n" * 4, "1.0 < 0000000000\n", "1.0 < 000000\n" * 2, "x" * 1000],
    ids=["entries", "bytes", "bytes of two entries", "text"],
)
def test_what_is_too_long_is_refused(text: str) -> None:
    limits = attrs.evolve(DEFAULT_LIMITS, transcript_bytes=4, transcript_entries=3)
    with pytest.raises(LimitExceeded):
        read_transcript(FIRST + text, limits=limits)
    assert read_transcript(f"{FIRST}1.0 < 00000000\n", limits=limits).entries[0].data == bytes(4)


def test_an_empty_transcript_is_one() -> None:
    assert read_transcript(FIRST) == Transcript(())
    assert write_transcript(Transcript(())) == FIRST
