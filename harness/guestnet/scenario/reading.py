"""What the tools in a guest print, read: pure functions of text."""

import errno
import json
import re
import shlex
from ipaddress import ip_address
from typing import Final

from guestnet.core.errors import DescriptionError, GuestError
from guestnet.scenario.matchers.endpoint import Endpoint
from guestnet.scenario.results import Address, Answer, Autoconfiguration, Dhcpv6Answer, Lease, Ping

_HEADER: Final = re.compile(r"^;; ->>HEADER<<- .*status: (\w+),", re.MULTILINE)
_QUERY_TIME: Final = re.compile(r"^;; Query time: (\d+) (msec|usec)", re.MULTILINE)
_SERVER: Final = re.compile(r"^;; SERVER: ([^#\s]+)#", re.MULTILINE)
_RTT: Final = re.compile(r"(?:icmp_)?seq=\d+ .*time[=<]([\d.]+) ms(?! \(DUP)")
_PINGED: Final = re.compile(r"^PING [^\s(]+ ?\(([^)]+)\)", re.MULTILINE)
_COUNTS: Final = re.compile(r"(\d+) packets transmitted, (\d+)(?: packets)? received")
_PING_ERROR: Final = re.compile(r"^From \S+ (?:icmp_)?seq=\d+ (.+)$", re.MULTILINE)

_NAMESERVER: Final = re.compile(r"^nameserver (\S+)", re.MULTILINE)

UNRESOLVED: Final = "UNRESOLVED"
GAVE_UP: Final = "GAVE_UP"


def answer(name: str, rdtype: str, text: str) -> Answer:
    """From ``dig +noall +comments +answer +stats``."""
    status = _HEADER.search(text)
    if status is None:
        return Answer(name=name, rdtype=rdtype, rcode="", timed_out=True)
    # owner, TTL, class, type, data
    lines = [line.split(None, 4) for line in text.splitlines() if line and not line.startswith(";")]
    records = [(fields[3], fields[4]) for fields in lines if len(fields) == 5]
    aliases = [data.rstrip(".") for kind, data in records if kind == "CNAME"]
    time, server = _QUERY_TIME.search(text), _SERVER.search(text)
    return Answer(
        name=name, rdtype=rdtype, rcode=status[1],
        addresses=[data for kind, data in records if kind in ("A", "AAAA")],
        cname=aliases[-1] if aliases else "",
        records=[f"{kind} {data}" for kind, data in records],
        ttl=int(lines[0][1]) if records else None,
        server=server[1] if server else "",
        seconds=int(time[1]) / (1e6 if time[2] == "usec" else 1e3) if time else 0.0,
    )  # fmt: skip


def ping(host: str, text: str) -> Ping:
    """From iputils' or busybox's ping. Raises GuestError when it says nothing of packets."""
    counts = _COUNTS.search(text)
    if counts is None:
        raise GuestError(f"ping {host} said no counts", remedy=text.strip() or "it said nothing at all")
    address = _PINGED.search(text)
    return Ping(
        host=host, sent=int(counts[1]), received=int(counts[2]),
        rtts=[float(time) / 1e3 for time in _RTT.findall(text)],
        address=address[1] if address else "",
        errors=_PING_ERROR.findall(text),
    )  # fmt: skip


class Told:
    """What sockets.pl told: its lines by their first word, the last of each."""

    def __init__(self, text: str) -> None:
        words = dict(line.partition(" ")[::2] for line in text.splitlines())
        if not words.keys() & {"done", "errno", "gave-up", "unresolved"}:
            raise GuestError("the guest's perl failed", remedy=text.strip() or "it said nothing")
        self.local = _endpoint(words.get("local", ""))
        self.remote = _endpoint(words.get("remote", ""))
        self.seconds = float(words.get("took", 0))
        self.detail = words.get("unresolved", "")
        self.sent = int(words.get("sent", 0))
        self.error = ""
        if "unresolved" in words:
            self.error = UNRESOLVED
        elif "gave-up" in words:
            self.error = GAVE_UP
        elif "errno" in words:
            number = int(words["errno"])
            self.error = errno.errorcode.get(number, f"errno {number}")


