"""What is kept of one scenario beside pytest's own reports; it travels with these from a worker of
pytest-xdist.

A record is made when a scenario begins, filled in by what starts its lab, and hung on each report. Once it
is made, and once its lab has artifacts, it is told at once: what is interrupted has no further report.
"""

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import pytest

from guestnet.core.variant import Variant
from guestnet.plugin import options
from guestnet.plugin.settings import DEFAULT_IMAGE, GUESTS, Keep, Settings, Wishes, stacks_to_run

if TYPE_CHECKING:
    from guestnet.lab.requests.description import LabDescription

STACK = "lab_stack"
"""The fixture, and so the parameter of a test that runs on several stacks."""


def is_scenario(item: pytest.Item) -> bool:
    """Whether ``item`` has a lab of ours, not a fixture of its own that happens to have the name."""
    return "lab_description" in getattr(item, "fixturenames", ())


def scenario_id(item: pytest.Item) -> str:
    """The node id without the parameter that several stacks in one run give it.

    So a scenario has the same name and seed on every stack, and alone the same as among others.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None or STACK not in callspec.params:
        return item.nodeid
    stack, parameters = str(callspec.params[STACK]), str(callspec.id)
    rest = parameters.removeprefix(stack).removeprefix("-")
    if not parameters.startswith(stack):  # a parameter that the author has given last
        rest = parameters.removesuffix(f"-{stack}")
    name = item.nodeid.removesuffix(f"[{parameters}]")
    return f"{name}[{rest}]" if rest else name


def shown_profile(profile: str, root: Path) -> str:
    """A profile's name, or of one that is a file its path within ``root``.

    Reports are shared, so they tell no path of this machine.
    """
    path = Path(os.path.normpath(profile))
    if not path.is_absolute():
        return profile
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


class Record(msgspec.Struct, kw_only=True):
    """Of one attempt at one scenario."""

    key: str
    """Of the attempt: no other has it."""
    scenario: str
    """The node id, the same on every variant."""
    variant: Variant
    started: int
    """Nanoseconds since the Unix epoch."""
    doc: str = ""
    artifacts: str = ""
    seed: int | None = None
    rerun: str = ""
    accelerator: str = ""
    failed: bool = False
    lacks: bool = False
    """Its lab could not start for want of something that this machine has not."""

    @classmethod
    def of(cls, item: pytest.Item, settings: Settings, wishes: Wishes) -> Self:
        """Of a scenario that begins: its lab as far as it is known before the fixtures have run."""
        stacks = stacks_to_run(settings, wishes) or wishes.stacks
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        profile = wishes.fields.get("profile", "plain")
        now = time.time_ns()
        return cls(
            key=f"{os.getpid()}-{now}",
            scenario=scenario_id(item),
            variant=Variant(
                stack=parameters.get(STACK, stacks[0]),
                guest=wishes.guest or settings.guest or GUESTS[0],
                image=wishes.fields.get("image", settings.image),
                profile=_profile(profile, item.config),
            ),
            started=now,
            doc=(getattr(getattr(item, "function", None), "__doc__", None) or "").strip(),
        )

    def starts(self, description: "LabDescription", artifacts: Path, config: pytest.Config) -> None:
        """The lab of ``description`` is about to start."""
        self.variant = Variant(
            stack=description.stack,
            guest=description.guest,
            image=description.image,
            profile=_profile(description.profile, config),
        )
        self.artifacts, self.seed = str(artifacts), description.seed
        self.rerun = rerun_command(config, self)

    def is_kept(self, keep: Keep) -> bool:
        """Whether the artifacts stay after the run."""
        return keep == "on" or (keep == "retain-on-failure" and self.failed)

    def directions(self) -> str:
        """For whoever looks at a red scenario."""
        return f"artifacts: {self.artifacts}\nagain:     {self.rerun}"

    def hang_on(self, report: pytest.TestReport, *, begins: bool = False) -> None:
        """Let ``report`` carry this; ``begins``: it says no more than that the scenario has begun."""
        vars(report)["guestnet"] = {"record": msgspec.to_builtins(self), "begins": begins}

    def tell(self, item: pytest.Item) -> None:
        """Let the process that the user started know how things stand."""
        report = pytest.TestReport(item.nodeid, item.location, {}, "passed", None, "setup")
        self.hang_on(report, begins=True)
        item.ihook.pytest_runtest_logreport(report=report)


class Carried(msgspec.Struct):
    """What a report brings."""

    record: Record
    begins: bool

    @classmethod
    def by(cls, report: pytest.TestReport) -> Self | None:
        """None when ``report`` is of no scenario, or of a process that died."""
        carried = getattr(report, "guestnet", None)
        return None if carried is None else msgspec.convert(carried, cls)


RECORD = pytest.StashKey[Record]()


def _profile(profile: Any, config: pytest.Config) -> str:
    return shown_profile(profile, config.rootpath) if isinstance(profile, str) else str(profile.name)


def rerun_command(config: pytest.Config, record: Record) -> str:
    """The shell command that runs one scenario again, in the folder where pytest was called."""
    path, _, name = record.scenario.partition("::")
    target = os.path.relpath(config.rootpath / path, config.invocation_params.dir)
    words = [*pytest_command(config), f"{target}::{name}"]
    chosen = {
        "seed": config.option.guestnet_seed, "stack": record.variant.stack, "guest": record.variant.guest
    }  # fmt: skip
    if record.variant.image != DEFAULT_IMAGE:
        chosen["image"] = record.variant.image
    for option, value in chosen.items():
        words += [options.spelled(config, option), str(value)]
    return shlex.join(words)


def pytest_command(config: pytest.Config) -> list[str]:
    """How pytest is called: by the interpreter of an environment below this folder, else by PATH's."""
    python = Path(sys.executable)
    here = config.invocation_params.dir
    name = str(python.relative_to(here)) if python.is_relative_to(here) else "python"
    return [name, "-m", "pytest"]
