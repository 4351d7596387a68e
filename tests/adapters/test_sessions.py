"""Sessions and messages: opened, shared, resumed, lost, closed, and nothing left of them."""

# mypy: disable-error-code="truthy-bool"

import importlib
from typing import Any

import anyio
import pytest

from telcoflow_anyio import ActiveCall, CallFlow, InboundCalls, MessageIn, Session, SessionInfo, SessionNotice
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.control.messages import OpenSession
from telcoflow_proto.exceptions import (
    SessionAlreadyExists,
    SessionBusy,
    SessionClosed,
    SessionError,
    SessionNotFound,
    SessionNotOpen,
    WSSAuthenticationError,
    WSSConnectionError,
)
from telcoflow_proto.media.table import CallState
from tests.adapters.acts import Later, meanwhile, outcome, taking, talk, until
from tests.world.service import existing, ignore, refuse, succeed, taken
from tests.world.world import World


@pytest.fixture(autouse=True)
def rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """REST is real HTTP: here the service answers it directly."""
    monkeypatch.setattr(importlib.import_module(f"{world.case.module}._http"), "send", world.service.rest)


def leftovers(client: Any) -> dict[str, int]:
    """Count what a client still keeps of sessions, in every layer."""
    kept = {name: getattr(client, f"_{name}") for name in ("sessions", "opening", "dials", "requests")}
    machine = client._machine  # noqa: SLF001 - nothing public counts these
    kept |= {name: getattr(machine, f"_{name}") for name in ("held", "resuming", "created", "claims", "waiting")}
    return {name: len(things) for name, things in kept.items()} | {"connection": kept_by_connection(machine)}


def kept_by_connection(machine: Any) -> int:
    return 0 if machine.control is None else len(machine.control._sessions)  # noqa: SLF001


# ---------------------------------------------------------------------- listing


async def test_open_sessions_are_listed(world: World) -> None:
    async with world.client() as client:
        assert await client.list_sessions() == []
        info = world.service.has_messages("wa-1", remote_address="+49 1")
        assert await client.list_sessions(channel="WA", remote_address="+49 1") == [info]
        assert world.service.rest_requests[-1].target == (
            "/public/v1/sessions?channel=WA&remoteAddress=%2B49%201&state=OPEN"
        )


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"{}", WSSAuthenticationError),
        (404, b'{"code":"SESSION_NOT_FOUND","message":"m"}', SessionNotFound),
        (400, b'{"code":"QUOTA_EXCEEDED","message":"m"}', SessionError),
        (500, b"oops", WSSConnectionError),
        (200, b'{"items":7}', WSSConnectionError),
        (200, b'{"items":[{"id":7}]}', WSSConnectionError),
    ],
)
async def test_a_list_that_fails_says_why(world: World, status: int, body: bytes, kind: type[Exception]) -> None:
    world.service.rest_reply = (status, body)
    async with world.client() as client:
        assert type(await outcome(client.list_sessions)) is kind


async def test_an_unusable_certificate_is_told_like_any_failed_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: object) -> None:
        raise PermissionError("cannot read ca.pem")

    monkeypatch.setattr(importlib.import_module(f"{world.case.module}.client"), "tls_context", fail)
    async with world.client() as client:
        error = await outcome(client.list_sessions)
        assert isinstance(error, WSSConnectionError)
        assert "cannot read ca.pem" in str(error)


# ---------------------------------------------------------------------- opening


async def test_everybody_who_opens_a_session_gets_the_same_object(world: World) -> None:
    async with world.client() as client, meanwhile() as group:
        world.service.will("session.open", succeed(after=1))
        first, second = (Later(group, client.open_session, "wa-1") for _ in range(2))
        session = await first.done()
        assert isinstance(session, Session)
        assert session is await second.done()
        assert session is await client.open_session("wa-1")
        assert len(world.service.asked(OpenSession)) == 1
        assert repr(session) == "<session wa-1 open>"
        assert (session.channel, session.remote_address, session.is_closed) == ("TELCO", None, False)
        assert isinstance(session.info, SessionInfo)


