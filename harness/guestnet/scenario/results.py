"""What the verbs of a guest answer with. Times are in seconds, sizes in octets, speeds in bit/s.

Whatever may go wrong with the network is a `Result`: it has ``ok``, and it is true when it is ok, so that
``assert guest.connect(…)`` means what it says.
"""

import hashlib

import msgspec

from guestnet.core.errors import GuestError
from guestnet.core.result import Ran as Ran
from guestnet.core.result import Result
from guestnet.scenario.matchers.endpoint import Endpoint


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A DHCP lease as the guest's client has it (RFC 2132): "" or 0 for an option that was not given."""

    address: str
    mask: str = ""
    router: str = ""
    dns: list[str] = []
    domain: str = ""
    mtu: int = 0
    seconds: int = 0
    server: str = ""
    options: dict[str, str] = {}
    """Everything the client was told, by udhcpc's names."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a DHCP server offers (RFC 2131); ``options`` by scapy's names, or numbers where it has none."""

    address: str
    options: dict[str, list[str]] = {}

    @property
    def captive_portal(self) -> str:
        """The URI of the API of a captive portal (RFC 8910); "" when it is not said."""
        return (self.options.get("captive-portal") or self.options.get("114") or [""])[0]


class Autoconfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """What router advertisements made of a guest's interface (RFC 4862)."""

    address: str
    """The first of wider scope than the link, proved to be nobody else's."""
    prefix: int
    link_local: str
    router: str
    """The next hop of the default route."""
    mtu: int
    """Of IPv6 on the interface."""
    dns: list[str] = []
    """IPv6 addresses in resolv.conf."""


class Dhcpv6Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a DHCPv6 server told the guest's client (RFC 8415)."""

    addresses: list[str] = []
    dns: list[str] = []
    domain: str = ""
    options: dict[str, str] = {}
    """Everything the client was told, by dhcp6c's names."""


class Answer(Result, msgspec.Struct, frozen=True, kw_only=True):
    """What a resolver answered. ``addresses`` are its A and AAAA records.

    ``cname`` is the name that these belong to, "" when it is the one asked for. ``timed_out``: nobody
    answered, and ``rcode`` is "".
    """

    name: str
    rdtype: str
    rcode: str
    addresses: list[str] = []
    cname: str = ""
    records: list[str] = []
    """The data of all records of the answer section, as "A 203.0.113.10"."""
    ttl: int | None = None
    """Of the answer's first record, in seconds."""
    server: str = ""
    seconds: float = 0.0
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether there was a record: the name may be there and have none of this type."""
        return self.rcode == "NOERROR" and bool(self.records)

    @property
    def brief(self) -> str:
        """The response code and the records."""
        return "nobody answered" if self.timed_out else " ".join([self.rcode, *self.records])


class Attempt(Result, msgspec.Struct, frozen=True, kw_only=True):
    """A TCP connect as connect() in the guest told it.

    ``error`` is the name of its errno ("ECONNREFUSED"); "GAVE_UP" when the verb's own time was over first,
    "UNRESOLVED" when the name had no address; "" when connected.
    """

    host: str
    port: int
    error: str
    local: Endpoint | None
    remote: Endpoint | None
    seconds: float
    detail: str = ""

    @property
    def source(self) -> Endpoint:
        """The guest's end. Raises GuestError when nothing was sent."""
        return _sent_from(self.local, f"the connect to {self.host} port {self.port}", self.error)

    @property
    def ok(self) -> bool:
        """Whether it connected."""
        return self.connected

    @property
    def brief(self) -> str:
        """The error, if any, and how long it took."""
        return f"{self.error or 'connected'} after {self.seconds:.3f} s"

    @property
    def connected(self) -> bool:
        """The other side accepted."""
        return not self.error

    @property
    def refused(self) -> bool:
        """The other side answered with a reset (ECONNREFUSED)."""
        return self.error == "ECONNREFUSED"

    @property
    def unreachable(self) -> bool:
        """There was no way (EHOSTUNREACH, ENETUNREACH)."""
        return self.error in ("EHOSTUNREACH", "ENETUNREACH")

    @property
    def timed_out(self) -> bool:
        """Nobody answered: to the kernel (ETIMEDOUT), or within the time that the verb was given."""
        return self.error in ("ETIMEDOUT", "GAVE_UP")


