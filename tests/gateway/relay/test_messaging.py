"""Text messages, and what becomes of them."""

from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import MessageFate
from tests.gateway.relay.client import town

MESSAGE: dict[str, Any] = {"context": "default", "to_number": "+1", "from_number": "+2", "body": "hello"}


async def test_a_message_is_delivered_step_by_step() -> None:
    async with town() as one:
        client = one.client()
        result = await client.done("messaging.send", **MESSAGE, tags=["a"])
        assert result == {"code": "200", "message": "Message accepted", "message_id": result["message_id"]}
        told = await client.told("messaging.state", message_state="delivered")
        assert told == {
            "message_id": result["message_id"],
            "context": "default",
            "direction": "outbound",
            "from_number": "+2",
            "to_number": "+1",
            "body": "hello",
            "media": [],
            "segments": 1,
            "tags": ["a"],
            "message_state": "delivered",
        }
        assert client.order[1:] == ["=messaging.send"] + [
            f"messaging.state:{state}" for state in ("queued", "initiated", "sent", "delivered")
        ]


async def test_a_message_may_fail() -> None:
    async with town() as one:
        client = one.client()
        states = ((0.0, "queued"), (5.0, "undelivered"))
        one.service.message_fate = lambda message: MessageFate(
            states=states, reason=f"no route to {message['to_number']}"
        )
        await client.done("messaging.send", **MESSAGE)
        told = await client.told("messaging.state", message_state="undelivered")
        assert told["reason"] == "no route to +1"
        assert "reason" not in client.of("messaging.state", message_state="queued")[0].params


@pytest.mark.parametrize("states", [((0.0, "queued"), (0.0, "delivered")), ()])
async def test_the_first_state_may_overtake_the_answer(states: Any) -> None:
    async with town() as one:
        client = one.client()
        one.service.message_fate = lambda _message: MessageFate(states=states, overtakes=True)
        await client.done("messaging.send", **{**MESSAGE, "body": "", "media": ["https://example.com/a.png"]})
        await anyio.sleep(1)
        told = [f"messaging.state:{state}" for _, state in states]
        assert client.order[1:] == [*told[:1], "=messaging.send", *told[1:]]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"context": None}, "context is required"),
        ({"to_number": None}, "to_number is required"),
        ({"from_number": None}, "from_number is required"),
        ({"body": None}, "body or media is required"),
        ({"body": "", "media": []}, "body or media is required"),
        ({"media": "a"}, "media must be an array (list)"),
    ],
)
async def test_a_message_that_makes_no_sense_is_refused(change: dict[str, Any], why: str) -> None:
    async with town() as one:
        client = one.client()
        params = {name: value for name, value in {**MESSAGE, **change}.items() if value is not None}
        assert await client.refused("messaging.send", **params) == (400, why)
        assert not client.of("messaging.state")


async def test_a_message_comes_in() -> None:
    async with town() as one:
        client = one.client(contexts=("sales",))
        body = "x" * 161
        message_id = await one.service.receive_message(
            body, from_number="+3", to_number="+4", context="sales", media=["https://example.com/a.png"], tags=["b"]
        )
        told = await client.told("messaging.receive")
        assert told == {
            "message_id": message_id,
            "context": "sales",
            "direction": "inbound",
            "from_number": "+3",
            "to_number": "+4",
            "body": body,
            "media": ["https://example.com/a.png"],
            "segments": 2,
            "tags": ["b"],
            "message_state": "received",
        }