async def test_one_of_two_openers_may_be_cancelled(world: World) -> None:
    async with world.client() as client, meanwhile() as group:
        world.service.will("session.open", succeed(after=1))
        patient = Later(group, client.open_session, "wa-1")
        with anyio.move_on_after(0.5):
            await client.open_session("wa-1")
        assert isinstance(await patient.done(), Session)


async def test_the_only_opener_may_be_cancelled_and_open_again(world: World) -> None:
    async with world.client() as client:
        world.service.will("session.open", succeed(after=1))
        with anyio.move_on_after(0.5):
            await client.open_session("wa-1")
        assert isinstance(await client.open_session("wa-1"), Session)
        with anyio.move_on_after(0.5):
            await client.open_session("wa-2")
        await anyio.sleep(5)
        assert isinstance(await client.open_session("wa-2"), Session)
        assert len(world.service.asked(OpenSession)) == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SESSION_BUSY", SessionBusy),
        ("SESSION_CLOSED", SessionClosed),
        ("SESSION_NOT_FOUND", SessionNotFound),
        ("SESSION_NOT_OPEN", SessionNotOpen),
        ("QUOTA_EXCEEDED", SessionError),
        ("SOMETHING_NEW", SessionError),
    ],
)
async def test_a_session_that_is_refused_raises_what_the_code_says(
    world: World, code: str, kind: type[SessionError]
) -> None:
    world.service.will("session.open", refuse(code), succeed())
    async with world.client() as client:
        error = await outcome(client.open_session, "wa-1")
        assert type(error) is kind
        assert (error.code, str(error), error.owner) == (code, code, None)
        assert isinstance(await client.open_session("wa-1"), Session)


async def test_the_owner_of_a_busy_session_is_told(world: World) -> None:
    world.service.will("session.open", taken("sm-7"))
    async with world.client() as client:
        error = await outcome(client.open_session, "wa-1")
        assert isinstance(error, SessionBusy)
        assert error.owner == "sm-7"


async def test_an_opening_nobody_answers_is_given_up_after_thirty_seconds(world: World) -> None:
    world.service.will("session.open", ignore(), succeed())
    async with world.client() as client:
        begun = anyio.current_time()
        assert isinstance(await outcome(client.open_session, "wa-1"), WSSConnectionError)
        assert anyio.current_time() - begun == pytest.approx(30, abs=0.01)
        assert isinstance(await client.open_session("wa-1"), Session)


async def test_an_opening_whose_connection_is_lost_says_so(world: World) -> None:
    world.service.will("session.open", ignore(), succeed())
    async with world.client() as client, meanwhile() as group:
        opening = Later(group, client.open_session, "wa-1")
        await anyio.sleep(1)
        world.service.control.reset()
        error = await opening.done()
        assert isinstance(error, WSSConnectionError)
        assert "lost before the answer" in str(error)
        assert isinstance(await outcome(client.open_session, "wa-1"), WSSConnectionError)  # not connected now
        await world.service.connected(2)
        await until(lambda: client.state is ClientState.READY)
        assert isinstance(await client.open_session("wa-1"), Session)


async def test_open_and_closed_in_one_breath(world: World) -> None:
    async with world.client() as client, meanwhile() as group:
        world.service.will("session.open", ignore())
        opening = Later(group, client.open_session, "wa-1")
        await until(lambda: world.service.asked(OpenSession))
        control = world.service.control
        (request,) = (one.json for one in control.heard if one.json.get("type") == "session.open")
        control.carrier.end.say_raw(
            f'{{"type":"response","reqId":"{request["reqId"]}","ok":true,'
            '"content":{"session":{"id":"wa-1","channel":"WA"}}}'
        )
        control.say_raw('{"type":"session.closed","sessionId":"wa-1","reason":"FORCE_CLOSE"}')
        error = await opening.done()
        assert isinstance(error, SessionClosed)


# ---------------------------------------------------------------------- life


async def test_messages_come_and_go(world: World) -> None:
    async with world.client() as client:
        world.service.has_messages("wa-1")
        session = await client.open_session("wa-1")
        came: list[MessageIn] = []
        session.on_incoming_message(came.append)
        await session.ready()
        await until(lambda: world.service.readied)
        world.service.push_message("wa-1", {"text": "hello"})
        await until(lambda: came)
        assert (came[0].session_id, came[0].sender, came[0].content) == ("wa-1", "them", {"text": "hello"})
        world.service.will("wa.msg.out", succeed())
        assert await session.send_message({"text": "hi"}) is None
        assert world.service.messages == [("wa-1", {"text": "hi"})]


