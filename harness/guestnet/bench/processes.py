"""What a lab's processes use, read from outside: CPU time and memory of the stack, of QEMU, of all (proc(5)).

Who is who is told by the processes' names. The builtin stack lives in the lab process itself, slirp in
QEMU's main thread, which is also the other end of every stack's cable. So the CPU time of a stack is that
of its own process *and* of QEMU's main thread: only with both are stacks comparable.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from guestnet.core.errors import LabError
from guestnet.lab.requests.description import GuestKind

_PROC: Final = Path("/proc")
QEMU: Final = "qemu-system"
_IN_THE_LAB: Final = "builtin"
_PROGRAMS: Final = {
    ("qemu", "slirp"): (QEMU,),
    ("netns", "slirp"): ("slirp4netns",),
    # Where the processor has AVX2 both become passt.avx2.
    ("netns", "passt"): ("pasta", "passt"),
}
"""How the names of a stack's process begin when not as the stack's."""
_HERTZ: Final = os.sysconf("SC_CLK_TCK")
_HEAD: Final = re.compile(r"^[0-9a-f]+-[0-9a-f]+ ")


class Cpu(NamedTuple):
    """CPU seconds since the start: of the stack and QEMU's main thread, and of all processes of the lab."""

    stack: float
    whole: float


class Processes:
    """The processes of the lab with ``guest`` and ``stack`` whose foremost process has the PID ``keeper``."""

    def __init__(self, keeper: int, guest: GuestKind, stack: str) -> None:
        self._keeper = keeper
        self._stack = stack
        self._names = _PROGRAMS.get((guest, stack), (stack,))

    def cpu(self) -> Cpu:
        """CPU time of those that live now. Raises LabError when the lab is gone."""
        found = self._find()
        stack = 0
        if QEMU not in self._names:
            stack = _ticks(_PROC / str(self._own(found)) / "stat")
        for pid in _named(found, QEMU):
            stack += _ticks(_PROC / str(pid) / "task" / str(pid) / "stat")
        whole = sum(_ticks(_PROC / str(pid) / "stat") for pid in found)
        return Cpu(stack / _HERTZ, whole / _HERTZ)

    def memory(self, guest_memory: int) -> int:
        """Octets of private memory of the process with the stack, without the guest's own ``guest_memory``.

        Raises LabError when the lab is gone.
        """
        found = self._find()
        if QEMU in self._names:
            for pid in _named(found, QEMU):
                return anonymous((_PROC / str(pid) / "smaps").read_text().splitlines(), guest_memory)
            raise LabError("the lab has no QEMU to measure")
        # Not smaps: passt takes care that nobody can read its own.
        status = (_PROC / str(self._own(found)) / "status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) * 1024

    def _own(self, found: dict[int, str]) -> int:
        """The process that is the stack, or has it."""
        if self._stack == _IN_THE_LAB:
            # After the keeper and init (guestnet.lab.process.enter): init's first child.
            pids = list(found)[2:]
        else:
            pids = _named(found, *self._names)
        if not pids:
            raise LabError(f"the lab has no process of the stack {self._stack}")
        return pids[0]

    def _find(self) -> dict[int, str]:
        """Names by PID: the keeper and all below, parents first, siblings by PID."""
        parents: dict[int, list[int]] = {}
        names: dict[int, str] = {}
        for folder in _PROC.iterdir():
            if folder.name.isdigit():
                try:
                    names[int(folder.name)], rest = _stat(folder / "stat")
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it has just ended
                parents.setdefault(int(rest[1]), []).append(int(folder.name))
        found = {self._keeper: names.get(self._keeper, "")}
        waiting = [self._keeper]
        while waiting:
            for child in sorted(parents.get(waiting.pop(0), ())):
                found[child] = names[child]
                waiting.append(child)
        return found


def anonymous(smaps: Iterable[str], guest_memory: int) -> int:
    """Octets of anonymous memory in the lines of a ``smaps``, without mappings of ``guest_memory`` octets."""
    total = size = 0
    for line in smaps:
        if _HEAD.match(line):
            start, end = line.split(" ", 1)[0].split("-")
            size = int(end, 16) - int(start, 16)
        elif line.startswith("Anonymous:") and size != guest_memory:
            total += int(line.split()[1]) * 1024
    return total


def _named(found: dict[int, str], *starts: str) -> list[int]:
    """Those whose names begin so."""
    return [pid for pid, name in found.items() if name.startswith(starts)]


def _stat(file: Path) -> tuple[str, list[str]]:
    """The name, and the fields from the state on (proc_pid_stat(5): field 3)."""
    head, _, rest = file.read_text().rpartition(")")
    return head.partition("(")[2], rest.split()


def _ticks(file: Path) -> int:
    _, rest = _stat(file)
    return int(rest[11]) + int(rest[12])