def _endpoint(text: str) -> Endpoint | None:
    address, _, port = text.partition(" ")
    return Endpoint(str(ip_address(address)), int(port)) if port and int(port) else None


def lease(text: str) -> Lease:
    """From the file in which the guest's DHCP client keeps its variables, one ``name='value'`` a line."""
    options = _variables(text)
    if "ip" not in options:
        raise GuestError("the guest's lease has no address", remedy=text.strip() or "its file is empty")
    return Lease(
        address=options["ip"], mask=options.get("subnet", ""),
        router=options.get("router", "").partition(" ")[0], dns=options.get("dns", "").split(),
        domain=options.get("domain", ""), server=options.get("serverid", ""),
        mtu=_number(options.get("mtu")), seconds=_number(options.get("lease")), options=options,
    )  # fmt: skip


def dhcpv6_answer(text: str, addresses: list[str]) -> Dhcpv6Answer:
    """From what dhcp6c told its script, one ``name='value'`` a line, and the ``addresses`` that it set."""
    options = _variables(text)
    return Dhcpv6Answer(
        addresses=addresses, dns=options.get("new_domain_name_servers", "").split(),
        domain=options.get("new_domain_name", "").rstrip(". "), options=options,
    )  # fmt: skip


def autoconfiguration(address_text: str, route_text: str, mtu: str, resolv_conf: str) -> Autoconfiguration:
    """From ``ip -json -6 address`` and ``route show default`` of one interface. Raises GuestError."""
    found = [one for interface in json.loads(address_text) for one in interface.get("addr_info", ())]
    wide = [one for one in found if one.get("scope") == "global" and not one.get("tentative")]
    link_local = [one["local"] for one in found if one.get("scope") == "link"]
    routers = [route["gateway"] for route in json.loads(route_text) if "gateway" in route]
    if not wide or not link_local or not routers:
        raise GuestError("the guest has no IPv6", remedy=address_text.strip() + route_text.strip())
    return Autoconfiguration(
        address=wide[0]["local"], prefix=wide[0]["prefixlen"], link_local=link_local[0], router=routers[0],
        mtu=int(mtu), dns=[server for server in _NAMESERVER.findall(resolv_conf) if ":" in server],
    )  # fmt: skip


def _variables(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name] = " ".join(shlex.split(value))
    return found


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def addresses(text: str) -> list[Address]:
    """From ``ip -json address``."""
    return [
        Address(interface=interface["ifname"], address=one["local"], prefix=one["prefixlen"])
        for interface in json.loads(text)
        for one in interface.get("addr_info", ())
        if "local" in one
    ]


def size(value: int | str) -> int:
    """Octets of ``10_000``, ``"10MiB"``, ``"64 KiB"`` or ``"1 GB"``. Raises DescriptionError."""
    if isinstance(value, int):
        if value < 0:
            raise DescriptionError(f"{value} octets can't be", remedy="give 0 or more")
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]i?)?B?", value.strip())
    if match is None:
        raise DescriptionError(f"{value!r} is no size", remedy='write a number of octets or "10MiB"')
    units = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return round(float(match[1]) * units[match[2] or ""])


NTP_REQUEST: Final = bytes([0x23]) + bytes(47)
"""Version 4, mode client, and nothing that would tell about us (RFC 5905 section 7.3)."""
_NTP_EPOCH: Final = 2_208_988_800
"""Seconds between NTP's epoch, 1900, and Unix's."""


def ntp(reply: bytes) -> int | None:
    """The transmit timestamp of an NTP server's reply (RFC 5905 section 7.3), in ns since Unix's epoch."""
    if len(reply) < len(NTP_REQUEST) or reply[0] & 7 != 4:
        return None
    seconds, fraction = int.from_bytes(reply[40:44], "big"), int.from_bytes(reply[44:48], "big")
    return (seconds - _NTP_EPOCH) * 1_000_000_000 + (fraction * 1_000_000_000 >> 32)
