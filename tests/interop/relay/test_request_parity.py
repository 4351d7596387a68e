"""The same requests, answers and acknowledgements go out, whether the vendor's RELAY client is told or ours.

Byte for byte, ids aside. Every row of the table of methods is compared, with each of its parameters, and what differs
on purpose stands in ``DIFFERENCES`` and nowhere else; ``docs/relay-parity.md`` tells people about it.
"""

import importlib
import json
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
import trio

from telcoflow_proto.backoff import Backoff
from tests.interop.relay.conftest import Certificate
from tests.interop.relay.responder import Responder, Visit
from tests.interop.relay.rows import all_rows
from tests.interop.relay.script import perform, run_and_come_back

ROWS = all_rows()
PAGE = Path(__file__).parents[3] / "docs" / "relay-parity.md"
_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_OURS_ALONE = ("parity.row", "parity.push", "parity.pause")

Frames = list[dict[str, Any]]


# ---------------------------------------------------------------------------------------------- recordings


@attrs.frozen
class Recording:
    """What a client put on the wire, and what its methods came to, by row."""

    visits: list[Visit]
    outcomes: dict[str, list[str]]
    rows: dict[str, list[str]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        rows: dict[str, list[str]] = {}
        row: list[str] = []
        for text in self.visits[0].frames:
            frame = json.loads(text)
            if frame.get("method") == "parity.row":
                row = rows.setdefault(frame["params"]["row"], [])
            elif frame.get("method") not in _OURS_ALONE:
                row.append(text)
        object.__setattr__(self, "rows", {name: without_ids(texts) for name, texts in rows.items()})


def without_ids(texts: list[str]) -> list[str]:
    """Replace each id by a name of its own, so that it still shows where the same one is used again."""
    names: dict[str, str] = {}
    return [_IDS.sub(lambda found: names.setdefault(found[0], f"ID-{len(names) + 1}"), text) for text in texts]


def tls_of(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


@pytest.fixture(scope="session")
def theirs(certificate: Certificate, run_vendor: Callable[..., list[dict[str, Any]]]) -> Recording:
    """The vendor's client, recorded once."""
    with Responder(tls_of(certificate)).running() as service:
        reports = run_vendor(service.host, "parity", tell=ROWS)
    return Recording(service.visits, reports[0]["outcomes"])


@pytest.fixture(scope="session", params=["anyio", "trio"])
def adapter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def ours(adapter: str, certificate: Certificate) -> Recording:
    """Our client, recorded once with each adapter."""
    outcomes: dict[str, list[str]] = {}
    make = importlib.import_module(f"telcoflow_{adapter}.relay").RelayClient

    async def perform_all() -> None:
        async with make("parity", "secret-token", host=service.host, contexts=["default", "sales"]) as client:
            outcomes.update(await perform(client, ROWS))
        async with make(jwt_token="secret-jwt", host=service.host):
            pass

    with pytest.MonkeyPatch.context() as patch, Responder(tls_of(certificate)).running() as service:
        patch.setenv("SIGNALWIRE_RELAY_CA_FILE", certificate.ca)
        anyio.run(perform_all) if adapter == "anyio" else trio.run(perform_all)
    return Recording(service.visits, outcomes)


@pytest.fixture(scope="session")
def coming_back(adapter: str, certificate: Certificate) -> list[Visit]:
    """The connections of our client when it runs, and is sent away."""
    make = importlib.import_module(f"telcoflow_{adapter}.relay").RelayClient
    at_once = Backoff(first=0.01, ceiling=0.02)
    with pytest.MonkeyPatch.context() as patch, Responder(tls_of(certificate)).running() as service:
        patch.setenv("SIGNALWIRE_RELAY_CA_FILE", certificate.ca)
        run_and_come_back(make("leaving", "test-token", host=service.host, contexts=["default"], backoff=at_once))
    return service.visits


# ---------------------------------------------------------------------------------------------- what may differ


@attrs.frozen(kw_only=True)
class Difference:
    """What is meant to differ: in which rows, and how ours is made from theirs.

    ``what`` stands in the page as well. ``raises``: nothing is sent, and our method raises that.
    """

    what: str
    rows: tuple[str, ...]
    turn: Callable[[Frames], Frames] = lambda _theirs: []
    raises: str = ""


def with_params(*path: str) -> Callable[[Frames], Frames]:
    """Write the ``params`` the caller left out."""

    def turn(frames: Frames) -> Frames:
        at = frames[0]["params"]
        for name in path:
            at = at[name]
        at["params"] = {}
        return frames

    return turn


def as_texts(**texts: str) -> Callable[[Frames], Frames]:
    def turn(frames: Frames) -> Frames:
        frames[0]["params"] |= texts
        return frames

    return turn


def without_nulls(frames: Frames) -> Frames:
    params = frames[0]["params"]
    return [{**frames[0], "params": {name: value for name, value in params.items() if value is not None}}]


def with_echo(frames: Frames) -> Frames:
    return [{**frames[0], "result": {"timestamp": 1751234567.25, "payload": "ping"}}]


DIFFERENCES = (
    Difference(
        what="`params` that were left out",
        rows=("detect() as on the page",),
        turn=with_params("detect"),
    ),
    Difference(
        what="`params` that were left out",
        rows=("tap(without params)",),
        turn=with_params("tap"),
    ),
    Difference(
        what="numbers and booleans where the wire wants texts",
        rows=("pay(numbers)",),
        turn=as_texts(timeout="5", security_code="true"),
    ),
    Difference(
        what="numbers and booleans where the wire wants texts",
        rows=("join_conference(beep as a boolean)",),
        turn=as_texts(beep="false"),
    ),
    Difference(
        what="numbers and booleans where the wire wants texts",
        rows=("ai_hold(timeout as a number)",),
        turn=as_texts(timeout="30"),
    ),
    Difference(
        what="a free keyword that is None",
        rows=("play(free keyword None)",),
        turn=without_nulls,
    ),
    Difference(
        what="the answer to a ping",
        rows=("asked signalwire.ping(all)",),
        turn=with_echo,
    ),
    Difference(
        what="members the service insists on",
        rows=(
            "collect(digits empty)",
            "collect(digits without max)",
            "connect(device without type)",
            "detect(without type)",
            "pay(prompt without for)",
            "play(item without params)",
            "refer(without to)",
        ),
        raises="ValueError",
    ),
    Difference(
        what="values of the wrong kind",
        rows=("play(volume as a text)",),
        raises="TypeError",
    ),
    Difference(
        what="a `control_id` that is empty, or in use",
        rows=("play(control_id empty)", "play(control_id again)"),
        raises="ValueError",
    ),
)
BY_ROW = {row: difference for difference in DIFFERENCES for row in difference.rows}


# ---------------------------------------------------------------------------------------------- one connection


@pytest.mark.parametrize("row", [one["row"] for one in ROWS])
def test_both_clients_send_the_same(row: str, theirs: Recording, ours: Recording) -> None:
    difference = BY_ROW.get(row)
    if difference is None:
        assert ours.rows[row] == theirs.rows[row]
        assert ours.outcomes[row] == theirs.outcomes[row]
    else:
        assert ours.rows[row] != theirs.rows[row], "this is no difference any more"
        assert canonical(parsed(ours.rows[row])) == canonical(difference.turn(parsed(theirs.rows[row])))
        assert ours.outcomes[row] == ([f"raised {difference.raises}"] if difference.raises else theirs.outcomes[row])


def parsed(texts: list[str]) -> Frames:
    return [json.loads(text) for text in texts]


def canonical(frames: Frames) -> list[str]:
    """Write frames so that 1, 1.0 and True are three different things, and the order of members is none."""
    return [json.dumps(frame, sort_keys=True) for frame in frames]


def test_rows_are_told_apart_by_their_names() -> None:
    names = [one["row"] for one in ROWS]
    assert len(set(names)) == len(names)
    assert set(BY_ROW) <= set(names)


def test_every_difference_is_told_on_the_page() -> None:
    page = PAGE.read_text()
    assert [one.what for one in DIFFERENCES if f"| {one.what} |" not in page] == []
    assert f"{len(ROWS)} rows" in page


# ---------------------------------------------------------------------------------------------- connections


def test_both_clients_ask_for_the_connection_alike(theirs: Recording, ours: Recording) -> None:
    left_out = {"Sec-WebSocket-Extensions", "User-Agent"}  # docs/relay-parity.md says why
    for mine, others in zip(ours.visits, theirs.visits[:2], strict=True):
        assert mine.path == others.path == "/"
        assert [name for name, _ in mine.headers] == [name for name, _ in others.headers if name not in left_out]


def test_both_clients_introduce_themselves_alike(theirs: Recording, ours: Recording) -> None:
    project, jwt = introductions(ours.visits)
    assert [project, jwt] == introductions(theirs.visits[:2])
    assert project["authentication"] == {"project": "parity", "token": "secret-token"}
    assert project["contexts"] == ["default", "sales"]
    assert jwt["authentication"] == {"jwt_token": "secret-jwt"}
    assert "contexts" not in jwt


def test_both_clients_say_alike_who_they_were(theirs: Recording, coming_back: list[Visit]) -> None:
    first, again, anew = introductions(coming_back)
    assert [first, again, anew] == introductions(theirs.visits[2:])
    assert again == {**first, "protocol": "signalwire_parity", "authorization_state": "opaque"}
    assert anew == first


def introductions(visits: list[Visit]) -> list[dict[str, Any]]:
    """Return the params of each connect, in the order they were sent, the label of the agent left out."""
    connects = [json.loads(visit.frames[0]) for visit in visits]
    assert {connect["method"] for connect in connects} == {"signalwire.connect"}
    assert len({connect["params"].pop("agent") for connect in connects}) == 1
    return [connect["params"] for connect in connects]


def test_both_clients_take_a_farewell_and_come_back_alike(theirs: Recording, coming_back: list[Visit]) -> None:
    """Apart from ours asking, after an outage, whether its calls still exist."""
    for mine, others in zip(coming_back, theirs.visits[2:], strict=True):
        asked = [text for text in mine.frames if "calling.clear_digit_bindings" in text]
        said = [text for text in mine.frames if text not in asked]
        assert without_ids(said[1:]) == without_ids(others.frames[1:])
        assert {json.loads(text)["params"]["realm"] for text in asked} <= {"telcoflow-nobody-uses-this-realm"}
        assert mine.close_code == others.close_code
    assert '{"jsonrpc": "2.0", "id": "farewell", "result": {}}' in coming_back[0].frames


def test_both_clients_leave_with_the_same_close_code(theirs: Recording, ours: Recording) -> None:
    assert [visit.close_code for visit in ours.visits] == [1000, 1000]
    assert [visit.close_code for visit in theirs.visits[:2]] == [1000, 1000]


# ---------------------------------------------------------------------------------------------- the methods there are


def test_the_vendor_has_no_method_and_no_parameter_that_we_lack(
    run_vendor: Callable[..., list[dict[str, Any]]],
) -> None:
    import inspect

    import telcoflow_anyio.relay as mine

    classes = [one for one in run_vendor("nowhere", "surface") if one["event"] == "class"]
    lacking: list[str] = []
    for described in classes:
        made = getattr(mine, described["name"], None)
        if made is None:
            lacking.append(described["name"])
            continue
        for method, params in described["methods"].items():
            taken = {} if not hasattr(made, method) else inspect.signature(getattr(made, method)).parameters
            wanted = [(name, kind) for name, kind in params if taken.get(name) is None or taken[name].kind.name != kind]
            lacking += [f"{described['name']}.{method}({name}) {kind}" for name, kind in wanted]
        lacking += [f"{described['name']}.{name}" for name in described["members"] if not hasattr(made, name)]
    assert lacking == []
    assert len(classes) >= 40
