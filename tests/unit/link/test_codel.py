"""CoDel beside RFC 8289's pseudocode, written down again in floating point and with its own names."""

from collections import deque
from math import sqrt
from random import Random

from guestnet.core.time import MICROSECOND, MILLISECOND, SECOND
from guestnet.link.link import Link
from guestnet.link.settings import Codel, impairments
from tests.support.road import START, Road, number_of, numbered

TARGET, INTERVAL = 0.005, 0.1


class Pseudocode:
    """RFC 8289 section 5: codel_queue_t, packets as (number, size, tstamp)."""

    def __init__(self) -> None:
        self.packets: deque[tuple[int, int, float]] = deque()
        self.dropped: list[int] = []
        self.maxpacket = 512
        self.first_above_time = self.drop_next = 0.0
        self.count = self.lastcount = 0
        self.dropping = False

    def bytes(self) -> int:
        return sum(size for _, size, _ in self.packets)

    def dodequeue(self, now: float) -> tuple[tuple[int, int, float] | None, bool]:
        if not self.packets:
            self.first_above_time = 0.0
            return None, False
        packet = self.packets.popleft()
        self.maxpacket = max(self.maxpacket, packet[1])
        ok_to_drop = False
        if now - packet[2] < TARGET or self.bytes() <= self.maxpacket:
            self.first_above_time = 0.0
        elif self.first_above_time == 0.0:
            self.first_above_time = now + INTERVAL
        elif now >= self.first_above_time:
            ok_to_drop = True
        return packet, ok_to_drop

    def control_law(self, time: float, count: int) -> float:
        return time + INTERVAL / sqrt(count)

    def dequeue(self, now: float) -> tuple[int, int, float] | None:
        packet, ok_to_drop = self.dodequeue(now)
        if self.dropping:
            if not ok_to_drop:
                self.dropping = False
            while packet is not None and now >= self.drop_next and self.dropping:
                self.dropped.append(packet[0])
                self.count += 1
                packet, ok_to_drop = self.dodequeue(now)
                if not ok_to_drop:
                    self.dropping = False
                else:
                    self.drop_next = self.control_law(self.drop_next, self.count)
        elif ok_to_drop and packet is not None:
            self.dropped.append(packet[0])
            packet, ok_to_drop = self.dodequeue(now)
            self.dropping = True
            delta = self.count - self.lastcount
            self.count = 1
            if delta > 1 and now - self.drop_next < 16 * INTERVAL:
                self.count = delta
            self.drop_next = self.control_law(now, self.count)
            self.lastcount = self.count
        return packet


def load(seed: int) -> list[tuple[int, int]]:
    """Arrivals at a wire of 10 Mbit/s, in ns, and sizes: overload, calm and silence by turns."""
    chance = Random(seed)
    now, script = 0, []
    for _ in range(4):
        for gap, count in ((800, 700), (1500, 300), (600, 300)):
            for _ in range(count):
                now += round(chance.expovariate(1 / gap) * MICROSECOND)
                script.append((now, chance.choice((200, 1000, 1514))))
        now += chance.choice((0, SECOND, 5 * SECOND))
    return script


def as_the_rfc_says(script: list[tuple[int, int]]) -> list[int]:
    queue = Pseudocode()
    busy_until = 0

    def serve(now: int) -> None:
        nonlocal busy_until
        while queue.packets:
            start = max(busy_until, round(queue.packets[0][2] * 1e9))
            if start > now:
                return
            packet = queue.dequeue(start / 1e9)
            if packet is not None:
                busy_until = start + round(packet[1] * 800)

    for number, (at, size) in enumerate(script):
        serve(at)
        queue.packets.append((number, size, at / 1e9))
        serve(at)
    serve(1 << 62)
    return queue.dropped


def test_it_drops_what_the_pseudocode_drops() -> None:
    total = 0
    for seed in range(5):
        script = load(seed)
        link = Link("wifi")
        codel = Codel(target="5ms", interval="100ms")
        link.impair(impairments(rate="10Mbit/s", codel=codel, queue="1000000 packets"), START)
        road = Road(link)
        for number, (at, size) in enumerate(script):
            road.offer([numbered(number, size)], START + at)
        road.until(START + 3600 * SECOND)
        dropped = [number_of(frame) for frame, rule in road.captured if rule == "CoDel"]
        assert dropped == as_the_rfc_says(script)
        assert len(dropped) == len(road.captured)
        total += len(dropped)
    assert total > 50


def test_a_standing_queue_goes_down_to_about_the_target() -> None:
    """A sender that is 5 % too fast: without CoDel the queue grows to a second."""
    link = Link("wifi")
    link.impair(impairments(rate="10Mbit/s", codel=True, queue="10000 packets"), START)
    road = Road(link)
    gap = round(1514 * 800 / 1.05)
    count = 30 * SECOND // gap
    for number in range(count):
        road.offer([numbered(number, 1514)], START + number * gap)
    last = [out.held for out in road.out[-2000:]]
    assert sum(last) / len(last) < 100 * MILLISECOND
    assert len(road.captured) < count * 0.08
