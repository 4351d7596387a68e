"""The whole corpus of the fuzzer, through every oracle of its target; a crash that was found stays in it."""

from pathlib import Path

import pytest

from fuzz.seeds import CORPUS, seeds
from fuzz.targets import TARGETS

FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.parent.name in TARGETS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_breaks(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_seeds_and_every_folder_a_target() -> None:
    assert set(TARGETS) == {path.parent.name for path in FILES} == {path.name for path in CORPUS.iterdir()}


def test_the_seeds_are_what_the_core_says_today() -> None:
    stale = [
        f"{target}/seed-{name}"
        for target, name, data in seeds()
        if (CORPUS / target / f"seed-{name}").read_bytes() != data
    ]
    assert stale == [], "run: python -m fuzz seeds"
