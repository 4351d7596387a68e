"""Canaries for every secret, every logger of the process at DEBUG, and everything that can go wrong: row D52."""

# mypy: disable-error-code="truthy-bool"

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import attrs
import pytest

from telcoflow_proto.exceptions import WSSCallError
from telcoflow_proto.secret import Secret
from tests.adapters.acts import outcome, ring, taking, talk
from tests.adapters.test_media_faults import GARBAGE
from tests.world.service import ACCEPT, DROP, accept_then_close, drop_media, http, ignore, refuse, setup_after
from tests.world.world import KEY, World

TOKEN = "token-of-call"
"""How the tokens of the service's calls begin."""


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """Write what any logger says, with tracebacks, those of dependencies included."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def shown(thing: object) -> str:
    """Everything a person or a tool may print of a thing: an exception with its traceback and its locals, too."""
    ways: list[Callable[[Any], object]] = [
        repr,
        str,
        "{}".format,
        vars,
        attrs.asdict,
        lambda one: json.dumps(one, default=repr),
        pickle.dumps,
        copy.deepcopy,
    ]
    said: list[str] = []
    for way in ways:
        with suppress(Exception):
            said.append(repr(way(thing)))
    if isinstance(thing, BaseException):
        told = traceback.TracebackException.from_exception(thing, capture_locals=True)
        said += [*told.format(), repr(thing.args)]
    return "\n".join(said)


def harmless(text: str) -> bool:
    return KEY not in text and TOKEN not in text


UPGRADES = {
    "401": http(401, body="who are you"),
    "302": http(302, Location="ws://evil.example/"),
    "500": http(500, body="x" * 5000),
    "no HTTP": DROP,
    "4401": accept_then_close(4401, after_setup=True),
    "1011": accept_then_close(1011),
    "a set-up that never comes": setup_after(30),
}


@pytest.mark.parametrize("name", UPGRADES)
async def test_D52_no_refused_connection_shows_a_secret(world: World, name: str) -> None:
    world.service.upgrade = [UPGRADES[name]]
    with everything_logged() as written:
        client = world.client()
        error = await outcome(client.connect)
        assert isinstance(error, Exception)
        assert harmless(shown(error))
        assert harmless(repr(client))
    assert harmless(written.getvalue())


async def test_D52_no_fault_of_a_call_shows_a_secret(world: World) -> None:
    with everything_logged() as written:
        async with world.client() as client:
            taking(client)
            seen: list[object] = [client, client.statistics(), world.config()]
            for fault in ("refused", "garbage", "reset", "dropped", "unreachable", "silent", "late handler", "401"):
                if fault == "unreachable":
                    await world.service.announce_call(url="ws://evil.example/x")
                    await anyio.sleep(1)
                    continue
                phone = await ring(world, client, upgrade=http(401, body="no") if fault == "401" else ACCEPT)
                call = phone.call
                if fault == "late handler":
                    call.register_event_handler("call.answered", _fail)
                for command, reply in {
                    "refused": refuse("NO", "way"),
                    "dropped": drop_media(),
                    "silent": ignore(),
                }.items():
                    if fault == command:
                        phone.there.will("call.answer", reply)
                seen += [await outcome(call.answer), call, call.statistics()]
                if fault == "garbage":
                    for garbage in GARBAGE:
                        phone.there.say_raw(garbage)
                        world.service.control.say_raw(garbage) if len(garbage) < 3 else None
                    await anyio.sleep(1)
                elif fault == "reset":
                    phone.there.reset()
                    await anyio.sleep(1)
                seen += [
                    await outcome(call.send_audio, b"\0"),
                    await outcome(call.send_audio, bytes(2)),
                    call.end_reason,
                ]
                seen += [await outcome(call.close), await outcome(call.connect)]
            world.service.control.reset()
            await anyio.sleep(5)
            seen.append(await outcome(client.open_session, "x" * 5000))
            with pytest.raises(WSSCallError) as refused:
                client.adopt('{"session_token": "token-of-call"}')
            assert harmless(f"{refused.value!r} {refused.value.args} {refused.value.__cause__!r}")
        for thing in seen:
            assert harmless(shown(thing)), type(thing)
    assert len(written.getvalue()) > 1000, "there was something to look at"
    assert harmless(written.getvalue())


def _fail() -> None:
    raise ZeroDivisionError("a program's own fault")


def test_D52_a_secret_is_masked_however_it_is_shown_and_cannot_be_pickled() -> None:
    secret = Secret(KEY)
    assert harmless(shown(secret))
    assert harmless(shown([secret]))
    assert harmless(shown({"key": secret}))
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == KEY


def test_D52_a_configuration_can_be_shown_in_every_way(world: World) -> None:
    assert harmless(shown(world.config()))


async def test_D52_a_handed_over_call_shows_its_token_to_nobody_but_who_takes_it(world: World) -> None:
    async with world.client() as client:
        taking(client)
        phone = await talk(world, client)
        assert harmless(shown(phone.call))
        pending = await ring(world, client)
        assert TOKEN in pending.call.to_json(), "the text is meant to carry it"
        assert harmless(shown(pending.call))
