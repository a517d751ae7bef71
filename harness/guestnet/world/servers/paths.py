"""Where the lab and its server processes find each other's files. A lab's /run is its own."""

from pathlib import Path
from typing import Final

from guestnet.world.kernel.places import RUN

CA: Final = RUN / "ca.pem"
"""The certificate of the lab's authority, in worlds that have TLS."""
CA_WITH_KEY: Final = RUN / "ca-and-key.pem"


def package_alone() -> Path:
    """A folder with this package and nothing else, for a Python that has packages of its own.

    Where the package is others may be too, in other versions.
    """
    import guestnet

    (package,) = guestnet.__path__
    folder = RUN / "python"
    folder.mkdir(exist_ok=True)
    link = folder / "guestnet"
    if not link.is_symlink():
        link.symlink_to(Path(package).resolve())
    return folder


def proxy_folder(name: str) -> Path:
    """Where the proxy ``name`` keeps what mitmproxy wants to have."""
    return RUN / f"proxy-{name}"
