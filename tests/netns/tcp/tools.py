"""Programs of this machine, in a lab."""

import os
import shutil

import pytest

_ADMINISTRATORS = "/usr/sbin:/sbin"
PATH = f"export PATH=$PATH:{_ADMINISTRATORS}"
"""For a shell: some systems keep programs where a plain user's PATH does not look."""


def require(**packages: str) -> None:
    """Skip unless each program is installed, named with Debian's package that it is in."""
    places = f"{os.environ.get('PATH', os.defpath)}:{_ADMINISTRATORS}"
    missing = [package for program, package in packages.items() if not shutil.which(program, path=places)]
    if missing:
        pytest.skip(f"not installed: sudo apt-get install {' '.join(missing)}")


def in_network_of(pid: str | int) -> str:
    """What to put before a command that is to run in the network of a process, with this machine's files."""
    return f"nsenter --target {pid} --net --"
