"""One scenario's evidence as the JSON that the page's scripts read.

Times are nanoseconds since the scenario's start, packets are columns (one list a property), because
10,000 small objects cost a browser more than ten lists. The layers of a packet are not here: the page
dissects the embedded octets when a packet is looked at.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from guestnet.core.events import (
    VERDICTS,
    Event,
    Expected,
    GuestStarted,
    LabStarted,
    Noted,
    StepBegan,
    StepEnded,
    VerbRun,
    Verdict,
)
from guestnet.core.showing import UNSHOWN, describe
from guestnet.journal.capture import Record
from guestnet.report import conversations
from guestnet.report.evidence import Evidence
from guestnet.report.model import ScenarioResult
from guestnet.report.settings import spans
from guestnet.report.text import visible
from guestnet.wire import frame

VERDICTS_SHOWN: Final = 20_000
"""Of a scenario: what the page can unfold of the verdicts of links. A verdict takes some 20 octets of it."""
_NUMBER: Final = re.compile(r"#(\d+)\b")


def columns(result: ScenarioResult, evidence: Evidence) -> dict[str, Any]:
    """Steps, events, expectations, packets, links and logs, with all text made visible."""
    start = _start(result, evidence)
    seen = [frame.decode(record.data, record.wire_length) for record in evidence.records]
    packets = _packets(evidence.records, seen, evidence.links, start)
    talks = conversations.conversations(zip(evidence.records, seen, strict=True))
    return {
        "end": _end(result, evidence, start),
        "steps": _steps(evidence.events, start),
        "verbs": _verbs(evidence.events, start),
        "failure": _failure(evidence.events),
        "events": _events(evidence.events, start),
        "settings": spans(evidence.events, start, _end(result, evidence, start)),
        "expectations": _expectations(evidence.events, packets, start),
        "links": [visible(link) for link in evidence.links],
        "packets": packets,
        "conversations": conversations.columns(talks, start),
        "logs": [{"name": log.name, "text": log.text, "leftOut": log.left_out} for log in evidence.logs],
    }


def accelerators(evidence: Evidence) -> list[str]:
    """What the guests ran on, in the order in which they started."""
    return _each_once(event.accelerator for event in evidence.events if isinstance(event, GuestStarted))


def images(evidence: Evidence) -> list[str]:
    """What the guests are made of, in the order in which they started."""
    return _each_once(event.image for event in evidence.events if isinstance(event, GuestStarted))


def _each_once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))


def _start(result: ScenarioResult, evidence: Evidence) -> int:
    """Lab clock at 0: the lab's start; without one, the first thing that happened."""
    for event in evidence.events:
        if isinstance(event, LabStarted):
            return event.at
    times = [event.at for event in evidence.events[:1]] + [record.at for record in evidence.records[:1]]
    return min(times, default=result.started)


def _end(result: ScenarioResult, evidence: Evidence, start: int) -> int:
    times = [event.at for event in evidence.events[-1:]] + [record.at for record in evidence.records[-1:]]
    return max(times, default=start + round(result.duration * 1e9)) - start


def _packets(
    records: list[Record], seen: list[frame.Packet], links: list[str], start: int
) -> dict[str, Any]:
    numbers = {link: index for index, link in enumerate(links)}
    shown = [visible(frame.show(packet)) for packet in seen]
    return {
        "number": [record.number for record in records],
        "at": [record.at - start for record in records],
        "link": [numbers[record.link] for record in records],
        "direction": "".join({"up": "u", "down": "d", None: "-"}[record.direction] for record in records),
        "length": [record.wire_length for record in records],
        "show": shown,
        "comment": {
            str(row): visible(record.comment) for row, record in enumerate(records) if record.comment
        },
        "packetId": {str(row): record.packet_id for row, record in enumerate(records) if record.packet_id},
    }


def _events(events: list[Event], start: int) -> list[dict[str, Any]]:
    """With the verdicts of links, as columns: of the first ``VERDICTS_SHOWN``, for they may be many."""
    told, room = [], VERDICTS_SHOWN
    for event in events:
        one = _event(event, start)
        if isinstance(event, VERDICTS):
            verdicts = list(event.verdicts())
            room -= len(verdicts)
            if room >= 0:
                one["verdicts"] = _verdicts(verdicts, start)
        told.append(one)
    return told


