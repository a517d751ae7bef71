"""``guestnet image``."""

import click
import msgspec
from rich.console import Console
from rich.table import Table

from guestnet.cli.output import Bar, json_option, say_json


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An image as programs see it; ``digest`` and what follows are of a built one."""

    name: str
    built: bool
    digest: str = ""
    folder: str = ""
    bytes: int = 0
    packages: tuple[str, ...] = ()


def _listed(name: str) -> Listed:
    from guestnet.guest.image import find

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
    from guestnet.guest import recipe

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
    from guestnet.guest.image import build as build_image

    console = Console(stderr=True)
    with Bar(console) as bar:
        built = build_image(
            name,
            progress=bar.show,
            waiting=lambda: console.print("another process builds this image: waiting for it"),
            again=again,
        )
    if as_json:
        say_json(_listed(name))
    elif bar.seen:
        console.print(f"{name}: {built.digest[:12]}, {built.size / 2**20:.1f} MiB", highlight=False)
