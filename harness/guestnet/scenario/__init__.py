"""What the author of a scenario imports.

A scenario is a pytest test that takes the fixture ``lab`` (`Lab`): it does something in a guest, then asserts
what the guest saw and what was on the wire::

    from guestnet.core import events
    from guestnet.scenario import Lab, tcp

    def test_a_refused_connect_is_a_reset(lab: Lab) -> None:
        attempt = lab.guest.connect("shop.example", 81)

        assert attempt.refused
        lab.cable.expect(tcp.reset(to=attempt.source), within=1.0)
        lab.journal.expect(events.FlowRefused, error="ECONNREFUSED")

What lab it gets is said by `in_lab`: ``@in_lab(profile="corp-vpn-split", guests=2)``.

**Guests** (`Guest`): ``run``, ``read_file``, ``write_file``, ``host`` (testinfra); ``resolve``, ``connect``,
``fetch``, ``download``, ``upload``, ``half_close``, ``udp_echo``, ``udp_send``, ``ping``, ``ntp``,
``addresses``, ``lease``, ``autoconfiguration``, ``dhcpv6``, ``trust``;
``reset``, ``pause``, ``resume``, ``link_down``, ``link_up``, ``snapshot``, ``restore``. A verb answers with a
`Result` (of `guestnet.scenario.results`), also when the network fails: it has ``ok``, and is true when it is
ok. Hosts of the world have the same verbs: ``lab.laptop.resolve("shop.example")``, and ``dhcp("wifi")``,
which asks what is offered there.

**Links** (`Link`): ``lab.cable``, ``lab.cables["guest2"]``, ``lab.links.wifi``, each with ``expect``,
``expect_none``, ``expect_sequence``, ``saw`` and ``packets``, and with ``impair``, ``impaired``, ``clear``,
``schedule``, ``pull`` and ``plug`` (see `guestnet.scenario.links`); **the journal** (`JournalView`) has the
same verbs for events. An expectation is met as soon as what it waits for is recorded, also when that was long
ago: say ``since=`` (a step, a packet, an event, ``lab.now()``) to look only at what came later.

**Networks** (`UplinkView`): ``lab.uplinks["wifi"].down()``, ``up()``, ``renumber("192.168.1.77/24")``;
``lab.roam("lte")`` leaves all others for one, ``lab.roam(None)`` is offline. The laptop's addresses, routes
and resolver follow at once, and guests notice as programs on the laptop would.

**VPNs** (`VpnView`): ``lab.vpn.connect()``, ``disconnect``, ``drop``, ``reconnect(address=…)``,
``rekey(pause=2)``, ``set(kill_switch=True, mtu=1280)``, ``is_up``, ``state``; ``lab.vpns["corp"]`` where
there are several.

**Captive portals** (`PortalView`): ``lab.portal.login()`` as a browser does, ``expire``, ``detect`` as
systems do, ``is_open``, ``state``; ``lab.portal.set(redirect=511, tls="silence")`` gives it other ways.
``lab.ca`` is the authority that signs for all servers with TLS: ``lab.guest.trust(lab.ca)``.

**Time**: ``lab.sleep(hours=8)`` shuts the laptop's lid, ``lab.asleep(hours=8)`` while something happens;
``lab.jump("2h")`` lets hours pass for the stack and the world around it, but not for the guests;
``guest.set_clock(behind="5min")`` moves a guest's wall clock. Hours take no time.

**Matchers** are made by the functions of ``tcp``, ``udp``, ``icmp``, ``icmpv6``, ``arp``, ``ndp``, ``dhcp``,
``dhcpv6`` and ``dns``; those of protocols that both versions of IP carry fit either. Combine them with ``&``,
``|`` and ``~``, also with a plain function of a packet.

**Steps** name the parts of a scenario in the report, and limit what an expectation looks at::

    with lab.step("upload 10 MiB") as upload:
        sent = lab.guest.upload("files.example", size="10MiB")
    lab.cable.expect_none(tcp.reset(), since=upload)
"""

from guestnet.core.result import Result
from guestnet.link.settings import (
    Burst,
    Codel,
    Constant,
    Corrupt,
    Drop,
    Duplicate,
    Flap,
    GilbertElliott,
    Impairments,
    Loss,
    Mtu,
    Normal,
    Pareto,
    Recorded,
    Reorder,
    Step,
    Trace,
    Uniform,
)
from guestnet.scenario.expecting import JournalView, LinkView
from guestnet.scenario.guest import Guest
from guestnet.scenario.lab import Lab
from guestnet.scenario.links import Link, Links, at
from guestnet.scenario.machine import Host, Machine
from guestnet.scenario.marker import in_lab
from guestnet.scenario.matchers import arp, dhcp, dhcpv6, dns, icmp, icmpv6, ndp, tcp, udp
from guestnet.scenario.matchers.base import Matcher
from guestnet.scenario.matchers.endpoint import Endpoint
from guestnet.scenario.matchers.event import event
from guestnet.scenario.portal import Detection, PortalView
from guestnet.scenario.results import (
    Address,
    Answer,
    Attempt,
    Autoconfiguration,
    Dhcpv6Answer,
    Exchange,
    Lease,
    Offer,
    Page,
    Ping,
    Ran,
    Transfer,
)
from guestnet.scenario.uplinks import UplinkView
from guestnet.scenario.views import Views
from guestnet.scenario.vpn import VpnView

__all__ = [
    "Address",
    "Answer",
    "Attempt",
    "Autoconfiguration",
    "Burst",
    "Codel",
    "Constant",
    "Corrupt",
    "Detection",
    "Dhcpv6Answer",
    "Drop",
    "Duplicate",
    "Endpoint",
    "Exchange",
    "Flap",
    "GilbertElliott",
    "Guest",
    "Host",
    "Impairments",
    "JournalView",
    "Lab",
    "Lease",
    "Link",
    "LinkView",
    "Links",
    "Loss",
    "Machine",
    "Matcher",
    "Mtu",
    "Normal",
    "Offer",
    "Page",
    "Pareto",
    "Ping",
    "PortalView",
    "Ran",
    "Recorded",
    "Reorder",
    "Result",
    "Step",
    "Trace",
    "Transfer",
    "Uniform",
    "UplinkView",
    "Views",
    "VpnView",
    "arp",
    "at",
    "dhcp",
    "dhcpv6",
    "dns",
    "event",
    "icmp",
    "icmpv6",
    "in_lab",
    "ndp",
    "tcp",
    "udp",
]
