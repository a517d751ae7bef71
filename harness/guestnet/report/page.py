"""The report: one HTML file that explains a run, from run.json, journals and captures alone.

What is readable without a script (verdicts, failures' texts, commands) is made here by the template; steps,
timeline and packets are drawn by the page's scripts when a scenario is opened, from its data blocks. The
page allows itself, by a Content-Security-Policy, its own script and style and nothing from anywhere else.
The same folder gives the same octets.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2

from guestnet.report.budget import Limits
from guestnet.report.cards import Card, make_cards
from guestnet.report.embed import assets, bundle, digest, script_text, scripts, styles
from guestnet.report.model import Run, Verdict, load
from guestnet.report.text import visible

REPORT_FILE: Final = "report.html"

_NAMES: Final = {"qemu": "QEMU", "guestnet": "Guestnet"}
_EXPECTED: Final[tuple[Verdict, ...]] = ("xpassed", "xfailed")
_STYLES: Final = ("tokens.css", "page.css", "scenario.css", "packets.css")


def build(run_folder: Path, output: Path | None = None, *, limits: Limits | None = None) -> Path:
    """Write the report of ``run_folder`` to ``output`` (``run_folder``/report.html) and return its path.

    Missing and cut artifacts are said in the report. Raises DescriptionError when run.json is missing or
    damaged, OSError when the report can't be written.
    """
    run = load(run_folder)
    target = output or run_folder / REPORT_FILE
    cards = make_cards(run.scenarios, run_folder, target, limits or Limits())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_render(run, cards), "utf-8")
    return target


def _render(run: Run, cards: list[Card]) -> str:
    script, style = bundle("main.js", scripts()), styles(*_STYLES)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (assets() / name).read_text("utf-8")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["seconds"] = _seconds
    environment.filters["visible"] = visible
    return environment.get_template("report.html.jinja").render(
        cards=cards,
        tags=_tags(cards),
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
    snap = card.capture.snap
    return {
        "slug": card.slug,
        "outcome": card.result.outcome,
        "download": f"{card.slug.removeprefix('scenario-')}{'' if snap is None else f'-snap{snap}'}.pcapng",
    }


def _verdicts(run: Run) -> dict[str, int]:
    """How many there are of each; of the unusual ones only those that there are."""
    counts = Counter(result.outcome for result in run.scenarios)
    return {
        "failed": counts["failed"] + counts["error"],
        **({"interrupted": counts["interrupted"]} if counts["interrupted"] else {}),
        "passed": counts["passed"],
        **{name: counts[name] for name in _EXPECTED if counts[name]},
        "skipped": counts["skipped"],
    }


def _title(run: Run) -> str:
    verdicts = _verdicts(run)
    told = [f"{count} {verdict}" for verdict, count in verdicts.items() if count]
    return ", ".join(told) or "no scenarios"


def _facts(run: Run, cards: list[Card]) -> list[tuple[str, str]]:
    """What ran where, as pairs of a word and its value."""
    machine = dict(run.machine)
    told = machine.pop("accelerator", "")
    found = [name for card in cards for name in card.accelerators]
    facts = [
        ("Started", _moment(run.started)),
        ("Took", _seconds((run.ended - run.started) / 1e9) if run.ended else "was killed"),
        ("Stack", _tally(card.result.variant.stack for card in cards)),
        ("Guest", _tally(card.result.variant.guest for card in cards)),
        ("Image", ", ".join(dict.fromkeys(name for card in cards for name in card.images))),
        ("Accelerator", ", ".join(dict.fromkeys(found)) or told),
        ("Profile", _tally(card.result.variant.profile for card in cards)),
        *(
            (_NAMES.get(name.lower(), name.capitalize()), value)
            for name, value in (machine | run.versions).items()
        ),
        ("Seed", "" if run.seed is None else str(run.seed)),
    ]
    return [(visible(name), visible(value)) for name, value in facts if value]


def _tally(values: Iterable[str]) -> str:
    """``builtin``, or ``builtin 9, slirp 3`` where they differ."""
    counts = Counter(value for value in values if value)
    return ", ".join(f"{value} {count}" if len(counts) > 1 else value for value, count in counts.items())


def _tags(cards: list[Card]) -> list[list[str]]:
    """For each card what is not the same in all of them: the head tells the rest."""
    kinds: list[list[tuple[str, ...]]] = [
        [(card.result.variant.stack,) for card in cards],
        [(card.result.variant.guest,) for card in cards],
        [tuple(card.accelerators) for card in cards],
        [(card.result.variant.profile,) for card in cards],
    ]
    differing = [kind for kind in kinds if len({values for values in kind if any(values)}) > 1]
    return [[visible(value) for kind in differing for value in kind[at] if value] for at in range(len(cards))]


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
