"""``guestnet attach``: change and question a lab that runs, in the words of a scenario.

Python with ``lab`` in it, as a scenario has it: what has shown the bug at the prompt is the scenario that
shows it again.
"""

import ast
import code
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from guestnet.core.errors import GuestnetError
from guestnet.world.described.model import LAPTOP

if TYPE_CHECKING:
    from guestnet.scenario import Lab

_HELP: Final = """\
lab is the lab in {folder}: world {world}, stack {stack}, guests {guests}.
Say for instance  lab.guest.resolve("shop.example")   lab.links.{link}.impair(loss="3%", delay="80ms")
lab.links.{link}.clear()   lab.cable.expect(tcp.reset())   help(lab)        Ctrl-D leaves; the lab goes on."""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("-c", "command", help="Run this and leave; the value of an expression is printed.")
def attach(folder: Path, command: str | None) -> None:
    """Change and question the lab of a running `guestnet shell` from a Python prompt.

    FOLDER is the one that the shell names. The lab is there as LAB, with the verbs and matchers of scenarios.
    """
    from guestnet import scenario
    from guestnet.lab.process.door import Visit
    from guestnet.scenario import Lab

    visit = Visit(folder)
    try:
        lab = Lab(visit)
        names: dict[str, Any] = {name: getattr(scenario, name) for name in scenario.__all__} | {"lab": lab}
        if command is None:
            _prompt(lab, folder, names)
        else:
            _run(command, names)
    finally:
        visit.close()


def _prompt(lab: "Lab", folder: Path, names: dict[str, Any]) -> None:
    try:
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")
    except ImportError:  # a Python built without it has no history and no completion
        pass
    status = lab.status()
    banner = _HELP.format(
        folder=folder, world=status.world, stack=status.stack,
        guests=", ".join(guest.name for guest in status.guests) or "none", link=_uplink(lab),
    )  # fmt: skip
    Console(names).interact(banner, exitmsg="")


class Console(code.InteractiveConsole):
    """A prompt at which what goes wrong with the lab, or was said wrongly, is one sentence."""

    def showtraceback(self) -> None:
        """Of an error of ours its words, of others what Python shows."""
        error = sys.exc_info()[1]
        if isinstance(error, GuestnetError):
            self.write(f"{error}\n")
        else:
            super().showtraceback()


def _uplink(lab: "Lab") -> str:
    """A link of the laptop; the guest's cable when it has none."""
    world = lab.description.profile
    links = {} if isinstance(world, str) else world.links
    return next((name for name, link in links.items() if LAPTOP in link.ends), "cable").replace("-", "_")


def _run(command: str, names: dict[str, Any]) -> None:
    """As a scenario's lines; what goes wrong with the network or an expectation is one sentence."""
    try:
        tree = ast.parse(command, "<command>")
    except SyntaxError as error:
        raise click.UsageError(f"-c: {error.msg} ({command!r})") from error
    last = tree.body[-1] if tree.body else None
    value = None
    try:
        if isinstance(last, ast.Expr):
            tree.body.pop()
        exec(compile(tree, "<command>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<command>", "eval"), names)
        if value is not None:
            click.echo(value if isinstance(value, str) else repr(value))
    except AssertionError as error:
        click.echo(str(error) or "assertion failed", err=True)
        sys.exit(1)
    except GuestnetError:
        raise
    except (AttributeError, LookupError, NameError, TypeError, ValueError) as error:
        raise GuestnetError(
            f"{type(error).__name__}: {error}", remedy="see help(lab) at the prompt"
        ) from None
