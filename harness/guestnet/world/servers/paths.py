"""Where the lab and its server processes find each other's files. A lab's /run is its own."""

from pathlib import Path
from typing import Final

from guestnet.world.kernel.mounts import RUN

CA: Final = RUN / "ca.pem"
"""The certificate of the lab's authority, in worlds that have TLS."""
CA_WITH_KEY: Final = RUN / "ca-and-key.pem"


def proxy_folder(name: str) -> Path:
    """Where the proxy ``name`` keeps what mitmproxy wants to have."""
    return RUN / f"proxy-{name}"
