"""Typed fields of a decoded object."""

from collections.abc import Callable

import pytest

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.fields import Fields
from telcoflow_proto.jsontext import Json
from telcoflow_proto.limits import DEFAULT_LIMITS

ABSENT = object()
VALUES: dict[str, object] = {
    "absent": ABSENT,
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "huge": 2**100,
    "float": 1.0,
    "empty": "",
    "text": "abc",
    "digits": "7",
    "'false'": "false",
    "4096": "x" * 4096,
    "4097": "x" * 4097,
    "nul": "a\0b",
    "list": [],
    "object": {"inner": 1},
}
READERS: dict[str, tuple[Callable[[Fields], object], set[str]]] = {
    "text": (lambda fields: fields.text("x"), {"text", "digits", "'false'", "4096"}),
    "optional_text": (
        lambda fields: fields.optional_text("x"),
        {"absent", "null", "empty", "text", "digits", "'false'", "4096"},
    ),
    "integer": (lambda fields: fields.integer("x"), {"zero", "one", "huge"}),
    "optional_integer": (lambda fields: fields.optional_integer("x"), {"absent", "null", "zero", "one", "huge"}),
    "boolean": (lambda fields: fields.boolean("x"), {"true", "false"}),
    "optional_boolean": (
        lambda fields: fields.optional_boolean("x", default=True),
        {"absent", "null", "true", "false"},
    ),
    "anything": (lambda fields: fields.anything("x"), set(VALUES)),
    "inner": (lambda fields: fields.inner("x").members, {"object"}),
}


def made(**members: Json) -> Fields:
    return Fields("call.in", members, DEFAULT_LIMITS)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_takes_its_type_and_nothing_else(reader: str, name: str) -> None:
    read, takes = READERS[reader]
    value = VALUES[name]
    fields = made() if value is ABSENT else made(x=value)  # type: ignore[arg-type]
    if name in takes:
        missing = True if reader == "optional_boolean" else None
        wanted = missing if value is ABSENT or value is None else value
        found = read(fields)
        assert found == wanted
        assert type(found) is type(wanted), "true is not 1"
    else:
        with pytest.raises(RemoteProtocolError, match=r"call\.in: field 'x' must be ") as refusal:
            read(fields)
        assert refusal.value.close_code == 1007


def test_the_default_of_a_boolean_is_the_readers() -> None:
    assert made(x=None).optional_boolean("x", default=False) is False
    assert made().optional_boolean("x", default=True) is True


@pytest.mark.parametrize("read", [read for read, takes in READERS.values() if takes != set(VALUES)])
@pytest.mark.parametrize("value", ["s3cret\0", ["s3cret"], 3.25])
def test_an_error_names_the_field_and_never_the_value(read: Callable[[Fields], object], value: Json) -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        read(made(x=value))
    assert "s3cret" not in repr(refusal.value)
    assert "3.25" not in repr(refusal.value)


def test_an_inner_object_is_read_alike_and_named_by_its_path() -> None:
    inner = made(payload={"id": "7", "more": {}}).inner("payload")
    assert inner.text("id") == "7"
    with pytest.raises(RemoteProtocolError, match=r"call\.in\.payload\.more: field 'id' must be"):
        inner.inner("more").text("id")


def test_extra_fields_are_nobodys_business() -> None:
    assert made(x="1", y=[], z=None).text("x") == "1"
