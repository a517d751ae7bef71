"""Options where DHCP is not simple: overload, long ones, compressed names."""

import pytest

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.wire import dhcp
from guestnet.wire.dhcp import Dhcp, MessageType, Op, Options

MAC = Mac.parse("52:54:00:12:34:56")


def raw(options: bytes, *, sname: bytes = b"", file: bytes = b"") -> bytes:
    head = bytes((1, 1, 6, 0)) + bytes(24) + MAC + bytes(10)
    return head + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + dhcp.MAGIC_COOKIE + options


def test_overloaded_fields_are_read_after_the_options() -> None:
    octets = raw(b"\x34\1\3\x0f\3one\xff", file=b"\x0f\3two\xff", sname=b"\x0f\5three\x0c\1h\xff")
    options = dhcp.parse(octets).options
    assert options.domain_name == "onetwothree"
    assert options.host_name == "h"


def test_without_overload_the_fields_are_themselves() -> None:
    message = dhcp.parse(raw(b"\x35\1\1\xff", file=b"\x0c\1h\xff", sname=b"server"))
    assert (message.file, message.sname) == (b"\x0c\1h\xff", b"server")
    assert message.options.host_name is None


def test_a_long_option_is_split_and_joined() -> None:
    url = "https://portal.example/" + "x" * 600
    message = Dhcp(Op.REPLY, 1, MAC, Options(captive_portal=url))
    octets = dhcp.emit(message)
    assert octets.count(b"\x72\xff") == 2
    assert dhcp.parse(octets) == message


def test_options_that_do_not_fit_go_to_the_other_fields() -> None:
    options = Options(
        message_type=MessageType.ACK,
        host_name="h" * 50,
        domain_name="d" * 60,
        message="m" * 60,
        vendor_class="v" * 50,
    )
    message = Dhcp(Op.REPLY, 1, MAC, options)
    octets = dhcp.emit(message, limit=300)
    assert len(octets) <= 300
    assert dhcp.parse(octets) == message


def test_options_that_fit_nowhere_are_refused() -> None:
    message = Dhcp(Op.REPLY, 1, MAC, Options(other={224: bytes(400)}), file=b"boot", sname=b"server")
    with pytest.raises(ValueError, match="do not fit into 300"):
        dhcp.emit(message, limit=300)


def test_a_message_has_the_length_that_old_clients_want() -> None:
    assert len(dhcp.emit(Dhcp(Op.REPLY, 1, MAC))) == 300


def test_compressed_search_names() -> None:
    value = b"\3eng\5apple\3com\0\x09marketing\xc0\x04"
    octets = raw(bytes((119, len(value))) + value + b"\xff")
    assert dhcp.parse(octets).options.domain_search == ("eng.apple.com", "marketing.apple.com")


@pytest.mark.parametrize(
    "value", [b"\xc0\0", b"\1a\xc0\0\xc0\2", b"\3ab", b"\1a", b"\xc0", b"\x45" + bytes(80)]
)
def test_search_names_that_loop_or_end_early(value: bytes) -> None:
    with pytest.raises(WireError, match=r"dhcp option 119 \(domain_search\)"):
        dhcp.parse(raw(bytes((119, len(value))) + value + b"\xff"))


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (b"\x35\1\x09\xff", "option 53"),
        (b"\x35\2\1\1\xff", "option 53"),
        (b"\x03\3\1\1\1\xff", "option 3"),
        (b"\x33\xff", "option 51 at offset 240: does not fit"),
        (b"\x33\4\0", "option 51 at offset 240: does not fit"),
        (b"\x79\3\x21\1\1\xff", "option 121"),
        (b"\x34\1\4\xff", "option 52"),
    ],
)
def test_an_error_names_the_option(options: bytes, culprit: str) -> None:
    with pytest.raises(WireError, match=culprit):
        dhcp.parse(raw(options))


def test_a_message_without_an_end_option_is_read() -> None:
    assert dhcp.parse(raw(b"\x35\1\1")).type is MessageType.DISCOVER


def test_show() -> None:
    options = Options(message_type=MessageType.ACK, lease_time=3600)
    line = dhcp.show(Dhcp(Op.REPLY, 1, MAC, options, yiaddr=b"\xc0\xa8\x41\3"))
    assert line == "DHCP ACK 52:54:00:12:34:56 xid 0x1 yiaddr 192.168.65.3 lease 3600"
