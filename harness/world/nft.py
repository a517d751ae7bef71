"""nftables rulesets (nft(8)) in the namespaces of hosts."""

import shutil
import subprocess
from typing import Final

from harness.core.errors import DescriptionError, EnvironmentMissing
from harness.world.namespaces import Namespaces

_PLACES: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_TIMEOUT: Final = 10.0


def find_nft() -> str:
    """The program. Raises EnvironmentMissing."""
    found = shutil.which("nft") or shutil.which("nft", path=_PLACES)
    if found is None:
        raise EnvironmentMissing("nft is not installed", remedy="install nftables")
    return found


def load(namespaces: Namespaces, host: str, ruleset: str, *, what: str) -> None:
    """Add ``ruleset`` to the tables of ``host``, all of it or nothing; ``what`` names it in errors.

    The calling thread visits the namespace meanwhile. Raises EnvironmentMissing, and DescriptionError with
    nft's own words when it refuses.
    """
    with namespaces.inside(host):
        ran = subprocess.run(
            [find_nft(), "-f", "-"],
            input=ruleset, capture_output=True, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    if ran.returncode:
        said = ran.stderr.strip()
        if "Operation not supported" in said or "No such file" in said:
            raise EnvironmentMissing(
                f"this kernel can't do {what} ({said})", remedy="as root, run: modprobe nf_tables"
            )
        raise DescriptionError(f"nft refuses {what}: {said}", remedy="see nft(8)")
