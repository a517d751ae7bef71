"""Programs of this machine, in a lab."""


def in_network_of(pid: str | int) -> str:
    """What to put before a command that is to run in the network of a process, with this machine's files."""
    return f"nsenter --target {pid} --net --"
