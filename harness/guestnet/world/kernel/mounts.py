"""What a lab's mount namespace shows: its processes, its interfaces, its own /run, the laptop's /etc files.

/run is covered because name services reach out of a network namespace through sockets there (nscd,
systemd-resolved).
All mounts vanish with the mount namespace, so nothing here is undone.
"""

import errno
import logging
import os
import socket
from pathlib import Path
from typing import Final

from guestnet.core.errors import EnvironmentMissing
from guestnet.system.calls import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, bind, mount
from guestnet.world.described.model import LAPTOP
from guestnet.world.described.uplink_problems import metric_of
from guestnet.world.described.world import World
from guestnet.world.kernel.places import NETNS, RUN

_SAFE: Final = MS_NOSUID | MS_NODEV | MS_NOEXEC
_NSSWITCH: Final = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"
)
_HOSTS: Final = f"127.0.0.1 localhost {LAPTOP}\n::1 localhost ip6-localhost\n"

_log = logging.getLogger(__name__)


def cover(keep: Path) -> None:
    """Cover /proc, /sys and /run by ones of the lab's own; the folder ``keep`` stays. Take a host name.

    Called once, first thing in new user, mount, PID, network and UTS namespaces. Raises EnvironmentMissing.
    """
    try:
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        for kind, target in (("proc", "/proc"), ("sysfs", "/sys")):
            _mount_if_allowed(kind, target)
        kept = os.open(keep, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
        if not _is_same(kept, keep):
            keep.mkdir(parents=True)
            bind(f"/proc/self/fd/{kept}", str(keep))
        os.close(kept)
        RUN.mkdir()
        NETNS.mkdir()
        socket.sethostname(LAPTOP)
    except OSError as error:
        raise EnvironmentMissing(
            f"this user can't mount in namespaces of their own ({error.strerror})",
            remedy="allow mount(2) in user namespaces (in a container: --security-opt systempaths=unconfined "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined)",
        ) from error


def write_etc(world: World) -> Path:
    """Show the laptop's resolv.conf, hosts and nsswitch.conf in /etc; return the first, to be rewritten.

    A file that this machine has not got is left out, resolv.conf excepted. Raises EnvironmentMissing.
    """
    resolvers = named_at_start(world)
    resolv_conf = "".join(f"nameserver {address}\n" for address in resolvers) or "# no resolver\n"
    for name, text in (("hosts", _HOSTS), ("nsswitch.conf", _NSSWITCH), ("resolv.conf", resolv_conf)):
        ours = RUN / name
        ours.write_text(text)
        # A link may lead into /run, which is ours and empty now.
        target = Path("/etc", name).resolve()
        if not target.exists() and target.is_relative_to("/run"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        if target.exists():
            bind(str(ours), str(target))
        elif name == "resolv.conf":
            raise EnvironmentMissing(f"{target} does not exist", remedy=f"as root, run: touch {target}")
    return RUN / "resolv.conf"


def named_at_start(world: World) -> tuple[str, ...]:
    """The laptop's own resolvers, or those of the best of the uplinks that will be up."""
    if own := world.hosts[LAPTOP].resolvers:
        return own
    up = sorted((each for each in world.uplinks.values() if each.up), key=metric_of)
    return next((each.resolvers for each in up if each.resolvers), ())


def _mount_if_allowed(kind: str, target: str) -> None:
    """A container that hides parts of /proc and /sys allows no fresh ones; a lab can do with theirs."""
    try:
        mount(kind, target, kind, _SAFE)
    except PermissionError as error:
        _log.warning("%s stays this machine's own: %s", target, error)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _log.warning("%s stays this machine's own: %s", target, error)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
