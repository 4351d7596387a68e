"""What is seen of a WebSocket upgrade from outside: the client's request, and a peer's text that is safe to show."""

from collections.abc import Sequence
from typing import final

import attrs

Headers = Sequence[tuple[str, str]]

_PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
_DETAIL_CHARS = 256


@final
@attrs.frozen(kw_only=True)
class UpgradeRequested:
    """A client asks the server for a WebSocket; answer with ``accept()`` or ``reject()``.

    ``target`` is the path with its query as sent, ``headers`` the header lines, names in lower case.
    """

    target: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)  # may hold keys and tokens

    def header(self, name: str) -> str | None:
        """Return the value of a header named in lower case, None if absent, or if it came more than once."""
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else None


def printable(text: str) -> str:
    """Cut peer text for a person to read: printable ASCII, 256 characters, nothing that forges a log line."""
    return "".join(char if char in _PRINTABLE else "?" for char in text[:_DETAIL_CHARS].strip())
