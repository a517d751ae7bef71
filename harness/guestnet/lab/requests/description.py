"""What a lab is made of."""

from typing import Literal, get_args

import msgspec

from guestnet.core.address import Ipv6Mode as Ipv6Mode
from guestnet.core.errors import DescriptionError
from guestnet.world.described.world import Families as Families
from guestnet.world.described.world import World as World

GuestKind = Literal["qemu", "netns"]


class LabDescription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a lab needs to start; a run of the same description with the same seed is the same lab.

    Raises DescriptionError when a value can't be.
    """

    scenario: str
    """The name of the scenario, as the journal and the report show it."""
    seed: int
    """Of every random stream (core.rng), 0 up to 2**63 - 1."""
    stack: str = "builtin"
    guest: GuestKind = "qemu"
    profile: str | World = "plain"
    """A ready profile's name, the path of a TOML file, or the world itself."""
    laptop: Families = "both"
    """The IP versions of the laptop's network: "ipv4" or "ipv6" for one of both kinds alone."""
    subnet: str = "auto"
    """Of the guests: "auto" takes 192.168.65.0/24 and its IPv6 prefix unless a network of the laptop overlaps
    them, and others then. A prefix is that or, where it overlaps from the start, an error."""
    guests: int = 1
    """How many guests are there when the lab has started; more can be added."""
    image: str = "tiny"
    memory: int = 256
    """Of one guest, in MiB."""
    mtu: int = 1500
    """Of the cable, in bytes."""
    ipv6: Ipv6Mode = "slaac"
    """How guests come by IPv6: "slaac" by router advertisements, "managed" by DHCPv6 alone, "no-router" with
    addresses but no way out, "off" not at all. For stacks that have it, over an MTU of 1280 or more.
    """
    keepalive: int = 0
    """Seconds for which a TCP connection may be silent before the stack asks both ends whether they are
    there; an end that is gone is then a reset for the other. 0: it never asks. For stacks with that
    capability.
    """
    offloads: bool = True
    """Whether the network card of a netns guest leaves checksums and the cutting of segments to the stack."""
    boot: Literal["restore", "cold"] = "restore"
    """Whether a guest comes from a memory snapshot (made first when there is none) or is booted."""
    lease: bool = True
    """Whether a scenario begins only once its guests have their DHCP leases."""
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    """QEMU's: "auto" takes the best that has been proved to work."""
    capture: Literal["whole", "headers", "none"] = "whole"
    """What the capture keeps of a frame, as long as it is not large: all, or what benchmarks can afford."""

    def __post_init__(self) -> None:
        for field, value, low, high, unit in (
            ("seed", self.seed, 0, 2**63 - 1, ""),
            ("guests", self.guests, 0, 32, ""),
            ("memory", self.memory, 64, 65536, " MiB"),
            ("mtu", self.mtu, 576, 65535, " bytes"),
            ("keepalive", self.keepalive, 0, 32767, " s"),
        ):
            if not low <= value <= high:
                raise DescriptionError(
                    f"{field}: {value}{unit} can't be", remedy=f"give {low} to {high}{unit}"
                )
        if self.guest not in ("qemu", "netns"):
            raise DescriptionError(f"guest: there is no kind {self.guest!r}", remedy="give qemu or netns")
        if self.ipv6 not in get_args(Ipv6Mode):
            modes = ", ".join(get_args(Ipv6Mode))
            raise DescriptionError(f"ipv6: there is no {self.ipv6!r}", remedy=f"give one of {modes}")
        if self.laptop not in ("both", "ipv4", "ipv6"):
            raise DescriptionError(f"laptop: there is no {self.laptop!r}", remedy="give both, ipv4 or ipv6")
