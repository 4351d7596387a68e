"""What a client must survive, one script each: what is said to it, and what it must not do, or must still do.

A script returns None when all is well, else one sentence. It looks at nothing but the wire. ``row`` names the same
bug in the reliability notes of this project, where somebody has found it by hand before.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, final

import attrs

from fuzz.live.stage import Stage, credit, done, echoes, response, sound
from telcoflow_proto.websocket import Close

Play = Callable[[Stage], Awaitable[str | None]]


@final
@attrs.frozen
class Script:
    """One thing to try on a client."""

    name: str
    row: str
    play: Play

    @property
    def title(self) -> str:
        """What it is about: the first line of its docstring."""
        return (self.play.__doc__ or self.name).splitlines()[0]


def http(status: str, *lines: str) -> bytes:
    """Return a complete response that is no upgrade."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close", *lines, "", ""]).encode()


# ---------------------------------------------------------------------------------------------- control


async def many_calls(stage: Stage) -> str | None:
    """Sixty calls, one after another; each is claimed and answered."""
    control = await stage.client_is_ready()
    for number in range(60):
        session = f"s{number}"
        if not await stage.session_is_ready(control, session, within=2.0):
            return f"it claimed {number} calls, then none any more"
        await control.says(stage.call_in(session))
        media = await stage.media_comes()
        command = None if media is None else await media.hears(type="command")
        if media is None or command is None:
            return f"it answered {number} calls, then none any more"
        await media.says(done(command))
        await media.says({"type": "call_event", "data": {"event": "call.terminated"}})
        await control.says({"type": "session.closed", "sessionId": session, "reason": "CALL_TERMINATED"})
        await media.says(Close())
    return None


async def many_sessions_at_once(stage: Stage) -> str | None:
    """Three hundred sessions are announced in one breath; every one is claimed."""
    control = await stage.client_is_ready()
    for number in range(300):
        notice = {"type": "session.notify", "sessionId": f"s{number}", "channel": "TELCO", "createdAt": 1}
        await control.says(
            {**notice, "activity": "NEW_INCOMING_CALL", "remoteAddress": "+1", "localAddress": "+2"},
        )
    claimed = 0
    while (request := await control.hears(3.0, type="session.open")) is not None:
        claimed += 1
        await control.says(response(request, ok=False, errorCode="SESSION_BUSY"))
    return None if claimed == 300 else f"it claimed {claimed} of 300"


async def accepted_then_closed(stage: Stage) -> str | None:
    """After one good connection, every further one is accepted and closed at once; it must back off."""
    control = await stage.client_is_ready()
    stage.refuse = lambda: None
    before = len(stage.attempts)
    control.cut()
    async with asyncio.timeout(30):
        end = asyncio.get_running_loop().time() + 8
        seen = 1
        while (now := asyncio.get_running_loop().time()) < end:
            await stage.until(lambda: len(stage.controls) > seen, within=end - now)  # noqa: B023 - awaited at once
            for wire in stage.controls[seen:]:
                await wire.says(Close(code=1000))
                wire.cut()
            seen = len(stage.controls)
    attempts = len(stage.attempts) - before
    return None if attempts <= 8 else f"it connected {attempts} times in 8 seconds"


async def refused_after_setup(stage: Stage) -> str | None:
    """The very first connection is closed with 4401, wrong credentials; there is no use in trying again."""
    control = await stage.client_arrives()
    await control.says(Close(code=4401, reason="unknown key"))
    await asyncio.sleep(5.0)
    attempts = len(stage.control_attempts())
    return None if attempts == 1 else f"it connected {attempts} times in 5 seconds with credentials that are refused"


async def key_revoked(stage: Stage) -> str | None:
    """A connection is lost, and from then on the credentials are refused with HTTP 401; it must stop."""
    control = await stage.client_is_ready()
    stage.refuse = lambda: http("401 Unauthorized")
    before = len(stage.attempts)
    control.cut()
    await asyncio.sleep(8.0)
    attempts = len(stage.attempts) - before
    return None if attempts <= 1 else f"it tried {attempts} times in 8 seconds with credentials that are refused"


async def redirected(stage: Stage) -> str | None:
    """The control connection is answered with a redirect to another origin; nobody may follow with a key."""
    stage.refuse = lambda: http("302 Found", f"Location: ws://localhost:{stage.other_port}/v1/agent/session-manager")
    await stage.until(lambda: bool(stage.attempts), within=30.0)
    await asyncio.sleep(2.0)
    return f"it went to another origin: {stage.elsewhere[0]}" if stage.elsewhere else None


