"""A DHCP client that only looks: ``python -P -m guestnet.world.portal.probe INTERFACE SECONDS``.

Sends DHCPDISCOVER and prints what the first offer says as JSON: the address, and options by number. It takes
nothing: the server forgets its offer. Written with scapy, so that what an access point's server says is not
read by code of the same hand as ours.
"""

import json
import socket
import sys
import time

from scapy.layers.dhcp import BOOTP, DHCP

_CLIENT = 68
_SERVER = 67
_ROUTER, _RESOLVERS, _CAPTIVE_PORTAL = 3, 6, 114
_BROADCAST = 0x8000
_TRANSACTION = 0x6775_6573


def _discover(mac: bytes) -> bytes:
    wanted = bytes([1, _ROUTER, _RESOLVERS, _CAPTIVE_PORTAL])
    message = BOOTP(op=1, htype=1, hlen=6, xid=_TRANSACTION, flags=_BROADCAST, chaddr=mac + bytes(10))
    options = [("message-type", "discover"), ("param_req_list", list(wanted)), "end"]
    return bytes(message / DHCP(options=options))


def _read(packet: bytes) -> dict[str, object] | None:
    """What an offer to us says; None of any other packet."""
    message = BOOTP(packet)
    if message.xid != _TRANSACTION or DHCP not in message:
        return None
    options = {}
    for option in message[DHCP].options:
        if isinstance(option, tuple):
            name, *values = option
            options[str(name)] = [each.decode() if isinstance(each, bytes) else str(each) for each in values]
    return {"address": message.yiaddr, "options": options}


def _main(interface: str, seconds: float) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.bind(("", _CLIENT))
        with open(f"/sys/class/net/{interface}/address", encoding="ascii") as address:  # noqa: PTH123
            mac = bytes.fromhex(address.read().strip().replace(":", ""))
        sock.sendto(_discover(mac), ("255.255.255.255", _SERVER))
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                offer = _read(sock.recv(2048))
            except TimeoutError:
                break
            if offer is not None:
                print(json.dumps(offer))  # noqa: T201
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], float(sys.argv[2])))
