"""Facts about this machine that figures and verdicts may depend on."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from typing import Final

import msgspec

QEMU: Final = "qemu-system-x86_64"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """As run.json and benchmarks carry it; everything as text."""

    versions: dict[str, str]
    machine: dict[str, str]


def qemu_version() -> str:
    """``"7.2.18"``; empty when there is no QEMU or it doesn't say."""
    path = shutil.which(QEMU)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"version (\d+(?:\.\d+)+)", done.stdout)
    return found[1] if found else ""


def machine() -> Machine:
    """Of now and here."""
    versions = {"guestnet": version("guestnet"), "python": platform.python_version(), "qemu": qemu_version()}
    return Machine(
        versions={name: text for name, text in versions.items() if text},
        machine={"kernel": platform.release(), "cores": str(len(os.sched_getaffinity(0)))},
    )
