"""The NIC of a netns guest: a TAP device called eth0, by the ioctls of tun(4) and netdevice(7).

Not by netlink: making the guest takes a few milliseconds, importing a netlink library fifty times as many.
"""

import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Final

from guestnet.core.address import Mac
from guestnet.core.errors import EnvironmentMissing
from guestnet.system.offloads import ethtool

NIC: Final = "eth0"
TUN: Final = Path("/dev/net/tun")

# linux/if_tun.h, linux/sockios.h, linux/if.h, linux/ethtool.h
_TUNSETIFF: Final = 0x4004_54CA
_TUNSETOFFLOAD: Final = 0x4004_54D0
_TUNSETVNETHDRSZ: Final = 0x4004_54D8
_TUNSETCARRIER: Final = 0x4004_54E2
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000
_TUN_F_CSUM: Final = 0x01
_TUN_F_TSO4: Final = 0x02
_TUN_F_TSO6: Final = 0x04
_TUN_F_TSO_ECN: Final = 0x08
_VNET_HEADER: Final = 10
"""Octets of guestnet.frames.virtio's header, the shortest that there is."""
_OFFLOADS: Final = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFMTU: Final = 0x8922
_SIOCSIFHWADDR: Final = 0x8924
_ETHTOOL_GLINK: Final = 0xA
_ARPHRD_ETHER: Final = 1
_IFF_UP: Final = 0x1
_IFREQ: Final = 40
"""Octets of a ``struct ifreq``."""


def open_tap(device: Path = TUN, *, offloads: bool = False) -> int:
    """A descriptor of a new TAP device ``eth0``, down, in the calling thread's network namespace.

    It carries whole frames and nothing else. With ``offloads`` each has a virtio net header before it, and
    the kernel leaves checksums and the cutting of TCP segments to who reads (``guestnet.frames.virtio``).
    Raises EnvironmentMissing.
    """
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(device, error) from error
    try:
        flags = _IFF_TAP | _IFF_NO_PI | (_IFF_VNET_HDR if offloads else 0)
        fcntl.ioctl(descriptor, _TUNSETIFF, _request(struct.pack("H", flags)))
        if offloads:
            fcntl.ioctl(descriptor, _TUNSETVNETHDRSZ, struct.pack("i", _VNET_HEADER))
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _OFFLOADS)
    except OSError as error:
        os.close(descriptor)
        raise _unusable(device, error) from error
    return descriptor


def set_carrier(descriptor: int, handle: socket.socket, up: bool) -> None:
    """Plug the cable into the device, or pull it out; ``handle`` is of its namespace. Raises OSError.

    The kernel acts upon a change of the carrier (stops or starts the queue, tells who listens) up to a second
    later: linkwatch looks once a second, and until then a pulled cable still carries frames and one that is
    plugged in again loses the first. Who asks ethtool for the link's state makes it act now
    (net/core/link_watch.c, net/ethtool/ioctl.c).
    """
    fcntl.ioctl(descriptor, _TUNSETCARRIER, struct.pack("i", up))
    ethtool(handle, NIC, _ETHTOOL_GLINK)


def raise_nic(mac: Mac, mtu: int = 1500) -> socket.socket:
    """Give eth0 its address, and let it and the loopback run, in the thread's namespace. Raises OSError.

    Gives a socket of that namespace, for set_carrier. The carrier is on before the interface is up, so the
    queue is there at once and takes the first frame.
    """
    handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        fcntl.ioctl(handle, _SIOCSIFHWADDR, _request(struct.pack("H6s", _ARPHRD_ETHER, mac)))
        fcntl.ioctl(handle, _SIOCSIFMTU, _request(struct.pack("i", mtu)))
        for name in ("lo", NIC):
            (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, _SIOCGIFFLAGS, _request(b"", name)), 16)
            fcntl.ioctl(handle, _SIOCSIFFLAGS, _request(struct.pack("H", flags | _IFF_UP), name))
    except BaseException:
        handle.close()
        raise
    return handle


def _request(value: bytes, name: str = NIC) -> bytes:
    return struct.pack("16s", name.encode()) + value.ljust(_IFREQ - 16, b"\0")


def _unusable(device: Path, error: OSError) -> EnvironmentMissing:
    """What is wrong with the way to TAP devices, and how to mend it."""
    instead = "or use --guest qemu"
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return EnvironmentMissing(
            f"there is no {device}, which netns guests need", remedy=f"sudo modprobe tun, {instead}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return EnvironmentMissing(
            f"this user can't open {device}, which netns guests need",
            remedy=f"sudo chmod 0666 {device} (it gives no rights over this machine's network), {instead}",
        )
    return EnvironmentMissing(
        f"{device} gives no TAP device ({error.strerror})", remedy=f"sudo modprobe tun, {instead}"
    )
