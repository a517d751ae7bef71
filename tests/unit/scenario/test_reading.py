"""What the tools of a guest print, as they print it."""

import pytest

from guestnet.core.errors import DescriptionError, GuestError
from guestnet.scenario import reading
from guestnet.scenario.matchers.endpoint import Endpoint
from guestnet.scenario.results import Address

DIG = """;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 2143
;; flags: qr rd ra; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 1

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 4096
;; ANSWER SECTION:
www.example.\t\t300\tIN\tCNAME\tshop.example.
shop.example.\t\t60\tIN\tA\t203.0.113.10

;; Query time: 4 msec
;; SERVER: 192.168.65.1#53(192.168.65.1) (UDP)
;; WHEN: Fri Nov 20 18:13:32 UTC 2026
;; MSG SIZE  rcvd: 83
"""


def test_an_answer_of_dig() -> None:
    answer = reading.answer("www.example", "A", DIG)

    assert answer.rcode == "NOERROR"
    assert answer.addresses == ["203.0.113.10"]
    assert answer.cname == "shop.example"
    assert answer.records == ["CNAME shop.example.", "A 203.0.113.10"]
    assert (answer.ttl, answer.server, answer.seconds) == (300, "192.168.65.1", 0.004)
    assert not answer.timed_out


def test_a_name_that_dig_says_not_to_exist() -> None:
    text = ";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 9\n;; Query time: 900 usec\n"

    answer = reading.answer("nowhere.example", "A", text)

    assert (answer.rcode, answer.addresses, answer.cname, answer.ttl) == ("NXDOMAIN", [], "", None)
    assert answer.seconds == 0.0009


def test_a_resolver_that_does_not_answer_dig() -> None:
    answer = reading.answer("a.example", "A", ";; connection timed out; no servers could be reached\n")

    assert answer.timed_out
    assert answer.rcode == ""


IPUTILS = """PING shop.example (203.0.113.10) 56(84) bytes of data.
64 bytes from 203.0.113.10: icmp_seq=1 ttl=63 time=1.50 ms
64 bytes from 203.0.113.10: icmp_seq=1 ttl=63 time=1.61 ms (DUP!)
64 bytes from 203.0.113.10: icmp_seq=2 ttl=63 time=0.250 ms

--- shop.example ping statistics ---
3 packets transmitted, 2 received, +1 duplicates, 33.3333% packet loss, time 400ms
rtt min/avg/max/mdev = 0.250/0.875/1.500/0.625 ms
"""
BUSYBOX = """PING 192.168.65.1 (192.168.65.1): 56 data bytes
64 bytes from 192.168.65.1: seq=0 ttl=64 time=0.312 ms

--- 192.168.65.1 ping statistics ---
1 packets transmitted, 1 packets received, 0% packet loss
round-trip min/avg/max = 0.312/0.312/0.312 ms
"""
IPUTILS6 = """PING shop.example(2001:db8::10) 1400 data bytes
From fd65:6775:6573:7400::1 icmp_seq=1 Packet too big: mtu=1280
1408 bytes from 2001:db8::10: icmp_seq=2 ttl=64 time=1.57 ms

--- shop.example ping statistics ---
"""
UNREACHABLE = """PING dead.example (203.0.113.99) 56(84) bytes of data.
From 192.168.65.1 icmp_seq=1 Destination Host Unreachable

--- dead.example ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms
"""


def test_pings_of_both_kinds() -> None:
    one = reading.ping("shop.example", IPUTILS)
    assert (one.sent, one.received, one.rtts, one.address) == (3, 2, [0.0015, 0.00025], "203.0.113.10")
    other = reading.ping("192.168.65.1", BUSYBOX)
    assert (other.sent, other.received, other.rtts) == (1, 1, [0.000312])


def test_a_ping_over_ipv6() -> None:
    text = IPUTILS6 + "2 packets transmitted, 1 received, +1 errors, 50% packet loss, time 1ms\n"
    ping = reading.ping("shop.example", text)

    assert (ping.address, ping.sent, ping.received, ping.rtts) == ("2001:db8::10", 2, 1, [0.00157])
    assert ping.errors == ["Packet too big: mtu=1280"]


def test_an_unreachable_ping() -> None:
    ping = reading.ping("dead.example", UNREACHABLE)

    assert (ping.sent, ping.received, ping.errors) == (1, 0, ["Destination Host Unreachable"])


def test_a_ping_that_says_nothing_of_packets() -> None:
    with pytest.raises(GuestError, match=r"ping a said no counts: ping: bad option"):
        reading.ping("a", "ping: bad option\n")


