"""The pytest plugin: the fixture ``lab``, its marker and options, and the report of a run.

A scenario is a test that uses ``lab``. ``@pytest.mark.lab(profile=…, guests=…)`` says what lab it gets: the
keys are the fields of `guestnet.lab.requests.description.LabDescription`, ``needs`` names capabilities of the
stack. A project that wants more overrides one of the fixtures ``lab_description``, ``lab_stack``,
``lab_seed``, ``lab_artifacts`` or ``open_lab``.

This module is imported by every pytest of the environment, with scenarios or without: whatever is heavy is
imported where it is used.
"""

import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guestnet.core.errors import (
    CapabilityMissing,
    DescriptionError,
    EnvironmentMissing,
    GuestnetError,
    LabError,
)
from guestnet.plugin import settings as choices
from guestnet.plugin.record import RECORD, Record, Recorder, folder_name, rerun_command, sentence
from guestnet.plugin.settings import Settings, Wishes

if TYPE_CHECKING:
    from guestnet.lab.requests.description import LabDescription
    from guestnet.scenario import Lab

SETTINGS = pytest.StashKey[Settings]()
LAB = pytest.StashKey["Lab"]()
STACK = "lab_stack"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guestnet", "labs with guests and their network")
    group.addoption(
        "--stack", action="append", metavar="NAME[,NAME]",
        help="network stack under test; several run each scenario once on each (default: builtin)",
    )  # fmt: skip
    group.addoption("--guest", choices=choices.GUESTS, help="kind of guest (default: qemu)")
    group.addoption(
        "--report", metavar="DIR", help="write run.json, all artifacts and one HTML file into the folder DIR"
    )
    group.addoption(
        "--keep", choices=choices.KEEP,
        help="artifacts of which scenarios to keep (default: on with --report, else retain-on-failure)",
    )  # fmt: skip
    group.addoption(
        "--seed", type=choices.parse_seed, default=choices.DEFAULT_SEED, metavar="N",
        help=f"of everything random in the labs: a number or 'random' (default: {choices.DEFAULT_SEED})",
    )  # fmt: skip
    group.addoption(
        "--strict-environment", action="store_true",
        help="what this machine lacks is an error instead of a skip",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "lab(profile=, stack=, guest=, guests=, needs=, …): the lab that the fixture `lab` starts"
    )
    option, report = config.option, config.option.report
    settings = Settings(
        seed=option.seed,
        stacks=choices.parse_stacks(option.stack or ()),
        guest=option.guest,
        keep=option.keep or ("on" if report else "retain-on-failure"),
        report=str(config.invocation_params.dir / report) if report else None,
        strict_environment=option.strict_environment,
    )
    config.stash[SETTINGS] = settings
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist has its record kept elsewhere
        config.pluginmanager.register(Recorder(config, settings), "guestnet-recorder")


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[SETTINGS]
    words = [f"seed {settings.seed}", f"stack {','.join(settings.stacks) or choices.DEFAULT_STACK}"]
    words.append(f"guest {settings.guest or choices.GUESTS[0]}")
    return "guestnet: " + ", ".join(words)


# Which labs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Check the marker, and make one test a stack when there are several."""
    if "lab" not in metafunc.fixturenames and STACK not in metafunc.fixturenames:
        return
    wishes = _wishes(metafunc.definition)
    stacks = choices.stacks_to_run(metafunc.config.stash[SETTINGS], wishes)
    if len(stacks) > 1 and STACK not in metafunc.definition.keywords:
        metafunc.parametrize(STACK, stacks)


def _wishes(item: pytest.Item) -> Wishes:
    """Of the item's markers; an impossible one is an error of collection, told without traceback."""
    path, line, _ = item.location
    try:
        return choices.read_marks(item.iter_markers("lab"), f"{path}:{(line or 0) + 1}")
    except DescriptionError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def lab_stack(request: pytest.FixtureRequest) -> str:
    """Name of the stack that the scenario runs on."""
    settings, wishes = request.config.stash[SETTINGS], _wishes(request.node)
    reason = choices.skip_reason(settings, wishes)
    if reason is not None:
        pytest.skip(reason)
    return choices.stacks_to_run(settings, wishes)[0]


@pytest.fixture
def lab_seed(request: pytest.FixtureRequest, lab_stack: str) -> int:
    """The scenario's own seed: of the run's seed and the test's name, the same on every stack."""
    nodeid = choices.without_stack(request.node.nodeid, lab_stack)
    return choices.scenario_seed(request.config.stash[SETTINGS].seed, nodeid)


