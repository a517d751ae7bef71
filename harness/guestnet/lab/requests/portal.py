"""Requests to captive portals of the world, and for its certificate authority."""

from guestnet.lab.requests.request import Request
from guestnet.world.described.portal import Blocked, BlockedTls, Changes, Ipv6, PortalState, Redirect

__all__ = [
    "AnyPortalRequest", "AuthorityOf", "Blocked", "BlockedTls", "Changes", "ExpirePortal", "Ipv6",
    "PortalState", "PortalStates", "Redirect", "SetPortal",
]  # fmt: skip


class PortalStates(Request[list[PortalState]], frozen=True, kw_only=True):
    """The captive portals as they are."""


class ExpirePortal(Request[None], frozen=True, kw_only=True):
    """End all sessions of the portal. Raises DescriptionError when there is none of the name."""

    portal: str


class SetPortal(Request[None], frozen=True, kw_only=True):
    """Change the ways of the portal. Raises DescriptionError."""

    portal: str
    changes: Changes


class AuthorityOf(Request[str], frozen=True, kw_only=True):
    """The certificate of the lab's authority, in PEM. Raises DescriptionError in a world that has none."""


AnyPortalRequest = PortalStates | ExpirePortal | SetPortal | AuthorityOf
