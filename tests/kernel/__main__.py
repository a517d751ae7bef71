"""``python -m tests.kernel PYTEST-ARGS``: a part of the tests on Debian's generic kernel, in QEMU.

    python -m tests.kernel tests/netns/test_vpn.py              # pytest with these arguments
    python -m tests.kernel --run python -m guestnet.cli bench links
    python -m tests.kernel --again --run uname -a               # with today's kernel of Debian

Options come before everything else. Its status is that of what it ran.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import Cache
from tests.kernel import machine


def main() -> int:
    """Run it; 2 when this machine lacks something, 124 (as timeout(1)) when the time was up."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel", description=__doc__.splitlines()[0])
    parser.add_argument("--again", action="store_true", help="build the kernel anew, from today's packages")
    parser.add_argument("--memory", type=int, default=machine.MEMORY, metavar="MIB")
    parser.add_argument("--within", type=float, default=1800.0, metavar="SECONDS", help="end it after that")
    parser.add_argument("--run", action="store_true", help="what follows is a program, not for pytest")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    command = (
        asked.words if asked.run else [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *asked.words]
    )
    if not command:
        parser.error("--run what?")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(asked, command)
    except EnvironmentMissing as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return 2
    except TimeoutError as error:
        print(error, file=sys.stderr)
        return 124
    except KeyboardInterrupt:
        return 130


def _run(asked: argparse.Namespace, command: list[str]) -> int:
    cache = Cache()
    built = machine.build(cache, _show, again=asked.again)
    folder = Path.cwd()
    keep = [folder, Path(sys.prefix), Path(sys.base_prefix), machine.HERE, cache.folder.resolve()]
    environment = {**os.environ, "COLUMNS": str(shutil.get_terminal_size((110, 24)).columns)}
    if sys.stdout.isatty():
        environment["FORCE_COLOR"] = "1"
    print(f"on {built.name}, in QEMU:", flush=True)
    began = time.monotonic()
    try:
        return machine.run(
            built, machine.order(command, folder, environment, keep), asked.memory, asked.within
        )  # fmt: skip
    finally:
        print(f"{time.monotonic() - began:.0f} s with the boot")


def _show(stage: str, done: int, total: int) -> None:
    if done == 0:
        print(f"{stage} …", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
