"""Text messages: sent and followed, or received and answered."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import MessageFate
from telcoflow_anyio.relay import Message, MessageStateEvent, RelayClient, RelayError, RelayEvent
from tests.relay_adapters.acts import Later, meanwhile, never, outcome, until
from tests.world.relay import Journal, RelayWorld

TO, FROM = "+15550002", "+15550000"


async def send(client: RelayClient, **more: Any) -> Message:
    return await client.send_message(**{"to_number": TO, "from_number": FROM, "body": "Hello", **more})


async def test_a_message_is_sent_and_followed_to_its_end(world: RelayWorld) -> None:
    heard: list[Any] = []
    completed: list[Any] = []
    async with world.client() as client:
        message = await send(client, tags=["vip"], media=["https://example.com/1.png"], on_completed=completed.append)
        message.on(heard.append)
        assert message.message_id
        assert (message.state, message.is_done, message.result) == ("queued", False, None)
        event = await message.wait(5)
        assert type(event) is MessageStateEvent
        assert event.message_state == "delivered"
        assert (message.state, message.is_done, message.result) == ("delivered", True, event)
        assert completed == [event]
        assert [one.message_state for one in heard][-3:] == ["initiated", "sent", "delivered"]
        assert "delivered" in repr(message)
        assert await message.wait() is event
        assert (message.to_number, message.from_number, message.body, message.direction) == (
            TO,
            FROM,
            "Hello",
            "outbound",
        )
        assert (message.media, message.tags) == (["https://example.com/1.png"], ["vip"])


async def test_what_is_sent_is_what_was_given(world: RelayWorld) -> None:
    async with world.client() as client:
        await send(client)
        await send(client, body=None, media=["https://example.com/1.png"], context="office", region="us", tags=[])
        first, second = world.asked_for("messaging.send")
        assert first == {"context": client.relay_protocol, "to_number": TO, "from_number": FROM, "body": "Hello"}
        assert second == {
            "context": "office",
            "to_number": TO,
            "from_number": FROM,
            "media": ["https://example.com/1.png"],
            "region": "us",
        }


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_both_kinds_of_handlers_are_told(world: RelayWorld, kind: str) -> None:
    told: list[Any] = []

    async def later(event: RelayEvent) -> None:
        await anyio.sleep(0)
        told.append(event)

    handler: Callable[[RelayEvent], Any] = told.append if kind == "sync" else later
    async with world.client() as client:
        message = await send(client, on_completed=handler)
        message.on(handler)
        event = await message.wait(5)
        await anyio.sleep(0.1)
        assert told.count(event) == 2
        assert len(told) >= 4


@pytest.mark.parametrize("state", ["undelivered", "failed"])
async def test_a_message_may_fail_for_a_reason(world: RelayWorld, state: str) -> None:
    world.service.message_fate = lambda params: MessageFate(states=((1.0, state),), reason="no such number")
    async with world.client() as client:
        message = await send(client)
        assert (await message.wait(5)).params["message_state"] == state
        assert (message.state, message.reason) == (state, "no such number")


async def test_states_may_overtake_the_answer(world: RelayWorld) -> None:
    completed: list[Any] = []
    world.service.message_fate = lambda params: MessageFate(states=((0.0, "delivered"),), overtakes=True)
    world.service.faults.delay_of["messaging.send"] = 2
    async with world.client() as client:
        message = await send(client, on_completed=completed.append)
        assert (await message.wait(0.1)).params["message_state"] == "delivered"
        assert completed == [message.result]


async def test_a_wait_that_was_too_short_is_repeated(world: RelayWorld) -> None:
    async with world.client() as client:
        message = await send(client)
        for _ in range(3):
            with pytest.raises(TimeoutError, match="is still"):
                await message.wait(0.1)
        assert (await message.wait(5)).params["message_state"] == "delivered"


async def test_a_message_is_followed_over_a_drop(world: RelayWorld) -> None:
    world.service.message_fate = lambda params: MessageFate(states=((2.0, "sent"), (4.0, "delivered")))
    async with world.client() as client:
        message = await send(client)
        world.refuse()
        await world.lose()
        await anyio.sleep(6)
        world.listen()
        assert (await message.wait(60)).params["message_state"] == "delivered"


async def test_a_message_the_service_refuses_is_raised(world: RelayWorld) -> None:
    async with world.client() as client:
        world.service.faults.refuse["messaging.send"] = ("403", "not your number")
        with pytest.raises(RelayError, match="not your number") as caught:
            await send(client)
        assert caught.value.code == 403


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"body": None}, "body or media"),
        ({"body": ""}, "body or media"),
        ({"to_number": None}, "to_number"),
        ({"to_number": 15550002}, "to_number"),
        ({"from_number": ["+1"]}, "from_number"),
        ({"body": 7}, "body"),
        ({"media": "https://example.com/1.png"}, "media"),
        ({"tags": "vip"}, "tags"),
        ({"region": 7}, "region"),
        ({"context": 7}, "context"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_sent(
    world: RelayWorld, changes: dict[str, Any], named: str
) -> None:
    async with world.client() as client:
        error = await outcome(lambda: send(client, **changes))
        assert isinstance(error, TypeError | ValueError)
        assert named in str(error)
        assert world.asked_for("messaging.send") == []


async def test_a_message_that_comes_in_is_handed_to_the_handler(world: RelayWorld) -> None:
    async with world.client() as client:
        journal = Journal(client)
        message_id = await world.service.receive_message(
            "Hi", from_number=TO, to_number=FROM, media=["https://example.com/1.png"], tags=["vip"]
        )
        await until(lambda: journal.messages)
        message = journal.messages[0]
        assert (message.message_id, message.body, message.direction) == (message_id, "Hi", "inbound")
        assert (message.from_number, message.to_number, message.context) == (TO, FROM, "default")
        assert (message.media, message.tags, message.segments) == (["https://example.com/1.png"], ["vip"], 1)
        assert (message.state, message.is_done) == ("received", False)
        with pytest.raises(RelayError, match="no further state"):
            await message.wait()


async def test_a_handler_may_answer_and_wait(world: RelayWorld) -> None:
    answered: list[Message] = []
    client = world.client()

    @client.on_message
    async def answer(message: Message) -> None:
        reply = await client.send_message(to_number=message.from_number, from_number=message.to_number, body="Yes")
        await reply.wait()
        answered.append(reply)

    async with client:
        for _ in range(3):
            await world.service.receive_message("Hi", from_number=TO, to_number=FROM)
        await until(lambda: len(answered) == 3, within=2)
        assert {reply.state for reply in answered} == {"delivered"}


async def test_when_the_client_is_left_nobody_waits_for_a_message_any_more(world: RelayWorld) -> None:
    world.service.message_fate = never
    async with meanwhile() as group:
        async with world.client() as client:
            message = await send(client)
            waiting = Later(group, message.wait)
            await anyio.sleep(1)
        error = await waiting.done()
        assert isinstance(error, RelayError)
        assert "the client was closed" in str(error)
        assert message.is_done
        assert message.result is None
