"""DHCP server (RFC 2131, options of RFC 2132).

Theory of operation
-------------------
One server, one subnet, one cable: it is authoritative. Where RFC 2131 4.3.2 tells a server without a
record to stay silent because another server may have one, this one answers: ACK when the address is
free and ours, NAK when it is not. A guest restored from a snapshot gets its answer in one round trip.

A client is its client identifier, or type 1 and its hardware address when it sends none (RFC 2131 4.2;
most send just that). It keeps its address, if it can (``pool``).

The four REQUESTs (RFC 2131 table 4) are told apart by server identifier (SELECTING), requested address
(INIT-REBOOT) and ciaddr (RENEWING when unicast, REBINDING when broadcast: the answer is the same).
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from guestnet.core.address import BROADCAST as BROADCAST_MAC
from guestnet.core.address import Mac
from guestnet.core.events import DhcpServed
from guestnet.core.time import SECOND
from guestnet.services.pool import Binding, Pool, State
from guestnet.wire.dhcp import Dhcp, MessageType, Op, Options
from guestnet.wire.ipv4 import ANY, BROADCAST, Ip4, show_ip4

OFFER_TIME: Final = 60 * SECOND
"""How long an offered address waits for its REQUEST."""
DECLINE_TIME: Final = 600 * SECOND
"""How long an address that a client found in use is not handed out."""


class DhcpConfig(Struct, frozen=True, kw_only=True):
    """``first`` to ``last`` are the pool, both included. ``lease_time`` in seconds."""

    server: Ip4
    subnet_mask: Ip4
    first: Ip4
    last: Ip4
    routers: tuple[Ip4, ...]
    dns_servers: tuple[Ip4, ...]
    domain_name: str | None = None
    mtu: int = 1500
    lease_time: int = 7200


class Reply(Struct, frozen=True):
    """A message to the client, and where it goes (RFC 2131 4.1)."""

    message: Dhcp
    destination: Ip4
    mac: Mac


class Answer(Struct, frozen=True):
    """What one message led to."""

    reply: Reply | None
    event: DhcpServed


class DhcpServer:
    """``handle`` every message that reaches port 67. Nothing is timed: leases expire when somebody looks."""

    def __init__(self, config: DhcpConfig) -> None:
        self.config = config
        self.captive_portal = ""
        """URI of the API of the network's captive portal (RFC 8910 section 2.1), if it has one."""
        self._pool = Pool(_number(config.first), _number(config.last))
        self._mask = _number(config.subnet_mask)
        self._network = _number(config.server) & self._mask

    def handle(self, message: Dhcp, now: int) -> Answer:
        """The answer to ``message``; one that has no answer still has an event, with the reason."""
        kind = message.type
        if message.op != Op.REQUEST or kind is None:
            return self._ignored(message, now, "not a DHCP request")
        if kind == MessageType.DISCOVER:
            return self._discover(message, now)
        if kind == MessageType.REQUEST:
            return self._request(message, now)
        if kind == MessageType.DECLINE:
            return self._decline(message, now)
        if kind == MessageType.RELEASE:
            return self._release(message, now)
        if kind == MessageType.INFORM:
            return self._inform(message, now)
        return self._ignored(message, now, "a message that only servers send")

    def lease(self, client: bytes, now: int) -> tuple[Ip4, int] | None:
        """The address bound to ``client`` and when that ends (lab time), if it is bound now."""
        binding = self._pool.of(client)
        if binding is None or binding.state != State.BOUND or now >= binding.until:
            return None
        return _address(binding.address), binding.until

    def _discover(self, message: Dhcp, now: int) -> Answer:
        wanted = message.options.requested_address
        number = None if wanted is None else _number(wanted)
        binding = self._pool.allocate(client_key(message), number, now)
        if binding is None:
            return self._ignored(message, now, "pool exhausted")
        if binding.state != State.BOUND:
            binding.enter(State.OFFERED, now + OFFER_TIME)
        return self._grant(MessageType.OFFER, message, binding, now, "")

    def _request(self, message: Dhcp, now: int) -> Answer:
        options = message.options
        if options.server_identifier is not None:
            return self._selecting(message, now)
        if options.requested_address is not None and message.ciaddr == ANY:
            return self._confirm(message, options.requested_address, now, "INIT-REBOOT")
        if message.ciaddr != ANY:
            return self._confirm(message, message.ciaddr, now, "RENEWING or REBINDING")
        return self._ignored(message, now, "a REQUEST without any address")

    def _selecting(self, message: Dhcp, now: int) -> Answer:
        binding = self._pool.of(client_key(message))
        if message.options.server_identifier != self.config.server:
            if binding is not None and binding.state == State.OFFERED:
                binding.enter(State.FREE, now)
            return self._ignored(message, now, "the client chose another server")
        if binding is None or message.options.requested_address != _address(binding.address):
            return self._nak(message, now, "not the address that was offered")
        # An offer that expired is honoured as long as nobody else got the address.
        return self._bind(message, binding, now, "SELECTING")

    def _confirm(self, message: Dhcp, wanted: Ip4, now: int, state: str) -> Answer:
        number = _number(wanted)
        if number & self._mask != self._network:
            return self._nak(message, now, f"{show_ip4(wanted)} is not on this network")
        client = client_key(message)
        binding = self._pool.of(client)
        if binding is not None and binding.address == number:
            return self._bind(message, binding, now, state)
        if binding is not None and binding.state == State.BOUND and now < binding.until:
            return self._nak(message, now, f"the client has {show_ip4(_address(binding.address))}")
        if not self._pool.is_free(number, now):
            return self._nak(message, now, f"{show_ip4(wanted)} is not free")
        return self._bind(message, self._pool.assign(client, number, now), now, state)

    def _bind(self, message: Dhcp, binding: Binding, now: int, state: str) -> Answer:
        binding.enter(State.BOUND, now + self._lease_time(message) * SECOND)
        return self._grant(MessageType.ACK, message, binding, now, state)

    def _decline(self, message: Dhcp, now: int) -> Answer:
        wanted = message.options.requested_address
        binding = self._pool.of(client_key(message))
        if binding is None or wanted is None or _number(wanted) != binding.address:
            return self._ignored(message, now, "DECLINE of an address that the client does not have")
        self._pool.decline(binding, now + DECLINE_TIME)
        return self._noted(message, now, wanted, "declined: in use by somebody else")

    def _release(self, message: Dhcp, now: int) -> Answer:
        binding = self._pool.of(client_key(message))
        if binding is None or _number(message.ciaddr) != binding.address:
            return self._ignored(message, now, "RELEASE of an address that the client does not have")
        binding.enter(State.FREE, now)
        return self._noted(message, now, message.ciaddr, "released")

    def _inform(self, message: Dhcp, now: int) -> Answer:
        # RFC 2131 4.3.5: to ciaddr, without yiaddr and lease times.
        reply = self._reply(MessageType.ACK, message, ANY, self._parameters())
        return Answer(reply, self._event(reply.message, now, message.ciaddr, "INFORM"))

    def _lease_time(self, message: Dhcp) -> int:
        wanted = message.options.lease_time
        return min(wanted, self.config.lease_time) if wanted else self.config.lease_time

    def _grant(self, kind: MessageType, message: Dhcp, binding: Binding, now: int, reason: str) -> Answer:
        seconds = self._lease_time(message)
        parameters = self._parameters(
            lease_time=seconds, renewal_time=seconds // 2, rebinding_time=seconds * 7 // 8
        )
        address = _address(binding.address)
        reply = self._reply(kind, message, address, parameters)
        return Answer(reply, self._event(reply.message, now, address, reason))

    def _nak(self, message: Dhcp, now: int, reason: str) -> Answer:
        options = Options(
            message_type=MessageType.NAK,
            server_identifier=self.config.server,
            client_identifier=message.options.client_identifier,
            message=reason,
        )
        nak = Dhcp(
            Op.REPLY, message.xid, message.chaddr, options, giaddr=message.giaddr, broadcast=message.broadcast
        )
        # RFC 2131 4.3.2: a client that is refused has no address, so that the NAK is broadcast.
        reply = Reply(nak, BROADCAST, BROADCAST_MAC)
        wanted = message.options.requested_address or message.ciaddr
        return Answer(reply, self._event(nak, now, wanted, reason))

    def _parameters(
        self,
        *,
        lease_time: int | None = None,
        renewal_time: int | None = None,
        rebinding_time: int | None = None,
    ) -> Options:
        config = self.config
        mask = _number(config.subnet_mask)
        return Options(
            subnet_mask=config.subnet_mask,
            routers=config.routers,
            dns_servers=config.dns_servers,
            domain_name=config.domain_name,
            interface_mtu=config.mtu,
            captive_portal=self.captive_portal or None,
            broadcast_address=_address(_number(config.server) | ~mask & 0xFFFFFFFF),
            server_identifier=config.server,
            lease_time=lease_time,
            renewal_time=renewal_time,
            rebinding_time=rebinding_time,
        )

    def _reply(self, kind: MessageType, message: Dhcp, address: Ip4, parameters: Options) -> Reply:
        # The identifier is sent back as it came (RFC 6842 3).
        identifier = message.options.client_identifier
        options = replace(parameters, message_type=kind, client_identifier=identifier)
        reply = Dhcp(
            Op.REPLY, message.xid, message.chaddr, options,
            ciaddr=message.ciaddr if kind == MessageType.ACK else ANY,
            yiaddr=address, siaddr=ANY, giaddr=message.giaddr, broadcast=message.broadcast,
        )  # fmt: skip
        if message.ciaddr != ANY:
            return Reply(reply, message.ciaddr, message.chaddr)
        if message.broadcast:
            return Reply(reply, BROADCAST, BROADCAST_MAC)
        return Reply(reply, address, message.chaddr)

    def _ignored(self, message: Dhcp, now: int, reason: str) -> Answer:
        return self._noted(message, now, message.options.requested_address or message.ciaddr, reason)

    def _noted(self, message: Dhcp, now: int, address: Ip4, reason: str) -> Answer:
        return Answer(None, self._event(message, now, address, reason))

    @staticmethod
    def _event(message: Dhcp, now: int, address: Ip4, reason: str) -> DhcpServed:
        kind = message.type.name if message.type is not None else "BOOTP"
        shown = show_ip4(address) if address != ANY else ""
        return DhcpServed(at=now, kind=kind, mac=str(message.chaddr), address=shown, reason=reason)


def client_key(message: Dhcp) -> bytes:
    """Who the client is: its identifier, or what that is by default (RFC 2132 9.14; type 1 is ethernet)."""
    return message.options.client_identifier or b"\x01" + message.chaddr


def _number(address: Ip4) -> int:
    return int.from_bytes(address, "big")


def _address(number: int) -> Ip4:
    return number.to_bytes(4, "big")