async def never_set_up(stage: Stage) -> str | None:
    """The set-up is never confirmed; after its ten seconds the client must let go of the connection."""
    control = await stage.client_arrives()
    await control.until(lambda wire: wire.over, within=13.0)
    return None if control.over else "13 seconds later the connection is still open"


async def claim_answered_in_words(stage: Stage) -> str | None:
    """A claim is answered with ok: "false"; a text is no truth."""
    control = await stage.client_is_ready()
    notice = {"type": "session.notify", "sessionId": "s1", "channel": "TELCO", "activity": "NEW_INCOMING_CALL"}
    await control.says({**notice, "remoteAddress": "+1", "localAddress": "+2", "createdAt": 1})
    request = await control.hears(type="session.open")
    if request is None:
        return "it did not claim a session"
    session: dict[str, Any] = {"id": "s1", "channel": "TELCO", "initiator": "CONNECTOR", "state": "OPEN"}
    session |= {"remoteAddress": "+1", "localAddress": "+2", "openedAt": 1, "closedAt": None}
    await control.says(response(request, ok="false", content={"session": session}))
    ready = await control.hears(1.5, type="session.ready")
    return None if ready is None else "it took the text for success and wants the events of a session it does not have"


async def number_withheld(stage: Stage) -> str | None:
    """A call comes without a number, as null; it is a call like any other."""
    control = await stage.client_is_ready()
    await stage.session_is_ready(control, "s1")
    await control.says(stage.call_in("s1", **{"from": None}))
    return None if await stage.media_comes() else "the call is lost: no media connection within 3 seconds"


async def call_offered_twice(stage: Stage) -> str | None:
    """The same call is delivered twice, as at-least-once delivery does; it is one call."""
    control = await stage.client_is_ready()
    await stage.session_is_ready(control, "s1")
    await control.says(stage.call_in("s1"))
    await control.says(stage.call_in("s1"))
    await stage.media_comes()
    await asyncio.sleep(1.5)
    return None if len(stage.medias) == 1 else f"{len(stage.medias)} media connections for one call"


async def audio_elsewhere(stage: Stage) -> str | None:
    """The audio of a call is said to be at another origin; the token must not be carried there."""
    control = await stage.client_is_ready()
    await stage.session_is_ready(control, "s1")
    await control.says(stage.call_in("s1", url=f"ws://localhost:{stage.other_port}/media/s1"))
    await asyncio.sleep(2.0)
    return f"it went there: {stage.elsewhere[0]}" if stage.elsewhere else None


async def session_closed_in_a_call(stage: Stage) -> str | None:
    """The control connection says that the session of a call is closed; the call is over, and lets go."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    await control.says({"type": "session.closed", "sessionId": "s1", "reason": "FORCE_CLOSE"})
    await media.until(lambda wire: wire.over, within=3.0)
    return None if media.over else "3 seconds later its media connection is still open"


# ---------------------------------------------------------------------------------------------- media


async def nothing_to_deflate(stage: Stage) -> str | None:
    """A call's media connection carries raw sound; who offers compression can be sent a bomb."""
    control = await stage.client_is_ready()
    await stage.call_rings(control)
    offered = stage.attempts[-1].headers.get("sec-websocket-extensions")
    return f"it offers {offered}" if offered else None


def _bad_frame(what: str, text: str) -> Play:
    async def play(stage: Stage) -> str | None:
        control = await stage.client_is_ready()
        media = await stage.call_is_answered(control)
        await media.says(text)
        alive = not media.over and await echoes(media)
        return None if alive else f"after {what} it says nothing back any more"

    play.__doc__ = f"One text frame of a call is wrong: {what}. The call must go on."
    return play


BAD_FRAMES: dict[str, str] = {
    "nesting of 100,000": "[" * 100_000,
    "an integer of 5,000 digits": json.dumps(credit(0)).replace(": 0,", ": " + "9" * 5000 + ",", 1),
    "1e999 bytes of audio": json.dumps(credit(0)).replace(": 0,", ": 1e999,", 1),
    "Infinity for a channel": json.dumps(credit(0)).replace('"channelId": 0', '"channelId": Infinity', 1),
    "a list for a command id": json.dumps({"type": "command_response", "data": {"command_id": [], "success": True}}),
    "null for its data": json.dumps({"type": "call_event", "data": None}),
    "a list instead of an object": "[]",
    "no text at all": "",
    "a type that is a number": '{"type": 5, "data": {}}',
}