async def test_a_message_without_a_handler_of_its_session_goes_to_the_client(world: World) -> None:
    async with world.client() as client:
        came: list[MessageIn] = []
        client.register_event_handler(world.adapter.events.INCOMING_MESSAGE, came.append)
        world.service.has_messages("wa-1")
        session = await client.open_session("wa-1")
        await session.ready()
        await until(lambda: world.service.readied)
        world.service.push_message("wa-1", {"text": "hello"})
        await until(lambda: came)


@pytest.mark.parametrize("code", ["INVALID_PAYLOAD", "REMOTE_ERROR", "SESSION_NOT_OPEN"])
async def test_a_message_that_is_refused_raises_its_code(world: World, code: str) -> None:
    async with world.client() as client:
        session = await client.open_session("wa-1")
        await session.ready()
        world.service.will("wa.msg.out", refuse(code))
        error = await outcome(session.send_message, {"text": "hi"})
        assert isinstance(error, SessionError)
        assert error.code == code


async def test_a_message_before_ready_says_what_is_missing(world: World) -> None:
    async with world.client() as client:
        session = await client.open_session("wa-1")
        error = await outcome(session.send_message, {"text": "hi"})
        assert isinstance(error, WSSConnectionError)
        assert world.service.messages == []


async def test_the_call_of_an_opened_session_goes_to_its_handlers(world: World) -> None:
    async with world.client() as client:
        calls: list[ActiveCall] = []
        there = await world.service.announce_call()
        session = await client.open_session(there.offer.session_id)
        session.on_incoming_call(calls.append)
        await session.ready()
        await until(lambda: calls)
        assert await calls[0].answer()
        assert client.calls == calls
        there.hang_up()
        await calls[0].wait_ended()


async def test_the_call_of_a_session_without_handlers_goes_to_the_client(world: World) -> None:
    async with world.client() as client:
        there = await world.service.announce_call()
        session = await client.open_session(there.offer.session_id)
        calls = taking(client)
        await session.ready()
        await until(lambda: calls)


async def test_a_session_is_closed_once_whoever_closes_it(world: World) -> None:
    async with world.client() as client, meanwhile() as group:
        told: list[object] = []
        client.register_event_handler("session.closed", told.append)
        for how in ("us", "them", "both"):
            world.service.has_messages(f"wa-{how}")
            session = await client.open_session(f"wa-{how}")
            reasons: list[object] = []
            session.on_closed(reasons.append)
            waiter = Later(group, session.wait_closed)
            if how != "them":
                await session.close()
            if how != "us":
                world.service.close_session(f"wa-{how}", "FORCE_CLOSE")
            reason = await waiter.done()
            await anyio.sleep(1)
            assert reason == session.close_reason == ("FORCE_CLOSE" if how == "them" else "SDK_REQUEST")
            assert reasons == [reason]
            assert session.is_closed
            assert repr(session) == f"<session wa-{how} closed>"
            await session.close()
            assert await session.wait_closed() == reason
            assert isinstance(await outcome(session.ready), SessionClosed)
            assert isinstance(await outcome(session.send_message, {}), SessionClosed)
        assert len(told) == 4  # the one closed by both is told twice by the service
        assert set(leftovers(client).values()) == {0}


async def test_a_session_the_service_no_longer_knows_is_closed_and_forgotten(world: World) -> None:
    async with world.client() as client:
        session = await client.open_session("unknown")
        await session.close()
        assert await session.wait_closed() == "SDK_REQUEST"
        assert set(leftovers(client).values()) == {0}
        assert await client.open_session("unknown") is not session


@pytest.mark.parametrize("told", [True, False])
async def test_a_closed_session_can_be_opened_again(world: World, told: bool) -> None:
    world.service.tells_closes = told
    async with world.client() as client:
        world.service.has_messages("wa-1")
        session = await client.open_session("wa-1")
        await session.ready()
        await session.close()
        await anyio.sleep(0.1)
        again = await client.open_session("wa-1")
        assert again is not session
        assert not again.is_closed
        await again.ready()


