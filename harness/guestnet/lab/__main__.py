"""``python -P -m guestnet.lab CONTROL CLIENT``: the fork server of labs.

It is started by guestnet.lab.process.labs only. CONTROL is the number of the inherited socket that orders
come by, CLIENT the PID of the client.
"""

import functools
import gc
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from guestnet.core.errors import EnvironmentMissing
from guestnet.edge.descriptors import raise_limit
from guestnet.lab.process.enter import enter, watch
from guestnet.lab.process.labs import Surroundings
from guestnet.lab.requests import protocol
from guestnet.lab.run import run_lab
from guestnet.system import forks
from guestnet.system.forked import take_standard_streams
from guestnet.system.programs import search_path

_NEEDED: Final = (
    "guestnet.stacks.builtin", "guestnet.world.servers.process", "guestnet.world.vpn.tunnels",
    "guestnet.world.servers.certificates", "pyroute2", "tomllib", "concurrent.futures.thread",
)  # fmt: skip
"""What most labs import later, each when it first needs it: here before there is any."""


def main() -> None:
    # A client in the background of a shell ignores these; what runs in a lab must not.
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    watched = watch(int(sys.argv[2]))
    for module in _NEEDED:
        import_module(module)
    # What is here stays in every lab: a collection that looks at it would copy its pages.
    gc.collect()
    gc.freeze()
    forks.serve(control, watched, functools.partial(_begin, watched))


def _begin(watched: int, order: bytes, descriptors: list[int]) -> NoReturn:
    """In a process of its own: be a lab's keeper, its init, or the lab."""
    control_number, log = descriptors
    control = socket.socket(fileno=control_number)
    for output in (1, 2):
        os.dup2(log, output)
    os.close(log)
    os.setsid()
    _take_over(msgspec.msgpack.decode(order, type=Surroundings))
    raise_limit()
    try:
        orders = enter(control, watched, _run_module)
    except EnvironmentMissing as error:
        control.sendall(protocol.encode(protocol.failure_of(protocol.HELLO, error)))
        sys.exit(2)
    run_lab(control, orders)


def _run_module(module: bytes, descriptors: list[int]) -> NoReturn:
    """In a process that init has forked for the lab: the module's ``main``, on standard input and output."""
    name = module.decode()
    os.setpgid(0, 0)
    Path("/proc/self/comm").write_text(name.rpartition(".")[0].rpartition(".")[2])
    take_standard_streams(descriptors)
    sys.exit(import_module(name).main())


def _take_over(surroundings: Surroundings) -> None:
    """The environment, but for what this server was given for its own sake, and the working folder."""
    own = {name: os.environ[name] for name in ("PYTHONPATH", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    os.environb.clear()
    os.environb.update(surroundings.environment)
    os.environ.update(own, PATH=search_path())
    os.chdir(surroundings.folder)


main()
