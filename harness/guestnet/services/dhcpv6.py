"""DHCPv6 server (RFC 8415 18.3; DNS options RFC 3646).

Theory of operation
-------------------
One server, one link: what it says about addresses is the whole truth. Where RFC 8415 lets a server without
a record of a binding choose, this one makes the binding when the address is free and of its pool, and
takes the address away (lifetimes of 0, NotOnLink) when it is not. So a guest that was restored from a
snapshot is told in one round trip, as with the IPv4 server.

An identity association is a client of the ``pool``: DUID and IAID. Addresses only; prefixes and temporary
addresses are not handed out, and who asks for a prefix alone is told so (NoPrefixAvail).

==================== ========================================================================
message              answer
==================== ========================================================================
SOLICIT              ADVERTISE with an offer; with Rapid Commit a REPLY that binds
REQUEST              REPLY that binds
CONFIRM              REPLY whether all addresses belong to the link
RENEW, REBIND        REPLY that binds again
RELEASE, DECLINE     REPLY
INFORMATION-REQUEST  REPLY with all but addresses
==================== ========================================================================
"""

from typing import Final

from msgspec import Struct

from guestnet.core.address import Mac
from guestnet.core.events import DhcpServed
from guestnet.core.time import SECOND
from guestnet.services.pool import Binding, Pool, State
from guestnet.wire.dhcpv6 import (
    Dhcpv6,
    IaAddress,
    IaNa,
    MessageType,
    Options,
    Status,
    StatusCode,
)
from guestnet.wire.ipv6 import Ip6, show_ip6

OFFER_TIME: Final = 60 * SECOND
"""How long an offered address waits for its REQUEST."""
DECLINE_TIME: Final = 600 * SECOND
"""How long an address that a client found in use is not handed out."""
MAX_ASSOCIATIONS: Final = 8
"""Identity associations of one message that are served."""
_IA_PD: Final = 25
_NO_SERVER_ID: Final = frozenset({MessageType.SOLICIT, MessageType.CONFIRM, MessageType.REBIND})
_OUR_SERVER_ID: Final = frozenset(
    {MessageType.REQUEST, MessageType.RENEW, MessageType.RELEASE, MessageType.DECLINE}
)


class Dhcpv6Config(Struct, frozen=True, kw_only=True):
    """``first`` to ``last`` are the pool, both included, within the ``prefix_length`` that is on link.

    ``lease_time`` in seconds is the valid lifetime; the preferred one is five eighths of it.
    """

    duid: bytes
    first: Ip6
    last: Ip6
    prefix_length: int = 64
    dns_servers: tuple[Ip6, ...] = ()
    domain_search: tuple[str, ...] = ()
    lease_time: int = 7200
    information_refresh_time: int = 86400


class Answer(Struct, frozen=True):
    """What one message led to; ``message`` goes to where the question came from."""

    message: Dhcpv6 | None
    event: DhcpServed


