"""Where labs come from: a fork server (guestnet.system.forks) that has imported all that a lab needs.

Who runs many labs keeps one `LabServer` for all of them: each then starts as quickly as a process forks.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO, Final, Self

import msgspec

from guestnet.core.errors import LabError
from guestnet.lab.process.python import python_path
from guestnet.system import forks

_GRACE: Final = 5.0
_TAIL_LINES: Final = 20


class Surroundings(msgspec.Struct, frozen=True):
    """What a lab has of its client, as a program has it from who starts it."""

    environment: dict[bytes, bytes]
    folder: bytes


class LabServer:
    """The fork server of one client, in a session of its own so that Ctrl-C is for the client only.

    It ends with `close`, with its context, or with this process, however that ends; its labs do not need it.
    """

    def __init__(self) -> None:
        self._control, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # What it says is said when it fails, as it does where a package is broken.
        self._log = os.memfd_create("guestnet-lab-server")
        try:
            with its_end:
                self._process = _spawn(its_end, self._log)
        except BaseException:
            self._control.close()
            os.close(self._log)
            raise

    def start(self, control: socket.socket, log: BinaryIO, *, timeout: float) -> forks.Child:
        """A new lab behind ``control``, which writes to ``log``: its keeper (guestnet.lab.process.enter).

        Raises LabError when there is none within ``timeout`` seconds.
        """
        surroundings = Surroundings(dict(os.environb), os.fsencode(Path.cwd()))
        self._control.settimeout(timeout)
        try:
            return forks.order(
                self._control, msgspec.msgpack.encode(surroundings), [control.fileno(), log.fileno()]
            )
        except forks.ForkServerError as error:
            raise LabError(
                f"the process that starts labs failed ({error}){self._last_words()}", remedy="run it again"
            ) from error

    def close(self) -> None:
        """End it and wait for it. A second call does nothing."""
        if self._control.fileno() < 0:
            return
        self._control.close()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _last_words(self) -> str:
        size = os.fstat(self._log).st_size
        lines = os.pread(self._log, size, 0).decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "".join(f"\n  | {line}" for line in lines)


def _spawn(control: socket.socket, log: int) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        # numpy's linear algebra, which nobody needs here, starts threads else, and a process that has any
        # can't enter a user namespace.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "guestnet.lab", str(control.fileno()), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[control.fileno()],
        env=environment,
        start_new_session=True,
    )
