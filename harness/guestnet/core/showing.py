"""Events of the journal as one line each, and how bad each is: the same in the report, in ``guestnet events``
and in what a failed expectation says."""

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from guestnet.core import events
from guestnet.core.events import Event

UNSHOWN: Final = events.COLUMNS | {"at", "first_at"}
"""Fields that mean nothing to people as they are."""

Tone = Literal["", "good", "warning", "bad"]


class Line(msgspec.Struct, frozen=True):
    """``group`` is what kind of thing it is about, for colours and filters."""

    group: str
    text: str
    tone: Tone = ""

    @property
    def is_trouble(self) -> bool:
        """Whether it may explain why something else did not happen."""
        return self.tone in ("warning", "bad")


def describe(event: Event) -> Line:
    """One line for ``event``; an event without a phrase of its own shows its fields."""
    phrase = _PHRASES.get(type(event))
    return phrase(event) if phrase is not None else Line("other", _fields(event))


def _fields(event: Event) -> str:
    values = msgspec.structs.asdict(event)
    shown = [f"{name}={value}" for name, value in values.items() if name not in UNSHOWN]
    return " ".join([type(event).__name__, *shown])


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
    is_red = event.outcome in {"failed", "error"}
    return Line("step", f"step {event.step} {event.outcome}: {event.name}", "bad" if is_red else "")


def _expected(event: events.Expected) -> Line:
    return Line(
        "expectation", f"{'met' if event.met else 'not met'}: {event.what}", "good" if event.met else "bad"
    )


def _verb_run(event: events.VerbRun) -> Line:
    came = f": {event.result}" if event.result not in ("", "None") else ""
    where = f" ({event.where})" if event.where else ""
    text = f"{event.verb}({event.arguments}){came}, in {event.seconds:.3f} s{where}"
    return Line("verb", text, "warning" if event.raised else "")


_OF_LEVELS: Final[dict[str, Tone]] = {"info": "", "warning": "warning", "error": "bad"}


def _noted(event: events.Noted) -> Line:
    return Line("note", event.text, _OF_LEVELS[event.level])


def _capture_ended(event: events.CaptureEnded) -> Line:
    return Line("note", f"the capture ends here: {event.reason}", "bad")


def _clock_jumped(event: events.ClockJumped) -> Line:
    if event.clock == "lab":
        return Line("time", f"the lab clock jumped {event.seconds:g} s forward", "warning")
    way = "ahead of" if event.seconds >= 0 else "behind"
    text = f"{event.clock}'s wall clock was set to {abs(event.seconds):g} s {way} the lab's"
    return Line("time", text, "warning")


def _uplink_changed(event: events.UplinkChanged) -> Line:
    has = f": {', '.join(event.addresses)}" if event.addresses else ""
    resolvers = f"; resolver {', '.join(event.resolvers)}" if event.resolvers else "; no resolver"
    text = f"uplink {event.uplink} {event.change}{has}{resolvers}"
    return Line("link", text, "warning" if event.change == "down" else "")


def _portal_changed(event: events.PortalChanged) -> Line:
    what = f": {event.what}" if event.what else ""
    return Line(
        "link", f"portal {event.portal} {event.change}{what}", "warning" if event.change == "closed" else ""
    )


def _vpn_changed(event: events.VpnChanged) -> Line:
    has = f": {', '.join(event.addresses)}" if event.change == "up" else ""
    is_gone = event.change in ("down", "lost", "dropped")
    return Line("link", f"VPN {event.vpn} {event.change}{has}", "warning" if is_gone else "")


def _subnet_overlap(event: events.SubnetOverlap) -> Line:
    what = f"{event.network} of {event.of} overlaps the guests' {event.subnet}"
    if event.renumbered:
        return Line("link", f"{what}: they have {event.renumbered}", "warning")
    return Line("link", f"{what}: they can't reach it", "bad")


def _fell_asleep(event: events.FellAsleep) -> Line:
    still = ", ".join([*event.guests, *event.uplinks]) or "nothing stopped"
    return Line("time", f"the laptop fell asleep: {still}", "warning")


def _woke_up(event: events.WokeUp) -> Line:
    again = ", ".join([*event.guests, *event.uplinks]) or "nothing started"
    return Line("time", f"the laptop woke up after {event.seconds:.0f} s: {again}", "warning")


