"""``guestnet events``: a journal as lines that a person can follow."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.core.events import Event, LabStopped
from guestnet.core.showing import describe
from guestnet.core.time import SECOND
from guestnet.journal.journal import JournalReader

_COLOURS: Final = {"good": "green", "warning": "yellow", "bad": "red"}
"""Of the tones of `guestnet.core.showing`."""
PAUSE: Final = 0.1
"""Seconds between two looks at a journal that grows."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--follow", "-f", is_flag=True, help="Wait for more, until the lab ends.")
@click.option("--json", "as_json", is_flag=True, help="The lines as the journal has them, for programs.")
def events(folder: Path, follow: bool, as_json: bool) -> None:
    """Show the events of a lab: FOLDER is where its journal.jsonl is, or will be."""
    path = folder / "journal.jsonl" if folder.suffix != ".jsonl" else folder
    wanted = path.parent if follow else path
    if not wanted.exists():
        raise DescriptionError(f"there is no {wanted}", remedy="give the folder of a lab's artifacts")
    for event in read(path, follow):
        click.echo(msgspec.json.encode(event) if as_json else line(event))


def read(path: Path, follow: bool) -> Iterator[Event]:
    """The events of the journal at ``path``; with ``follow`` until its lab has stopped."""
    reader = JournalReader(path)
    while True:
        for event in reader.read():
            yield event
            if follow and isinstance(event, LabStopped):
                return
        if not follow:
            return
        time.sleep(PAUSE)


def line(event: Event) -> str:
    """``12:30:01.123 DnsAnswered  DNS A shop.example: NOERROR, 203.0.113.10``, trouble in colour."""
    at = datetime.fromtimestamp(event.at / SECOND, UTC).strftime("%H:%M:%S.%f")[:-3]
    told = describe(event)
    text = click.style(told.text.replace("\n", " ⏎ "), fg=_COLOURS.get(told.tone))
    return f"{click.style(at, dim=True)} {click.style(type(event).__name__, bold=True)}  {text}"
