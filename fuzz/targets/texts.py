"""Texts that come from elsewhere: JSON as such, a call handed over, the address of its audio, a transcript."""

import json
import math
from urllib.parse import urlsplit

from fuzz.oracles import MOST_BYTES, expect
from telcoflow_proto.config import ClientConfig
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.exceptions import WSSCallError
from telcoflow_proto.handover import read_handover, write_handover
from telcoflow_proto.jsontext import Json, decode_object, encode_object
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.media.connection import MediaClientConnection
from telcoflow_proto.origin import check_media_url, parse_ws_url
from telcoflow_proto.testing import entropy
from telcoflow_proto.transcript import Happening, read_transcript, replay, write_transcript

CONFIG = ClientConfig.for_handover(base_url="wss://x.example", media_hosts=["*.media.example", "m.example"])
_PLAIN = ClientConfig.for_handover(base_url="ws://localhost:8080")


def json_text(data: bytes) -> None:
    """Whatever we accept, the standard library reads as the same, and we encode and read again."""
    text = data[:MOST_BYTES].decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace")
    try:
        value = decode_object(text, DEFAULT_LIMITS)
    except RemoteProtocolError as error:
        expect(that=len(text) < 12 or text not in str(error), otherwise="an error quotes its text")
        return
    expect(that=_same(json.loads(text), value), otherwise="the standard library reads something else")
    expect(that=_is_finite(value), otherwise="an infinite number passed")
    again = encode_object(value)
    if len(again) <= DEFAULT_LIMITS.json_bytes:
        expect(that=_same(decode_object(again, DEFAULT_LIMITS), value), otherwise="said otherwise than heard")


def handover(data: bytes) -> None:
    """A call from another process: WSSCallError, or a call that is written as it was read."""
    text = data[:MOST_BYTES].decode("utf-8", "replace")
    try:
        identity, media = read_handover(text, CONFIG, entropy=entropy())
    except WSSCallError:
        return
    written = write_handover(identity, media)
    again, connection = read_handover(written, CONFIG, entropy=entropy())
    expect(that=again == identity, otherwise=f"{identity!r} became {again!r}")
    expect(that=write_handover(again, connection) == written, otherwise="written otherwise the second time")
    media.answer(now=0.0)
    media.start(now=0.0)
    request = media.data_to_send(now=0.0)
    expect(that=request.count(b"\r\n\r\n") == 1 and request.endswith(b"\r\n\r\n"), otherwise="it forges a request")
    expect(that=request.count(b"Authorization:") == 1, otherwise="it forges a header")


def media_url(data: bytes) -> None:
    """An address we go to with a token is allowed, and means the same to another parser."""
    text = data[:MOST_BYTES].decode("utf-8", "replace")
    for config in (CONFIG, _PLAIN):
        try:
            url = check_media_url(text, control=config.control_url, allowed_hosts=config.media_hosts)
        except RemoteProtocolError as error:
            expect(that=len(text) < 8 or text not in str(error), otherwise="an error quotes the address")
            continue
        other = urlsplit(text)
        expect(that=other.scheme == ("wss" if url.secure else "ws"), otherwise=f"scheme {other.scheme!r}")
        expect(that=other.hostname == url.address, otherwise=f"host {other.hostname!r}, not {url.address!r}")
        expect(that=(other.port or (443 if url.secure else 80)) == url.port, otherwise=f"port {other.port!r}")
        expect(that=other.username is None and other.password is None, otherwise="user information")
        hosts = (config.base.host, "m.example")
        expect(that=url.host in hosts or url.host.endswith(".media.example"), otherwise=f"host {url.host!r}")
        expect(that=url.secure or not config.base.secure, otherwise="a downgrade")
        expect(that=parse_ws_url(str(url)) == url, otherwise=f"{url} is read otherwise")


def transcript(data: bytes) -> None:
    """A transcript is refused, or read, written and played to the end; a second time exactly as the first."""
    text = data[: 4 * MOST_BYTES].decode("utf-8", "replace")
    try:
        read = read_transcript(text)
    except RemoteProtocolError:
        return
    expect(that=read_transcript(write_transcript(read)) == read, otherwise="written otherwise than read")
    if sum(len(entry.data) for entry in read.entries if entry.what is Happening.HEARD) > MOST_BYTES:
        return
    first, second = (replay(read, _connection()) for _ in range(2))
    expect(that=first == second, otherwise="two replays differ")
    expect(that=replay(first, _connection()) == first, otherwise="a replay is not played again exactly")


def _connection() -> MediaClientConnection:
    connection = MediaClientConnection(url=CONFIG.base, token="t", entropy=entropy())  # noqa: S106 - made up
    connection.answer(now=0.0)
    return connection


def _same(one: Json, other: Json) -> bool:
    """Equal, and of equal types: True is not 1 here."""
    return json.dumps(one) == json.dumps(other)


def _is_finite(value: Json) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)
