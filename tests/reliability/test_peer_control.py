"""What the vendor's client 1.0.0 gets wrong on its control connection; ours must not. One test per finding."""

# mypy: disable-error-code="truthy-bool"

import functools
import importlib
import logging
import tomllib
from pathlib import Path
from typing import Any

import anyio
import pytest

from telcoflow_anyio import ActiveCall, Session
from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.errors import LimitExceeded
from telcoflow_proto.exceptions import WSSAuthenticationError, WSSConnectionError, WSSError
from telcoflow_proto.media.table import CallState
from telcoflow_proto.rest import close_session
from tests.adapters import test_control_faults as control_faults
from tests.adapters import test_leaving as leaving
from tests.adapters import test_life as life
from tests.adapters import test_sessions as sessions
from tests.adapters.acts import Later, meanwhile, outcome, phone_in, taking, talk, until
from tests.reliability.conftest import Figure
from tests.world.service import ACCEPT, NEVER, accept_then_close, http, ignore, setup_after
from tests.world.world import CONNECTOR, KEY, World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """REST is real HTTP: here the service answers it directly."""
    monkeypatch.setattr(importlib.import_module(f"{world.case.module}._http"), "send", world.service.rest)


# ---------------------------------------------------------------------- events get lost


async def test_peer_T00_a_client_hears_call_after_call_for_ever(world: World, figure: Figure) -> None:
    async with world.client() as client:
        calls = taking(client)
        for count in range(120):
            if count == 60:
                world.service.control.reset()
                await world.service.connected(2)
                await anyio.sleep(0.1)
            phone = await talk(world, client)
            phone.there.hang_up()
            await phone.call.wait_closed()
        assert len(calls) == 120
        assert client.calls == []
        figure("peer T00: calls taken of 120", len(calls))


async def test_peer_T09_a_burst_of_300_notices_is_heard_to_the_last(world: World, figure: Figure) -> None:
    async with world.client() as client:
        told: list[str] = []

        @client.on("session.notified")
        async def work(notice: Any) -> None:
            await anyio.sleep(0.01)
            told.append(notice.session_id)

        for number in range(300):
            world.service.control.say_raw(
                f'{{"type":"session.notify","sessionId":"s{number}","channel":"WA","activity":"RESUME"}}'
            )
        await anyio.sleep(10)
        assert sorted(told) == sorted(f"s{number}" for number in range(300))
        figure("peer T09: notices heard of 300", len(told))


async def test_peer_T08_a_call_announced_right_behind_the_set_up_waits_for_its_handler(world: World) -> None:
    await life.test_calls_announced_before_a_handler_is_registered_wait_for_it(world)


async def test_peer_T10_a_slow_handler_holds_up_nobody_else(world: World, figure: Figure) -> None:
    async with world.client() as client:
        begun: list[float] = []

        @client.on("call.new")
        async def take(call: ActiveCall) -> None:
            begun.append(anyio.current_time())
            await anyio.sleep(5)

        for _ in range(2):
            await world.service.announce_call()
        await until(lambda: len(begun) == 2)
        assert begun[1] - begun[0] < 0.1
        figure("peer T10: wait of the second caller, s", begun[1] - begun[0])


@pytest.mark.usefixtures("rest")
async def test_peer_T11_a_notify_handler_may_wait_for_the_end_of_its_session(world: World) -> None:
    await sessions.test_a_notify_handler_may_wait_for_the_end_of_its_session(world)


async def test_peer_T12_a_withheld_number_is_a_call_like_any_other(world: World) -> None:
    await life.test_a_withheld_number_is_none(world)


@pytest.mark.usefixtures("rest")
async def test_peer_T13_a_call_delivered_twice_is_handled_once(world: World) -> None:
    await life.test_everything_said_twice_happens_once(world)


async def test_peer_P03_an_object_that_can_be_awaited_when_called_is_a_handler(world: World) -> None:
    ran: list[ActiveCall] = []

    class Handler:
        async def __call__(self, call: ActiveCall) -> None:
            await anyio.sleep(0)
            ran.append(call)

    async def partial(ran: list[ActiveCall], call: ActiveCall) -> None:
        ran.append(call)

    async with world.client() as client:
        client.register_event_handler("call.new", Handler())
        client.register_event_handler("call.new", functools.partial(partial, ran))
        await world.service.announce_call()
        await until(lambda: len(ran) == 2)


# ---------------------------------------------------------------------- connecting


async def test_peer_T04_accept_then_close_is_no_storm(world: World, figure: Figure) -> None:
    world.service.upgrade = [ACCEPT, accept_then_close(1011)]
    async with world.client():
        world.service.control.reset()
        most = 0
        for _ in range(600):
            await anyio.sleep(0.1)
            most = max(most, world.net.client_streams)
        assert most <= 1
        assert 2 <= len(world.service.attempts) - 1 <= 12
        figure("peer T04: attempts in 60 s", len(world.service.attempts) - 1)


