"""System calls that Python 3.11 lacks: unshare(2), setns(2), mount(2), prctl(2), timerfd_create(2)."""

import ctypes
import os
import struct
import time
from typing import Final

CLONE_FS: Final = 0x0000_0200
CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x4_0000

MNT_DETACH: Final = 2

PR_SET_PDEATHSIG: Final = 1

_ITIMERSPEC: Final = struct.Struct("@llll")
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""Its number, by the machine: glibc has no function for it before 2.41."""
_SCHED_ATTR: Final = struct.Struct("@IIQiIQQQ")
_RESET_ON_FORK: Final = 0x01
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_libc: Final = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move the caller into new namespaces. Raises OSError."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, kind: int = 0) -> None:
    """Move the calling thread into the namespace behind ``descriptor``. Raises OSError."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError."""
    status = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _check(status, f"mount {kind or source} on {target}")


def bind(source: str, target: str) -> None:
    """Let ``target``, which exists, show ``source``. Raises OSError."""
    mount(source, target, flags=MS_BIND)


def unmount(target: str) -> None:
    """Take away what was mounted last on ``target``. Raises OSError."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def die_with_parent(signal: int) -> None:
    """Get ``signal`` when the parent thread ends; cleared by a change of credentials. Raises OSError."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal), 0, 0, 0), "prctl")


def timer() -> int:
    """A new timer's descriptor, not blocking, on the monotonic clock. Raises OSError."""
    descriptor: int = _libc.timerfd_create(ctypes.c_int(time.CLOCK_MONOTONIC), os.O_NONBLOCK | os.O_CLOEXEC)
    _check(min(descriptor, 0), "timerfd_create")
    return descriptor


def set_timer(descriptor: int, after: int) -> None:
    """Let a timer become readable once, ``after`` nanoseconds from now; never with 0. Raises OSError."""
    once = _ITIMERSPEC.pack(0, 0, *divmod(after, 1_000_000_000))
    _check(_libc.timerfd_settime(descriptor, 0, once, None), "timerfd_settime")


def run_soon(nanoseconds: int) -> None:
    """Let the scheduler give this process short turns, of ``nanoseconds``, but soon (sched_setattr(2)).

    Others that compute do not hold it up for their whole turn then. Children have the usual turns. Does
    nothing where the kernel, before Linux 6.12, knows no such wish.
    """
    number = _SCHED_SETATTR.get(os.uname().machine)
    if number is not None:
        attributes = _SCHED_ATTR.pack(_SCHED_ATTR.size, 0, _RESET_ON_FORK, 0, 0, nanoseconds, 0, 0)
        _libc.syscall(ctypes.c_long(number), ctypes.c_int(0), attributes, ctypes.c_uint(0))


def keep_memory(octets: int) -> None:
    """Let the allocator keep up to ``octets`` of free memory rather than to give it back (mallopt(3)).

    Buffers that come and go a thousand times a second are page faults each time else. Does nothing with a C
    library that has no such thing.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(ctypes.c_int(_M_MMAP_THRESHOLD), ctypes.c_int(octets))
        mallopt(ctypes.c_int(_M_TRIM_THRESHOLD), ctypes.c_int(octets))


def _check(status: int, what: str) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
