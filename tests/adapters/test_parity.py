"""Both adapters have the same public names with the same signatures, and the page that says so is fresh."""

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import telcoflow_anyio
import telcoflow_trio

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_parity", ROOT / "tools" / "render_parity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_adapters_do_not_differ(tool: ModuleType) -> None:
    assert tool.differences(tool.sections()) == []


def test_the_page_is_fresh(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--check"]) == 0, capsys.readouterr().out


def test_every_table_has_something_in_it(tool: ModuleType) -> None:
    found = tool.sections()
    assert {"the package", *tool.MODULES[1:], *tool.CLASSES} == set(found)
    assert {"answer", "connect", "send_audio", "record", "from_json"} <= set(found["ActiveCall"][0])
    assert {"dial", "open_session", "adopt", "drain", "run_forever"} <= set(found["TelcoflowClient"][0])
    assert found["ActiveCall"][0]["answer"] == "async (self) -> CommandResult"
    assert found["ActiveCall"][0]["state"] == "property: CallState"


def test_a_difference_is_named(tool: ModuleType) -> None:
    found = {"x": ({"same": "1", "ours": "1", "other": "1"}, {"same": "1", "theirs": "1", "other": "2"})}
    assert tool.differences(found) == [
        "x: other is 1 in telcoflow_anyio, 2 in telcoflow_trio",
        "x: ours is only in telcoflow_anyio",
        "x: theirs is only in telcoflow_trio",
    ]
    page = tool.page(found)
    assert "| `ours` | yes | **no** | `1` |" in page


def test_a_page_that_is_stale_or_an_adapter_that_differs_fails(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "PAGE", tmp_path / "parity.md")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    (tmp_path / "parity.md").write_text("old")
    assert tool.main(["--check"]) == 1
    assert "parity.md is stale" in capsys.readouterr().out
    monkeypatch.setattr(telcoflow_trio.ActiveCall, "answer", lambda self, now: None)
    assert tool.main([]) == 1
    assert "ActiveCall: answer is async (self)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", "events", "exceptions"])
@pytest.mark.parametrize("package", [telcoflow_anyio, telcoflow_trio])
def test_what_is_exported_is_there_and_documented(package: ModuleType, name: str) -> None:
    module: Any = getattr(package, name) if name else package
    assert sorted(set(module.__all__)) == sorted(module.__all__)
    for one in module.__all__:
        thing = getattr(module, one)
        if inspect.isclass(thing) or inspect.ismodule(thing):
            assert thing.__doc__
