"""``python -m fuzz peer``: what a service must survive. It is driven as a client, and judged by what it answers.

Three things are asked of it, whatever is said: it answers a WebSocket ping within a second as long as the connection
is legal, or closes the connection with a close frame; what it says is a message of the wire; and whoever comes next
finds it well.
"""

import asyncio
import itertools
import json
import random
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, final

import attrs

from fuzz.live.wire import Log, Wire, entropy
from fuzz.mutate import mutated
from fuzz.seeds import seeds
from telcoflow_proto.config import CONTROL_PATH
from telcoflow_proto.control.codec import decode_control
from telcoflow_proto.errors import HandshakeRefused, RemoteProtocolError
from telcoflow_proto.handshake import Headers
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.link_table import LinkState
from telcoflow_proto.media.codec import decode_media
from telcoflow_proto.origin import WsUrl, parse_ws_url
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import wire_frame
from telcoflow_proto.version import WIRE_VERSION
from telcoflow_proto.websocket import LinkLost, WebSocketLink

_ANSWER_WITHIN = 1.0
_CALL_WITHIN = 2.5
_MOST_VIOLATIONS = 20
_SETUP = '{"type": "setup", "data": {"sampleRate": 24000, "audioMode": "mixed"}}'


@final
@attrs.frozen
class Line:
    """One thing to say: bytes as they are, what they are called, and whether RFC 6455 allows them."""

    data: bytes
    what: str
    legal: bool = True


@final
@attrs.frozen
class Script:
    """What one connection says, behind the upgrade."""

    name: str
    lines: tuple[Line, ...]
    plane: str = "control"

    @property
    def legal(self) -> bool:
        """True where RFC 6455 allows all of it: then the connection must live on, or be closed in order."""
        return all(line.legal for line in self.lines)


@final
@attrs.frozen
class Violation:
    """What a service did wrong, and how to see it again."""

    script: str
    what: str
    transcript: str


NO_CALL = Violation("", "no call was announced", "")
"""What a media script comes to where there is no call to play it on: nothing to blame anybody for."""


def run(url: str, *, seconds: float, api_key: str, connector: str) -> int:
    """Drive a service until the time is over; return 1 if it did anything wrong."""
    base = parse_ws_url(url.rstrip("/"))
    return asyncio.run(_drive(base, seconds, [("x-api-key", api_key), ("x-connector-uuid", connector)]))


async def _drive(base: WsUrl, seconds: float, credentials: Headers) -> int:
    until = time.monotonic() + seconds
    violations: list[Violation] = []
    connections = calls = 0
    for script in itertools.chain(fixed_scripts(), random_scripts()):
        if time.monotonic() >= until or len(violations) >= _MOST_VIOLATIONS:
            break
        found = await play(script, base, credentials)
        connections += 1
        calls += script.plane == "media" and found is not NO_CALL
        if found is not None and found is not NO_CALL:
            found = await _smallest(script, base, credentials, found)
            violations.append(found)
            print(f"\n--- {found.script}: {found.what}\n{found.transcript}", flush=True)
            if found.what.startswith("it cannot be reached"):
                break
        elif connections % 100 == 0:
            print(f"{connections} connections, {len(violations)} violations", file=sys.stderr, flush=True)
    print(f"\n{connections} connections, {calls} of them for a call, {len(violations)} violations")
    if not calls:
        print("the service has announced no call, so its media plane was not looked at")
    return min(1, len(violations))


async def _smallest(script: Script, base: WsUrl, credentials: Headers, found: Violation) -> Violation:
    """Leave lines out as long as the same is wrong."""
    lines = script.lines
    for line in script.lines:
        fewer = tuple(other for other in lines if other is not line)
        again = await play(attrs.evolve(script, lines=fewer), base, credentials)
        if again is not None and again.what == found.what:
            lines, found = fewer, again
    return found


