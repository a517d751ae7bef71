"""A guest, as a scenario drives it. Commands go through the agent: never over the network under test."""

import posixpath
from functools import cached_property
from typing import TYPE_CHECKING, Final

from guestnet.core.address import Mac
from guestnet.core.errors import GuestError
from guestnet.core.time import duration
from guestnet.lab.requests.protocol import (
    GuestInfo,
    PauseGuest,
    ReadFile,
    ResetGuest,
    RestoreGuest,
    ResumeGuest,
    Run,
    SetLink,
    SnapshotGuest,
    StopGuest,
    WriteFile,
)
from guestnet.lab.requests.request import Request
from guestnet.lab.requests.time import SetClock
from guestnet.scenario import reading
from guestnet.scenario.links import Link
from guestnet.scenario.machine import GRACE, Machine
from guestnet.scenario.observer import Duration, Observer, in_seconds
from guestnet.scenario.results import Autoconfiguration, Dhcpv6Answer, Lease, Ran
from guestnet.scenario.verbs import verb
from guestnet.scenario.web import BUNDLE

if TYPE_CHECKING:
    from testinfra.host import Host as TestinfraHost

LEASE: Final = "/run/lease.env"
"""Where the DHCP client of a guest keeps its lease; the file is there while the lease is held."""

_AUTOCONFIGURED: Final = """
until ip -6 route show default dev eth0 | grep -q via && ip -6 address show dev eth0 scope global -tentative |
    grep -q inet6
do sleep 0.05
done
ip -json -6 address show dev eth0
echo ===
ip -json -6 route show default dev eth0
echo ===
cat /proc/sys/net/ipv6/conf/eth0/mtu
echo ===
cat /etc/resolv.conf
"""
_SETTLED: Final = 15.0
"""Seconds that a guest has for its first lease."""
_DHCP6: Final = "/usr/lib/guestnet/dhcp6"