@pytest.mark.parametrize(
    ("text", "error", "source"),
    [
        ("remote 203.0.113.10 81\nlocal 192.168.65.3 40000\nerrno 111\ntook 0.5\n", "ECONNREFUSED", True),
        ("remote 10.1.0.1 7\nlocal 0.0.0.0 0\nerrno 101\ntook 0.5\n", "ENETUNREACH", False),
        ("remote 203.0.113.10 81\nlocal 192.168.65.3 40000\ngave-up\ntook 0.5\n", "GAVE_UP", True),
        ("unresolved Name or service not known\ntook 0.5\n", "UNRESOLVED", False),
        ("remote 203.0.113.10 80\nlocal 192.168.65.3 40000\ndone\ntook 0.5\n", "", True),
        ("errno 99999\ntook 0.5", "errno 99999", False),
    ],
)
def test_what_a_socket_told(text: str, error: str, source: bool) -> None:
    told = reading.Told(text)

    assert told.error == error
    assert told.local == (Endpoint("192.168.65.3", 40000) if source else None)
    assert told.seconds == 0.5


def test_a_socket_that_told_nothing() -> None:
    with pytest.raises(GuestError, match="perl failed: Can't locate Socket"):
        reading.Told("Can't locate Socket.pm\n")


LEASE = """broadcast='192.168.65.255'
dns='192.168.65.1 192.168.65.9'
domain='guest.example'
hostname='guest1'
interface='eth0'
ip='192.168.65.3'
lease='86400'
mask='24'
mtu='1500'
opt53='05'
router='192.168.65.1'
serverid='192.168.65.1'
siaddr='0.0.0.0'
subnet='255.255.255.0'
weird='it'"'"'s'
"""


def test_a_lease() -> None:
    lease = reading.lease(LEASE)

    assert (lease.address, lease.mask, lease.router) == ("192.168.65.3", "255.255.255.0", "192.168.65.1")
    assert lease.dns == ["192.168.65.1", "192.168.65.9"]
    assert (lease.domain, lease.server, lease.mtu, lease.seconds) == (
        "guest.example",
        "192.168.65.1",
        1500,
        86400,
    )
    assert lease.options["weird"] == "it's"


def test_a_lease_with_little_in_it() -> None:
    lease = reading.lease("ip='10.0.0.2'\n")

    assert (lease.router, lease.dns, lease.mtu) == ("", [], 0)
    with pytest.raises(GuestError, match="no address"):
        reading.lease("interface='eth0'\n")


def test_addresses() -> None:
    text = (
        '[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},'
        '{"ifname":"eth0","addr_info":[{"family":"inet6","local":"fe80::1","prefixlen":64},{}]}]'
    )

    assert reading.addresses(text) == [
        Address(interface="lo", address="127.0.0.1", prefix=8),
        Address(interface="eth0", address="fe80::1", prefix=64),
    ]
    assert [one.family for one in reading.addresses(text)] == [4, 6]


@pytest.mark.parametrize(
    ("text", "octets"),
    [(7, 7), ("7", 7), ("10MiB", 10 << 20), ("64 KiB", 65536), ("1.5GB", 1_500_000_000), ("2k", 0)],
)
def test_sizes(text: int | str, octets: int) -> None:
    if octets:
        assert reading.size(text) == octets
    else:
        with pytest.raises(DescriptionError, match="is no size"):
            reading.size(text)


ADDRESSES = """[{"ifname": "eth0", "addr_info": [
    {"family": "inet6", "local": "fd65::9", "prefixlen": 64, "scope": "global", "tentative": true},
    {"family": "inet6", "local": "fd65::3", "prefixlen": 64, "scope": "global", "dynamic": true},
    {"family": "inet6", "local": "fe80::3", "prefixlen": 64, "scope": "link"}]}]"""
ROUTES = '[{"dst": "default", "gateway": "fe80::1", "protocol": "ra", "expires": 1798}]'


def test_autoconfiguration() -> None:
    conf = "search lab\nnameserver 192.168.65.1\nnameserver fd65::1\nnameserver fe80::1%eth0\n"

    found = reading.autoconfiguration(ADDRESSES, ROUTES, "1400\n", conf)

    assert (found.address, found.prefix, found.link_local) == ("fd65::3", 64, "fe80::3")
    assert (found.router, found.mtu, found.dns) == ("fe80::1", 1400, ["fd65::1", "fe80::1%eth0"])


@pytest.mark.parametrize(("addresses", "routes"), [("[]", ROUTES), (ADDRESSES, "[]"), ("[{}]", ROUTES)])
def test_no_autoconfiguration(addresses: str, routes: str) -> None:
    with pytest.raises(GuestError, match="no IPv6"):
        reading.autoconfiguration(addresses, routes, "1500", "")


def test_a_dhcpv6_answer() -> None:
    text = "REASON='NBI'\nnew_domain_name='lab.example. '\nnew_domain_name_servers='fd65::1 fd65::2 '\n"

    answer = reading.dhcpv6_answer(text, ["fd65::5d"])

    assert (answer.addresses, answer.dns, answer.domain) == (
        ["fd65::5d"],
        ["fd65::1", "fd65::2"],
        "lab.example",
    )
    assert answer.options["REASON"] == "NBI"
