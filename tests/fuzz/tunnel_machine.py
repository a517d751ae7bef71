"""Both ends of a VPN's tunnel, with a script between them that loses, repeats, delays and damages datagrams.

Whatever it does: what comes out at one end went in at the other, once at most; and when the network is well
again, so is the tunnel.
"""

from random import Random
from typing import Final

from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.world.vpn.session import RETRY, Peer
from tests.fuzz.script import Script

_START: Final = 1_000 * SECOND
_HELD: Final = 64


class _Network:
    """Carries datagrams from one end to the other, as the script wants it."""

    def __init__(self) -> None:
        self.now = _START
        key, keepalive, rekey = bytes(32), 10 * SECOND, 60 * SECOND
        self.ends = tuple(
            Peer(key, Random(seed), is_initiator=not seed, keepalive=keepalive, rekey=rekey)
            for seed in (0, 1)
        )
        self.under_way: list[tuple[int, bytes]] = []
        self.sent: tuple[set[bytes], set[bytes]] = (set(), set())
        self.count = 0

    def gather(self) -> None:
        for number, end in enumerate(self.ends):
            self.under_way += [(1 - number, datagram) for datagram in end.take_datagrams()]
            end.take_news()
        del self.under_way[:-_HELD]

    def put(self, number: int) -> None:
        """A packet into one end."""
        self.count += 1
        packet = b"%d" % self.count
        self.sent[number].add(packet)
        datagram = self.ends[number].seal(packet)
        if datagram is not None:
            self.under_way.append((1 - number, datagram))

    def carry(self, index: int, *, keep: bool = False) -> None:
        """A datagram arrives, and with ``keep`` will once more."""
        if self.under_way:
            to, datagram = self.under_way[index % len(self.under_way)]
            if not keep:
                del self.under_way[index % len(self.under_way)]
            self.deliver(to, datagram)

    def deliver(self, to: int, datagram: bytes) -> None:
        try:
            packet = self.ends[to].receive(memoryview(datagram), self.now)
        except WireError:
            return
        if packet is not None:
            self.sent[1 - to].remove(bytes(packet))

    def pass_time(self, time: int) -> None:
        self.now += time
        for end in self.ends:
            end.poll(self.now)


def tunnel(data: bytes) -> None:
    """The script's octets: what to do, and to which datagram."""
    script = Script(data)
    network = _Network()
    client, _ = network.ends
    client.connect(network.now)
    while script.goes_on:
        network.gather()
        act = script.number()
        match act & 7:
            case 0 | 1:
                network.put(act & 1)
            case 2:
                network.carry(act >> 3)
            case 3:
                network.carry(act >> 3, keep=True)
            case 4 if network.under_way:
                to, datagram = network.under_way.pop((act >> 3) % len(network.under_way))
                changed = bytearray(datagram)
                changed[script.number() % len(changed)] ^= script.number() or 1
                network.deliver(to, bytes(changed))
            case 5:
                network.pass_time(script.duration())
            case 6:
                network.deliver(act >> 3 & 1, script.block())
            case 7:
                client.renew(network.now, script.duration())
    _recovers(network)


def _recovers(network: _Network) -> None:
    client, _ = network.ends
    network.under_way.clear()
    network.gather()
    network.under_way.clear()
    client.renew(network.now)
    for _ in range(4):
        network.pass_time(RETRY)
        network.gather()
        while network.under_way:
            network.carry(0)
            network.gather()
    for number in (0, 1):
        before = set(network.sent[number])
        network.put(number)
        network.gather()
        while network.under_way:
            network.carry(0)
            network.gather()
        assert network.sent[number] <= before, "a packet did not get through a network that is well"


def scripts() -> list[bytes]:
    """Where to begin: packets both ways over a good network, with keys that change."""
    well = bytes((2, 2, 2, 0, 1, 2, 2))
    return [
        well,
        well + bytes((5, 0x7F)) + well,
        well + bytes((7, 0)) + well * 2,
        well + bytes((3, 3, 11, 2)) * 4,
    ]
