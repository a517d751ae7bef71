"""Impairments in a world's description: for both directions, for one, or both; errors with file and line."""

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.link.settings import Burst, Constant, Impairments
from guestnet.world.described.impair import LinkImpairments
from guestnet.world.profiles.load import parse_profile

PROFILE = """
name = "flaky"
[hosts.laptop]
[hosts.internet]
[links.wifi]
ends = { laptop = ["10.0.0.1/24"], internet = ["10.0.0.2/24"] }
"""


def impaired(text: str) -> LinkImpairments:
    found = parse_profile(f"{PROFILE}impair = {text}\n", "flaky.toml").links["wifi"].impair
    assert found is not None
    return found


def test_a_link_is_as_it_should_be_unless_said_otherwise() -> None:
    assert parse_profile(PROFILE, "flaky.toml").links["wifi"].impair is None


def test_settings_are_for_both_directions() -> None:
    link = impaired('{ delay = "20ms", loss = { kind = "burst", mean = "3%", length = 5 } }')
    assert link.of("up") == link.of("down") == Impairments(delay="20ms", loss=Burst("3%", 5))


def test_a_direction_has_the_common_ones_and_its_own() -> None:
    link = impaired('{ delay = "20ms", up = { rate = "5Mbit/s" }, down = { delay = "1ms", mtu = 1400 } }')
    assert link.of("up") == Impairments(delay="20ms", rate="5Mbit/s")
    assert link.of("down") == Impairments(delay="1ms", mtu=1400)


def test_down_is_a_setting_too() -> None:
    assert impaired("{ down = true }").of("up") == Impairments(down=True)


def test_a_filter_is_for_the_settings_beside_it() -> None:
    link = impaired('{ loss = "1%", only = "tcp", down = { delay = "5ms" } }')
    assert link.of("down").delay == Constant("5ms")
    assert link.of("down").only is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ los = 1 }", "flaky.toml:7: links.wifi.impair.los: unknown key"),
        ('{ loss = "200%" }', "flaky.toml:7: links.wifi.impair.loss: '200%' is no share"),
        ('{ up = { rate = "5" } }', "flaky.toml:7: links.wifi.impair.up.rate: '5' is no rate"),
        ('{ down = { rat = "5" } }', "flaky.toml:7: links.wifi.impair.down.rat: unknown key"),
        ('{ loss = { kind = "burst", mean = "3%", length = 0.5 } }', "links.wifi.impair.loss: length is 0.5"),
        ("3", "flaky.toml:7: links.wifi.impair: a value of type int"),
    ],
)
def test_what_cannot_be_is_said_with_file_and_line(text: str, said: str) -> None:
    with pytest.raises(DescriptionError) as error:
        impaired(text)
    assert said in str(error.value)
