"""The DHCP server: every exchange of RFC 2131 in virtual time."""

import pytest
from msgspec.structs import replace

from guestnet.core.address import BROADCAST as BROADCAST_MAC
from guestnet.core.address import Mac
from guestnet.core.time import SECOND
from guestnet.services.dhcp import DECLINE_TIME, OFFER_TIME, Answer, DhcpConfig, DhcpServer
from guestnet.wire.dhcp import Dhcp, MessageType, Op, Options
from guestnet.wire.ipv4 import ANY, BROADCAST, ip4

START = 1_700_000_000 * SECOND
SERVER = ip4("192.168.65.1")
CONFIG = DhcpConfig(
    server=SERVER,
    subnet_mask=ip4("255.255.255.0"),
    first=ip4("192.168.65.3"),
    last=ip4("192.168.65.4"),
    routers=(SERVER,),
    dns_servers=(SERVER,),
    domain_name="guestnet.internal",
    mtu=1400,
    lease_time=7200,
)
ONE = Mac.parse("52:54:00:65:00:01")
TWO = Mac.parse("52:54:00:65:00:02")
THREE = Mac.parse("52:54:00:65:00:03")


class Client:
    """Speaks the client's side; ``identifier`` is option 61."""

    def __init__(self, server: DhcpServer, mac: Mac = ONE, *, identifier: bytes | None = None) -> None:
        self.server = server
        self.mac = mac
        self.identifier = identifier

    def send(self, kind: MessageType, now: int = START, *, ciaddr: bytes = ANY, **options: object) -> Answer:
        made = Options(message_type=kind, client_identifier=self.identifier, **options)  # type: ignore[arg-type]
        return self.server.handle(Dhcp(Op.REQUEST, 0x1234, self.mac, made, ciaddr=ciaddr), now)

    def lease(self, now: int = START) -> bytes:
        offer = reply(self.send(MessageType.DISCOVER, now)).yiaddr
        return reply(
            self.send(MessageType.REQUEST, now, requested_address=offer, server_identifier=SERVER)
        ).yiaddr


def reply(answer: Answer) -> Dhcp:
    assert answer.reply is not None, answer.event
    return answer.reply.message


@pytest.fixture
def server() -> DhcpServer:
    return DhcpServer(CONFIG)


def test_discover_is_offered_with_all_that_a_guest_needs(server: DhcpServer) -> None:
    offer = reply(Client(server).send(MessageType.DISCOVER))
    assert offer.type == MessageType.OFFER
    assert (offer.xid, offer.chaddr, offer.yiaddr) == (0x1234, ONE, ip4("192.168.65.3"))
    options = offer.options
    assert options.subnet_mask == ip4("255.255.255.0")
    assert options.routers == options.dns_servers == (SERVER,)
    assert options.server_identifier == SERVER
    assert options.interface_mtu == 1400
    assert options.domain_name == "guestnet.internal"
    assert options.broadcast_address == ip4("192.168.65.255")
    assert (options.lease_time, options.renewal_time, options.rebinding_time) == (7200, 3600, 6300)


def test_the_offered_address_is_acknowledged_and_journaled(server: DhcpServer) -> None:
    client = Client(server)
    client.send(MessageType.DISCOVER)
    answer = client.send(MessageType.REQUEST, requested_address=ip4("192.168.65.3"), server_identifier=SERVER)
    assert reply(answer).type == MessageType.ACK
    assert (answer.event.kind, answer.event.address, answer.event.mac) == ("ACK", "192.168.65.3", str(ONE))


def test_the_same_client_gets_its_address_back_and_another_gets_another(server: DhcpServer) -> None:
    first = Client(server, ONE).lease()
    assert Client(server, TWO).lease() != first
    assert Client(server, ONE).lease(START + SECOND) == first


def test_a_client_identifier_of_the_hardware_address_is_the_same_client(server: DhcpServer) -> None:
    assert Client(server, ONE).lease() == Client(server, ONE, identifier=b"\x01" + ONE).lease()


def test_a_client_with_its_own_identifier_is_known_by_it_on_any_card(server: DhcpServer) -> None:
    address = Client(server, ONE, identifier=b"\xffguest").lease()
    assert Client(server, TWO, identifier=b"\xffguest").lease() == address
    assert Client(server, ONE).lease() != address


