"""A bare machine: a root filesystem of its own, entered in namespaces by unshare(1); see enter.sh.

Nothing is left of it, however its owner ends. Processes and mounts go with the namespaces. The folder is
removed by a process that only waits for its owner's end, in a session of its own: Ctrl-C is not for it.

Another user than root has a namespace of users around the others, which maps its subordinate IDs (subuid(5)).
"""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import Cache
from guestnet.system.programs import require, search_path
from tests.bare.host import Host

ENTER = Path(__file__).with_name("enter.sh")
ENVIRONMENT = {
    "HOME": "/home/user", "USER": "user", "LOGNAME": "user", "SHELL": "/bin/bash", "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
}  # fmt: skip
"""As login(1) makes it for a plain user on Debian."""

# It reads who runs, and a second line when that has ended. When its input ends between the two, so did we.
REMOVE = """
while read -r running; do
    read -r ended || kill -KILL "$running"
done
until rm -rf --one-file-system "$1" 2>/dev/null; do sleep 0.2; done
"""


class Machine:
    """One machine, unpacked from ``archive``; a context that leaves nothing."""

    def __init__(self, cache: Cache, archive: Path, host: Host) -> None:
        """Raises EnvironmentMissing when this user can't have one."""
        self._archive = archive
        self._host = host
        self._as_root = _as_root()
        parent = cache.folder / "bare"
        with cache.explain("make a bare machine"):
            self._place = Path(tempfile.mkdtemp(prefix="machine-", dir=parent))
        self.folder = self._place / "root"
        """Its root filesystem."""
        words = [*self._as_root, "sh", "-c", REMOVE, "sh", str(self._place)]
        self._remover = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True, text=True)

    def __enter__(self) -> Self:
        try:
            # Who is root there must be able to go there.
            self._place.chmod(0o755)
            self._within("mkdir", str(self.folder))
            self._within(
                "tar", "--extract", "--numeric-owner", "--exclude=./dev/*",
                "--file", str(self._archive), "--directory", str(self.folder),
            )  # fmt: skip
            for path, content in self._host.files.items():
                self.give(path, content)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._tell().close()
        self._remover.wait()

    def give(self, path: str, content: bytes) -> None:
        """Write its file ``path``, for everybody to read."""
        script = 'mkdir -p "$(dirname "$1")" && rm -f "$1" && cat >"$1" && chmod 0644 "$1"'
        self._within("sh", "-c", script, "sh", f"{self.folder}{path}", given=content)

    def run(self, command: Sequence[str], folder: str, **environment: str) -> int:
        """Run ``command`` as the plain user in ``folder``, with our standard streams; its exit status."""
        terminal = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
        variables = ENVIRONMENT | terminal | self._host.environment | environment
        words = [
            *(self._as_root or ["unshare"]),
            "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL",
            "sh", str(ENTER), str(self.folder), *map(str, self._host.shown), "--",
            "setpriv", "--reuid=1000", "--regid=1000", "--init-groups",
            "env", "-i", *(f"{name}={value}" for name, value in variables.items()),
            "sh", "-c", 'cd "$0" && exec "$@"', folder, *command,
        ]  # fmt: skip
        with subprocess.Popen(words, env={**os.environ, "PATH": search_path()}) as running:
            print(running.pid, file=self._tell(), flush=True)
            try:
                return running.wait()
            finally:
                running.kill()
                running.wait()
                print("ended", file=self._tell(), flush=True)

    def _tell(self) -> IO[str]:
        assert self._remover.stdin is not None
        return self._remover.stdin

    def _within(self, *command: str, given: bytes = b"") -> None:
        subprocess.run([*self._as_root, *command], input=given, check=True)


def _as_root() -> list[str]:
    """What to put before a command that is to be root over the machine's files. Raises EnvironmentMissing."""
    if os.geteuid() == 0:
        return []
    words = [str(require("unshare")), "--map-root-user", "--map-auto"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise EnvironmentMissing(
            f"this user can't be root over a bare machine's files ({tried.stderr.strip()})",
            remedy=f"give it IDs: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "
            f"{os.environ.get('USER', 'USER')} (and install uidmap), or run it with sudo",
        )
    return words
