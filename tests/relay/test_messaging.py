"""Text messages that were sent, until nothing more will be told of them."""

import pytest

from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import Limits
from telcoflow_proto.relay.client_events import MessageTold
from telcoflow_proto.relay.messaging import FINAL_STATES, SentMessages


def room(**limits: int) -> SentMessages:
    return SentMessages(limits=Limits(**limits))


def moved(state: Json) -> JsonObject:
    return {"event_type": "messaging.state", "params": {"message_state": state}}


def test_a_message_is_followed_until_its_final_state() -> None:
    messages = room()
    assert messages.follow("m") == []
    for state in ("queued", "initiated", "sent"):
        assert messages.state("m", moved(state)) == [MessageTold(message_id="m", payload=moved(state), final=False)]
    assert messages.state("m", moved("delivered"))[0].final
    assert messages.state("m", moved("delivered")) == []


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_there_are_three_final_states(state: str) -> None:
    messages = room()
    messages.follow("m")
    assert messages.state("m", moved(state))[0].final


@pytest.mark.parametrize("state", ["sent", "", None, 1, [], ["delivered"], {"delivered": 1}])
def test_everything_else_is_not_final(state: Json) -> None:
    messages = room()
    messages.follow("m")
    assert not messages.state("m", moved(state))[0].final
    assert not messages.state("m", {"params": state})[0].final


def test_states_that_came_before_the_answer_are_told_behind_it() -> None:
    messages = room()
    for state in ("sent", "delivered", "delivered"):
        assert messages.state("m", moved(state)) == []
    assert [one.final for one in messages.follow("m")] == [False, True]
    assert messages.follow("other") == []


def test_of_messages_nobody_sent_only_so_many_states_are_kept() -> None:
    messages = room(early_states=3)
    for message_id in ("a", "a", "b", "c"):
        messages.state(message_id, moved("sent"))
    assert messages.unrouted == 2, "all of the oldest"
    assert messages.follow("a") == []
    assert len(messages.follow("b")) == len(messages.follow("c")) == 1


def test_only_so_many_are_followed() -> None:
    messages = room(tracked_messages=2)
    for message_id in ("a", "b", "c"):
        messages.follow(message_id)
    assert messages.state("a", moved("delivered")) == []
    assert len(messages.state("b", moved("delivered"))) == 1