async def test_peer_P06_credentials_refused_behind_the_set_up_are_told_at_once(world: World, figure: Figure) -> None:
    begun = anyio.current_time()
    await control_faults.test_credentials_refused_behind_the_set_up_are_told_and_not_tried_again(world)
    told = anyio.current_time() - begun - 100  # the scenario waits so long for an attempt that must not come
    assert told < 0.1
    figure("peer P06: until it is told, s", told)


async def test_peer_T01_a_request_is_lost_at_once_with_its_connection(world: World, figure: Figure) -> None:
    world.service.will("session.open", ignore())
    async with world.client() as client, meanwhile() as group:
        opening = Later(group, client.open_session, "s1")
        await anyio.sleep(1)
        broken = anyio.current_time()
        world.service.control.reset()
        assert isinstance(await opening.done(), WSSConnectionError)
        assert anyio.current_time() - broken < 0.1
        figure("peer T01: until a lost request is told, s", anyio.current_time() - broken)


async def test_peer_T02_a_set_up_that_never_comes_leaves_nothing_behind(world: World) -> None:
    await control_faults.test_a_handshake_that_hangs_is_given_up_after_ten_seconds(world, setup_after(NEVER))
    assert world.net.client_streams == 0
    await anyio.sleep(120)
    assert len(world.service.attempts) == 1


async def test_peer_T03_a_stale_connection_cannot_touch_the_live_one(world: World) -> None:
    world.service.upgrade = [ACCEPT, setup_after(10.5), ACCEPT]
    async with world.client() as client:
        world.service.control.reset()
        await world.service.connected(2)
        stale, live = world.service.controls[1:]
        stale.say_raw('{"type":"setup.done","smWsId":"stale"}')
        stale.close(4401, "not you")
        stale.reset()
        await anyio.sleep(60)
        assert client.state is ClientState.READY
        assert not live.over
        assert len(world.service.attempts) == 3
        assert world.net.client_streams == 1
        assert isinstance(await client.open_session("s1"), Session)


def test_peer_T05_a_thousand_clients_wait_differently_and_only_service_resets_the_count(figure: Figure) -> None:
    waits = [Backoff().delay(1, fraction=number / 1000) for number in range(1000)]
    spread = max(waits) - min(waits)
    assert spread >= 0.49
    assert Backoff().healthy_after >= 30
    figure("peer T05: spread of the first wait, s", spread)


async def test_peer_T05_a_connection_that_was_set_up_and_closed_does_not_reset_the_count(world: World) -> None:
    world.service.upgrade = [ACCEPT, accept_then_close(1011, after_setup=True)]
    async with world.client() as client:
        attempts: list[int] = []
        client.register_event_handler("connection.lost", lambda lost: attempts.append(lost.attempt))
        world.service.control.reset()
        await anyio.sleep(60)
        assert attempts == list(range(1, len(attempts) + 1))


async def test_peer_T06_a_revoked_key_stops_the_client_and_is_told(world: World) -> None:
    await control_faults.test_a_key_revoked_while_away_stops_the_reconnecting(world)


async def test_peer_T07_what_a_refusal_says_is_cut_and_forges_no_line(world: World, figure: Figure) -> None:
    world.service.upgrade = [http(401, body="bad key\nERROR forged " + "x" * 900_000)]
    error = await control_faults.enter(world)
    assert isinstance(error, WSSAuthenticationError)
    assert str(error).isprintable()
    assert len(str(error)) <= 256 + 100
    figure("peer T07: characters of the error", len(str(error)))


# ---------------------------------------------------------------------- sessions


async def test_peer_M17_a_live_call_outlives_its_control_connection(world: World) -> None:
    await control_faults.test_live_calls_go_on_without_a_control_connection(world)


async def test_peer_T14_ready_on_a_session_that_was_lost_says_so(world: World) -> None:
    async with world.client() as client:
        session = await client.open_session("s1")
        world.service.control.reset()
        await world.service.connected(2)
        await anyio.sleep(1)
        assert session.is_closed
        assert isinstance(await outcome(session.ready), WSSError)


@pytest.mark.usefixtures("rest")
async def test_peer_T15_a_hundred_and_one_sessions_leave_nothing(world: World) -> None:
    await sessions.test_a_hundred_and_one_sessions_leave_nothing(world)


async def test_peer_N13_two_who_open_a_session_get_the_same_object(world: World) -> None:
    await sessions.test_everybody_who_opens_a_session_gets_the_same_object(world)


WRONG_RESPONSES = [
    '"ok":"false"',
    '"ok":1',
    '"ok":true,"content":null',
    '"ok":true,"content":[]',
    '"ok":true,"content":{"session":null}',
    '"ok":true,"content":{"session":{"id":7}}',
    '"ok":true,"content":{"session":{"id":"other","channel":"WA"}}',
    '"ok":true,"content":{"session":{"id":"s1","channel":["WA"]}}',
    '"ok":true,"content":{"session":{"id":"s1","channel":"WA","openedAt":"soon"}}',
    '"ok":false,"errorCode":7',
    '"ok":false,"errorContent":{"boundSmWsId":7}',
]


