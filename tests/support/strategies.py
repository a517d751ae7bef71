"""Hypothesis strategies for the structs of the wire."""

from hypothesis import strategies as st

from guestnet.core.address import Mac
from guestnet.wire import dhcp, dhcpv6, icmp, icmpv6, ipv4, ipv6, ndp, tcp, udp
from guestnet.wire.arp import Arp, Operation
from guestnet.wire.ethernet import Ethernet

ip4s = st.binary(min_size=4, max_size=4)
ip6s = st.binary(min_size=16, max_size=16)
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

# What comes after the extension headers must not be one.
upper_layers = u8.filter(lambda protocol: protocol not in (0, 43, 44, 60))
fragments = st.builds(ipv6.Fragment, st.integers(0, 8000).map(lambda units: units * 8), st.booleans(), u32)
extensions = st.builds(
    ipv6.Extension,
    st.sampled_from([ipv6.NextHeader.ROUTING, ipv6.NextHeader.DESTINATION_OPTIONS]),
    st.integers(0, 4).flatmap(lambda units: st.binary(min_size=6 + 8 * units, max_size=6 + 8 * units)),
)
hop_by_hop = st.builds(ipv6.Extension, st.just(ipv6.NextHeader.HOP_BY_HOP), st.binary(min_size=6, max_size=6))
chains = st.tuples(
    st.just(()) | st.tuples(hop_by_hop),
    st.lists(extensions, max_size=3).map(tuple),
    st.just(()) | st.tuples(fragments),
).map(lambda parts: (*parts[0], *parts[1], *parts[2]))
ipv6s = st.builds(
    ipv6.Ipv6,
    ip6s,
    ip6s,
    upper_layers,
    payloads,
    hop_limit=u8,
    traffic_class=u8,
    flow_label=st.integers(0, 0xFFFFF),
    extensions=chains,
)
icmpv6s = st.builds(icmpv6.Icmpv6, u8, u8, u32, payloads)

_unicast = ip6s.filter(lambda address: address[0] != 0xFF)
_prefixes = st.builds(ndp.Prefix, ip6s, u8, st.booleans(), st.booleans(), u32, u32)
uris = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@%", max_size=255)
_servers = st.lists(ip6s, min_size=1, max_size=3).map(tuple)
ndp_options = st.builds(
    ndp.Options,
    st.none() | macs,
    st.none() | macs,
    st.lists(_prefixes, max_size=2).map(tuple),
    st.none() | st.integers(0, 5).flatmap(lambda units: st.binary(min_size=units * 8, max_size=units * 8)),
    st.none() | u32,
    st.lists(st.builds(ndp.DnsServers, _servers, u32), max_size=2).map(tuple),
    st.lists(st.builds(ndp.DnsSearch, st.lists(domains, max_size=3).map(tuple), u32), max_size=2).map(tuple),
    st.none() | uris,
    st.just(()) | st.tuples(st.tuples(st.just(14), st.binary(min_size=6, max_size=6))),
)
ndps = st.one_of(
    st.builds(ndp.RouterSolicitation, ndp_options),
    st.builds(
        ndp.RouterAdvertisement, u16, u8, st.booleans(), st.booleans(), st.integers(0, 3), u32, u32,
        ndp_options,
    ),
    st.builds(ndp.NeighbourSolicitation, _unicast, ndp_options),
    st.builds(
        ndp.NeighbourAdvertisement, _unicast, st.booleans(), st.booleans(), st.booleans(), ndp_options
    ),
    st.builds(ndp.Redirect, ip6s, ip6s, ndp_options),
)  # fmt: skip

_statuses = st.builds(dhcpv6.Status, u16, st.text(max_size=20))
_duids = st.binary(min_size=3, max_size=130)
_ia_addresses = st.builds(dhcpv6.IaAddress, ip6s, u32, u32, st.none() | _statuses)
dhcpv6_options = st.builds(
    dhcpv6.Options,
    client_id=st.none() | _duids,
    server_id=st.none() | _duids,
    ia_na=st.lists(
        st.builds(
            dhcpv6.IaNa, u32, u32, u32, st.lists(_ia_addresses, max_size=2).map(tuple), st.none() | _statuses
        ),
        max_size=2,
    ).map(tuple),
    option_request=st.lists(u16, max_size=5).map(tuple),
    preference=st.none() | u8,
    elapsed_time=st.none() | u16,
    status=st.none() | _statuses,
    rapid_commit=st.booleans(),
    dns_servers=st.lists(ip6s, max_size=3).map(tuple),
    domain_search=st.lists(domains, max_size=3).map(tuple),
    information_refresh_time=st.none() | u32,
    captive_portal=st.none() | uris,
    other=st.lists(st.tuples(st.sampled_from([15, 25, 39]), st.binary(max_size=40)), max_size=2).map(tuple),
)
dhcpv6s = st.builds(
    dhcpv6.Dhcpv6, st.sampled_from(dhcpv6.MessageType), st.integers(0, 0xFFFFFF), dhcpv6_options
)