async def ended_with_the_socket_open(stage: Stage) -> str | None:
    """A call ends, and the service leaves the connection open; the client must let go of it."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    await media.says({"type": "call_event", "data": {"event": "call.terminated"}})
    await media.until(lambda wire: wire.over, within=3.0)
    return None if media.over else "3 seconds later the connection is still open"


async def frames_of_another_size(stage: Stage) -> str | None:
    """Frames of at most 640 bytes are preferred; larger ones are not."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    for _ in range(20):
        await media.says(sound(960))
    await asyncio.sleep(0.3)
    await media.says(credit(9600, 640))
    await asyncio.sleep(1.0)
    sizes = sorted({len(frame) for frame in media.audio()})
    return None if not sizes or sizes[-1] <= 640 else f"it sent frames of {sizes} bytes"


async def odd_credit(stage: Stage) -> str | None:
    """961 bytes are asked for; half a sample turns all that follows into noise."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    for _ in range(4):
        await media.says(sound(960))
    await asyncio.sleep(0.3)
    await media.says(credit(961, 961))
    await asyncio.sleep(1.0)
    sizes = [len(frame) for frame in media.audio()]
    return None if all(size % 2 == 0 for size in sizes) else f"it sent frames of {sizes} bytes"


async def last_word(stage: Stage) -> str | None:
    """The end of a sentence is shorter than a frame; it must not be stuck for ever."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    await media.says(credit(64_000, 960))
    await media.says(sound(640))
    await asyncio.sleep(1.5)
    said = sum(map(len, media.audio()))
    return None if said == 640 else f"of the last 640 bytes it sent {said}"


async def huge_frames_preferred(stage: Stage) -> str | None:
    """Frames of two megabytes are preferred; that must not silence a client whose buffer holds one."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    await media.says(credit(4_000_000, 2_000_000))
    for _ in range(100):
        await media.says(sound(960))
    await asyncio.sleep(2.0)
    return None if media.audio() else "it says nothing at all"


async def credit_in_advance(stage: Stage) -> str | None:
    """Two hundred seconds of audio are asked for while there is none; they must not all leave at once later."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    for _ in range(1000):
        await media.says(credit(9600, 960))
    for _ in range(500):
        await media.says(sound(960))
    await asyncio.sleep(2.0)
    said = sum(map(len, media.audio()))
    return None if said <= 96_000 + 960 else f"{said / 48_000:.1f} seconds of speech left in 2, and none to interrupt"


def _no_number(what: str, value: object) -> Play:
    async def play(stage: Stage) -> str | None:
        control = await stage.client_is_ready()
        media = await stage.call_is_answered(control)
        await media.says(credit(value))
        await media.says(sound(960))
        await asyncio.sleep(1.0)
        sizes = [len(frame) for frame in media.audio()]
        return f"it sent frames of {sizes} bytes" if sizes else None

    play.__doc__ = f"{what} bytes are asked for; that is no number of bytes."
    return play


async def answer_answered_in_words(stage: Stage) -> str | None:
    """The answer is answered with success: "false"; a text is no truth."""
    control = await stage.client_is_ready()
    media, command = await stage.call_rings(control)
    await media.says(done(command, success="false"))
    talks = await echoes(media, within=1.5)
    return "it took the text for success and talks" if talks else None


async def talks_again_after_silence(stage: Stage) -> str | None:
    """A call is talked on, goes on, and is talked on again: nothing hostile at all."""
    control = await stage.client_is_ready()
    media = await stage.call_is_answered(control)
    await asyncio.sleep(0.5)
    return None if await echoes(media) else "it fell silent"


def _all() -> list[Script]:
    named: list[tuple[Any, str]] = [
        (talks_again_after_silence, "-"),
        (many_calls, "T00"),
        (many_sessions_at_once, "T09"),
        (accepted_then_closed, "T04"),
        (refused_after_setup, "P06"),
        (key_revoked, "T06"),
        (redirected, "N03"),
        (never_set_up, "T02"),
        (claim_answered_in_words, "T16"),
        (number_withheld, "T12"),
        (call_offered_twice, "T13"),
        (audio_elsewhere, "N04"),
        (session_closed_in_a_call, "M20"),
        (nothing_to_deflate, "N14"),
        (ended_with_the_socket_open, "M06"),
        (frames_of_another_size, "M10"),
        (odd_credit, "M10"),
        (last_word, "N02"),
        (huge_frames_preferred, "M12"),
        (credit_in_advance, "M14"),
        (answer_answered_in_words, "M27"),
    ]
    scripts = [Script(play.__name__, row, play) for play, row in named]
    scripts += [Script(f"bad_frame_{number}", "M04", _bad_frame(*one)) for number, one in enumerate(BAD_FRAMES.items())]
    values: dict[str, object] = {"true": True, '"7"': "7", "3.9": 3.9}
    scripts += [Script(f"no_number_{number}", "M26", _no_number(*one)) for number, one in enumerate(values.items())]
    return scripts


SCRIPTS = _all()