async def play(script: Script, base: WsUrl, credentials: Headers) -> Violation | None:
    """Say a script on a connection of its own, and judge what comes back."""
    log = Log()

    def violation(what: str) -> Violation:
        return Violation(script.name, what, log.text())

    try:
        async with AsyncExitStack() as wires:
            control_url = attrs.evolve(base, target=base.target.rstrip("/") + CONTROL_PATH)
            wire = await wires.enter_async_context(_connected(control_url, credentials, "control", log))
            if script.plane == "media" and not wire.over:
                call = await _take_call(wire)
                if call is None:
                    return NO_CALL
                url = parse_ws_url(call["url"])
                bearer = [("authorization", f"Bearer {call['token']}")]
                wire = await wires.enter_async_context(_connected(url, bearer, "media", log))
            if wire.over:
                return _judge_refusal(wire, violation)
            for line in script.lines:
                await wire.says_bytes(line.data, line.what)
            return await _judge(wire, script, violation)
    except TimeoutError:
        return violation("the upgrade was not answered in 5 seconds")
    except OSError as error:
        return violation(f"it cannot be reached: {error}")


@asynccontextmanager
async def _connected(url: WsUrl, headers: Headers, name: str, log: Log) -> AsyncIterator[Wire]:
    """Connect, and wait for the upgrade to be answered. Raises OSError, TimeoutError if it is not."""
    context = ssl.create_default_context() if url.secure else None
    reader, writer = await asyncio.open_connection(url.address, url.port, ssl=context)
    link = WebSocketLink(
        Role.CLIENT,
        entropy=entropy,
        host=url.host_header,
        target=url.target,
        headers=[*headers, ("x-sdk-version", WIRE_VERSION)],
    )
    link.start(now=asyncio.get_running_loop().time())
    writer.write(link.data_to_send())
    wire = Wire(link, reader, writer, name=name, log=log)
    task = asyncio.create_task(wire.run())
    try:
        if not await wire.until(lambda one: one.over or one.link.state is LinkState.OPEN, within=5.0):
            raise TimeoutError
        yield wire
    finally:
        wire.cut()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _take_call(control: Wire) -> dict[str, Any] | None:
    """Do what an honest client does until a call is ours; None if no call is announced, or another client has it."""
    await control.says(_SETUP)
    notice = await control.hears(_CALL_WITHIN, type="session.notify", channel="TELCO")
    if notice is None:
        return None
    session = {"sessionId": notice["sessionId"]}
    await control.says({"type": "session.open", "reqId": "r1", **session})
    response = await control.hears(_ANSWER_WITHIN, type="response", reqId="r1", ok=True)
    if response is None:
        return None
    await control.says({"type": "session.ready", **session})
    return await control.hears(_ANSWER_WITHIN, type="call.in")


def _judge_refusal(wire: Wire, violation: Callable[[str], Violation]) -> Violation | None:
    end = wire.heard[-1]
    refused = isinstance(end, LinkLost) and isinstance(end.error, HandshakeRefused)
    return violation("it refuses an honest upgrade" if refused else "it breaks the upgrade")


async def _judge(wire: Wire, script: Script, violation: Callable[[str], Violation]) -> Violation | None:
    for probe in (b"are you there", b"and still?"):  # the second one finds who fell over thinking about it
        await wire.says_bytes(wire_frame(Role.CLIENT, 0x9, probe), "ping")
        await wire.until(lambda one: one.over or (one.ponged(probe) and script.legal), within=_ANSWER_WITHIN)  # noqa: B023 - awaited at once
    if not wire.over and not (wire.ponged(probe) and script.legal):
        return violation(
            "it hangs: a ping has no answer after a second" if script.legal else "it goes on after an illegal frame"
        )
    end = wire.heard[-1] if wire.over and wire.heard else None
    if isinstance(end, LinkLost) and end.error is not None and end.code == 1006:
        if "without a close" not in str(end.error):
            return violation(f"it breaks RFC 6455: {end.error}")
        if script.legal:
            return violation("it drops the connection without a close frame")
    return _judge_messages(wire, script, violation)


def _judge_messages(wire: Wire, script: Script, violation: Callable[[str], Violation]) -> Violation | None:
    decode = decode_control if script.plane == "control" else decode_media
    for text in wire.texts:
        try:
            known = decode(text, sender=Role.SERVER, limits=DEFAULT_LIMITS)
        except RemoteProtocolError as error:
            return violation(f"it says something that is no message: {error}")
        if known is None:
            return violation("it says a message of an unknown type")
    return None


