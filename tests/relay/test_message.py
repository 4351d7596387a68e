"""Text messages, as their user holds them."""

from typing import Any

import pytest

from telcoflow_proto.exceptions import RelayError
from telcoflow_proto.relay.events import MessageReceiveEvent, MessageStateEvent, RelayEvent
from telcoflow_proto.relay.message import Message
from tests.core.loopless import Task, TimeUp
from tests.relay.office import FakeClient, config


def host() -> FakeClient:
    return FakeClient(config())


def sent(client: FakeClient, on_completed: Any = None) -> Message:
    message = Message(
        message_id="",
        direction="outbound",
        from_number="+15550001",
        to_number="+15550002",
        body="secret text",
        host=client,
        on_completed=on_completed,
    )
    message.accepted("m1")
    return message


def state(name: str, reason: str = "") -> MessageStateEvent:
    return MessageStateEvent(event_type="messaging.state", message_id="m1", message_state=name, reason=reason)


def test_a_message_that_came_in_has_everything_the_event_had() -> None:
    event = MessageReceiveEvent(
        event_type="messaging.receive",
        message_id="m1",
        context="office",
        direction="inbound",
        from_number="+15550001",
        to_number="+15550002",
        body="hello",
        media=["https://example.com/a.png"],
        segments=2,
        message_state="received",
        tags=["x"],
    )
    message = Message.received(event, host())
    assert (message.message_id, message.context, message.direction) == ("m1", "office", "inbound")
    assert (message.from_number, message.to_number, message.body) == ("+15550001", "+15550002", "hello")
    assert (message.media, message.segments, message.tags) == (["https://example.com/a.png"], 2, ["x"])
    assert (message.state, message.reason, message.is_done, message.result) == ("received", "", False, None)
    assert message.media is not event.media, "changing the one does not change the other"


def test_what_the_event_leaves_out_has_a_default() -> None:
    message = Message.received(MessageReceiveEvent(event_type="messaging.receive"), host())
    assert (message.direction, message.state, message.segments) == ("inbound", "received", 0)


def test_it_shows_no_number_and_no_text() -> None:
    client = host()
    message = sent(client)
    assert repr(message) == "<Message m1 outbound queued>"
    assert repr(Message(message_id="", direction="outbound")) == "<Message  outbound unsent>"


def test_a_message_that_came_in_has_nothing_to_wait_for() -> None:
    for message in (
        Message.received(MessageReceiveEvent(event_type="messaging.receive"), host()),
        Message(message_id="m1", direction="outbound"),
    ):
        with pytest.raises(RelayError, match="no further state"):
            Task(message.wait()).outcome()


def test_it_moves_from_state_to_state_and_ends_once() -> None:
    client, completed, told = host(), list[RelayEvent](), list[RelayEvent]()
    message = sent(client, completed.append)
    message.on(told.append)
    assert message.state == "queued"
    task, other = Task(message.wait()), Task(message.wait(5))
    message.told(state("sent"), final_state=False)
    assert (message.state, message.is_done, task.step().done) == ("sent", False, False)
    last = state("failed", "no route")
    message.told(last, final_state=True)
    assert task.outcome() is other.outcome() is message.result is last
    assert (message.state, message.reason, message.is_done) == ("failed", "no route", True)
    assert told == [state("sent"), last]
    assert completed == [last]
    assert client.limits == [None, 5]


def test_an_event_that_says_nothing_changes_nothing() -> None:
    message = sent(host())
    message.told(state("", ""), final_state=False)
    message.told(RelayEvent(event_type="other"), final_state=False)
    assert (message.state, message.reason) == ("queued", "")


def test_without_a_client_nobody_is_told() -> None:
    message = Message(message_id="m1")
    message.told(state("sent"), final_state=True)
    message.abandon("why")
    assert (message.state, message.is_done) == ("", False)


def test_a_wait_that_takes_too_long_changes_nothing() -> None:
    client = host()
    message = sent(client)
    with pytest.raises(TimeoutError, match="message m1 is still queued after 2 s"):
        Task(message.wait(2)).step(TimeUp()).outcome()
    assert client.waiting == 0
    again = Task(message.wait(2))
    message.told(state("delivered"), final_state=True)
    assert again.outcome() == state("delivered")
    assert Task(message.wait(2)).outcome() == state("delivered"), "who comes late gets it at once"


def test_a_message_that_was_given_up_says_so_to_who_waits() -> None:
    message = sent(host())
    early = Task(message.wait())
    message.abandon("the client was closed")
    assert message.is_done
    assert message.result is None
    for task in (early, Task(message.wait())):
        with pytest.raises(RelayError, match="will never be known: the client was closed"):
            task.outcome()


def test_a_message_that_is_done_is_not_given_up() -> None:
    message = sent(host())
    message.told(state("delivered"), final_state=True)
    message.abandon("why")
    assert Task(message.wait()).outcome() == state("delivered")


def test_handlers_may_be_async_and_may_raise() -> None:
    client, told = host(), list[RelayEvent]()
    message = sent(client, lambda _event: 1 / 0)

    async def slowly(event: RelayEvent) -> None:
        told.append(event)

    def broken(event: RelayEvent) -> None:
        raise KeyError(event.event_type)

    message.on(broken)
    message.on(slowly)
    message.told(state("delivered"), final_state=True)
    assert told == [state("delivered")]
    assert [(about, type(error)) for about, error in client.faults] == [
        ("message m1", KeyError),
        ("on_completed of message m1", ZeroDivisionError),
    ]
