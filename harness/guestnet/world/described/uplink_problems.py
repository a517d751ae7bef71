"""What can't be in the uplinks of a world, and in what a host does to packets that it forwards."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

from guestnet.world.described.model import LAPTOP, METRICS, Host, Link, Uplink
from guestnet.world.described.place import Place, Problem, is_address, is_interface, on_link

MAX_METRIC = 1 << 31


def link_of(name: str, uplink: Uplink) -> str:
    """The link of the uplink called ``name``."""
    return uplink.link or name


def metric_of(uplink: Uplink) -> int:
    """Of its routes: its own, or that of its kind."""
    return METRICS[uplink.kind] if uplink.metric is None else uplink.metric


def uplink_problems(
    uplinks: dict[str, Uplink], hosts: dict[str, Host], links: dict[str, Link]
) -> Iterator[Problem]:
    """Everything impossible in ``uplinks`` but their routes, in the order of reading."""
    owners: dict[str, str] = {}
    for name, uplink in uplinks.items():
        path: Place = ("uplinks", name)
        link = link_of(name, uplink)
        if link not in links or LAPTOP not in links[link].ends:
            theirs = [each for each, one in links.items() if LAPTOP in one.ends]
            allowed = "give one of " + ", ".join(theirs) if theirs else "describe a link with an end there"
            place = (*path, "link") if uplink.link else path
            yield Problem(place, f"the laptop has no link {link!r}", allowed)
            continue
        if (owner := owners.setdefault(link, name)) != name:
            yield Problem((*path, "link"), f"{link} is the link of {owner} already", "give another link")
        if uplink.metric is not None and not 0 <= uplink.metric < MAX_METRIC:
            yield Problem((*path, "metric"), f"a metric of {uplink.metric} can't be", "give 0 or more")
        yield from _gateway_problems((*path, "gateways"), uplink, links[link])
        for index, resolver in enumerate(uplink.resolvers):
            if not is_address(resolver):
                allowed = "write it as 203.0.113.53 or 2001:db8::53"
                yield Problem((*path, "resolvers", index), f"{resolver!r} is no address", allowed)
    if uplinks and LAPTOP in hosts:
        yield from _laptop_problems(hosts[LAPTOP], [links[link] for link in owners])


def _gateway_problems(path: Place, uplink: Uplink, link: Link) -> Iterator[Problem]:
    own = link.ends[LAPTOP]
    versions: set[int] = set()
    for index, gateway in enumerate(uplink.gateways):
        if not is_address(gateway) or not any(on_link(gateway, address) for address in own):
            allowed = "give an address in the prefix of " + (" or ".join(own) or "one of its addresses")
            yield Problem((*path, index), f"{gateway!r} is not on the link", allowed)
        elif any(ip_address(gateway) == ip_interface(address).ip for address in own if is_interface(address)):
            what = f"{gateway} is the laptop itself"
            yield Problem((*path, index), what, "give the address of a router there")
        elif (version := ip_address(gateway).version) in versions:
            yield Problem((*path, index), f"a second gateway of IPv{version}", "give one of each version")
        else:
            versions.add(version)


def _laptop_problems(laptop: Host, uplinks: list[Link]) -> Iterator[Problem]:
    path: Place = ("hosts", LAPTOP)
    if laptop.resolvers:
        yield Problem((*path, "resolvers"), "the uplinks bring theirs", "write them into [uplinks]")
    for index, route in enumerate(laptop.routes):
        by_uplink = any(
            is_address(route.via) and on_link(route.via, address)
            for link in uplinks
            for address in link.ends[LAPTOP]
        )
        if by_uplink:
            allowed = "write it into [uplinks]: as a gateway when it is the default route, else into routes"
            yield Problem((*path, "routes", index), "the route goes with an uplink", allowed)


def forwarding_problems(name: str, host: Host, links: dict[str, Link]) -> Iterator[Problem]:
    """Everything impossible in what ``host`` does when it forwards; rules are nft's to judge."""
    path: Place = ("hosts", name)
    for index, link in enumerate(host.masquerade):
        if link not in links or name not in links[link].ends:
            theirs = [each for each, one in links.items() if name in one.ends]
            allowed = "give one of " + ", ".join(theirs) if theirs else "describe a link with an end there"
            yield Problem((*path, "masquerade", index), f"{name} has no link {link!r}", allowed)
    if not host.forward:
        for key in ("masquerade", "nat_timeouts", "rules"):
            if getattr(host, key):
                yield Problem((*path, key), f"{name} forwards nothing", "give it forward = true")
    for state, seconds in host.nat_timeouts.items():
        if seconds < 1:
            yield Problem((*path, "nat_timeouts", state), f"{seconds} s can't be", "give 1 or more")
    for index, rule in enumerate(host.rules):
        if not rule.strip() or any(char in rule for char in "\n;#") or rule.count("{") != rule.count("}"):
            allowed = 'write one rule of nft(8), as "tcp dport 443 accept"'
            yield Problem((*path, "rules", index), f"{rule!r} is not one rule", allowed)
