"""Into the namespaces: how a lab process begins, and why it can't outlive its client.

Three processes make a lab's frame, forked from a server that has done their imports
(guestnet.lab.process.labs)::

    client (pytest, guestnet)
      └─ fork server  one for many labs
           └─ keeper    in the new user namespace, but in the client's PID namespace
                └─ init     pid 1 of the lab's PID namespace: reaps orphans, and forks for the lab
                     ├─ lab     pid 2: world, stack, guests, QEMU and other programs are its children
                     └─ …       processes of our own modules: servers, tunnels

Every death ends the rest, whoever dies first and by whatever signal:

- client: the fork server and each keeper hold a pidfd of the client (pidfd_open(2)); at its end the server
  ends, and the keepers kill their inits. That the client did not end before the pidfd was opened is checked
  by getppid(2), after opening it. (A parent death signal would not do here: it comes when the *thread* that
  started the server ends.)
- fork server: labs go on, nobody needs it any more but for the exit status of a keeper.
- keeper: init has a parent death signal. It is set after fork(2), when the last change of credentials is
  past; that the keeper did not end before is checked by the pipe that ends with it. getppid(2) can't
  tell in a new PID namespace: it is 0 there.
- lab: init sees it by wait(2), ends, and the kernel kills everything else in the PID namespace.
- init: the same at once.

The keeper ends last, with the exit status of the lab; when it was waited for, nothing of the lab runs any
more, because the kernel lets pid 1 end only after all others of its namespace.

The user namespace maps just the caller, to root. See user_namespaces(7), pid_namespaces(7), unshare(1).
"""

import errno
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Final, NoReturn

from guestnet.core.errors import EnvironmentMissing
from guestnet.lab.requests import protocol
from guestnet.system import forks
from guestnet.system.calls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    die_with_parent,
    unshare,
)

_NOT_FOR_INIT: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NEW: Final = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC


def enter(control: socket.socket, watched: int, run: forks.Run) -> socket.socket:
    """Return in the lab, pid 2 of new namespaces; the processes above it never return.

    ``watched`` is a pidfd of the client, as of `watch`. Init is a fork server (guestnet.system.forks) at the
    other end of the answer: ``run`` is what its processes do. Raises EnvironmentMissing, before there is any
    other process, when the kernel does not allow it.
    """
    _unshare()
    alive, held = os.pipe()
    init = os.fork()
    if init:
        os.close(alive)
        _keep(control, watched, init)
    os.close(watched)
    os.close(held)
    die_with_parent(signal.SIGKILL)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    os.close(alive)
    orders, their_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lab = os.fork()
    if lab:
        control.close()
        orders.close()
        _be_init(lab, their_end, run)
    their_end.close()
    return orders


def probe() -> None:
    """Try, and exit: with status 0, or with error and remedy on standard error. For a process of its own."""
    try:
        _unshare()
    except EnvironmentMissing as error:
        sys.exit(str(error))
    sys.exit(0)


def watch(client: int) -> int:
    """A pidfd of our parent ``client``; ends the process when that has ended already."""
    try:
        watched = os.pidfd_open(client)
    except ProcessLookupError:
        os._exit(1)
    if os.getppid() != client:
        os._exit(1)
    return watched


def _unshare() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        unshare(_NEW)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    except OSError as error:
        raise EnvironmentMissing(
            f"this user can't make namespaces ({error.strerror})", remedy=remedy(error)
        ) from error


def remedy(error: OSError, sysctls: Path = Path("/proc/sys")) -> str:
    """What to do so that namespaces can be made, from the switches that kernels and distributions have."""
    for name, blocking, wanted in (
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user.max_user_namespaces", "0", "15000"),
        ("user.max_net_namespaces", "0", "15000"),
    ):
        try:
            value = (sysctls / name.replace(".", "/")).read_text().strip()
        except OSError:
            continue
        if value == blocking:
            return f"as root, run: sysctl -w {name}={wanted}"
    if error.errno == errno.ENOSPC:
        return "a limit in /proc/sys/user is reached: end other labs, or raise max_user_namespaces there"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return (
            "start the container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined"
        )
    return "use a kernel with CONFIG_USER_NS, and no seccomp or LSM rule against user namespaces"


def _keep(control: socket.socket, client: int, init: int) -> NoReturn:
    """Be the keeper: end init when the client ends; end as init ended."""
    ended = os.pidfd_open(init)
    hello = protocol.Answer(protocol.HELLO, protocol.encode_result(None), 1)
    try:
        socket.send_fds(control, [protocol.encode(hello)], [ended])
    except OSError:
        os.kill(init, signal.SIGKILL)
    control.close()
    poll = select.poll()
    poll.register(client, select.POLLIN)
    poll.register(ended, select.POLLIN)
    if client in (descriptor for descriptor, _ in poll.poll()):
        os.kill(init, signal.SIGKILL)
    _, status = os.waitpid(init, 0)
    os._exit(_as_exit_status(status))


def _be_init(lab: int, orders: socket.socket, run: forks.Run) -> NoReturn:
    """Reap every child, fork for the lab, end with it."""
    for number in _NOT_FOR_INIT:
        signal.signal(number, signal.SIG_IGN)

    def begin(order: bytes, descriptors: list[int]) -> NoReturn:
        for number in _NOT_FOR_INIT:
            signal.signal(number, signal.SIG_DFL)
        run(order, descriptors)

    status = forks.serve(orders, os.pidfd_open(lab), begin, child=lab)
    while status is None:  # it needs no more forks, but still runs
        pid, ended = os.waitpid(-1, 0)
        status = ended if pid == lab else None
    os._exit(_as_exit_status(status))


def _as_exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
