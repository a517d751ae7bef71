"""The closing lines on the terminal: no run is green because it ran nothing, and nobody was told."""

from collections import Counter
from collections.abc import Mapping

from guestnet.plugin.verdict import Attempt, Scenario


def lines(scenarios: Mapping[str, Scenario]) -> list[str]:
    """All of them, for ``scenarios`` by node id."""
    decisive = [each.decisive for each in scenarios.values()]
    return [*_what_ran(decisive), *_what_did_not(decisive), *_what_was_repeated(scenarios)]


def _what_ran(scenarios: list[Attempt]) -> list[str]:
    """One line a kind of guest and stack: ``12 scenarios on qemu/tcg with builtin: 11 passed, 1 failed``."""
    groups: dict[tuple[str, str], list[Attempt]] = {}
    for one in scenarios:
        groups.setdefault((one.record.variant.guest, one.record.variant.stack), []).append(one)
    told = []
    for (guest, stack), members in sorted(groups.items()):
        where = "/".join([guest, *sorted({one.record.accelerator for one in members} - {""})])
        outcomes = sorted(Counter(one.outcome for one in members).items())
        verdicts = ", ".join(f"{number} {outcome}" for outcome, number in outcomes)
        told.append(f"{_scenarios(len(members))} on {where} with {stack}: {verdicts}")
    return told


def _what_did_not(scenarios: list[Attempt]) -> list[str]:
    reasons = Counter(one.message for one in scenarios if one.outcome == "skipped")
    if not reasons:
        return []
    (first, number), *others = reasons.most_common()
    if not others:
        return [f"{_scenarios(number)} did not run: {first}"]
    return [
        f"{_scenarios(reasons.total())} did not run:",
        *(f"  {number} × {reason}" for reason, number in reasons.most_common()),
    ]


def _what_was_repeated(scenarios: Mapping[str, Scenario]) -> list[str]:
    return [
        f"run again: {nodeid}: {', '.join(each.outcome for each in one.others)}, then {one.decisive.outcome}"
        for nodeid, one in scenarios.items()
        if one.others
    ]


def _scenarios(number: int) -> str:
    return f"{number} scenario{'s' * (number != 1)}"
