"""Devices without a link layer, as WireGuard's and TUN's: their packets get an ethernet header made up here.

The engine, its filters and the capture know ethernet alone. So such a packet is read as if a frame had
carried it from one fixed address to another, and the header is taken off again where it is sent. All that
passes such a device is IP, so a packet's first octet tells the ethertype.
"""

import fcntl
import socket
import struct
from typing import Final

LENGTH: Final = 14
NEAR: Final = bytes.fromhex("020000020001")
"""Who sends what leaves the device at the laptop's end of a link, or at the first one."""
FAR: Final = bytes.fromhex("020000020002")
AWAY: Final = FAR + NEAR
"""The two addresses of what leaves the near end."""
BACK: Final = NEAR + FAR

_ETHERTYPES: Final = {4: b"\x08\x00", 6: b"\x86\xdd"}
_NONE: Final = b"\xff\xff"
"""The ethertype that stands for none (reserved, RFC 1701)."""
WITH_ETHERNET: Final = frozenset({1, 772})
"""Kinds of hardware (ARPHRD_ETHER, ARPHRD_LOOPBACK of linux/if_arp.h) with an ethernet header."""
_SIOCGIFHWADDR: Final = 0x8927


def is_bare(device: str) -> bool:
    """Whether ``device``, in the calling thread's network namespace, has no link layer. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        answer = fcntl.ioctl(handle, _SIOCGIFHWADDR, struct.pack("16s24x", device.encode()))
    (hardware,) = struct.unpack_from("=H", answer, 16)
    return hardware not in WITH_ETHERNET


def header(addresses: bytes, first: int) -> bytes:
    """The header between ``addresses`` for a packet whose first octet is ``first``."""
    return addresses + _ETHERTYPES.get(first >> 4, _NONE)
