"""Messages are values."""

from typing import Any

import attrs
import pytest

from telcoflow_proto.media.messages import BufferRequest, CallNotice, Command, CommandResponse
from telcoflow_proto.media.table import CallWord

ALL = [
    Command(command_id="c", command=CallWord.ANSWER, timeout_ms=1),
    CommandResponse(command_id="c", success=True),
    CallNotice(event="e"),
    BufferRequest(requested_bytes=1),
]


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_a_message_is_equal_to_its_copy_and_cannot_change(message: Any) -> None:
    assert attrs.evolve(message) == message
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(message, attrs.fields(type(message))[0].name, "other")


def test_two_notices_do_not_share_their_details() -> None:
    assert CallNotice(event="a").details is not CallNotice(event="a").details
