"""Values are made by name, are equal by what they hold, and do not change; the exceptions are listed here."""

import importlib
import inspect
import pkgutil

import attrs
import pytest

import telcoflow_proto

_BY_PLACE = {
    "door.FrameDropped": ["error"],
    "fields.Fields": ["kind", "members", "limits"],
    "machine.Row": ["state", "sender", "message", "next_state", "reason"],
    "relay.methods.Param": ["name", "kind", "wire"],
    "relay.methods.Subcommand": ["name", "wire", "params"],
    "transcript.Entry": ["at", "what", "data"],
    "transcript.Transcript": ["entries", "dropped"],
}
_RECORDS = {"client._Held", "relay.client_events.CallRecord", "relay.dialling._Dial", "relay.registry._Running"}


def attrs_classes() -> dict[str, type[attrs.AttrsInstance]]:
    """List every value class of the core under its module's name and its own."""
    found: dict[str, type[attrs.AttrsInstance]] = {}
    for module in pkgutil.walk_packages(telcoflow_proto.__path__, "telcoflow_proto."):
        if module.name != "telcoflow_proto.testing":
            for name, member in vars(importlib.import_module(module.name)).items():
                if inspect.isclass(member) and member.__module__ == module.name and attrs.has(member):
                    found[f"{module.name.removeprefix('telcoflow_proto.')}.{name}"] = member
    return found


CLASSES = attrs_classes()


def test_there_are_values_to_look_at() -> None:
    assert len(CLASSES) > 100
    assert {*_BY_PLACE, *_RECORDS} <= set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_a_value_is_made_by_name(name: str) -> None:
    by_place = [field.name for field in attrs.fields(CLASSES[name]) if field.init and not field.kw_only]
    assert by_place == _BY_PLACE.get(name, [])


@pytest.mark.parametrize("name", CLASSES)
def test_only_records_change_and_are_equal_to_nothing_but_themselves(name: str) -> None:
    one = CLASSES[name]
    assert (one.__eq__ is object.__eq__) is (name in _RECORDS)
    assert ("frozen" in one.__setattr__.__name__) is (name not in _RECORDS)
