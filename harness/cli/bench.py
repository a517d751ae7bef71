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