class Dhcpv6Server:
    """``handle`` every message that reaches port 547. Nothing is timed: leases expire when somebody looks."""

    def __init__(self, config: Dhcpv6Config) -> None:
        self.config = config
        self.captive_portal = ""
        """URI of the API of the network's captive portal (RFC 8910 section 2.2), if it has one."""
        self._pool = Pool(_number(config.first), _number(config.last))
        self._shift = 128 - config.prefix_length
        self._network = _number(config.first) >> self._shift

    def handle(self, message: Dhcpv6, mac: Mac, now: int, *, unicast: bool = False) -> Answer:
        """The answer to ``message`` from ``mac``; one that has no answer still has an event with the reason.

        ``unicast``: it was sent to our own address, which nobody was told to do (RFC 8415 18.4).
        """
        wrong = self._objection(message)
        if wrong:
            return self._ignored(message, mac, now, wrong)
        kind = message.type
        if unicast and kind in _OUR_SERVER_ID:
            status = Status(StatusCode.USE_MULTICAST, "send to ff02::1:2")
            return self._answer(
                MessageType.REPLY, message, mac, now, Options(status=status), "sent by unicast"
            )
        if unicast and kind != MessageType.INFORMATION_REQUEST:
            return self._ignored(message, mac, now, "sent by unicast")
        if kind == MessageType.SOLICIT:
            return self._solicit(message, mac, now)
        if kind == MessageType.CONFIRM:
            return self._confirm(message, mac, now)
        if kind in (MessageType.REQUEST, MessageType.RENEW, MessageType.REBIND):
            associations = tuple(self._bind(message, one, now) for one in message.options.ia_na)
            told = self._parameters(associations, message)
            return self._answer(MessageType.REPLY, message, mac, now, told, kind.name)
        if kind == MessageType.INFORMATION_REQUEST:
            told = self._parameters((), message, refresh=True)
            return self._answer(MessageType.REPLY, message, mac, now, told, kind.name)
        return self._give_back(message, mac, now)

    def lease(self, duid: bytes, iaid: int, now: int) -> tuple[Ip6, int] | None:
        """The address bound to an association and when that ends (lab time), if it is bound now."""
        binding = self._pool.of(_client(duid, iaid))
        if binding is None or binding.state != State.BOUND or now >= binding.until:
            return None
        return _address(binding.address), binding.until

    def _objection(self, message: Dhcpv6) -> str:
        """Why the message must be discarded (RFC 8415 16), or nothing."""
        options, kind = message.options, message.type
        if kind in (MessageType.ADVERTISE, MessageType.REPLY, MessageType.RECONFIGURE):
            return "a message that only servers send"
        if kind in _NO_SERVER_ID and options.server_id is not None:
            return "names a server where none may be named"
        if kind in _OUR_SERVER_ID and options.server_id is None:
            return "names no server"
        if options.server_id is not None and options.server_id != self.config.duid:
            return "for another server"
        if kind == MessageType.INFORMATION_REQUEST:
            return "asks for addresses" if options.ia_na else ""
        if options.client_id is None:
            return "does not tell who the client is"
        return ""

    # --- each message ---

    def _solicit(self, message: Dhcpv6, mac: Mac, now: int) -> Answer:
        if message.options.rapid_commit:
            associations = tuple(self._bind(message, one, now) for one in message.options.ia_na)
            told = self._parameters(associations, message, rapid_commit=True)
            return self._answer(MessageType.REPLY, message, mac, now, told, "rapid commit")
        associations = tuple(self._offer(message, one, now) for one in message.options.ia_na)
        told = self._parameters(associations, message)
        return self._answer(MessageType.ADVERTISE, message, mac, now, told, "")

    def _offer(self, message: Dhcpv6, asked: IaNa, now: int) -> IaNa:
        binding = self._allocate(message, asked, now)
        if binding is None:
            return _refused(asked, StatusCode.NO_ADDRS_AVAIL, "the pool is exhausted")
        if binding.state != State.BOUND:
            binding.enter(State.OFFERED, now + OFFER_TIME)
        return self._granted(asked, binding)

    def _bind(self, message: Dhcpv6, asked: IaNa, now: int) -> IaNa:
        foreign = [one.address for one in asked.addresses if not self._is_on_link(one.address)]
        if foreign and message.type == MessageType.REQUEST:
            return _refused(asked, StatusCode.NOT_ON_LINK, f"{show_ip6(foreign[0])} is not of this link")
        binding = self._allocate(message, asked, now)
        if binding is None:
            return _refused(asked, StatusCode.NO_ADDRS_AVAIL, "the pool is exhausted")
        binding.enter(State.BOUND, now + self.config.lease_time * SECOND)
        granted = self._granted(asked, binding)
        if message.type in (MessageType.REQUEST, MessageType.SOLICIT):
            return granted
        # What the client has and should not have any more: lifetimes of 0 (RFC 8415 18.3.4).
        own = _address(binding.address)
        gone = tuple(IaAddress(one.address) for one in asked.addresses if one.address != own)
        return IaNa(granted.iaid, granted.t1, granted.t2, (*granted.addresses, *gone))

    def _confirm(self, message: Dhcpv6, mac: Mac, now: int) -> Answer:
        addresses = [one.address for asked in message.options.ia_na for one in asked.addresses]
        if not addresses:
            return self._ignored(message, mac, now, "CONFIRM without any address")
        foreign = [one for one in addresses if not self._is_on_link(one)]
        status = Status(StatusCode.SUCCESS, "all addresses are of this link")
        if foreign:
            status = Status(StatusCode.NOT_ON_LINK, f"{show_ip6(foreign[0])} is not of this link")
        return self._answer(MessageType.REPLY, message, mac, now, Options(status=status), "CONFIRM")

    def _give_back(self, message: Dhcpv6, mac: Mac, now: int) -> Answer:
        """RELEASE and DECLINE."""
        refused = []
        for asked in message.options.ia_na[:MAX_ASSOCIATIONS]:
            binding = self._pool.of(_client(message.options.client_id or b"", asked.iaid))
            if binding is None:
                refused.append(_refused(asked, StatusCode.NO_BINDING, "nothing is known of it"))
            elif any(_number(one.address) == binding.address for one in asked.addresses):
                if message.type == MessageType.DECLINE:
                    self._pool.decline(binding, now + DECLINE_TIME)
                else:
                    binding.enter(State.FREE, now)
        told = Options(status=Status(StatusCode.SUCCESS), ia_na=tuple(refused))
        return self._answer(MessageType.REPLY, message, mac, now, told, message.type.name)

    # --- parts ---

    def _allocate(self, message: Dhcpv6, asked: IaNa, now: int) -> Binding | None:
        if len(message.options.ia_na) > MAX_ASSOCIATIONS:
            return None
        wanted = _number(asked.addresses[0].address) if asked.addresses else None
        return self._pool.allocate(_client(message.options.client_id or b"", asked.iaid), wanted, now)

    def _granted(self, asked: IaNa, binding: Binding) -> IaNa:
        valid = self.config.lease_time
        preferred = valid * 5 // 8
        address = IaAddress(_address(binding.address), preferred, valid)
        return IaNa(asked.iaid, preferred // 2, preferred * 4 // 5, (address,))

    def _is_on_link(self, address: Ip6) -> bool:
        return _number(address) >> self._shift == self._network

    def _parameters(
        self, associations: tuple[IaNa, ...], message: Dhcpv6, *, rapid_commit: bool = False,
        refresh: bool = False,
    ) -> Options:  # fmt: skip
        config = self.config
        no_prefix = Status(StatusCode.NO_PREFIX_AVAIL, "no prefixes here")
        status = no_prefix.code.to_bytes(2, "big") + no_prefix.message.encode()
        inner = b"\0\x0d" + len(status).to_bytes(2, "big") + status
        prefixes = tuple(
            (code, value[:4] + bytes(8) + inner)
            for code, value in message.options.other
            if code == _IA_PD and len(value) >= 12
        )
        return Options(
            ia_na=associations,
            rapid_commit=rapid_commit,
            dns_servers=config.dns_servers,
            domain_search=config.domain_search,
            information_refresh_time=config.information_refresh_time if refresh else None,
            captive_portal=self.captive_portal or None,
            other=prefixes[:MAX_ASSOCIATIONS],
        )

    def _answer(
        self, kind: MessageType, message: Dhcpv6, mac: Mac, now: int, told: Options, reason: str
    ) -> Answer:
        options = Options(
            message.options.client_id, self.config.duid, told.ia_na, status=told.status,
            rapid_commit=told.rapid_commit, dns_servers=told.dns_servers, domain_search=told.domain_search,
            information_refresh_time=told.information_refresh_time, captive_portal=told.captive_portal,
            other=told.other,
        )  # fmt: skip
        statuses = [told.status, *(one.status for one in told.ia_na)]
        failed = [one for one in statuses if one is not None and one.code != StatusCode.SUCCESS]
        if failed:
            reason = f"{StatusCode(failed[0].code).name}: {failed[0].message}"
        addresses = [one.address for each in told.ia_na for one in each.addresses if one.valid_lifetime]
        shown = ", ".join(map(show_ip6, addresses))
        event = DhcpServed(at=now, kind=kind.name, mac=str(mac), address=shown, reason=reason)
        return Answer(Dhcpv6(kind, message.transaction, options), event)

    @staticmethod
    def _ignored(message: Dhcpv6, mac: Mac, now: int, reason: str) -> Answer:
        event = DhcpServed(at=now, kind=message.type.name, mac=str(mac), address="", reason=reason)
        return Answer(None, event)


def _refused(asked: IaNa, code: StatusCode, why: str) -> IaNa:
    return IaNa(asked.iaid, status=Status(code, why))


def _client(duid: bytes, iaid: int) -> bytes:
    return iaid.to_bytes(4, "big") + duid


def _number(address: Ip6) -> int:
    return int.from_bytes(address, "big")


def _address(number: int) -> Ip6:
    return number.to_bytes(16, "big")
