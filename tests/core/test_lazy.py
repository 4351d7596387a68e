"""What an import brings along, and that every public name is there when it is asked for."""

import importlib
import json
import pickle
import subprocess
import sys
from types import ModuleType

import pytest

PACKAGES = ("telcoflow_proto", "telcoflow_anyio", "telcoflow_trio")


def brought_by(statement: str) -> set[str]:
    """Return the modules there are after one statement in a new interpreter."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(request.param)


def test_every_public_name_is_there(package: ModuleType) -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None


def test_type_checkers_are_shown_the_very_same_names(package: ModuleType) -> None:
    import ast
    from pathlib import Path

    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    shown: dict[str, object] = {}
    for node in next(one for one in tree.body if isinstance(one, ast.If)).body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert node.module is not None
            if node.module == package.__name__:
                shown[alias.name] = importlib.import_module(f"{node.module}.{alias.name}")
            else:
                shown[alias.name] = getattr(importlib.import_module(node.module), alias.name)
    assert shown == {name: getattr(package, name) for name in package.__all__}


def test_dir_lists_the_public_names(package: ModuleType) -> None:
    assert set(package.__all__) <= set(dir(package))


def test_an_unknown_name_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nobody'"):
        package.nobody  # noqa: B018 - looking is the test


@pytest.mark.parametrize("name", PACKAGES)
def test_a_star_brings_them_all(name: str) -> None:
    found: dict[str, object] = {}
    exec(f"from {name} import *", found)  # noqa: S102 - a star is not allowed anywhere else
    assert set(importlib.import_module(name).__all__) <= set(found)


def test_what_is_found_can_be_pickled() -> None:
    import telcoflow_proto

    notice = telcoflow_proto.SessionNotice(session_id="s", activity="NEW_INCOMING_CALL", channel="TELCO")
    assert pickle.loads(pickle.dumps(notice)) == notice  # noqa: S301 - our own bytes
    assert pickle.loads(pickle.dumps(telcoflow_proto.ClientMachine)) is telcoflow_proto.ClientMachine  # noqa: S301


@pytest.mark.parametrize(
    ("statement", "unused"),
    [
        (
            "import telcoflow_proto.relay",
            {"telcoflow_proto.client", "telcoflow_proto.control", "telcoflow_proto.media"},
        ),
        ("from telcoflow_proto import ClientMachine", {"telcoflow_proto.relay", "telcoflow_proto.transcript"}),
        ("from telcoflow_proto import Backoff", {"telcoflow_proto.websocket", "telcoflow_proto.client"}),
        ("import telcoflow_anyio.relay", {"telcoflow_anyio.client", "telcoflow_anyio.gateway", "httpx", "trio"}),
        ("import telcoflow_trio.relay", {"telcoflow_trio.client", "httpx", "anyio", "asyncio"}),
        (
            "from telcoflow_anyio import TelcoflowClient, ActiveCall, events, exceptions",
            {"telcoflow_proto.relay", "telcoflow_anyio.gateway", "telcoflow_proto.testing", "httpx", "trio"},
        ),
        (
            "from telcoflow_trio import TelcoflowClient, ActiveCall, events, exceptions",
            {"telcoflow_proto.relay", "telcoflow_proto.testing", "httpx", "anyio", "asyncio"},
        ),
    ],
)
def test_nobody_pays_for_what_they_do_not_use(statement: str, unused: set[str]) -> None:
    brought = brought_by(statement)
    assert not unused & brought, f"{statement} brings {sorted(unused & brought)}"
