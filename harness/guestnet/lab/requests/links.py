"""Requests about what is wrong with links; `guestnet.lab.controls.links` carries them out.

``link`` is a link of the world or a guest's cable, by its name in the capture. All raise DescriptionError
when there is no such link, or nobody can impair it, or the settings can't be together.
"""

from typing import Literal

import msgspec

from guestnet.lab.requests.request import Request
from guestnet.link.settings import Impairments, Schedule

Direction = Literal["up", "down"]


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with either direction of a link."""

    up: Impairments
    down: Impairments


class SettingsOf(Request[LinkSettings], frozen=True, kw_only=True):
    """What is set now."""

    link: str


class Impair(Request[None], frozen=True, kw_only=True):
    """Set what ``settings`` sets, in ``direction`` or in both; all else stays as it is."""

    link: str
    settings: Impairments
    direction: Direction | None = None


class SetExactly(Request[None], frozen=True, kw_only=True):
    """Let ``settings`` be all that is set."""

    link: str
    settings: LinkSettings


class Clear(Request[None], frozen=True, kw_only=True):
    """Take back the settings called ``settings``, in ``direction`` or in both; without any, all of them."""

    link: str
    settings: tuple[str, ...] = ()
    direction: Direction | None = None


class FollowSchedule(Request[None], frozen=True, kw_only=True):
    """Follow ``schedule`` from now on in place of the former one; None ends that."""

    link: str
    schedule: Schedule | None


class SetCarrier(Request[None], frozen=True, kw_only=True):
    """Pull the link's plug out, or plug it in: who is at its first end sees the carrier go and come."""

    link: str
    carrier: bool


AnyLinkRequest = SettingsOf | Impair | SetExactly | Clear | FollowSchedule | SetCarrier
"""What every request of the lab's protocol is."""
