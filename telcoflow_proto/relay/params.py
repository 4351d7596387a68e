"""Params of a request: built from what a caller gave, or checked when they came over the wire.

Both read the table of methods and know no method by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.relay.methods import Kind, Method, Param, Subcommand


def build_params(method: Method | Subcommand, given: Mapping[str, object], further: Mapping[str, object]) -> JsonObject:
    """Put what the caller gave where the wire wants it; None and what was not given are left out.

    ``further`` are free keywords: they come last, at the top level, and win over named ones.
    Raises TypeError or ValueError that names the method, the parameter and what it must be.
    """
    params: JsonObject = {}
    for param in method.params:
        value = given.get(param.name)
        if value is None and param.required:
            raise ValueError(f"{method.name}(): {param.name} is missing; it must be {param.kind.value}")
        sent = param.absent if value is None else value
        if sent is not None:
            _put(params, param.wire, _checked(method.name, param, sent))
    for name, value in further.items():
        if value is not None:
            params[name] = copy_json(f"{method.name}(): {name}", value)
    return params


def find_faults(method: Method | Subcommand, params: JsonObject) -> list[str]:
    """Say what is wrong with params that came over the wire, the way the service's schema does; [] if nothing."""
    return [fault for param in method.params if (fault := _fault(param, params))]


def _fault(param: Param, params: JsonObject) -> str:
    parent, value = param.wire.rpartition(".")[0], _get(params, param.wire)
    if parent and not isinstance(_get(params, parent), dict):
        return f"{parent} must be {Kind.OBJECT.value}"
    if value is None:
        return f"{param.wire} is required" if param.required else ""
    if not _FITS[param.kind](value):
        return f"{param.wire} must be {param.kind.value}"
    missing = _missing(param, value)
    return f"{param.wire}: {missing} is required" if missing else ""


def _checked(method: str, param: Param, value: object) -> Json:
    where = f"{method}(): {param.name}"
    json = copy_json(where, value)
    if param.kind is Kind.SCALAR and isinstance(json, bool | int | float):
        return str(json).lower() if isinstance(json, bool) else str(json)
    if not _FITS[param.kind](json):
        raise TypeError(f"{where} must be {param.kind.value}, got {type(value).__name__}")
    if "params" in param.needs and isinstance(json, dict) and "params" not in json:
        json = {**json, "params": {}}  # the page leaves an empty one out, the service's schema asks for it
    missing = _missing(param, json)
    if missing:
        raise ValueError(f"{where} lacks {missing!r}")
    return json


def _missing(param: Param, value: Json) -> str:
    """Return the first member that is needed and not there, or an empty text."""
    if not param.needs:
        return ""
    return next((need for one in _objects(param, value) for need in param.needs if _lacks(one, need)), "")


def _objects(param: Param, value: Json) -> list[Json]:
    """List what has to have the needed members."""
    if not isinstance(value, list):
        return [value]
    if param.kind is not Kind.GROUPS:
        return value
    return [one for group in value if isinstance(group, list) for one in group]


def _lacks(value: Json, need: str) -> bool:
    """Say whether a needed member is not there; one of an inner object is not needed where that is not there."""
    parent, _, name = need.rpartition(".")
    owner = _get(value, parent) if parent else value
    if parent and owner is None:
        return False
    return not isinstance(owner, dict) or owner.get(name) is None


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_FITS: dict[Kind, Callable[[Json], bool]] = {
    Kind.TEXT: lambda value: isinstance(value, str),
    Kind.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    Kind.NUMBER: _is_number,
    Kind.BOOLEAN: lambda value: isinstance(value, bool),
    Kind.OBJECT: lambda value: isinstance(value, dict),
    Kind.ARRAY: lambda value: isinstance(value, list),
    Kind.GROUPS: lambda value: isinstance(value, list) and all(isinstance(group, list) for group in value),
    Kind.SCALAR: lambda value: isinstance(value, str),
    Kind.ANYTHING: lambda _value: True,
    Kind.TEXT_OR_OBJECT: lambda value: isinstance(value, str | dict),
}


def copy_json(where: str, value: object) -> Json:
    """Copy a value of the caller's, so that what is sent later is what was given now.

    Raises TypeError for what JSON cannot hold, ValueError for NaN, infinity and what is nested too deep.
    """
    return _copy(where, value, _DEEPEST)


# Written once: ``A | B`` in isinstance() would be a new object for every value.
_PLAIN = (str, int)
_OBJECTS = (dict, Mapping)
_NESTED = (dict, list, Mapping, Sequence)  # the commonest first: the abstract ones are slow to answer
_RAW: tuple[type, ...] = (bytes, bytearray, memoryview)  # sequences of numbers, for Python
_DEEPEST = 60  # a frame may be nested 64 deep, and what is copied stands at most three deep in it


def _copy(where: str, value: object, deeper: int) -> Json:
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, float):
        if value - value != 0:
            raise ValueError(f"{where} holds {value}, which JSON cannot say")
        return value
    if isinstance(value, _RAW) or not isinstance(value, _NESTED):
        raise TypeError(f"{where} holds a {type(value).__name__}, which JSON cannot say")
    if deeper == 0:
        raise ValueError(f"{where} is nested deeper than {_DEEPEST}, or holds itself")
    if isinstance(value, _OBJECTS):
        copy: JsonObject = {}
        for key, one in cast("Mapping[object, object]", value).items():  # whatever a caller put in, looked at below
            if not isinstance(key, str):
                raise TypeError(f"{where} has a key that is not a text: {type(key).__name__}")
            copy[key] = _copy(where, one, deeper - 1)
        return copy
    return [_copy(where, one, deeper - 1) for one in cast("Sequence[object]", value)]


def _put(params: JsonObject, path: str, value: Json) -> None:
    *parents, last = path.split(".")
    at = params
    for name in parents:
        inner: JsonObject = {}
        at[name] = inner
        at = inner
    at[last] = value


def _get(value: Json, path: str) -> Json:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
