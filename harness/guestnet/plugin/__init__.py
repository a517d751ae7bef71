"""The pytest plugin: the fixture ``lab``, its marker and options, and the report of a run.

A scenario is a test that uses ``lab``. ``@pytest.mark.lab(profile=…, guests=…)`` says what lab it gets: the
keys are the fields of `guestnet.lab.requests.description.LabDescription`, ``needs`` names capabilities of the
stack. A project that wants more overrides one of the fixtures ``lab_description``, ``lab_stack``,
``lab_seed``, ``lab_artifacts`` or ``open_lab``.

This module is imported by every pytest of the environment, with scenarios or without: whatever is heavy is
imported where it is used.
"""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
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
from guestnet.plugin import options
from guestnet.plugin import settings as choices
from guestnet.plugin.artifacts import files_in, make_folder, remove
from guestnet.plugin.options import pytest_load_initial_conftests as pytest_load_initial_conftests
from guestnet.plugin.record import RECORD, STACK, Record, is_scenario, scenario_id
from guestnet.plugin.recorder import Recorder
from guestnet.plugin.settings import Settings, Wishes
from guestnet.plugin.traces import hide_our_frames
from guestnet.plugin.verdict import sentence

if TYPE_CHECKING:
    from guestnet.lab.requests.description import LabDescription
    from guestnet.scenario import Lab

SETTINGS = pytest.StashKey[Settings]()
LAB = pytest.StashKey["Lab"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "lab(profile=, stack=, guest=, guests=, needs=, …): the lab that the fixture `lab` starts"
    )
    option, report = config.option, config.option.guestnet_report
    settings = Settings(
        seed=option.guestnet_seed,
        stacks=choices.parse_stacks(option.guestnet_stack or ()),
        guest=option.guestnet_guest,
        image=option.guestnet_image,
        keep=option.guestnet_keep or ("on" if report else "retain-on-failure"),
        report=str(config.invocation_params.dir / report) if report else None,
        strict_environment=option.guestnet_strict_environment,
        needs_guests=option.guestnet_needs_guests,
    )
    config.stash[SETTINGS] = settings
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist has its record kept elsewhere
        config.pluginmanager.register(Recorder(config, settings), "guestnet-recorder")


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[SETTINGS]
    words = [f"seed {settings.seed}", f"stack {','.join(settings.stacks) or choices.DEFAULT_STACK}"]
    words.append(f"guest {settings.guest or choices.GUESTS[0]} of {settings.image}")
    return "guestnet: " + ", ".join(words)


# Which labs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Check the marker, and make one test a stack when there are several."""
    if "lab_description" not in metafunc.fixturenames and STACK not in metafunc.fixturenames:
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
def lab_seed(request: pytest.FixtureRequest) -> int:
    """The scenario's own seed: of the run's seed and the test's name, the same on every stack."""
    return choices.scenario_seed(request.config.stash[SETTINGS].seed, scenario_id(request.node))


@pytest.fixture
def lab_description(request: pytest.FixtureRequest, lab_stack: str, lab_seed: int) -> "LabDescription":
    """The lab that the marker and the options ask for."""
    from guestnet.lab.requests.description import LabDescription

    wishes, settings = _wishes(request.node), request.config.stash[SETTINGS]
    fields: dict[str, Any] = {"seed": lab_seed, "image": settings.image, **wishes.fields}
    profile = fields.get("profile")
    if isinstance(profile, str) and (beside := request.path.parent / profile).is_file():
        fields["profile"] = str(beside)
    guest = wishes.guest or settings.guest or choices.GUESTS[0]
    fields |= {"scenario": request.node.nodeid, "stack": lab_stack, "guest": guest}
    return LabDescription(**fields)


@pytest.fixture
def lab_artifacts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new folder for journal, capture and logs: in the report's, else among pytest's temporary ones."""
    report = request.config.stash[SETTINGS].report
    return make_folder(Path(report) if report else tmp_path_factory.getbasetemp(), request.node.nodeid)


@pytest.fixture(scope="session")
def open_lab(
    request: pytest.FixtureRequest,
) -> "Iterator[Callable[[LabDescription, Path], AbstractContextManager[Lab]]]":
    """What starts a lab: a context manager that ends it."""
    from guestnet.lab.process.labs import LabServer
    from guestnet.scenario import Lab

    with LabServer() as server:
        yield partial(Lab.start, server=server, say=partial(_say, request.config))


def _say(config: pytest.Config, line: str) -> None:
    """To the terminal, though output is captured: why nothing happens for a while."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        sys.stderr.write(f"\nguestnet: {line}\n")
        sys.stderr.flush()


