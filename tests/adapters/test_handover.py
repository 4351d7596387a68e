"""A call handed over as text: who may take it, until when, and what a bad text says."""

# mypy: disable-error-code="truthy-bool"

import importlib
import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from telcoflow_anyio import ActiveCall
from telcoflow_proto.exceptions import (
    WSSCallClosedError,
    WSSCallError,
    WSSCallStateError,
    WSSMediaError,
)
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, ring, taking
from tests.world.net import Net
from tests.world.service import http, ignore
from tests.world.world import World


@pytest.fixture
def through_the_net(world: World, monkeypatch: pytest.MonkeyPatch) -> Net:
    """Let calls without a client of their own use this world's network too."""
    home = importlib.import_module(f"{world.case.module}._home")
    open_transport = home.open_transport

    async def through(url: Any, *arguments: Any) -> Any:
        *policy, dialled = arguments
        if dialled is None:
            dialled = await world.dial(url)
        return await open_transport(url, *policy, dialled) if world.case.lane else dialled

    monkeypatch.setattr(home, "open_transport", through)
    monkeypatch.setenv("TELCOFLOW_BASE_URL", "ws://localhost:8080")
    return world.net


def taken_over(world: World, text: str, **arguments: Any) -> ActiveCall:
    call: ActiveCall = world.adapter.ActiveCall.from_json(text, **arguments)
    return call


