"""The quick sums are the plain one."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.wire import checksum

octets = (
    st.binary(max_size=5000)
    | st.integers(0, 9000).map(bytes)
    | st.integers(0, 9000).map(lambda n: b"\xff" * n)
)


def test_the_example_of_rfc_1071() -> None:
    assert checksum.plain_sum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2


@given(octets)
def test_every_sum_is_the_plain_one(data: bytes) -> None:
    expected = checksum.plain_sum(data)
    assert checksum.integer_sum(data) == expected
    assert checksum.numpy_sum(data) == expected
    assert checksum.numpy_sum(memoryview(bytes(3) + data)[3:]) == expected
    assert checksum.ones_sum(data) == expected


@given(octets)
def test_a_checksum_makes_data_valid(data: bytes) -> None:
    check = checksum.internet(bytes(2) + data)
    assert checksum.is_valid(check.to_bytes(2, "big") + data)
    assert not checksum.is_valid((check ^ 0x0100).to_bytes(2, "big") + data)


@given(st.binary(min_size=20, max_size=20), st.integers(0, 8), st.binary(min_size=4, max_size=4))
def test_a_field_is_replaced_without_the_rest(data: bytes, word: int, new: bytes) -> None:
    at = word * 2
    changed = data[:at] + new + data[at + 4 :]
    old_check = checksum.internet(bytes(2) + data)
    new_check = checksum.replace(old_check, data[at : at + 4], new)
    # Zero and all ones are the same number; only one of them is written (RFC 1624 3).
    assert new_check % 0xFFFF == checksum.internet(bytes(2) + changed) % 0xFFFF


@pytest.mark.parametrize("size", [4, 16])
def test_the_pseudo_header(size: int) -> None:
    source, destination = bytes(range(size)), bytes(range(size, 2 * size))
    tail = struct.pack("!HH", 6, 1234) if size == 4 else struct.pack("!LL", 1234, 6)
    assert checksum.pseudo_sum(source, destination, 6, 1234) == checksum.plain_sum(
        source + destination + tail
    )
