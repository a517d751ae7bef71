"""``./dev bare SUITE [COMMAND…]``: the README's commands on a machine that has a base system, git and Python.

    ./dev bare bookworm                     # ./dev demo, then ./dev test
    ./dev bare trixie ./dev test            # this one command
    ./dev bare noble bash                   # a shell, to look around

What runs is the last commit, cloned afresh, as a plain user who may use sudo. The status is that of the first
command that failed; 2 where this machine lacks something.
"""

import argparse
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from guestnet.core.errors import EnvironmentMissing, GuestnetError
from guestnet.guest import debian
from guestnet.guest.cache import Cache
from tests.bare import root
from tests.bare.host import Host
from tests.bare.machine import Machine

README = [["./dev", "demo"], ["./dev", "test"]]
CLONE = [
    "git", "-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false",
    "clone", "--quiet", "checkout.bundle", "guestnet",
]  # fmt: skip
CHECKOUT = Path(__file__).parents[2]


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        prog="./dev bare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mirror", default="", metavar="URL", help="if not apt's own; for Ubuntu always")
    parser.add_argument("--again", action="store_true", help="make the root filesystem anew")
    parser.add_argument("suite", metavar="SUITE", help="bookworm, trixie, sid, noble …")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    asked = parser.parse_args()
    # As Ctrl-C does: what is begun is ended.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return run(asked.suite, [asked.command] if asked.command else README, asked.mirror, again=asked.again)
    except GuestnetError as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


def run(suite: str, commands: list[list[str]], mirror: str, *, again: bool) -> int:
    """Run ``commands`` one after the other on one machine, until one fails; its status, else 0."""
    cache, host = Cache(), Host.of_this_machine()
    where = root.mirror_of(suite, mirror)
    archive = root.made(cache, suite, where, host, say, again=again)
    # Guests are made of Debian, of which Ubuntu's apt names no mirror.
    mirrors = {debian.MIRROR_VARIABLE: debian.mirrors()[0]} if suite in root.UBUNTU else {}
    with Machine(cache, archive, host) as machine:
        machine.give("/home/user/checkout.bundle", bundle())
        if status := machine.run(CLONE, folder="/home/user"):
            return status
        for command in commands:
            began = time.monotonic()
            status = machine.run(command, folder="/home/user/guestnet", **mirrors)
            seconds = time.monotonic() - began
            say(f"{suite}: {shlex.join(command)} ended with status {status} in {seconds:.0f} s")
            if status:
                return status
    return 0


def bundle() -> bytes:
    """The last commit of this checkout with its history, for git clone."""
    if git("status", "--porcelain"):
        say("what is not committed here is not tried there")
    return git("bundle", "create", "--quiet", "-", "HEAD")


def git(*words: str) -> bytes:
    """What git says in this checkout."""
    ran = subprocess.run(["git", *words], cwd=CHECKOUT, stdout=subprocess.PIPE, check=False)
    if ran.returncode:
        raise EnvironmentMissing("this checkout can't be copied", remedy="put right what git says above")
    return ran.stdout


def say(text: str) -> None:
    """Tell the user, after what has been printed so far."""
    print(f"bare: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
