"""Devices without offloads: what leaves by them is cut into packets, with all checksums made, and what comes
is not joined."""

import ctypes
import errno
import fcntl
import socket
import struct
from typing import Final

_SIOCETHTOOL: Final = 0x8946
_COMMANDS: Final = (0x17, 0x1F, 0x24, 0x2C)
"""ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO of linux/ethtool.h."""
_IFREQ: Final = struct.Struct("@16sP16x")


def switch_off(device: str) -> None:
    """All of them, of ``device`` in the calling thread's network namespace. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for command in _COMMANDS:
            try:
                ethtool(handle, device, command)
            except OSError as error:
                # What a device has not got is off.
                if error.errno != errno.EOPNOTSUPP:
                    raise


def ethtool(handle: socket.socket, device: str, command: int) -> None:
    """The ``command`` of ethtool with the value 0, for ``device``. Raises OSError."""
    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
    fcntl.ioctl(handle, _SIOCETHTOOL, _IFREQ.pack(device.encode(), ctypes.addressof(value)))
