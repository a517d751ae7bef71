"""``guestnet image``."""

from typing import Self

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from harness.cli.output import json_option, say_json


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An image as programs see it; ``digest`` and what follows are of a built one."""

    name: str
    built: bool
    digest: str = ""
    folder: str = ""
    bytes: int = 0
    packages: tuple[str, ...] = ()


def _listed(name: str) -> Listed:
    from harness.guest.image import find

    image = find(name)
    if image is None:
        return Listed(name=name, built=False)
    return Listed(
        name=name,
        built=True,
        digest=image.digest,
        folder=str(image.folder),
        bytes=image.size,
        packages=image.packages,
    )


@click.group()
def image() -> None:
    """Guest images: what guests are made of."""


@image.command("list")
@json_option
def list_images(as_json: bool) -> None:
    """All recipes, and which are built."""
    from harness.guest import recipe

    images = [_listed(name) for name in recipe.names()]
    if as_json:
        say_json(images)
        return
    table = Table("image", "digest", "size", box=None, pad_edge=False)
    for one in images:
        table.add_row(
            one.name,
            one.digest[:12] if one.built else "not built",
            f"{one.bytes / 2**20:.1f} MiB" if one.built else "",
        )
    Console().print(table)


@image.command()
@click.argument("name", default="tiny")
@click.option("--again", is_flag=True, help="Build it even if it is there, for newer packages.")
@json_option
def build(name: str, again: bool, as_json: bool) -> None:
    """Build the image NAME from Debian's packages, unless it is there. No root is needed."""
    from harness.guest.image import build as build_image

    console = Console(stderr=True)
    with _Bar(console) as bar:
        built = build_image(name, progress=bar.show, waiting=bar.wait, again=again)
    if as_json:
        say_json(_listed(name))
    elif bar.seen:
        console.print(f"{name}: {built.digest[:12]}, {built.size / 2**20:.1f} MiB", highlight=False)


class _Bar:
    """A bar a stage: on a terminal it moves, elsewhere each stage is one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
        )
        self._tasks: dict[str, TaskID] = {}
        self.seen = False

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Take the builder's word."""
        self.seen = True
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
            if not self._console.is_terminal:
                self._console.print(stage)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def wait(self) -> None:
        """Another process builds it."""
        self._console.print("another process builds this image: waiting for it")
