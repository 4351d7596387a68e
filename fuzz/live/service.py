"""``python -m fuzz peer``: what a service must survive. It is driven as a client, and judged by what it answers.

Three things are asked of it, whatever is said: it answers a WebSocket ping within a second as long as the connection
is legal, or closes the connection with a close frame; what it says is a message of the wire; and whoever comes next
finds it well.
"""

import asyncio
import itertools
import random
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from typing import final

import attrs

from fuzz.live.wire import Log, Wire, entropy
from fuzz.mutate import mutated
from fuzz.seeds import seeds
from telcoflow_proto.config import CONTROL_PATH
from telcoflow_proto.control.codec import decode_control
from telcoflow_proto.errors import HandshakeRefused, RemoteProtocolError
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.origin import WsUrl, parse_ws_url
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import wire_frame
from telcoflow_proto.websocket import LinkLost, WebSocketLink

_ANSWER_WITHIN = 1.0
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


def run(url: str, *, seconds: float, api_key: str, connector: str) -> int:
    """Drive a service until the time is over; return 1 if it did anything wrong."""
    base = parse_ws_url(url.rstrip("/"))
    return asyncio.run(_drive(base, seconds, [("x-api-key", api_key), ("x-connector-uuid", connector)]))


async def _drive(base: WsUrl, seconds: float, credentials: list[tuple[str, str]]) -> int:
    until = time.monotonic() + seconds
    violations: list[Violation] = []
    connections = 0
    for script in itertools.chain(fixed_scripts(), random_scripts()):
        if time.monotonic() >= until or len(violations) >= _MOST_VIOLATIONS:
            break
        found = await play(script, base, credentials)
        connections += 1
        if found is not None:
            found = await _smallest(script, base, credentials, found)
            violations.append(found)
            print(f"\n--- {found.script}: {found.what}\n{found.transcript}", flush=True)
            if found.what.startswith("it cannot be reached"):
                break
        elif connections % 100 == 0:
            print(f"{connections} connections, {len(violations)} violations", file=sys.stderr, flush=True)
    print(f"\n{connections} connections, {len(violations)} violations")
    return min(1, len(violations))


async def _smallest(script: Script, base: WsUrl, credentials: list[tuple[str, str]], found: Violation) -> Violation:
    """Leave lines out as long as the same is wrong."""
    lines = script.lines
    for line in script.lines:
        fewer = tuple(other for other in lines if other is not line)
        again = await play(Script(script.name, fewer), base, credentials)
        if again is not None and again.what == found.what:
            lines, found = fewer, again
    return found


async def play(script: Script, base: WsUrl, credentials: list[tuple[str, str]]) -> Violation | None:
    """Say a script on a connection of its own, and judge what comes back."""
    log = Log()

    def violation(what: str) -> Violation:
        return Violation(script.name, what, log.text())

    try:
        wire, task = await _connect(base, credentials, log)
    except OSError as error:
        return violation(f"it cannot be reached: {error}")
    try:
        opened = await wire.until(lambda one: bool(one.heard) or one.link.state.value == "open", within=5.0)
        if not opened:
            return violation("the upgrade was not answered in 5 seconds")
        if wire.over:
            return _judge_refusal(wire, violation)
        for line in script.lines:
            await wire.says_bytes(line.data, line.what)
        return await _judge(wire, script, violation)
    finally:
        wire.cut()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _connect(base: WsUrl, credentials: list[tuple[str, str]], log: Log) -> tuple[Wire, "asyncio.Task[None]"]:
    context = ssl.create_default_context() if base.secure else None
    reader, writer = await asyncio.open_connection(base.address, base.port, ssl=context)
    link = WebSocketLink(
        Role.CLIENT,
        entropy=entropy,
        host=base.host_header,
        target=base.target.rstrip("/") + CONTROL_PATH,
        headers=[*credentials, ("x-sdk-version", "1.0.0")],
    )
    link.start(now=asyncio.get_running_loop().time())
    writer.write(link.data_to_send())
    wire = Wire(link, reader, writer, name="control", log=log)
    return wire, asyncio.create_task(wire.run())


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
    return _judge_messages(wire, violation)


def _judge_messages(wire: Wire, violation: Callable[[str], Violation]) -> Violation | None:
    for text in wire.texts:
        try:
            known = decode_control(text, sender=Role.SERVER, limits=DEFAULT_LIMITS)
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
    yield Script("binary", (setup, Line(wire_frame(Role.CLIENT, 0x2, b"\0\1\2"), "a binary message")))
    yield Script("no set-up", (text_line('{"type": "session.open", "reqId": "r1", "sessionId": "s1"}'),))
    yield Script("set up twice", (setup, setup))
    many = (text_line(f'{{"type": "session.open", "reqId": "r{n}", "sessionId": "s{n}"}}') for n in range(400))
    yield Script("400 claims", (setup, *many))


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
