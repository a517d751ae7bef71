"""Debian's releases: which are known, whose key vouches for each, and where this machine gets Debian from.

What an image is made of must not depend on who builds it. So a recipe names its release, and a release is
one suite alone (``bookworm``), without ``-updates`` and ``-security``: between two point releases that is the
same for everybody on every mirror, and a guest that never sees a real network needs nothing more urgent. It
is verified by the release's own key (``images/keys``), never by what the building machine trusts.

Of the building machine only the way to a mirror is taken: an address in its apt sources, read by apt itself,
whatever their form. Whether a mirror really is one, the key decides.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from guestnet.core.errors import DescriptionError, EnvironmentMissing
from guestnet.system.data import data_folder

MIRROR_VARIABLE: Final = "GUESTNET_MIRROR"
MIRRORS: Final = "https://www.debian.org/mirror/list"
"""Where Debian names its mirrors; messages point there."""

_KEY: Final = "debian-archive-{}-stable.asc"
_SUITES: Final = frozenset(
    {"unstable", "testing", "stable", "oldstable", "oldoldstable"}
    | {"sid", "duke", "forky", "trixie", "bookworm", "bullseye", "buster"}
)
_URL: Final = re.compile(r"[a-z][a-z0-9+]*:[^\s,\[\]']+")
_LISTED: Final = re.compile(r"'(?P<mirror>[^']+)/dists/(?P<suite>[^/']+)/main/binary-")
_SECRET: Final = re.compile(r"//[^/@]*@")


def releases() -> list[str]:
    """The releases that images can be made of, sorted: those whose keys are here."""
    before, after = _KEY.split("{}")
    keys = data_folder("images", "keys").glob(_KEY.format("*"))
    return sorted(path.name.removeprefix(before).removesuffix(after) for path in keys)


def key_of(release: str) -> str:
    """The OpenPGP key of ``release``, in ASCII armor. Raises DescriptionError for an unknown release."""
    if release not in (known := releases()):
        raise DescriptionError(
            f"there is no key for a Debian release {release!r}", remedy=f"give one of: {', '.join(known)}"
        )
    return Path(data_folder("images", "keys"), _KEY.format(release)).read_text()


def mirrors(asked: str = "") -> list[str]:
    """Addresses of mirrors to try, in this order: what is ``asked`` for, or else what GUESTNET_MIRROR names,
    or else those of this machine's apt.

    Raises DescriptionError when one is asked for that is no URL, EnvironmentMissing when there is none.
    """
    if asked := asked or os.environ.get(MIRROR_VARIABLE, ""):
        if not _URL.fullmatch(asked):
            raise DescriptionError(
                f"the mirror {asked!r} is no URL", remedy=f"give one of {MIRRORS}"
            )
        return [asked]
    if not (found := _of_this_machine()):
        raise EnvironmentMissing(
            "this machine's apt sources name no mirror of Debian, of which guests are made",
            remedy=another_mirror(),
        )
    return found


def another_mirror() -> str:
    """What to do about a mirror, for messages."""
    return f"name a mirror, of {MIRRORS}: --mirror URL, or {MIRROR_VARIABLE}=URL"


def shown(mirror: str) -> str:
    """The address of ``mirror`` for people: without user and password."""
    return _SECRET.sub("//", mirror)


def _of_this_machine() -> list[str]:
    """Where apt's own sources have a component "main" of a suite of Debian's name; others have that, too."""
    command = ["apt-get", "-oDebug::NoLocking=1", "update", "--print-uris"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        raise EnvironmentMissing(
            f"apt can't read this machine's sources ({' '.join(error.stderr.split())})",
            remedy=f"mend them, or {another_mirror()}",
        ) from None
    found = [
        match["mirror"]
        for match in _LISTED.finditer(listed)
        if match["suite"] in _SUITES and not match["mirror"].startswith("cdrom:")
    ]
    return list(dict.fromkeys(found))
