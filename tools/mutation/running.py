"""Runs tests against one mutant at a time, each in a fork of a process that is warm already.

A change inside a function is made in the live functions of a process that has collected every test. Whatever ran
while modules were imported is run again instead: a process that has imported everything but this project imports the
changed module. Both run the tests that reach the changed line, likeliest and fastest first, up to the first failure.
"""

from __future__ import annotations

import functools
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NoReturn

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

_TIMES, _SPARE = 10, 1.0  # CPU seconds a test may take: ten times what it takes, and one more
_MEMORY = 4 << 30
_WALL = 8  # a child is given up after this many times the CPU time it may take, should it sleep

KILLED, SURVIVED, TIMED_OUT, UNCHANGED = "killed", "survived", "timed out", "unchanged"
_ENDS = {0: SURVIVED, 3: UNCHANGED}

Say = Callable[[str], object]


def fork(work: Callable[[Say], None], seconds: float) -> tuple[str, str]:
    """Do the work in a child: how it ended is the verdict, and with it comes what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            work(lambda text: os.write(writing, text.encode()))
        except BaseException as error:  # noqa: BLE001 - whatever a mutant raises has killed it
            os.write(writing, repr(error).encode()[:500])
            os._exit(1)
        os._exit(0)
    os.close(writing)
    said, ended = b"", False
    until = time.monotonic() + seconds
    while not ended and select.select([reading], [], [], max(0.0, until - time.monotonic()))[0]:
        piece = os.read(reading, 4096)
        said, ended = said + piece, not piece
    os.close(reading)
    if not ended:
        os.killpg(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF):
        return TIMED_OUT, ""
    return _ENDS.get(os.waitstatus_to_exitcode(status), KILLED), said.decode(errors="replace")


def patience(tests: Sequence[str], seconds: dict[str, float]) -> float:
    """The wall clock time a child may take."""
    return 30 + _WALL * sum(_TIMES * seconds.get(test, 0) for test in tests)


def judge(items: Sequence[pytest.Item], seconds: dict[str, float], say: Say) -> NoReturn:
    """Run tests up to the first failure and end this process; a test that takes too long ends it too."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        signal.setitimer(signal.ITIMER_PROF, _SPARE + _TIMES * seconds.get(item.nodeid, 0))
        if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
            say(item.nodeid)
            os._exit(1)
    os._exit(0)


def in_place(
    changing: Callable[[str], bool], items: Sequence[pytest.Item], seconds: dict[str, float], source: str, say: Say
) -> NoReturn:
    """Change live functions, given a source, and run tests; needs a process that has collected them."""
    if source and not changing(source):
        os._exit(3)
    judge(items, seconds, say)


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield (inner.co_qualname, inner.co_firstlineno), inner
            yield from _codes(inner)


def live_functions(paths: Iterable[Path]) -> dict[Path, list[FunctionType]]:
    """Every function there is of some modules; to be asked before `gc.freeze`, which hides them."""
    found: dict[str, list[FunctionType]] = {str(path): [] for path in paths}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename in found:
            found[one.__code__.co_filename].append(one)
    return {Path(file): functions for file, functions in found.items()}


def forget_cached(package: str) -> None:
    """Empty the caches of a package's functions: what they hold was made by unchanged code."""
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper) and one.__module__.startswith(package):  # noqa: SLF001 - its type
            one.cache_clear()


def change(functions: Iterable[FunctionType], path: Path, source: str) -> bool:
    """Give functions the code they have in a changed module; whether there was any to change."""
    changed = dict(_codes(compile(source, path, "exec", dont_inherit=True)))
    found = False
    for one in functions:
        code = changed.get((one.__code__.co_qualname, one.__code__.co_firstlineno))
        if code is not None and code != one.__code__ and code.co_freevars == one.__code__.co_freevars:
            one.__code__ = code
            found = True
    return found


class _Changed(importlib.machinery.SourceFileLoader):
    source = ""

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec", dont_inherit=True)


class Importing(importlib.abc.MetaPathFinder):
    """Finds one module in its changed form."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name = name
        self._loader = _Changed(name, str(path))
        self._loader.source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The changed module, given a source, and no other."""
        if fullname != self._name or not self._loader.source:
            return None
        return importlib.util.spec_from_file_location(fullname, self._loader.path, loader=self._loader)


class Collected:
    """A plugin of pytest that hands over what was collected instead of running it."""

    def __init__(self, use: Callable[[dict[str, pytest.Item]], None]) -> None:
        self._use = use

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Let the user of this run the tests."""
        if session.testsfailed:
            raise session.Interrupted("not everything could be collected")
        self._use({item.nodeid: item for item in session.items})
        return True


def with_pytest(where: Sequence[str], plugin: object) -> int:
    """Pytest in this process, for the tests of some files or folders; Hypothesis tries little and shrinks nothing."""
    few = [Phase.explicit, Phase.generate]
    settings.register_profile("mutation", derandomize=True, database=None, deadline=None, max_examples=20, phases=few)
    settings.load_profile("mutation")
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins that a warm process has imported
    return pytest.main([*where, *options], plugins=[plugin])


def afresh(
    finding: Callable[[str], Importing], tests: Sequence[str], seconds: dict[str, float], source: str, say: Say
) -> NoReturn:
    """Import the changed module and run tests; needs a process that has imported nothing of this project."""
    sys.meta_path.insert(0, finding(source))
    signal.setitimer(signal.ITIMER_PROF, 60)
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))

    def run(items: dict[str, pytest.Item]) -> None:
        judge([items[test] for test in tests], seconds, say)  # a test that is gone has noticed the change

    with_pytest(files, Collected(run))
    say("it could not be imported, or its tests not be collected")
    os._exit(1)
