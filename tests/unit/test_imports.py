"""The import rules of ARCHITECTURE.md, kept by an AST walk over every file of the package."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "harness" / "guestnet"

PURE = {"core", "wire", "frames", "tcpip", "services", "link", "gateway", "world.described"}
"""Above the line, with the rooms in them: no I/O, no clock, no randomness of its own."""

WORLD = {"described", "profiles", "kernel", "laptop", "links", "nat64", "servers", "portal", "vpn"}

MAY_IMPORT = {
    "core": set[str](),
    "wire": {"core"},
    "frames": {"core", "wire"},
    "tcpip": {"core", "wire", "frames"},
    "services": {"core", "wire"},
    "link.item": {"core"},
    "link.quantities": {"core"},
    "link.passed": {"core", "link.quantities"},
    "link.verdicts": {"core", "wire", "link.item", "link.passed"},
    "link.filter": {"core", "wire"},
    "link.rules": {"core", "wire", "tcpip", "link.item", "link.quantities", "link.verdicts", "link.filter"},
    "link": {
        "core", "wire", "frames", "tcpip", "link.item", "link.quantities", "link.passed", "link.verdicts",
        "link.filter", "link.rules",
    },
    "gateway": {"core", "wire", "frames", "tcpip", "services", "link"},
    "edge": {"core", "system", "wire", "services", "frames", "link", "gateway"},
    "stacks": {"core", "system", "wire", "tcpip", "services", "link", "gateway", "edge"},
    "system": {"core"},
    "world.described": {"core", "link"},
    "world.profiles": {"core", "system", "world.described"},
    "world.kernel": {"core", "system", "world.described"},
    "world.laptop": {"core", "system", "wire", "services", "edge", "world.described"},
    "world.links": {
        "core", "system", "wire", "frames", "link", "edge", "journal", "world.described", "world.kernel",
    },
    "world.nat64": {"core", "system", "wire", "tcpip", "edge", "world.described", "world.kernel"},
    "world.servers": {"core", "system", "wire", "edge", "world.described", "world.kernel"},
    "world.portal": {"core", "system", "edge", "world.described", "world.kernel", "world.servers"},
    "world.vpn": {
        "core", "system", "wire", "edge", "world.described", "world.kernel", "world.laptop", "world.links",
    },
    "world": {"core", "system", "edge", "journal", *(f"world.{part}" for part in WORLD)},
    "guest": {"core", "system"},
    "journal": {"core", "wire", "frames"},
    "lab.requests": {"core", "link", "world.described"},
    "lab.controls": {"core", "system", "link", "edge", "stacks", "world", "guest", "lab.requests"},
    "lab.process": {"core", "system", "guest", "world.described", "world.profiles", "lab.requests"},
    "lab": {
        "core", "system", "edge", "stacks", "world", "guest", "journal",
        "lab.requests", "lab.controls", "lab.process",
    },
    "scenario": {"core", "system", "wire", "link", "journal", "lab", "guest"},
    "report": {"core", "wire", "journal"},
    "bench": {"core", "guest", "lab", "scenario", "journal", "system", "world"},
    "plugin": {"core", "journal", "lab", "scenario", "report", "guest"},
    "cli": {
        "core", "system", "journal", "lab", "scenario", "report", "guest", "world", "stacks", "bench",
        "plugin",
    },
}  # fmt: skip
"""By package, or by room of a package: what each may import beside itself. A package that has rooms means the
files beside them here, and the rooms too where it is imported."""

BANNED_ABOVE_THE_LINE = {
    "asyncio": "the core is sans-I/O: events in, commands out",
    "socket": "the core is sans-I/O: host sockets belong to guestnet.edge",
    "select": "the core is sans-I/O: readiness belongs to guestnet.edge",
    "selectors": "the core is sans-I/O: readiness belongs to guestnet.edge",
    "threading": "the core is single-threaded and driven",
    "subprocess": "processes belong to guestnet.world, guestnet.guest and guestnet.lab",
    "multiprocessing": "processes belong to guestnet.lab",
    "os": "the core knows no operating system; the values it needs come in as arguments",
    "time": "time comes in as `now`",
    "datetime": "time comes in as `now`",
    "random": "randomness comes in as values or as streams of guestnet.core.rng",
    "secrets": "randomness comes in as values or as streams of guestnet.core.rng",
    "signal": "signals belong to the processes of guestnet.lab",
}

PURE_ONES = {"dns", "msgspec", "numpy"}
NOT_PURE = (
    "dns.asyncbackend", "dns.asyncquery", "dns.asyncresolver", "dns.query", "dns.resolver", "numpy.random",
)  # fmt: skip

EXCEPTIONS = {("core.rng", "random"): "it is where the seeded streams are made"}


def modules() -> Iterator[tuple[str, Path]]:
    """The dotted name below the package, and the file, of every module."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if name := ".".join(parts).removesuffix("__init__").removesuffix("."):
            yield name, path


