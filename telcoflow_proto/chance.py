"""Randomness is handed in: one callable gives bytes, everything else is made from them."""

from collections.abc import Callable
from typing import final

Entropy = Callable[[int], bytes]
"""Returns that many unpredictable bytes (``os.urandom`` in an adapter, a counter in a test)."""

_BLOCK = 1024
_RANDOM_BITS = 0xFFFFFFFF_FFFF_0FFF_3FFF_FFFFFFFFFFFF
_VERSION_4 = 0x00000000_0000_4000_8000_000000000000


@final
class Chance:
    """Draws mask keys, identifiers and jitter from one source; same source, same values.

    Small draws are cut from blocks of 1 KiB, because a call to the source costs as much as masking a frame.
    """

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._block = b""
        self._at = 0

    def draw(self, count: int) -> bytes:
        """Return ``count`` bytes, 64 at most, that nobody was given before."""
        end = self._at + count
        if end > len(self._block):
            self._block = self._entropy(_BLOCK)
            self._at, end = 0, count
        piece = self._block[self._at : end]
        self._at = end
        return piece

    def identifier(self) -> str:
        """Return a new random identifier in the form of a version 4 UUID (RFC 9562)."""
        text = f"{int.from_bytes(self.draw(16)) & _RANDOM_BITS | _VERSION_4:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def fraction(self) -> float:
        """Return a number evenly spread over 0 (included) to 1 (excluded)."""
        return int.from_bytes(self.draw(4)) / 2**32
