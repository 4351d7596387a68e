"""Events are values, and the ways a call can end have names that can be shown."""

import attrs
import pytest

from telcoflow_proto.media.events import AudioArrived, CallEnded, EndReason, PlayoutFinished


def test_an_event_cannot_change() -> None:
    event = AudioArrived(channel=1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.channel = 2  # type: ignore[misc]


def test_equal_events_are_equal() -> None:
    assert PlayoutFinished() == PlayoutFinished()
    assert CallEnded(reason=EndReason.CLOSED) != CallEnded(reason=EndReason.FORCED)


@pytest.mark.parametrize("reason", EndReason)
def test_a_reason_reads_as_words(reason: EndReason) -> None:
    assert str(reason).replace(" ", "").isalpha()
