"""``guestnet bench``."""

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from harness.bench.form import Benchmark, Figure, Machine, readable
from harness.cli.output import Bar
from harness.core.errors import GuestnetError


@click.group()
def bench() -> None:
    """Measure, and write the figures in one form."""


@bench.command()
@click.option("--runs", default=5, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option("--stack", default="builtin", show_default=True)
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def boot(runs: int, stack: str, file: Path | None) -> None:
    """How long a guest takes: cold boot to lease, restore to agent, and a scenario's overhead."""
    from harness.bench.boot import measure

    with Bar() as bar:
        accelerator, figures = measure(runs, stack, bar.show)
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
@click.option("--runs", default=5, show_default=True, type=click.IntRange(min=1), help="Values a figure.")
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(min=1), help="Of one transfer.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write them to FILE.")
def throughput(stacks: str, mtus: tuple[int, ...], runs: int, seconds: int, file: Path | None) -> None:
    """How much a guest gets through each stack, up and down, and the ratios in the same run."""
    from harness.bench.throughput import measure

    with Bar() as bar:
        accelerator, figures = measure(stacks.split(","), mtus, runs, seconds, bar.show)
    say(Benchmark(machine=here(accelerator), figures=figures), file)


def here(accelerator: str) -> Machine:
    """This machine, as figures carry it."""
    from harness.plugin.machine import machine

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
    table = Table("figure", "median", "runs", "where")
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