def _verdicts(verdicts: list[Verdict], start: int) -> dict[str, list[int]]:
    return {
        "packetId": [verdict.packet_id for verdict in verdicts],
        "at": [verdict.at - start for verdict in verdicts],
        "length": [verdict.length for verdict in verdicts],
        "delay": [verdict.delay for verdict in verdicts],
    }


def _event(event: Event, start: int) -> dict[str, Any]:
    line = describe(event)
    return {
        "at": event.at - start,
        "type": type(event).__name__,
        "group": line.group,
        "text": visible(line.text).replace("\n", " ⏎ "),
        "tone": line.tone,
        "fields": {
            name: _value(value)
            for name, value in msgspec.structs.asdict(event).items()
            if name not in UNSHOWN
        },
    }


def _value(value: Any) -> str:
    return visible(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _steps(events: list[Event], start: int) -> list[dict[str, Any]]:
    """As they began; ``depth`` counts the steps around one, and one that never ended has ``end`` null."""
    steps: list[dict[str, Any]] = []
    running: dict[int, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, StepBegan):
            running[event.step] = {
                "name": visible(event.name), "at": event.at - start, "end": None,
                "outcome": "", "depth": len(running),
            }  # fmt: skip
            steps.append(running[event.step])
        elif isinstance(event, StepEnded) and event.step in running:
            running.pop(event.step).update(end=event.at - start, outcome=event.outcome)
    return steps


def _verbs(events: list[Event], start: int) -> list[dict[str, Any]]:
    """What the scenario did, as spans; ``row``: those that lie within others, or beside them, are below."""
    spans: list[dict[str, Any]] = [
        {
            "at": max(0, event.at - start - round(event.seconds * 1e9)), "end": event.at - start,
            "text": visible(f"{event.verb}({event.arguments})"), "result": visible(event.result),
            "where": visible(event.where), "raised": event.raised, "event": index,
        }
        for index, event in enumerate(events)
        if isinstance(event, VerbRun)
    ]  # fmt: skip
    spans.sort(key=lambda span: (span["at"], -span["end"]))
    ends: list[int] = []
    for span in spans:
        row = next((row for row, end in enumerate(ends) if end <= span["at"]), len(ends))
        ends[row : row + 1] = [span["end"]]
        span["row"] = row
    return spans


def _failure(events: list[Event]) -> int | None:
    """The event that a red scenario's list opens at.

    It is the last expectation that was not met; else the last verb that raised, or what the plugin wrote when
    the scenario failed.
    """
    for is_it in (_unmet, _raised, _noted):
        found = [index for index, event in enumerate(events) if is_it(event)]
        if found:
            return found[-1]
    return None


def _unmet(event: Event) -> bool:
    return isinstance(event, Expected) and not event.met


def _raised(event: Event) -> bool:
    return isinstance(event, VerbRun) and event.raised


def _noted(event: Event) -> bool:
    return isinstance(event, Noted) and event.level == "error"


def _expectations(events: list[Event], packets: dict[str, Any], start: int) -> list[dict[str, Any]]:
    """``event`` is the index in the event list; ``frame``, here and of a miss, a packet's number or null."""
    shown = dict(zip(packets["number"], packets["show"], strict=True))
    return [
        {
            "at": event.at - start,
            "event": index,
            "what": visible(event.what),
            "met": event.met,
            "frame": event.frame,
            "nearest": [_miss(visible(text), shown) for text in event.nearest],
        }
        for index, event in enumerate(events)
        if isinstance(event, Expected)
    ]


def _miss(text: str, shown: dict[int, str]) -> dict[str, Any]:
    """A nearest miss, ``#11  2.2 s  up  IP …: why``, apart: its packet, its line, and why it is none."""
    match = _NUMBER.match(text)
    frame = int(match[1]) if match else None
    line, why = text, ""
    if frame in shown and shown[frame] in text:
        end = text.index(shown[frame]) + len(shown[frame])
        line, why = text[:end], text[end:].removeprefix(": ").strip()
    return {"text": line, "why": why, "frame": frame if frame in shown else None}