async def test_the_text_is_what_the_vendors_client_reads(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        assert json.loads(phone.call.to_json()) == {
            "channel": "TELCO",
            "id": "call-1",
            "caller": "+15550001",
            "callee": "+15550002",
            "session_url": "ws://localhost:8080/media/call-1",
            "session_token": "token-of-call-1",
        }


async def test_another_client_adopts_the_call_and_talks(world: World) -> None:
    async with phone_in(world, "pending") as phone, world.client() as other:
        call = other.adopt(phone.call.to_json())
        assert (call.call_id, call.caller_number, call.callee_number) == ("call-1", "+15550001", "+15550002")
        assert (call.state, call.direction) == (CallState.PENDING, "MT")
        assert other.get_call("call-1") is call
        ended: list[object] = []
        call.register_event_handler("call.terminated", ended.append)
        assert await call.answer()
        phone.there.say(b"\1\1")
        assert await anext(aiter(call.audio_stream())) == b"\1\1"
        phone.there.want(960)
        await call.send_audio(bytes(960))
        assert await phone.there.has_heard(960)
        phone.there.hang_up()
        await anyio.sleep(1)
        assert ended == ["terminated"]
        assert other.calls == []


async def test_a_call_is_taken_over_without_a_client(world: World, through_the_net: Net) -> None:
    async with world.client() as client:
        taking(client)
        phone = await ring(world, client)
        text = phone.call.to_json()
    call = taken_over(world, text)
    ended: list[object] = []
    call.register_event_handler("call.terminated", ended.append)
    assert await call.answer()
    assert phone.there.carrier is not None
    assert phone.there.carrier.end.headers["authorization"] == "Bearer token-of-call-1"
    assert "x-api-key" not in phone.there.carrier.end.headers
    phone.there.say(b"\1\1")
    assert await anext(aiter(call.audio_stream())) == b"\1\1"
    await call.close()
    await call.wait_closed()
    assert ended == ["closed"]
    await anyio.sleep(6)


async def test_a_handler_of_a_call_without_a_client_may_fail(
    world: World, through_the_net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    async with phone_in(world, "pending") as phone:
        call = taken_over(world, phone.call.to_json(), config=world.config())

        @call.on("call.answered")
        def fail() -> None:
            raise ZeroDivisionError

        await call.answer()
        assert await call.wait_ended() == "closed"
        await anyio.sleep(6)
    assert "ZeroDivisionError" in caplog.text


USES: dict[str, Callable[[ActiveCall], Any]] = {
    "answered": lambda call: call.answer(),
    "connected": lambda call: call.connect(),
    "declined": lambda call: call.disconnect(),
    "forced": lambda call: call.force_disconnect(),
}


@pytest.mark.parametrize("use", USES)
async def test_a_call_that_was_used_cannot_be_handed_over(world: World, use: str) -> None:
    async with phone_in(world, "pending") as phone:
        phone.call.to_json()
        await USES[use](phone.call)
        with pytest.raises(WSSCallStateError):
            phone.call.to_json()


async def test_a_call_that_is_being_answered_cannot_be_handed_over(world: World) -> None:
    async with phone_in(world, "pending") as phone, meanwhile() as group:
        phone.there.will("call.answer", ignore())
        Later(group, phone.call.answer)
        await anyio.sleep(1)
        with pytest.raises(WSSCallStateError, match="pending"):
            phone.call.to_json()


@pytest.mark.parametrize("status", [401, 403, 404, 409])
async def test_a_token_that_has_expired_is_told_when_the_call_is_answered(world: World, status: int) -> None:
    async with phone_in(world, "pending") as phone:
        phone.there.upgrade = http(status, body="the token has expired")
        async with world.client() as other:
            call = other.adopt(phone.call.to_json())
            error = await outcome(call.answer)
            assert isinstance(error, WSSMediaError)
            assert str(status) in str(error)
            assert "expired" in str(error)
            assert "token-of" not in str(error)
            assert await call.wait_ended() == "connection lost"
            assert isinstance(await outcome(call.answer), WSSCallClosedError)
            assert other.calls == []


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {key: value for key, value in fields.items() if key != name}


def changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda fields: {**fields, **changes}


TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no id": (without("id"), "'id'"),
    "no url": (without("session_url"), "'session_url'"),
    "no token": (without("session_token"), "'session_token'"),
    "no channel": (without("channel"), "'channel'"),
    "messages": (changed(channel="WA"), "TELCO"),
    "id of a wrong type": (changed(id=7), "'id'"),
    "token with a line break": (changed(session_token="a\r\nx-api-key: b"), "'session_token'"),
    "another host": (changed(session_url="wss://evil.example/media"), "another host"),
    "plain text to a far host": (changed(session_url="ws://evil.example/media"), "'session_url'"),
    "no WebSocket": (changed(session_url="https://localhost/media"), ""),
    "no URL": (changed(session_url="\x00"), ""),
    "a list": (lambda fields: [fields], ""),
    "a very long id": (changed(id="x" * 5000), "'id'"),
}


@pytest.mark.parametrize("how", ["adopt", "from_json"])
@pytest.mark.parametrize("name", TAMPERED)
async def test_a_text_that_was_tampered_with_is_refused_and_says_why(world: World, name: str, how: str) -> None:
    tamper, says = TAMPERED[name]
    async with phone_in(world, "pending") as phone, world.client() as other:
        text = json.dumps(tamper(json.loads(phone.call.to_json())))
        dials = len(world.net.dials)
        with pytest.raises(WSSCallError, match="cannot be taken over") as caught:
            other.adopt(text) if how == "adopt" else taken_over(world, text, config=world.config())
        assert says in str(caught.value)
        assert "token-of" not in str(caught.value)
        assert other.calls == []
        assert len(world.net.dials) == dials


@pytest.mark.parametrize("text", ["", "not JSON", "null", "{}", "[" * 100_000, "\ud800", '{"id":1e999}'])
async def test_a_text_that_is_no_call_is_refused(world: World, text: str) -> None:
    async with world.client() as client:
        with pytest.raises(WSSCallError):
            client.adopt(text)


async def test_numbers_that_were_withheld_stay_withheld(world: World) -> None:
    async with world.client() as client, world.client() as other:
        taking(client)
        phone = await ring(world, client, caller=None, callee=None)
        call = other.adopt(phone.call.to_json())
        assert (call.caller_number, call.callee_number) == (None, None)


async def test_a_call_can_be_handed_on(world: World) -> None:
    async with phone_in(world, "pending") as phone, world.client() as second, world.client() as third:
        text = second.adopt(phone.call.to_json()).to_json()
        assert text == phone.call.to_json()
        assert await third.adopt(text).answer()


async def test_who_hands_over_and_lets_go_does_not_end_the_call(world: World) -> None:
    async with world.client() as other:
        async with phone_in(world, "pending") as phone:
            text = phone.call.to_json()
        call = other.adopt(text)
        assert await call.answer()
        assert phone.there.said == ["call.answer"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_client_that_is_not_connected_cannot_carry_a_call(world: World, when: str) -> None:
    async with phone_in(world, "pending") as phone:
        other = world.client()
        if when == "after":
            async with other:
                pass
        with anyio.fail_after(30):

            async def adopt_and_answer() -> None:
                await other.adopt(phone.call.to_json()).answer()

            error = await outcome(adopt_and_answer)
        assert isinstance(error, WSSMediaError)
        assert "not connected" in str(error)
        assert other.calls == []
        await anyio.sleep(1)


async def test_a_call_that_is_ours_already_stays_what_it_is(world: World) -> None:
    async with phone_in(world, "pending") as phone:
        text = phone.call.to_json()
        await phone.call.answer()
        with pytest.raises(WSSCallError, match="has it already"):
            phone.client.adopt(text)
        assert phone.client.get_call("call-1") is phone.call
        assert await phone.call.close()
