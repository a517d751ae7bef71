"""``guestnet doctor``: what is here, what is missing, and the exact remedy."""

import click
from rich.console import Console
from rich.table import Table

from guestnet.cli import checks
from guestnet.cli.checks import Finding
from guestnet.cli.output import json_option, say_json
from guestnet.system import programs

STYLES = {"ok": "green", "missing": "bold red", "optional": "yellow"}


@click.command()
@json_option
@click.option("--quick", is_flag=True, help="Do not boot a guest to prove an accelerator.")
def doctor(as_json: bool, quick: bool) -> int:
    """Look at this machine. Exit status 2 when something that is needed is missing."""
    findings = examine(quick)
    if as_json:
        say_json(findings)
    else:
        show(findings)
    return 2 if any(finding.verdict == "missing" for finding in findings) else 0


def examine(quick: bool) -> list[Finding]:
    """All checks, in the order in which they build on each other."""
    from guestnet.guest.image import require
    from guestnet.guest.machine import PROGRAM

    # QEMU's version counts too.
    others = [program for program in programs.table().values() if program.name != PROGRAM]
    needed = [program for program in others if checks.NEEDED & set(program.needed_by)]
    return [
        checks.check_python(),
        checks.check_data_path(),
        checks.check_qemu(),
        *(checks.check_program(program) for program in needed),
        checks.check_lab(),
        checks.check_impairments(),
        checks.check_tun(),
        checks.check_cache(),
        checks.check("image tiny", "guests", lambda: require("tiny").title),
        *([] if quick else [checks.check("accelerator", "speed of guests", checks.accelerator)]),
        checks.check_proxies(),
        *(checks.check_program(program) for program in others if program not in needed),
    ]


def show(findings: list[Finding]) -> None:
    """A table, and below it what to do."""
    console = Console()
    table = Table("", "what", "found", "for", box=None, pad_edge=False)
    for finding in findings:
        mark = f"[{STYLES[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(mark, finding.name, finding.found, finding.purpose)
    console.print(table)
    for finding in findings:
        if finding.remedy:
            console.print(f"\n[{STYLES[finding.verdict]}]{finding.name}[/]: {finding.found}")
            console.print(f"    {finding.remedy}", highlight=False, soft_wrap=True)