class Guest(Machine):
    """A running guest. ``cable`` is its link in the capture, ``mac`` its hardware address."""

    def __init__(self, info: GuestInfo, observer: Observer) -> None:
        super().__init__(info.name, observer)
        self.mac = Mac.parse(info.mac)
        self.kind = info.kind
        self.cable = Link(observer, info.link)

    def __repr__(self) -> str:
        return f"<Guest {self.name}: {self.kind}, {self.mac} on {self.cable.name}>"

    def _request(self, command: str | list[str], timeout: float, data: bytes) -> Request[Ran]:
        return Run(guest=self.name, command=command, timeout=timeout, input=data)

    def _lacks(self, tool: str) -> GuestError:
        remedy = "use an image that has it, or add it to its recipe"
        return GuestError(f"{self.name} has no {tool}", remedy=remedy)

    @cached_property
    def host(self) -> "TestinfraHost":
        """The guest for testinfra: ``guest.host.interface("eth0").addresses`` and all its other modules."""
        from guestnet.guest.testinfra_backend import host_for

        def run(command: str) -> Ran:
            return self._observer.call(Run(guest=self.name, command=command))

        return host_for(run, self.name)

    @verb
    def read_file(self, path: str) -> bytes:
        """A file's octets. Raises GuestError when it can't be read."""
        return self._observer.call(ReadFile(guest=self.name, path=path))

    @verb
    def write_file(self, path: str, content: bytes | str) -> None:
        """Make or replace a file. Raises GuestError."""
        data = content.encode() if isinstance(content, str) else content
        self._observer.call(WriteFile(guest=self.name, path=path, content=data))

    @verb
    def trust(self, pem: str) -> None:
        """Trust the certificate authorities in ``pem``, too: programs that use OpenSSL's usual bundle do."""
        script = f"mkdir -p {posixpath.dirname(BUNDLE)} && cat >>{BUNDLE}"
        self._run(script, timeout=GRACE, data=pem, check=True)

    @verb
    def lease(self, *, within: Duration = 15.0) -> Lease:
        """The guest's DHCP lease, waiting ``within`` until it has one. Raises GuestError."""
        return self._lease(in_seconds(within))

    def settle(self) -> None:
        """Wait until the guest has a lease, as a lab does before its scenario begins. Raises GuestError."""
        self._lease(_SETTLED)

    def _lease(self, patience: float) -> Lease:
        script = f"until [ -s {LEASE} ]; do sleep 0.05; done; cat {LEASE}"
        ran = self._run(["timeout", f"{patience:g}", "sh", "-c", script], timeout=patience + GRACE)
        if not ran.ok:
            raise GuestError(
                f"{self.name} has no lease after {patience:g} s",
                remedy="see the DHCP messages on its cable, and /run/guestnet/udhcpc.log in the guest",
            )
        return reading.lease(ran.stdout)

    @verb
    def autoconfiguration(self, *, within: Duration = 20.0) -> Autoconfiguration:
        """The IPv6 of the guest's interface as routers made it, waiting until it is there. Raises GuestError.

        Linux takes its time: up to a second before and one for the proof that its link-local address is its
        own, another one for the address of the advertised prefix (RFC 4862 section 5.4).
        """
        patience = in_seconds(within)
        ran = self._run(["timeout", f"{patience:g}", "bash", "-c", _AUTOCONFIGURED], timeout=patience + GRACE)
        if not ran.ok:
            raise GuestError(
                f"{self.name} has no IPv6 after {patience:g} s",
                remedy="see the router advertisements on its cable (ndp.router_advertisement)",
            )
        return reading.autoconfiguration(*ran.stdout.split("===\n"))

    @verb
    def dhcpv6(self, *, stateful: bool = False, within: Duration = 15.0) -> Dhcpv6Answer:
        """Ask by DHCPv6, as a guest does that router advertisements tell to: for DNS servers, and with
        ``stateful`` for an address too. Raises GuestError when nobody answers ``within`` that time."""
        patience = in_seconds(within)
        words = [_DHCP6, "lease" if stateful else "inform", f"{patience:g}"]
        ran = self._run(words, timeout=patience + GRACE)
        if not ran.ok:
            raise GuestError(
                f"{self.name} got no answer by DHCPv6 in {patience:g} s",
                remedy="see the DHCPv6 messages on its cable, and /run/guestnet/dhcp6c.log in the guest",
            )
        leased = ran.stdout.partition("===\n")
        return reading.dhcpv6_answer(leased[0], leased[2].split())

    @verb
    def reset(self, *, timeout: Duration = 60.0) -> None:
        """Press the reset button and wait until the agent answers again."""
        self._observer.call(ResetGuest(guest=self.name, timeout=in_seconds(timeout)))

    @verb
    def pause(self) -> None:
        """Stop the processors: for the network, the guest is silent. Its clocks stand still meanwhile."""
        self._observer.call(PauseGuest(guest=self.name))

    @verb
    def resume(self) -> None:
        """Let the processors run again."""
        self._observer.call(ResumeGuest(guest=self.name))

    @verb
    def set_clock(self, to: int | None = None, *, ahead: Duration = 0, behind: Duration = 0) -> int:
        """Set the guest's wall clock (CLOCK_REALTIME), and nothing else: forward or back, at once.

        To ``to``, in ns since 1970 as of ``lab.now()``; without it to the lab's time, ``ahead`` of that or
        ``behind`` it. So ``set_clock()`` puts it right. Its monotonic clock, and with it its timers, notices
        nothing. The answer is the time it was set to. Raises GuestError for a netns guest, whose clock is
        that of this machine.
        """
        jump = duration(ahead) - duration(behind)
        return self._observer.call(SetClock(guest=self.name, at=to, ahead=jump))

    @verb
    def link_down(self) -> None:
        """Pull the cable out: the guest sees no carrier."""
        self._observer.call(SetLink(guest=self.name, up=False))

    @verb
    def link_up(self) -> None:
        """Plug the cable in."""
        self._observer.call(SetLink(guest=self.name, up=True))

    @verb
    def snapshot(self) -> str:
        """Keep memory and devices as they are; the answer is for ``restore``."""
        return self._observer.call(SnapshotGuest(guest=self.name))

    @verb
    def restore(self, snapshot: str) -> None:
        """Bring the guest back to a snapshot of it."""
        self._observer.call(RestoreGuest(guest=self.name, snapshot=snapshot))

    @verb
    def stop(self) -> None:
        """End the guest; its name stays taken."""
        self._observer.call(StopGuest(guest=self.name))
