"""The vendor's RELAY client, unmodified, over TLS against our service: everything it is told comes true."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from telcoflow_anyio.gateway import Gateway, MessageFate, RelayCallee, RelayCaller
from telcoflow_proto.jsontext import JsonObject
from tests.interop.relay.conftest import Certificate, Vendor

Run = Callable[[str, str], AbstractAsyncContextManager[Vendor]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gateway(certificate: Certificate, anyio_backend: str) -> AsyncIterator[Gateway]:
    async with Gateway(certfile=certificate.chain, keyfile=certificate.key, speed=20) as service:
        yield service


def requests_of(gateway: Gateway) -> list[JsonObject]:
    """Return what clients asked for, oldest first."""
    texts = [entry.text for entry in gateway.log if entry.direction == "in" and entry.text is not None]
    return [frame for frame in map(json.loads, texts) if "method" in frame]


async def test_it_connects_and_takes_a_call(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "answer") as client:
        call = await gateway.relay.place_call(RelayCaller(number="+1999", to="+1888"))
        connected = await client.tells("connected")
        assert connected["protocol"] in gateway.relay.sessions
        told = await client.tells("call")
        assert told["call_id"] == call.call_id
        assert told["device"] == {"type": "phone", "params": {"from_number": "+1999", "to_number": "+1888"}}
        assert (told["direction"], told["state"]) == ("inbound", "created")
        assert (await client.tells("answer"))["result"]["code"] == "200"
        ended = await client.tells("ended")
        assert (ended["call_state"], ended["end_reason"]) == ("ended", "busy")
    assert (call.state, call.end_reason) == ("ended", "busy")


async def test_what_it_plays_is_heard_to_its_end_or_until_stopped(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "play") as client:
        call = await gateway.relay.place_call()
        assert (await client.tells("played"))["state"] == "finished"
        assert (await client.tells("stopped"))["state"] == "finished"
    text, silence = call.played
    assert text.item["type"] == "tts"
    assert text.seconds == pytest.approx(2, abs=0.1)
    assert silence.seconds < 600


async def test_it_collects_the_keys_a_caller_presses(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "collect") as client:
        call = await gateway.relay.place_call()
        await client.tells("collecting")
        call.press("12#")
        collected = await client.tells("collected")
        assert collected["result"] == {"type": "digit", "params": {"digits": "12", "terminator": "#"}}


async def test_it_prompts_for_a_key_and_for_speech(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "play_and_collect") as client:
        call = await gateway.relay.place_call()
        await client.tells("collecting")
        call.press("2")
        collected = await client.tells("collected")
        assert collected["result"]["params"]["digits"] == "2"
        await client.tells("listening")
        call.speak("sales please")
        heard = await client.tells("heard")
        assert (heard["result"]["type"], heard["result"]["params"]["text"]) == ("speech", "sales please")


async def test_it_learns_where_its_recording_is(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "record") as client:
        call = await gateway.relay.place_call()
        recorded = await client.tells("recorded")
    (recording,) = call.recordings
    assert recorded["state"] == "finished"
    assert (recorded["url"], recorded["duration"], recorded["size"]) == (
        recording.url,
        recording.duration,
        recording.size,
    )


@pytest.mark.parametrize(("machine", "found"), [(True, "MACHINE"), (False, "HUMAN")])
async def test_it_finds_out_who_answered(gateway: Gateway, vendor: Run, machine: bool, found: str) -> None:
    async with vendor(gateway.relay_host, "detect") as client:
        await gateway.relay.place_call(RelayCaller(machine=machine))
        assert (await client.tells("detected"))["detect"]["params"]["event"] == found


async def test_it_bridges_a_call_and_undoes_it(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "bridge") as client:
        call = await gateway.relay.place_call()
        bridged = await client.tells("bridged")
        await client.tells("parted")
    assert bridged["peer"]["call_id"]
    assert [method for method, _ in call.requests[1:3]] == ["calling.connect", "calling.disconnect"]
    assert call.peer is None


async def test_it_is_told_nothing_bad_when_a_call_is_gone(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "gone") as client:
        call = await gateway.relay.place_call()
        await call.wait_state("answered")
        call.hang_up()
        assert (await client.tells("gone"))["result"] == {}
    assert requests_of(gateway)[-1]["method"] == "calling.end"


async def test_it_dials_somebody_who_answers_and_somebody_who_is_busy(gateway: Gateway, vendor: Run) -> None:
    def plan(device: JsonObject) -> RelayCallee:
        return RelayCallee(busy="busy" in json.dumps(device))

    gateway.relay.on_dial = plan
    async with vendor(gateway.relay_host, "dial") as client:
        answered = await client.tells("answered")
        assert (answered["state"], answered["tag"], answered["direction"]) == ("answered", "my-tag", "outbound")
        assert (await client.tells("ended"))["end_reason"] == "hangup"
        assert (await client.tells("failed"))["code"] == -1


async def test_its_message_is_delivered(gateway: Gateway, vendor: Run) -> None:
    gateway.relay.message_fate = lambda _message: MessageFate(states=((4.0, "sent"), (8.0, "delivered")))
    async with vendor(gateway.relay_host, "send_message") as client:
        told = await client.tells("told")
    assert (told["state"], told["last"]) == ("delivered", "delivered")
    assert told["states"] == ["sent", "delivered"]


async def test_it_receives_a_message(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "receive_message") as client:
        await client.tells("connected")
        await gateway.relay.receive_message("Hi", from_number="+1999", media=["https://example.com/picture.png"])
        message = await client.tells("message")
    assert (message["body"], message["sender"], message["context"]) == ("Hi", "+1999", "default")
    assert message["media"] == ["https://example.com/picture.png"]


async def test_it_listens_to_further_contexts_and_to_none(gateway: Gateway, vendor: Run) -> None:
    async with vendor(gateway.relay_host, "listen") as client:
        await client.tells("listening")
        call = await gateway.relay.place_call(context="support")
        assert (await client.tells("deaf"))["call_id"] == call.call_id
        (session,) = gateway.relay.sessions.values()
        assert list(session.contexts) == []


@pytest.mark.parametrize("code", [None, 1012])
async def test_it_comes_back_after_an_outage_and_its_call_goes_on(
    certificate: Certificate, vendor: Run, code: int | None
) -> None:
    async with (
        Gateway(certfile=certificate.chain, keyfile=certificate.key) as gateway,
        vendor(gateway.relay_host, "resume") as client,
    ):
        call = await gateway.relay.place_call()
        await client.tells("collecting")
        await gateway.relay.drop(code)
        await gateway.relay.wait_for_sessions(1)
        call.press("7")
        collected = await client.tells("collected")
        assert collected["result"]["params"]["digits"] == "7"
        assert (await client.tells("ended"))["end_reason"] == "hangup"
        first, again = (connect_of(one) for one in requests_of(gateway) if one["method"] == "signalwire.connect")
    assert "protocol" not in first
    assert call.session is not None
    assert again["protocol"] == call.session.protocol
    assert again["authorization_state"]


def connect_of(frame: JsonObject) -> dict[str, Any]:
    assert isinstance(frame["params"], dict)
    return frame["params"]
