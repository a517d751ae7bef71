"""Writes docs/reference.md from the docstrings of what a scenario's author imports: ``nox -s reference``.

It reads sources, not objects, so that a signature stands there as it was written.
"""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
_FENCE: Final = "```"
_INTERNAL: Final = ("check", "settled", "show", "filtered", "build", "draw", "server", "fixed", "each")
"""What only the link asks of settings and rules."""
_RULES: Final = ("EntryKind", "Delay")
"""Bases of rules by when frames meet them: to an author they are rules."""
TARGET: Final = ROOT / "docs" / "reference.md"
PACKAGE: Final = ROOT / "harness" / "guestnet"

INTRODUCTION: Final = """# Reference

Made from the docstrings by `nox -s reference`; change those. All of it is imported from `guestnet`, events
from `guestnet.core.events`. A duration is a number of seconds or a text as "200ms"; what is set on links has
a unit.
"""


class Section(NamedTuple):
    """Classes or functions of one module, or of all that match, under one heading: those of these names, the
    classes with one of these bases, or without either all that is public."""

    title: str
    module: str
    names: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()


SECTIONS: Final = (
    Section("The marker", "scenario/marker.py"),
    Section("What the marker takes", "lab/requests/description.py", ("LabDescription",)),
    Section("The lab", "scenario/lab.py"),
    Section("Machines", "scenario/machine.py", ("Machine", "Host")),
    Section("Guests", "scenario/guest.py"),
    Section("Expectations", "scenario/expecting.py", ("LinkView", "JournalView")),
    Section("Links", "scenario/links.py"),
    Section("By name", "scenario/views.py", ("Views",)),
    Section("Uplinks", "scenario/uplinks.py", ("UplinkView",)),
    Section("VPNs", "scenario/vpn.py", ("VpnView",)),
    Section("Captive portals", "scenario/portal.py", ("Detection", "PortalView")),
    Section("Settings of verbs", "scenario/keywords.py", ("Impairing", "VpnSettings", "Ways")),
    Section("Results", "scenario/results.py"),
    Section("Commands", "core/result.py"),
    Section("Impairments", "link/settings.py", ("Impairments", "Step")),
    Section("Rules", "link/rules/*.py", bases=("Kind", "Rule", *_RULES)),
    *(
        Section(f"Matchers: {name}", f"scenario/matchers/{name}.py")
        for name in ("tcp", "udp", "icmp", "icmpv6", "arp", "ndp", "dhcp", "dhcpv6", "dns")
    ),
    Section("Matchers of events", "scenario/matchers/event.py", ("event",)),
    Section("Combining matchers", "scenario/matchers/base.py", ("Matcher",)),
)  # fmt: skip


def render() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for section in SECTIONS:
        parts.append(f"## {section.title}\n")
        bodies = [ast.parse(path.read_text("utf-8")).body for path in sorted(PACKAGE.glob(section.module))]
        shown = (node for body in bodies for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef))
        found = [node for node in shown if _is_meant(node, section)]
        missing = set(section.names) - {node.name for node in found}
        if missing:
            raise LookupError(f"{section.module} has no {', '.join(sorted(missing))}: mend docs/reference.py")
        of_module = section.title.startswith("Matchers: ") and not section.names
        prefix = f"{Path(section.module).stem}." if of_module else ""
        for node in found:
            parts += _class(node) if isinstance(node, ast.ClassDef) else _function(node, prefix)
    return "\n".join(parts)


def _is_meant(node: ast.ClassDef | ast.FunctionDef, section: Section) -> bool:
    if section.bases:
        has_one = isinstance(node, ast.ClassDef) and {*map(ast.unparse, node.bases)} & {*section.bases}
        return bool(has_one) and node.name not in section.bases
    return node.name in section.names if section.names else not node.name.startswith("_")


def _class(node: ast.ClassDef) -> Iterator[str]:
    bases = ["Rule" if ast.unparse(base) in _RULES else ast.unparse(base) for base in node.bases]
    shown = [base for base in bases if not re.match(r"msgspec|ABC|Generic|TypedDict|Kind", base)]
    yield f"### {node.name}{f' ({shown[0]})' if shown else ''}\n"
    yield _text(node)
    for member, words in _fields(node):
        yield f"- `{member}`{f': {words}' if words else ''}"
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
            decorators = {ast.unparse(one) for one in method.decorator_list}
            text = ast.get_docstring(method)
            # A method without a docstring does what that of its base class says.
            is_property = bool(decorators & {"property", "cached_property"})
            if text is not None and is_property and method.name not in _INTERNAL:
                yield f"- `{method.name}: {_returns(method)}`: {_in_line(text)}"
    yield ""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
            decorators = {ast.unparse(one) for one in method.decorator_list}
            is_verb = method.name not in _INTERNAL and not decorators & {"property", "cached_property"}
            if is_verb and ast.get_docstring(method):
                yield from _function(method, "", level=4)


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and not ast.unparse(field.target).startswith("_"):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            words = ast.literal_eval(after.value) if is_text and isinstance(after, ast.Expr) else ""
            yield ast.unparse(field), _in_line(str(words))


def _function(node: ast.FunctionDef, prefix: str, level: int = 3) -> Iterator[str]:
    arguments = [one for one in node.args.posonlyargs + node.args.args if one.arg in ("self", "cls")]
    signature = ast.unparse(node.args)
    for one in arguments:
        signature = signature.removeprefix(one.arg).removeprefix(", ")
    yield f"{'#' * level} {prefix}{node.name}\n"
    call = f"{prefix}{node.name}({signature.removeprefix('/, ')}) -> {_returns(node)}"
    yield f"{_FENCE}python\n{call}\n{_FENCE}\n"
    yield _text(node)


def _returns(node: ast.FunctionDef) -> str:
    return ast.unparse(node.returns).strip("'\"") if node.returns is not None else "None"


def _text(node: ast.ClassDef | ast.FunctionDef) -> str:
    """A docstring as Markdown: code as in reStructuredText, blocks after ``::`` fenced."""
    text = ast.get_docstring(node)
    if text is None:
        raise LookupError(f"{node.name} has no docstring")
    fenced = re.sub(
        r"::\n\n((?:    .*\n?|\n)+)",
        lambda block: f":\n\n{_FENCE}python\n{textwrap.dedent(block[1]).strip()}\n{_FENCE}\n\n",
        text.replace("``", "`"),
    )
    return fenced.strip() + "\n"


def _in_line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


if __name__ == "__main__":
    TARGET.write_text(render(), "utf-8")
