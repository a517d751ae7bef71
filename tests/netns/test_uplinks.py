"""The laptop's uplinks, routers' NAT and firewalls, as the kernel has them."""

import json
from collections.abc import Iterator

import msgspec
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.core.events import UplinkChanged
from guestnet.journal.journal import JOURNAL, JournalReader
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.protocol import Activity, RunOn
from guestnet.lab.requests.world import RenumberUplink, ResolversOf, Roam, SetUplink, UplinkStates
from guestnet.world.profiles.load import load_profile
from tests.netns.conftest import StartLab

pytestmark = pytest.mark.netns

HOME = "198.51.100.1"
"""The internet's end of the home's line."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    description = LabDescription(scenario="uplinks", seed=1, guests=0, profile="roaming")
    with LabProcess.start(description, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def roaming(lab: LabProcess) -> Iterator[LabProcess]:
    """The lab as it started."""
    yield lab
    lab.call(Roam(uplink=None))
    for uplink, addresses in (("wifi", ("192.168.1.10/24", "2001:db8:1::10/64")),):
        gateways = ("192.168.1.1", "2001:db8:1::1")
        lab.call(RenumberUplink(uplink=uplink, addresses=addresses, gateways=gateways))
    lab.call(Roam(uplink="wifi"))


def ip(lab: LabProcess, *words: str, host: str = "laptop") -> list[dict[str, object]]:
    ran = lab.call(RunOn(host=host, command=["ip", "-json", *words]))
    assert ran.status == 0, ran.stderr
    found: list[dict[str, object]] = json.loads(ran.stdout or "[]")
    return found


def answers(lab: LabProcess, address: str) -> bool:
    return lab.call(RunOn(host="laptop", command=["ping", "-c1", "-W2", address])).status == 0


def test_an_uplink_brings_addresses_routes_and_resolvers_and_takes_them_along(roaming: LabProcess) -> None:
    def defaults() -> list[tuple[object, object, object]]:
        return [
            (route["dev"], route["gateway"], route["metric"])
            for version in ("-4", "-6")
            for route in ip(roaming, version, "route", "show", "default")
        ]

    home = [("wifi", "192.168.1.1", 600), ("wifi", "2001:db8:1::1", 600)]
    modem = [("lte", "100.64.0.1", 700), ("lte", "2001:db8:3::1", 700)]
    assert defaults() == home
    assert roaming.call(ResolversOf()) == ["192.168.1.1", "2001:db8:1::1"]

    roaming.call(SetUplink(uplink="lte", up=True))
    assert sorted(defaults(), key=str) == sorted(home + modem, key=str)
    assert roaming.call(ResolversOf()) == ["192.168.1.1", "2001:db8:1::1"]

    roaming.call(SetUplink(uplink="wifi", up=False))
    assert defaults() == modem
    assert roaming.call(ResolversOf()) == ["100.64.53.53", "2001:db8:3:53::53"]
    assert ip(roaming, "address", "show", "dev", "wifi")[0]["addr_info"] == []

    roaming.call(SetUplink(uplink="lte", up=False))
    assert defaults() == []
    assert not any(30000 <= int(str(rule["priority"])) < 32000 for rule in ip(roaming, "rule", "show"))
    assert roaming.call(ResolversOf()) == []


def test_packets_go_as_soon_as_an_uplink_is_up(roaming: LabProcess) -> None:
    for uplink in ("lte", "wifi", "ethernet") * 2:
        roaming.call(Roam(uplink=uplink))

        assert answers(roaming, "203.0.113.10")


def test_up_again_is_no_error_and_down_again_neither(roaming: LabProcess) -> None:
    for up in (True, True, False, False, True):
        roaming.call(SetUplink(uplink="wifi", up=up))

    assert answers(roaming, "203.0.113.10")
    assert [state.name for state in roaming.call(UplinkStates()) if state.up] == ["wifi"]


def test_a_renumbered_uplink_has_the_new_address_alone(roaming: LabProcess) -> None:
    roaming.call(RenumberUplink(uplink="wifi", addresses=("192.168.1.99/24",)))

    (link,) = ip(roaming, "-4", "address", "show", "dev", "wifi")
    assert [each["local"] for each in link["addr_info"]] == ["192.168.1.99"]  # type: ignore[attr-defined]
    assert answers(roaming, HOME)
    assert answers(roaming, "2001:db8::10")


def test_a_network_without_the_old_gateway_leaves_no_way_by_it(roaming: LabProcess) -> None:
    roaming.call(RenumberUplink(uplink="wifi", addresses=("10.9.0.2/24",)))

    assert ip(roaming, "-4", "route", "show", "default") == []
    assert [route["gateway"] for route in ip(roaming, "-6", "route", "show", "default")] == ["2001:db8:1::1"]
    roaming.call(RenumberUplink(uplink="wifi", addresses=("2001:db8:aa::2/64",)))
    assert ip(roaming, "-6", "route", "show", "default") == []


def test_each_uplink_keeps_the_connections_of_its_own_addresses(roaming: LabProcess) -> None:
    roaming.call(SetUplink(uplink="lte", up=True))
    own = {
        state.name: address.partition("/")[0]
        for state in roaming.call(UplinkStates())
        for address in state.addresses
        if state.up
    }
    assert sorted(own) == ["lte", "wifi"]
    for uplink, source in own.items():
        to = "2001:db8::10" if ":" in source else "203.0.113.10"
        (route,) = ip(roaming, "route", "get", to, "from", source)
        assert route["dev"] == uplink


def test_roaming_to_where_one_is_changes_nothing(roaming: LabProcess) -> None:
    reader = JournalReader(roaming.artifacts / JOURNAL)

    def changes() -> int:
        roaming.call(Activity(journal=0, capture=0, timeout=10))
        return sum(isinstance(event, UplinkChanged) for event in reader.read())

    assert changes() > 0
    roaming.call(Roam(uplink="wifi"))
    assert changes() == 0
    roaming.call(Roam(uplink="lte"))
    assert changes() == 2


def test_an_uplink_that_is_down_is_renumbered_for_later(roaming: LabProcess) -> None:
    roaming.call(Roam(uplink=None))
    roaming.call(RenumberUplink(uplink="wifi", addresses=("192.168.1.98/24",)))
    assert ip(roaming, "-4", "address", "show", "dev", "wifi") == []

    roaming.call(Roam(uplink="wifi"))
    assert answers(roaming, HOME)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (SetUplink(uplink="dsl", up=True), "there is no uplink 'dsl': there are wifi, ethernet, lte"),
        (Roam(uplink="dsl"), "there is no uplink 'dsl'"),
        (RenumberUplink(uplink="wifi", addresses=("nowhere",)), "'nowhere' is no address"),
        (RenumberUplink(uplink="wifi", addresses=("192.168.1.7",)), "is no address with a prefix length"),
        (
            RenumberUplink(uplink="wifi", addresses=("10.0.0.2/24",), gateways=("192.168.1.1",)),
            r"a gateway of 192\.168\.1\.1 is in none of",
        ),
    ],
)
def test_what_an_uplink_can_not_is_told(
    roaming: LabProcess, request_: SetUplink | Roam | RenumberUplink, told: str
) -> None:
    with pytest.raises(DescriptionError, match=told):
        roaming.call(request_)
    assert answers(roaming, "203.0.113.10")


def test_a_router_forgets_when_it_is_told_to(lab: LabProcess) -> None:
    path = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
    kept = {
        host: lab.call(RunOn(host=host, command=["cat", path, f"{path}_stream"])).stdout.split()
        for host in ("home-router", "carrier")
    }

    assert kept == {"home-router": ["30", "120"], "carrier": ["65", "65"]}


def test_a_rule_that_nft_refuses_is_told_with_its_place(start_lab: StartLab) -> None:
    world = load_profile("office")
    core = msgspec.structs.replace(world.hosts["office-core"], rules=("accept", "tcp dport banana drop"))
    broken = msgspec.structs.replace(world, hosts=world.hosts | {"office-core": core})

    with pytest.raises(DescriptionError, match=r"^hosts\.office-core\.rules\[1\]: nft refuses"):
        start_lab(profile=broken)


def test_guests_that_must_have_a_network_of_the_laptop_are_refused(start_lab: StartLab) -> None:
    with pytest.raises(DescriptionError, match=r"the guests' 192\.168\.1\.0/24 overlaps .* of link wifi"):
        start_lab(subnet="192.168.1.0/24")
