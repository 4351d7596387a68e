"""Text and audio on the media connection of a call, heard by either role. Each line of a text input is a message.

Oracles: as on the control plane; speech never exceeds credit and is whole samples; what arrives as audio is read as
it came, in order, and what is missing has been counted.
"""

from collections import deque

from fuzz.oracles import expect
from fuzz.targets.control import lines, now_after
from telcoflow_proto.door import ConnectionLost, FrameDropped, Message
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.codec import decode_media, encode_media
from telcoflow_proto.media.events import CallEnded, CommandDone, CommandReceived
from telcoflow_proto.media.server import MediaServer
from telcoflow_proto.media.table import CallState
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import entropy

_SPEECH = bytes(range(256)) * 400
_MOST_CREDIT = int(DEFAULT_LIMITS.credit_seconds * 48_000)


def media_client(data: bytes) -> None:
    """What a server says, heard by a client that answers, connects, and talks without pause."""
    client = MediaClient(entropy=entropy())
    client.start(now=0.0)
    asked = {client.answer(now=0.0), client.connect(now=0.0)}
    client.messages_to_send(now=0.0)
    done: list[str] = []
    ended = lost = 0
    for now, text in lines(data):
        check_codec(text, Role.SERVER)
        client.handle_timeout(now=now)
        client.receive_message(text, now=now)
        if client.state in (CallState.ANSWERED, CallState.CONNECTED) and client.room >= len(_SPEECH):
            client.send_audio(_SPEECH, now=now)
        check_speech(client.messages_to_send(now=now))
        for event in client.events():
            expect(that=not lost, otherwise=f"{event!r} after the end")
            expect(that=not ended or isinstance(event, ConnectionLost | FrameDropped), otherwise="told after the call")
            ended += isinstance(event, CallEnded)
            lost += isinstance(event, ConnectionLost)
            if isinstance(event, CommandDone):
                done.append(event.command_id)
    client.receive_close(now=now_after(data))
    for event in client.events():
        ended += isinstance(event, CallEnded)
        if isinstance(event, CommandDone):
            done.append(event.command_id)
    expect(that=ended == 1, otherwise=f"the call ended {ended} times")
    expect(that=set(done) == asked and len(done) == len(asked), otherwise=f"asked {asked}, ended {done}")
    expect(that=client.next_deadline() is None, otherwise="a call that is over waits for something")


def media_server(data: bytes) -> None:
    """What a client says, heard by a server that carries most commands out."""
    server = MediaServer(entropy=entropy())
    server.start(now=0.0)
    ended = lost = 0
    for now, text in lines(data):
        check_codec(text, Role.CLIENT)
        server.handle_timeout(now=now)
        server.receive_message(text, now=now)
        for event in server.events():
            expect(that=not lost, otherwise=f"{event!r} after the end")
            ended += isinstance(event, CallEnded)
            lost += isinstance(event, ConnectionLost)
            if isinstance(event, CommandReceived) and not ended:
                _serve(server, event.command.command_id, now)
        for message in server.messages_to_send(now=now):
            if isinstance(message, str):
                known = decode_media(message, sender=Role.SERVER, limits=DEFAULT_LIMITS)
                expect(that=known is not None, otherwise=f"said something unknown: {message!r}")
    server.receive_close(now=now_after(data))
    ended += sum(isinstance(event, CallEnded) for event in server.events())
    expect(that=ended == 1, otherwise=f"the call ended {ended} times")
    expect(that=server.next_deadline() is None, otherwise="a call that is over waits for something")


def media_audio(data: bytes) -> None:
    """Binary messages, heard by both roles. The input is a list of them: a byte of length, then as many bytes."""
    messages: list[bytes] = []
    while data:
        size, data = data[0] + 1, data[1:]
        messages.append(data[:size])
        data = data[size:]
    for end, channels in (
        (MediaClient(entropy=entropy()), 1),
        (MediaClient(entropy=entropy(), isolated=True), DEFAULT_LIMITS.audio_in_channels + 1),
        (MediaServer(entropy=entropy()), 1),
    ):
        end.start(now=0.0)
        _hear_audio(end, channels, messages)


def check_codec(text: str, sender: Role) -> None:
    """Decode; and what could be decoded, encode and decode again."""
    try:
        message = decode_media(text, sender=sender, limits=DEFAULT_LIMITS)
    except RemoteProtocolError:
        return
    if message is None:
        return
    again = encode_media(message)
    if len(again) <= DEFAULT_LIMITS.json_bytes:  # escapes can make a text longer than we would hear
        heard = decode_media(again, sender=sender, limits=DEFAULT_LIMITS)
        expect(that=heard == message, otherwise=f"{message!r} was said and {heard!r} heard")


def check_speech(messages: list[Message]) -> None:
    """Speech is whole samples on channel 0, and never more than credit can be."""
    frames = [message for message in messages if isinstance(message, bytes)]
    for frame in frames:
        expect(that=frame[0] == 0 and len(frame) % 2 == 1 and len(frame) > 1, otherwise=f"half a sample: {frame[:8]!r}")
        expect(that=len(frame) <= DEFAULT_LIMITS.frame_bytes + 1, otherwise="a frame beyond its bound")
    expect(that=sum(map(len, frames)) <= _MOST_CREDIT + len(frames), otherwise="speech beyond credit")


def _hear_audio(end: MediaClient | MediaServer, channels: int, messages: list[bytes]) -> None:
    waiting: dict[int, deque[bytes]] = {}
    early = end.role is Role.CLIENT  # a server hears nothing before the answer
    for message in messages:
        end.receive_message(message, now=1.0)
        legal = len(message) > 1 and message[0] < channels and len(message) % 2 == 1
        if legal and early:
            waiting.setdefault(message[0], deque()).append(message[1:])
    for event in end.events():
        expect(that=not isinstance(event, ConnectionLost | CallEnded), otherwise=f"audio ended the call: {event!r}")
    for channel in range(channels):
        for sound in waiting.get(channel, ()):
            heard = end.next_audio(channel)
            expect(that=heard == sound, otherwise=f"channel {channel}: came {sound[:8]!r}, read {heard!r}")
        expect(that=end.next_audio(channel) is None, otherwise=f"channel {channel}: more was read than came")


def _serve(server: MediaServer, command_id: str, now: float) -> None:
    """The application behind a server: every third command is refused, by the length of its id."""
    if len(command_id) % 3 == 2:
        server.refuse(command_id, error_code="NO", now=now)
    elif len(command_id) % 7:
        server.succeed(command_id, now=now)
    if server.state in (CallState.ANSWERED, CallState.CONNECTED):
        server.request_audio(9600, now=now)
