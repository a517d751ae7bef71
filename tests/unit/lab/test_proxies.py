"""The environment of a world's proxies: made once, whole or not at all. Python and pip are a script here."""

import importlib.metadata
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from guestnet.core.errors import EnvironmentMissing
from guestnet.guest.cache import CACHE_VARIABLE, Cache
from guestnet.lab.process import proxies
from guestnet.lab.process.python import python_path
from guestnet.world.profiles.load import load_profile

PYTHON = """#!/bin/sh
echo "$@" >>{log}
case $3 in
    venv) {venv}; mkdir $4/bin; cp "$0" $4/bin/python; touch $4/pyvenv.cfg ;;
    pip) {pip} ;;
esac
"""

KILLED_MAKER = """
import sys
from guestnet.lab.process import proxies
proxies.requirements = lambda: ["mitmproxy>=1"]
proxies.make(interpreter=sys.argv[1])
"""

IMPORTED = """
import sys
from unittest.mock import MagicMock
for name in ("mitmproxy", "mitmproxy.http", "mitmproxy.tools", "mitmproxy.tools.dump"):
    sys.modules[name] = MagicMock()
before = set(sys.modules)
import guestnet.world.servers.proxy
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""


class Machine:
    """A cache, and a ``python`` that does with its venv and pip what the test says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cache = Cache(folder / "cache")
        self.said: list[str] = []

    def python(self, *, venv: str = ":", pip: str = ":") -> str:
        script = self._folder / "python"
        script.write_text(PYTHON.format(log=self._folder / "log", venv=venv, pip=pip))
        script.chmod(0o755)
        return str(script)

    def make(self, *, venv: str = ":", pip: str = ":") -> Path:
        return proxies.make(self.cache, say=self.said.append, interpreter=self.python(venv=venv, pip=pip))

    @property
    def ran(self) -> list[str]:
        log = self._folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def left(self) -> list[Path]:
        return list((self.cache.folder / "proxies").iterdir())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(proxies, "requirements", lambda: ["mitmproxy>=1"])
    return Machine(tmp_path)


def test_a_world_with_a_proxy_needs_it() -> None:
    assert proxies.needed(load_profile("corp-proxy-only"))
    assert not proxies.needed(load_profile("plain"))


def test_what_goes_in_is_the_extra_of_our_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "click>=8",
        "tomli>=2; python_version < '3.0' and extra == 'proxies'",
        "mitmproxy>=11.0.2; extra == 'proxies'",
        "ruff; extra == 'dev'",
        "numpy; python_version > '3'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines if name == "guestnet" else None)

    assert proxies.requirements() == ["mitmproxy>=11.0.2"]


def test_metadata_without_the_extra_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    for found in (none, lambda name: ["click>=8"]):
        monkeypatch.setattr(importlib.metadata, "requires", found)
        with pytest.raises(EnvironmentMissing, match=r"no extra 'proxies': .*pip install --editable"):
            proxies.requirements()


def test_it_is_made_once_and_whoever_waits_is_told(machine: Machine) -> None:
    assert proxies.find(machine.cache) is None
    python = machine.make()

    assert proxies.find(machine.cache) == python == machine.make()
    assert python.is_relative_to(machine.cache.folder)
    venv, pip = machine.ran
    assert venv.startswith("-I -m venv ")
    assert pip == "-I -m pip --disable-pip-version-check install mitmproxy>=1"
    assert "mitmproxy>=1" in machine.said[0]


def test_another_requirement_has_another_one(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    first = machine.make()
    monkeypatch.setattr(proxies, "requirements", lambda: ["mitmproxy>=2"])

    assert proxies.find(machine.cache) is None
    assert machine.make() != first


def test_one_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    python = machine.make()
    python.unlink()
    python.symlink_to("/nowhere/python")

    assert proxies.find(machine.cache) is None
    assert machine.make() == python
    assert len(machine.ran) == 4


def test_of_two_at_once_one_makes_it(machine: Machine) -> None:
    waiting = threading.Event()
    found: list[Path] = []
    other = threading.Thread(
        target=lambda: found.append(
            proxies.make(machine.cache, say=machine.said.append, waiting=waiting.set, interpreter="/nowhere")
        )
    )
    began = threading.Event()

    def say(line: str) -> None:
        if not began.is_set():
            began.set()
            other.start()
            assert waiting.wait(20)

    python = proxies.make(machine.cache, say=say, interpreter=machine.python())
    other.join(20)

    assert found == [python]
    assert machine.said == []


def test_an_interrupted_making_is_made_anew(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(machine.cache.folder))
    command = [sys.executable, "-c", KILLED_MAKER, machine.python(pip="kill -KILL $PPID")]
    killed = subprocess.run(command, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert len(machine.left) == 1
    assert proxies.find(machine.cache) is None

    python = machine.make()
    assert machine.left == [python.parents[1]]


@pytest.mark.parametrize(
    ("venv", "pip", "told"),
    [
        (":", "echo no route; exit 1", r"\(no route\): see that pip reaches its index, .* guestnet proxies"),
        (":", "exit 3", r"\(.*python ended with status 3\)"),
        ("echo ensurepip is not available; exit 1", ":", "apt-get install python3-venv"),
        (":", "echo OSError: No space left on device; exit 1", "the disk that holds .* is full"),
    ],
)
def test_what_keeps_it_from_being_made_is_told_with_the_remedy(
    machine: Machine, venv: str, pip: str, told: str
) -> None:
    with pytest.raises(EnvironmentMissing, match=f"can't make the environment of the proxies.*{told}"):
        machine.make(venv=venv, pip=pip)
    assert machine.left == []


def test_its_version_is_that_of_mitmproxy(tmp_path: Path) -> None:
    (tmp_path / "lib" / "python3.13" / "site-packages" / "mitmproxy-12.3.1.dist-info").mkdir(parents=True)
    (tmp_path / "lib" / "python3.13" / "site-packages" / "mitmproxy_rs-0.12.dist-info").mkdir()

    assert proxies.version(tmp_path / "bin" / "python") == "12.3.1"


def test_a_proxy_imports_no_more_than_its_environment_has() -> None:
    """Besides mitmproxy, which is not here."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], env={**os.environ, "PYTHONPATH": python_path()},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    # The second is asked for by msgspec, and done without where it is not.
    assert set(done.stdout.split()) - {"typing_extensions"} == {"guestnet", "msgspec"}
