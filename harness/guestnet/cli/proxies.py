"""``guestnet proxies``."""

import click


@click.command()
def proxies() -> None:
    """Make the environment of a world's proxies, unless it is there: mitmproxy, in a venv of its own.

    A world that has a proxy makes it when it starts; this is for machines that are without network later.
    """
    from guestnet.lab.process.proxies import make, say_on_stderr

    make(waiting=lambda: say_on_stderr("another process makes it: waiting for it"))
