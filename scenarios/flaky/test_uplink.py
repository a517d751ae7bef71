"""Wi-Fi that is not what it should be: what programs in the guest notice of it, and what they do not."""

import re

from guestnet.core import events
from guestnet.core.time import MILLISECOND, SECOND
from guestnet.scenario import Burst, Lab, Mtu, at, dns, icmp, tcp

FILES = "http://files.example"


def test_an_upload_survives_three_percent_of_loss_in_bursts(lab: Lab) -> None:
    """Wi-Fi loses in bursts; TCP makes it good, and every octet arrives."""
    lab.links.wifi.impair(delay="5ms", loss=Burst("3%", length=5))

    sent = lab.guest.upload(f"{FILES}/", size="1MiB")

    assert sent.intact
    lost = lab.links.wifi.dropped.packets(tcp.segment(to=("203.0.113.20", 80)))
    assert lost, "nothing of the upload was lost: was the link impaired?"
    assert all(packet.comment == "loss 3% in bursts of 5" for packet in lost)
    assert not lab.cable.saw(tcp.reset())


def test_a_satellite_is_far_away_but_there(lab: Lab) -> None:
    """250 ms each way: everything works, a round trip takes more than 500 ms, nothing is sent twice."""
    lab.links.wifi.impair(delay="250ms")

    ping = lab.guest.ping("203.0.113.10", count=2, interval=0.2)
    assert ping.received == 2
    assert min(ping.rtts) >= 0.5
    attempt = lab.guest.connect("203.0.113.10", 80)
    assert attempt.connected
    assert attempt.seconds >= 0.5
    assert len(lab.links.wifi.packets(tcp.syn(to=("203.0.113.10", 80)))) == 1


def test_a_full_queue_is_felt_by_all_and_codel_mends_it(lab: Lab) -> None:
    """An upload fills the queue of a slow link, and a ping waits behind it; CoDel keeps the queue short."""
    # CUBIC in the laptop's kernel notices growing delays (HyStart), Reno fills the queue until it is full.
    lab.laptop.run("sysctl -q -w net.ipv4.tcp_congestion_control=reno", check=True)
    lab.links.wifi.impair("up", rate="3Mbit/s", queue="192KiB")

    def typical_ping_under_load() -> float:
        upload = f"head -c 1000000 /dev/zero | curl -s -m 20 -T - -H Expect: {FILES}/ >/dev/null"
        ran = lab.guest.run(f"{upload} & sleep 0.8; ping -n -c 6 -i 0.3 -W 5 203.0.113.10; wait", timeout=40)
        times = [float(each) for each in re.findall(r"time=([\d.]+) ms", ran.stdout)]
        assert times, ran.stdout
        return sorted(times)[len(times) // 2]

    with lab.step("a deep queue that drops at its tail"):
        bloated = typical_ping_under_load()
    with lab.step("CoDel"):
        lab.links.wifi.impair("up", codel=True)
        mended = typical_ping_under_load()

    assert bloated > 100
    assert mended < bloated * 0.8


def test_a_link_that_hears_but_is_not_heard(lab: Lab) -> None:
    """A one-way fault: the laptop's SYNs leave, no answer comes; afterwards all is well again."""
    assert lab.guest.ping("203.0.113.10", count=1).received == 1, "now the neighbours know each other"
    with lab.links.wifi.impaired("down", down=True):
        attempt = lab.guest.connect("203.0.113.10", 80, timeout=1.5)
        assert not attempt.connected
        lab.links.wifi.expect(tcp.syn(to=("203.0.113.10", 80)))
        dropped = lab.links.wifi.dropped.expect(tcp.syn_ack(source=("203.0.113.10", 80)))
        assert dropped.comment == "down"

    assert lab.guest.connect("203.0.113.10", 80).connected


def test_a_smaller_mtu_on_the_way_is_found_out(lab: Lab) -> None:
    """A link in the middle that takes 1,400 octets says so, and an upload goes on with smaller segments."""
    lab.links.wifi.impair("up", mtu=1400)

    sent = lab.guest.upload(f"{FILES}/", size="256KiB")

    assert sent.intact
    lab.links.wifi.expect(icmp.unreachable(code=4))
    went = [packet for packet in lab.links.wifi.packets(tcp.segment()) if packet.direction == "up"]
    assert max(packet.wire_length for packet in went) <= 1414


def test_without_that_word_an_upload_hangs(lab: Lab) -> None:
    """The control: the same link in silence is a black hole. Small requests pass, an upload never ends."""
    lab.links.wifi.impair("up", mtu=Mtu(1400, black_hole=True))

    assert lab.guest.download(f"{FILES}/size/1000").intact
    ran = lab.guest.run(f"head -c 200000 /dev/zero | curl -s -m 2 -T - -H Expect: {FILES}/; echo $?")
    assert ran.stdout.split()[-1] == "28", "curl's words for a timeout"
    assert lab.links.wifi.dropped.saw(tcp.segment(to=("203.0.113.20", 80)))


def test_a_lost_query_is_asked_again(lab: Lab) -> None:
    """The first query to the laptop's resolver is lost: the name is resolved all the same."""
    lab.links.wifi.impair("up", drop="1st udp to :53")

    answer = lab.guest.resolve("shop.example")

    assert answer.addresses == ["203.0.113.10"]
    lost = lab.links.wifi.dropped.expect(dns.query("shop.example"))
    lab.links.wifi.expect(dns.query("shop.example"), since=lost)


def test_a_rate_holds(lab: Lab) -> None:
    """A link of 8 Mbit/s lets no more through than that, in any half second of a download."""
    lab.links.wifi.impair("down", rate="8Mbit/s", queue="64KiB")

    assert lab.guest.download(f"{FILES}/size/1000000").intact

    came = [packet for packet in lab.links.wifi.packets() if packet.direction == "down"]
    for index, first in enumerate(came):
        window = [each for each in came[index:] if each.at - first.at <= SECOND // 2]
        if window[-1].at - first.at > 400 * MILLISECOND:
            bits = sum(each.wire_length for each in window[1:]) * 8
            assert bits / ((window[-1].at - first.at) / SECOND) < 8_000_000 * 1.5
    data = [packet for packet in came if packet.wire_length > 1000]
    assert data[-1].at - data[0].at > 800 * MILLISECOND


def test_a_download_outlives_an_uplink_that_comes_and_goes(lab: Lab) -> None:
    """Every 600 ms the radio is gone for 150 ms: a download takes longer, and is right."""
    lab.links.wifi.impair("down", rate="8Mbit/s")
    lab.links.wifi.schedule([at("300ms", down=True), at("450ms", clear="down")], repeat="600ms")

    assert lab.guest.download(f"{FILES}/size/1000000").intact

    changes = [event.change for event in lab.journal.events(events.LinkChanged, link="wifi")]
    assert any("down" in change for change in changes)
    assert not lab.cable.saw(tcp.reset())


def test_an_uplink_without_a_carrier_comes_back(lab: Lab) -> None:
    """The plug is pulled: nothing goes. It is plugged in again: new connections work, the old one too."""
    lab.links.wifi.pull()
    assert "NO-CARRIER" in lab.laptop.run("ip link show dev wifi").stdout
    assert lab.guest.ping("203.0.113.10", count=1, timeout=0.5).received == 0

    lab.links.wifi.plug()
    assert lab.guest.connect("203.0.113.10", 80).connected
    lab.journal.expect(events.LinkChanged, link="wifi", change="unplugged")
