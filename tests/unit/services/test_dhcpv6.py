"""The DHCPv6 server against a scripted client."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.address import Mac
from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.services.dhcpv6 import DECLINE_TIME, OFFER_TIME, Dhcpv6Config, Dhcpv6Server
from guestnet.wire import dhcpv6
from guestnet.wire.dhcpv6 import Dhcpv6, IaAddress, IaNa, MessageType, Options, StatusCode, duid_ll
from guestnet.wire.ipv6 import Ip6, ip6
from tests.support import strategies as of

SERVER = duid_ll(Mac.parse("5a:94:ef:e4:0c:ee"))
MAC, OTHER = Mac.parse("52:54:00:00:00:01"), Mac.parse("52:54:00:00:00:02")
CLIENT = duid_ll(MAC)
DNS = ip6("fd65:6775:6573:7400::1")
CONFIG = Dhcpv6Config(
    duid=SERVER, first=ip6("fd65:6775:6573:7400::3"), last=ip6("fd65:6775:6573:7400::6"),
    dns_servers=(DNS,), domain_search=("lab.example",), lease_time=8000,
)  # fmt: skip
FIRST = CONFIG.first
ELSEWHERE = ip6("2001:db8::5")


@pytest.fixture
def server() -> Dhcpv6Server:
    return Dhcpv6Server(CONFIG)


def asked(
    kind: MessageType, *addresses: Ip6, mac: Mac = MAC, iaid: int = 1, to: bytes | None = None,
    rapid_commit: bool = False,
) -> Dhcpv6:  # fmt: skip
    named = kind not in (MessageType.SOLICIT, MessageType.CONFIRM, MessageType.REBIND)
    options = Options(
        client_id=duid_ll(mac), server_id=to or (SERVER if named else None),
        ia_na=(IaNa(iaid, addresses=tuple(IaAddress(one) for one in addresses)),),
        rapid_commit=rapid_commit,
    )  # fmt: skip
    return Dhcpv6(kind, 0x123456, options)


def told(server: Dhcpv6Server, message: Dhcpv6, now: int = 0) -> Dhcpv6:
    answer = server.handle(message, MAC, now).message
    assert answer is not None
    assert answer.transaction == message.transaction
    assert (answer.options.client_id, answer.options.server_id) == (message.options.client_id, SERVER)
    return answer


def address_in(answer: Dhcpv6) -> Ip6:
    [association] = answer.options.ia_na
    assert association.status is None
    return association.addresses[0].address


def code_in(answer: Dhcpv6) -> int:
    [association] = answer.options.ia_na
    assert association.status is not None
    return association.status.code


def bound(server: Dhcpv6Server, mac: Mac = MAC, now: int = 0, iaid: int = 1) -> Ip6:
    offered = address_in(told(server, asked(MessageType.SOLICIT, mac=mac, iaid=iaid), now))
    return address_in(told(server, asked(MessageType.REQUEST, offered, mac=mac, iaid=iaid), now))


def test_four_messages_give_an_address_and_all_else(server: Dhcpv6Server) -> None:
    offer = told(server, asked(MessageType.SOLICIT))
    assert offer.type == MessageType.ADVERTISE
    assert server.lease(CLIENT, 1, 0) is None
    reply = told(server, asked(MessageType.REQUEST, address_in(offer)))
    assert reply.type == MessageType.REPLY
    [association] = reply.options.ia_na
    assert association == IaNa(1, 2500, 4000, (IaAddress(FIRST, 5000, 8000),))
    assert (reply.options.dns_servers, reply.options.domain_search) == ((DNS,), ("lab.example",))
    assert server.lease(CLIENT, 1, 0) == (FIRST, 8000 * SECOND)


def test_rapid_commit_takes_two(server: Dhcpv6Server) -> None:
    reply = told(server, asked(MessageType.SOLICIT, rapid_commit=True))
    assert (reply.type, reply.options.rapid_commit) == (MessageType.REPLY, True)
    assert server.lease(CLIENT, 1, 0) == (address_in(reply), 8000 * SECOND)


def test_a_client_keeps_its_address_and_each_association_has_one(server: Dhcpv6Server) -> None:
    first = bound(server)
    assert bound(server, OTHER) != first
    assert bound(server, iaid=2) not in (first, bound(server, OTHER))
    assert bound(server, now=100_000 * SECOND) == first


def test_the_address_that_is_asked_for_is_given_when_it_is_free(server: Dhcpv6Server) -> None:
    wanted = ip6("fd65:6775:6573:7400::5")
    assert address_in(told(server, asked(MessageType.SOLICIT, wanted))) == wanted
    assert address_in(told(server, asked(MessageType.SOLICIT, wanted, mac=OTHER))) != wanted


def test_an_offer_is_kept_for_a_while_only(server: Dhcpv6Server) -> None:
    for last in range(4):
        told(server, asked(MessageType.SOLICIT, mac=Mac(bytes(5) + bytes((last,)))))
    late = asked(MessageType.SOLICIT, mac=OTHER)
    assert code_in(told(server, late)) == StatusCode.NO_ADDRS_AVAIL
    assert address_in(told(server, late, OFFER_TIME)) == FIRST


@pytest.mark.parametrize("kind", [MessageType.RENEW, MessageType.REBIND])
def test_a_lease_is_prolonged(server: Dhcpv6Server, kind: MessageType) -> None:
    address = bound(server)
    reply = told(server, asked(kind, address), 4000 * SECOND)
    assert address_in(reply) == address
    assert server.lease(CLIENT, 1, 5000 * SECOND) == (address, 12_000 * SECOND)


@pytest.mark.parametrize("kind", [MessageType.RENEW, MessageType.REBIND])
def test_a_lease_that_nobody_remembers_is_taken_over(server: Dhcpv6Server, kind: MessageType) -> None:
    address = ip6("fd65:6775:6573:7400::6")
    assert address_in(told(server, asked(kind, address))) == address
    assert server.lease(CLIENT, 1, 0) is not None


def test_an_address_that_another_has_is_taken_away(server: Dhcpv6Server) -> None:
    taken = bound(server, OTHER)
    reply = told(server, asked(MessageType.RENEW, taken))
    [association] = reply.options.ia_na
    new, old = association.addresses
    assert (old.address, old.valid_lifetime, old.preferred_lifetime) == (taken, 0, 0)
    assert new.address != taken
    assert new.valid_lifetime > 0


def test_an_address_of_another_link_is_refused(server: Dhcpv6Server) -> None:
    assert code_in(told(server, asked(MessageType.REQUEST, ELSEWHERE))) == StatusCode.NOT_ON_LINK
    for address, code in ((FIRST, StatusCode.SUCCESS), (ELSEWHERE, StatusCode.NOT_ON_LINK)):
        status = told(server, asked(MessageType.CONFIRM, address)).options.status
        assert status is not None
        assert status.code == code
    assert server.handle(asked(MessageType.CONFIRM), MAC, 0).message is None


def test_a_released_address_is_for_others_when_no_other_is_left(server: Dhcpv6Server) -> None:
    address = bound(server)
    status = told(server, asked(MessageType.RELEASE, address)).options.status
    assert status is not None
    assert status.code == StatusCode.SUCCESS
    assert server.lease(CLIENT, 1, 0) is None
    others = [bound(server, Mac(bytes(5) + bytes((last,))), 1) for last in range(4)]
    assert min(others) == address
    assert others[-1] == address


def test_what_nobody_has_cannot_be_released(server: Dhcpv6Server) -> None:
    assert code_in(told(server, asked(MessageType.RELEASE, FIRST))) == StatusCode.NO_BINDING


def test_a_declined_address_is_nobodys_for_a_while(server: Dhcpv6Server) -> None:
    address = bound(server)
    told(server, asked(MessageType.DECLINE, address))
    assert bound(server) != address
    assert bound(server, now=DECLINE_TIME + 1) != address


def test_who_needs_no_address_is_told_the_rest(server: Dhcpv6Server) -> None:
    reply = told(server, Dhcpv6(MessageType.INFORMATION_REQUEST, 7, Options(client_id=CLIENT)))
    assert (reply.options.dns_servers, reply.options.domain_search) == ((DNS,), ("lab.example",))
    assert reply.options.information_refresh_time == 86400
    assert reply.options.ia_na == ()


def test_prefixes_are_not_handed_out(server: Dhcpv6Server) -> None:
    options = Options(client_id=CLIENT, other=((25, b"\0\0\0\7" + bytes(8)),))
    reply = told(server, Dhcpv6(MessageType.SOLICIT, 7, options))
    [(code, value)] = reply.options.other
    assert (code, value[:4], value[12:18]) == (25, b"\0\0\0\7", b"\0\x0d\0\x12\0\6")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (asked(MessageType.SOLICIT, to=SERVER), "names a server"),
        (asked(MessageType.REQUEST, FIRST, to=CLIENT), "for another server"),
        (Dhcpv6(MessageType.REQUEST, 1, Options(client_id=CLIENT)), "names no server"),
        (Dhcpv6(MessageType.SOLICIT, 1), "does not tell who"),
        (Dhcpv6(MessageType.ADVERTISE, 1), "only servers send"),
        (Dhcpv6(MessageType.INFORMATION_REQUEST, 1, Options(ia_na=(IaNa(1),))), "asks for addresses"),
    ],
)
def test_what_must_be_discarded_is(server: Dhcpv6Server, message: Dhcpv6, reason: str) -> None:
    answer = server.handle(message, MAC, 0)
    assert answer.message is None
    assert reason in answer.event.reason


def test_unicast_is_for_those_who_were_told(server: Dhcpv6Server) -> None:
    answer = server.handle(asked(MessageType.RENEW, FIRST), MAC, 0, unicast=True).message
    assert answer is not None
    assert answer.options.status is not None
    assert answer.options.status.code == StatusCode.USE_MULTICAST
    assert server.handle(asked(MessageType.SOLICIT), MAC, 0, unicast=True).message is None


def test_the_journal_tells_what_was_said_to_whom(server: Dhcpv6Server) -> None:
    event = server.handle(asked(MessageType.SOLICIT), MAC, 5).event
    assert (event.kind, event.mac, event.address) == ("ADVERTISE", str(MAC), "fd65:6775:6573:7400::3")
    refused = server.handle(asked(MessageType.REQUEST, ELSEWHERE), MAC, 5).event
    assert refused.reason.startswith("NOT_ON_LINK: 2001:db8::5")


@given(st.lists(of.dhcpv6s, max_size=6), st.binary(max_size=200))
def test_no_message_makes_it_fail_or_hand_out_an_address_twice(messages: list[Dhcpv6], noise: bytes) -> None:
    server = Dhcpv6Server(CONFIG)
    with contextlib.suppress(WireError):
        server.handle(dhcpv6.parse(b"\1\0\0\1" + noise), MAC, 0)
    for now, message in enumerate(messages):
        answer = server.handle(message, MAC, now * SECOND).message
        if answer is not None:
            assert dhcpv6.parse(dhcpv6.emit(answer)) == answer
    mine, others = bound(server, now=10_000 * SECOND), bound(server, OTHER, now=10_000 * SECOND)
    assert mine != others
