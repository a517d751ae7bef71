"""``python -P -m guestnet.lab CONTROL CLIENT``: the lab process, started by guestnet.lab.client only.

CONTROL is the number of the inherited control socket, CLIENT the PID of the client. Standard output and
standard error are lab.log.
"""

import os
import signal
import socket
import sys

from guestnet.core.errors import EnvironmentMissing
from guestnet.lab import protocol
from guestnet.lab.enter import enter


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
    from guestnet.edge.descriptors import raise_limit
    from guestnet.lab.process import run_lab

    raise_limit()
    run_lab(control)


main()
