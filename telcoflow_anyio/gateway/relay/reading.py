"""Members of what came over the wire, read with their type: another type counts as absent."""

from telcoflow_anyio.gateway.relay.answers import Refusal
from telcoflow_proto.jsontext import Json, JsonObject


def text(members: JsonObject, name: str, default: str = "") -> str:
    """Return a text."""
    value = members.get(name)
    return value if isinstance(value, str) else default


def number(members: JsonObject, name: str, default: float) -> float:
    """Return a number; a text that holds one will do, as the service's payment parameters are such."""
    value = members.get(name)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return default
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def flag(members: JsonObject, name: str, *, default: bool) -> bool:
    """Return a truth value; a text that spells one will do."""
    value = members.get(name)
    if isinstance(value, str):
        return value == "true"
    return value if isinstance(value, bool) else default


def inner(members: JsonObject, name: str) -> JsonObject:
    """Return an object."""
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def objects(value: Json) -> list[JsonObject]:
    """Return the objects in an array."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def device_groups(params: JsonObject) -> list[list[JsonObject]]:
    """Return the devices to ring, group by group. Raises Refusal if there are none."""
    given = params.get("devices")
    groups = [objects(group) for group in given] if isinstance(given, list) else []
    if not groups or not all(groups):
        raise Refusal("400", "devices: every group needs a device at least, and there must be a group")
    return groups