async def test_a_close_that_fails_leaves_the_session_open(world: World) -> None:
    async with world.client() as client:
        session = await client.open_session("wa-1")
        world.service.rest_reply = (500, b"oops")
        assert isinstance(await outcome(session.close), WSSConnectionError)
        assert not session.is_closed
        await session.ready()


async def test_a_notify_handler_may_wait_for_the_end_of_its_session(world: World) -> None:
    async with world.client() as client:
        done: list[str] = []
        calls: list[ActiveCall] = []

        @client.on("session.notified")
        async def follow(notice: SessionNotice) -> None:
            session = await client.open_session(notice.session_id)
            session.on_incoming_call(calls.append)
            await session.ready()
            done.append(await session.wait_closed())

        first = await world.service.announce_call()
        second = await world.service.announce_call()
        await until(lambda: len(calls) == 2)
        for there in (first, second):
            world.service.close_session(there, "CALL_TERMINATED")
        await until(lambda: done == ["CALL_TERMINATED"] * 2)


async def test_a_hundred_and_one_sessions_leave_nothing(world: World) -> None:
    async with world.client() as client:
        for number in range(101):
            world.service.has_messages(f"wa-{number}")
            session = await client.open_session(f"wa-{number}")
            session.on_incoming_message(print)
            await session.ready()
            if number % 2:
                await session.close()
            else:
                world.service.close_session(f"wa-{number}")
            await session.wait_closed()
        await anyio.sleep(1)
        assert set(leftovers(client).values()) == {0}
        world.service.has_messages("wa-0")
        assert not (await client.open_session("wa-0")).is_closed


# ---------------------------------------------------------------------- creating


async def test_a_session_can_be_started_from_our_side(world: World) -> None:
    async with world.client() as client:
        session = await client.create_session("WA", "+1999")
        assert (session.channel, session.remote_address) == ("WA", "+1999")
        await session.ready()
        await session.send_message({"text": "hi"})
        assert world.service.messages == [(session.session_id, {"text": "hi"})]
        await session.close()
        await anyio.sleep(1)
        assert set(leftovers(client).values()) == {0}


async def test_a_session_that_exists_already_is_told(world: World) -> None:
    world.service.will("session.create", existing("wa-1"))
    async with world.client() as client:
        error = await outcome(client.create_session, "WA", "+1999")
        assert isinstance(error, SessionAlreadyExists)
        assert "wa-1" in str(error)
        assert set(leftovers(client).values()) == {0}


async def test_a_session_that_cannot_be_started_is_told(world: World) -> None:
    world.service.will("session.create", refuse("CHANNEL_NOT_CONFIGURED"))
    async with world.client() as client:
        error = await outcome(client.create_session, "WA", "+1999")
        assert isinstance(error, SessionError)
        assert error.code == "CHANNEL_NOT_CONFIGURED"


# ---------------------------------------------------------------------- reconnecting


async def reconnected(world: World, client: Any, count: int = 2) -> None:
    world.service.control.reset()
    await world.service.connected(count)
    await until(lambda: client.state is ClientState.READY)
    await anyio.sleep(1)


async def test_messages_go_on_after_a_reconnect(world: World) -> None:
    async with world.client() as client:
        world.service.has_messages("wa-1")
        session = await client.open_session("wa-1")
        came: list[MessageIn] = []
        session.on_incoming_message(came.append)
        await session.ready()
        await until(lambda: world.service.readied)
        await reconnected(world, client)
        assert world.service.readied == ["wa-1", "wa-1"]
        world.service.push_message("wa-1", {"text": "still there?"})
        await until(lambda: came)
        await session.send_message({"text": "yes"})
        assert session is await client.open_session("wa-1")
        assert not session.is_closed


async def test_a_session_that_was_not_ready_is_not_made_ready_by_a_reconnect(world: World) -> None:
    async with world.client() as client:
        world.service.has_messages("wa-1")
        session = await client.open_session("wa-1")
        await reconnected(world, client)
        assert world.service.readied == []
        await session.ready()
        await until(lambda: world.service.readied == ["wa-1"])


