"""Seeds from real conversations: the core talks to itself, and what it says becomes the first corpus.

``python -m fuzz seeds`` writes them into ``fuzz/corpus``; they are the same in every run.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from telcoflow_proto.client_events import CallIdentity
from telcoflow_proto.control.codec import encode_control
from telcoflow_proto.control.connection import ControlClientConnection, ControlServerConnection
from telcoflow_proto.control.events import RequestReceived, SetupRequested
from telcoflow_proto.control.messages import (
    CallFlow,
    CallIn,
    ClientMessage,
    CreateSession,
    MessageIn,
    OpenSession,
    Requested,
    SendMessage,
    SessionClosed,
    SessionInfo,
    SessionNotice,
    SessionReady,
    Setup,
    SetUpCallFlow,
    SetupDone,
)
from telcoflow_proto.handover import write_handover
from telcoflow_proto.media.codec import encode_media
from telcoflow_proto.media.connection import MediaClientConnection, MediaServerConnection
from telcoflow_proto.media.events import CommandReceived
from telcoflow_proto.media.messages import BufferRequest, CallNotice, Command, CommandResponse
from telcoflow_proto.media.table import COMMANDS, CallWord
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import entropy, wire_frame
from telcoflow_proto.transcript import Recorder, write_transcript

CORPUS = Path(__file__).parent / "corpus"

_Seed = tuple[str, str, bytes]
_SOUND = b"\x10\x00\x20\x00" * 20
_KEY = base64.b64encode(bytes(16)).decode()


def write_seeds(folder: Path = CORPUS) -> int:
    """Write every seed into the folder of its target, and return how many there are."""
    count = 0
    for target, name, data in seeds():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        (place / f"seed-{name}").write_bytes(data)
        count += 1
    return count


def seeds() -> Iterator[_Seed]:
    """Yield target, name and bytes of every seed."""
    yield from _conversations()
    yield from _frames()
    yield from _handshakes()
    yield from _control()
    yield from _media()
    yield from _texts()
    yield from _relay()


# ---------------------------------------------------------------------------------------------- conversations


def _control_talk() -> tuple[bytes, bytes]:
    """Two ends set up, claim, get a call, and part. What each of them said, the upgrade included."""
    client = ControlClientConnection(
        url=parse_ws_url("ws://localhost/control"), credentials=[("x-api-key", "k")], entropy=entropy()
    )
    server = ControlServerConnection(entropy=entropy(1))
    said = {Role.CLIENT: b"", Role.SERVER: b""}
    server.start(now=0.0)
    client.start(now=0.0)
    for _ in range(12):
        data = client.data_to_send(now=0.0)
        said[Role.CLIENT] += data
        server.receive_data(data, now=0.0)
        for event in server.events():
            if isinstance(event, SetupRequested):
                server.complete_setup(connection_id="w1", now=0.0)
                server.notify(SessionNotice(session_id="s1", channel="TELCO", activity="NEW_INCOMING_CALL"), now=0.0)
            elif isinstance(event, RequestReceived):
                server.open_succeeded(
                    event.requested.request_id, SessionInfo(id="s1", channel="TELCO", state="OPEN"), now=0.0
                )
            elif type(event).__name__ == "UpgradeRequested":
                server.accept(now=0.0)
            elif type(event).__name__ == "SessionReadied":
                server.offer_call(CallIn(session_id="s1", call_id="c1", url="ws://localhost/m", token="t"), now=0.0)  # noqa: S106
                server.close_session("s1", "CALL_TERMINATED", now=0.0)
        data = server.data_to_send(now=0.0)
        said[Role.SERVER] += data
        client.receive_data(data, now=0.0)
        for told in client.events():
            if isinstance(told, SessionNotice):
                client.open_session(told.session_id, now=0.0)
            elif type(told).__name__ == "RequestDone":
                client.ready("s1", now=0.0)
            elif isinstance(told, SessionClosed):
                client.close_connection(now=0.0)
    return said[Role.CLIENT], said[Role.SERVER]


def _media_talk() -> tuple[bytes, bytes, str]:
    """A call: answered, talked on both ways, and closed. What each end said, and the client's transcript."""
    client = MediaClientConnection(url=parse_ws_url("ws://localhost/m"), token="t", entropy=entropy())  # noqa: S106
    server = MediaServerConnection(entropy=entropy(1))
    recorder = Recorder(client)
    said = {Role.CLIENT: b"", Role.SERVER: b""}
    server.start(now=0.0)
    client.answer(now=0.0)
    recorder.start(now=0.0)
    for step in range(10):
        now = step / 50
        data = recorder.data_to_send(now=now)
        said[Role.CLIENT] += data
        server.receive_data(data, now=now)
        for event in server.events():
            if isinstance(event, CommandReceived):
                server.succeed(event.command.command_id, now=now)
            elif type(event).__name__ == "UpgradeRequested":
                server.accept(now=now)
            if isinstance(event, CommandReceived) and event.command.command is CallWord.ANSWER:
                server.request_audio(200, frame_bytes=60, now=now)
                server.send_audio(_SOUND, now=now)
        data = server.data_to_send(now=now)
        said[Role.SERVER] += data
        recorder.receive_data(data, now=now)
        for told in recorder.events():
            if type(told).__name__ == "CallChanged":
                client.send_audio(_SOUND, now=now)
        if step == 5:
            client.close(now=now)
    recorder.receive_eof(now=1.0)
    return said[Role.CLIENT], said[Role.SERVER], write_transcript(recorder.transcript)


