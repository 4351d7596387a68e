"""The core is pure: it knows no clock, no chance, no network, no event loop, and nothing happens at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "telcoflow_proto").rglob("*.py"))
IMPURE = frozenset(
    [
        "asyncio",
        "trio",
        "anyio",
        "sniffio",
        "socket",
        "ssl",
        "time",
        "random",
        "secrets",
        "os",
        "logging",
        "threading",
        "select",
        "selectors",
        "uuid",
        "datetime",
        "subprocess",
        "multiprocessing",
        "concurrent",
        "signal",
        "sched",
        "queue",
        "tempfile",
        "shutil",
        "io",
        "pathlib",
        "http",
        "urllib",
    ]
)
ALLOWED_PACKAGES = frozenset({"attrs", "h11", "wsproto", "telcoflow_proto"})
FOR_TESTS = ROOT / "telcoflow_proto" / "testing.py"
"""Public, but nothing of the core imports it: it alone may need Hypothesis, and what that loads is not ours."""


def imported(source: str) -> Iterator[str]:
    """Yield the top-level name of everything a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            if (node.module, [name.name for name in node.names]) != ("io", ["BytesIO"]):  # memory, not a file
                yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"__import__", "open", "print", "input", "eval", "exec"}, ast.unparse(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_of_the_core_imports_anything_impure(path: Path) -> None:
    names = set(imported(path.read_text()))
    assert not names & IMPURE
    assert names <= ALLOWED_PACKAGES | sys.stdlib_module_names | ({"hypothesis"} if path == FOR_TESTS else set())
    assert "telcoflow_proto.testing" not in path.read_text() or path == FOR_TESTS


@pytest.mark.parametrize(
    "source",
    ["import os", "import os.path", "from time import monotonic", "def f():\n import socket", "import json, random"],
)
def test_the_walk_finds_an_import_wherever_it_hides(source: str) -> None:
    assert set(imported(source)) & IMPURE


def test_the_walk_saw_every_plane() -> None:
    folders = {path.parent.name for path in MODULES}
    assert {"telcoflow_proto", "control", "media", "relay"} <= folders
    assert len(MODULES) >= 60


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )


def test_the_core_imports_where_no_event_loop_library_is_installed() -> None:
    names = [path.relative_to(ROOT).with_suffix("") for path in MODULES if path != FOR_TESTS]
    modules = [".".join(name.parts).removesuffix(".__init__") for name in names]
    done = run(
        "import importlib, sys\n"
        "sys.modules.update(dict.fromkeys(['anyio', 'trio', 'sniffio', 'asyncio']))\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(sorted(name for name in ('anyio', 'trio', 'sniffio', 'asyncio') if sys.modules[name]))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_importing_the_core_loads_no_event_loop() -> None:
    done = run(
        "import telcoflow_proto, telcoflow_proto.relay, sys\n"
        "loops = {'anyio', 'trio', 'asyncio', 'telcoflow_anyio', 'telcoflow_trio'}\n"
        "print(sorted((loops | {'hypothesis'}) & set(sys.modules)))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
