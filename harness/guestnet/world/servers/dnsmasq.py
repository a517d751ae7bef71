"""dnsmasq as an authoritative DNS server: its command line and its log."""

import re
from pathlib import Path
from typing import Final

from guestnet.core.endpoint import show_endpoint
from guestnet.system import dnsmasq
from guestnet.world.described.server import Record, Server

_QUERY: Final = re.compile(r"dnsmasq\[\d+\]: (\d+) (\S+)/(\d+) query\[(\w+)\] (\S+) from ")
_REPLY: Final = re.compile(r"dnsmasq\[\d+\]: (\d+) \S+ \S+ \S+ is (.+)")

_TTL: Final = 60
_NS: Final = 2
"""Type of an NS record (RFC 1035 section 3.2.2)."""


def command(server: Server, folder: Path, fault_address: str) -> list[str]:
    """Serve the records of ``server``; nothing else exists. They go into files in ``folder``.

    The names of its faults are asked for at ``fault_address``.
    """
    hosts, records = folder / "hosts", folder / "records.conf"
    own = [each for each in server.records if not _is_failed(each.name, server)]
    addresses = [f"{each.value} {each.name}\n" for each in own if _is_plain(each)]
    hosts.write_text("".join(addresses))
    # In a file, because on the command line a comma can't be part of a text.
    others = [f"{_option(each)}\n" for each in own if not _is_plain(each)]
    records.write_text("".join(others))
    return dnsmasq.command(
        "--log-queries=extra",
        *(f"--listen-address={address}" for address in server.addresses),
        f"--port={server.port}",
        "--no-resolv",
        "--no-hosts",
        *_elsewhere(server),
        *(f"--server=/{name}/{fault_address}" for name in server.faults),
        f"--local-ttl={_TTL}",
        f"--addn-hosts={hosts}",
        conf_file=str(records),
    )


def _elsewhere(server: Server) -> list[str]:
    """What becomes of names that have no records here. Those that have some have no others."""
    if not server.resolvers:
        return ["--address=/#/"]
    own = dict.fromkeys(record.name.removeprefix("*.") for record in server.records)
    return [
        "--cache-size=0",
        *(f"--local=/{name}/" for name in own),
        *(f"--server={resolver}" for resolver in server.resolvers),
    ]


def _is_plain(record: Record) -> bool:
    return record.type in ("A", "AAAA") and not record.name.startswith("*.")


def _is_failed(name: str, server: Server) -> bool:
    return any(name == failed or name.endswith(f".{failed}") for failed in server.faults)


def _option(record: Record) -> str:
    name, value = record.name, record.value
    match record.type:
        case "A" | "AAAA":
            return f"address=/{name.removeprefix('*.')}/{value}"
        case "CNAME":
            return f"cname={name},{value},{_TTL}"
        case "MX":
            preference, target = value.split()
            return f"mx-host={name},{target},{preference}"
        case "SRV":
            priority, weight, port, target = value.split()
            return f"srv-host={name},{target},{port},{priority},{weight}"
        case "PTR":
            return f"ptr-record={name},{value}"
        case "NS":
            return f"dns-rr={name},{_NS},{_wire(value)}"
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'txt-record={name},"{text}"'


def _wire(name: str) -> str:
    """A domain name in wire format (RFC 1035 section 3.1), in hexadecimal."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (labels + b"\0").hex()


class QueryLog:
    """Reads dnsmasq's log; a query is known as answered by the first line about its answer."""

    _HELD: Final = 1024

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, str]] = {}

    def read(self, line: str) -> tuple[str, str, str] | None:
        """Client, request ("A shop.example") and status, when ``line`` is the first answer to a query."""
        if query := _QUERY.search(line):
            serial, address, port, rdtype, name = query.groups()
            self._open[serial] = (
                show_endpoint(address, port),
                f"{rdtype} {name}",
            )
            if len(self._open) > self._HELD:
                del self._open[next(iter(self._open))]
            return None
        reply = _REPLY.search(line)
        asked = self._open.pop(reply[1], None) if reply else None
        if reply is None or asked is None:
            return None
        return (*asked, _status(reply[2]))


def _status(value: str) -> str:
    if value == "NXDOMAIN":
        return "NXDOMAIN"
    return "NODATA" if value.startswith("NODATA") else "NOERROR"
