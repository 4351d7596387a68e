"""Who may come in, what a session remembers, and for how long."""

import json
import time

import anyio
import pytest

from telcoflow_proto.relay.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND
from telcoflow_proto.relay.messages import AuthenticationRefused, Credentials, Resumption
from telcoflow_proto.secret import Secret
from tests.gateway.relay.client import GOOD, Client, town


async def test_a_client_with_project_and_token_is_let_in() -> None:
    async with town() as one:
        client = one.client()
        answer = json.loads(client.texts[0])["result"]
        assert answer["protocol"].startswith("signalwire_")
        assert set(answer["protocol"].removeprefix("signalwire_")) <= set("0123456789abcdef")
        assert answer["session_restored"] is False
        assert answer["identity"] == "test-project@local"


async def test_a_client_with_a_jwt_is_let_in() -> None:
    async with town(jwts=["ours"]) as one:
        assert one.client(credentials=Credentials(jwt_token=Secret("ours"))).authenticated.identity


async def test_a_jwt_needs_no_project_to_belong_to() -> None:
    async with town(projects={}) as one:
        client = one.client(credentials=Credentials(jwt_token=Secret("test-jwt")))
        assert client.of("signalwire.authorization.state")[0].payload["project_id"] == ""


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(),
        Credentials(project=Secret("test-project")),
        Credentials(project=Secret("test-project"), token=Secret("other")),
        Credentials(project=Secret("other"), token=Secret("test-token")),
        Credentials(jwt_token=Secret("test-token")),
    ],
)
async def test_others_are_turned_away_and_their_connection_is_closed(credentials: Credentials) -> None:
    async with town() as one:
        client = one.connect(credentials=credentials)
        refused = next(event for event in client.events if isinstance(event, AuthenticationRefused))
        assert refused.code == -32002
        error = json.loads(client.texts[0])["error"]
        assert error["data"] == {"signalwire_error_code": "AUTH_REQUIRED"}
        assert client.lost.code == 1000
        assert not one.service.sessions
        assert not one.service.desks


async def test_authorization_state_follows_at_once_but_not_when_the_client_came_with_it() -> None:
    async with town() as one:
        client = one.client()
        assert client.order == ["signalwire.authorization.state:"]
        back = client.resumption
        client.cut()
        again = one.client(resumption=back)
        assert again.authenticated.restored
        assert again.order == []


@pytest.mark.parametrize("state", [None, Secret("something else")])
async def test_a_client_that_comes_back_without_the_right_state_is_told_it(state: Secret | None) -> None:
    async with town() as one:
        client = one.client()
        client.cut()
        again = one.client(resumption=Resumption(protocol=client.authenticated.protocol, authorization_state=state))
        assert json.loads(again.texts[0])["result"]["session_restored"] is True
        assert again.order == ["signalwire.authorization.state:"]


async def test_events_have_an_envelope() -> None:
    async with town() as one:
        client = one.client()
        await one.service.place_call()
        told = (client.of("calling.call.receive"))[0]
        envelope = {key: value for key, value in told.payload.items() if key not in {"event_type", "params"}}
        assert envelope == {
            "event_channel": client.authenticated.protocol,
            "timestamp": pytest.approx(time.time(), abs=60),
            "project_id": "test-project",
            "space_id": "local",
        }
        assert {"node_id", "call_id", "segment_id"} <= told.params.keys()
        assert "tag" not in told.params


async def test_what_was_not_acknowledged_comes_again_letter_by_letter() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        client.reading = False  # it is told, but its network does not deliver any more
        call.raise_error("first")
        call.raise_error("second")
        lost = [json.loads(text) for text in client.server.messages_to_send() if isinstance(text, str)]
        client.cut()
        call.raise_error("third")
        again = one.client(resumption=client.resumption, contexts=("other",))
        repeated = [json.loads(text) for text in again.texts[1:]]
        assert repeated[:2] == lost
        assert [frame["params"]["params"]["message"] for frame in repeated] == ["first", "second", "third"]
        assert next(iter(one.service.sessions.values())).contexts == {"other": None}
        hand.client = again
        await hand.done("end", reason="hangup")
        again.cut()
        third = one.client(resumption=client.resumption)
        assert third.order == []  # everything was acknowledged


async def test_a_session_keeps_a_thousand_events_for_who_is_away() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call()
        client.cut()
        for count in range(1001):
            call.raise_error(str(count))
        again = one.client(resumption=client.resumption)
        told = again.of("calling.error")
        assert [told[0].params["message"], told[-1].params["message"], len(told)] == ["1", "1000", 1000]


async def test_a_session_outlives_its_connection_for_a_minute() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call()
        client.cut()
        await anyio.sleep(59)
        again = one.client(resumption=client.resumption)
        assert again.authenticated.restored
        await anyio.sleep(61)
        again.cut()
        await anyio.sleep(61)
        assert (call.state, call.end_reason) == ("ended", "abandoned")
        assert not one.service.sessions
        late = one.client(resumption=client.resumption)
        assert not late.authenticated.restored
        assert late.authenticated.protocol != client.authenticated.protocol


async def test_the_newest_connection_has_the_session() -> None:
    async with town() as one:
        client = one.client()
        again = one.client(resumption=client.resumption)
        await one.service.place_call()
        assert again.of("calling.call.receive")
        assert not client.of("calling.call.receive")
        client.cut()
        await anyio.sleep(100)
        assert again.authenticated.protocol in one.service.sessions


