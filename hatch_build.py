"""Puts the image recipes and the profiles into a wheel; an editable install finds them in the checkout.

With ``GUESTNET_COMPILE=1`` in the environment the wheel also carries the data path compiled to C by mypyc,
from the same sources and beside them: Python takes the compiled module where there is one. It takes a minute
and a C compiler, so it has to be asked for. An editable install stays interpreted: it would not see a change.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = ("images", "fixtures")
COMPILE: Final = "GUESTNET_COMPILE"
_TOOLS: Final = ["mypy[mypyc]>=2.4.1", "msgspec>=0.22.0", "numpy>=2.4.6"]
"""The compiler, and what the compiled modules import, for their types."""
_TYPES: Final = ("--ignore-missing-imports", "--follow-imports=silent")
"""Of what the compiled modules do not need, and is not here, nothing is said."""
_DATA_PATH: Final = (
    "core/time.py", "wire/checksum.py", "wire/ip.py", "wire/octets.py", "tcpip/tcp/[a-z]*.py",
    "gateway/[a-z]*.py", "link/link.py", "link/lane.py", "link/switch.py", "journal/append.py",
    "journal/recording.py", "edge/driver.py", "edge/host_tcp.py", "edge/host_udp.py", "edge/poller.py",
    "edge/qemu_port.py", "edge/timer.py",
)  # fmt: skip
_INTERPRETED: Final = re.compile(r"^class .*\b(Struct|Sequence)\b", re.MULTILINE)
"""What mypyc can't do: arguments of a class (msgspec's), and telling a Sequence of ours from any other."""


class CarryData(BuildHookInterface[Any]):
    def dependencies(self) -> list[str]:
        """What a build takes beside hatchling."""
        return _TOOLS if os.environ.get(COMPILE) == "1" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        build_data["force_include"].update({folder: f"guestnet/_data/{folder}" for folder in CARRIED})
        if os.environ.get(COMPILE) == "1":
            self._folder = tempfile.TemporaryDirectory(prefix="guestnet-")
            made = compiled(Path(self.root), Path(self._folder.name))
            build_data["force_include"].update(made)
            build_data.update(pure_python=False, infer_tag=True)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def compiled(root: Path, folder: Path) -> dict[str, str]:
    """Compile in ``folder``; where the libraries are, and where in a wheel they belong.

    Raises CalledProcessError after the compiler has said why.
    """
    source, ignored = root / "harness" / "guestnet", shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, folder / "guestnet", ignore=ignored)
    modules = [str(path.relative_to(folder)) for path in sorted(_data_path(folder / "guestnet"))]
    environment = {"MYPYC_OPT_LEVEL": "2", "MYPYC_DEBUG_LEVEL": "0", **os.environ}
    command = [sys.executable, "-m", "mypyc", *_TYPES, *modules]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    made = [*folder.glob("*.so"), *(folder / "guestnet").rglob("*.so")]
    return {str(path): str(path.relative_to(folder)) for path in made}


def _data_path(package: Path) -> Iterator[Path]:
    for pattern in _DATA_PATH:
        for path in package.glob(pattern):
            if not _INTERPRETED.search(path.read_text()):
                yield path
