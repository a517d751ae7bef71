"""What was wrong with each link, and when: the journal's changes of links as spans of time."""

from math import inf
from typing import Any, Final, NamedTuple

from guestnet.core.events import Event, Expected, GuestEnded, LabStopped, LinkChanged, StepEnded, VerbRun
from guestnet.report.text import visible

_IMPAIRED: Final = "impaired: "
_ARROWS: Final = {"": "", "up": "↑ ", "down": "↓ "}


class _Kind(NamedTuple):
    """What a change is about, and what is said of the link until the next of its kind."""

    name: str
    text: str
    tone: str


def spans(events: list[Event], start: int, end: int) -> list[dict[str, Any]]:
    """Each with link, text, tone, begin and end in ns since ``start``; ``row``: which lie side by side."""
    told: list[dict[str, Any]] = []
    open_: dict[tuple[str, str, str], dict[str, Any]] = {}
    rows: dict[str, list[tuple[str, str]]] = {}

    def close(key: tuple[str, str, str], at: int) -> dict[str, Any] | None:
        span = open_.pop(key, None)
        if span is not None:
            span["end"] = at - start
        return span

    def begin(link: str, kind: _Kind, direction: str, at: int) -> None:
        row = (kind.name, direction)
        mine = rows.setdefault(link, [])
        if row not in mine:
            mine.append(row)
        span = {
            "link": visible(link), "at": at - start, "end": end, "row": mine.index(row),
            "text": _ARROWS[direction] + visible(kind.text), "tone": kind.tone,
        }  # fmt: skip
        open_[link, kind.name, direction] = span
        told.append(span)

    ending = _ending(events)
    for event in events:
        kind = _kind(event.change) if isinstance(event, LinkChanged) else None
        if not isinstance(event, LinkChanged) or kind is None or event.at >= ending:
            continue
        link, at = event.link, event.at
        both = close((link, kind.name, ""), at)
        if event.direction == "":
            close((link, kind.name, "up"), at)
            close((link, kind.name, "down"), at)
        else:
            close((link, kind.name, event.direction), at)
            if both is not None:  # the other direction stays as it is
                other = "down" if event.direction == "up" else "up"
                begin(link, _Kind(kind.name, both["text"], both["tone"]), other, at)
        if kind.text:
            begin(link, kind, event.direction, at)
    return [span for span in told if span["end"] > span["at"]]


def _ending(events: list[Event]) -> float:
    """When the lab began to end in good order: that its guests then hang up is nothing wrong."""
    if not any(isinstance(event, LabStopped) for event in events):
        return inf
    return next((event.at for event in events if isinstance(event, GuestEnded) and event.reason == "stopped"
                 and event.at >= _last_done(events)), inf)  # fmt: skip


def _last_done(events: list[Event]) -> int:
    done = (event.at for event in events if isinstance(event, VerbRun | Expected | StepEnded))
    return max(done, default=0)


def _kind(change: str) -> _Kind | None:
    """None for what is no state."""
    name = change.partition(":")[0]
    match name:
        case "impaired" | "not impaired":
            text = change.removeprefix(_IMPAIRED) if name == "impaired" else ""
            return _Kind("settings", text, "bad" if "down" in text.split(", ") else "warning")
        case "plugged" | "unplugged":
            return _Kind("plug", change if name == "unplugged" else "", "bad")
        case "up" | "down":
            return _Kind("guest", change.replace(":", "") if name == "down" else "", "bad")
        case "flap" if change in ("flap: up", "flap: down"):
            return _Kind("flap", "down" if change == "flap: down" else "", "bad")
    return None
