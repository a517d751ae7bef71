"""What an author writes wrongly: a sentence that names it and what is allowed, before anything is asked.

A verdict must not be green by a typo: a connect to a port that can't be is "refused", too.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin, get_type_hints

import msgspec
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.lab.process.client import LabProcess
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.portal import Changes
from guestnet.link.settings import Impairments
from guestnet.scenario import Host, Lab, PortalView, dns, in_lab, tcp, udp
from guestnet.scenario.keywords import Impairing, LabKeys, VpnSettings, Ways
from guestnet.world.described import portal as portal_model
from guestnet.world.described.vpn import FIXED, Vpn
from tests.unit.scenario.fake_lab import FakeLab


@pytest.fixture
def lab(fake: FakeLab) -> Lab:
    return Lab(cast(LabProcess, fake))


def wrong(value: Any) -> Any:
    """``value``, of which a type checker knows nothing."""
    return value


PORTS: list[Callable[[Lab, Any], object]] = [
    lambda lab, port: lab.guest.connect("shop.example", port),
    lambda lab, port: lab.guest.half_close("shop.example", port, b"x"),
    lambda lab, port: lab.guest.udp_echo("shop.example", port, b"x"),
    lambda lab, port: lab.guest.udp_send("shop.example", port, b"x"),
    lambda lab, port: lab.laptop.connect("shop.example", port),
    lambda lab, port: lab.guest.fetch(f"http://shop.example:{port}/"),
    lambda lab, port: lab.guest.download(f"shop.example:{port}", size=1),
    lambda lab, port: lab.guest.upload(f"http://shop.example:{port}/", size=1),
]


@pytest.mark.parametrize("verb", PORTS)
@pytest.mark.parametrize("port", [80800, 65536, -1, 0, "htp"])
def test_a_port_that_can_not_be_is_asked_of_nobody(
    lab: Lab, fake: FakeLab, verb: Callable[[Lab, Any], object], port: object
) -> None:
    with pytest.raises(DescriptionError, match=r"is no port|is no URL"):
        verb(lab, port)
    assert fake.runs == []


def test_a_port_is_a_number(lab: Lab) -> None:
    with pytest.raises(DescriptionError) as caught:
        lab.guest.connect("shop.example", 80800)
    assert str(caught.value) == "80800 is no port: give a number from 1 to 65535"
    with pytest.raises(DescriptionError, match="True is no port"):
        lab.guest.connect("shop.example", True)


@pytest.mark.parametrize(
    "end", [65536, -1, "203.0.113.10:80800", ("203.0.113.10", 80800), (None, -1), ("203.0.113.10", "80")]
)
def test_a_matcher_for_a_port_that_can_not_be_is_refused(end: Any) -> None:
    with pytest.raises(DescriptionError, match="is no port"):
        tcp.syn(to=end)
    with pytest.raises(DescriptionError, match="is no port"):
        udp.datagram(source=end)


def test_port_0_can_be_on_the_wire() -> None:
    assert tcp.syn(to=0).describe() == "a TCP SYN to port 0"


ODD: list[tuple[Callable[[Lab], object], str]] = [
    (lambda lab: lab.guest.resolve("shop.example", "AAAAA"), "'AAAAA' is no type of records"),
    (lambda lab: lab.guest.fetch("htp://shop.example/"), "'htp://shop.example/' is no URL of HTTP"),
    (lambda lab: lab.guest.download("http:///x"), "is no URL of HTTP"),
    (lambda lab: lab.guest.ping("shop.example", count=0), "0 pings of 56 octets can't be"),
    (lambda lab: lab.guest.ping("shop.example", size=70_000), "1 or more, of 0 to 65507 octets"),
    (lambda lab: lab.guest.connect("shop.example", 80, family=wrong(5)), "there is no family 5"),
    (lambda lab: lab.guest.connect("shop.example", 80, timeout="5"), "'5' is no duration"),
    (lambda lab: lab.guest.upload("shop.example", size=-1), "-1 octets can't be"),
    (lambda lab: dns.answer(rcode="NXDOMIAN"), "'NXDOMIAN' is no response code of DNS"),
    (lambda lab: dns.query("shop.example", "AAAAA"), "'AAAAA' is no type of records of DNS"),
    (lambda lab: dns.answer(addresses=["shop.example"]), "'shop.example' is no IP address"),
    (lambda lab: lab.portal.set(redirect=wrong(301)), "redirect=301 can't be: give 200 or 302 or 303"),
    (lambda lab: lab.portal.set(session=wrong("1h")), "session='1h' can't be: give a number"),
    (lambda lab: lab.portal.set(**wrong({"redirct": 302})), "has no 'redirct': it has redirect, forge"),
]


@pytest.mark.parametrize(("misuse", "said"), ODD)
def test_a_misuse_is_one_sentence_and_asks_nothing(
    lab: Lab, fake: FakeLab, misuse: Callable[[Lab], object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lab, "portal", PortalView("hotel", lab._observer))
    with pytest.raises(DescriptionError) as caught:
        misuse(lab)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert fake.requests == []


@pytest.mark.parametrize("timeout", [0.25, "250ms"])
def test_every_timeout_is_seconds_or_text(lab: Lab, fake: FakeLab, timeout: float | str) -> None:
    fake.answer(stderr="unresolved x\n")
    Host("laptop", lab._observer).connect("shop.example", 80, timeout=timeout)
    assert fake.runs[-1].command == "perl - connect shop.example 80 0.25 4"


# The keywords are the fields


def fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def test_keywords_have_the_names_of_the_structs_that_check_them() -> None:
    assert list(Impairing.__annotations__) == list(Impairments.__struct_fields__)
    assert list(Ways.__annotations__) == list(portal_model.Ways.__struct_fields__)
    assert list(Ways.__annotations__) == list(Changes.__struct_fields__)
    assert set(VpnSettings.__annotations__) == set(Vpn.__struct_fields__) - FIXED
    assert set(LabKeys.__annotations__) == {*LabDescription.__struct_fields__, "needs"} - {"scenario"}


def test_portal_and_lab_keywords_have_the_types_of_the_structs() -> None:
    assert get_type_hints(Ways) == fields(portal_model.Ways)
    keys, described = get_type_hints(LabKeys), fields(LabDescription)
    assert {name: keys[name] for name in keys.keys() - {"stack", "needs"}} == {
        name: described[name] for name in described.keys() - {"stack", "scenario"}
    }


def test_a_setting_of_a_link_takes_what_the_struct_does_but_no_bare_number() -> None:
    units = {"delay", "jitter", "rate", "burst", "queue"}
    struct = fields(Impairments)
    for name, hint in get_type_hints(Impairing).items():
        bare = {int, float} if name in units else set()
        allowed = {tuple if get_origin(one) is tuple else one for one in get_args(struct[name])}
        given = {tuple if get_origin(one) is Sequence else one for one in get_args(hint) or (hint,)}
        assert given == allowed - {type(None)} - bare, name


def test_the_typed_marker_is_the_marker() -> None:
    assert in_lab(profile="plain", guests=2).mark == pytest.mark.lab(profile="plain", guests=2).mark


if TYPE_CHECKING:
    # Each line is an error to mypy, which would say so if it were none (warn_unused_ignores).
    def misspelt(lab: Lab) -> None:
        lab.guest.connect("shop.example", "http")  # type: ignore[arg-type]
        lab.links.wifi.impair(los="3%")  # type: ignore[call-arg]
        lab.links.wifi.impair(delay=40)  # type: ignore[arg-type]
        lab.vpn.set(kil_switch=True)  # type: ignore[call-arg]
        lab.portal.set(redirct=302)  # type: ignore[call-arg]
        in_lab(profil="plain")  # type: ignore[call-arg]