@pytest.fixture
def lab_description(request: pytest.FixtureRequest, lab_stack: str, lab_seed: int) -> "LabDescription":
    """The lab that the marker and the options ask for."""
    from guestnet.lab.requests.description import LabDescription

    wishes = _wishes(request.node)
    fields: dict[str, Any] = {"seed": lab_seed, **wishes.fields}
    profile = fields.get("profile")
    if isinstance(profile, str) and (beside := request.path.parent / profile).is_file():
        fields["profile"] = str(beside)
    guest = wishes.guest or request.config.stash[SETTINGS].guest or choices.GUESTS[0]
    fields |= {"scenario": request.node.nodeid, "stack": lab_stack, "guest": guest}
    return LabDescription(**fields)


@pytest.fixture
def lab_artifacts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for journal, capture and logs: within --report, else among pytest's temporary folders."""
    report = request.config.stash[SETTINGS].report
    base = Path(report) if report else tmp_path_factory.getbasetemp()
    folder = base / folder_name(request.node.nodeid)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def open_lab() -> "Iterator[Callable[[LabDescription, Path], AbstractContextManager[Lab]]]":
    """What starts a lab: a context manager that ends it."""
    from guestnet.lab.process.labs import LabServer
    from guestnet.scenario import Lab

    with LabServer() as server:
        yield partial(Lab.start, server=server)


@pytest.fixture
def lab(
    request: pytest.FixtureRequest,
    lab_description: "LabDescription",
    lab_artifacts: Path,
    open_lab: "Callable[[LabDescription, Path], AbstractContextManager[Lab]]",
) -> "Iterator[Lab]":
    """A running lab: its guests are up, its journal and capture on."""
    item: pytest.Item = request.node
    record = Record.of(item, lab_description, lab_artifacts, rerun_command(request.config, lab_description))
    item.stash[RECORD] = record
    for name in ("artifacts", "seed", "stack", "guest"):
        item.user_properties.append((f"guestnet.{name}", str(getattr(record, name))))
    with open_lab(lab_description, lab_artifacts) as lab:
        missing = set(_wishes(item).needs) - lab.capabilities
        if missing:
            pytest.skip(f"the stack {lab_description.stack} has no {', '.join(sorted(missing))}")
        item.stash[LAB] = lab
        yield lab
        del item.stash[LAB]
    record.accelerator = _accelerator(lab_artifacts)


def _accelerator(artifacts: Path) -> str:
    """What the guests ran on, by the journal."""
    from guestnet.core.events import GuestStarted
    from guestnet.journal.journal import JournalReader

    return next(
        (event.accelerator for event in JournalReader(artifacts / "journal.jsonl").read()
         if isinstance(event, GuestStarted) and event.accelerator), "",
    )  # fmt: skip


# Verdicts


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """A lab that can't start is the matter of its test alone, and told in its own words."""
    try:
        return (yield)
    except (CapabilityMissing, EnvironmentMissing) as error:
        raise _verdict(item, error) from None
    except GuestnetError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    try:
        return (yield)
    except (CapabilityMissing, EnvironmentMissing) as error:
        raise _verdict(item, error) from None


def _verdict(item: pytest.Item, error: CapabilityMissing | EnvironmentMissing) -> BaseException:
    if item.config.stash[SETTINGS].strict_environment and isinstance(error, EnvironmentMissing):
        return pytest.fail.Exception(str(error), pytrace=False)
    return pytest.skip.Exception(str(error), _use_item_location=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write a failure into the journal while the lab still runs, and hand the record on with the report."""
    report = yield
    record = item.stash.get(RECORD, None)
    if record is None:
        return report
    if report.failed:
        record.failed = True
        lab = item.stash.get(LAB, None)
        if lab is not None and report.when == "call":
            with suppress(
                LabError
            ):  # a lab that is dead can't write, and the report says more than the journal
                lab.note(f"the scenario failed: {sentence(report)}", level="error")
        report.sections.append(("how to look and to run it again", record.directions()))
    settings = item.config.stash[SETTINGS]
    if report.when == "teardown" and settings.report is None and not record.is_kept(settings.keep):
        shutil.rmtree(record.artifacts)
    vars(report)["guestnet"] = record.to_builtins()  # travels with the report from a worker of pytest-xdist
    return report
