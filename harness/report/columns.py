"""One scenario's evidence as the JSON that the page's scripts read.

Times are nanoseconds since the scenario's start, packets are columns (one list a property), because
10,000 small objects cost a browser more than ten lists. The layers of a packet are not here: the page
dissects the embedded octets when a packet is looked at.
"""

from typing import Any

import msgspec

from harness.core.events import Event, Expected, GuestStarted, LabStarted, StepBegan, StepEnded
from harness.journal.capture import Record
from harness.report.describe import describe
from harness.report.evidence import Evidence
from harness.report.model import ScenarioResult
from harness.report.text import visible
from harness.wire import frame


def columns(result: ScenarioResult, evidence: Evidence) -> dict[str, Any]:
    """Steps, events, expectations, packets, links and logs, with all text made visible."""
    start = _start(result, evidence)
    packets = _packets(evidence.records, evidence.links, start)
    return {
        "end": _end(result, evidence, start),
        "steps": _steps(evidence.events, start),
        "events": [_event(event, start) for event in evidence.events],
        "expectations": _expectations(evidence.events, packets, start),
        "links": [visible(link) for link in evidence.links],
        "packets": packets,
        "logs": [{"name": log.name, "text": log.text, "leftOut": log.left_out} for log in evidence.logs],
    }


def accelerators(evidence: Evidence) -> list[str]:
    """What the guests ran on, in the order in which they started."""
    found = [event.accelerator for event in evidence.events if isinstance(event, GuestStarted)]
    return list(dict.fromkeys(name for name in found if name))


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


def _packets(records: list[Record], links: list[str], start: int) -> dict[str, Any]:
    numbers = {link: index for index, link in enumerate(links)}
    shown: list[str] = []
    for record in records:
        shown.append(visible(frame.show(frame.decode(record.data, record.wire_length))))
    return {
        "number": [record.number for record in records],
        "at": [record.at - start for record in records],
        "link": [numbers[record.link] for record in records],
        "direction": "".join({"up": "u", "down": "d", None: "-"}[record.direction] for record in records),
        "length": [record.wire_length for record in records],
        "show": shown,
        "comment": {str(row): visible(record.comment) for row, record in enumerate(records) if record.comment},
    }


def _event(event: Event, start: int) -> dict[str, Any]:
    line = describe(event)
    return {
        "at": event.at - start,
        "type": type(event).__name__,
        "group": line.group,
        "text": visible(line.text).replace("\n", " ⏎ "),
        "tone": line.tone,
        "fields": {name: _value(value) for name, value in msgspec.structs.asdict(event).items() if name != "at"},
    }


def _value(value: Any) -> str:
    return visible(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _steps(events: list[Event], start: int) -> list[dict[str, Any]]:
    """In the order in which they began; ``depth`` counts the steps around; a step without an end has ``end`` null."""
    steps: list[dict[str, Any]] = []
    running: dict[int, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, StepBegan):
            running[event.step] = {
                "name": visible(event.name), "at": event.at - start, "end": None, "outcome": "", "depth": len(running),
            }  # fmt: skip
            steps.append(running[event.step])
        elif isinstance(event, StepEnded) and event.step in running:
            running.pop(event.step).update(end=event.at - start, outcome=event.outcome)
    return steps


def _expectations(events: list[Event], packets: dict[str, Any], start: int) -> list[dict[str, Any]]:
    """``frame`` and each nearest miss name a packet by its number where there is one."""
    shown: dict[str, int] = {}
    for number, show in zip(packets["number"], packets["show"], strict=True):
        shown.setdefault(show, number)
    return [
        {
            "at": event.at - start,
            "event": index,
            "what": visible(event.what),
            "met": event.met,
            "frame": event.frame,
            "nearest": [{"text": visible(text), "frame": _named(visible(text), shown)} for text in event.nearest],
        }
        for index, event in enumerate(events)
        if isinstance(event, Expected)
    ]


def _named(text: str, shown: dict[str, int]) -> int | None:
    """The number of the packet whose one-line show ``text`` is, or ends with."""
    if text in shown:
        return shown[text]
    return next((number for show, number in shown.items() if len(show) > 16 and text.endswith(show)), None)
