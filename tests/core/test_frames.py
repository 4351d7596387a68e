"""WebSocket frame headers and masks (RFC 6455 §5.2, §5.3), against headers built by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telcoflow_proto.frames import frame_head, mask, read_header
from tests.core.support import KEY, header, masked

LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 2**40]


@pytest.mark.parametrize("with_key", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_header_is_the_shortest_there_is(length: int, with_key: bool) -> None:
    head = frame_head(2, length, masked=with_key)
    key = KEY if with_key else None
    whole = head + (KEY if with_key else b"")
    assert whole == header(0x82, length, key=key)
    assert read_header(whole, 0) == (len(whole), length)


@pytest.mark.parametrize("with_key", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_header_that_is_not_whole_yet_wants_more(length: int, with_key: bool) -> None:
    whole = header(0x81, length, key=KEY if with_key else None)
    for cut in range(len(whole)):
        assert read_header(whole[:cut], 0) is None
    assert read_header(b"junk" + whole + b"junk", 4) == (len(whole), length)


@pytest.mark.parametrize("size", [2, 8])
def test_a_header_longer_than_needed_is_read_as_it_stands(size: int) -> None:
    whole = header(0x81, 5, size=size)
    assert read_header(whole, 0) == (2 + size, 5)


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_is_what_the_standard_says_and_undoes_itself(payload: bytes, key: bytes) -> None:
    assert mask(payload, key) == masked(payload, key)
    assert mask(mask(payload, key), key) == payload
