"""nmap's connect scan from the network of a namespace guest, through the builtin stack."""

from xml.etree import ElementTree

import pytest

from guestnet.core import events
from guestnet.scenario import Lab
from guestnet.system.programs import require
from tests.netns.tcp.tools import in_network_of

pytestmark = [pytest.mark.netns, pytest.mark.lab(guest="netns", capture="headers")]

OPEN, UNREACHABLE, SILENT = "203.0.113.10", "203.0.113.99", "203.0.113.98"


def scan(lab: Lab, words: str) -> dict[tuple[str, str], str]:
    """nmap's verdict on each port that it shows, and the count of others of one kind as port "more"."""
    nmap = f"{in_network_of(lab.status().pids['guest1'])} nmap -sT -Pn -n -oX - --host-timeout 60s {words}"
    told = ElementTree.fromstring(lab.laptop.run(nmap, timeout=200, check=True).stdout)
    verdicts = {}
    for host in told.iter("host"):
        address = next(host.iter("address")).attrib["addr"]
        for port in host.iter("port"):
            verdicts[address, port.attrib["portid"]] = next(port.iter("state")).attrib["state"]
        for others in host.iter("extraports"):
            verdicts[address, f"{others.attrib['count']} more"] = others.attrib["state"]
    return verdicts


def test_a_scan_tells_open_closed_and_silent_ports_apart_and_leaves_nothing(lab: Lab) -> None:
    require("nmap")
    # So that the laptop gives up a silent host within seconds, instead of minutes.
    lab.laptop.run("echo 1 >/proc/sys/net/ipv4/tcp_syn_retries", check=True)

    with lab.step("single ports of an open, an unreachable and a silent host"):
        hosts = f"{OPEN} {UNREACHABLE} {SILENT}"
        assert scan(lab, f"-p 80,81 {hosts}") == {
            (OPEN, "80"): "open",
            (OPEN, "81"): "closed",
            (UNREACHABLE, "80"): "filtered",
            (UNREACHABLE, "81"): "filtered",
            (SILENT, "80"): "filtered",
            (SILENT, "81"): "filtered",
        }
    with lab.step("a thousand ports"):
        assert scan(lab, f"-p 1-1000 {OPEN}") == {(OPEN, "80"): "open", (OPEN, "999 more"): "closed"}
    with lab.step("nothing is left of it"):
        left = "ss --no-header --tcp --all --numeric state connected exclude time-wait"
        lab.laptop.run(f'until [ -z "$({left})" ]; do sleep 0.1; done', timeout=60, check=True)
    opened = lab.journal.events(events.FlowOpened, transport="tcp")
    closed = lab.journal.events(events.FlowClosed, transport="tcp")
    assert {flow.flow for flow in opened} == {flow.flow for flow in closed}
    assert {flow.remote for flow in opened} == {f"{OPEN}:80"}
