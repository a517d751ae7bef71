"""The words that a laptop's firewall gets; whether they do what they say is for scenarios/vpn."""

from typing import Any

from guestnet.world.described.vpn import Vpn
from guestnet.world.vpn.policy import gateway_rules, laptop_rules, mute_rules, no_rules

NONE = "table inet vpn-corp\ndelete table inet vpn-corp\n"


def rules(*, is_up: bool = True, uplinks: tuple[str, ...] = ("wifi", "lte"), **fields: Any) -> str:
    vpn = Vpn(
        ends={"laptop": ("10.20.255.2/24",), "gw": ("10.20.255.1/24",)},
        endpoint="198.51.100.20",
        **{"routes": ("10.20.0.0/16",)} | fields,
    )
    local = ["192.168.1.0/24", "192.168.1.0/25", "2001:db8:1::/64"]
    return laptop_rules("corp", vpn, mark=51820, uplinks=uplinks, local=local, is_up=is_up)


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_without_a_policy_there_is_no_table() -> None:
    assert rules() == rules(is_up=False) == no_rules("corp") == NONE


def test_a_kill_switch_lets_the_tunnel_and_the_local_network_out() -> None:
    told = lines(rules(kill_switch=True, routes=("0.0.0.0/0",)))
    start = told.index("chain leaving {")
    assert told[start + 1] == "meta mark 0xca6c accept"
    end = told.index("}", start)
    assert told[end - 3 : end] == [
        "ip daddr { 192.168.1.0/24 } accept",
        "ip6 daddr { 2001:db8:1::/64 } accept",
        "drop",
    ]
    assert told.count('oifname { "wifi", "lte" } jump leaving') == 2


def test_a_kill_switch_of_a_split_tunnel_is_for_its_routes() -> None:
    told = lines(rules(kill_switch=True, routes=("10.20.0.0/16", "2001:db8:20::/48")))
    assert "ip daddr { 10.20.0.0/16 } drop" in told
    assert "ip6 daddr { 2001:db8:20::/48 } drop" in told
    assert "drop" not in told


def test_a_kill_switch_holds_while_the_tunnel_is_lost_and_other_policies_do_not() -> None:
    others = ("host_only", "block_local", "clamp_mss")
    policies: dict[str, Any] = dict.fromkeys(others, True) | {"frag_needed": False}
    assert rules(is_up=False, **policies) == NONE
    assert rules(is_up=False, kill_switch=True, **policies) == rules(is_up=False, kill_switch=True)


def test_a_blocked_local_network_comes_before_the_kill_switchs_leave() -> None:
    told = lines(rules(block_local=True, kill_switch=True, routes=("0.0.0.0/0",)))
    blocked = "ip daddr { 192.168.1.0/24, 224.0.0.0/4, 255.255.255.255/32 } drop"
    assert told.index(blocked) < told.index("ip daddr { 192.168.1.0/24 } accept")


def test_host_only_is_about_what_is_forwarded() -> None:
    told = lines(rules(host_only=True))
    chain = told.index("chain forwarded {")
    assert told[chain + 1 : chain + 4] == [
        "type filter hook forward priority filter; policy accept;",
        'oifname "corp" drop',
        'iifname "corp" drop',
    ]


def test_a_laptop_without_an_uplink_has_nothing_to_shut() -> None:
    assert rules(kill_switch=True, block_local=True, uplinks=()) == NONE


def test_a_black_hole_is_at_both_ends() -> None:
    vpn = Vpn(ends={"laptop": (), "gw": ()}, endpoint="198.51.100.20", frag_needed=False)
    assert "icmp type destination-unreachable icmp code frag-needed drop" in lines(rules(frag_needed=False))
    told = lines(gateway_rules("corp", vpn))
    assert told.count("icmpv6 type packet-too-big drop") == 2
    assert gateway_rules("corp", Vpn(ends=vpn.ends, endpoint=vpn.endpoint)) == NONE


def test_a_mute_concentrator_has_a_table_of_its_own_until_it_speaks_again() -> None:
    told = lines(mute_rules("corp", 51820))
    assert "table inet mute-corp {" in told
    assert "udp dport 51820 drop" in told
    assert "udp sport 51820 drop" in told
    assert mute_rules("corp", None).splitlines() == [
        "table inet mute-corp",
        "delete table inet mute-corp",
    ]
