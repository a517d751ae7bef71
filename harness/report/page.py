"""The report: one HTML file that explains a run, from run.json, journals and captures alone.

What is readable without a script (verdicts, failures' texts, commands) is made here by the template; steps,
timeline and packets are drawn by the page's scripts when a scenario is opened, from its data blocks. The
page allows itself, by a Content-Security-Policy, its own script and style and nothing from anywhere else.
The same folder gives the same octets.
"""

import re
import textwrap
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2
import msgspec

from harness.report.budget import Embedded, Limits, embed
from harness.report.columns import accelerators, columns
from harness.report.embed import assets, bundle, digest, json_block, script_text, scripts, styles
from harness.report.evidence import Evidence, gather
from harness.report.model import Run, ScenarioResult, load
from harness.report.text import first_line, terminal, visible

REPORT_FILE: Final = "report.html"

_ORDER: Final = {"error": 0, "failed": 0, "skipped": 2, "passed": 1}
_RED: Final = frozenset({"failed", "error"})
_OURS: Final = re.compile(r"^harness\.core\.errors\.(ExpectationFailed: )?")
_STYLES: Final = ("tokens.css", "page.css", "scenario.css", "packets.css")
_SUFFIXES: Final = frozenset({".jsonl", ".pcapng", ".log"})


class Card(msgspec.Struct):
    """One scenario as the template needs it."""

    slug: str
    result: ScenarioResult
    evidence: Evidence
    embedded: Embedded
    data: str
    files: list[tuple[str, str]]
    name: str
    place: str
    doc: str
    rerun: str
    message: str
    longrepr: str
    tags: list[str]


def build(run_folder: Path, output: Path | None = None, *, limits: Limits | None = None) -> Path:
    """Write the report of ``run_folder`` to ``output`` (``run_folder``/report.html) and return its path.

    Missing and cut artifacts are said in the report. Raises DescriptionError when run.json is missing or
    damaged, OSError when the report can't be written.
    """
    run = load(run_folder)
    target = output or run_folder / REPORT_FILE
    cards = _cards(run, run_folder, target, limits or Limits())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_render(run, cards), "utf-8")
    return target


def _cards(run: Run, run_folder: Path, target: Path, limits: Limits) -> list[Card]:
    results = sorted(run.scenarios, key=lambda result: _ORDER[result.outcome])
    slugs = _slugs(results)
    evidences = [_gather(run_folder, result, limits) for result in results]
    embedded: dict[int, Embedded] = {}
    left = limits.captures
    # Failures first, small ones before large: what they do not use is there for the others.
    queue = sorted(
        range(len(results)), key=lambda at: (_ORDER[results[at].outcome], evidences[at].capture_size)
    )
    for position, at in enumerate(queue):
        peers = sum(
            _ORDER[results[other].outcome] == _ORDER[results[at].outcome] for other in queue[position:]
        )
        share = max(left, 0) // peers
        embedded[at] = embed(evidences[at], run_folder / results[at].folder, share, limits.snap)
        left -= len(embedded[at].block) * 3 // 4
    return [
        _card(slugs[at], result, evidences[at], embedded[at], _files(run_folder, result, target))
        for at, result in enumerate(results)
    ]


def _gather(run_folder: Path, result: ScenarioResult, limits: Limits) -> Evidence:
    if not result.folder:
        return Evidence()
    return gather(run_folder / result.folder, limits.packets)


def _card(
    slug: str, result: ScenarioResult, evidence: Evidence, embedded: Embedded, files: list[tuple[str, str]]
) -> Card:
    place, _, name = result.id.rpartition("::")
    evidence.problems.extend(_cuts(result, evidence, embedded))
    tags = [
        result.stack,
        result.guest,
        *accelerators(evidence),
        result.profile and f"profile {result.profile}",
    ]
    return Card(
        slug, result, evidence, embedded, json_block(columns(result, evidence)), files,
        visible(name), visible(place), visible(first_line(result.doc)),
        visible(result.rerun), _explanation(result),
        terminal(result.longrepr).strip("\n"), [visible(tag) for tag in tags if tag],
    )  # fmt: skip


def _cuts(result: ScenarioResult, evidence: Evidence, embedded: Embedded) -> list[str]:
    """What the report leaves out of a capture, and where it is."""
    rest = (
        "capture.pcapng has it"
        if result.outcome in _RED
        else "a run with --keep on leaves it in capture.pcapng"
    )
    cuts = []
    if evidence.left_out:
        kept = len(evidence.records)
        cuts.append(
            f"this report holds the first and the last of {kept + evidence.left_out} packets, {kept} in all; "
            f"the middle is left out: {rest}"
        )
    if embedded.snap is not None and any(len(record.data) > embedded.snap for record in evidence.records):
        cuts.append(
            f"this report holds at most {embedded.snap} B of each frame; the rest is left out: {rest}"
        )
    return cuts


