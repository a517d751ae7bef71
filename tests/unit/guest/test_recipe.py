"""Recipes: the one that is shipped is sound, and what is wrong with another is said by file and key."""

from pathlib import Path

import pytest

from guestnet.core.errors import DescriptionError
from guestnet.guest import recipe

SOUND = """
format = 1
name = "mine"
release = "bookworm"
[packages]
kernel = "linux-image-cloud-amd64"
install = ["busybox-static"]
[root]
include = ["/usr/bin/busybox"]
[releases.trixie]
install = ["sqv"]
include = ["/usr/bin/sqv"]
"""


def write(folder: Path, text: str) -> Path:
    place = folder / "mine"
    (place / "initramfs").mkdir(parents=True)
    (place / "initramfs" / "init").write_text("#!/bin/busybox sh\n")
    (place / "image.toml").write_text(text)
    return place


def test_the_shipped_recipe_is_sound() -> None:
    assert "tiny" in recipe.names()
    assert recipe.load("tiny").packages.kernel == "linux-image-cloud-amd64"
    assert recipe.load("tiny").release == "bookworm"


def test_a_recipe_of_ones_own_is_found_and_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, SOUND)
    monkeypatch.setenv(recipe.IMAGES_VARIABLE, str(tmp_path))

    assert recipe.load("mine").folder == tmp_path / "mine"
    assert {"mine", "tiny"} <= set(recipe.names())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[root]", "[root]\ncolour = 1"), "colour"),
        (("[packages]", "[packages]\nremove = []"), "remove"),
        (("format = 1", "format = 9"), "format is 9"),
        (('install = ["busybox-static"]', ""), "install"),
        (('include = ["/usr/bin/busybox"]', "include = 3"), "include"),
        (('name = "mine"', 'name = "other"'), "name"),
        (("format = 1", "format = = 1"), "image.toml"),
        (('release = "bookworm"', ""), "release is missing: name the release of Debian .*: bookworm, trixie"),
        (('release = "bookworm"', 'release = "hamm"'), "release is 'hamm': .*: bookworm, trixie"),
        (('install = ["sqv"]', "remove = []"), "remove"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    folder = write(tmp_path, SOUND.replace(*change))

    with pytest.raises(DescriptionError, match=said) as caught:
        recipe.read(folder)
    assert "image.toml" in str(caught.value)


def test_a_release_adds_what_only_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, SOUND)
    monkeypatch.setenv(recipe.IMAGES_VARIABLE, str(tmp_path))

    own, other = recipe.load("mine"), recipe.load("mine:trixie")

    assert (own.release, own.packages.install) == ("bookworm", ("busybox-static",))
    assert (other.release, other.packages.install) == ("trixie", ("busybox-static", "sqv"))
    assert own.root.include == ("/usr/bin/busybox",)
    assert other.root.include == ("/usr/bin/busybox", "/usr/bin/sqv")
    assert recipe.load("mine:bookworm") == own


def test_a_release_that_is_unknown_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DescriptionError, match="'hamm': give one of: bookworm, trixie"):
        recipe.load("tiny:hamm")


def test_a_recipe_without_a_first_process_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, SOUND)
    (folder / "initramfs" / "init").unlink()

    with pytest.raises(DescriptionError, match="initramfs/init"):
        recipe.read(folder)


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DescriptionError, match="tiny"):
        recipe.load("huge")


def test_the_digest_follows_every_file_and_no_mode(tmp_path: Path) -> None:
    folder = write(tmp_path, SOUND)
    first = recipe.read(folder).digest

    (folder / "initramfs" / "init").chmod(0o700)
    assert recipe.read(folder).digest == first

    (folder / "root").mkdir()
    (folder / "root" / "motd").write_text("hello")
    assert recipe.read(folder).digest != first
