"""lab.json is the lab: whatever a description holds is read back equal."""

from pathlib import Path

import msgspec
import pytest

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests import lab_file
from guestnet.lab.requests.description import LabDescription
from guestnet.lab.requests.lab_file import LAB_FILE, ImageFacts, LabFile
from guestnet.world.profiles.load import load_profile, profile_names

PROFILES = profile_names()


@pytest.mark.parametrize("profile", PROFILES)
def test_every_world_is_read_back_equal(profile: str, tmp_path: Path) -> None:
    described = LabDescription(scenario="s", seed=2**63 - 1, profile=load_profile(profile))
    lab_file.save(LabFile(description=described), tmp_path)
    assert lab_file.load(tmp_path).description == described


def test_every_field_is_there(tmp_path: Path) -> None:
    saved = LabFile(
        description=LabDescription(
            scenario="scenarios/test_a.py::test_b[ä]", seed=3, stack="passt", guest="netns", laptop="ipv6",
            subnet="10.9.0.0/24", guests=2, image="tiny:trixie", memory=512, mtu=9000, ipv6="managed",
            offloads=False, boot="cold", lease=False, accelerator="tcg", capture="headers", keepalive=60,
            profile=load_profile("plain"),
        ),
        versions={"guestnet": "1.2.3"},
        image=ImageFacts(name="tiny", release="trixie", version="13.2", digest="ab" * 32),
    )  # fmt: skip
    lab_file.save(saved, tmp_path)
    assert lab_file.load(tmp_path) == saved
    defaults = LabDescription(scenario="", seed=0)
    assert not [
        field for field in saved.description.__struct_fields__
        if getattr(saved.description, field) == getattr(defaults, field)
    ], "a field that is new belongs into this test"  # fmt: skip


def test_what_a_newer_version_says_beside_it_is_skipped_but_not_in_the_description(tmp_path: Path) -> None:
    described = LabDescription(scenario="s", seed=1)
    told = msgspec.to_builtins(LabFile(description=described))
    (tmp_path / LAB_FILE).write_bytes(msgspec.json.encode(told | {"weather": "rain"}))
    assert lab_file.load(tmp_path).description == described

    told["description"]["gravity"] = 2
    (tmp_path / LAB_FILE).write_bytes(msgspec.json.encode(told))
    with pytest.raises(DescriptionError, match=r"lab\.json can't be understood: .*gravity"):
        lab_file.load(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LAB_FILE).write_bytes(content)
    with pytest.raises(DescriptionError, match=r"lab\.json can't be understood") as caught:
        lab_file.load(tmp_path)
    assert caught.value.remedy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"lab\.json: No such file"):
        lab_file.load(tmp_path)
