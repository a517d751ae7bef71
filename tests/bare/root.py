"""The root filesystem of a bare machine: a release's minimal system with git, sudo, python3 and a plain user.

It is made once a week and kept as an archive in the cache; each machine unpacks its own.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest import debian
from guestnet.guest.cache import Cache
from guestnet.system.programs import require
from tests.bare.host import Host

UBUNTU = frozenset({"jammy", "noble", "questing", "resolute"})
PACKAGES = "apt,ca-certificates,git,python3,sudo"
"""Beside the essential ones."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""This machine's, for releases of Debian whose keys are not in images/keys."""

ARCHIVE = "root.tar"
_KIND = "bare"
_WEEK = 7 * 24 * 3600.0
_USER = (
    'chroot "$1" useradd --create-home --shell /bin/bash --uid 1000 user'
    ' && echo "user ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/user"'
    ' && chmod 0440 "$1/etc/sudoers.d/user"'
)


def mirror_of(suite: str, asked: str) -> str:
    """Where packages of ``suite`` come from. Raises EnvironmentMissing, DescriptionError."""
    if suite in UBUNTU and not asked:
        raise EnvironmentMissing(
            f"{suite} is Ubuntu, of which no mirror is known here", remedy="name one: --mirror URL"
        )
    if suite in UBUNTU:
        return asked
    return debian.mirrors(asked)[0]


def made(
    cache: Cache, suite: str, mirror: str, host: Host, say: Callable[[str], None], *, again: bool
) -> Path:
    """The archive, made now unless there is one of this week. Raises EnvironmentMissing."""
    archive = cache.folder / _KIND / suite / ARCHIVE
    with cache.lock(f"{_KIND}-{suite}"):
        if again or not archive.exists() or time.time() - archive.stat().st_mtime > _WEEK:
            say(f"making a root filesystem of {suite} from {debian.shown(mirror)}")
            with cache.making(_KIND, suite) as folder:
                _make(folder, suite, mirror, host)
    return archive


def _make(folder: Path, suite: str, mirror: str, host: Host) -> None:
    key = _key(suite, folder)
    settings = folder / "apt.conf"
    settings.write_bytes(host.files["/etc/apt/apt.conf.d/90host"])
    components = "main universe" if suite in UBUNTU else "main"
    mode, alone, environment = "unshare", ["TERM"], dict(os.environ)
    if os.geteuid() == 0:
        # A namespace of PIDs ends all that mmdebstrap has started; what it has half made is swept.
        # Of another user it does both itself, and his subordinate IDs may not see this folder.
        mode, alone = "root", ["KILL", "unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        environment["TMPDIR"] = str(folder)
    command = [
        "setpriv", "--pdeathsig", *alone,
        str(require("mmdebstrap")), f"--mode={mode}", "--variant=minbase", "--format=tar",
        f"--include={PACKAGES}", f"--keyring={key}", f"--aptopt={settings}",
        f"--customize-hook={_USER}", "--quiet",
        suite, str(folder / ARCHIVE), f"deb {mirror} {suite} {components}",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        ended = subprocess.run(command, stdout=said, stderr=said, env=environment, check=False)
        said.seek(0)
        if ended.returncode:
            words = said.read().decode(errors="replace").strip().splitlines()[-10:]
            raise EnvironmentMissing(
                f"mmdebstrap could not make {suite} from {debian.shown(mirror)}:\n  " + "\n  ".join(words),
                remedy="check the suite's name and the network, or give another mirror: --mirror URL",
            )


def _key(suite: str, folder: Path) -> Path:
    if suite in UBUNTU:
        return Path(__file__).with_name("ubuntu-archive-2018.asc")
    if suite in debian.releases():
        key = folder / "key.asc"
        key.write_text(debian.key_of(suite))
        return key
    if not KEYRING.exists():
        raise EnvironmentMissing(
            f"there is no key for {suite}: {KEYRING} is missing", remedy="install debian-archive-keyring"
        )
    return KEYRING
