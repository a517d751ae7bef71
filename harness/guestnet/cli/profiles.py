"""``guestnet profiles``: the worlds that are ready."""

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from guestnet.world.described.world import World


@click.command()
@click.argument("name", required=False)
def profiles(name: str | None) -> None:
    """List the ready profiles; with NAME, or the path of a TOML file, say what is in one."""
    console = Console()
    if name is None:
        console.print(_list())
    else:
        _show(name, console)


def _list() -> Table:
    from guestnet.world.profiles.load import profile_names, profile_words

    table = Table(Column("profile", no_wrap=True), Column("what it is", overflow="fold"))
    for name in profile_names():
        table.add_row(name, _sentence(profile_words(name)).partition(": ")[2])
    return table


def _sentence(words: list[str]) -> str:
    """The first paragraph on one line."""
    until = words.index("") if "" in words else len(words)
    return " ".join(words[:until])


def _show(name: str, console: Console) -> None:
    from guestnet.world.profiles.load import load_profile, profile_words

    world = load_profile(name)
    for line in profile_words(name):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_table(world))


def _table(world: "World") -> Table:
    table = Table("", "name", Column("what it is", overflow="fold"))
    for name, uplink in world.uplinks.items():
        up = "" if uplink.up else ", down at first"
        table.add_row("uplink", name, f"{uplink.kind}, resolver {', '.join(uplink.resolvers)}{up}")
    for name, link in world.links.items():
        ends = " — ".join(f"{host} {', '.join(addresses)}" for host, addresses in link.ends.items())
        table.add_row("link", name, ends)
    for name in world.vpns:
        table.add_row("VPN", name, f"on {world.vpns[name].gateway}, at {world.vpns[name].endpoint}")
    for name, server in world.servers.items():
        where = ", ".join(f"{address} port {server.port}" for address in server.addresses)
        table.add_row("server", name, f"{server.kind} on {server.host}: {where}")
    return table
