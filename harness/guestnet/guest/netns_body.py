"""What a netns guest lives in: namespaces, a NIC, a filesystem, and a first process.

How it is made. Namespaces, root and working folder belong to threads in Linux, so a thread of the lab becomes
the guest: it leaves for new network, mount, UTS, IPC and PID namespaces, makes the TAP device there, lays a
filesystem (the image's tree, and a tmpfs over it that takes what the guest writes), moves into it, starts the
guest's first process, and ends. No program is started before that one; it all takes a few milliseconds.

What keeps it. Descriptors of the namespaces, by which commands are sent in (nsenter(1)), and init: the kernel
kills everything in a PID namespace with its first process (pid_namespaces(7)). A lab that is killed takes the
guest along the same way, because the guest's PID namespace lies within the lab's.

What a guest of QEMU does by ``/etc/guestnet/boot`` and ``joiner`` (images/tiny/root) is done here: names,
NIC, DHCP client. Keep them alike; the client's arguments and the text of /etc/hosts are the image's.

Source: unshare(2), mount_namespaces(7), the kernel's Documentation/filesystems/overlayfs.rst (user
namespaces may mount overlayfs since Linux 5.11).
"""

import contextlib
import errno
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from guestnet.core.address import Mac
from guestnet.core.errors import EnvironmentMissing, GuestError
from guestnet.guest import tap
from guestnet.system.calls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    MS_BIND,
    MS_MOVE,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    bind,
    mount,
    setns,
    unshare,
)

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "USER": "root",
    "SHELL": "/bin/sh",
}
"""Of the guest's commands, as the agent of a QEMU guest has it."""

_OWN: Final = "/proc/thread-self/ns"
_NAMESPACES: Final = {"net": "net", "mount": "mnt", "uts": "uts", "ipc": "ipc", "pid": "pid_for_children"}
"""nsenter's name of each namespace, and its name in proc(5)."""

_BASE: Final = Path("/run")
_BUSYBOX: Final = "/usr/bin/busybox"
_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_READY: Final = b"ready\n"

T = TypeVar("T")

_INIT: Final = f"""
{_BUSYBOX} mount -t proc -o nosuid,nodev,noexec proc /proc 2>/dev/null
echo '0 0' >/proc/sys/net/ipv4/ping_group_range
echo ready
exec {_BUSYBOX} init >/dev/console 2>&1
"""
_ARGUMENTS: Final = "usr/lib/guestnet/udhcpc"
_INITTAB: Final = """\
::respawn:/usr/lib/guestnet/rdnss
::respawn:/usr/bin/udhcpc {arguments} -x hostname:{hostname} >/run/guestnet/udhcpc.log 2>&1
"""


class Plan(NamedTuple):
    """What to make. ``tree`` is the image's root filesystem, ``memory`` (MiB) bounds what the guest writes,
    ``console`` takes what init says."""

    tree: Path
    hostname: str
    mac: Mac
    memory: int
    console: Path
    offloads: bool = True
    mtu: int = 1500
    tun: Path = tap.TUN


class Body(NamedTuple):
    """A made guest. ``init`` is its first process, ``handle`` a pidfd of that; ``namespaces`` and ``home``
    (the guest's /root) are open descriptors, ``network`` is a socket in its network; all the owner's to
    close."""

    init: "subprocess.Popen[bytes]"
    handle: int
    namespaces: dict[str, int]
    home: int
    network: socket.socket

    @property
    def descriptors(self) -> list[int]:
        return [*self.namespaces.values(), self.home]

    def close(self) -> None:
        """Let go of the namespaces; init must have ended."""
        for descriptor in (*self.descriptors, self.handle):
            os.close(descriptor)
        self.network.close()


def make(plan: Plan, former: int | None = None) -> tuple[Body, int | None]:
    """A guest, and the descriptor of its new TAP device.

    With ``former``, a descriptor of a network namespace, it takes over the NIC that is there, and there is no
    new device: that of the guest that it follows, or of a stack that has made one (``make_network``).
    Blocks a few milliseconds. Raises EnvironmentMissing.
    """
    return _in_a_thread(lambda: _make(plan, former))


def make_network() -> int:
    """A descriptor of a new network namespace, for who makes a NIC in it. Raises EnvironmentMissing."""
    return _in_a_thread(_make_network)


def _make_network() -> int:
    with _explained("namespaces"):
        unshare(CLONE_NEWNET)
    return os.open(f"{_OWN}/net", os.O_RDONLY | os.O_CLOEXEC)


