"""What a client is told to do, step by step: the same words for the vendor's RELAY client and for ours.

A step is a row of the parity test. It is pure data, for the vendor's client runs in a process of its own.
"""

from collections.abc import Callable
from typing import Any, TypedDict

import anyio

CALLBACK = "{callback}"
"""Stands for a function, as the value of a keyword."""


CLIENT = "client"


class Step(TypedDict):
    """One row: a method of the client or of a call, and what is then said to what it returned."""

    row: str
    on: str
    method: str
    args: list[Any]
    kwargs: dict[str, Any]
    then: list[tuple[str, list[Any], dict[str, Any]]]


def step(
    row: str,
    on: str,
    method: str,
    *args: Any,
    then: list[tuple[str, list[Any], dict[str, Any]]] | None = None,
    **kwargs: Any,
) -> Step:
    """Write a step. ``on`` is the client, or the id of a call."""
    return Step(row=row, on=on, method=method, args=list(args), kwargs=kwargs, then=then or [])


async def perform(client: Any, steps: list[Step]) -> dict[str, list[str]]:
    """Do the steps one after the other on a connected client; return what the calls of each row came to.

    Between rows the service is told which begins. A call must have been announced before there is a step on it.
    """
    calls: dict[str, Any] = {}
    came = anyio.Event()

    async def take(call: Any) -> None:
        nonlocal came
        calls[call.call_id] = call
        came.set()
        came = anyio.Event()

    client.on_call(take)
    await client.execute("parity.pause", {})  # what the service has pushed was taken when this is answered
    outcomes: dict[str, list[str]] = {}
    for one in steps:
        await client.execute("parity.row", {"row": one["row"]})
        while one["on"] not in {CLIENT, *calls}:
            await came.wait()
        outcomes[one["row"]] = await _do(calls.get(one["on"], client), one)
        await client.execute("parity.pause", {})
    await client.execute("parity.row", {"row": "the end"})
    return outcomes


def run_and_come_back(client: Any) -> None:
    """Run; be sent away, come back, be sent away for good, come back as somebody new, and leave.

    Every connection brings a call: that is when the next thing happens.
    """

    async def act(call: Any) -> None:
        if call.call_id == "call-1":
            await client.execute("parity.leave", {"restart": False})
        elif call.call_id == "call-2":
            await client.execute("parity.leave", {"restart": True})
        else:
            await client.disconnect()

    client.on_call(act)
    client.run()


async def _do(target: Any, one: Step) -> list[str]:
    outcomes: list[str] = []
    try:
        returned = await getattr(target, one["method"])(*one["args"], **_filled(one["kwargs"]))
        outcomes.append(type(returned).__name__)
        for method, args, kwargs in one["then"]:
            outcomes.append(type(await getattr(returned, method)(*args, **kwargs)).__name__)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to know
        outcomes.append(f"raised {type(error).__name__}")
    return outcomes


def _filled(kwargs: dict[str, Any]) -> dict[str, Any]:
    callback: Callable[[Any], None] = lambda _event: None  # noqa: E731 - it is a value here
    return {name: callback if value == CALLBACK else value for name, value in kwargs.items()}
