"""The words of ``./dev``. Sessions run in the .venv that ./dev has made, so that nothing is installed twice.

nox itself only speaks when something fails: the last line of ``./dev test`` is pytest's summary, that of
``./dev demo`` the path of the report.
"""

import logging
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = False
logging.getLogger("nox").setLevel(logging.ERROR)

CODE = ("docs", "harness", "scenarios", "tests", "conftest.py", "noxfile.py", "hatch_build.py")
IMAGE = "tiny"
DEMO = (
    "scenarios/dhcp",
    "scenarios/dns",
    "scenarios/tcp/test_connect.py",
    "scenarios/udp/test_echo.py",
    "scenarios/icmp/test_ping.py",
)
"""Some of each kind, over in half a minute."""


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest; what follows ``--`` on the command line is added to the arguments."""
    session.run("python", "-m", "pytest", *arguments, *session.posargs)


def image(session: nox.Session) -> None:
    """Build the guest image unless it is there."""
    session.run("python", "-m", "guestnet.cli", "image", "build", IMAGE)


def proxies(session: nox.Session) -> None:
    """Make the environment of the worlds' proxies unless it is there."""
    session.run("python", "-m", "guestnet.cli", "proxies")


@nox.session(name="format")
def tidy(session: nox.Session) -> None:
    """Put imports and layout in order, in place."""
    session.run("python", "-m", "ruff", "check", "--fix", *CODE)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff over everything."""
    session.run("python", "-m", "ruff", "check", "--quiet", *CODE)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    session.run("python", "-m", "mypy", "--no-error-summary")


@nox.session
def reference(session: nox.Session) -> None:
    """Write docs/reference.md anew from the docstrings."""
    session.run("python", "docs/reference.py")


@nox.session
def unit(session: nox.Session) -> None:
    """The rungs that need no kernel and no guest: unit and simulation."""
    pytest(session, "tests/unit", "tests/simulation")


@nox.session
def kernel(session: nox.Session) -> None:
    """What follows ``--`` is for pytest, which runs on Debian's generic kernel in QEMU (see tests/kernel)."""
    session.run("python", "-m", "tests.kernel", *session.posargs)


@nox.session
def bare(session: nox.Session) -> None:
    """``SUITE [COMMAND…]``: the README's commands on a machine that has git, Python and a base system."""
    session.run("python", "-m", "tests.bare", *session.posargs)


@nox.session
def compiled(session: nox.Session) -> None:
    """Nightly: the same with the data path compiled, as ``GUESTNET_COMPILE=1 pip install .`` has it."""
    with tempfile.TemporaryDirectory(prefix="guestnet-") as folder:
        install = ("python", "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, ".")
        session.run(*install, env={"GUESTNET_COMPILE": "1"})
        run = ("python", "-P", "-m", "pytest", "-o", f"pythonpath={folder} .")
        session.run(*run, "tests/unit", "tests/simulation", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Nightly: ten million inputs for every parser and machine; ``-- --seed N`` repeats a night's."""
    session.run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", ".[fuzz]")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def scenarios(session: nox.Session) -> None:
    """The suite on the real guest, with a report in reports/scenarios."""
    image(session)
    proxies(session)
    pytest(session, "scenarios", "--strict-environment", "--report", "reports/scenarios")


@nox.session
def demo(session: nox.Session) -> None:
    """Some scenarios on the real guest; the last line is the path of the HTML report."""
    image(session)
    pytest(session, *DEMO, "--strict-environment", "--report", "reports/demo")
    print(Path("reports/demo/report.html").resolve())  # noqa: T201 - nox has no words for a result


@nox.session
def test(session: nox.Session) -> None:
    """Everything: lint, types, image, the scenarios in namespaces, then all tests and scenarios."""
    lint(session)
    types(session)
    image(session)
    proxies(session)
    on_netns = ("scenarios", "--guest", "netns", "--numprocesses", "2", "--strict-environment")
    # Status 5: what follows ``--`` selects none of these.
    session.run("python", "-m", "pytest", *on_netns, *session.posargs, success_codes=[0, 5])
    # A file's tests share labs, so they stay together.
    together = ("--numprocesses", "2", "--dist", "loadfile")
    pytest(session, *together, "--strict-environment", "--report", "reports/test")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, figures in reports/bench-*.json."""
    image(session)
    command = ("python", "-m", "guestnet.cli", "bench", "boot", "--json", "reports/bench-boot.json")
    session.run(*command, *session.posargs)