def _guest_started(event: events.GuestStarted) -> Line:
    on = f" on {event.accelerator}" if event.accelerator else ""
    of = f" of {event.image}" if event.image else ""
    return Line("guest", f"{event.guest}{of} up by {event.how} in {event.seconds:.3f} s{on}, MAC {event.mac}")


def _guest_ended(event: events.GuestEnded) -> Line:
    return Line("guest", f"{event.guest} ended: {event.reason}", "" if event.reason == "stopped" else "bad")


def _command_run(event: events.CommandRun) -> Line:
    text = f"{event.guest} $ {event.command} → {event.status} in {event.seconds:.3f} s"
    return Line("command", text, "" if event.status == 0 else "warning")


def _link_changed(event: events.LinkChanged) -> Line:
    seed = f" (seed {event.seed})" if event.seed is not None else ""
    return Line("link", f"{_way(event.link, event.direction)}: {event.change}{seed}", "warning")


def _frame_dropped(event: events.FrameDropped) -> Line:
    where = _way(event.link, event.direction)
    return Line("drop", f"{where} dropped by {event.rule}: {event.frame}", "bad")


def _frame_impaired(event: events.FrameImpaired) -> Line:
    return Line("drop", f"{_way(event.link, event.direction)}: {event.rule}: {event.frame}", "warning")


def _frames_dropped(event: events.FramesDropped) -> Line:
    where = _way(event.link, event.direction)
    return Line("drop", f"{where} dropped {event.count} more by {event.rule}: {event.octets} B", "bad")


def _frames_impaired(event: events.FramesImpaired) -> Line:
    where = _way(event.link, event.direction)
    return Line("drop", f"{where}: {event.rule}: {event.count} more frames, {event.octets} B", "warning")


def _frames_delayed(event: events.FramesDelayed) -> Line:
    least, mean, most = (f"{time / 1e6:.4g}" for time in (event.least, event.mean, event.most))
    how = f"{least} to {most} ms, {mean} ms in the mean"
    if least == most:
        how = f"{most} ms" if event.count == 1 else f"{most} ms each"
    frames = "1 frame" if event.count == 1 else f"{event.count} frames"
    where = _way(event.link, event.direction)
    return Line("delay", f"{where} held {frames} by {event.rule}: {how}")


def _way(link: str, direction: str) -> str:
    return f"{link} {direction}".rstrip()


def _dhcp_served(event: events.DhcpServed) -> Line:
    reason = f" ({event.reason})" if event.reason else ""
    # In DHCPv6 a refusal is a REPLY, too: with a status and its message (RFC 8415 section 21.13).
    is_given = event.kind in {"OFFER", "ACK", "ADVERTISE", "REPLY"} and ": " not in event.reason
    text = f"DHCP {event.kind} {event.address} to {event.mac}{reason}"
    return Line("dhcp", text, "" if is_given else "warning")


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
    events.VerbRun: _verb_run,
    events.Noted: _noted,
    events.CaptureEnded: _capture_ended,
    events.ClockJumped: _clock_jumped,
    events.FellAsleep: _fell_asleep,
    events.WokeUp: _woke_up,
    events.GuestStarted: _guest_started,
    events.GuestEnded: _guest_ended,
    events.CommandRun: _command_run,
    events.UplinkChanged: _uplink_changed,
    events.VpnChanged: _vpn_changed,
    events.PortalChanged: _portal_changed,
    events.SubnetOverlap: _subnet_overlap,
    events.LinkChanged: _link_changed,
    events.FrameDropped: _frame_dropped,
    events.FrameImpaired: _frame_impaired,
    events.FramesDropped: _frames_dropped,
    events.FramesImpaired: _frames_impaired,
    events.FramesDelayed: _frames_delayed,
    events.DhcpServed: _dhcp_served,
    events.DnsAnswered: _dns_answered,
    events.FlowOpened: _flow_opened,
    events.FlowRefused: _flow_refused,
    events.FlowClosed: _flow_closed,
    events.LimitReached: _limit_reached,
    events.AddressConflict: _address_conflict,
    events.Served: _served,
}
