"""What this machine must have, and how to get what it lacks: the checks of ``guestnet doctor``."""

import asyncio
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from guestnet.core.errors import EnvironmentMissing, GuestnetError
from guestnet.system import programs
from guestnet.system.programs import Program

Verdict = Literal["ok", "missing", "optional"]
"""``optional``: it is missing, and only what ``purpose`` names can't be done."""

NEEDED: Final = {"labs", "guests", "images"}
"""What nobody does without: a program that only others need (guestnet.system.programs) is optional."""

NEEDED_BYTES: Final = 1 << 30
"""For an image, its packages and its snapshots."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was looked at, what was found, and what to do about it."""

    name: str
    verdict: Verdict
    found: str
    purpose: str = ""
    remedy: str = ""


def check_program(program: Program) -> Finding:
    """Whether it is installed."""
    path = programs.find(program.name)
    if path is not None:
        return Finding(name=program.name, verdict="ok", found=str(path), purpose=program.purpose)
    return Finding(
        name=program.name, verdict="missing" if NEEDED & set(program.needed_by) else "optional",
        found="not installed", purpose=program.purpose, remedy=programs.remedy(program.name),
    )  # fmt: skip


def check_python() -> Finding:
    """That of this process, so it is new enough; said for completeness."""
    return Finding(name="python", verdict="ok", found=platform.python_version())


def check_data_path() -> Finding:
    """As sources, or compiled too."""
    from guestnet.stacks.builtin import is_compiled

    found = "compiled" if is_compiled() else "interpreted"
    return Finding(name="data path", verdict="ok", found=found, purpose="speed of the builtin stack")


def check_qemu() -> Finding:
    """QEMU of at least 7.2, the first with ``-netdev stream``."""
    from guestnet.guest.machine import PROGRAM, find_qemu

    program = programs.table()[PROGRAM]
    return check(program.name, program.purpose, lambda: find_qemu().version)


def check_lab() -> Finding:
    """By starting one without guests: user namespaces, the world in them, its servers."""
    from guestnet.lab.process.client import LabProcess
    from guestnet.lab.requests.description import LabDescription

    def start() -> str:
        description = LabDescription(scenario="guestnet doctor", seed=0, guests=0)
        with (
            tempfile.TemporaryDirectory(prefix="guestnet-") as folder,
            LabProcess.start(description, Path(folder)) as lab,
        ):
            return f"starts in {lab.started.seconds:.1f} s"

    return check("lab", "the world, in namespaces", start)


def check_impairments() -> Finding:
    """By impairing a link of a world: nftables hooks at the egress of devices."""
    from guestnet.lab.requests.description import LabDescription
    from guestnet.scenario import Lab

    name, purpose = "egress hooks", "a world's links, impaired"

    def impair() -> str:
        description = LabDescription(scenario="guestnet doctor", seed=0, guests=0, capture="none")
        with (
            tempfile.TemporaryDirectory(prefix="guestnet-") as folder,
            Lab.start(description, Path(folder)) as lab,
        ):
            lab.links.wifi.impair(loss="1%")
            return "work"

    finding = check(name, purpose, impair)
    # A lab whose links are sound does without.
    return finding if finding.verdict == "ok" else msgspec.structs.replace(finding, verdict="optional")


def check_proxies() -> Finding:
    """Whether the environment of a world's proxies is made. A world makes it when it needs it."""
    from guestnet.lab.process import proxies

    def look() -> str:
        python = proxies.find()
        if python is None:
            raise EnvironmentMissing("not made yet", remedy=proxies.COMMAND)
        return f"mitmproxy {proxies.version(python)}"

    finding = check("proxies", "worlds with a proxy", look)
    return finding if finding.verdict == "ok" else msgspec.structs.replace(finding, verdict="optional")


def check_tun(device: Path = Path("/dev/net/tun")) -> Finding:
    """Whether TAP devices can be made: the cable of netns guests."""
    purpose = "netns guests"
    try:
        os.close(os.open(device, os.O_RDWR))
    except FileNotFoundError:
        found, remedy = f"there is no {device}", "sudo modprobe tun"
    except PermissionError:
        found, remedy = f"this user can't open {device}", f"sudo chmod 0666 {device}"
    except OSError as error:
        found, remedy = f"{device}: {error.strerror}", "sudo modprobe tun"
    else:
        return Finding(name=str(device), verdict="ok", found="can be opened", purpose=purpose)
    return Finding(name=str(device), verdict="optional", found=found, purpose=purpose, remedy=remedy)


def check_cache() -> Finding:
    """Where images and snapshots are kept: room for more, and whether more can be made."""
    from guestnet.guest.cache import CACHE_VARIABLE, Cache

    def look() -> str:
        cache = Cache()
        return f"{cache.room / (1 << 30):.1f} GiB free for {cache.folder}"

    finding = check("cache", "images and snapshots", look)
    if finding.verdict != "ok":
        return finding
    another, cache = f"or set {CACHE_VARIABLE} to another folder", Cache()
    if not cache.is_writable:
        found, remedy = f"{cache.folder} can only be read", f"make it writable for this user, {another}"
        return msgspec.structs.replace(finding, verdict="optional", found=found, remedy=remedy)
    if cache.room < NEEDED_BYTES:
        remedy = f"free at least {NEEDED_BYTES >> 30} GiB there, {another}"
        return msgspec.structs.replace(finding, verdict="missing", remedy=remedy)
    return finding


def check(name: str, purpose: str, attempt: Callable[[], str]) -> Finding:
    """What ``attempt`` finds, or the error that it raises as a finding."""
    try:
        return Finding(name=name, verdict="ok", found=attempt(), purpose=purpose)
    except GuestnetError as error:
        found, remedy = error.message, error.remedy
        return Finding(name=name, verdict="missing", found=found, purpose=purpose, remedy=remedy)


def accelerator() -> str:
    """What guests run on, and why. Boots a guest once on a machine that seems to have KVM.

    Raises EnvironmentMissing when there is no QEMU or no image to prove it with.
    """
    from guestnet.guest.accelerator import choose
    from guestnet.guest.cache import Cache
    from guestnet.guest.image import require
    from guestnet.guest.machine import find_qemu

    cache = Cache()
    chosen = asyncio.run(choose(cache, find_qemu(cache), require("tiny", cache)))
    return f"{chosen.name}: {chosen.reason}"
