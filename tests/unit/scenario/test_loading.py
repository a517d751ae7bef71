"""What a pytest with scenarios has to load before it runs one."""

import json
import subprocess
import sys

ROOMS = {
    "core", "wire", "tcpip", "link", "journal", "guest", "system", "scenario",
    "lab.process", "lab.requests", "world.described", "world.profiles",
}  # fmt: skip
"""Of the lab what asks it, of the world what describes one; of guests only the cache."""
HEAVY = {
    "cryptography", "docker", "jinja2", "numpy", "pyroute2", "qemu", "rich", "scapy", "testinfra", "tornado",
}  # fmt: skip


def test_an_author_s_import_loads_nothing_that_runs() -> None:
    code = "import guestnet.scenario, json, sys; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True, text=True)
    names = json.loads(ran.stdout)
    ours = {name.removeprefix("guestnet.") for name in names if name.startswith("guestnet.")}
    rooms = {
        name for name in ours if "." in name and not any(f"{name}.".startswith(f"{room}.") for room in ROOMS)
    }
    assert not rooms
    assert {name for name in ours if name.startswith("guest.")} == {"guest.cache"}
    assert not HEAVY & set(names)