def room(module: str) -> str:
    """The longest rule that covers ``module``, or its package."""
    names = [module]
    while "." in names[-1]:
        names.append(names[-1].rpartition(".")[0])
    return next((name for name in names if name in MAY_IMPORT), names[-1])


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that the file imports, at any depth; relative imports are banned by the linter."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            known = [f"{node.module}.{alias.name}" for alias in node.names]
            submodules = [name for name in known if name.removeprefix("guestnet.") in MODULES]
            yield from submodules
            if len(submodules) < len(known):
                yield node.module


MODULES = dict(modules())


def ours(path: Path) -> set[str]:
    """The modules of the package that the file imports, named below it."""
    return {name.removeprefix("guestnet.") for name in imports(path) if name.startswith("guestnet.")}


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_its_rule_allows(name: str) -> None:
    inside = {module: path for module, path in MODULES.items() if room(module) == name}
    assert inside, f"guestnet.{name} has a rule but no files: delete the rule or restore the package"
    allowed = {name} | MAY_IMPORT[name]
    wrong = [
        f"{module}: {imported}"
        for module, path in inside.items()
        for imported in ours(path)
        if room(imported) not in allowed and imported.partition(".")[0] not in MAY_IMPORT[name]
    ]
    assert not wrong, f"guestnet.{name} may import {sorted(MAY_IMPORT[name]) or 'nothing'}"


def test_every_package_has_a_rule_and_so_has_every_room_of_a_package_that_has_rooms() -> None:
    divided = {name.partition(".")[0] for name in MAY_IMPORT if "." in name}
    packages = {".".join(module.split(".")[:-1]) or module for module in MODULES}
    rooms = {".".join(name.split(".")[: 2 if name.partition(".")[0] in divided else 1]) for name in packages}
    assert rooms <= set(MAY_IMPORT)


def test_no_room_is_above_itself() -> None:
    rules = {name: set(allowed) for name, allowed in MAY_IMPORT.items()}
    for allowed in rules.values():
        allowed |= {name for name in MAY_IMPORT if name.partition(".")[0] in allowed}
    TopologicalSorter(rules).prepare()


def test_no_file_imports_itself_by_way_of_others() -> None:
    TopologicalSorter({module: ours(path) for module, path in MODULES.items()}).prepare()


@pytest.mark.parametrize("name", sorted(PURE))
def test_no_input_output_above_the_line(name: str) -> None:
    wrong = [
        f"{module}: {imported}: {BANNED_ABOVE_THE_LINE[imported.split('.')[0]]}"
        for module, path in MODULES.items()
        if f"{module}.".startswith(f"{name}.")
        for imported in imports(path)
        if imported.split(".")[0] in BANNED_ABOVE_THE_LINE and (module, imported) not in EXCEPTIONS
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(PURE))
def test_of_other_peoples_packages_only_pure_ones_above_the_line(name: str) -> None:
    wrong = [
        f"{module}: {imported}"
        for module, path in MODULES.items()
        if f"{module}.".startswith(f"{name}.")
        for imported in imports(path)
        if imported.split(".")[0] not in {"guestnet", *PURE_ONES, *sys.stdlib_module_names}
        or imported.startswith(NOT_PURE)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_rung_of_the_tests_borrows_from_another() -> None:
    """What several use is in tests/support, which uses none of them; tests/kernel, tests/bare are tools."""
    tests = Path(__file__).parents[1]
    wrong = [
        f"{path.relative_to(tests)}: {imported}"
        for path in sorted(tests.rglob("*.py"))
        for imported in imports(path)
        if imported.startswith("tests.")
        and imported.split(".")[1] not in {path.relative_to(tests).parts[0], "support", "kernel", "bare"}
    ]
    assert not wrong, "\n".join(wrong)
