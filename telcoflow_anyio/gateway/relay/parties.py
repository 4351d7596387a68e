"""The people on the RELAY network: what somebody who calls, or is called, is going to do."""

from typing import final

import attrs


@attrs.frozen(kw_only=True)
class RelayParty:
    """What somebody does once the call is answered. Seconds are of network time, counted from then."""

    number: str = "+15550001"
    presses: tuple[tuple[float, str], ...] = ()
    """Keys they press, each with when: ``((2.0, "12#"),)``."""
    says: tuple[tuple[float, str], ...] = ()
    """What they say, each with when."""
    hangs_up_after: float | None = None
    """When they hang up; None: never by themselves."""
    machine: bool = False
    """It is an answering machine: it can be told from a person, and beeps."""
    fax_pages: int | None = None
    """It is a fax machine that takes or sends that many pages; None: it is none."""
    payment: str | None = None
    """How a payment ends, whatever they press: ``success``, ``payment-connector-error``, ... None: by their keys."""


@final
@attrs.frozen(kw_only=True)
class RelayCaller(RelayParty):
    """Who calls ``to``. ``hangs_up_after`` counts from when the call is placed."""

    to: str = "+15550000"


@final
@attrs.frozen(kw_only=True)
class RelayCallee(RelayParty):
    """Who is called.

    They pick up after ``answers_after`` seconds of ringing (None: never), unless they are ``busy``, or decline
    after that time if ``declines``.
    """

    answers_after: float | None = 1.0
    busy: bool = False
    declines: bool = False


@final
@attrs.frozen(kw_only=True)
class MessageFate:
    """What becomes of a text message: its states, each with when, in seconds of network time after it was sent.

    ``reason`` goes with the states ``undelivered`` and ``failed``. With ``overtakes`` the first state is told
    before the answer that names the message.
    """

    states: tuple[tuple[float, str], ...] = ((0.0, "queued"), (0.1, "initiated"), (0.2, "sent"), (0.5, "delivered"))
    reason: str = ""
    overtakes: bool = False


def speech_seconds(said: str) -> float:
    """Return how long it takes to say something, in seconds: two and a half words each, and never less than 0.4."""
    return max(0.4, len(said.split()) / 2.5)
