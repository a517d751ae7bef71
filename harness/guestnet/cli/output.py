"""How commands say what they have to say: to people on a terminal, to programs as JSON."""

from typing import Any, Self

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


def say_json(value: Any) -> None:
    """One JSON document on stdout, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")


class Bar:
    """A bar a stage: on a terminal it moves, elsewhere each stage is one line."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=self._console
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
        """Stage ``stage`` has done so much of so much."""
        self.seen = True
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
            if not self._console.is_terminal:
                self._console.print(stage)
        self._progress.update(self._tasks[stage], completed=done, total=total)
