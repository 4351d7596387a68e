"""What the vendor's RELAY client gets wrong, and ours does not: both play the same scene against the same service.

A scene the vendor has repaired fails here, so that our claims stay true.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from telcoflow_anyio.relay import RelayClient
from telcoflow_proto.backoff import Backoff
from tests.interop.relay.conftest import Certificate
from tests.interop.relay.defects import DEFECTS
from tests.interop.relay.responder import Responder
from tests.interop.relay.test_request_parity import tls_of

FOUND = {
    "wait_again_for_the_end_after_a_time_out": ("raised CancelledError", "nothing"),
    "wait_for_what_runs_when_the_call_ends": ("nothing", "RelayEvent"),
    "tell_a_detect_that_a_play_has_finished": ("done", "running"),
    "wait_for_a_fax_to_be_sent": ("nothing", "FaxEvent"),
    "wait_for_a_payment": ("nothing", "PayEvent"),
    "collect_with_partial_results": ("collected 1", "collected 12"),
    "be_called_back_for_what_starts_on_a_call_that_is_over": ("called 0 times", "called 1 times"),
    "go_on_after_an_event_without_params": ("nothing", "dict"),
    "start_what_is_answered_with_an_empty_object": ("done", "running"),
    "wait_for_a_message_delivered_at_once": ("nothing", "MessageStateEvent"),
    "ask_a_call_for_its_context": ("signalwire_parity", "default"),
    "be_told_of_one_call_twice": ("2 calls", "1 calls"),
    "disconnect_while_a_request_is_pending": ("raised CancelledError", "raised RelayConnectionError"),
    "answer_a_message_from_its_handler": ("nothing", "answered"),
    "make_another_client_after_one_was_turned_away": ("raised RuntimeError", "NoneType"),
    "run_in_a_thread": ("raised RuntimeError", "ran"),
}
"""What came of each scene: with the vendor's client, and with ours."""


@pytest.mark.parametrize("scene", DEFECTS)
def test_the_vendors_client_has_it_and_ours_does_not(
    scene: str,
    certificate: Certificate,
    run_vendor: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGNALWIRE_RELAY_CA_FILE", certificate.ca)
    theirs, ours = FOUND[scene]
    with Responder(tls_of(certificate)).running() as service:
        (found, _done) = run_vendor(service.host, "meet_defects", tell=scene)
    assert found["finding"] == theirs
    with Responder(tls_of(certificate)).running() as service:
        at_once = Backoff(first=0.01, ceiling=0.02)
        assert DEFECTS[scene](partial(RelayClient, token="test-token", host=service.host, backoff=at_once)) == ours