async def test_a_session_is_not_for_another_project() -> None:
    async with town(projects={"test-project": "test-token", "b": "c"}) as one:
        client = one.client()
        client.cut()
        other = Credentials(project=Secret("b"), token=Secret("c"))
        assert not one.client(resumption=client.resumption, credentials=other).authenticated.restored


async def test_contexts_come_and_go() -> None:
    async with town() as one:
        client = one.client(contexts=())
        assert (await client.done("signalwire.receive", contexts=["a", "b"]))["code"] == "200"
        await one.service.place_call(context="b")
        assert (await client.done("signalwire.unreceive", contexts=["b", "c"]))["code"] == "200"
        assert (await client.done("signalwire.receive", context="d"))["code"] == "200"
        assert next(iter(one.service.sessions.values())).contexts == {"a": None, "d": None}
        assert await client.refused("signalwire.receive") == (400, "contexts is required")
        assert await client.refused("signalwire.unreceive", contexts="b") == (400, "contexts is required")


async def test_a_call_waits_for_who_listens_and_goes_to_who_has_least_to_do() -> None:
    async with town() as one:
        first, second, third = one.client(), one.client(), one.client(contexts=("other",))
        for _ in range(4):
            await one.service.place_call()
        assert [len(client.of("calling.call.receive")) for client in (first, second, third)] == [2, 2, 0]
        calls = []

        async def place() -> None:
            calls.append(await one.service.place_call(context="late"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(place)
            await anyio.sleep(30)
            assert not calls
            await third.done("signalwire.receive", contexts=["late"])
        assert third.of("calling.call.receive", context="late")


async def test_a_jwt_can_be_renewed() -> None:
    async with town() as one:
        client = one.client()
        renewed = await client.done("signalwire.reauthenticate", authentication={"jwt_token": "test-jwt"})
        assert renewed["code"] == "200"
        code, _ = await client.refused("signalwire.reauthenticate", authentication={"jwt_token": "stale"})
        assert code == -32002


async def test_unknown_methods_and_missing_ids_are_json_rpc_errors() -> None:
    async with town() as one:
        client = one.client()
        assert await client.refused("calling.fly") == (METHOD_NOT_FOUND, "there is no method calling.fly")
        assert await client.refused("signalwire.fly", call_id="") == (
            METHOD_NOT_FOUND,
            "there is no method signalwire.fly",
        )
        assert await client.refused("calling.answer", call_id="1") == (INVALID_PARAMS, "node_id is required")
        assert await client.refused("calling.answer", node_id="1") == (INVALID_PARAMS, "call_id is required")


async def test_a_client_told_to_leave_comes_back_to_its_session() -> None:
    async with town() as one:
        client = one.client()
        call, hand = await one.answered(client)
        one.service.ask_to_leave()
        assert client.leaving.restart is False
        call.raise_error("meanwhile")
        assert not client.of("calling.error")
        client.say('{"jsonrpc": "2.0", "id": "x", "method": "calling.end", "params": {}}')  # was on its way
        await client.until(lambda: client.door.lost)
        again = one.client(resumption=client.resumption)
        assert again.authenticated.restored
        assert again.of("calling.error")
        hand.client = again
        await hand.done("hold")


async def test_a_client_told_to_restart_finds_nothing() -> None:
    async with town() as one:
        client = one.client()
        call = await one.service.place_call()
        one.service.ask_to_leave(restart=True)
        assert client.leaving.restart is True
        await client.until(lambda: client.door.lost)
        assert not one.client(resumption=client.resumption).authenticated.restored
        await call.wait_state("ended")
        assert call.end_reason == "abandoned"


async def test_who_has_not_come_in_yet_is_not_told_to_leave() -> None:
    async with town() as one:
        one.service.faults.ignore.add("signalwire.connect")
        client = one.connect()
        one.service.ask_to_leave()
        assert client.texts == []


async def test_sessions_can_be_forgotten() -> None:
    async with town() as one:
        here, away = one.client(), one.client()
        calls = [await one.service.place_call() for _ in range(2)]
        away.cut()
        one.service.forget_sessions()
        assert {call.state for call in calls} == {"created", "ended"}
        mine = next(call for call in calls if call.state == "created")
        await here.on(mine).done("answer")
        assert (await one.service.place_call()).session is mine.session  # it may stay, but not come back
        here.cut()
        await mine.wait_state("ended")
        for client in (here, away):
            assert not one.client(resumption=client.resumption).authenticated.restored


async def test_calls_belong_to_their_session() -> None:
    async with town() as one:
        first = one.client()
        call = await one.service.place_call()
        second = one.client()
        assert await second.on(call).refused("answer") == (404, "call not found")
        assert call.requests == []
        assert first.of("calling.call.receive")


async def test_a_connection_that_never_opened_leaves_nothing() -> None:
    async with town() as one:
        client = Client(one.service)
        client.cut()
        assert client.desk.gone.is_set()
        assert not one.service.desks


async def test_who_waits_for_clients_sees_them_come() -> None:
    async with town() as one:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.service.wait_for_sessions, 2)
            await anyio.sleep(1)
            one.client()
            one.client(credentials=GOOD)
        session = next(iter(one.service.sessions.values()))
        assert repr(session) == f"<Session {session.protocol} here>"
