"""``python -P -m harness.lab CONTROL CLIENT``: the lab process, started by harness.lab.client only.

CONTROL is the number of the inherited control socket, CLIENT the PID of the client. Standard output and
standard error are lab.log.
"""

import os
import signal
import socket
import sys

from harness.core.errors import EnvironmentMissing
from harness.lab import protocol
from harness.lab.enter import enter


def main() -> None:
    # A client in the background of a shell ignores these; what runs in a lab must not.
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    try:
        enter(control, client=int(sys.argv[2]))
    except EnvironmentMissing as error:
        control.sendall(protocol.encode(protocol.failure_of(protocol.HELLO, error)))
        sys.exit(2)

    # Late: only the lab itself needs these, not keeper and init.
    from harness.edge.descriptors import raise_limit
    from harness.lab.process import run_lab

    raise_limit()
    run_lab(control)


main()
