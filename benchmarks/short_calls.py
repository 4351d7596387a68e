"""A hundred thousand short calls through one client: nothing may be left of them.

python benchmarks/short_calls.py [COUNT]
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.reliability.short_calls import make_calls


def main(arguments: list[str]) -> int:
    """Make the calls, print what is left; 0 if that is nothing."""
    count = int(arguments[0]) if arguments else 100_000
    begun = time.monotonic()
    left = make_calls(count)
    print(f"{count:,} calls in {time.monotonic() - begun:.0f} s, {left.grown_objects:,} objects more")
    for name, size in left.registries.items():
        print(f"  {name}: {size}")
    clean = not any(left.registries.values()) and left.grown_objects < 100
    print("nothing is left" if clean else "SOMETHING IS LEFT")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
