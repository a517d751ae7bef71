"""``guestnet shell``: a console in a guest, on the network that a profile describes.

A QEMU guest has a serial console; in a namespace it is a shell on a terminal of the guest's own.

The terminal is raw while it is connected, so that every key reaches the guest, Ctrl-C too. Ctrl-] comes back.
The lab lives as long as this command.
"""

import contextlib
import fcntl
import os
import secrets
import select
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from guestnet.core.errors import GuestnetError
from guestnet.system import programs

if TYPE_CHECKING:
    from guestnet.lab.process.client import LabProcess
    from guestnet.lab.requests.description import GuestKind

ESCAPE: Final = b"\x1d"
"""Ctrl-], as telnet(1) has it."""

CHUNK: Final = 65536

PAUSE: Final = 0.3
"""Seconds that an event may wait until whoever follows the journal sees it."""


@click.command()
@click.option("--profile", default="plain", show_default=True, help="Name or TOML file of the world.")
@click.option("--stack", default="builtin", show_default=True, help="Network stack under test.")
@click.option("--guest", default="qemu", show_default=True, type=click.Choice(["qemu", "netns"]))
@click.option("--image", default="tiny", show_default=True, help="Image of the guest.")
@click.option("--seed", type=int, default=None, help="Of everything random in the lab.")
@click.option(
    "--artifacts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep journal, capture and logs in this folder (default: a temporary one).",
)
@click.option("--events", "beside", is_flag=True, help="Show the events in a second pane (needs tmux).")
def shell(
    profile: str, stack: str, guest: "GuestKind", image: str, seed: int | None, artifacts: Path | None,
    beside: bool,
) -> None:  # fmt: skip
    """Boot a guest and connect this terminal to its console. Ctrl-] ends it."""
    from guestnet.lab.process.client import LabProcess
    from guestnet.lab.process.door import Door
    from guestnet.lab.requests.description import LabDescription
    from guestnet.lab.requests.protocol import Activity

    if not sys.stdin.isatty():
        raise GuestnetError(
            "guestnet shell needs a terminal", remedy="for commands without one, write a scenario"
        )
    description = LabDescription(
        scenario="guestnet shell",
        seed=secrets.randbelow(10**6) if seed is None else seed,
        stack=stack,
        guest=guest,
        profile=profile,
        image=image,
    )
    click.echo("starting the lab …", err=True)
    with _folder(artifacts) as folder, LabProcess.start(description, folder) as lab, Door(lab):
        _say_hello(lab, folder, beside)
        with lab.console("guest1") as console, _raw(sys.stdin.fileno()):
            reason = connect(
                console,
                sys.stdin.fileno(),
                sys.stdout.fileno(),
                refresh=lambda: lab.call(Activity(journal=0, capture=0)),
            )
        click.echo(f"\n{reason}; the lab ends", err=True)


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="guestnet-") as folder:
        yield Path(folder)


def _say_hello(lab: "LabProcess", folder: Path, beside: bool) -> None:
    follow = [sys.executable, "-m", "guestnet.cli", "events", str(folder), "--follow"]
    if beside and os.environ.get("TMUX") and programs.find("tmux"):
        subprocess.run(["tmux", "split-window", "-d", "-h", shlex.join(follow)], check=False)
    else:
        if beside:
            click.echo("--events needs a terminal within tmux", err=True)
        click.echo(
            f"events, in a second terminal:  guestnet events {shlex.quote(str(folder))} --follow", err=True
        )
    click.echo(f"change it:  guestnet attach {shlex.quote(str(folder))}", err=True)
    click.echo("packets:  " + shlex.quote(str(folder / "capture.pcapng")), err=True)
    click.echo(f"world {lab.started.world}, stack {lab.started.stack}; Ctrl-] leaves", err=True)


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Every key as it is, until the block ends, however it ends."""
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def connect(console: socket.socket, keyboard: int, screen: int, refresh: Callable[[], object]) -> str:
    """Pass bytes both ways until the escape key, or until one side ends; says which.

    ``refresh`` is called every now and then, to have the lab write down what it holds back of its journal.
    """
    rows, columns = _size(keyboard)
    # A fresh shell, because the waiting one began before the guest had its name and this terminal its size.
    console.sendall(f"\rstty rows {rows} cols {columns}; exec bash -l || exec sh -l\r".encode())
    refreshed = time.monotonic()
    while True:
        ready, _, _ = select.select([console.fileno(), keyboard], [], [], PAUSE)
        if time.monotonic() - refreshed > PAUSE:
            refresh()
            refreshed = time.monotonic()
        if console.fileno() in ready:
            shown = console.recv(CHUNK)
            if not shown:
                return "the guest's console closed"
            _write(screen, shown)
        if keyboard in ready:
            typed = os.read(keyboard, CHUNK)
            before, escape, _ = typed.partition(ESCAPE)
            console.sendall(before)
            if escape or not typed:
                return "left the console"


def _write(screen: int, shown: bytes) -> None:
    while shown:
        shown = shown[os.write(screen, shown) :]


def _size(terminal: int) -> tuple[int, int]:
    """Rows and columns of the terminal (tty_ioctl(4)); a serial console can't ask for them."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
    return rows or 24, columns or 80