def test_the_identifier_is_sent_back(server: DhcpServer) -> None:
    assert (
        reply(Client(server, identifier=b"\xffme").send(MessageType.DISCOVER)).options.client_identifier
        == b"\xffme"
    )


def test_an_expired_lease_is_given_to_its_former_client_first(server: DhcpServer) -> None:
    first = Client(server, ONE).lease()
    second = Client(server, TWO).lease()
    later = START + 8 * 3600 * SECOND
    assert Client(server, TWO).lease(later) == second
    assert Client(server, ONE).lease(later) == first


def test_an_exhausted_pool_says_so_and_serves_again_after_expiry(server: DhcpServer) -> None:
    Client(server, ONE).lease()
    Client(server, TWO).lease()
    answer = Client(server, THREE).send(MessageType.DISCOVER, START + 7199 * SECOND)
    assert answer.reply is None
    assert answer.event.reason == "pool exhausted"
    assert Client(server, THREE).lease(START + 7200 * SECOND) == ip4("192.168.65.3")


def test_a_client_that_lost_its_address_is_refused_when_it_renews(server: DhcpServer) -> None:
    lost = Client(server, ONE).lease()
    Client(server, TWO).lease(START + 7000 * SECOND)
    assert Client(server, THREE).lease(START + 7200 * SECOND) == lost
    answer = Client(server, ONE).send(MessageType.REQUEST, START + 7201 * SECOND, ciaddr=lost)
    assert reply(answer).type == MessageType.NAK


def test_an_unanswered_offer_is_free_again(server: DhcpServer) -> None:
    Client(server, ONE).send(MessageType.DISCOVER)
    Client(server, TWO).send(MessageType.DISCOVER)
    assert Client(server, THREE).send(MessageType.DISCOVER, START + OFFER_TIME - 1).reply is None
    assert (
        reply(Client(server, THREE).send(MessageType.DISCOVER, START + OFFER_TIME)).type == MessageType.OFFER
    )


def test_a_client_that_chooses_another_server_frees_the_offer(server: DhcpServer) -> None:
    client = Client(server, ONE)
    client.send(MessageType.DISCOVER)
    other = ip4("192.168.65.200")
    answer = client.send(MessageType.REQUEST, requested_address=ip4("192.168.65.9"), server_identifier=other)
    assert answer.reply is None
    Client(server, TWO).lease()
    assert Client(server, THREE).lease() == ip4("192.168.65.3")


def test_selecting_another_address_than_offered_is_refused(server: DhcpServer) -> None:
    client = Client(server)
    client.send(MessageType.DISCOVER)
    answer = client.send(MessageType.REQUEST, requested_address=ip4("192.168.65.4"), server_identifier=SERVER)
    assert reply(answer).type == MessageType.NAK


def test_renewing_extends_the_lease(server: DhcpServer) -> None:
    client = Client(server)
    address = client.lease()
    halfway = START + 3600 * SECOND
    ack = client.send(MessageType.REQUEST, halfway, ciaddr=address)
    assert reply(ack).type == MessageType.ACK
    assert ack.reply is not None
    assert (ack.reply.destination, ack.reply.mac) == (address, ONE)
    assert server.lease(b"\x01" + ONE, halfway) == (address, halfway + 7200 * SECOND)


def test_a_rebooted_client_confirms_its_address(server: DhcpServer) -> None:
    client = Client(server)
    address = client.lease()
    ack = reply(client.send(MessageType.REQUEST, START + SECOND, requested_address=address))
    assert (ack.type, ack.yiaddr) == (MessageType.ACK, address)


def test_an_unknown_client_may_keep_a_free_address_of_ours(server: DhcpServer) -> None:
    ack = reply(Client(server).send(MessageType.REQUEST, requested_address=ip4("192.168.65.4")))
    assert (ack.type, ack.yiaddr) == (MessageType.ACK, ip4("192.168.65.4"))


