"""``guestnet report``."""

from pathlib import Path

import click

from guestnet.cli.output import json_option, say_json


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
def report(folder: Path, as_json: bool) -> None:
    """Build the HTML report of the run in FOLDER anew, from its run.json, journals and captures."""
    from guestnet.report import build
    from guestnet.report.model import load

    if as_json:
        say_json({"report": str(build(folder)), "run": load(folder)})
    else:
        click.echo(build(folder))
