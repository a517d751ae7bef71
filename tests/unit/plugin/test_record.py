"""What the record of a run tells others."""

from pathlib import Path

import pytest

from guestnet.plugin.record import shown_profile


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        ("office", "office"),
        ("/home/me/project/scenarios/vpn/branch.toml", "scenarios/vpn/branch.toml"),
        ("scenarios/vpn/branch.toml", "scenarios/vpn/branch.toml"),
        ("/home/me/project/tests/../scenarios/branch.toml", "scenarios/branch.toml"),
        ("/home/me/secret/branch.toml", "branch.toml"),
    ],
)
def test_a_profile_is_told_without_paths_of_the_machine(profile: str, shown: str) -> None:
    assert shown_profile(profile, Path("/home/me/project")) == shown
