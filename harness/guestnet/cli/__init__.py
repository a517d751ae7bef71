"""The command ``guestnet``.

Exit status: 0 done; 1 it failed, in one sentence on stderr; 2 the call is wrong or this machine lacks
something; 130 interrupted. What a command has started ends with it, however it ends.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from guestnet.cli.attach import attach
from guestnet.cli.bench import bench
from guestnet.cli.doctor import doctor
from guestnet.cli.events import events
from guestnet.cli.image import image
from guestnet.cli.profiles import profiles
from guestnet.cli.proxies import proxies
from guestnet.cli.report import report
from guestnet.cli.run import run
from guestnet.cli.shell import shell
from guestnet.core.errors import EnvironmentMissing, GuestnetError

FAILED, MISSING, INTERRUPTED, TERMINATED = 1, 2, 130, 143


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="guestnet")
def guestnet() -> None:
    """Boot a small Linux guest, give it a network, break that network, and see what the guest sees."""


for command in (attach, bench, doctor, events, image, profiles, proxies, report, run, shell):
    guestnet.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; errors of ours become one sentence."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        status = guestnet.main(arguments, prog_name="guestnet", standalone_mode=False)
        sys.stdout.flush()
    except click.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except GuestnetError as error:
        click.echo(f"guestnet: {error}", err=True)
        sys.exit(MISSING if isinstance(error, EnvironmentMissing) else FAILED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain of it when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    sys.exit(status if isinstance(status, int) else 0)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Leave as an exception does, so that every ``with`` ends what it began."""
    sys.exit(TERMINATED)
