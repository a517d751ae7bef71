"""Facts about this machine that figures and verdicts may depend on."""

import os
import platform
from contextlib import suppress
from importlib.metadata import version

import msgspec

from guestnet.core.errors import EnvironmentMissing


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """As run.json carries it; everything as text."""

    versions: dict[str, str]
    machine: dict[str, str]


def machine() -> Machine:
    """Of now and here."""
    from guestnet.guest.machine import find_qemu

    versions = {"guestnet": version("guestnet"), "python": platform.python_version()}
    with suppress(EnvironmentMissing):  # netns guests need none
        versions["qemu"] = find_qemu().version
    return Machine(
        versions=versions,
        machine={"kernel": platform.release(), "cores": str(len(os.sched_getaffinity(0)))},
    )