def _conversations() -> Iterator[_Seed]:
    for plane, (client, server) in (("control", _control_talk()), ("media", _media_talk()[:2])):
        head, _, frames = client.partition(b"\r\n\r\n")
        yield "handshake_server", plane, head + b"\r\n\r\n" + frames[:100]
        yield "websocket_server", plane, frames[:1500]
        head, _, frames = server.partition(b"\r\n\r\n")
        yield "websocket_client", plane, frames[:1500]
    yield "transcript", "call", _media_talk()[2].encode()


# ---------------------------------------------------------------------------------------------- by hand


def _frames() -> Iterator[_Seed]:
    """One of each kind of frame, legal and not."""
    for role in Role:
        sender = role.peer
        target = f"websocket_{role.value}"
        cases = {
            "text": wire_frame(sender, 1, "héllo".encode()),
            "binary": wire_frame(sender, 2, b"\0" + _SOUND),
            "medium": wire_frame(sender, 2, bytes(130)),
            "fragments": wire_frame(sender, 1, b"h\xc3", final=False)
            + wire_frame(sender, 9, b"ping")
            + wire_frame(sender, 0, b"\xa9llo"),
            "many-fragments": wire_frame(sender, 2, b"", final=False) + wire_frame(sender, 0, b"", final=False) * 9,
            "pings": wire_frame(sender, 9, b"") * 10,
            "pong": wire_frame(sender, 10, b"pong"),
            "close": wire_frame(sender, 8, b"\x03\xe8bye") + wire_frame(sender, 1, b"late"),
            "close-empty": wire_frame(sender, 8, b""),
            "close-inside": wire_frame(sender, 1, b"a", final=False) + wire_frame(sender, 8, b"\x03\xe8"),
            "too-long": wire_frame(sender, 2, bytes(2001)),
            "bad-utf8": wire_frame(sender, 1, b"ok\xff"),
            "bad-opcode": wire_frame(sender, 3, b""),
            "reserved": wire_frame(sender, 1, b"x", reserved=4),
            "wrong-mask": wire_frame(sender.peer, 1, b"x"),
            "bad-close": wire_frame(sender, 8, b"\x03\xed"),
            "huge": (b"\x82\xff" if sender is Role.CLIENT else b"\x82\x7f") + b"\x40" + bytes(11),
        }
        for name, data in cases.items():
            yield target, name, data


