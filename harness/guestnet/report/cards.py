"""One scenario's part of the page, made and let go one after the other: captures are large."""

import re
import textwrap
from collections import Counter
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from guestnet.core.events import Expected
from guestnet.journal.capture import CAPTURE
from guestnet.journal.journal import JOURNAL
from guestnet.report.budget import Embedded, Limits, embed
from guestnet.report.columns import accelerators, columns, images
from guestnet.report.embed import json_block
from guestnet.report.evidence import Evidence, gather
from guestnet.report.model import RED, ScenarioResult
from guestnet.report.text import first_line, terminal, visible

_ORDER: Final = {"error": 0, "failed": 0, "interrupted": 1, "skipped": 3}
"""Of the scenarios on the page; all others come third."""
_OURS: Final = re.compile(r"^guestnet\.core\.errors\.(ExpectationFailed: )?")
_PLACE: Final = re.compile(r"^(\S+:\d+): ")
_FRAME: Final = re.compile(r"#(\d+)\b")
_SUFFIXES: Final = frozenset({".jsonl", ".pcapng", ".log"})


class Card(msgspec.Struct, kw_only=True):
    """One scenario as the template needs it; ``data`` and ``capture`` go into data blocks."""

    slug: str
    result: ScenarioResult
    name: str
    place: str
    doc: str
    rerun: str
    message: str
    line: str
    """The scenario's line that failed, as the source has it."""
    where: str
    printed: list[tuple[str, str]]
    misses: list[tuple[int, str]]
    """Of the expectation that failed: the nearest packets, by number, and why they are none."""
    longrepr: str
    problems: list[str]
    files: list[tuple[str, str]]
    accelerators: list[str]
    images: list[str]
    data: str
    capture: Embedded
    packets: int
    has_evidence: bool


def make_cards(results: list[ScenarioResult], run_folder: Path, target: Path, limits: Limits) -> list[Card]:
    """A card for each of ``results``, failures first; ``target`` is where the report will be."""
    results = sorted(results, key=lambda result: _ORDER.get(result.outcome, 2))
    slugs = _slugs(results)
    # Small captures before large ones: what they do not use is there for the others.
    queue = sorted(range(len(results)), key=lambda at: _size(run_folder / results[at].folder / CAPTURE))
    cards: dict[int, Card] = {}
    left = limits.captures
    for is_red in (True, False):
        group = [at for at in queue if (results[at].outcome in RED) == is_red]
        left = max(0, left if is_red else min(left, limits.passed))
        for position, at in enumerate(group):
            share = left // (len(group) - position)
            cards[at] = _card(slugs[at], results[at], run_folder, target, limits, share)
            left = max(0, left - len(cards[at].capture.block) * 3 // 4)
    return [cards[at] for at in range(len(results))]


def _card(
    slug: str, result: ScenarioResult, run_folder: Path, target: Path, limits: Limits, allowance: int
) -> Card:
    folder = run_folder / result.folder
    has_evidence = _has_evidence(result, folder)
    evidence = gather(folder, limits.packets) if has_evidence else Evidence()
    capture = embed(evidence, folder, allowance, limits.snap)
    place, _, name = result.id.rpartition("::")
    where, line = _failed_line(result)
    return Card(
        slug=slug,
        result=result,
        name=visible(name),
        place=visible(place),
        doc=visible(first_line(result.doc)),
        rerun=visible(result.rerun),
        message=_explanation(result),
        line=line,
        where=where,
        printed=[(title, terminal(text).strip("\n")) for title, text in result.printed],
        misses=_misses(result, evidence),
        longrepr=terminal(result.longrepr).strip("\n"),
        problems=evidence.problems + _cuts(result, evidence, capture),
        files=_files(run_folder, result, target),
        accelerators=accelerators(evidence),
        images=images(evidence),
        data=json_block(columns(result, evidence)),
        capture=capture,
        packets=len(evidence.records),
        has_evidence=has_evidence,
    )


def _has_evidence(result: ScenarioResult, folder: Path) -> bool:
    """Whether there is, or should be, something to read: a skipped scenario may have made its folder only."""
    return bool(result.folder) and (result.outcome != "skipped" or (folder / JOURNAL).exists())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _cuts(result: ScenarioResult, evidence: Evidence, embedded: Embedded) -> list[str]:
    """What the report leaves out of a capture, and where it is."""
    rest = (
        "capture.pcapng has it"
        if result.outcome in RED
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


def _failed_line(result: ScenarioResult) -> tuple[str, str]:
    """Where the scenario failed and what stands there, as pytest tells it; both "" when it does not."""
    lines = terminal(result.longrepr).splitlines() if result.outcome in RED else []
    marked = [at for at, text in enumerate(lines) if text.startswith(">")]
    if not marked:
        return "", ""
    after = (match[1] for text in lines[marked[-1] :] if (match := _PLACE.match(text)))
    return next(after, ""), lines[marked[-1]][1:].strip()


def _misses(result: ScenarioResult, evidence: Evidence) -> list[tuple[int, str]]:
    """The nearest misses of the last expectation that was not met, of which the report has the packets."""
    unmet = [event for event in evidence.events if isinstance(event, Expected) and not event.met]
    if result.outcome not in RED or not unmet:
        return []
    numbers = {record.number for record in evidence.records}
    found = [(match, text) for text in unmet[-1].nearest if (match := _FRAME.match(text))]
    return [(int(match[1]), visible(text)) for match, text in found if int(match[1]) in numbers]


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
    if result.outcome not in RED or not result.folder or not folder.is_dir():
        return []
    if target.parent.resolve() != run_folder.resolve():
        return []
    paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    return [(path.name, quote(f"{result.folder}/{path.name}")) for path in paths]