@pytest.mark.parametrize("wrong", WRONG_RESPONSES)
async def test_peer_T16_a_response_of_the_wrong_shape_is_one_of_our_errors(world: World, wrong: str) -> None:
    world.service.will("session.open", ignore())
    async with world.client() as client, meanwhile() as group:
        opening = Later(group, client.open_session, "s1")
        await anyio.sleep(1)
        request_id = world.service.control.heard[-1].json["reqId"]
        world.service.control.say_raw(f'{{"type":"response","reqId":"{request_id}",{wrong}}}')
        result = await opening.done()
        assert isinstance(result, WSSError) or (isinstance(result, Session) and result.session_id == "s1"), result
        assert not (isinstance(result, Session) and '"ok":true' not in wrong)
        assert client.state is ClientState.READY


@pytest.mark.usefixtures("rest")
@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b"[" * 60_000, b'{"items":' + b"9" * 5000 + b"}", b"\xff"])
async def test_peer_N08_a_reply_that_is_no_list_is_one_of_our_errors(world: World, body: bytes) -> None:
    world.service.rest_reply = (200, body)
    async with world.client() as client:
        assert isinstance(await outcome(client.list_sessions), WSSConnectionError)


# ---------------------------------------------------------------------- secrets and other hosts


async def test_peer_N03_a_redirect_of_the_control_connection_is_not_followed(world: World) -> None:
    redirect = http(302, Location="ws://evil.example/")
    await control_faults.test_a_first_attempt_that_is_refused_is_told_at_once_and_not_repeated(
        world, redirect, WSSConnectionError, 302
    )


@pytest.mark.parametrize("name", ["api_key", "connector_uuid"])
@pytest.mark.parametrize("value", ["key\r\nx-evil: 1", "key\n", "\0", "kéy", "two words", ""])
def test_peer_N06_a_credential_that_would_inject_a_header_is_refused(world: World, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        world.config(**{name: value})
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize("token", ["t\\r\\nx-evil: 1", "t\\n", "t\\u0000", "t\\u00e9"])
async def test_peer_N06_a_token_that_would_inject_a_header_never_leaves(world: World, token: str) -> None:
    world.service.offers_calls = False
    async with world.client() as client:
        calls = taking(client)
        there = await world.service.announce_call()
        await anyio.sleep(1)
        world.service.control.say_raw(
            f'{{"type":"call.in","sessionId":"{there.offer.session_id}","callId":"c","url":"{there.offer.url}",'
            f'"token":"{token}","from":"+1","to":"+2"}}'
        )
        await anyio.sleep(1)
        assert calls == []
        assert client.statistics().bad_frames == 1
        assert len(world.net.dials) == 1


def test_peer_N07_a_session_id_cannot_leave_its_part_of_the_path() -> None:
    request = close_session("../../../admin/wipe?x=")
    assert request.target == "/public/v1/sessions/%2E%2E%2F%2E%2E%2F%2E%2E%2Fadmin%2Fwipe%3Fx%3D/close"


async def test_peer_N05_no_credential_is_in_a_repr_or_a_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert KEY not in repr(world.config())
    async with world.client() as client:
        taking(client)
        phone = await talk(world, client)
        shown = repr((client, phone.call, vars(client), world.config()))
        world.service.control.reset()
        await phone.call.close()
        await anyio.sleep(5)
    for secret in (KEY, phone.there.offer.token):
        assert secret not in caplog.text
        assert secret not in shown
    assert CONNECTOR not in caplog.text


# ---------------------------------------------------------------------- leaving, and the rest


async def test_peer_N12_a_peer_that_ignores_the_close_is_left_in_two_seconds(world: World, figure: Figure) -> None:
    async with world.client():
        world.service.control.partition()
        begun = anyio.current_time()
    took = anyio.current_time() - begun
    assert took <= 2.0
    figure("peer N12: until the client is left, s", took)
    await leaving.test_leaving_takes_two_seconds_at_most_in_every_state(world, "silent peer")


async def test_peer_N15_a_frame_beyond_the_limit_costs_the_connection_and_no_call(world: World) -> None:
    async with phone_in(world, "answered") as phone:
        lost: list[Any] = []
        phone.client.register_event_handler("connection.lost", lost.append)
        world.service.control.say_raw("x" * (1024 * 1024 + 1))
        await world.service.connected(2)
        assert isinstance(lost[0].error, LimitExceeded)
        assert lost[0].error.close_code == 1009
        assert phone.call.state is CallState.ANSWERED
        phone.there.say(b"\1\1")
        assert await anext(aiter(phone.call.audio_stream())) == b"\1\1"
        assert await phone.call.close()


def test_peer_floor_what_is_needed_has_a_floor_and_no_event_bus_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [one for extra in project["optional-dependencies"].values() for one in extra]
    outside = [one for one in wanted if not one.startswith("telcoflow-proto")]
    assert all(">=" in one for one in outside)
    floors = dict(one.split(">=") for one in project["dependencies"])
    assert set(floors) == {"attrs", "h11", "wsproto"}
    assert version(floors["h11"]) >= (0, 16), "below it a chunk can be smuggled"
    assert version(floors["wsproto"]) >= (1, 3, 2)


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
