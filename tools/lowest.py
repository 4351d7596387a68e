"""Print a constraints file with the lowest version of everything the packages need, as pyproject.toml has it.

python tools/lowest.py > constraints.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FLOOR = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?>=(?P<version>[0-9.]+)")


def constraints(project: dict[str, object]) -> list[str]:
    """Return one ``name==version`` for each floor of the dependencies and extras, sorted."""
    needed = project["dependencies"]
    extras = project["optional-dependencies"]
    if not isinstance(needed, list) or not isinstance(extras, dict):
        raise TypeError("pyproject.toml does not list dependencies and extras")
    wanted = [*needed, *(one for extra in extras.values() for one in extra)]
    floors = (_FLOOR.match(one) for one in wanted if not one.startswith("telcoflow-proto["))
    return sorted({f"{floor['name']}=={floor['version']}" for floor in floors if floor is not None})


def main() -> int:
    """Print them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    sys.stdout.write("\n".join(constraints(tomllib.loads(text)["project"])) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
