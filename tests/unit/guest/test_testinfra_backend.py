"""testinfra's verbs on a function that runs a text: here this machine's own shell."""

import subprocess

from guestnet.core.result import Ran
from guestnet.guest.testinfra_backend import host_for


def here(command: str) -> Ran:
    ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    return Ran(status=ran.returncode, stdout_bytes=ran.stdout, stderr_bytes=ran.stderr, seconds=0.0)


def test_commands_are_quoted_and_answered() -> None:
    host = host_for(here)

    assert host.run("printf %s; exit 3", "a b").rc == 3
    assert host.check_output("printf %%s %s", "it's") == "it's"
    assert host.run("printf '\\303\\244'").stdout == "ä"


def test_a_signal_is_shown_as_a_shell_does() -> None:
    host = host_for(lambda _: Ran(status=-9, stdout_bytes=b"", stderr_bytes=b"", seconds=0.0))

    assert host.run("anything").rc == 137


def test_modules_work() -> None:
    host = host_for(here)

    assert host.file("/etc/passwd").contains("root")
    assert host.user("root").uid == 0
