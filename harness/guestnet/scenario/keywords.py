"""What verbs and the marker of a scenario take by name, so that a type checker knows each name and value.

Each has the fields of a frozen struct, which checks them again when a scenario runs: `Impairing` those of
`guestnet.link.settings.Impairments`, where bare numbers for durations, rates and sizes are left out, `Ways`
those of `guestnet.world.described.portal.Ways`, `VpnSettings` those of a `Vpn` that can be changed, `LabKeys`
those of `guestnet.lab.requests.description.LabDescription`. Tests hold them equal.
"""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, Literal, TypedDict, get_args, get_origin

import msgspec

from guestnet.core.errors import DescriptionError
from guestnet.lab.requests.description import Families, GuestKind, Ipv6Mode, World
from guestnet.lab.requests.portal import Blocked, BlockedTls, Ipv6, Redirect
from guestnet.link.settings import (
    Burst,
    Codel,
    Constant,
    Corrupt,
    Drop,
    Duplicate,
    Flap,
    GilbertElliott,
    Loss,
    Mtu,
    Normal,
    Pareto,
    Recorded,
    Reorder,
    Trace,
    Uniform,
)


class Impairing(TypedDict, total=False):
    """Settings of a link: see `guestnet.link.settings.Impairments`."""

    delay: str | Constant | Uniform | Normal | Pareto | Recorded
    jitter: str
    keep_order: bool
    loss: str | float | Loss | Burst | GilbertElliott
    drop: str | Sequence[str] | Drop
    duplicate: str | float | Duplicate
    reorder: str | float | Reorder
    corrupt: str | float | Corrupt
    rate: str
    burst: str
    queue: str
    codel: bool | Codel
    trace: str | Sequence[int] | Trace
    mtu: int | Mtu
    down: bool
    flap: Flap
    only: str


class VpnSettings(TypedDict, total=False):
    """What `guestnet.scenario.vpn.VpnView.set` changes: see `guestnet.world.described.vpn.Vpn`."""

    mtu: int
    routes: Sequence[str]
    domains: Sequence[str]
    resolvers: Sequence[str]
    names: Sequence[str]
    kill_switch: bool
    host_only: bool
    block_local: bool
    clamp_mss: bool
    frag_needed: bool
    rekey: float
    keepalive: float


class Ways(TypedDict, total=False):
    """What `guestnet.scenario.portal.PortalView.set` changes: see `guestnet.world.described.portal.Ways`."""

    redirect: Redirect
    forge: bool
    ttl: int
    tls: BlockedTls
    other: Blocked
    api: bool
    session: float
    account: str
    udp: bool
    ipv6: Ipv6


class LabKeys(TypedDict, total=False):
    """What `guestnet.scenario.marker.in_lab` takes: see `guestnet.lab.requests.description.LabDescription`.

    ``stack`` and ``needs``, the capabilities that the stack must have, may be several names.
    """

    stack: str | Sequence[str]
    needs: str | Sequence[str]
    guest: GuestKind
    seed: int
    profile: str | World
    laptop: Families
    subnet: str
    guests: int
    image: str
    memory: int
    mtu: int
    ipv6: Ipv6Mode
    keepalive: int
    offloads: bool
    boot: Literal["restore", "cold"]
    lease: bool
    accelerator: Literal["auto", "kvm", "tcg"]
    capture: Literal["whole", "headers", "none"]


def check(struct: type[msgspec.Struct], given: Mapping[str, object], what: str) -> None:
    """Raise DescriptionError unless ``given`` are fields of ``struct``, with values that they can have.

    ``what`` is whose they are, as "the portal hotel".
    """
    types = {field.name: field.type for field in msgspec.structs.fields(struct)}
    for name, value in given.items():
        if name not in types:
            raise DescriptionError(f"{what} has no {name!r}", remedy=f"it has {', '.join(types)}")
        try:
            msgspec.convert(value, types[name])
        except msgspec.ValidationError:
            raise DescriptionError(
                f"{what}: {name}={value!r} can't be", remedy=f"give {_show(types[name])}"
            ) from None


def _show(kind: Any) -> str:
    """What a field takes, in words: of a choice all that there is to choose from."""
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    choices = [one for one in get_args(kind) if one is not NoneType]
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    return words.get(kind) or " or ".join(map(_show, choices)) or str(kind)