@pytest.fixture
def lab(
    request: pytest.FixtureRequest,
    lab_description: "LabDescription",
    lab_artifacts: Path,
    open_lab: "Callable[[LabDescription, Path], AbstractContextManager[Lab]]",
) -> "Iterator[Lab]":
    """A running lab: its guests are up, its journal and capture on."""
    item: pytest.Item = request.node
    record = item.stash[RECORD] if is_scenario(item) else _begin(item)
    record.starts(lab_description, lab_artifacts, request.config)
    record.tell(item)
    for name, value in (("artifacts", record.artifacts), ("seed", record.seed),
                        ("stack", record.variant.stack), ("guest", record.variant.guest)):  # fmt: skip
        item.user_properties.append((f"guestnet.{name}", str(value)))
    with open_lab(lab_description, lab_artifacts) as lab:
        missing = set(_wishes(item).needs) - lab.capabilities
        if missing:
            pytest.skip(f"the stack {lab_description.stack} has no {', '.join(sorted(missing))}")
        item.stash[LAB] = lab
        yield lab
        del item.stash[LAB]
    record.accelerator = _accelerator(lab_artifacts)


def _begin(item: pytest.Item) -> Record:
    """The record of a new attempt at ``item``."""
    item.stash[RECORD] = Record.of(item, item.config.stash[SETTINGS], _wishes(item))
    return item.stash[RECORD]


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
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """A lab that can't start is the matter of its test alone, and told in its own words."""
    __tracebackhide__ = True
    if is_scenario(item):
        _begin(item).tell(item)
    try:
        return (yield)
    except (CapabilityMissing, EnvironmentMissing) as error:
        if isinstance(error, EnvironmentMissing) and RECORD in item.stash and LAB not in item.stash:
            item.stash[RECORD].lacks = True
        raise _verdict(item, error) from None
    except GuestnetError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    __tracebackhide__ = True
    try:
        return (yield)
    except (CapabilityMissing, EnvironmentMissing) as error:
        raise _verdict(item, error) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """As in the call; of several errors any other than these is red."""
    __tracebackhide__ = True
    try:
        return (yield)
    except (CapabilityMissing, EnvironmentMissing) as error:
        raise _verdict(item, error) from None
    except BaseExceptionGroup as several:
        missing, others = several.split((CapabilityMissing, EnvironmentMissing))
        if missing is None or others is not None:
            raise
        raise _verdict(item, next(leaf for leaf in _leaves(missing))) from None


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[Any]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


def _verdict(item: pytest.Item, error: CapabilityMissing | EnvironmentMissing) -> BaseException:
    if item.config.stash[SETTINGS].strict_environment and isinstance(error, EnvironmentMissing):
        return pytest.fail.Exception(str(error), pytrace=False)
    return pytest.skip.Exception(str(error), _use_item_location=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write a failure into the journal while the lab still runs, and hand the record on with the report."""
    if not item.config.getoption("fulltrace"):
        hide_our_frames(call)
    report = yield
    record = item.stash.get(RECORD, None)
    if record is None:
        return report
    if report.failed:
        record.failed = True
        lab = item.stash.get(LAB, None)
        if lab is not None and report.when == "call":
            with suppress(LabError):  # a dead one can't write; the report says more than the journal
                lab.note(f"the scenario failed: {sentence(report)}", level="error")
        if record.artifacts:
            report.sections.append(("how to look and to run it again", record.directions()))
    settings = item.config.stash[SETTINGS]
    kept = settings.report is not None or record.is_kept(settings.keep)
    if report.when == "teardown" and record.artifacts and not kept:
        remove(Path(record.artifacts), files_in(Path(record.artifacts)))
    record.hang_on(report)
    return report