@pytest.mark.parametrize("how", ["requested", "ciaddr"])
def test_an_address_of_a_foreign_network_is_refused_by_broadcast(server: DhcpServer, how: str) -> None:
    foreign = ip4("10.0.2.15")
    client = Client(server)
    if how == "requested":
        answer = client.send(MessageType.REQUEST, requested_address=foreign)
    else:
        answer = client.send(MessageType.REQUEST, ciaddr=foreign)
    nak = reply(answer)
    assert nak.type == MessageType.NAK
    assert nak.options.lease_time is None
    assert nak.yiaddr == ANY
    assert "not on this network" in answer.event.reason
    assert answer.reply is not None
    assert (answer.reply.destination, answer.reply.mac) == (BROADCAST, BROADCAST_MAC)


def test_an_address_of_somebody_else_is_refused(server: DhcpServer) -> None:
    taken = Client(server, ONE).lease()
    assert (
        reply(Client(server, TWO).send(MessageType.REQUEST, requested_address=taken)).type == MessageType.NAK
    )


def test_an_address_outside_the_pool_is_refused(server: DhcpServer) -> None:
    assert reply(Client(server).send(MessageType.REQUEST, requested_address=SERVER)).type == MessageType.NAK


def test_a_released_address_is_free_at_once(server: DhcpServer) -> None:
    first = Client(server, ONE)
    address = first.lease()
    Client(server, TWO).lease()
    assert first.send(MessageType.RELEASE, START + SECOND, ciaddr=address).reply is None
    assert Client(server, THREE).lease(START + SECOND) == address


def test_a_declined_address_is_set_aside_for_a_while(server: DhcpServer) -> None:
    client = Client(server)
    address = client.lease()
    answer = client.send(MessageType.DECLINE, START, requested_address=address)
    assert answer.reply is None
    assert "in use" in answer.event.reason
    assert client.lease() != address
    assert Client(server, TWO).send(MessageType.DISCOVER, START + DECLINE_TIME - 1).reply is None
    assert Client(server, TWO).lease(START + DECLINE_TIME) == address


def test_a_declining_client_keeps_its_new_address_when_the_old_one_is_given_away(server: DhcpServer) -> None:
    client = Client(server, ONE)
    old = client.lease()
    client.send(MessageType.DECLINE, START, requested_address=old)
    new = client.lease()
    later = START + DECLINE_TIME
    assert Client(server, TWO).lease(later) == old
    assert reply(client.send(MessageType.REQUEST, later, ciaddr=new)).type == MessageType.ACK


def test_an_inform_is_answered_without_address_and_lease(server: DhcpServer) -> None:
    fixed = ip4("192.168.65.77")
    answer = Client(server).send(MessageType.INFORM, ciaddr=fixed)
    ack = reply(answer)
    assert (ack.type, ack.yiaddr, ack.options.lease_time) == (MessageType.ACK, ANY, None)
    assert ack.options.dns_servers == (SERVER,)
    assert answer.reply is not None
    assert answer.reply.destination == fixed


def test_a_client_may_ask_for_a_shorter_lease_not_a_longer_one(server: DhcpServer) -> None:
    client = Client(server)
    assert reply(client.send(MessageType.DISCOVER, lease_time=60)).options.lease_time == 60
    assert reply(client.send(MessageType.DISCOVER, lease_time=86400)).options.lease_time == 7200


def test_the_broadcast_flag_is_honoured(server: DhcpServer) -> None:
    discover = Dhcp(Op.REQUEST, 1, ONE, Options(message_type=MessageType.DISCOVER))
    plain = server.handle(discover, START).reply
    flagged = server.handle(replace(discover, broadcast=True), START).reply
    assert plain is not None
    assert flagged is not None
    assert (plain.destination, plain.mac) == (ip4("192.168.65.3"), ONE)
    assert (flagged.destination, flagged.mac) == (BROADCAST, BROADCAST_MAC)


@pytest.mark.parametrize("kind", [MessageType.OFFER, MessageType.ACK, MessageType.NAK])
def test_messages_of_servers_are_ignored_with_a_reason(server: DhcpServer, kind: MessageType) -> None:
    answer = Client(server).send(kind)
    assert answer.reply is None
    assert answer.event.reason


def test_a_flood_of_clients_never_takes_more_than_the_pool(server: DhcpServer) -> None:
    for number in range(1000):
        Client(server, Mac(number.to_bytes(6, "big"))).send(MessageType.DISCOVER)
    assert len(server._pool) == 2
