"""The import rules of ARCHITECTURE.md, kept by an AST walk over every file of the package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "harness" / "guestnet"

PURE = {"core", "wire", "tcpip", "services", "link", "gateway"}
"""Above the line: no I/O, no clock, no randomness of its own."""

MAY_IMPORT = {
    "core": set[str](),
    "wire": {"core"},
    "tcpip": {"core", "wire"},
    "services": {"core", "wire"},
    "link": {"core", "wire", "tcpip"},
    "gateway": {"core", "wire", "tcpip", "services", "link"},
    "edge": {"core", "system", "wire", "link", "gateway"},
    "stacks": {"core", "wire", "tcpip", "services", "link", "gateway", "edge"},
    "system": set[str](),
    "world": {"core", "system", "wire", "link", "edge", "journal"},
    "guest": {"core", "system"},
    "journal": {"core", "wire"},
    "lab": {"core", "system", "link", "edge", "stacks", "world", "guest", "journal"},
    "scenario": {"core", "wire", "link", "journal", "lab", "guest"},
    "report": {"core", "wire", "journal"},
    "bench": {"core", "guest", "lab", "scenario", "journal", "system", "world"},
    "plugin": {"core", "journal", "lab", "scenario", "report", "guest"},
    "cli": {"core", "journal", "lab", "scenario", "report", "guest", "world", "stacks", "bench", "plugin"},
}

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

EXCEPTIONS = {("core/rng.py", "random"): "it is where the seeded streams are made"}


def files() -> Iterator[tuple[str, str]]:
    """(package, path below ROOT) of every module; a top-level module is a package of one file."""
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        if relative.name == "__init__.py" and len(relative.parts) == 1:
            continue
        yield relative.parts[0].removesuffix(".py"), str(relative)


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that the file imports, at any depth; relative imports are banned by the linter."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            if node.module == "guestnet":
                yield from (f"guestnet.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_its_rule_allows(package: str) -> None:
    paths = [path for name, path in files() if name == package]
    assert paths, f"guestnet.{package} has a rule but no files: delete the rule or restore the package"
    wrong = [
        f"{path}: {name}"
        for path in paths
        for name in imports(ROOT / path)
        if name.startswith("guestnet.") and name.split(".")[1] not in MAY_IMPORT[package] | {package}
    ]
    assert not wrong, f"guestnet.{package} may import {sorted(MAY_IMPORT[package]) or 'nothing'}"


def test_every_package_has_a_rule() -> None:
    assert {package for package, _ in files()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("package", sorted(PURE))
def test_no_input_output_above_the_line(package: str) -> None:
    wrong = [
        f"{path}: {name}: {BANNED_ABOVE_THE_LINE[name.split('.')[0]]}"
        for name_of_package, path in files()
        if name_of_package == package
        for name in imports(ROOT / path)
        if name.split(".")[0] in BANNED_ABOVE_THE_LINE and (path, name) not in EXCEPTIONS
    ]
    assert not wrong, "\n".join(wrong)
