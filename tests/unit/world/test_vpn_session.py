"""Two ends of a tunnel in virtual time, with a network between them that the test is."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestnet.core.errors import WireError
from guestnet.core.time import SECOND
from guestnet.world.vpn import datagram as wire
from guestnet.world.vpn.session import MISSED, RETRY, SLOWEST_RETRY, STAGED, WINDOW, Peer

KEY = bytes(range(32))
KEEPALIVE, REKEY = 10 * SECOND, 120 * SECOND


class Tunnel:
    """A client, a concentrator, and what came out at either side."""

    def __init__(self, key: bytes = KEY) -> None:
        self.now = 1000 * SECOND
        self.client = Peer(KEY, Random(1), is_initiator=True, keepalive=KEEPALIVE, rekey=REKEY)
        self.concentrator = Peer(key, Random(2), is_initiator=False, keepalive=KEEPALIVE, rekey=REKEY)
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.is_dead = False
        self.refused = 0
        self.sent: list[bytes] = []

    def settle(self) -> None:
        """Carry datagrams until there are none."""
        while True:
            up, down = self.client.take_datagrams(), self.concentrator.take_datagrams()
            if not up and not down:
                return
            self.sent += up + down
            if self.is_dead:
                continue
            for datagram in up:
                self._carry(self.concentrator, datagram, self.up)
            for datagram in down:
                self._carry(self.client, datagram, self.down)

    def _carry(self, to: Peer, datagram: bytes, out: list[bytes]) -> None:
        try:
            packet = to.receive(memoryview(datagram), self.now)
        except WireError:
            self.refused += 1
            return
        if packet is not None:
            out.append(bytes(packet))

    def send(self, packet: bytes) -> None:
        """From the laptop."""
        datagram = self.client.seal(packet)
        if datagram is not None and not self.is_dead:
            self._carry(self.concentrator, datagram, self.up)
        self.settle()

    def answer(self, packet: bytes) -> None:
        """To the laptop."""
        datagram = self.concentrator.seal(packet)
        if datagram is not None and not self.is_dead:
            self._carry(self.client, datagram, self.down)
        self.settle()

    def wait(self, time: int) -> None:
        """Let ``time`` pass, doing what is due when it is."""
        until = self.now + time
        while (at := self.client.poll_at()) is not None and at <= until:
            self.now = max(self.now, at)
            self.client.poll(self.now)
            self.settle()
        self.now = until

    def connected(self) -> "Tunnel":
        self.client.connect(self.now)
        self.settle()
        assert self.client.take_news() == ["established"]
        assert self.concentrator.take_news() == ["established"]
        return self


def opened(peer: Peer, datagram: bytes | None, now: int) -> bytes:
    """The packet that came out of ``peer``."""
    assert datagram is not None
    packet = peer.receive(memoryview(datagram), now)
    return b"" if packet is None else bytes(packet)


def test_a_handshake_takes_one_round_trip_and_packets_cross_both_ways() -> None:
    tunnel = Tunnel()
    tunnel.client.connect(tunnel.now)
    (initiation,) = tunnel.client.take_datagrams()
    tunnel.concentrator.receive(memoryview(initiation), tunnel.now)
    (response,) = tunnel.concentrator.take_datagrams()
    tunnel.client.receive(memoryview(response), tunnel.now)
    assert tunnel.client.is_up
    tunnel.settle()

    tunnel.send(b"hello")
    tunnel.answer(b"hello yourself")

    assert tunnel.up == [b"hello"]
    assert tunnel.down == [b"hello yourself"]
    assert tunnel.refused == 0


def test_a_data_datagram_is_32_octets_longer_than_its_packet() -> None:
    datagram = Tunnel().connected().client.seal(b"x" * 100)
    assert datagram is not None
    assert len(datagram) == 132


def test_a_lost_initiation_is_sent_again_and_packets_wait_meanwhile() -> None:
    tunnel = Tunnel()
    tunnel.is_dead = True
    tunnel.client.connect(tunnel.now)
    tunnel.settle()
    tunnel.send(b"early")
    assert tunnel.up == []

    tunnel.is_dead = False
    tunnel.wait(RETRY)

    assert tunnel.client.take_news() == ["established"]
    assert tunnel.up == [b"early"]


def test_not_more_packets_wait_than_there_is_room_for_and_the_oldest_give_way() -> None:
    tunnel = Tunnel()
    tunnel.is_dead = True
    tunnel.client.connect(tunnel.now)
    tunnel.settle()
    for number in range(STAGED + 5):
        tunnel.send(b"%d" % number)
    tunnel.is_dead = False
    tunnel.wait(RETRY)
    assert tunnel.up == [b"%d" % number for number in range(5, STAGED + 5)]


def test_keys_change_in_time_and_no_packet_is_lost_by_that() -> None:
    tunnel = Tunnel().connected()
    for number in range(40):
        tunnel.wait(REKEY // 10)
        tunnel.send(b"up %d" % number)
        tunnel.answer(b"down %d" % number)
    assert tunnel.up == [b"up %d" % number for number in range(40)]
    assert tunnel.down == [b"down %d" % number for number in range(40)]
    assert tunnel.client.take_news() == ["rekeyed"] * 4
    assert tunnel.refused == 0


def test_what_was_under_way_when_keys_changed_still_arrives() -> None:
    tunnel = Tunnel().connected()
    late_up, late_down = tunnel.client.seal(b"late up"), tunnel.concentrator.seal(b"late down")
    tunnel.wait(REKEY)
    assert tunnel.client.take_news() == ["rekeyed"]
    assert opened(tunnel.concentrator, late_up, tunnel.now) == b"late up"
    assert opened(tunnel.client, late_down, tunnel.now) == b"late down"


def test_a_rekey_with_a_pause_stalls_the_tunnel_and_loses_nothing_of_the_laptops() -> None:
    tunnel = Tunnel().connected()
    tunnel.client.renew(tunnel.now, pause=2 * SECOND)
    tunnel.settle()
    tunnel.send(b"waits")
    tunnel.answer(b"is lost: the client has no key for it")
    tunnel.wait(2 * SECOND - 1)
    assert tunnel.up == []

    tunnel.wait(1)

    assert tunnel.up == [b"waits"]
    assert tunnel.down == []
    assert tunnel.client.take_news() == ["rekeyed"]


def test_signs_of_life_go_both_ways_while_there_is_nothing_else() -> None:
    tunnel = Tunnel().connected()
    before = len(tunnel.sent)
    tunnel.wait(6 * KEEPALIVE)
    assert len(tunnel.sent) - before == 12
    assert tunnel.client.take_news() == []


def test_a_dead_peer_is_noticed_after_three_signs_and_found_again_when_it_is_back() -> None:
    tunnel = Tunnel().connected()
    tunnel.is_dead = True
    tunnel.wait(MISSED * KEEPALIVE - 1)
    assert tunnel.client.take_news() == []
    tunnel.wait(1)
    assert tunnel.client.take_news() == ["lost"]
    assert not tunnel.client.is_up

    tunnel.wait(60 * SECOND)
    tunnel.is_dead = False
    tunnel.wait(SLOWEST_RETRY)

    assert tunnel.client.take_news() == ["established"]
    tunnel.send(b"back")
    assert tunnel.up == [b"back"]


def test_after_the_end_nothing_is_sent_and_nothing_waits() -> None:
    tunnel = Tunnel().connected()
    tunnel.client.disconnect()
    tunnel.send(b"nowhere")
    tunnel.wait(10 * REKEY)
    assert tunnel.client.poll_at() is None
    assert tunnel.up == []
    tunnel.client.connect(tunnel.now)
    tunnel.settle()
    assert tunnel.up == []
    assert tunnel.client.is_up


def test_a_replayed_datagram_is_refused_and_a_late_one_is_not() -> None:
    tunnel = Tunnel().connected()
    datagrams = [tunnel.client.seal(b"%d" % number) or b"" for number in range(WINDOW + 2)]
    end = tunnel.concentrator
    assert opened(end, datagrams[5], tunnel.now) == b"5"
    with pytest.raises(WireError, match="here before"):
        opened(end, datagrams[5], tunnel.now)
    assert opened(end, datagrams[3], tunnel.now) == b"3"
    with pytest.raises(WireError, match="here before"):
        opened(end, datagrams[3], tunnel.now)
    assert opened(end, datagrams[WINDOW + 1], tunnel.now) == b"%d" % (WINDOW + 1)
    with pytest.raises(WireError, match="too late"):
        opened(end, datagrams[1], tunnel.now)
    assert opened(end, datagrams[WINDOW], tunnel.now) == b"%d" % WINDOW


@given(st.permutations(range(60)), st.integers(0, 60))
def test_every_datagram_counts_once_in_whatever_order(order: list[int], again: int) -> None:
    tunnel = Tunnel().connected()
    datagrams = [tunnel.client.seal(b"%d" % number) or b"" for number in range(60)]
    got = []
    for number in [*order, *order[:again]]:
        try:
            got.append(opened(tunnel.concentrator, datagrams[number], tunnel.now))
        except WireError:
            continue
    assert got == [b"%d" % number for number in order]


def test_an_old_initiation_starts_nothing() -> None:
    tunnel = Tunnel()
    tunnel.client.connect(tunnel.now)
    (initiation,) = tunnel.client.take_datagrams()
    tunnel.concentrator.receive(memoryview(initiation), tunnel.now)
    with pytest.raises(WireError, match="here before"):
        tunnel.concentrator.receive(memoryview(initiation), tunnel.now)


def test_who_has_another_key_gets_no_session() -> None:
    tunnel = Tunnel(key=bytes(32))
    tunnel.client.connect(tunnel.now)
    tunnel.settle()
    assert not tunnel.client.is_up
    assert tunnel.refused == 1


@given(st.binary(max_size=200))
def test_garbage_changes_nothing(garbage: bytes) -> None:
    tunnel = Tunnel().connected()
    for peer in (tunnel.client, tunnel.concentrator):
        with pytest.raises(WireError):
            peer.receive(memoryview(garbage), tunnel.now)
    tunnel.send(b"still there")
    assert tunnel.up == [b"still there"]


@given(st.sampled_from([0, 1, 2]), st.integers(0), st.integers(0, 255))
def test_a_changed_octet_is_told_by_the_tag(which: int, place: int, value: int) -> None:
    tunnel = Tunnel().connected()
    tunnel.client.poll(tunnel.now)
    fresh = Tunnel()
    fresh.client.connect(fresh.now)
    (initiation,) = fresh.client.take_datagrams()
    datagram = [tunnel.client.seal(b"packet") or b"", tunnel.client.seal(b"") or b"", initiation][which]
    changed = bytearray(datagram)
    changed[place % len(changed)] ^= value or 1
    with pytest.raises(WireError):
        tunnel.concentrator.receive(memoryview(changed), tunnel.now)


def test_tags_are_blake2s() -> None:
    """Of RFC 7693 appendix E: keyed, 16 octets."""
    import hashlib

    tag = wire.SealingKey(KEY).tag(b"ab", b"c")
    assert tag == hashlib.blake2s(b"abc", key=KEY, digest_size=16).digest()
