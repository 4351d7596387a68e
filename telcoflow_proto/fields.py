"""Reading typed fields out of a decoded object. ``bool`` is not an int, and "false" is not False."""

from typing import final

import attrs

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.limits import Limits


@final
@attrs.frozen
class Fields:
    """The members of one object of one kind of message, with typed access.

    Every reader raises RemoteProtocolError naming the message and the field, never the value.
    """

    kind: str
    members: JsonObject
    limits: Limits

    def text(self, name: str) -> str:
        """A text that must be there and may not be empty: an identifier, a type, a URL."""
        value = self.optional_text(name)
        if not value:
            raise self._bad(name, "a text that is not empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text, or None where it is null or absent."""
        value = self.members.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > self.limits.text_chars or "\0" in value:
            raise self._bad(name, f"a text of at most {self.limits.text_chars} characters, or null")
        return value

    def integer(self, name: str) -> int:
        """An int that must be there. Ranges are the caller's rule."""
        value = self.members.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._bad(name, "an integer")
        return value

    def optional_integer(self, name: str) -> int | None:
        """An int, or None where it is null or absent."""
        return None if self.members.get(name) is None else self.integer(name)

    def boolean(self, name: str) -> bool:
        """A true or false that must be there."""
        value = self.members.get(name)
        if not isinstance(value, bool):
            raise self._bad(name, "true or false")
        return value

    def optional_boolean(self, name: str, default: bool) -> bool:  # noqa: FBT001 - a value, not a switch
        """A true or false, or ``default`` where it is null or absent."""
        return default if self.members.get(name) is None else self.boolean(name)

    def anything(self, name: str) -> Json:
        """Whatever is there, or None: content we pass on without looking into it."""
        return self.members.get(name)

    def inner(self, name: str) -> "Fields":
        """The fields of a nested object that must be there."""
        value = self.members.get(name)
        if not isinstance(value, dict):
            raise self._bad(name, "an object")
        return Fields(f"{self.kind}.{name}", value, self.limits)

    def _bad(self, name: str, wanted: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{self.kind}: field {name!r} must be {wanted}", close_code=1007)