def _handshakes() -> Iterator[_Seed]:
    request = (
        "GET /v1/agent/session-manager?a=b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    yield "handshake_server", "request", request.encode()
    yield "handshake_server", "no-key", request.replace("Key", "Kex").encode()
    yield "handshake_server", "long", request.replace("a=b", "a" * 8200).encode()
    yield "handshake_server", "many-headers", request.replace("\r\n\r\n", "\r\nA: b" * 130 + "\r\n\r\n").encode()
    # The key of a link with this entropy, as fuzz.targets.handshake makes it.
    key = base64.b64encode(entropy()(1024)[:16])
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()  # noqa: S324 - RFC 6455 says SHA-1
    answer = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    yield "handshake_client", "accepted", answer.encode() + wire_frame(Role.SERVER, 1, b"glued")
    yield (
        "handshake_client",
        "extension",
        answer.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n").encode(),
    )
    yield "handshake_client", "redirect", b"HTTP/1.1 302 Found\r\nLocation: ws://evil/\r\nContent-Length: 0\r\n\r\n"
    yield "handshake_client", "busy", b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nfull"
    yield (
        "handshake_client",
        "unauthorised",
        b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n",
    )
    yield "handshake_client", "old", answer.replace("1.1 101", "1.0 101").encode()
    yield "handshake_client", "early", b"HTTP/1.1 100 Continue\r\n\r\n" + answer.encode()


def _control() -> Iterator[_Seed]:
    client: list[ClientMessage] = [
        Setup(sample_rate=24000, audio_mode="mixed"),
        Requested(request_id="r1", request=OpenSession(session_id="s1")),
        SessionReady(session_id="s1"),
        Requested(request_id="r2", request=CreateSession(channel="WA", remote_address="+1")),
        Requested(
            request_id="r4",
            request=SendMessage(session_id="s1", client_message_id="m", api_version="v19.0", content={"a": [1, 2.5]}),
        ),
        Requested(request_id="r5", request=SetUpCallFlow(flow=CallFlow())),
        Requested(request_id="r22", request=OpenSession(session_id="s2")),
    ]
    yield "control_server", "all", "\n".join(map(encode_control, client)).encode()
    for number, message in enumerate(client):
        yield "control_server", f"{number}", encode_control(message).encode()
    from fuzz.targets.control import new_client  # noqa: PLC0415 - the ids a client of that target waits for

    ids = new_client()[1]
    server = [
        encode_control(SetupDone(connection_id="w1")),
        encode_control(SessionNotice(session_id="s0", channel="TELCO", activity="RESUME", created_at=1)),
        encode_control(
            CallIn(session_id="s0", call_id="c", url="wss://x/y", token="t", organization="o", caller="+1", callee="+2")  # noqa: S106
        ),
        encode_control(MessageIn(session_id="s0", sender="+1", content={"text": "hi"})),
        encode_control(SessionClosed(session_id="s0", reason="FORCE_CLOSE")),
        json.dumps(
            {"type": "response", "reqId": ids[0], "ok": True, "content": {"session": {"id": "s1", "channel": "WA"}}}
        ),
        json.dumps({"type": "response", "reqId": ids[1], "ok": True, "content": {"sessionId": "s2", "created": False}}),
        json.dumps({"type": "response", "reqId": ids[2], "ok": False, "errorCode": "OVERFLOW", "errorContent": {}}),
        json.dumps({"type": "response", "reqId": ids[3], "ok": True, "content": None}),
    ]
    yield "control_client", "all", "\n".join(server).encode()
    yield "control_client", "again", "\n\n".join([*server, *server]).encode()
    for number, text in enumerate(server):
        yield "control_client", f"{number}", text.encode()
    yield "control_client", "silence", b"\n" * 40 + server[0].encode()
    yield "control_client", "bad", b"\n".join([b"[]"] * 11 + [server[1].encode()])


def _media() -> Iterator[_Seed]:
    commands = [
        Command(
            command_id=f"c{number}",
            command=word,
            timeout_ms=10_000,
            ring_time_seconds=20 if word is CallWord.CONNECT else None,
        )
        for number, word in enumerate(COMMANDS)
    ]
    yield "media_server", "all", "\n".join(map(encode_media, commands)).encode()
    for command in commands:
        yield "media_server", command.command.name.lower(), encode_media(command).encode()
    answer, connect = _first_commands()
    server = [
        encode_media(BufferRequest(requested_bytes=9600, frame_bytes=960)),
        encode_media(CommandResponse(command_id=answer, success=True)),
        encode_media(CommandResponse(command_id=connect, success=False, error_code="CALL_UNANSWERED")),
        encode_media(CallNotice(event="call.error", details={"error_code": "TTS_SESSION_ERROR", "error_message": "x"})),
        encode_media(CallNotice(event="call.answered")),
        encode_media(CallNotice(event="call.connected")),
        encode_media(CallNotice(event="call.connect_failed", details={"error_code": "TIMEOUT"})),
        encode_media(CallNotice(event="call.transferred", details={"to": "+1"})),
        encode_media(BufferRequest(requested_bytes=961, frame_bytes=3)),
        encode_media(CallNotice(event="call.terminated")),
    ]
    yield "media_client", "all", "\n".join(server).encode()
    yield "media_client", "slow", "\n\n\n\n\n".join(server).encode()
    for number, text in enumerate(server):
        yield "media_client", f"{number}", text.encode()
    yield "media_audio", "frames", b"\x28\0" + _SOUND[:40] + b"\x04\1abcd" + b"\x03\0abc" + b"\0\0" + b"\x02\x09ab"


def _first_commands() -> tuple[str, str]:
    """The ids a client of ``fuzz.targets.media`` gives its first two commands."""
    client = MediaClientConnection(url=parse_ws_url("ws://localhost/"), token="t", entropy=entropy())  # noqa: S106
    return client.answer(now=0.0), client.connect(now=0.0)


def _texts() -> Iterator[_Seed]:
    media = MediaClientConnection(url=parse_ws_url("wss://x.example/m?a=b"), token="t.1", entropy=entropy())  # noqa: S106
    call = write_handover(CallIdentity(call_id="c1", session_id="s1", caller="+1", callee=None), media)
    yield "handover", "call", call.encode()
    yield "handover", "elsewhere", call.replace("x.example", "a.media.example").encode()
    for name, url in {
        "same": "wss://x.example/media/c1?a=b",
        "port": "wss://x.example:443/",
        "wildcard": "wss://a.media.example/",
        "named": "wss://m.example/x",
        "local": "ws://localhost:8080/m",
        "user": "wss://u:p@x.example/",
        "fragment": "wss://x.example/#a",
        "ipv6": "ws://[::1]:8080/",
        "backslash": "wss://x.example\\@evil.example/",
        "downgrade": "ws://x.example/",
    }.items():
        yield "media_url", name, url.encode()
    values = {
        "object": '{"a":[1,-2.5e3,true,null,"\\u00e9\\n"],"b":{}}',
        "twice": '{"a":1,"a":2}',
        "surrogate": '{"a":"\\ud800"}',
        "pair": '{"a":"\\ud83d\\ude00"}',
        "big": '{"a":1e999}',
        "digits": '{"a":' + "1" * 33 + "}",
        "constant": '{"a":NaN}',
        "deep": '{"a":' + "[" * 40,
    }
    for name, text in values.items():
        yield "json_text", name, text.encode()
    yield "json_text", "no-text", b'\xff{"a":1}'
    yield "transcript", "tampered", b"telcoflow-transcript 1\n1.0 start\n2.0 < 00\n1.5 timeout\n"


def _relay() -> Iterator[_Seed]:
    """RELAY frames, as the vendor's client and service say them."""
    draw = entropy()(1024)
    raw = bytearray(draw[20:36])  # behind the 16 bytes of the key and the 4 of the first mask
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    event = {
        "event_type": "calling.call.receive",
        "params": {"call_id": "c1", "node_id": "n1", "call_state": "created"},
    }
    client = [
        {"jsonrpc": "2.0", "id": raw.hex(), "result": {"protocol": "p1", "identity": "i"}},
        {"jsonrpc": "2.0", "id": "e1", "method": "signalwire.event", "params": event},
        {"jsonrpc": "2.0", "id": "p1", "method": "signalwire.ping", "params": {"timestamp": 1.5}},
        {"jsonrpc": "2.0", "id": "d1", "method": "signalwire.disconnect", "params": {"restart": True}},
        {"jsonrpc": "2.0", "id": "x", "error": {"code": -32601, "message": "no"}},
    ]
    server = [
        {
            "jsonrpc": "2.0",
            "id": "1",
            "method": "signalwire.connect",
            "params": {"version": {"major": 2}, "authentication": {"project": "p", "token": "t"}, "contexts": ["a"]},
        },
        {"jsonrpc": "2.0", "id": 2, "method": "calling.answer", "params": {"node_id": "n", "call_id": "c"}},
        {"jsonrpc": "2.0", "id": "3", "method": "signalwire.ping", "params": {}},
        {"jsonrpc": "2.0", "id": "4", "result": {}},
    ]
    for target, frames in (("relay_client", client), ("relay_server", server), ("relay_frames", client + server)):
        yield target, "all", "\n".join(map(json.dumps, frames)).encode()
        yield target, "slow", ("\n" * 14).join(map(json.dumps, frames)).encode()
