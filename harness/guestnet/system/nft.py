"""nftables rulesets (nft(8)) in the calling thread's network namespace."""

import subprocess
from typing import Final

from guestnet.core.errors import DescriptionError, EnvironmentMissing, LabError
from guestnet.system.programs import require

_TIMEOUT: Final = 10.0
MODPROBE: Final = "as root, run: modprobe nf_tables"
_UNABLE: Final = ("Operation not supported", "No such file", "unknown chain hook")
"""What nft says when it, or the kernel, is too old or lacks a part."""


def load(ruleset: str, *, what: str, remedy: str = MODPROBE) -> None:
    """Add ``ruleset`` to the tables, all of it or nothing; ``what`` names it in errors.

    Raises EnvironmentMissing with ``remedy`` when this
    machine can't do such rules, DescriptionError with nft's own words when it refuses these, and LabError
    when it takes too long.
    """
    try:
        ran = subprocess.run(
            [require("nft"), "-f", "-"],
            input=ruleset, capture_output=True, text=True, timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"nft took more than {_TIMEOUT:g} s over {what}", remedy="see what keeps this machine busy"
        ) from error
    if ran.returncode:
        said = ran.stderr.strip()
        if any(words in said for words in _UNABLE):
            raise EnvironmentMissing(f"this kernel can't do {what} ({said})", remedy=remedy)
        raise DescriptionError(f"nft refuses {what}: {said}", remedy="see nft(8)")