# ---------------------------------------------------------------------------------------------- what is said


def text_line(text: str) -> Line:
    """One text message in a well-formed frame."""
    return Line(wire_frame(Role.CLIENT, 0x1, text.encode("utf-8", "replace")), text)


def fixed_scripts() -> Iterator[Script]:
    """Yield what is always tried: every seed of the control plane, every illegal frame, floods."""
    setup = text_line(_SETUP)
    for target, name, data in seeds():
        if target == "control_server":
            texts = [text_line(line) for line in data.decode().split("\n") if line]
            yield Script(f"control {name}", tuple(texts))
            yield Script(f"control {name}, twice after the set-up", (setup, *texts, *texts))
        elif target == "websocket_server" and name != _ENDLESS:
            line = Line(data, f"{name}: {data[:24].hex(' ')}", legal=name not in _ILLEGAL)
            yield Script(f"frame {name}", (setup, line))
    for text in _TEXTS:
        yield Script("text", (setup, text_line(text)))
    yield from _media_scripts()
    yield Script("binary", (setup, Line(wire_frame(Role.CLIENT, 0x2, b"\0\1\2"), "a binary message")))
    yield Script("no set-up", (text_line('{"type": "session.open", "reqId": "r1", "sessionId": "s1"}'),))
    yield Script("set up twice", (setup, setup))
    many = (text_line(f'{{"type": "session.open", "reqId": "r{n}", "sessionId": "s{n}"}}') for n in range(400))
    yield Script("400 claims", (setup, *many))


def _media_scripts() -> Iterator[Script]:
    """Yield what is said on the media connections of calls, where the service offers any."""
    asked = {"command_id": "a", "command": "call.answer", "timeout_ms": 10_000}
    answer = text_line(json.dumps({"type": "command", "data": asked}))
    texts = [data.decode() for target, name, data in seeds() if target == "media_server" and name != "all"]
    audio = (b"", b"\0", b"\0\1", b"\0\1\2", b"\x09\1\2", bytes(60_001))
    sound = [Line(wire_frame(Role.CLIENT, 0x2, data), f"a binary message of {len(data)} bytes") for data in audio]
    yield Script("media: everything at once", tuple(map(text_line, texts)), "media")
    yield Script("media: twice, backwards", tuple(map(text_line, [*texts, *texts][::-1])), "media")
    yield Script("media: audio before the answer", (*sound, answer), "media")
    yield Script("media: audio without credit", (answer, *sound * 20), "media")
    yield Script("media: bad text", tuple(map(text_line, _TEXTS)), "media")
    yield Script("media: illegal", (answer, Line(b"\x83\x80\0\0\0\0", "an unknown opcode", legal=False)), "media")


_ILLEGAL = ("bad-utf8", "bad-opcode", "reserved", "wrong-mask", "bad-close")
_ENDLESS = "huge"  # a service may wait for the rest of a frame that was announced: it costs nothing
_TEXTS = (
    "",
    "null",
    "[]",
    "{}",
    '{"type": 1}',
    '{"type": "setup", "data": {"sampleRate": true, "audioMode": []}}',
    '{"type": "session.open", "reqId": [], "sessionId": {}}',
    '{"type": "session.open", "reqId": "r", "sessionId": "' + "x" * 60_000 + '"}',
    '{"type": "session.ready", "sessionId": "../../admin"}',
    '{"type": "wa.msg.out", "reqId": "r", "data": []}',
    '{"type": "x", "n": 1e999}',
    '{"type": "x", "n": ' + "9" * 5000 + "}",
    '{"type": "x", "n": "\\ud800"}',
    "[" * 100_000,
)


def random_scripts() -> Iterator[Script]:
    """Yield conversations with random changes, legal in their frames, for ever."""
    chance = random.Random(0)
    texts = [data for target, _, data in seeds() if target == "control_server"]
    setup = text_line(_SETUP)
    for number in itertools.count():
        lines = []
        for _ in range(chance.randrange(1, 8)):
            data = mutated(chance.choice(texts), texts, chance)
            lines += [text_line(line) for line in data.decode("utf-8", "replace").split("\n")]
        yield Script(f"random {number}", (setup, *lines) if chance.randrange(4) else tuple(lines))
