"""One WebSocket connection of ours over a real socket, which says anything and writes down all that passes."""

import asyncio
import itertools
import json
import os
import re
from collections.abc import Callable
from typing import Any, final

from telcoflow_proto.link_table import LinkState
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import wire_frame
from telcoflow_proto.websocket import Close, LinkLost, LinkOpened, WebSocketLink

Heard = dict[str, Any] | bytes | str | LinkLost
"""A text that is a JSON object, audio, any other text, or the end."""

_MOST_LINES = 24
_MOST_CHARS = 200
_RAW_BYTES = 65536
_CHANGING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


@final
class Log:
    """What a person reads to see what happened: one line per message, and a count where many are alike."""

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self._lines: list[tuple[float, str]] = []

    def add(self, text: str) -> None:
        """Write down one thing that happened now."""
        if len(text) > _MOST_CHARS:
            text = f"{text[:_MOST_CHARS]}... ({len(text)} characters)"
        self._lines.append((asyncio.get_running_loop().time() - self._began, text))

    def text(self) -> str:
        """Return the page: all of it, or its beginning and its end. Lines that differ in numbers only are one."""
        lines = []
        for _, alike in itertools.groupby(self._lines, key=lambda line: _CHANGING.sub("#", line[1])):
            (at, text), *others = alike
            lines.append(f"{at:7.3f}  {text}{f'  (and {len(others)} more like this)' if others else ''}")
        if len(lines) > _MOST_LINES:
            half = _MOST_LINES // 2
            lines = [*lines[:half], f"         ... {len(lines) - 2 * half} lines ...", *lines[-half:]]
        return "\n".join(lines)


@final
class Wire:
    """One connection in either role. ``heard`` keeps every message of the other end, the last of it the end."""

    def __init__(
        self,
        link: WebSocketLink,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        name: str,
        log: Log,
    ) -> None:
        self.link = link
        self.name = name
        self.heard: list[Heard] = []
        self.texts: list[str] = []
        self._raw = b""
        self._reader, self._writer = reader, writer
        self._log = log
        self._changed = asyncio.Event()

    @property
    def over(self) -> bool:
        """True once the other end, or the stream, is gone."""
        return self.link.closed

    async def run(self, decide: Callable[["Wire", object], None] | None = None) -> None:
        """Read until the end; ``decide`` is given upgrade requests."""
        try:
            while not self.link.closed:
                data = await self._reader.read(65536)
                if data:
                    self._raw = (self._raw + data)[-_RAW_BYTES:]
                    self.link.receive_data(data, now=_now())
                else:
                    self.link.receive_eof(now=_now())
                self._hear(decide)
                await self._write()
        except OSError:
            self.link.receive_eof(now=_now())
            self._hear(decide)
        finally:
            self._writer.close()

    def _hear(self, decide: Callable[["Wire", object], None] | None) -> None:
        for event in self.link.events():
            if isinstance(event, LinkOpened):
                continue
            if isinstance(event, str):
                self.texts.append(event)
            if isinstance(event, str | bytes | LinkLost):
                self.heard.append(_read(event))
                self._log.add(f"{self.name}: < {_shown(event)}")
            elif decide is not None:
                decide(self, event)
        self._changed.set()
        self._changed = asyncio.Event()

    async def says(self, message: dict[str, Any] | str | bytes | Close) -> None:
        """Say a message, if the connection is still open. An object is sent as JSON."""
        said = json.dumps(message) if isinstance(message, dict) else message
        self._log.add(f"{self.name}: > {_shown(said)}")
        if self.link.state is LinkState.OPEN:
            self.link.send(said, now=_now())
            await self._write()

    async def says_bytes(self, data: bytes, what: str) -> None:
        """Put bytes on the wire as they are."""
        self._log.add(f"{self.name}: > {what}")
        if not self.over:
            self._writer.write(data)
            await self._drain()

    async def until(self, wanted: Callable[["Wire"], bool], *, within: float) -> bool:
        """Wait until something is true of this wire; False when it did not come in time."""
        try:
            async with asyncio.timeout(within):
                while not wanted(self):
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def hears(self, within: float = 2.0, **members: Any) -> dict[str, Any] | None:  # noqa: ANN401 - JSON values
        """Wait for a message with these members that was not taken yet; take it, or return None."""

        def found() -> dict[str, Any] | None:
            return next((one for one in self.heard if isinstance(one, dict) and members.items() <= one.items()), None)

        await self.until(lambda wire: found() is not None or wire.over, within=within)
        message = found()
        if message is not None:
            self.heard.remove(message)
        return message

    def ponged(self, payload: bytes) -> bool:
        """Tell whether a server has answered a ping with this payload, lately. The link does not report that."""
        return wire_frame(Role.SERVER, 0xA, payload) in self._raw

    def audio(self) -> list[bytes]:
        """Take the audio heard so far: the PCM of every frame."""
        frames = [one[1:] for one in self.heard if isinstance(one, bytes)]
        self.heard = [one for one in self.heard if not isinstance(one, bytes)]
        return frames

    def cut(self) -> None:
        """Break the stream without a word."""
        self._log.add(f"{self.name}: > (cut)")
        self._writer.transport.abort()

    async def _write(self) -> None:
        data = self.link.data_to_send()
        if data:
            self._writer.write(data)
            await self._drain()

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError:
            self.link.receive_eof(now=_now())


def _now() -> float:
    return asyncio.get_running_loop().time()


def _read(event: str | bytes | LinkLost) -> Heard:
    if not isinstance(event, str):
        return event
    try:
        value = json.loads(event)
    except ValueError:
        return event
    return value if isinstance(value, dict) else event


def _shown(message: str | bytes | Close | LinkLost) -> str:
    match message:
        case bytes():
            return f"audio on channel {message[0]}, {len(message) - 1} bytes" if message else "an empty binary message"
        case Close():
            return f"close {message.code} {message.reason}".rstrip()
        case LinkLost():
            how = "" if message.error is None else f": {message.error}"
            return f"(end, code {message.code}{how})"
        case _:
            return message


entropy = os.urandom