class Transfer(Result, msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP download or upload. ``sha256`` is by the guest, ``expected`` by the server."""

    url: str
    status: int
    """Of HTTP; 0 when there was no answer."""
    bytes: int
    sha256: str
    expected: str
    seconds: float
    error: str = ""
    """curl's words when it failed."""
    local: Endpoint | None = None
    remote: Endpoint | None = None

    @property
    def source(self) -> Endpoint:
        """The guest's end. Raises GuestError when there was no connection."""
        return _sent_from(self.local, f"the transfer of {self.url}", self.error)

    @property
    def ok(self) -> bool:
        """Whether all of it came, with a status of 200 to 299; ``intact`` proves more."""
        return not self.error and 200 <= self.status < 300

    @property
    def brief(self) -> str:
        """How much in what time, and whether it is intact."""
        outcome = self.error or ("intact" if self.intact else f"status {self.status}, not intact")
        return f"{self.bytes} bytes in {self.seconds:.3f} s, {outcome}"

    @property
    def intact(self) -> bool:
        """Whether everything arrived, by the SHA-256 of both sides."""
        return not self.error and bool(self.expected) and self.sha256 == self.expected

    @property
    def speed(self) -> float:
        """Payload, in bit/s; 0 when it took no time."""
        return self.bytes * 8 / self.seconds if self.seconds else 0.0


class Page(Result, msgspec.Struct, frozen=True, kw_only=True):
    """What a GET or POST brought, no redirect followed. ``status`` is 0 when there was no answer."""

    url: str
    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    """Their names in small letters; of several of a name, the last."""
    error: str = ""
    """curl's words when it failed."""

    @property
    def ok(self) -> bool:
        """Whether all of it came, with a status of 200 to 299."""
        return not self.error and 200 <= self.status < 300

    @property
    def brief(self) -> str:
        """The status and where it leads to."""
        return self.error or f"{self.status} {self.location}".rstrip()

    @property
    def location(self) -> str:
        """Where a redirect leads to; "" for none."""
        return self.headers.get("location", "")

    @property
    def text(self) -> str:
        """The body as text; octets that are no UTF-8 are replaced."""
        return self.body.decode(errors="replace")


class Exchange(Result, msgspec.Struct, frozen=True, kw_only=True):
    """A half-closed TCP exchange: all is sent, then our side closes, and ``reply`` is read to its end."""

    sent: bytes
    """As much of the payload as the kernel took: all of it, unless there is an error."""
    reply: bytes
    error: str
    """As in `Attempt`; "" when all was sent and the other side's FIN came."""
    local: Endpoint | None
    seconds: float

    @property
    def source(self) -> Endpoint:
        """The guest's end. Raises GuestError when nothing was sent."""
        return _sent_from(self.local, "the exchange", self.error)

    @property
    def ok(self) -> bool:
        """Whether all was sent and the other side ended in good order."""
        return not self.error

    @property
    def brief(self) -> str:
        """How much went either way."""
        error = f"{self.error}, " if self.error else ""
        return f"{error}{len(self.sent)} bytes sent, {len(self.reply)} received"

    @property
    def intact(self) -> bool:
        """Whether the reply is ``SIZE SHA256`` of what was sent: the answer of a "half-close" server."""
        wanted = f"{len(self.sent)} {hashlib.sha256(self.sent).hexdigest()}".encode()
        return not self.error and self.reply.strip() == wanted


class Ping(Result, msgspec.Struct, frozen=True, kw_only=True):
    """Pings. ``rtts`` are of the answers, in seconds and in their order."""

    host: str
    sent: int
    received: int
    rtts: list[float] = []
    address: str = ""
    errors: list[str] = []
    """What routers or the kernel said instead: "Destination Host Unreachable"."""

    @property
    def ok(self) -> bool:
        """Whether each was answered."""
        return 0 < self.sent == self.received

    @property
    def brief(self) -> str:
        """How many were answered."""
        return f"{self.received} of {self.sent} answered"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """An address of an interface."""

    interface: str
    address: str
    prefix: int

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


def _sent_from(local: Endpoint | None, what: str, error: str) -> Endpoint:
    # None would be taken by a matcher's ``to=`` as "anywhere": a false green.
    if local is None:
        raise GuestError(f"{what} sent nothing, so it has no source", remedy=error or "see what it answered")
    return local