def _in_a_thread(work: Callable[[], T]) -> T:
    """In a thread of its own: it never comes back from where it goes."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
            future.set_exception(error)

    thread = threading.Thread(target=run, name="a guest's making")
    thread.start()
    thread.join()
    return future.result()


def _make(plan: Plan, former: int | None) -> tuple[Body, int | None]:
    with contextlib.ExitStack() as opened:
        own = os.open(_OWN, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, own)
        with _explained("namespaces"):
            unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC)
            socket.sethostname(plan.hostname)
        device = None
        if former is None:
            device = tap.open_tap(plan.tun, offloads=plan.offloads)
            opened.callback(os.close, device)
        else:
            _take_nic(former, own)
        with _explained("a network"):
            network = opened.enter_context(tap.raise_nic(plan.mac, plan.mtu))
        with _explained("a filesystem"):
            _lay_root(plan)
        body = _start(own, plan, network.dup())
        if device is not None:
            device = os.dup(device)
    return body, device


def _take_nic(former: int, own: int) -> None:
    """Move eth0 here from the network namespace ``former``; it loses addresses, routes and neighbours."""
    from pyroute2 import IPRoute

    here = os.open("net", os.O_RDONLY | os.O_CLOEXEC, dir_fd=own)
    try:
        setns(former, CLONE_NEWNET)
        with IPRoute() as routes:
            (index,) = routes.link_lookup(ifname=tap.NIC)
            routes.link("set", index=index, net_ns_fd=here)
        setns(here, CLONE_NEWNET)
    finally:
        os.close(here)


def _lay_root(plan: Plan) -> None:
    """Make the guest's filesystem, and move the thread into it. Raises OSError."""
    tree = os.open(plan.tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    console = os.open(plan.console, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("tmpfs", str(_BASE), "tmpfs", MS_NOSUID, f"mode=0755,size={plan.memory}m")
        lower, upper, work, root = (_BASE / name for name in ("lower", "upper", "work", "root"))
        for folder in (lower, upper, work, root):
            folder.mkdir()
        bind(f"/proc/self/fd/{tree}", str(lower))
        # A folder can be renamed only when it can be marked, and in user namespaces only by such attributes:
        # dpkg renames each. Before Linux 6.6 tmpfs has none, and only that fails.
        layers = f"userxattr,lowerdir={lower},upperdir={upper},workdir={work}"
        mount("overlay", str(root), "overlay", data=layers)
        _fill_dev(root / "dev", console)
        for kind, target in (("proc", root / "proc"), ("sysfs", root / "sys")):
            _show_kernel(kind, target)
        _write_etc(root, plan.hostname)
    finally:
        os.close(tree)
        os.close(console)
    os.chdir(root)
    mount(".", "/", flags=MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def _fill_dev(dev: Path, console: int) -> None:
    mount("tmpfs", str(dev), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k")
    for name in _DEVICES:
        (dev / name).touch()
        bind(f"/dev/{name}", str(dev / name))
    (dev / "console").touch()
    bind(f"/proc/self/fd/{console}", str(dev / "console"))
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to(f"/proc/self/fd{target}")
    (dev / "ptmx").symlink_to("pts/ptmx")
    for name, kind, data in (
        ("pts", "devpts", "newinstance,mode=620,ptmxmode=666"),
        ("shm", "tmpfs", "mode=1777"),
    ):
        (dev / name).mkdir()
        mount(kind, str(dev / name), kind, MS_NOSUID | MS_NOEXEC, data)


def _show_kernel(kind: str, target: Path) -> None:
    """The lab's /proc, which init covers by one of the guest's processes; a /sys of the guest's interfaces.

    In a container that hides parts of them the kernel allows no fresh ones, and the lab's must do.
    """
    if kind == "sysfs":
        try:
            mount(kind, str(target), kind, MS_NOSUID | MS_NODEV | MS_NOEXEC)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EBUSY):
                raise
        else:
            return
    mount(f"/{target.name}", str(target), flags=MS_BIND | MS_REC)


def _write_etc(root: Path, hostname: str) -> None:
    etc = root / "etc"
    (etc / "hostname").write_text(f"{hostname}\n")
    with (etc / "hosts").open("a") as hosts:
        hosts.write(f"127.0.1.1\t{hostname}\n")
    arguments = (root / _ARGUMENTS).read_text().strip()
    (etc / "inittab").write_text(_INITTAB.format(arguments=arguments, hostname=hostname))
    (root / "tmp").chmod(0o1777)
    for folder in ("guestnet", "lock"):
        (root / "run" / folder).mkdir(parents=True, exist_ok=True)
    (root / "run/guestnet/rdnss").write_text("\n")


def _start(own: int, plan: Plan, network: socket.socket) -> Body:
    """Start init in a new PID namespace, and wait until the guest's /proc is there. Raises GuestError."""
    # Not earlier: from then on this thread can start no other thread.
    with _explained("namespaces"):
        unshare(CLONE_NEWPID)
    init = subprocess.Popen(
        [_BUSYBOX, "sh", "-c", _INIT],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        # There is no /proc to list them by; all of ours close on exec (PEP 446).
        close_fds=False,
    )
    assert init.stdout is not None, "it was asked for"
    with init.stdout:
        ready = init.stdout.readline() == _READY
    if not ready:
        network.close()
        init.kill()
        init.wait()
        raise GuestError(
            f"{plan.hostname}: its first process ended at once", remedy="guestnet image build --again"
        )
    namespaces = {
        name: os.open(entry, os.O_RDONLY | os.O_CLOEXEC, dir_fd=own) for name, entry in _NAMESPACES.items()
    }
    home = os.open(ENVIRONMENT["HOME"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return Body(init, os.pidfd_open(init.pid), namespaces, home, network)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentMissing(
            f"this user can't make {what} for a netns guest ({error})",
            remedy="use Linux 5.11 or newer, in a container with --security-opt systempaths=unconfined "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined, or use --guest qemu",
        ) from error
