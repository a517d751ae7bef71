"""Guestnet as another project has it: from a wheel, in an empty folder, with a scenario of its own."""

import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]

SCENARIO = """
from guestnet.scenario import Lab, tcp


def test_a_page_loads(lab: Lab) -> None:
    page = lab.guest.download("http://shop.example/size/1000")

    assert page.intact
    lab.cable.expect(tcp.syn(to=("203.0.113.10", 80)))
"""

pytestmark = pytest.mark.wheel


def call(command: list[str], cwd: Path) -> str:
    """Its output; what it said goes into the failure."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, by the backend that is installed here: no network."""
    folder = tmp_path_factory.mktemp("dist")
    call([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)], ROOT)
    (built,) = folder.glob("guestnet-*.whl")
    return built


def test_the_wheel_carries_recipes_profiles_and_templates(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())

    homes = {"images": "_data/images", "fixtures": "_data/fixtures", "harness/guestnet": ""}
    for folder, home in homes.items():
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert files, f"no file in {folder}"
        wanted = {(Path("guestnet") / home / path.relative_to(ROOT / folder)).as_posix() for path in files}
        assert not wanted - carried
    assert not [name for name in carried if name.startswith(("tests/", "scenarios/"))]


def test_the_wheel_holds_nobody_to_old_versions(wheel: Path) -> None:
    """What it needs it needs of a version on, and mitmproxy with its pins only for the extra."""
    (metadata,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    needed = [Requirement(line) for line in message_from_string(text).get_all("Requires-Dist", [])]

    always = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    assert len(always) > 10
    assert {each.operator for requirement in always for each in requirement.specifier} == {">="}
    for_proxies = {each.name for each in needed if each not in always and each.marker is not None
                   and each.marker.evaluate({"extra": "proxies"})}  # fmt: skip
    assert for_proxies == {"mitmproxy", "msgspec"}


@pytest.mark.guest
def test_another_project_writes_and_runs_a_scenario(wheel: Path, tmp_path: Path) -> None:
    venv, project = tmp_path / "venv", tmp_path / "project"
    python = str(venv / "bin" / "python")
    call([sys.executable, "-m", "venv", "--without-pip", str(venv)], tmp_path)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps"]
    call([*pip, str(wheel)], tmp_path)
    (packages,) = venv.glob("lib/python3.*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    project.mkdir()
    (project / "test_page.py").write_text(SCENARIO)

    where = call([python, "-c", "import guestnet; print(guestnet.__file__)"], project)
    pytest_ = [python, "-m", "pytest", "--guest", "qemu", "--report", "out", "--strict-environment"]
    said = call(pytest_, project)

    assert Path(where.strip()).is_relative_to(packages)
    assert "1 passed" in said
    assert "1 scenario on qemu/" in said
    (report,) = (project / "out").glob("*.html")
    assert "test_a_page_loads" in report.read_text()
