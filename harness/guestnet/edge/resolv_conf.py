"""The servers that a resolv.conf names."""

from pathlib import Path

import dns.exception
import dns.resolver


class ResolvConf:
    """The file at ``path``, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int, int] | None = None
        self._servers: list[str] = []

    @property
    def servers(self) -> list[str]:
        """The addresses of the nameservers; none when there is no such file."""
        try:
            status = self._path.stat()
        except OSError:
            self._read_at, self._servers = None, []
            return []
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._read_at:
            self._read_at, self._servers = stamp, read_servers(self._path)
        return self._servers


def read_servers(path: Path) -> list[str]:
    """The nameservers in a resolv.conf; none when it cannot be read."""
    config = dns.resolver.Resolver(configure=False)
    try:
        with path.open() as file:
            config.read_resolv_conf(file)
    except (OSError, UnicodeDecodeError, dns.exception.DNSException):
        return []
    return [str(server) for server in config.nameservers]
