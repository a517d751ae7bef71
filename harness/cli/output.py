"""How commands say what they have to say: to people on a terminal, to programs as JSON."""

from typing import Any

import click
import msgspec


def say_json(value: Any) -> None:
    """One JSON document on stdout, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
