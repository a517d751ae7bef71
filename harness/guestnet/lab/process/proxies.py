"""The environment of a world's proxies: mitmproxy in a venv of its own, which is in the cache.

mitmproxy wants nearly all that it needs in the versions of its day, and no user's environment is to be held
to them. So ours does without, and proxies are run by the interpreter of a venv that has the extra ``proxies``
of our own metadata and nothing else; pip finds the version that fits this Python. A lab has no network, so
its client makes the venv before the lab starts, when a world first has a proxy.

A venv serves the Python that made it: another one, or another extra, has another venv.
"""

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import Cache, says_disk_full
from guestnet.world.described.world import World

EXTRA: Final = "proxies"
COMMAND: Final = "guestnet proxies"
"""What makes it."""

_KIND: Final = "proxies"
_MARKER: Final = "pyvenv.cfg"
_KEPT: Final = 3
_ROOM: Final = 300 << 20
"""Bytes: more than it takes, with what pip unpacks meanwhile."""
_WHAT: Final = "make the environment of the proxies"
_LAST: Final = 3
"""How many of the last lines that pip said go into an error."""

Say = Callable[[str], None]
"""Takes a line for whoever waits."""


def say_on_stderr(line: str) -> None:
    """``line`` to standard error, where a command says what it does."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def needed(world: World) -> bool:
    """Whether ``world`` has a proxy."""
    return any(server.kind == "proxy" for server in world.servers.values())


def requirements() -> list[str]:
    """What is installed, as pip has it: the extra of our metadata. Raises EnvironmentMissing without that."""
    try:
        lines = importlib.metadata.requires("guestnet") or []
    except importlib.metadata.PackageNotFoundError:
        lines = []
    wanted = []
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if marker is not None and marker.evaluate({"extra": EXTRA}) and not marker.evaluate({"extra": ""}):
            wanted.append(f"{requirement.name}{requirement.specifier}")
    if not wanted:
        raise EnvironmentMissing(
            f"guestnet's metadata has no extra {EXTRA!r}: it is not installed, or was before there was one",
            remedy="in a checkout: .venv/bin/python -m pip install --editable .",
        )
    return sorted(wanted)


def find(cache: Cache | None = None) -> Path | None:
    """Its interpreter, or None when it is still to be made. Raises EnvironmentMissing."""
    cache, name = cache or Cache(), _name(requirements())
    python = _python(cache.folder / _KIND / name)
    if not python.exists():  # a link: the Python that it leads to may be gone
        return None
    cache.used(_KIND, name, _MARKER)
    return python


def make(
    cache: Cache | None = None,
    *,
    say: Say = say_on_stderr,
    waiting: Callable[[], None] | None = None,
    interpreter: str = sys.executable,
) -> Path:
    """Its interpreter; the environment is made if need be, by ``interpreter``.

    Blocks; of several processes one makes it and the others wait (``waiting`` is called once then). Raises
    EnvironmentMissing: no network, no pip, a full disk.
    """
    cache = cache or Cache()
    if (python := find(cache)) is not None:
        return python
    with cache.lock(_KIND, waiting=waiting):
        if (python := find(cache)) is not None:
            return python
        cache.require_room(_ROOM, _WHAT)
        wanted = requirements()
        say(f"making the environment of a world's proxies ({', '.join(wanted)}), once: about a minute")
        began = time.monotonic()
        with cache.making(_KIND, _name(wanted)) as folder:
            # Isolated (-I): what PYTHONPATH shows would count as installed.
            _run(cache, interpreter, "-I", "-m", "venv", str(folder))
            pip = (str(_python(folder)), "-I", "-m", "pip", "--disable-pip-version-check")
            _run(cache, *pip, "install", *wanted)
        cache.prune(_KIND, _MARKER, keep=_KEPT)
        say(f"made in {time.monotonic() - began:.0f} s")
    return _python(cache.folder / _KIND / _name(wanted))


def version(python: Path) -> str:
    """Of the mitmproxy in the environment of the interpreter ``python``."""
    found = python.parents[1].glob("lib/python*/site-packages/mitmproxy-*.dist-info")
    return next((path.name.removesuffix(".dist-info").partition("-")[2] for path in found), "?")


def _name(wanted: Sequence[str]) -> str:
    key = "\0".join([*wanted, sys.base_prefix, platform.machine()])
    return f"{sys.implementation.cache_tag}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _run(cache: Cache, *command: str) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode == 0:
        return
    said = done.stdout.decode(errors="replace")
    if says_disk_full(said):
        raise cache.full(_WHAT)
    lines = [line.strip() for line in said.splitlines() if line.strip()][-_LAST:]
    why = "; ".join(lines) or f"{command[0]} ended with status {done.returncode}"
    remedy = f"see that pip reaches its index, then run: {COMMAND}"
    if "ensurepip" in said:
        remedy = "sudo apt-get install python3-venv"
    raise EnvironmentMissing(f"can't {_WHAT} ({why})", remedy=remedy)
