"""``./dev`` on machines that lack this and that: PATH holds only what a test puts there."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guestnet.system.programs import SYSTEM_PATH, table

ROOT = Path(__file__).parents[2]
BASICS = (
    "sh", "bash", "env", "readlink", "dirname", "cat", "cmp", "head", "flock", "mkdir", "chmod", "cp",
)  # fmt: skip
WORDS = {
    "demo": {"labs", "guests", "images"},
    "scenarios": {"labs", "guests", "images", "netns", "laptop"},
    "bench": {"labs", "guests", "images", "netns", "laptop", "slirp", "passt", "bench"},
    "test": {"labs", "guests", "images", "netns", "laptop", "slirp", "passt", "bench", "tests"},
    "bare": {"bare"},
    "compiled": {"compiled"},
    "lint": set(),
}
"""Words of ``./dev``, and what of the table of programs each needs."""

APT = '#!/bin/sh\necho "apt-get $*" >>"$LOG"\n'
SUDO = '#!/bin/sh\necho "sudo $*" >>"$LOG"\ncase $1 in -n) exit 0;; esac\nexec "$@"\n'
PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) exit 0 ;;
  *ensurepip*) exit "${NO_ENSUREPIP:-0}" ;;
  --version) echo Python 3.11.0 ;;
  "-m venv"*) echo "python $*" >>"$LOG"; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  *) echo "python $*" >>"$LOG" ;;
esac
"""


class Machine:
    """A checkout with just ``dev`` in it, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.path, self.log = folder / "checkout", folder / "bin", folder / "log"
        self.checkout.mkdir()
        self.path.mkdir()
        self.log.touch()
        shutil.copy(ROOT / "dev", self.checkout)
        system = self.checkout / "harness" / "guestnet" / "system"
        system.mkdir(parents=True)
        shutil.copy(ROOT / "harness" / "guestnet" / "system" / "programs.txt", system)
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        for name in BASICS:
            found = shutil.which(name)
            assert found is not None, name
            (self.path / name).symlink_to(found)
        self.put("id", "#!/bin/sh\necho 1000\n")

    def put(self, name: str, script: str = "#!/bin/sh\n") -> None:
        """A program in PATH."""
        (self.path / name).write_text(script)
        (self.path / name).chmod(0o755)

    def put_all(self) -> None:
        """Every program of the table, and a Python."""
        for name in (*table(), "python3"):
            self.put(name, PYTHON)

    def dev(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it, without a terminal."""
        environment = {"PATH": str(self.path), "LOG": str(self.log), SYSTEM_PATH: "", **variables}
        return subprocess.run(
            [str(self.checkout / "dev"), *words], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def calls(self) -> list[str]:
        """What was called since the last look."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


debian = pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="about Debian's packages")


@debian
def test_a_plain_user_without_sudo_gets_the_exact_command(machine: Machine) -> None:
    machine.put_all()
    for program in ("editcap", "mergecap", "qemu-system-x86_64"):
        (machine.path / program).unlink()
    machine.put("apt-get", APT)

    done = machine.dev("test")

    assert done.returncode == 2
    assert "missing: qemu-system-x86_64 (it runs guests)" in done.stderr
    assert (
        "sudo apt-get update && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y"
        " --no-install-recommends qemu-system-x86 wireshark-common\n"
    ) in done.stderr
    assert machine.calls() == []


@debian
def test_with_sudo_just_what_is_missing_is_installed(machine: Machine) -> None:
    machine.put_all()
    (machine.path / "dnsmasq").unlink()
    machine.put("apt-get", APT)
    machine.put("sudo", SUDO)

    done = machine.dev("demo")

    assert done.returncode == 0, done.stderr
    assert "missing: dnsmasq (it resolves" in done.stderr
    apt = [call for call in machine.calls() if call.startswith("apt-get")]
    assert apt == [
        "apt-get -q update",
        "apt-get install -y --no-install-recommends dnsmasq-base -q -o DPkg::Lock::Timeout=300",
    ]


def test_elsewhere_the_names_of_the_packages_are_said(machine: Machine) -> None:
    machine.put("python3", PYTHON)

    done = machine.dev("test")

    assert done.returncode == 2
    assert "sudo dnf install dnsmasq nftables util-linux-core qemu-system-x86-core apt" in done.stderr
    assert "sudo pacman -S dnsmasq nftables util-linux qemu-system-x86 apt" in done.stderr


@pytest.mark.parametrize("word", WORDS)
def test_a_word_asks_for_what_it_needs_and_no_more(machine: Machine, word: str) -> None:
    machine.put("python3", PYTHON)

    done = machine.dev(word)

    wanted = [each for each in table().values() if set(each.needed_by) & WORDS[word]]
    said = [line for line in done.stderr.splitlines() if line.startswith("dev: missing: ")]
    assert said == [f"dev: missing: {each.name} (it {each.purpose})" for each in wanted]
    assert done.returncode == (2 if wanted else 0)


def test_without_a_python_nothing_is_made(machine: Machine) -> None:
    done = machine.dev("lint")
    assert done.returncode == 2
    assert "missing: Python 3.11 or newer" in done.stderr
    assert not (machine.checkout / ".venv").exists()


@debian
def test_a_python_without_ensurepip_gets_its_package(machine: Machine) -> None:
    machine.put("python3", PYTHON)
    machine.put("apt-get", APT)
    machine.put("id", "#!/bin/sh\necho 0\n")

    done = machine.dev("lint", NO_ENSUREPIP="1")

    assert done.returncode == 2
    assert any(call.startswith("apt-get install") and "python3-venv" in call for call in machine.calls())


def test_the_environment_is_made_once_and_renewed_when_the_dependencies_change(machine: Machine) -> None:
    machine.put("python3", PYTHON)
    install = "python -m pip install --quiet --disable-pip-version-check --editable .[dev]"
    nox = "python -m nox --session lint -- --fast"

    assert machine.dev("lint", "--fast").returncode == 0
    assert machine.calls() == ["python -m venv --clear .venv", install, nox]

    again = machine.dev("lint", "--fast")
    assert machine.calls() == [nox]
    assert again.stderr == ""

    (machine.checkout / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    machine.dev("lint", "--fast")
    assert machine.calls() == [install, nox]

    moved = machine.checkout.rename(machine.checkout.with_name("moved"))
    machine.checkout = moved
    machine.dev("lint", "--fast")
    assert machine.calls() == ["python -m venv --clear .venv", install, nox]


def test_an_installation_that_broke_off_is_made_anew(machine: Machine) -> None:
    machine.put("python3", PYTHON)
    (machine.checkout / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(machine.path / "python3", machine.checkout / ".venv" / "bin" / "python")

    machine.dev("lint")

    assert machine.calls()[0] == "python -m venv --clear .venv"


def test_the_words_of_dev_are_the_sessions_of_nox() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nox", "--list"], cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for word in ("lint", "types", "unit", "scenarios", "demo", "bench", "test"):
        assert f"* {word} ->" in done.stdout
