"""What an object of ours still holds: how full every collection is that can be reached from it."""

from collections import deque
from collections.abc import Iterator

_REMEMBERED = "_seen"  # ids of calls that are over, 1,024 at most, to recognise what is delivered twice


def sizes(root: object) -> dict[str, int]:
    """Count what is in the collections of an object of ours and of every object of ours it has for a member."""
    found: dict[str, int] = {}
    met: set[int] = set()
    ahead = [root]
    while ahead:
        owner = ahead.pop()
        if id(owner) in met:
            continue
        met.add(id(owner))
        for name, value in _members(owner):
            if isinstance(value, dict | list | set | deque):
                place = f"{type(owner).__name__}.{name}"
                found[place] = found.get(place, 0) + (0 if name == _REMEMBERED else len(value))
            elif type(value).__module__.startswith("telcoflow_"):
                ahead.append(value)
    return found


def fuller(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Name the collections that hold more than they did."""
    return sorted(place for place, size in after.items() if size > before.get(place, 0))


def _members(owner: object) -> Iterator[tuple[str, object]]:
    if hasattr(owner, "__dict__"):
        yield from vars(owner).items()
    for kind in type(owner).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(owner, name):
                yield name, getattr(owner, name)
