"""Values drawn from one source of randomness."""

import re

import pytest

from telcoflow_proto.chance import Chance
from tests.core.support import counting


def test_an_identifier_keeps_every_other_bit_of_the_source() -> None:
    assert Chance(counting()).identifier() == "00010203-0405-4607-8809-0a0b0c0d0e0f"


def test_the_same_source_gives_the_same_values() -> None:
    one, other = Chance(counting()), Chance(counting())
    assert [one.draw(4), one.identifier(), one.fraction()] == [other.draw(4), other.identifier(), other.fraction()]


def test_small_draws_are_cut_from_one_block() -> None:
    asked = []

    def entropy(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    chance = Chance(entropy)
    for _ in range(256):
        chance.draw(4)
    assert asked == [1024]
    chance.draw(1)
    assert asked == [1024, 1024]


@pytest.mark.parametrize("size", [1, 4, 7, 16, 64])
def test_nobody_is_given_the_same_bytes_again(size: int) -> None:
    blocks = iter([bytes([1]) * 1024, bytes([2]) * 1024, bytes([3]) * 1024])
    chance = Chance(lambda _: next(blocks))
    drawn = [chance.draw(size) for _ in range(2 * (1024 // size) + 1)]
    assert all(len(piece) == size for piece in drawn)
    assert [drawn.count(bytes([value]) * size) for value in (1, 2, 3)] == [1024 // size, 1024 // size, 1]


@pytest.mark.parametrize("byte", [0x00, 0xFF, 0x5A])
def test_identifiers_have_the_form_of_version_4_uuids(byte: int) -> None:
    text = Chance(lambda count: bytes([byte]) * count).identifier()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text)


@pytest.mark.parametrize(("byte", "low", "high"), [(0x00, 0.0, 0.0), (0x80, 0.5, 0.51), (0xFF, 0.99999, 0.9999999999)])
def test_a_fraction_lies_between_0_included_and_1_excluded(byte: int, low: float, high: float) -> None:
    assert low <= Chance(lambda count: bytes([byte]) * count).fraction() <= high
