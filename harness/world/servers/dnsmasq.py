"""dnsmasq as an authoritative DNS server: its command line and its log."""

import re
import shutil
from pathlib import Path
from typing import Final

from harness.core.errors import EnvironmentMissing
from harness.world.model import Record, Server

STARTED: Final = re.compile(r"dnsmasq\[\d+\]: started, ")
_QUERY: Final = re.compile(r"dnsmasq\[\d+\]: (\d+) (\S+)/(\d+) query\[(\w+)\] (\S+) from ")
_REPLY: Final = re.compile(r"dnsmasq\[\d+\]: (\d+) \S+ \S+ \S+ is (.+)")

# A plain user has no /sbin in the path in Debian, and there it is.
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_TTL: Final = 60


def find_dnsmasq() -> str:
    """Path of the program. Raises EnvironmentMissing."""
    found = shutil.which("dnsmasq") or shutil.which("dnsmasq", path=_PATH)
    if found is None:
        raise EnvironmentMissing(
            "dnsmasq is not installed",
            remedy="install it: apt install dnsmasq-base, dnf install dnsmasq, or pacman -S dnsmasq",
        )
    return found


def command(server: Server, folder: Path) -> list[str]:
    """Serve the records of ``server``; nothing else exists. They go into files in ``folder``."""
    hosts, records = folder / "hosts", folder / "records.conf"
    addresses = [f"{each.value} {each.name}\n" for each in server.records if each.type in ("A", "AAAA")]
    hosts.write_text("".join(addresses))
    # In a file, because on the command line a comma can't be part of a text.
    others = [f"{_option(each)}\n" for each in server.records if each.type in ("CNAME", "TXT")]
    records.write_text("".join(others))
    return [
        find_dnsmasq(),
        f"--conf-file={records}",
        # --keep-in-foreground would drop privileges, and a lab's user namespace has no other groups.
        "--no-daemon",
        "--pid-file=",
        "--log-facility=-",
        "--log-queries=extra",
        "--bind-interfaces",
        *(f"--listen-address={address}" for address in server.addresses),
        f"--port={server.port}",
        "--no-resolv",
        "--no-hosts",
        "--address=/#/",
        f"--local-ttl={_TTL}",
        f"--addn-hosts={hosts}",
    ]


def _option(record: Record) -> str:
    if record.type == "CNAME":
        return f"cname={record.name},{record.value},{_TTL}"
    text = record.value.replace("\\", "\\\\").replace('"', '\\"')
    return f'txt-record={record.name},"{text}"'


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
                f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
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
