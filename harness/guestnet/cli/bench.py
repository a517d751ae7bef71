"""``guestnet bench``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from guestnet.bench.form import Benchmark, Figure, Machine, readable
from guestnet.cli.output import Bar
from guestnet.core.errors import GuestnetError

if TYPE_CHECKING:
    from guestnet.bench.flows_lab import Part
    from guestnet.lab.requests.description import GuestKind


@click.group()
def bench() -> None:
    """Measure, and write the figures in one form."""


@bench.command()
@click.option("--runs", default=5, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option("--stack", default="builtin", show_default=True)
@click.option("--guest", default="qemu", show_default=True, type=click.Choice(["qemu", "netns"]))
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def boot(runs: int, stack: str, guest: "GuestKind", file: Path | None) -> None:
    """How long a guest takes: cold boot to lease, restore to agent (or a namespace to its first answer), and
    a scenario's overhead."""
    from guestnet.bench.boot import measure, measure_netns

    with Bar() as bar:
        accelerator, figures = (measure if guest == "qemu" else measure_netns)(runs, stack, bar.show)
    say(Benchmark(machine=here(accelerator), figures=figures), file)


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """``1500,65520``."""
    parts = value.split(",")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise click.BadParameter(f"{value!r} is not like 1500,65520", context, parameter)
    return tuple(map(int, parts))


@bench.command()
@click.option("--stack", "stacks", default="builtin,slirp,passt", show_default=True, help="Side by side.")
@click.option(
    "--mtu", "mtus", default="1500,65520", show_default=True, callback=_numbers, help="Of the cable."
)
@click.option("--guest", default="qemu", show_default=True, type=click.Choice(["qemu", "netns"]))
@click.option("--runs", default=5, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(min=1), help="Of one transfer.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def throughput(
    stacks: str, mtus: tuple[int, ...], guest: "GuestKind", runs: int, seconds: int, file: Path | None
) -> None:
    """How much a guest gets through each stack, up and down, and the ratios in the same run."""
    from guestnet.bench.throughput import measure

    with Bar() as bar:
        accelerator, figures = measure(stacks.split(","), mtus, guest, runs, seconds, bar.show)
    say(Benchmark(machine=here(accelerator), figures=figures), file)


def _parts(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """``latency,memory``, or all."""
    from guestnet.bench.flows import PARTS

    if value == "all":
        return PARTS
    if wrong := [part for part in value.split(",") if part not in PARTS]:
        raise click.BadParameter(f"{wrong[0]!r} is none of {', '.join(PARTS)}", context, parameter)
    return tuple(part for part in PARTS if part in value.split(","))


@bench.command()
@click.option("--stack", "stacks", default="builtin,slirp,passt", show_default=True, help="Side by side.")
@click.option("--guest", default="qemu", show_default=True, type=click.Choice(["qemu", "netns"]))
@click.option(
    "--part", "parts", default="all", show_default=True, callback=_parts,
    help="Some of latency, memory, cpu and capture, as latency,memory.",
)  # fmt: skip
@click.option("--runs", default=5, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def flows(stacks: str, guest: "GuestKind", parts: tuple["Part", ...], runs: int, file: Path | None) -> None:
    """What connects, requests, datagrams, idle flows and gigabytes cost with each stack."""
    from guestnet.bench.flows import measure

    with Bar() as bar:
        accelerator, figures, notes = measure(stacks.split(","), guest, parts, runs, bar.show)
    say(Benchmark(machine=here(accelerator), figures=figures), file)
    for note in notes:
        click.echo(note, err=True)


@bench.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option(
    "--packets",
    default=1000,
    show_default=True,
    type=click.IntRange(min=10),
    help="For each delay, in a run.",
)
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def links(runs: int, packets: int, file: Path | None) -> None:
    """How exactly the links of a world delay, lose and limit, and how many packets they carry, beside a plain
    veth pair."""
    from guestnet.bench.links import measure

    with Bar() as bar:
        figures, notes = measure(runs, packets, bar.show)
    say(Benchmark(machine=here("no guest"), figures=figures), file)
    for note in notes:
        click.echo(note, err=True)


@bench.command()
@click.option("--runs", default=5, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option("--cycles", default=200, show_default=True, type=click.IntRange(min=1), help="Worlds in all.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def world(runs: int, cycles: int, file: Path | None) -> None:
    """How long a world of five hosts, two uplinks and a VPN takes, up and down, and what is left of many."""
    from guestnet.bench.world import measure

    with Bar() as bar:
        figures, left = measure(min(runs, cycles), cycles, bar.show)
    say(Benchmark(machine=here("no guest"), figures=figures), file)
    for each in left:
        click.echo(each, err=True)


@bench.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option("--guest", "guests", default="netns,qemu", show_default=True, help="Each on its own.")
@click.option(
    "--checkout", default=".", show_default=True, help="Whose scenarios.",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
)  # fmt: skip
@click.option(
    "--beside", type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Another build's checkout with its .venv, which takes turns with ours.",
)  # fmt: skip
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def suite(runs: int, guests: str, checkout: Path, beside: Path | None, file: Path | None) -> None:
    """How many scenarios a minute run, of a fixed set of forty, with two workers; beside another build."""
    from guestnet.bench.suite import measure

    other = None if beside is None else beside.resolve()
    with Bar() as bar:
        figures = measure(checkout.resolve(), other, guests.split(","), runs, bar.show)
    say(Benchmark(machine=here("as scenarios have it"), figures=figures), file)


def here(accelerator: str) -> Machine:
    """This machine, as figures carry it."""
    from guestnet.plugin.machine import machine

    facts = machine()
    return Machine(
        cores=int(facts.machine["cores"]),
        accelerator=accelerator,
        kernel=facts.machine["kernel"],
        versions=facts.versions,
    )


def say(benchmark: Benchmark, file: Path | None) -> None:
    """A table for people; the whole of it in ``file``, for programs."""
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(msgspec.json.format(msgspec.json.encode(benchmark), indent=2) + b"\n")
        except OSError as error:
            raise GuestnetError(
                f"can't write {file}: {error.strerror}", remedy="give another --json FILE"
            ) from error
    table = Table(Column("figure", overflow="fold"), "median", "runs", "where")
    for figure in benchmark.figures:
        runs = "  ".join(readable(run, figure.unit) for run in figure.runs)
        table.add_row(figure.name, readable(figure.value, figure.unit), runs, _where(figure))
    console = Console()
    console.print(table)
    machine = benchmark.machine
    console.print(f"{machine.cores} cores, {machine.accelerator}, Linux {machine.kernel}", highlight=False)


def _where(figure: Figure) -> str:
    parts = (figure.stack, figure.guest, f"mtu {figure.mtu}" if figure.mtu else "")
    return " ".join(part for part in parts if part)
