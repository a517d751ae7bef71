"""Hypothesis strategies for the structs of the wire."""

from hypothesis import strategies as st

from harness.core.address import Mac
from harness.wire import dhcp, icmp, ipv4, tcp, udp
from harness.wire.arp import Arp, Operation
from harness.wire.ethernet import Ethernet

ip4s = st.binary(min_size=4, max_size=4)
macs = st.binary(min_size=6, max_size=6).map(Mac)
u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
payloads = st.binary(max_size=2000)

ethernets = st.builds(Ethernet, macs, macs, u16, payloads)
arps = st.builds(Arp, st.sampled_from(Operation), macs, ip4s, macs, ip4s)
ipv4s = st.builds(
    ipv4.Ipv4,
    ip4s,
    ip4s,
    u8,
    payloads,
    ttl=u8,
    identification=u16,
    dont_fragment=st.booleans(),
    more_fragments=st.booleans(),
    fragment_offset=st.integers(0, 7000).map(lambda units: units * 8),
    tos=u8,
    options=st.integers(0, 10).flatmap(lambda words: st.binary(min_size=words * 4, max_size=words * 4)),
)
icmps = st.builds(icmp.Icmp, u8, u8, u32, payloads)
datagrams = st.builds(udp.Datagram, u16, u16, payloads)
segments = st.builds(
    tcp.Segment,
    u16,
    u16,
    u32,
    u32,
    st.integers(0, 511).map(tcp.Flags),
    u16,
    payloads,
    urgent=u16,
    mss=st.none() | u16,
    window_scale=st.none() | u8,
    sack_permitted=st.booleans(),
    sack=st.just(()) | st.tuples(st.tuples(u32, u32)),
    timestamps=st.none() | st.tuples(u32, u32),
)

text = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=300)
domains = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=63), min_size=1, max_size=4
).map(".".join)


def _route(prefix: int, network: int, gateway: bytes) -> dhcp.Route:
    mask = 0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF
    return dhcp.Route((network & mask).to_bytes(4, "big"), prefix, gateway)


routes = st.builds(_route, st.integers(0, 32), u32, ip4s)
addresses = st.lists(ip4s, max_size=70).map(tuple)
dhcp_options = st.builds(
    dhcp.Options,
    message_type=st.none() | st.sampled_from(dhcp.MessageType),
    subnet_mask=st.none() | ip4s,
    routers=addresses,
    dns_servers=addresses,
    host_name=st.none() | text,
    domain_name=st.none() | text,
    interface_mtu=st.none() | u16,
    requested_address=st.none() | ip4s,
    lease_time=st.none() | u32,
    server_identifier=st.none() | ip4s,
    parameter_request_list=st.lists(u8, max_size=80).map(tuple),
    max_message_size=st.none() | u16,
    client_identifier=st.none() | st.binary(max_size=300),
    captive_portal=st.none() | text,
    domain_search=st.lists(domains, max_size=5).map(tuple),
    classless_routes=st.lists(routes, max_size=10).map(tuple),
    other=st.dictionaries(st.sampled_from([2, 4, 43, 82, 224]), st.binary(max_size=600), max_size=3),
)
dhcps = st.builds(
    dhcp.Dhcp,
    st.sampled_from(dhcp.Op),
    u32,
    macs,
    dhcp_options,
    ciaddr=ip4s,
    yiaddr=ip4s,
    siaddr=ip4s,
    giaddr=ip4s,
    secs=u16,
    broadcast=st.booleans(),
    hops=u8,
    sname=st.binary(max_size=64).map(lambda data: data.rstrip(b"\0")),
    file=st.binary(max_size=128).map(lambda data: data.rstrip(b"\0")),
)
