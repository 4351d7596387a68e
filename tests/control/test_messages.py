"""Messages are values; what is secret in them does not show."""

import attrs
import pytest

from telcoflow_proto.control.messages import CallFlow, Channel, InboundCalls, OpenSession, Response
from tests.control.agents import CALL


def test_a_message_is_equal_to_its_copy_and_cannot_change() -> None:
    request = OpenSession(session_id="s1")
    assert attrs.evolve(request) == request
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.session_id = "s2"  # type: ignore[misc]


def test_the_token_and_the_url_of_a_call_never_show_in_a_repr() -> None:
    secret = attrs.evolve(CALL, token="secret-token", url="wss://media.example/secret-path")
    assert "secret" not in repr(secret)
    assert secret.call_id in repr(secret)


def test_a_call_flow_lets_everything_in_unless_told_otherwise() -> None:
    assert CallFlow() == CallFlow(
        inbound_call=InboundCalls.ALL, outbound_call=True, inbound_message=True, outbound_message=True
    )


@pytest.mark.parametrize("name", [*Channel, *InboundCalls], ids=str)
def test_a_name_of_the_wire_is_a_text(name: str) -> None:
    assert f"{name}" == name.upper()


def test_a_response_has_nothing_but_what_it_was_given() -> None:
    assert attrs.astuple(Response(request_id="r", ok=True)) == ("r", True, None, None, None)