@pytest.mark.parametrize("code", ["SESSION_BUSY", "SESSION_CLOSED"])
async def test_a_session_that_went_elsewhere_meanwhile_closes_with_its_reason(world: World, code: str) -> None:
    async with world.client() as client:
        world.service.has_messages("wa-1")
        session = await client.open_session("wa-1")
        reasons: list[object] = []
        session.on_closed(reasons.append)
        await session.ready()
        world.service.will("session.open", refuse(code), succeed())
        await reconnected(world, client)
        assert reasons == [session.close_reason] == ["FORCE_CLOSE"]
        assert set(leftovers(client).values()) == {0}
        assert await client.open_session("wa-1") is not session


async def test_a_session_whose_resumption_was_cut_off_is_resumed_by_the_next_connection(world: World) -> None:
    async with world.client() as client:
        world.service.has_messages("wa-1")
        session = await client.open_session("wa-1")
        await session.ready()
        world.service.will("session.open", ignore(), succeed())
        await reconnected(world, client)
        await reconnected(world, client, 3)
        assert not session.is_closed
        await session.send_message({"text": "still here"})


async def test_a_session_that_closes_while_it_is_resumed_harms_nobody(world: World) -> None:
    for success in ("true", "false"):
        async with world.client() as client:
            calls = taking(client)
            await talk(world, client)
            world.service.has_messages("wa-1")
            session = await client.open_session("wa-1")
            await session.ready()
            world.service.will("session.open", ignore(), succeed())
            world.service.control.reset()
            await anyio.sleep(10)
            control = world.service.control
            request = [one.json for one in control.heard if one.json.get("type") == "session.open"][-1]
            control.carrier.end.say_raw('{"type":"session.closed","sessionId":"wa-1","reason":"FORCE_CLOSE"}')
            control.say_raw(
                f'{{"type":"response","reqId":"{request["reqId"]}","ok":{success},"errorCode":"SESSION_CLOSED",'
                '"content":{"session":{"id":"wa-1","channel":"WA"}}}'
            )
            assert await session.wait_closed() == "FORCE_CLOSE"
            await anyio.sleep(1)
            assert calls[0].state is CallState.ANSWERED
            assert client.state is ClientState.READY


async def test_the_session_of_a_live_call_is_lost_and_the_call_goes_on(world: World) -> None:
    async with world.client() as client:
        calls: list[ActiveCall] = []
        there = await world.service.announce_call()
        session = await client.open_session(there.offer.session_id)
        session.on_incoming_call(calls.append)
        await session.ready()
        await until(lambda: calls)
        await calls[0].answer()
        await reconnected(world, client)
        assert session.close_reason == "FORCE_CLOSE"
        assert calls[0].state is CallState.ANSWERED
        there.say(b"\1\1")
        assert await anext(aiter(calls[0].audio_stream())) == b"\1\1"


async def test_the_call_flow_is_said_again_after_every_reconnect(world: World) -> None:
    flow = CallFlow(inbound_call=InboundCalls.MISSED_ONLY, outbound_call=False)
    async with world.client() as client:
        await client.setup_call_flow(flow)
        await reconnected(world, client)
        await reconnected(world, client, 3)
        assert world.service.flows == [flow] * 3
        await client.setup_call_flow(CallFlow())
        await reconnected(world, client, 4)
        assert world.service.flows[3:] == [CallFlow()] * 2


async def test_a_call_flow_that_is_refused_is_told(world: World) -> None:
    world.service.will("call_flow.setup", refuse("FORBIDDEN"))
    async with world.client() as client:
        error = await outcome(client.setup_call_flow, CallFlow())
        assert isinstance(error, SessionError)
        assert error.code == "FORBIDDEN"


async def test_everything_said_without_a_connection_is_refused_at_once(world: World) -> None:
    async with world.client() as client:
        session = await client.open_session("wa-1")
    for action in (
        lambda: client.open_session("wa-2"),
        lambda: client.create_session("WA", "+1"),
        lambda: client.setup_call_flow(CallFlow()),
        lambda: client.dial("+1"),
        session.ready,
        lambda: session.send_message({}),
    ):
        with anyio.fail_after(1):
            assert isinstance(await outcome(action), (WSSConnectionError, SessionClosed))