def _explanation(result: ScenarioResult) -> str:
    """All that the exception said (pytest marks its lines with E), else the one-line message."""
    lines = [line[1:] for line in terminal(result.longrepr).splitlines() if line.startswith("E ")]
    told = textwrap.dedent("\n".join(lines)).strip()
    message = terminal(result.message).strip()
    return _OURS.sub("", told if len(told) > len(message) else message)


def _slugs(results: list[ScenarioResult]) -> list[str]:
    """Stable anchors: the test's name; with its file where two share one, and numbered as a last resort."""
    short = [_slug(result.id.rpartition("::")[2]) for result in results]
    counts = Counter(short)
    names = [
        _slug(result.id) if counts[name] > 1 else name for result, name in zip(results, short, strict=True)
    ]
    seen: Counter[str] = Counter()
    slugs = []
    for name in names:
        seen[name] += 1
        slugs.append(f"scenario-{name}" if seen[name] == 1 else f"scenario-{name}-{seen[name]}")
    return slugs


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "x"


def _files(run_folder: Path, result: ScenarioResult, target: Path) -> list[tuple[str, str]]:
    """Name and relative address of a failure's artifacts, when the report lies in the run folder.

    What a passed scenario left may be removed once the report is made, so nothing points there.
    """
    folder = run_folder / result.folder
    if result.outcome not in _RED or not result.folder or not folder.is_dir():
        return []
    if target.parent.resolve() != run_folder.resolve():
        return []
    paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    return [(path.name, quote(f"{result.folder}/{path.name}")) for path in paths]


def _render(run: Run, cards: list[Card]) -> str:
    script, style = bundle("main.js", scripts()), styles(*_STYLES)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (assets() / name).read_text("utf-8")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["seconds"] = _seconds
    return environment.get_template("report.html.jinja").render(
        cards=cards,
        index=script_text([_entry(card) for card in cards]),
        verdicts=_verdicts(run),
        facts=_facts(run, cards),
        problems=_problems(run),
        command=visible(run.command),
        title=_title(run),
        script=script,
        style=style,
        policy=_policy(script, style),
    )


def _policy(script: str, style: str) -> str:
    """Nothing is loaded and nothing runs but our own script and style, whatever a guest smuggled in."""
    own = f"script-src {digest(script)}; style-src {digest(style)}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _entry(card: Card) -> dict[str, Any]:
    snap = card.embedded.snap
    return {
        "slug": card.slug,
        "outcome": card.result.outcome,
        "download": f"{card.slug.removeprefix('scenario-')}{'' if snap is None else f'-snap{snap}'}.pcapng",
        "size": card.embedded.size,
        "snap": snap,
    }


def _verdicts(run: Run) -> dict[str, int]:
    counts = Counter(result.outcome for result in run.scenarios)
    return {
        "failed": counts["failed"] + counts["error"],
        "passed": counts["passed"],
        "skipped": counts["skipped"],
    }


def _title(run: Run) -> str:
    verdicts = _verdicts(run)
    told = [f"{count} {verdict}" for verdict, count in verdicts.items() if count]
    return ", ".join(told) or "no scenarios"


def _facts(run: Run, cards: list[Card]) -> list[tuple[str, str]]:
    """What ran where, as pairs of a word and its value."""
    ran = Counter(
        " · ".join(part for part in (card.result.stack, card.result.guest) if part) for card in cards
    )
    stacks = ", ".join(f"{what} ({count})" if len(ran) > 1 else what for what, count in ran.items() if what)
    found = list(dict.fromkeys(name for card in cards for name in accelerators(card.evidence)))
    machine = dict(run.machine)
    accelerator = ", ".join(found) or machine.pop("accelerator", "")
    machine.pop("accelerator", None)
    facts = [
        ("Started", _moment(run.started)),
        ("Took", _seconds((run.ended - run.started) / 1e9) if run.ended else "was killed"),
        ("Stack and guest", stacks),
        ("Accelerator", accelerator),
        *((name.capitalize(), value) for name, value in machine.items()),
        *((name if name[:1].isupper() else name.capitalize(), value) for name, value in run.versions.items()),
        ("Seed", "" if run.seed is None else str(run.seed)),
    ]
    return [(visible(name), visible(value)) for name, value in facts if value]


def _problems(run: Run) -> list[str]:
    problems = []
    if run.ended is None:
        problems.append("The run has no end: it was killed, and scenarios may be missing here.")
    if not run.scenarios:
        problems.append("The run holds no scenario: none was collected, or it ended before the first.")
    return problems


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _seconds(value: float) -> str:
    if value >= 60:
        return f"{int(value // 60)} min {value % 60:.0f} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"
