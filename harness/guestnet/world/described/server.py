"""What a server is: frozen, the same whether it was written in Python or in TOML."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec

ServerKind = Literal[
    "http", "https", "packages", "registry", "proxy",
    "dns", "ntp", "echo", "half-close", "iperf3",
    "tarpit", "reset", "silent", "refuse", "prohibit",
]  # fmt: skip
"""What a server does; `guestnet.world.servers` describes each."""

RecordType = Literal["A", "AAAA", "CNAME", "TXT", "MX", "NS", "PTR", "SRV"]

Fault = Literal["SERVFAIL", "REFUSED", "NOTIMP", "TRUNCATED", "SILENT"]
"""How a name server fails a name: by an RCODE, by answers over UDP that are truncated (the real one comes
over TCP), by no answer."""

Certificate = Literal["valid", "expired", "wrong-name", "self-signed"]
"""What is wrong with a certificate; all but the last are signed by the lab's own authority."""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DNS resource record; ``name`` is absolute, written without the last dot, "*." before it is a wildcard
    (of an A or AAAA record; the name itself has it too). ``value`` is as zone files write it: MX "10
    mail.example", SRV "0 5 443 shop.example"."""

    name: str
    type: RecordType
    value: str


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server on ``host``, which must own all ``addresses``; it listens on the same port of each.

    The other keys belong to some kinds only:

    - dns: ``records`` are what it is authoritative for, it asks ``resolvers`` for all else, or without
      any answers NXDOMAIN; ``faults`` are names that it fails, with all below them.
    - https, packages, registry: ``certificate`` makes it speak TLS ("https" does anyway), for ``names``;
      without these for the names and addresses that the world's zones give it.
    - reset: an RST comes after ``octets`` of payload.
    - ntp: ``offset`` is how many seconds its clock is ahead of the lab's.
    - proxy: it wants ``login`` ("user:password"), opens TLS when ``intercept``, and asks ``resolvers``.
    """

    kind: ServerKind
    host: str
    addresses: tuple[str, ...]
    port: int
    records: tuple[Record, ...] = ()
    faults: dict[str, Fault] = {}
    certificate: Certificate | None = None
    names: tuple[str, ...] = ()
    octets: int = 0
    offset: float = 0.0
    login: str = ""
    intercept: bool = False
    resolvers: tuple[str, ...] = ()


class Kind(NamedTuple):
    """What the servers of a kind have in common."""

    keys: frozenset[str] = frozenset()
    """Of `Server`, those that not all kinds have."""
    tls: Literal["never", "if certified", "always"] = "never"
    by: Literal["process", "program", "kernel", "nobody"] = "process"
    """Who it is: the server process, a program of its own, rules of the kernel, nobody at all."""


_TLS: Final = frozenset({"certificate", "names"})

KINDS: Final[Mapping[ServerKind, Kind]] = {
    "http": Kind(),
    "https": Kind(_TLS, "always"),
    "packages": Kind(_TLS, "if certified"),
    "registry": Kind(_TLS, "if certified"),
    "proxy": Kind(frozenset({"login", "intercept", "resolvers"}), by="program"),
    "dns": Kind(frozenset({"records", "faults", "resolvers"}), by="program"),
    "ntp": Kind(frozenset({"offset"})),
    "echo": Kind(),
    "half-close": Kind(),
    "iperf3": Kind(by="program"),
    "tarpit": Kind(),
    "reset": Kind(frozenset({"octets"})),
    "silent": Kind(),
    "refuse": Kind(by="nobody"),
    "prohibit": Kind(by="kernel"),
}


def has_tls(server: Server) -> bool:
    """Whether ``server`` speaks TLS."""
    tls = KINDS[server.kind].tls
    return tls == "always" or (tls == "if certified" and server.certificate is not None)
