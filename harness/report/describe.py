"""Events of the journal as one line each, for the event list and the timeline."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from harness.core import events
from harness.core.events import Event


class Line(msgspec.Struct, frozen=True):
    """``group`` picks the colour and answers the filter; ``tone`` is "", "good", "warning" or "bad"."""

    group: str
    text: str
    tone: str = ""


def describe(event: Event) -> Line:
    """One line for ``event``; an event without a phrase of its own shows its fields."""
    phrase = _PHRASES.get(type(event))
    return phrase(event) if phrase is not None else Line("other", _fields(event))


def _fields(event: Event) -> str:
    values = msgspec.structs.asdict(event)
    return type(event).__name__ + "".join(
        f" {name}={value}" for name, value in values.items() if name != "at"
    )


def _lab_started(event: events.LabStarted) -> Line:
    return Line(
        "lab",
        f"lab started: {event.stack} stack, {event.guest} guest, profile {event.profile}, seed {event.seed}",
    )


def _lab_stopped(event: events.LabStopped) -> Line:
    return Line("lab", f"lab stopped: {event.reason}")


def _step_began(event: events.StepBegan) -> Line:
    return Line("step", f"step {event.step}: {event.name}")


def _step_ended(event: events.StepEnded) -> Line:
    tone = "bad" if event.outcome in {"failed", "error"} else ""
    return Line("step", f"step {event.step} {event.outcome}: {event.name}", tone)


def _expected(event: events.Expected) -> Line:
    return Line(
        "expectation", f"{'met' if event.met else 'not met'}: {event.what}", "good" if event.met else "bad"
    )


def _noted(event: events.Noted) -> Line:
    return Line("note", event.text, {"info": "", "warning": "warning", "error": "bad"}[event.level])


def _clock_jumped(event: events.ClockJumped) -> Line:
    if event.clock == "lab":
        return Line("time", f"the lab clock jumped {event.seconds:g} s forward", "warning")
    way = "ahead of" if event.seconds >= 0 else "behind"
    text = f"{event.clock}'s wall clock was set to {abs(event.seconds):g} s {way} the lab's"
    return Line("time", text, "warning")


def _fell_asleep(event: events.FellAsleep) -> Line:
    still = ", ".join([*event.guests, *event.uplinks]) or "nothing stopped"
    return Line("time", f"the laptop fell asleep: {still}", "warning")


def _woke_up(event: events.WokeUp) -> Line:
    again = ", ".join([*event.guests, *event.uplinks]) or "nothing started"
    return Line("time", f"the laptop woke up after {event.seconds:.0f} s: {again}", "warning")


def _guest_started(event: events.GuestStarted) -> Line:
    on = f" on {event.accelerator}" if event.accelerator else ""
    return Line("guest", f"{event.guest} up by {event.how} in {event.seconds:.3f} s{on}, MAC {event.mac}")


def _guest_ended(event: events.GuestEnded) -> Line:
    return Line("guest", f"{event.guest} ended: {event.reason}", "" if event.reason == "stopped" else "bad")


def _command_run(event: events.CommandRun) -> Line:
    text = f"{event.guest} $ {event.command} → {event.status} in {event.seconds:.3f} s"
    return Line("command", text, "" if event.status == 0 else "warning")


def _link_changed(event: events.LinkChanged) -> Line:
    return Line("link", f"{event.link}: {event.change}", "warning")


def _frame_dropped(event: events.FrameDropped) -> Line:
    return Line("drop", f"{event.link} dropped by {event.rule}: {event.frame}", "bad")


def _dhcp_served(event: events.DhcpServed) -> Line:
    reason = f" ({event.reason})" if event.reason else ""
    tone = "" if event.kind in {"OFFER", "ACK"} else "warning"
    return Line("dhcp", f"DHCP {event.kind} {event.address} to {event.mac}{reason}", tone)


def _dns_answered(event: events.DnsAnswered) -> Line:
    answers = ", ".join(event.answers) or "no answer"
    source = f" from {event.source}" if event.source else ""
    return Line("dns", f"DNS {event.rdtype} {event.name}: {event.rcode}, {answers}{source}")


def _flow_opened(event: events.FlowOpened) -> Line:
    host = f" (host side {event.host})" if event.host else ""
    return Line("flow", f"flow {event.flow} open: {event.transport} {event.guest} → {event.remote}{host}")


def _flow_refused(event: events.FlowRefused) -> Line:
    what = f"{event.transport} {event.guest} → {event.remote}"
    return Line(
        "flow", f"flow {event.flow} refused: {what}: {event.error}, answered with {event.answer}", "warning"
    )


def _flow_closed(event: events.FlowClosed) -> Line:
    what = f"{event.transport} {event.guest} → {event.remote}"
    return Line(
        "flow", f"flow {event.flow} closed: {what}: {event.reason}, {event.up} B up, {event.down} B down"
    )


def _limit_reached(event: events.LimitReached) -> Line:
    bound = f" of {event.bound}" if event.bound else ""
    return Line("drop", f"the limit {event.limit}{bound} turned away {event.count} more", "bad")


def _address_conflict(event: events.AddressConflict) -> Line:
    return Line("link", f"{event.claimant} uses {event.address}, which is of {event.holder}", "warning")


def _served(event: events.Served) -> Line:
    status = f" → {event.status}" if event.status else ""
    return Line("server", f"{event.server} served {event.client}: {event.request}{status}")


_PHRASES: Final[dict[type[Event], Callable[[Any], Line]]] = {
    events.LabStarted: _lab_started,
    events.LabStopped: _lab_stopped,
    events.StepBegan: _step_began,
    events.StepEnded: _step_ended,
    events.Expected: _expected,
    events.Noted: _noted,
    events.ClockJumped: _clock_jumped,
    events.FellAsleep: _fell_asleep,
    events.WokeUp: _woke_up,
    events.GuestStarted: _guest_started,
    events.GuestEnded: _guest_ended,
    events.CommandRun: _command_run,
    events.LinkChanged: _link_changed,
    events.FrameDropped: _frame_dropped,
    events.DhcpServed: _dhcp_served,
    events.DnsAnswered: _dns_answered,
    events.FlowOpened: _flow_opened,
    events.FlowRefused: _flow_refused,
    events.FlowClosed: _flow_closed,
    events.LimitReached: _limit_reached,
    events.AddressConflict: _address_conflict,
    events.Served: _served,
}
