"""Links and their filters: any text is a filter or a DescriptionError; no frame is lost without a word."""

from typing import Final

from guestnet.core.errors import DescriptionError
from guestnet.core.events import VERDICTS, FrameDropped, FrameImpaired, FramesDropped, FramesImpaired
from guestnet.core.time import HOUR, SECOND
from guestnet.link.filter.language import parse
from guestnet.link.link import Link
from guestnet.link.passed import Passed
from guestnet.link.settings import (
    Burst,
    Corrupt,
    Impairments,
    Mtu,
    Normal,
    Pareto,
    Recorded,
    Reorder,
    Uniform,
    impairments,
)
from tests.fuzz import corpus
from tests.fuzz.script import Script, blocks

_START: Final = 1_700_000_000 * SECOND
_SEEN: Final = corpus.frames()[:20]
_FILTERS: Final = (
    "first 2 tcp syn-ack to :443", "udp port 53 and not name shop.example", "dhcp-discover or too-big",
    "from 203.0.113.0/24 size > 1400", "to [2001:db8::1]:80", "window >= 5 data", "(arp or icmp) fragment",
)  # fmt: skip
_SETTINGS: Final = (
    impairments(loss=Burst(0.3, 2)),
    impairments(loss=0.5, only="tcp or udp"),
    impairments(drop=("every 3rd udp", "first 2 tcp data", "dns")),
    impairments(duplicate=0.5),
    impairments(corrupt=Corrupt(0.5, bits=2, repair=True)),
    impairments(corrupt=0.5),
    impairments(reorder=Reorder(0.5, distance=2, within="20ms")),
    impairments(delay=Uniform("0s", "1s"), keep_order=False),
    impairments(delay=Normal("1s", "1s"), jitter="10ms", keep_order=True),
    impairments(delay=Recorded(("1s", "0s"), every="30ms")),
    impairments(delay=Pareto("1ms", shape=0.5), only="not size > 100"),
    impairments(rate="64kbit/s", queue="2KiB", codel=True),
    impairments(rate="1Mbit/s", burst="1KiB"),
    impairments(trace=(0, 5, 5, 70)),
    impairments(mtu=Mtu(1280)),
    impairments(mtu=Mtu(100, black_hole=True, only="ipv4")),
    impairments(down=True),
    impairments(down=False),
)


def filters() -> list[bytes]:
    """Where to begin."""
    return [text.removeprefix("first 2 ").encode() for text in _FILTERS]


def filter_text(data: bytes) -> None:
    """A filter finds a frame or does not."""
    try:
        wanted = parse(data.decode(errors="replace"))
    except DescriptionError as error:
        if "column" not in error.message:
            raise
        return
    assert all(wanted.matches(frame) in (True, False) for frame in _SEEN)


def scripts() -> list[bytes]:
    """Where to begin."""
    frames = blocks(65, [bytes(frame) for frame in _SEEN])
    return [bytes((seed, one, other)) + frames for seed, one in enumerate(range(18)) for other in (0, 7, 11)]


def link(data: bytes) -> None:
    """Frames, pauses and changes of settings: at the end each frame has left, or was told to be lost."""
    script, now, offered = Script(data), _START, 0
    one = Link("fuzzed", seed=script.number())
    told = _Told()
    while script.goes_on:
        action = script.number()
        if action < len(_SETTINGS):
            _change(one, _SETTINGS[action], now)
        elif action == 30:
            one.clear(now, direction="up")
        elif action == 31:
            one.set_plugged(script.number() % 2 == 0, now)
        elif action < 64:
            now += script.duration()
            told.hear(one.due("up", now))
        else:
            frames = [script.block() for _ in range(action % 4)]
            offered += len(frames)
            told.hear(one.offer("up", frames, now))
        at = one.poll_at()
        assert at is None or at >= now
    one.clear(now)
    for _ in range(3):
        now += 24 * HOUR
        told.hear(one.due("up", now))
    assert one.poll_at() is None
    assert told.passed + told.dropped == offered + told.added
    assert told.dropped == told.in_journal


def _change(one: Link, settings: Impairments, now: int) -> None:
    one.impair(settings, now, "up")


class _Told:
    """What a link said about its frames, counted."""

    def __init__(self) -> None:
        self.passed = self.dropped = self.in_journal = self.added = 0

    def hear(self, passed: Passed) -> None:
        assert len(passed.marks()) in (0, len(passed.frames))
        self.passed += len(passed.frames)
        self.dropped += len(passed.lost()[0])
        for event in passed.events:
            if not isinstance(event, VERDICTS):
                continue
            count = len(list(event.verdicts()))
            if isinstance(event, FrameDropped | FramesDropped):
                self.in_journal += count
            elif isinstance(event, FrameImpaired | FramesImpaired) and event.rule.startswith("duplicate"):
                self.added += count
            elif isinstance(event, FrameImpaired | FramesImpaired) and event.rule.endswith("fragments"):
                self.added += (int(event.rule.split()[-2]) - 1) * count
