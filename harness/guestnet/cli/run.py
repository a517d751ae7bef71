"""``guestnet run``."""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

import click

SUITE: Final = "scenarios"


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--report", default="reports/latest", show_default=True, metavar="DIR", help="Folder of the report."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(report: str, arguments: tuple[str, ...]) -> NoReturn:
    """Run scenarios and write a report.

    ARGUMENTS are pytest's: files, folders, node ids and options, among them --stack, --guest, --seed and
    --keep. Without files it runs the folder "scenarios", if there is one. The exit status is pytest's, but 2
    when all is green and a lab could not start because this machine lacks something.
    """
    named = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    suite = [SUITE] if not named and Path(SUITE).is_dir() else []
    ours = ["--guestnet-needs-guests", "--guestnet-report", report]
    command = [sys.executable, "-m", "pytest", *ours, *suite, *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # so that Ctrl-C and other signals reach pytest alone
