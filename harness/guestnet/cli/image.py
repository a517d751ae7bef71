"""``guestnet image``."""

import click
import msgspec
from rich.console import Console
from rich.table import Table

from guestnet.cli.output import Bar, json_option, say_json


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An image as programs see it; ``version`` (of Debian's point release) and what follows are of a built
    one."""

    name: str
    release: str
    built: bool
    version: str = ""
    digest: str = ""
    folder: str = ""
    bytes: int = 0
    packages: tuple[str, ...] = ()


def _listed(name: str) -> Listed:
    from guestnet.guest import recipe
    from guestnet.guest.image import find

    described, image = recipe.load(name), find(name)
    if image is None:
        return Listed(name=described.name, release=described.release, built=False)
    return Listed(
        name=image.name,
        release=image.release,
        built=True,
        version=image.version,
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
    """All recipes, each with its own release and the others that are built."""
    from guestnet.guest import debian, recipe

    images = []
    for name in recipe.names():
        images.append(own := _listed(name))
        others = [_listed(f"{name}:{release}") for release in debian.releases() if release != own.release]
        images += [other for other in others if other.built]
    if as_json:
        say_json(images)
        return
    table = Table("image", "Debian", "digest", "size", box=None, pad_edge=False)
    for one in images:
        table.add_row(
            one.name,
            f"{one.release} {one.version}",
            one.digest[:12] if one.built else "not built",
            f"{one.bytes / 2**20:.1f} MiB" if one.built else "",
        )
    Console().print(table)


@image.command()
@click.argument("name", default="tiny")
@click.option("--release", metavar="RELEASE", help="Of Debian, instead of the recipe's own: NAME:RELEASE.")
@click.option("--mirror", metavar="URL", default="", help="Of Debian, instead of the one in apt's sources.")
@click.option("--again", is_flag=True, help="Build it even if it is there, for newer packages.")
@json_option
def build(name: str, release: str | None, mirror: str, again: bool, as_json: bool) -> None:
    """Build the image NAME from Debian's packages, unless it is there. No root is needed."""
    from guestnet.guest.image import build as build_image

    console = Console(stderr=True)
    if release is not None:
        name = f"{name.partition(':')[0]}:{release}"
    with Bar(console) as bar:
        built = build_image(
            name,
            progress=bar.show,
            waiting=lambda: console.print("another process builds this image: waiting for it"),
            again=again,
            mirror=mirror,
        )
    if as_json:
        say_json(_listed(name))
    elif bar.seen:
        console.print(f"{built.title}, {built.size / 2**20:.1f} MiB", highlight=False)
